"""The U-Net paper's first task on the real ISBI 2012 slices, small enough for two CPU cores. Chapter 15.

The network is the paper's, unpadded and four levels deep, but with 16 instead of 64 channels on its first
level (1.94 instead of 31 million parameters). It differs from the paper in three more ways: Adam with a
cosine schedule instead of SGD with momentum 0.99; rotations by 90 degrees, flips and gray values instead of
elastic deformation; and no weight map, since membranes already separate the cells here.
"""

import keras
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from unetbook import nets, scores, sizes, training
from unetbook.datasets import isbi2012
from unetbook.segmenter import Segmenter

NAME = "isbi2012-unet"
SUMMARY = "EM membranes: unpadded U-Net, 16 to 256 channels, slices 0-20 to learn from, 24-29 held out"
DATASET = isbi2012
SEEDS = (0, 1)
SETTINGS = {
    "padding": "valid",
    "depth": 4,
    "filters": 16,
    "classes": 2,
    "dropout": 0.5,
    "tile": 380,
    "batch": 2,
    "steps": 120,
    "epochs": 30,
    "optimizer": "Adam, not the paper's SGD",
    "learning_rate": 1e-3,
    "schedule": "cosine to 0 over all steps",
    "loss": "soft-max cross-entropy, every pixel alike",
    "augmentation": "turns by 90 degrees, flips, contrast and brightness; nothing elastic",
}
QUICK = {"filters": 2, "tile": 220, "batch": 1, "steps": 3, "epochs": 2}
TARGET = {"pixel_error": 0.10}
PASSPORT = {
    "task": "interior of cells against membrane in serial-section electron microscopy",
    "classes": ["membrane", "interior"],
    "input": "one channel, uint8 / 255",
    "normalize": "as_it_is",
    "training_data": "ISBI 2012 training slices 0 to 20 (Cardona et al. 2010; Arganda-Carreras et al. 2015)",
    "license": "MIT for the code; the slices are free for research with citation",
}


def split(data=None) -> dict[str, list[int]]:
    """Slice numbers by part. Neighboring slices show the same cells, so each part is one contiguous block."""
    return {"train": list(range(21)), "validation": list(range(21, 24)), "test": list(range(24, 30))}


def ids(data) -> range:
    """The slices that the data have."""
    images, _ = data
    return range(len(images))


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 1) to logits (N, H - 184, W - 184, 2), channel 1 for the interior."""
    options = {name: settings[name] for name in ("filters", "depth", "padding", "dropout")}
    return nets.unet((None, None, 1), settings["classes"], **options)


def optimizer(settings) -> keras.optimizers.Optimizer:
    """Adam, its learning rate falling to 0 along a cosine."""
    steps = settings["steps"] * settings["epochs"]
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(settings["learning_rate"], steps))


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training slices."""
    images, labels = (part[split["train"]] for part in data)
    tile, output = settings["tile"], sizes.output_size(settings["tile"], settings["depth"])
    return training.Tiles(
        images, labels, tile, output, settings["batch"], settings["steps"], seed, augment=turn_and_shade
    )


def turn_and_shade(image, labels, rng, weights=None):
    """One of the eight turns and mirror images of a square, then contrast by up to 20 % and brightness by up to 0.1.

    image: float32 (H, W, C) in [0, 1]; labels, weights: (H, W), turned alike. Returns what came in. Chapter
    07.
    """
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    planes = [image, labels] + ([] if weights is None else [weights])
    planes = [np.rot90(plane[:, ::-1] if flip else plane, turns) for plane in planes]
    contrast, brightness = rng.uniform(0.8, 1.2), rng.uniform(-0.1, 0.1)
    planes[0] = np.clip((planes[0] - 0.5) * contrast + 0.5 + brightness, 0, 1).astype(np.float32)
    return tuple(planes)


def validate(model, data, split) -> dict[str, float]:
    """Cross-entropy and pixel error (at 0.5) over the whole validation slices, by overlap-tile."""
    segmenter, losses, errors = Segmenter(model, PASSPORT), [], []
    images, labels = data
    for number in split["validation"]:
        seen = segmenter.maps(images[number])
        right = np.take_along_axis(seen, labels[number][..., None], axis=-1)
        losses.append(-np.mean(np.log(np.clip(right, 1e-7, 1))))
        errors.append(np.mean(segmenter.labels(seen, labels[number].shape) != labels[number]))
    return {"val_loss": float(np.mean(losses)), "val_pixel_error": float(np.mean(errors))}


def evaluate(model, data, split) -> dict:
    """Scores of the test slices; the threshold is the one of least pixel error on the validation slices."""
    images, labels = data
    segmenter = Segmenter(model, PASSPORT)
    return at_best_threshold(lambda number: segmenter.maps(images[number])[..., 1], labels, split)


def at_best_threshold(predict, labels, split) -> dict:
    """Scores of the test slices at the validation slices' best threshold; ``predict`` gives a slice's probability."""
    seen = np.stack([predict(number) for number in split["validation"]])
    thresholds = np.arange(5, 96) / 100
    errors = [np.mean((seen >= threshold) != labels[split["validation"]]) for threshold in thresholds]
    threshold = float(thresholds[np.argmin(errors)])
    return scored(predict, labels, split["test"], threshold) | {"choices": {"threshold": threshold}}


def baselines(data, split) -> dict[str, dict]:
    """The same scores without a network: a constant, Otsu's threshold, and one threshold after smoothing."""
    images, labels = data
    truth, seen = labels[split["validation"]], images[split["validation"], ..., 0]
    majority = int(labels[split["train"]].mean() >= 0.5)

    def otsu(image):
        return image > threshold_otsu(image)

    bright = int(np.mean([np.mean(otsu(image) == t) for image, t in zip(seen, truth, strict=True)]) >= 0.5)
    best = (np.inf,)
    for sigma in (0, 1, 2, 3, 4, 6):
        smooth = ndimage.gaussian_filter(seen, (0, sigma, sigma))
        for cut in np.arange(2, 99, 2) / 100:
            wrong = float(np.mean((smooth > cut) != truth))
            best = min(best, (wrong, sigma, float(cut), 1), (1 - wrong, sigma, float(cut), 0))
    _, sigma, cut, above = best

    def constant_map(number):
        return np.full(labels.shape[1:], majority)

    def otsu_map(number):
        return otsu(images[number, ..., 0]) == bright

    def smoothed_map(number):
        return (ndimage.gaussian_filter(images[number, ..., 0], sigma) > cut) == above

    chosen = {
        "constant": (constant_map, {"interior": bool(majority)}),
        "otsu": (otsu_map, {"interior_is_bright": bool(bright)}),
        "smoothed threshold": (smoothed_map, {"sigma": sigma, "cut": cut, "interior_is_bright": bool(above)}),
    }
    return {
        name: scored(predict, labels, split["test"], 0.5) | {"choices": choices}
        for name, (predict, choices) in chosen.items()
    }


def scored(predict, labels, numbers, threshold) -> dict:
    """Scores of each slice and their means; ``predict`` gives the probability of the interior of a slice."""
    rows = {n: scores.em_scores(labels[n], predict(n).astype(np.float32), threshold) for n in numbers}
    means = {name: float(np.mean([row[name] for row in rows.values()])) for name in rows[numbers[0]]}
    return {"scores": means, "images": {str(n): row for n, row in rows.items()}}
