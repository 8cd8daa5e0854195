"""What an encoder trained elsewhere brings with 5, 20 and 100 pictures. Chapter 14.

It was trained on synthetic cells, membranes and ellipses (``encoder-synthetic``). Nuclei are close to that, lesions
far from it. Beside it the same network from random weights, and the book's plain U-Net.
"""

import hashlib

import numpy as np

from unetbook import nets, results, training
from unetbook.datasets import synthetic
from unetbook.recipes import _quick

NAME = "lab-transfer"
SUMMARY = "encoder frozen, fine-tuned or from random weights, and a U-Net, with 5, 20 and 100 nuclei or lesion pictures"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "pictures": "synthetic nuclei (near to what the encoder saw), synthetic lesions (far)",
    "training_pictures": 100,
    "test_pictures": 20,
    "size": 96,
    "filters": 8,
    "depth": 5,
    "alpha": 0.35,
    "unet": {"filters": 16, "depth": 4},
    "tile": 96,
    "batch": 4,
    "steps": 20,
    "epochs": 10,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy",
    "augmentation": "none",
    "boundary_tolerance": 1,
}
QUICK = {
    "training_pictures": 5,
    "test_pictures": 1,
    "size": 64,
    "depth": 2,
    "unet": {"filters": 2, "depth": 1},
    "tile": 64,
    "batch": 2,
    "steps": 1,
    "epochs": 1,
}
TASKS = {"near": synthetic.nuclei, "far": synthetic.lesions}
PRETRAINED = ("frozen", "fine-tuned")
STARTS = (*PRETRAINED, "random", "U-Net")
PICTURES = (5, 20, 100)
ARMS = {
    f"{task}, {pictures}, {start}": {"task": task, "pictures": pictures, "start": start}
    for task in TASKS
    for pictures in PICTURES
    for start in STARTS
}
PAIRS = [
    (f"{task}, {pictures}, {one}", f"{task}, {pictures}, {other}")
    for task in TASKS
    for pictures in PICTURES
    for one, other in (
        ("frozen", "random"),
        ("fine-tuned", "random"),
        ("fine-tuned", "frozen"),
        ("frozen", "U-Net"),
        ("fine-tuned", "U-Net"),
        ("random", "U-Net"),
    )
]


def weights_file():
    """Where the weights of ``encoder-synthetic`` lie."""
    return results.folder() / "weights" / "encoder-synthetic.keras"


def data(settings, seed):
    """For each task the training and test pictures with their masks."""
    drawn = {task: _quick.pictures(draw, settings, seed) for task, draw in TASKS.items()}
    return {task: [(images, labels > 0) for images, labels in parts] for task, parts in drawn.items()}


def measure(data, options, settings, seed) -> dict:
    """Train one arm on the first pictures of its task; its scores, parameters and those that were trained."""
    (images, masks), test = data[options["task"]]
    first = images[: options["pictures"]], masks[: options["pictures"]]
    model = network(options["start"], images.shape[-1], settings, seed)
    entry = _quick.outlined(model, (first, test), settings, seed)
    entry["trained"] = int(sum(np.prod(weight.shape) for weight in model.trainable_weights))
    if options["start"] in PRETRAINED:
        entry["encoder"] = hashlib.sha256(weights_file().read_bytes()).hexdigest()
    return entry


def network(start, channels, settings, seed):
    """The network of one arm; what is random in it depends on the seed alone."""
    if start == "U-Net":
        return _quick.network(settings | settings["unet"], seed, channels=channels)
    training.set_seed(seed)
    return nets.encoder(
        (None, None, channels),
        2,
        weights_file() if start in PRETRAINED else "random",
        filters=settings["filters"],
        depth=settings["depth"],
        frozen=start == "frozen",
        alpha=settings["alpha"],
    )
