"""How the nucleus recipes judge a network: from probability to nuclei, to a submission, to scores. Chapter 16.

What is to be chosen is chosen on the validation images.
"""

import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import find_boundaries

from unetbook import instances, labels, scores, submission, tiling
from unetbook.recipes import _nuclei, _object_scores
from unetbook.segmenter import Segmenter

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
DEPTHS = (1.0, 1.5, 2.0, 3.0)  # pixels, of the watershed
SMALLEST = (0, 10, 20, 40, 80)  # pixels
PLAIN = {"threshold": 0.5, "smallest": 0}  # how networks are read where nothing is chosen
CROP = 256  # pixels of a validation crop: one size, so that networks are compiled once


def segmenter(model, way="regrow", **entries) -> Segmenter:
    """The network as ``predict`` uses it, read in a usual way; entries of the passport that differ."""
    return Segmenter(model, _nuclei.PASSPORT | {"choices": PLAIN | {"way": way}} | entries)


def validate(model, data, split) -> dict:
    """Cross-entropy and DSB score of central crops of the validation images, with the usual way to objects."""
    reader = segmenter(model, normalize="as_it_is")  # crops are cut from what was normalized as a whole
    losses_of, truths, found = [], [], []
    for image, nuclei in (_central(data[id_]) for id_ in split["validation"]):
        maps, inside = reader.maps(image, once=True), labels.separate(nuclei) > 0
        losses_of.append(-np.mean(np.log(np.clip(np.where(inside, maps[..., 1], 1 - maps[..., 1]), 1e-7, 1))))
        truths.append(nuclei)
        found.append(reader.labels(maps, nuclei.shape))
    return {"val_loss": float(np.mean(losses_of)), "val_dsb": scores.dsb_score(truths, found)}


def _central(picture):
    """The middle of a picture, mirrored where it is smaller: image float32 (CROP, CROP, 3), nuclei int32."""
    top, left = ((side - CROP) // 2 for side in picture.nuclei.shape)
    image = tiling.window(_nuclei.look(picture.image), top, left, CROP, CROP).astype(np.float32)
    return image, labels.relabel(
        tiling.window(picture.nuclei[..., None], top, left, CROP, CROP)[..., 0].astype(np.int32)
    )


def evaluate(model, data, split) -> dict:
    """Scores of the test images, averaged over eight positions, and two more readings, each with choices of its own.

    ``once``: in one position; ``depth_1``: averaged, with a watershed of one pixel.
    """
    reader, ids = segmenter(model), (*split["validation"], *split["test"])
    averaged = {id_: reader.maps(data[id_].image) for id_ in ids}
    entry = judged(averaged.get, data, split, reader.labels)
    once = judged_once(model, data, split)
    depth_1 = judged(averaged.get, data, split, reader.labels, depths=(1.0,))
    return entry | {
        "once": {name: once[name] for name in ("scores", "choices")},
        "depth_1": {name: depth_1[name] for name in ("scores", "kinds", "choices")},
    }


def judged_once(model, data, split, **offered) -> dict:
    """``judged``, in one position."""
    reader = segmenter(model)
    return judged(lambda id_: reader.maps(data[id_].image, once=True), data, split, reader.labels, **offered)


def _read(maps, shape, **choices):
    """``Segmenter.labels`` where there is no network, of maps at the image's own size."""
    return instances.from_probabilities(maps, **choices)


def judged(maps, data, split, read=_read, **offered) -> dict:
    """Scores of the test images by a function from id to maps, which ``read`` makes labels of, as ``Segmenter`` does.

    ``choose`` chooses on the validation images. offered: ``depths`` and ``sizes`` for it, in place of its own.
    """
    choices = choose({id_: maps(id_) for id_ in split["validation"]}, data, read, **offered)
    found = {id_: read(maps(id_), data[id_].nuclei.shape, **choices) for id_ in split["test"]}
    return scored(found, data) | {"choices": choices}


def choose(maps, data, read=_read, depths=DEPTHS, sizes=SMALLEST) -> dict:
    """The way to objects, its threshold and depth, and the smallest size with the best DSB score on these images."""
    truths, best = [data[id_].nuclei for id_ in maps], None
    ways = [{"way": "regrow"}, *({"way": "watershed", "depth": depth} for depth in depths)]
    for way, threshold in itertools.product(ways, THRESHOLDS):
        pairs = zip(maps.values(), truths, strict=True)
        found = [read(one, truth.shape, threshold=threshold, smallest=0, **way) for one, truth in pairs]
        for smallest in sizes:
            kept = [instances.without_small(one, smallest) for one in found]
            score = scores.dsb_score(truths, kept)
            if best is None or score > best[0]:
                best = score, {**way, "threshold": threshold, "smallest": smallest}
    return best[1]


def scored(found, data) -> dict:
    """Scores of answers {id: labels}: together, by kind and by image; read back from a validated submission file.

    Scores are those of ``_object_scores``.
    """
    truths = {id_: data[id_].nuclei.astype(np.int32) for id_ in found}
    with tempfile.TemporaryDirectory() as folder:
        path = submission.write(Path(folder) / "submission.csv", found)
        found = submission.read(path, {id_: truth.shape for id_, truth in truths.items()})
    rows = {id_: _object_scores.of_image(truths[id_], found[id_], "nuclei") for id_ in truths}
    kinds = {
        of_kind: [id_ for id_ in rows if data[id_].kind == of_kind] for of_kind in {data[id_].kind for id_ in rows}
    }
    return {
        "scores": _object_scores.together(rows.values(), "nuclei"),
        "kinds": {
            of_kind: {"images": len(ids), **_object_scores.together([rows[id_] for id_ in ids], "nuclei")}
            for of_kind, ids in sorted(kinds.items())
        },
        "images": {id_: {"kind": data[id_].kind, **row} for id_, row in rows.items()},
    }


def baselines(data, split) -> dict[str, dict]:
    """The same scores without a network: nothing found, Otsu's threshold, and ceilings.

    Otsu's nuclei are components, or, ``"as chosen"``, made in the way that does best on the validation images, as for a
    network. A ceiling is what the truth scores, taken the way that a prediction goes (chapter 06).
    """

    def otsu(id_):
        gray = _nuclei.look(data[id_].image).mean(axis=2, dtype=np.float32)
        return (gray > threshold_otsu(gray)).astype(np.float32)

    answers = {
        "constant": lambda id_: np.zeros(data[id_].nuclei.shape, np.int32),
        "otsu": lambda id_: instances.from_probabilities(otsu(id_), "components", smallest=20),
    } | {
        f"truth, {name}": lambda id_, way=way: way(data[id_].nuclei.astype(np.int32)) for name, way in CEILINGS.items()
    }
    found = {name: scored({id_: answer(id_) for id_ in split["test"]}, data) for name, answer in answers.items()}
    found["otsu, objects as chosen"] = judged(otsu, data, split)
    return {name: {part: one[part] for part in one if part != "images"} for name, one in found.items()}


def _smaller(truth):
    return np.where(find_boundaries(truth, mode="inner"), 0, truth)


def _through_256(truth):
    """By way of 256 x 256 pixels, as a binary mask, each pixel that of the nearest."""
    there = cv2.resize((truth > 0).astype(np.uint8), (256, 256), interpolation=cv2.INTER_NEAREST_EXACT)
    return labels.connected(cv2.resize(there, truth.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT) > 0)


def _cut(way):
    return lambda truth: instances.from_probabilities((labels.separate(truth) > 0).astype(np.float32), way)


CEILINGS = {
    "a pixel smaller": _smaller,
    "as a mask, components": lambda truth: labels.connected(truth > 0),
    "as a mask by way of 256 x 256, components": _through_256,
    "contacts cut, watershed": _cut("watershed"),
    "contacts cut, regrown": _cut("regrow"),
}
