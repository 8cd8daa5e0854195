"""What the nucleus recipes share: the pictures, their kinds and split, training tiles, and how an answer is scored.

The data set, 664 images of many microscopes, is brought to one look (``normalize.bright_on_dark``). The target is what
did best in chapter 10: nuclei with a gap where they touch, weighted by the border term, grown back afterwards.
Chapter 16.
"""

import itertools
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from skimage.filters import threshold_otsu

from unetbook import (
    averaging,
    instances,
    labels,
    losses,
    nets,
    normalize,
    scores,
    submission,
    tiling,
    training,
    weightmap,
)
from unetbook.augment import Augmenter
from unetbook.datasets import dsb2018
from unetbook.recipes._fields import same_field

DATASET = dsb2018
LOSS = losses.CrossEntropy(reduction="mean_with_sample_weight")
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SPLIT_SEED = 2018
USUAL_SIZES = ((256, 256), (360, 360), (520, 696))  # of fluorescence images; five other sizes are rare
FEW = (
    10  # fewer images of one size and kind count as one field: they may be slices of one specimen, as six of them look
)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
WAYS = {"regrow": {}, "watershed": {}}
SMALLEST = (0, 10, 20, 40)  # pixels
CROP = 256  # pixels of a validation crop: one size, so that networks are compiled once


class Picture(NamedTuple):
    """One image of the data set: normalized, float16 (H, W, 3); its nuclei, int16 (H, W); its kind and its field."""

    image: np.ndarray
    nuclei: np.ndarray
    kind: str
    field: int


def load(root=None) -> dict[str, Picture]:
    """All pictures by id, about a gigabyte; two minutes, for there is one file a nucleus."""
    pictures, dim = {}, []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="image .* in several masks")  # six images; chapter 16 tells which
        for sample in DATASET.load(root):
            look = normalize.bright_on_dark(sample.image).astype(np.float16)
            pictures[sample.id] = Picture(look, sample.labels.astype(np.int16), kind(sample.image), 0)
            dim.append(sample.image.mean(axis=2, keepdims=True, dtype=np.float32))
    fields = same_field(dim)
    like = [(picture.kind, picture.nuclei.shape) for picture in pictures.values()]
    fields = [size if like.count(size) < FEW else field for size, field in zip(like, fields, strict=True)]
    numbers = {field: number for number, field in enumerate(dict.fromkeys(fields))}
    return {
        id_: picture._replace(field=numbers[field])
        for (id_, picture), field in zip(pictures.items(), fields, strict=True)
    }


def kind(image) -> str:
    """What an image (H, W, 3) in [0, 1] is: stained (colored), gray on light, or fluorescence, by size.

    Three sizes of fluorescence images are common, and each looks as if one microscope made it; what has another size is
    a mixture. Colored images of the set differ between channels by 0.047 and more in the mean, gray ones not at all.
    """
    if np.mean(image.max(axis=2) - image.min(axis=2)) > 0.02:
        return "stained"
    if normalize.light_ground(image):
        return "gray on light"
    height, width = image.shape[:2]
    return f"fluorescence, {height} x {width}" if (height, width) in USUAL_SIZES else "fluorescence, other sizes"


def split(data) -> dict[str, list[str]]:
    """Ids by part, 70, 10 and 20 % of each kind; all images of a field in one part."""
    parts = {name: [] for name in FRACTIONS}
    for of_kind in sorted({picture.kind for picture in data.values()}):
        ids_of_kind = [id_ for id_, picture in data.items() if picture.kind == of_kind]
        fields = [data[id_].field for id_ in ids_of_kind]
        if any(data[id_].field in fields for id_ in data if data[id_].kind != of_kind):
            raise ValueError(f"a field has images of kind {of_kind!r} and of another: it cannot stay in one part")
        for name, chosen in zip(
            FRACTIONS, training.split(ids_of_kind, tuple(FRACTIONS.values()), SPLIT_SEED, fields), strict=True
        ):
            parts[name] += chosen
    return {name: sorted(chosen) for name, chosen in parts.items()}


def ids(data) -> list[str]:
    """The images that the data have."""
    return list(data)


def optimizer(settings) -> keras.optimizers.Optimizer:
    """Adam, its learning rate falling to 0 along a cosine."""
    steps = settings["steps"] * settings["epochs"]
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(settings["learning_rate"], steps))


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training images, those of rare kinds drawn more often; nuclei with gaps, and weights."""
    kinds = [data[id_].kind for id_ in split["train"]]
    most = max(map(kinds.count, kinds))
    times = {of_kind: round((most / kinds.count(of_kind)) ** 0.5) for of_kind in kinds}
    drawn = [id_ for id_, of_kind in zip(split["train"], kinds, strict=True) for _ in range(times[of_kind])]
    targets = {id_: _target(data[id_].nuclei, settings) for id_ in split["train"]}
    return training.Tiles(
        [data[id_].image for id_ in drawn],
        [targets[id_][0] for id_ in drawn],
        settings["tile"],
        settings["tile"],
        settings["batch"],
        settings["steps"],
        seed,
        augment=Augmenter(zoom=settings["zoom"]),
        weights=[targets[id_][1] for id_ in drawn],
    )


def _target(nuclei, settings):
    """Classes int8 (H, W), 1 in nuclei without their contact pixels, and the weight map float16 (H, W)."""
    apart = labels.separate(nuclei.astype(np.int32))
    return (apart > 0).astype(np.int8), weightmap.weight_map(apart, settings["w0"], settings["sigma"]).astype(
        np.float16
    )


def foreground(model, image, averaged=False) -> np.ndarray:
    """Probability of a nucleus, (H, W); of several heads their mean; ``averaged`` over eight positions of the image."""

    def predict(shown):
        return keras.ops.convert_to_numpy(nets.probabilities(tiling.predict(model, shown)))

    image = np.asarray(image, np.float32)
    return (averaging.eight(predict, image) if averaged else predict(image))[..., 1]


def validate(model, data, split) -> dict:
    """Cross-entropy and DSB score of central crops of the validation images, with the usual way to objects."""
    crops = {id_: _central(data[id_]) for id_ in split["validation"]}
    losses_of, truths, found = [], [], []
    for image, nuclei in crops.values():
        probability = keras.ops.convert_to_numpy(nets.probabilities(model.predict_on_batch(image[None])))[0, ..., 1]
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
    """Scores of the test images, averaged over eight positions; ``once`` in one position, with choices of its own."""
    entry = judged(lambda image: foreground(model, image, averaged=True), data, split)
    once = judged(lambda image: foreground(model, image), data, split)
    return entry | {"once": {name: once[name] for name in ("scores", "choices")}}


def judged(predict, data, split) -> dict:
    """Scores of the test images by a function from image to probability (H, W); what is chosen is so on validation."""
    choices = choose({id_: predict(data[id_].image) for id_ in split["validation"]}, data)
    found = {id_: objects(predict(data[id_].image), choices) for id_ in split["test"]}
    return scored(found, data) | {"choices": choices}


def choose(probabilities, data) -> dict:
    """The way to objects, threshold and smallest size with the best DSB score on these images."""
    truths, best = [data[id_].nuclei for id_ in probabilities], None
    for way, threshold in itertools.product(WAYS, THRESHOLDS):
        found = [instances.from_probabilities(p, way, threshold) for p in probabilities.values()]
        for smallest in SMALLEST:
            kept = [_without_small(one, smallest) for one in found]
            score = scores.dsb_score(truths, kept)
            if best is None or score > best[0]:
                best = score, {"way": way, "threshold": threshold, "smallest": smallest}
    return best[1]


def objects(probability, choices) -> np.ndarray:
    """Nuclei of one image from probabilities (H, W), as chosen."""
    return instances.from_probabilities(probability, choices["way"], choices["threshold"], choices["smallest"])


def _without_small(found, smallest):
    kept = np.bincount(found.ravel()) >= smallest
    kept[0] = False
    return np.where(kept[found], found, 0)


def scored(found, data) -> dict:
    """Scores of answers {id: labels}: together, by kind and by image; read back from a validated submission file.

    ``dsb`` is the challenge's score, ``f`` the F of the nuclei at IoU 0.5 pooled over the images, ``iou`` the mean IoU
    of the foreground.
    """
    truths = {id_: data[id_].nuclei.astype(np.int32) for id_ in found}
    with tempfile.TemporaryDirectory() as folder:
        path = submission.write(Path(folder) / "submission.csv", found)
        found = submission.read(path, {id_: truth.shape for id_, truth in truths.items()})
    rows = {id_: _of_image(truths[id_], found[id_]) for id_ in truths}
    kinds = {
        of_kind: [id_ for id_ in rows if data[id_].kind == of_kind] for of_kind in {data[id_].kind for id_ in rows}
    }
    return {
        "scores": _together(rows.values()),
        "kinds": {k: {"images": len(i), **_together([rows[id_] for id_ in i])} for k, i in sorted(kinds.items())},
        "images": {id_: {name: row[name] for name in ("dsb", "iou", "nuclei", "found")} for id_, row in rows.items()},
    }


def _of_image(truth, found):
    at_half = scores.objects(truth, found)
    return {
        "dsb": scores.dsb_score([truth], [found]),
        "iou": scores.iou(truth > 0, found > 0),
        "nuclei": int(at_half.matched + at_half.missed),
        "found": int(at_half.matched + at_half.extra),
        "matched": int(at_half.matched),
    }


def _together(rows):
    """Means of DSB score and IoU over images, and the pooled F = 2 matched / (true + found)."""
    rows = list(rows)
    total = sum(row["nuclei"] + row["found"] for row in rows)
    return {
        "dsb": float(np.mean([row["dsb"] for row in rows])),
        "f": 2 * sum(row["matched"] for row in rows) / total if total else 1.0,
        "iou": float(np.mean([row["iou"] for row in rows])),
    }


def baselines(data, split) -> dict[str, dict]:
    """The same scores without a network: nothing found, and Otsu's threshold of each image, plain or cut at necks."""

    def otsu(id_, way):
        gray = data[id_].image.mean(axis=2, dtype=np.float32)
        return instances.from_probabilities((gray > threshold_otsu(gray)).astype(np.float32), way, smallest=20)

    answers = {
        "constant": lambda id_: np.zeros(data[id_].nuclei.shape, np.int32),
        "otsu": lambda id_: otsu(id_, "components"),
        "otsu and watershed": lambda id_: otsu(id_, "watershed"),
    }
    return {name: scored({id_: answer(id_) for id_ in split["test"]}, data) for name, answer in answers.items()}
