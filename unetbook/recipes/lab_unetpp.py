"""The heads of a U-Net++ beside U-Nets of as many multiply-adds, on thin lines and on large areas. Chapter 12.

One training with deep supervision gives all heads and their mean. ``alone`` is the deepest head trained without the
others. Each U-Net is as wide as makes it cost about what the head costs for which it is named.
"""

import numpy as np

from unetbook import nets, sizes, training
from unetbook.recipes import _quick, lab_skips

NAME = "lab-unetpp"
SUMMARY = "heads L1 to L4 of a U-Net++, their mean, and U-Nets of as many multiply-adds, on membranes and lesions"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = lab_skips.SETTINGS | {"filters": 8}
QUICK = lab_skips.QUICK | {"filters": 2, "depth": 4}
HEADS = ("L1", "L2", "L3", "L4")
UNETS = {"L1": 4, "L2": 7, "L3": 10, "L4": 13}  # filters for about as many multiply-adds; a test counts them
ARMS = {
    f"{task}, {name}": {"task": task, **options}
    for task in ("fine", "coarse")
    for name, options in {
        **{head: {"head": head} for head in (*HEADS, "mean")},
        "alone": {"head": "alone"},
        **{f"U-Net as {head}": {"filters": filters} for head, filters in UNETS.items()},
    }.items()
}
PAIRS = [
    (f"{task}, {one}", f"{task}, {other}")
    for task in ("fine", "coarse")
    for one, other in (
        *((head, f"U-Net as {head}") for head in HEADS),
        *((head, "L4") for head in HEADS[:3]),
        ("mean", "L4"),
        ("L4", "alone"),
    )
]

data = lab_skips.data


def measure(data, options, settings, seed) -> dict:
    """The scores, parameters and multiply-adds (for one picture) of one head or one U-Net."""
    pictures, head = data[options["task"]], options.get("head")
    channels = pictures[0][0].shape[-1]
    if head is None:
        model = _quick.network(settings | {"filters": options["filters"]}, seed, channels=channels)
        entry = _quick.outlined(model, pictures, settings, seed)
    else:
        model, curve = trained(data, options["task"], head == "alone", settings, seed)
        if head in HEADS:
            model = nets.prune(model, int(head[1:]))
        found = _quick.tested(model, pictures[1], settings)
        entry = {"scores": found, "parameters": model.count_params(), "curve": curve}
    return entry | {"multiply_adds": multiply_adds(head, options, settings, channels)}


def trained(data, task, alone, settings, seed):
    """A trained U-Net++ and its losses. All heads of one task are one training, kept in ``data``."""
    (images, masks), _ = data[task]
    if (task, alone) not in data:
        model = network(settings, images.shape[-1], not alone, seed)
        data[task, alone] = model, _quick.train(model, images, masks.astype(np.int32), settings, seed)
    return data[task, alone]


def network(settings, channels, heads=True, seed=0, side=None):
    """The U-Net++ of this lab; its initial weights depend on the seed alone."""
    training.set_seed(seed)
    shape = (side, side, channels)
    return nets.unetpp(shape, 2, settings["filters"], settings["depth"], heads, normalization="batch")


def multiply_adds(head, options, settings, channels) -> int:
    """Multiply-adds of one arm for one picture of the lab's size."""
    side = settings["size"]
    if head is None:
        model = nets.unet((side, side, channels), 2, options["filters"], settings["depth"], padding="same")
    else:
        model = network(settings, channels, head != "alone", side=side)
    return sizes.multiply_adds(nets.prune(model, int(head[1:])) if head in HEADS else model)
