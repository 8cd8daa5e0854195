"""How networks for nuclei are judged: from probability to nuclei, to a submission, to scores.

What is to be chosen is chosen on the validation images.
"""

import functools
import itertools
import tempfile
import time
from pathlib import Path

import cv2
import keras
import numpy as np
from skimage.filters import threshold_otsu
from skimage.segmentation import find_boundaries

from studies.tasks import pictures
from unetbook import choices, instances, labels, nets, normalize, scores, sizes, submission, tiling
from unetbook.segmenter import Segmenter

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
DEPTHS = (1.0, 1.5, 2.0, 3.0)  # pixels, of the watershed
SMALLEST = (0, 10, 20, 40, 80)  # pixels
FIXED = 20  # pixels: the smallest nucleus where sizes are not chosen
PLAIN = {"threshold": 0.5, "smallest": 0}  # how networks are read where nothing is chosen
CROP = 256  # pixels of a validation crop: one size, so that networks are compiled once
TIMED = 256  # pixels of the image that heads are timed on
PASSPORT = {
    "task": "nuclei in microscopy images, fluorescent or stained",
    "classes": ["background", "nucleus"],
    "input": "three channels; gray images three times the same",
    "channels": 3,
    "objects": True,
    "averaged": "eight",
    "training_data": "Data Science Bowl 2018, stage 1 (Caicedo et al. 2019, BBBC038v1), 70 % of its images",
    "license": "MIT for the code; the images are CC0",
}


def passport(settings) -> dict:
    """Entries of the kept file."""
    return PASSPORT | {"normalize": settings.normalize}


def segmenter(model, settings, way="regrow", **entries) -> Segmenter:
    """The network as ``predict`` uses it, read in a usual way; entries of the passport that differ."""
    return Segmenter(model, passport(settings) | {"choices": PLAIN | {"way": way}} | entries)


def look(image, rule) -> np.ndarray:
    """An image of the data set as a network learns it: normalized, float16 (H, W, 3), half the memory of float32."""
    return normalize.rule(rule)(normalize.as_floats(image)).astype(np.float16)


def _way(settings):
    return "border" if settings.target == "border" else "regrow"


def validate(model, data, parts, settings) -> dict:
    """Cross-entropy and DSB score of central crops of the validation images, with the usual way to objects."""
    reader = segmenter(model, settings, _way(settings), normalize="as_it_is")  # crops of what was normalized whole
    losses_of, truths, found = [], [], []
    for image, nuclei in (_central(data[id_], settings.normalize) for id_ in parts["validation"]):
        maps, inside = reader.maps(image, once=True), labels.separate(nuclei) > 0
        probability = maps[..., 1]
        losses_of.append(-np.mean(np.log(np.clip(np.where(inside, probability, 1 - probability), 1e-7, 1))))
        truths.append(nuclei)
        found.append(reader.labels(maps, nuclei.shape))
    return {"val_loss": float(np.mean(losses_of)), "val_dsb": scores.dsb_score(truths, found)}


def _central(picture, rule):
    """The middle of a picture, mirrored where it is smaller: image float32 (CROP, CROP, 3), nuclei int32."""
    top, left = ((side - CROP) // 2 for side in picture.nuclei.shape)
    image = tiling.window(look(picture.image, rule), top, left, CROP, CROP).astype(np.float32)
    return image, labels.relabel(
        tiling.window(picture.nuclei[..., None], top, left, CROP, CROP)[..., 0].astype(np.int32)
    )


def evaluate(model, data, parts, settings) -> dict:
    """Scores of the test images, or of others, as the setting ``scored`` says.

    ``"test"``: averaged over eight positions, and two more readings, each with choices of its own: ``once``, in one
    position, and ``depth_1``, averaged, with a watershed of one pixel; of a U-Net++ also each head (``_of_heads``).
    ``"once"``: in one position alone, under ``scores``. ``"validation"``: short trainings are compared on the
    validation images by the threshold and way that do best there; ``seen`` are as many training images.
    """
    if settings.scored == "validation":
        return _on_validation(model, data, parts, settings)
    reader = segmenter(model, settings)
    once = judged(lambda id_: reader.maps(data[id_].image, once=True), data, parts, reader.labels)
    if settings.scored == "once":
        return once | {"counts": {name: len(ids) for name, ids in parts.items()}}
    averaged = {id_: reader.maps(data[id_].image) for part in ("validation", "test") for id_ in parts[part]}
    entry = judged(averaged.get, data, parts, reader.labels)
    depth_1 = judged(averaged.get, data, parts, reader.labels, depths=(1.0,))
    for reading, other in (("once", once), ("depth_1", depth_1)):
        entry[reading] = {name: other[name] for name in ("scores", "choices")}
        entry["tables"]["kinds"] += [{"reading": reading, **row} for row in other["tables"]["kinds"]]
    return entry | (_of_heads(model, data, parts, settings) if isinstance(model.output, dict) else {})


def _read(maps, shape, **picked):
    """``Segmenter.labels`` where there is no network, of maps at the image's own size."""
    return instances.from_probabilities(maps, **picked)


def judged(maps, data, parts, read=_read, **offered) -> dict:
    """Scores of the test images by a function from id to maps, which ``read`` makes labels of, as ``Segmenter`` does.

    ``choose`` chooses on the validation images. offered: ``depths`` and ``smallest`` for it, in place of its own.
    """
    picked = choose({id_: maps(id_) for id_ in parts["validation"]}, data, read, **offered)
    found = {id_: read(maps(id_), data[id_].nuclei.shape, **picked) for id_ in parts["test"]}
    return scored(found, data) | {"choices": picked}


def choose(maps, data, read=_read, depths=DEPTHS, smallest=SMALLEST, ways=None) -> dict:
    """The way to objects, its threshold and depth, and the smallest size with the best DSB score on these images."""
    truths, best = [data[id_].nuclei for id_ in maps], None
    ways = ways or [{"way": "regrow"}, *({"way": "watershed", "depth": depth} for depth in depths)]
    for way, threshold in itertools.product(ways, THRESHOLDS):
        pairs = zip(maps.values(), truths, strict=True)
        found = [read(one, truth.shape, threshold=threshold, smallest=0, **way) for one, truth in pairs]
        for least in smallest:
            score = scores.dsb_score(truths, [instances.without_small(one, least) for one in found])
            if best is None or score > best[0]:
                best = score, {**way, "threshold": threshold, "smallest": least}
    return best[1]


def scored(found, data) -> dict:
    """Scores of answers {id: labels}: together, by kind and by image; read back from a validated submission file."""
    truths = {id_: data[id_].nuclei.astype(np.int32) for id_ in found}
    with tempfile.TemporaryDirectory() as folder:
        path = submission.write(Path(folder) / "submission.csv", found)
        found = submission.read(path, {id_: truth.shape for id_, truth in truths.items()})
    rows = [
        {"image": id_, "kind": data[id_].kind, **pictures.of_image(truth, found[id_], "nuclei")}
        for id_, truth in truths.items()
    ]
    kinds = []
    for kind in sorted({row["kind"] for row in rows}):
        of_kind = [row for row in rows if row["kind"] == kind]
        kinds.append({"kind": kind, "images": len(of_kind), **pictures.together(of_kind, "nuclei")})
    return {"scores": pictures.together(rows, "nuclei"), "tables": {"images": rows, "kinds": kinds}}


def _on_validation(model, data, parts, settings):
    way = _way(settings)
    ways = [{"way": "border"}] if way == "border" else [{"way": "regrow"}, {"way": "watershed"}]
    reader = segmenter(model, settings, way)

    def maps(ids):
        return {id_: reader.maps(data[id_].image, once=True) for id_ in ids}

    def objects(of):
        return {id_: reader.labels(one, one.shape, **picked) for id_, one in of.items()}

    known = maps(parts["validation"])
    picked = choose(known, data, reader.labels, ways=ways, smallest=(FIXED,))
    seen = scored(objects(maps(parts["seen"])), data)["scores"]
    return scored(objects(known), data) | {"seen": seen, "choices": picked}


def baselines(data, split, settings) -> dict[str, dict]:
    """The same scores without a network: nothing found, Otsu's threshold, and ceilings.

    Otsu's nuclei are components, or, ``"as chosen"``, made in the way that does best on the validation images, as for a
    network. A ceiling is what the truth scores, taken the way that a prediction goes.
    """

    def otsu(id_):
        gray = look(data[id_].image, settings.normalize).mean(axis=2, dtype=np.float32)
        return (gray > threshold_otsu(gray)).astype(np.float32)

    answers = {
        "constant": lambda id_: np.zeros(data[id_].nuclei.shape, np.int32),
        "otsu": lambda id_: instances.from_probabilities(otsu(id_), "components", smallest=20),
    } | {
        f"truth, {name}": lambda id_, way=way: way(data[id_].nuclei.astype(np.int32)) for name, way in CEILINGS.items()
    }
    found = {name: scored({id_: answer(id_) for id_ in split["test"]}, data) for name, answer in answers.items()}
    found["otsu, objects as chosen"] = judged(otsu, data, split)
    return found


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


def _of_heads(model, data, parts, settings):
    """``heads``: each head of a U-Net++ alone and their mean, with its cost.

    Heads answer in one position and in one pass through the whole network, in which each computes what its pruned
    network does; parameters, multiply-adds and seconds are those of the pruned networks.
    """
    answers = {
        id_: answers_of(model, data[id_].image, settings) for part in ("validation", "test") for id_ in parts[part]
    }
    networks = {head: nets.prune(model, int(head[1:])) for head in model.output} | {"mean": model}
    costs, heads, reader = _costs(networks), {}, segmenter(model, settings)
    for name in networks:
        one = judged(lambda id_, name=name: answers[id_][name], data, parts, reader.labels)
        heads[name] = {**one["scores"], "choices": one["choices"], **costs[name]}
    return {"heads": heads}


@functools.partial(choices.register, reads="heads")
def nuclei_of_heads(heads, threshold=0.5, smallest=0) -> np.ndarray:
    """The way of a network whose heads are apart: nuclei of their mean, grown back into the gap."""
    return instances.from_probabilities(_mean(heads), "regrow", threshold, smallest)


def answers_of(model, image, settings) -> dict:
    """Maps (H, W, 2) by each head and by their ``"mean"``, in one position."""
    heads = segmenter(model, settings, nuclei_of_heads.__name__, heads="apart").maps(image, once=True)
    return heads | {"mean": _mean(heads)}


def _mean(heads):
    return sum(heads.values()) / len(heads)


def _costs(networks, repeats=5):
    """Parameters, and multiply-adds and seconds for one image of TIMED x TIMED, by name of network.

    Seconds are the shortest of some answers; the networks take turns, after one warm-up each.
    """
    image = np.random.default_rng(0).random((1, TIMED, TIMED, 3), np.float32)
    taken = {name: [] for name in networks}
    for _ in range(repeats + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network.predict_on_batch(image)
            taken[name].append(time.perf_counter() - start)
    return {
        name: {
            "parameters": network.count_params(),
            "multiply_adds": sizes.multiply_adds(keras.models.clone_model(network, keras.Input((TIMED, TIMED, 3)))),
            "seconds": min(taken[name][1:]),
        }
        for name, network in networks.items()
    }
