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

from unetbook import averaging, instances, labels, nets, scores, submission, tiling
from unetbook.recipes import _object_scores

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
DEPTHS = (1.0, 1.5, 2.0, 3.0)  # pixels, of the watershed
SMALLEST = (0, 10, 20, 40, 80)  # pixels
CROP = 256  # pixels of a validation crop: one size, so that networks are compiled once


def probabilities(model, image) -> np.ndarray:
    """Soft-max (H, W, classes) of one image; of several heads their mean."""
    return nets.probabilities(tiling.predict(model, np.asarray(image, np.float32)))


def foreground(model, image, averaged=False) -> np.ndarray:
    """Probability of a nucleus, (H, W); ``averaged`` over eight positions of the image."""
    image = np.asarray(image, np.float32)
    found = (
        averaging.eight(lambda shown: probabilities(model, shown), image) if averaged else probabilities(model, image)
    )
    return found[..., 1]


def validate(model, data, split) -> dict:
    """Cross-entropy and DSB score of central crops of the validation images, with the usual way to objects."""
    crops = {id_: _central(data[id_]) for id_ in split["validation"]}
    losses_of, truths, found = [], [], []
    for image, nuclei in crops.values():
        probability = nets.probabilities(model.predict_on_batch(image[None]))[0, ..., 1]
        inside = labels.separate(nuclei) > 0
        losses_of.append(-np.mean(np.log(np.clip(np.where(inside, probability, 1 - probability), 1e-7, 1))))
        truths.append(nuclei)
        found.append(instances.from_probabilities(probability, "regrow"))
    return {"val_loss": float(np.mean(losses_of)), "val_dsb": scores.dsb_score(truths, found)}


def _central(picture):
    """The middle of a picture, mirrored where it is smaller: image float32 (CROP, CROP, 3), nuclei int32."""
    top, left = ((side - CROP) // 2 for side in picture.nuclei.shape)
    image = tiling.window(picture.image, top, left, CROP, CROP).astype(np.float32)
    return image, labels.relabel(
        tiling.window(picture.nuclei[..., None], top, left, CROP, CROP)[..., 0].astype(np.int32)
    )


def evaluate(model, data, split) -> dict:
    """Scores of the test images, averaged over eight positions, and two more readings, each with choices of its own.

    ``once``: in one position; ``depth_1``: averaged, with a watershed of one pixel.
    """
    ids = (*split["validation"], *split["test"])
    averaged = {id_: foreground(model, data[id_].image, averaged=True) for id_ in ids}
    entry = judged(averaged.get, data, split)
    once = judged(lambda id_: foreground(model, data[id_].image), data, split)
    depth_1 = judged(averaged.get, data, split, depths=(1.0,))
    return entry | {
        "once": {name: once[name] for name in ("scores", "choices")},
        "depth_1": {name: depth_1[name] for name in ("scores", "kinds", "choices")},
    }


def judged(probability, data, split, **offered) -> dict:
    """Scores of the test images by a function from id to probability (H, W); ``choose`` chooses on validation images.

    offered: ``depths`` and ``sizes`` for ``choose``, in place of its own.
    """
    choices = choose({id_: probability(id_) for id_ in split["validation"]}, data, **offered)
    found = {id_: instances.from_probabilities(probability(id_), **choices) for id_ in split["test"]}
    return scored(found, data) | {"choices": choices}


def choose(probabilities, data, depths=DEPTHS, sizes=SMALLEST) -> dict:
    """The way to objects, its threshold and depth, and the smallest size with the best DSB score on these images."""
    truths, best = [data[id_].nuclei for id_ in probabilities], None
    ways = [{"way": "regrow"}, *({"way": "watershed", "depth": depth} for depth in depths)]
    for way, threshold in itertools.product(ways, THRESHOLDS):
        found = [instances.from_probabilities(p, threshold=threshold, **way) for p in probabilities.values()]
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
        gray = data[id_].image.mean(axis=2, dtype=np.float32)
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
