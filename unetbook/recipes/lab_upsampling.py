"""Three ways to double a map, one network: up-convolution, nearest or bilinear and a convolution. Chapter 04."""

import numpy as np

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
    """Train one arm on its task; Dice and boundary F of the masks, means over the test pictures, and its parameters."""
    (images, masks), (test_images, truth) = data[options["task"]]
    model = _quick.network(settings, seed, channels=images.shape[-1], upsampling=options["upsampling"])
    curve = _quick.train(model, images, masks.astype(np.int32), settings, seed)
    predicted = _quick.probabilities(model, test_images)[..., 1] >= 0.5
    return {
        "scores": lab_skips.outline_scores(truth, predicted, settings["boundary_tolerance"]),
        "parameters": model.count_params(),
        "curve": curve,
    }
