"""Three ways to double a map, one network: up-convolution, nearest or bilinear and a convolution. Chapter 04."""

from unetbook.recipes import _quick, lab_skips

NAME = "lab-upsampling"
SUMMARY = "up-convolution, nearest or bilinear up-sampling, on membranes (thin lines) and on lesions (large areas)"
SEEDS = lab_skips.SEEDS
SETTINGS = lab_skips.SETTINGS | {"filters": 16}
QUICK = lab_skips.QUICK | {"filters": 2}
WAYS = ("transpose", "nearest", "bilinear")
ARMS = {f"{task}, {way}": {"task": task, "upsampling": way} for task in ("fine", "coarse") for way in WAYS}
PAIRS = [(f"{task}, {way}", f"{task}, transpose") for task in ("fine", "coarse") for way in WAYS[1:]]

data = lab_skips.data


def measure(data, options, settings, seed) -> dict:
    """Train one arm on its task; its scores and its parameters."""
    pictures = data[options["task"]]
    model = _quick.network(settings, seed, channels=pictures[0][0].shape[-1], upsampling=options["upsampling"])
    return _quick.outlined(model, pictures, settings, seed)
