"""One network, data and seeds, six ways to objects for touching cells: which come apart, and at what price. Chapter 10.

The ways back from prediction to objects are those of ``unetbook.instances`` with their defaults; nothing is chosen on
the test pictures.
"""

import keras
import numpy as np

from unetbook import instances, labels, losses, scores, weightmap
from unetbook.recipes import _quick, lab_weight_maps

NAME = "lab-targets"
SUMMARY = "touching cells by mask, mask with a gap, that with watershed or weight map, border class, distance map"
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {name: value for name, value in lab_weight_maps.SETTINGS.items() if name not in ("loss", "target")}
SETTINGS |= {"distance_up_to": 8}
QUICK = lab_weight_maps.QUICK
ARMS = {
    "mask": {"way": "components"},
    "mask with a gap": {"way": "regrow"},
    "gap and watershed": {"way": "watershed"},
    "gap and weight map": {"way": "regrow", "w0": 10, "sigma": 5},
    "border class": {"way": "border"},
    "distance map": {"way": "distance"},
}
PAIRS = [(arm, "mask with a gap") for arm in ARMS if arm != "mask with a gap"]
STEPS_A_PIXEL = 8  # distances are learned from whole numbers, eight a pixel

data = lab_weight_maps.data


def measure(data, options, settings, seed) -> dict:
    """Train one arm; Dice, object F, the DSB score, and cells merged, split, missed and extra out of 100 true ones."""
    (images, objects), (test_images, truth) = data
    model, target, how = prepare(objects, options, settings, seed)
    curve = _quick.train(model, images, target, settings, seed, **how)
    predicted = _predict(model, test_images, options["way"])
    found = [instances.from_probabilities(p, options["way"], smallest=_quick.SMALLEST) for p in predicted]
    dice = [scores.dice(t > 0, f > 0) for t, f in zip(truth, found, strict=True)]
    counted = {"dice": float(np.mean(dice)), "f": _quick.object_f(truth, found), "dsb": scores.dsb_score(truth, found)}
    return {"scores": counted | _quick.errors(truth, found), "curve": curve}


def prepare(objects, options, settings, seed):
    """The network, what it learns, integers (N, H, W), and with which loss and weights."""
    way, even = options["way"], {"loss": losses.cross_entropy}
    if way == "components":
        return _quick.network(settings, seed), (objects > 0).astype(np.int32), even
    if way == "border":
        return _quick.network(settings, seed, 3), np.stack([instances.border_target(one) for one in objects]), even
    if way == "distance":
        far = [np.minimum(instances.distance_target(one), settings["distance_up_to"]) for one in objects]
        target = np.round(STEPS_A_PIXEL * np.stack(far)).astype(np.int32)
        return _quick.network(settings, seed, 1), target, {"loss": squared_error}
    apart = labels.separate(objects)
    if "w0" in options:
        weights = np.stack([weightmap.weight_map(one, options["w0"], options["sigma"]) for one in apart])
        even = {"loss": losses.CrossEntropy(reduction="mean_with_sample_weight"), "weights": weights}
    return _quick.network(settings, seed), (apart > 0).astype(np.int32), even


def squared_error(target, distances):
    """(predicted - true distance)^2 in pixels^2, (N, H, W); the target counts eighths of a pixel."""
    # Keras drops the last axis for a function and keeps it for a Loss.
    distances = keras.ops.reshape(distances, keras.ops.shape(target))
    return keras.ops.square(distances - keras.ops.cast(target, distances.dtype) / STEPS_A_PIXEL)


def _predict(model, images, way):
    if way == "distance":
        return np.concatenate([model.predict_on_batch(image[None]) for image in images])
    return _quick.probabilities(model, images)
