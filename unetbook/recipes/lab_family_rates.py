"""Tunes the networks of lab-family: learning rate, and normalization of the U-Net, on pictures of their own.

Its seeds draw other pictures than those of ``lab-family``, which takes the best choice of each network from here.
Chapter 13.
"""

from unetbook import nets, training
from unetbook.datasets import synthetic
from unetbook.recipes import _quick, lab_skips

NAME = "lab-family-rates"
SUMMARY = "learning rates of U-Net, U-Net++ and Improved U-Net at equal cost, on pictures that lab-family does not use"
SEEDS = (100, 101)
SETTINGS = lab_skips.SETTINGS | {
    "pictures": "synthetic nuclei, synthetic lesions",
    "steps": 20,
    "learning_rate": "one for each arm",
}
QUICK = lab_skips.QUICK
TASKS = {"nuclei": synthetic.nuclei, "lesions": synthetic.lesions}
NETWORKS = {  # filters for about as many multiply-adds as the U-Net's; a test counts them
    "U-Net": {"filters": 16, "normalization": None},
    "U-Net, batch": {"filters": 16, "normalization": "batch"},
    "U-Net, instance": {"filters": 16, "normalization": "instance"},
    "U-Net++": {"filters": 10, "normalization": "batch"},
    "Improved U-Net": {"filters": 12},
}
RATES = (5e-4, 2e-3, 8e-3)
ARMS = {
    f"{task}, {name}, {rate:g}": {"task": task, "network": name, "learning_rate": rate}
    for task in TASKS
    for name in NETWORKS
    for rate in RATES
}
PAIRS = []


def data(settings, seed):
    """For each task the training and test pictures with their masks."""
    drawn = {task: _quick.pictures(draw, settings, seed) for task, draw in TASKS.items()}
    return {task: [(images, labels > 0) for images, labels in parts] for task, parts in drawn.items()}


def measure(data, options, settings, seed) -> dict:
    """Train one network at one rate; its scores and parameters."""
    pictures = data[options["task"]]
    training.set_seed(seed)
    model = network(options["network"], (None, None, pictures[0][0].shape[-1]), settings["depth"])
    return _quick.outlined(model, pictures, settings | {"learning_rate": options["learning_rate"]}, seed)


def network(name, shape, depth=4):
    """One network of the family for two classes. The U-Net++ has one head, as the others have."""
    options = NETWORKS[name]
    if name == "Improved U-Net":
        return nets.improved_unet(shape, 2, **options)
    if name == "U-Net++":
        return nets.unetpp(shape, 2, depth=depth, deep_supervision=False, **options)
    return nets.unet(shape, 2, depth=depth, padding="same", **options)
