"""The U-Net paper's first task as the paper did it, in all but its size. Chapter 15.

Weight map, elastic deformation, SGD with momentum 0.99, one large tile a step, the mean of seven rotations. Smaller
than in the paper: 16 channels on the first level instead of 64, and 21 slices to learn from instead of 30. And faster:
instance normalization, which the paper does not have, lets SGD learn in a quarter of an hour at a high rate. Not batch
normalization: with one tile a batch each tile is normalized by itself, and by a mean of many at the end. Chapter 13.
What the paper does not tell is chosen here: the learning rate, its rise and fall, the strength of turns and gray
values, and the loss divided by the sum of the weights. ``isbi2012-no-weights`` and ``isbi2012-no-elastic`` leave one
part out.
"""

import keras
import numpy as np

from unetbook import labels, losses, nets, scores, sizes, training, weightmap
from unetbook.augment import Augmenter
from unetbook.recipes import isbi2012_unet
from unetbook.segmenter import Segmenter

NAME = "isbi2012-paper"
SUMMARY = (
    "EM membranes as in the paper: weight map, elastic deformation, SGD 0.99 on one tile, seven rotations averaged"
)
DATASET = isbi2012_unet.DATASET
LOSS = losses.CrossEntropy(reduction="mean_with_sample_weight")
SEEDS = (0, 1, 2)
SETTINGS = {
    "padding": "valid",
    "depth": 4,
    "filters": 16,
    "classes": 2,
    "dropout": 0.5,
    "normalization": "instance",
    "tile": 572,
    "batch": 1,
    "steps": 150,
    "epochs": 10,
    "precision": "mixed_bfloat16",
    "optimizer": "SGD with momentum 0.99",
    "learning_rate": 0.05,
    "warmup": 100,
    "schedule": "up from 0 in the steps of the warm-up, then down to 0 along a cosine",
    "loss": "soft-max cross-entropy, divided by the sum of the weights",
    "w0": 10,
    "sigma": 5,
    "balanced": True,
    "elastic": 10,
    "augmentation": "flips, turns, zoom, gray values (unetbook.augment), and elastic deformation of that strength",
    "averaged": "7 rotations",
}
QUICK = {"filters": 2, "tile": 220, "steps": 3, "epochs": 2, "warmup": 2}
TARGET = {"rand_thin": 0.06, "pixel_error": 0.09}
PASSPORT = isbi2012_unet.PASSPORT | {"averaged": "rotations"}
THRESHOLDS = [round(float(t), 3) for t in 1 / (1 + np.exp(-np.arange(-12, 13) / 3))]  # 0.018 to 0.982, even in logits

split, ids, baselines = isbi2012_unet.split, isbi2012_unet.ids, isbi2012_unet.baselines


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 1) to logits (N, H - 184, W - 184, 2), channel 1 for the interior."""
    options = {name: settings[name] for name in ("filters", "depth", "padding", "dropout", "normalization")}
    return nets.unet((None, None, 1), settings["classes"], **options)


def optimizer(settings) -> keras.optimizers.Optimizer:
    """SGD with momentum 0.99 (section 3 of the paper); its learning rate rises from 0, then falls along a cosine."""
    falling = settings["steps"] * settings["epochs"] - settings["warmup"]
    rise = {"warmup_target": settings["learning_rate"], "warmup_steps": settings["warmup"]}
    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.0, falling, **rise), momentum=0.99)


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training slices, deformed, with the weight map of the cells between membranes."""
    images, interior = (part[split["train"]] for part in data)
    return training.Tiles(
        images,
        interior,
        settings["tile"],
        sizes.output_size(settings["tile"], settings["depth"]),
        settings["batch"],
        settings["steps"],
        seed,
        augment=Augmenter(elastic=settings["elastic"]),
        weights=_weights(interior, settings),
    )


def _weights(interior, settings):
    """Weight maps float32 (N, H, W) of equation 2, with class weights of the training slices; ``None`` for none."""
    if not settings["w0"] and not settings["balanced"]:
        return None
    cells = [labels.connected(one) for one in interior]
    balance = weightmap.class_weights(interior) if settings["balanced"] else None
    return np.stack([weightmap.weight_map(one, settings["w0"], settings["sigma"], balance) for one in cells])


def validate(model, data, split) -> dict[str, float]:
    """Cross-entropy of the validation slices, and their pixel error at its best threshold, which weights move."""
    images, truth = (part[split["validation"]] for part in data)
    segmenter = Segmenter(model, PASSPORT)
    seen = np.stack([segmenter.maps(image, once=True)[..., 1] for image in images])
    right = np.where(truth > 0, seen, 1 - seen)
    errors = [np.mean((seen >= threshold) != truth) for threshold in THRESHOLDS]
    return {"val_loss": float(-np.mean(np.log(np.clip(right, 1e-7, 1)))), "val_pixel_error": float(min(errors))}


def evaluate(model, data, split) -> dict:
    """Scores of the test slices by the mean of seven rotations, each at the threshold that is best for it.

    All thresholds are chosen on the validation slices. ``one_threshold``: all scores at one, that of ``choices``, which
    is best for wiring and drawing together: what one picture of the cells is worth. ``without_averaging``: in one
    position, its thresholds chosen anew. ``swept``, ``swept_validation``: at each threshold. ``maximal_f``: the
    challenge's convention.
    """
    images, truth = data

    segmenter = Segmenter(model, PASSPORT)
    entry = _judged(lambda number: segmenter.maps(images[number])[..., 1], truth, split)
    once = _judged(lambda number: segmenter.maps(images[number], once=True)[..., 1], truth, split, warping=False)
    kept = "scores", "thresholds", "choices", "one_threshold"
    return entry | {"without_averaging": {name: once[name] for name in kept}, "maximal_f": maximal_f(entry["swept"])}


def _judged(predict, truth, split, warping=True):
    """Scores of the test slices; ``predict`` gives a slice's probability of interior."""
    seen = {part: {number: predict(number) for number in split[part]} for part in ("validation", "test")}
    known, swept = (swept_scores(seen[part], truth, warping) for part in ("validation", "test"))
    names = scores.em_scores(truth[0], (truth[0] > 0).astype(np.float32))
    thresholds = {name: _best(known, name) for name in names}
    both = _best(known, "rand_thin", "pixel_error")
    at = {
        threshold: isbi2012_unet.scored(seen["test"].__getitem__, truth, split["test"], threshold)
        for threshold in {both, *thresholds.values()}
    }
    return {
        "scores": {name: at[threshold]["scores"][name] for name, threshold in thresholds.items()},
        "images": {
            str(number): {name: at[threshold]["images"][str(number)][name] for name, threshold in thresholds.items()}
            for number in split["test"]
        },
        "thresholds": thresholds,
        "one_threshold": at[both],
        "choices": {"threshold": both},
        "swept": swept,
        "swept_validation": known,
    }


def _best(known, *names):
    """The threshold at which the validation slices have the least sum of these errors."""
    return min(known, key=lambda row: sum(row[name] for name in names))["threshold"]


def swept_scores(probabilities, truth, warping=True) -> list[dict[str, float]]:
    """Mean scores of slices {number: probability (H, W)} at each threshold; warping: with that error, which is slow."""
    rows = []
    for threshold in THRESHOLDS:
        of = [scores.em_scores(truth[number], one, threshold) for number, one in probabilities.items()]
        if warping:
            for row, (number, one) in zip(of, probabilities.items(), strict=True):
                row["warping_error"] = scores.warping_error(truth[number] > 0, one >= threshold)
        rows.append({"threshold": threshold, **{name: float(np.mean([row[name] for row in of])) for name in of[0]}})
    return rows


def maximal_f(swept) -> dict[str, float]:
    """The challenge's convention: one minus the largest F over thresholds, chosen on the slices that are scored.

    The least Rand error of 2012, one minus F of interior and of membrane pixels, and warping error, each at a threshold
    of its own. It flatters: nothing is held out. Arganda-Carreras et al. 2015. Chapter 15.
    """
    names = ("rand_2012", "f_interior_error", "f_membrane_error", "warping_error")
    return {name: min(row[name] for row in swept) for name in names}
