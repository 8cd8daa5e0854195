"""EM membranes (ISBI 2012): cells of serial sections against their membranes, by slices."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from studies import training as arms
from studies.tasks import usual
from unetbook import labels, scores, sizes, training, weightmap
from unetbook.datasets import isbi2012
from unetbook.segmenter import Segmenter

DATASET, FOLDS = isbi2012, False
parts, side, answering = usual.parts, usual.side, usual.answering
FINE = [round(float(t), 3) for t in 1 / (1 + np.exp(-np.arange(-12, 13) / 3))]  # 0.018 to 0.982, even in logits
EVEN = [hundredths / 100 for hundredths in range(5, 96)]
PASSPORT = {
    "task": "interior of cells against membrane in serial-section electron microscopy",
    "classes": ["membrane", "interior"],
    "input": "one channel, uint8 / 255",
    "normalize": "as_it_is",
    "training_data": "ISBI 2012 training slices 0 to 20 (Cardona et al. 2010; Arganda-Carreras et al. 2015)",
    "license": "MIT for the code; the slices are free for research with citation",
}


def load(settings, seed, root=None):
    """Images float32 (30, H, W, 1) and interiors (30, H, W)."""
    return isbi2012.load(root)


def split(data=None) -> dict[str, list[int]]:
    """Slice numbers by part. Neighboring slices show the same cells, so each part is one contiguous block."""
    return {"train": list(range(21)), "validation": list(range(21, 24)), "test": list(range(24, 30))}


def ids(data) -> range:
    """The slices that the data have."""
    return range(len(data[0]))


def passport(settings) -> dict:
    """Entries of the kept file."""
    return PASSPORT | ({"averaged": "rotations"} if settings.averaged else {})


def build(data, settings):
    """Images (N, H, W, 1) to logits (N, H - 184, W - 184, 2) at the paper's depth, channel 1 for the interior."""
    return arms.network(settings, 1, 2)


def batches(data, parts, settings, seed) -> training.Tiles:
    """Random tiles of the training slices, with the weight map of the cells between membranes where the loss has it."""
    images, interior = (part[parts["train"]] for part in data)
    return training.Tiles(
        images,
        interior,
        settings.tile,
        sizes.output_size(settings.tile, settings.depth),
        settings.batch,
        settings.steps,
        seed,
        augment=arms.augmentation(settings),
        weights=_weights(interior, settings) if settings.loss == "weighted_cross_entropy" else None,
    )


def _weights(interior, settings):
    """Weight maps float32 (N, H, W) of equation 2, with class weights of the training slices; ``None`` for none."""
    w0, sigma, balanced = settings.w0, settings.sigma, settings.balanced
    if not w0 and not balanced:
        return None
    balance = weightmap.class_weights(interior) if balanced else None
    return np.stack([weightmap.weight_map(labels.connected(one), w0, sigma, balance) for one in interior])


def validate(model, data, parts, settings) -> dict[str, float]:
    """Cross-entropy of the validation slices, and their pixel error at its best threshold, which weights move."""
    images, truth = (part[parts["validation"]] for part in data)
    segmenter = Segmenter(model, PASSPORT)
    seen = np.stack([segmenter.maps(image, once=True)[..., 1] for image in images])
    right = np.where(truth > 0, seen, 1 - seen)
    errors = [np.mean((seen >= threshold) != truth) for threshold in FINE]
    return {"val_loss": float(-np.mean(np.log(np.clip(right, 1e-7, 1)))), "val_pixel_error": float(min(errors))}


def evaluate(model, data, parts, settings) -> dict:
    """Scores of the test slices; thresholds are chosen on the validation slices.

    thresholds ``"one"``: that of the least pixel error. ``"one for each score"``: each score at its own;
    ``one_threshold`` has all at that of ``choices``, best for wiring and drawing together, what one picture of the
    cells is worth; ``swept`` rows are scores at each threshold, and ``maximal_f`` the challenge's convention. averaged:
    the mean of seven rotations; ``without_averaging`` is one position, with thresholds of its own.
    """
    images, truth = data
    segmenter = Segmenter(model, passport(settings))

    def predict(number, once=False):
        return segmenter.maps(images[number], once=once)[..., 1]

    if settings.thresholds == "one":
        return at_best_threshold(predict, truth, parts)
    entry = _judged(predict, truth, parts)
    if settings.averaged:
        once = _judged(lambda number: predict(number, once=True), truth, parts, warping=False)
        kept = "scores", "thresholds", "choices", "one_threshold"
        entry["without_averaging"] = {name: once[name] for name in kept}
    return entry


def at_best_threshold(predict, truth, parts) -> dict:
    """Scores of the test slices at the validation slices' best threshold; ``predict`` gives a slice's probability."""
    seen = np.stack([predict(number) for number in parts["validation"]])
    errors = [np.mean((seen >= threshold) != truth[parts["validation"]]) for threshold in EVEN]
    threshold = EVEN[int(np.argmin(errors))]
    return scored(predict, truth, parts["test"], threshold) | {"choices": {"threshold": threshold}}


def _judged(predict, truth, parts, warping=True):
    """Scores of the test slices; ``predict`` gives a slice's probability of interior."""
    seen = {part: {number: predict(number) for number in parts[part]} for part in ("validation", "test")}
    known, swept = (swept_scores(seen[part], truth, warping) for part in ("validation", "test"))
    names = scores.em_scores(truth[0], (truth[0] > 0).astype(np.float32))
    thresholds = {name: _best(known, name) for name in names}
    both = _best(known, "rand_thin", "pixel_error")
    at = {
        threshold: scored(seen["test"].__getitem__, truth, parts["test"], threshold)
        for threshold in {both, *thresholds.values()}
    }
    rows = {of: {row["image"]: row for row in one["tables"]["images"]} for of, one in at.items()}
    images = [
        {"image": number, **{name: rows[of][number][name] for name, of in thresholds.items()}}
        for number in parts["test"]
    ]
    images += [{"reading": "one_threshold", **row} for row in rows[both].values()]
    swept = [{"part": "test", **row} for row in swept], [{"part": "validation", **row} for row in known]
    return {
        "scores": {name: at[of]["scores"][name] for name, of in thresholds.items()},
        "thresholds": thresholds,
        "one_threshold": {"scores": at[both]["scores"]},
        "choices": {"threshold": both},
        "maximal_f": maximal_f(swept[0]) if warping else None,
        "tables": {"images": images, "swept": [row for part in swept for row in part]},
    }


def _best(known, *names):
    """The threshold at which the validation slices have the least sum of these errors."""
    return min(known, key=lambda row: sum(row[name] for name in names))["threshold"]


def swept_scores(probabilities, truth, warping=True) -> list[dict[str, float]]:
    """Mean scores of slices {number: probability (H, W)} at each threshold; warping: with that error, which is slow."""
    rows = []
    for threshold in FINE:
        of = [scores.em_scores(truth[number], one, threshold) for number, one in probabilities.items()]
        if warping:
            for row, (number, one) in zip(of, probabilities.items(), strict=True):
                row["warping_error"] = scores.warping_error(truth[number] > 0, one >= threshold)
        rows.append({"threshold": threshold, **{name: float(np.mean([row[name] for row in of])) for name in of[0]}})
    return rows


def maximal_f(swept) -> dict[str, float]:
    """The challenge's convention: one minus the largest F over thresholds, chosen on the slices that are scored.

    The least Rand error of 2012, one minus F of interior and of membrane pixels, and warping error, each at a threshold
    of its own. It flatters: nothing is held out. Arganda-Carreras et al. 2015.
    """
    names = ("rand_2012", "f_interior_error", "f_membrane_error", "warping_error")
    return {name: min(row[name] for row in swept) for name in names}


def baselines(data, split, settings) -> dict[str, dict]:
    """The same scores without a network: a constant, Otsu's threshold, and one threshold after smoothing."""
    images, truth = data
    known, seen = truth[split["validation"]], images[split["validation"], ..., 0]
    majority = int(truth[split["train"]].mean() >= 0.5)

    def otsu(image):
        return image > threshold_otsu(image)

    bright = int(np.mean([np.mean(otsu(image) == t) for image, t in zip(seen, known, strict=True)]) >= 0.5)
    best = (np.inf,)
    for sigma in (0, 1, 2, 3, 4, 6):
        smooth = ndimage.gaussian_filter(seen, (0, sigma, sigma))
        for cut in np.arange(2, 99, 2) / 100:
            wrong = float(np.mean((smooth > cut) != known))
            best = min(best, (wrong, sigma, float(cut), 1), (1 - wrong, sigma, float(cut), 0))
    _, sigma, cut, above = best
    chosen = {
        "constant": (lambda number: np.full(truth.shape[1:], majority), {"interior": bool(majority)}),
        "otsu": (lambda number: otsu(images[number, ..., 0]) == bright, {"interior_is_bright": bool(bright)}),
        "smoothed threshold": (
            lambda number: (ndimage.gaussian_filter(images[number, ..., 0], sigma) > cut) == above,
            {"sigma": sigma, "cut": cut, "interior_is_bright": bool(above)},
        ),
    }
    return {
        name: scored(predict, truth, split["test"], 0.5) | {"choices": choices}
        for name, (predict, choices) in chosen.items()
    }


def scored(predict, truth, numbers, threshold) -> dict:
    """Scores of each slice and their means; ``predict`` gives the probability of the interior of a slice."""
    rows = [{"image": n, **scores.em_scores(truth[n], predict(n).astype(np.float32), threshold)} for n in numbers]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if name != "image"}
    return {"scores": means, "tables": {"images": rows}}
