"""What skip connections buy: concatenated, added, or none, on a task of thin lines and on one of large areas.

Added maps halve the channels that the decoder reads, so that the network has fewer weights. ``add, wide`` has filters
enough to have about as many as the concatenation. Chapter 03.
"""

from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-skips"
SUMMARY = "skips concatenated, added (also as wide) or none, on membranes (thin lines) and on lesions (large areas)"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic membranes (fine), synthetic lesions (coarse)",
    "training_pictures": 20,
    "test_pictures": 12,
    "size": 160,
    "depth": 4,
    "tile": 96,
    "batch": 4,
    "steps": 30,
    "epochs": 10,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy",
    "boundary_tolerance": 1,
}
QUICK = {"training_pictures": 2, "test_pictures": 1, "size": 64, "depth": 1, "tile": 64, "steps": 2, "epochs": 1}
SKIPS = {
    "concat": {"skip": "concat", "filters": 16},
    "add": {"skip": "add", "filters": 16},
    "add, wide": {"skip": "add", "filters": 17},
    "none": {"skip": "none", "filters": 16},
}
ARMS = {f"{task}, {name}": {"task": task, **options} for task in ("fine", "coarse") for name, options in SKIPS.items()}
PAIRS = [(f"{task}, {name}", f"{task}, concat") for task in ("fine", "coarse") for name in SKIPS if name != "concat"]


def data(settings, seed):
    """For each task the training and test pictures, each with masks: of membranes, and of lesions."""
    pictures = {}
    for task, draw in (("fine", synthetic.membranes), ("coarse", synthetic.lesions)):
        drawn = _quick.pictures(draw, settings, seed)
        pictures[task] = [(images, (labels == 0 if task == "fine" else labels > 0)) for images, labels in drawn]
    return pictures


def measure(data, options, settings, seed) -> dict:
    """Train one arm on its task; its scores and its parameters."""
    pictures, settings = data[options["task"]], settings | {"filters": options["filters"]}
    model = _quick.network(settings, seed, channels=pictures[0][0].shape[-1], skip=options["skip"])
    return _quick.outlined(model, pictures, settings, seed)
