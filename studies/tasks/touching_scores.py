"""How networks for touching cells are judged: cells counted at the pictures' own size."""

import itertools

import cv2
import numpy as np
from skimage.filters import threshold_otsu

from studies.tasks import pictures
from unetbook import instances, labels, normalize, resizing, scores
from unetbook.segmenter import Segmenter

# Weights in the loss move where to cut: what a network with them calls 0.96, one without calls 0.995.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
FEW = (0.3, 0.5, 0.7, 0.9)  # of these, after each epoch
FIRST = 8  # training pictures that are judged then
OPTIONS = {"regrow": [{"grow": pixels} for pixels in (1, 2, 3)], "border": [{}]}  # besides the seeds
SEEDS = (0, 6, 12, 25, 50)  # pixels; a smaller seed is none
SMALLEST = (0, 25, 50, 100, 200)  # pixels at the size that is worked on
SWEPT = "f", "merged", "split", "missed", "extra"  # scores that are kept of each pair
# How each network is read where nothing is chosen. A border class needs its smallest seeds left out, gaps do not mind.
PLAIN = {"threshold": 0.5, "smallest_seed": 12, "smallest": 25}


def look(image, side) -> np.ndarray:
    """A picture as a network learns it: stretched and squeezed, float32 (side, side, 1)."""
    return resizing.squeezed(normalize.stretched(normalize.as_floats(image)), side)


def segmenter(model, settings) -> Segmenter:
    """The network as ``predict`` uses it, read as ``PLAIN`` says: three classes by their border, two by their gaps."""
    way, classes = ("border", ["interior", "border"]) if settings.target == "border" else ("regrow", ["cell"])
    entries = {"classes": ["background", *classes], "normalize": "stretched", "side": settings.side, "objects": True}
    return Segmenter(model, entries | {"choices": PLAIN | {"way": way}})


def validate(model, data, parts, settings) -> dict:
    """Cross-entropy of cell against background, every pixel alike, and the best F of a few thresholds.

    And of 100 cells those merged and split at that threshold. On the validation pictures, and on the first few training
    pictures as they are. Those happen to show large cells alone, which are easier, so that ``train_f`` above ``val_f``
    does not tell that a network has learned its pictures by heart. All at the size that is worked on.
    """
    reader = segmenter(model, settings)
    return {
        **{f"val_{name}": value for name, value in _judged(reader, data, parts["validation"]).items()},
        **{f"train_{name}": value for name, value in _judged(reader, data, parts["train"][:FIRST]).items()},
    }


def _judged(reader, data, ids):
    known = {id_: reader.maps(data[id_].image) for id_ in ids}
    losses_of = []
    for id_, prediction in known.items():
        inside = (labels.separate(data[id_].cells) if prediction.shape[-1] == 2 else data[id_].cells) > 0
        right = np.where(inside, 1 - prediction[..., 0], prediction[..., 0])
        losses_of.append(-np.mean(np.log(np.clip(right, 1e-7, 1))))
    tried = [_found(reader, known, {"threshold": threshold}) for threshold in FEW]
    best = max(tried, key=lambda found: _f(found, data))
    errors = [scores.object_errors(data[id_].cells, one) for id_, one in best.items()]
    cells = sum(len(np.unique(data[id_].cells)) - 1 for id_ in ids)
    of_100 = {kind: 100 * sum(getattr(one, kind) for one in errors) / max(cells, 1) for kind in ("merged", "split")}
    return {"loss": float(np.mean(losses_of)), "f": _f(best, data), **of_100}


def evaluate(model, data, parts, settings) -> dict:
    """Scores of the test pictures at their own size, with the choices that have the best F on validation.

    ``swept``: some of these for all pairs of a threshold and a ``core``, above which a pixel seeds a cell, all else as
    chosen; nothing is chosen by it. It tells what fewer merged cells cost in split and missed ones. ``plain``: read at
    0.5, as ``PLAIN`` says, with nothing chosen.
    """
    reader = segmenter(model, settings)
    choices = _choose(reader, {id_: reader.maps(data[id_].image) for id_ in parts["validation"]}, data)
    seen = {id_: reader.maps(data[id_].image) for id_ in parts["test"]}
    swept = []
    for pair in _pairs(choices["way"]):
        of_pair = scored(_found(reader, seen, choices | pair), data)["scores"]
        swept.append({"part": "test", **pair, **{name: of_pair[name] for name in SWEPT}})
    entry, plain = scored(_found(reader, seen, choices), data), scored(_found(reader, seen, {}), data)
    rows = entry["tables"]["images"] + [{"reading": "plain", **row} for row in plain["tables"]["images"]]
    tables = {"images": rows, "swept": swept}
    return {"scores": entry["scores"], "choices": choices, "plain": {"scores": plain["scores"]}, "tables": tables}


def _pairs(way):
    """Thresholds with cores, those next to 0.5 first. A core below the threshold of a gap is the threshold itself."""
    pairs = [
        {"threshold": threshold, "core": core}
        for threshold, core in itertools.product(THRESHOLDS, THRESHOLDS)
        if way == "border" or core >= threshold
    ]
    return sorted(pairs, key=lambda pair: abs(pair["threshold"] - 0.5) + abs(pair["core"] - 0.5))


def _choose(reader, known, data):
    """What has the best F: first threshold and core, then how a gap is filled and which seeds and cells are too small.

    Of pairs that do equally well, the one next to 0.5.
    """
    way = reader.choices.way
    wanted = [PLAIN | {"way": way} | pair for pair in _pairs(way)]
    best = max(wanted, key=lambda choices: _f(_found(reader, known, choices), data))
    tried = []
    for option, seed in itertools.product(OPTIONS[way], SEEDS):
        choices = best | option | {"smallest_seed": seed, "smallest": 0}
        found = _found(reader, known, choices)
        for smallest in SMALLEST:
            f = _f({id_: instances.without_small(one, smallest) for id_, one in found.items()}, data)
            tried.append((f, choices | {"smallest": smallest}))
    return max(tried, key=lambda one: one[0])[1]


def _found(reader, known, choices):
    """The cells of maps {id: soft-max} by these choices, at the size that is worked on."""
    return {id_: reader.labels(one, one.shape, **choices) for id_, one in known.items()}


def scored(found, data) -> dict:
    """Scores of answers {id: labels} at the side that is worked on, stretched to the pictures' own size.

    Those of ``pictures``, and ``seg``, over all cells. ``touching`` counts true cells that touch another one.
    """
    rows = []
    for id_, small in found.items():
        truth, answer = data[id_].truth, resizing.stretched_labels(small, *data[id_].truth.shape)
        row = {"image": id_} | pictures.of_image(truth, answer, "cells") | {"seg": scores.seg(truth, answer)}
        row["touching"] = len(np.unique(truth[(truth > 0) & (labels.separate(truth) == 0)]))
        rows.append(row | {"kind": data[id_].kind})
    cells = np.array([row["cells"] for row in rows])
    seg = float(np.dot([row["seg"] for row in rows], cells) / max(cells.sum(), 1))
    return {"scores": pictures.together(rows, "cells") | {"seg": seg}, "tables": {"images": rows}}


def baselines(data, split, settings) -> dict[str, dict]:
    """The test pictures without a network: nothing found; Otsu's threshold of the local contrast, cut at necks.

    And ceilings: the truth at the size that is worked on, as a mask or as the targets, taken the way a prediction goes.
    """

    def otsu(image):
        rough = cv2.GaussianBlur(np.abs(image[..., 0] - cv2.GaussianBlur(image[..., 0], (0, 0), 20)), (0, 0), 3)
        return instances.from_probabilities(
            (rough > threshold_otsu(rough)).astype(np.float32), "watershed", smallest=50
        )

    def perfect(mask, way, **options):
        return instances.from_probabilities(mask.astype(np.float32), way, **options)

    answers = {
        "nothing found": lambda one: np.zeros_like(one.cells),
        "otsu and watershed": lambda one: otsu(look(one.image, settings.side)),
        "truth as a mask, components": lambda one: perfect(one.cells > 0, "components"),
        "truth as a mask, watershed": lambda one: perfect(one.cells > 0, "watershed"),
        "truth with gaps, regrown": lambda one: perfect(labels.separate(one.cells) > 0, "regrow"),
        "the same, no small seeds": lambda one: perfect(
            labels.separate(one.cells) > 0, "regrow", smallest_seed=PLAIN["smallest_seed"]
        ),
        "truth with a border class": lambda one: perfect(np.eye(3)[instances.border_target(one.cells)], "border"),
        "border class, no small seeds": lambda one: perfect(
            np.eye(3)[instances.border_target(one.cells)], "border", smallest_seed=PLAIN["smallest_seed"]
        ),
        "truth at half size": lambda one: one.cells,
    }
    found = {name: {id_: answer(data[id_]) for id_ in split["test"]} for name, answer in answers.items()}
    return {name: scored(of, data) for name, of in found.items()}


def _f(found, data):
    """F at IoU 0.5, pooled over the pictures, at the size that is worked on."""
    at_half = [scores.objects(data[id_].cells, one) for id_, one in found.items()]
    return 2 * sum(one.matched for one in at_half) / max(sum(2 * o.matched + o.missed + o.extra for o in at_half), 1)
