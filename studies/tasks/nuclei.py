"""Nuclei of many microscopes (Data Science Bowl 2018): pictures, kinds, split by field, and tiles to train on.

664 images, brought to one look. How a network is judged stands in ``nuclei_scores``.
"""

import warnings
from typing import NamedTuple

import numpy as np

from studies import training as arms
from studies.tasks import nuclei_scores, usual
from studies.tasks.pictures import raw
from unetbook import splits, targets, training
from unetbook.datasets import dsb2018

DATASET, FOLDS = dsb2018, False
ids, side, answering = usual.ids, usual.side, usual.answering
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SPLIT_SEED = 2018
# Fewer images of one size and kind count as one field: they may be slices of one specimen, as six of them look.
FEW = 10
CLASSES = {"gaps": 2, "border": 3}  # of a target

validate, evaluate, baselines = nuclei_scores.validate, nuclei_scores.evaluate, nuclei_scores.baselines
passport = nuclei_scores.passport


class Picture(NamedTuple):
    """One image of the data set as in its file, (H, W, 3); its nuclei, int16 (H, W); its kind and its field."""

    image: np.ndarray
    nuclei: np.ndarray
    kind: str
    field: int


def load(settings, seed, root=None) -> dict[str, Picture]:
    """All pictures by id, half a gigabyte; two minutes, for there is one file a nucleus."""
    pictures, dim = {}, []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="image .* in several masks")  # of six images
        for sample in dsb2018.load(root):
            kind = dsb2018.kind(sample.image)
            pictures[sample.id] = Picture(raw(sample.image), sample.labels.astype(np.int16), kind, 0)
            dim.append(sample.image.mean(axis=2, keepdims=True, dtype=np.float32))
    fields = splits.same_field(dim)
    like = [(picture.kind, picture.nuclei.shape) for picture in pictures.values()]
    fields = [size if like.count(size) < FEW else field for size, field in zip(like, fields, strict=True)]
    numbers = {field: number for number, field in enumerate(dict.fromkeys(fields))}
    return {
        id_: picture._replace(field=numbers[field])
        for (id_, picture), field in zip(pictures.items(), fields, strict=True)
    }


def split(data) -> dict[str, list[str]]:
    """Ids by part, 70, 10 and 20 % of each kind; all images of a field in one part."""
    kinds, fields = ([getattr(picture, name) for picture in data.values()] for name in ("kind", "field"))
    parts = splits.by_kind(list(data), kinds, fields, FRACTIONS, SPLIT_SEED)
    return {name: sorted(chosen) for name, chosen in parts.items()}


def parts(data, split, settings, seed) -> dict[str, list[str]]:
    """The split; or the test images of a kind, and the others without it, or without as many images at random.

    ``seen``: of short trainings, as many training images as there are for validation, which are scored beside these.
    """
    chosen = split if settings.left_out == "nothing" else _without(data, split, settings, seed)
    if settings.scored == "validation":
        some = np.random.default_rng(seed).permutation(chosen["train"])[: len(chosen["validation"])]
        chosen = chosen | {"seen": some.tolist()}
    return chosen


def _without(data, split, settings, seed):
    of_kind = {id_ for id_, picture in data.items() if picture.kind == settings.kind}
    chosen = {"test": sorted(of_kind & set(split["test"]))}
    if not chosen["test"]:
        raise ValueError(f"the data hold no test image of kind {settings.kind!r}: get the whole data set")
    for name in ("train", "validation"):
        kept = sorted(set(split[name]) - of_kind)
        if settings.left_out == "as many at random":
            kept = sorted(np.random.default_rng(seed).permutation(split[name])[: len(kept)].tolist())
        chosen[name] = kept
    return chosen


def build(data, settings):
    """Images (N, H, W, 3) to logits (N, H, W, classes), or a dict of them, one for each head."""
    return arms.network(settings, 3, CLASSES[settings.target])


def batches(data, parts, settings, seed) -> training.Tiles:
    """Random tiles of the training images, those of rare kinds drawn more often; nuclei with gaps, and weights.

    The target is made once, and a turn, which takes each pixel from its nearest, breaks some gaps; or it is made after
    each turn, of nuclei that were turned and deformed.
    """
    kinds = [data[id_].kind for id_ in parts["train"]]
    most = max(map(kinds.count, kinds))
    times = {of_kind: round((most / kinds.count(of_kind)) ** 0.5) for of_kind in kinds}
    drawn = [id_ for id_, of_kind in zip(parts["train"], kinds, strict=True) for _ in range(times[of_kind])]
    looks = {id_: nuclei_scores.look(data[id_].image, settings.normalize) for id_ in parts["train"]}
    images, augmenter = [looks[id_] for id_ in drawn], arms.augmentation(settings)
    of_tiles = settings.tile, settings.tile, settings.batch, settings.steps, seed
    if settings.made == "after each turn":

        def augment(image, nuclei, rng):
            image, nuclei = augmenter(image, nuclei, rng)
            return image, *target(nuclei, settings)

        return training.Tiles(images, [data[id_].nuclei for id_ in drawn], *of_tiles, augment)
    made = {id_: target(data[id_].nuclei, settings) for id_ in parts["train"]}
    classes, weights = zip(*(made[id_] for id_ in drawn), strict=True)
    return training.Tiles(images, list(classes), *of_tiles, augmenter, list(weights))


def target(nuclei, settings) -> tuple[np.ndarray, np.ndarray]:
    """Classes int8 (H, W) and weights float16 (H, W); those of a border class are all alike."""
    nuclei = nuclei.astype(np.int32)
    if settings.target == "border":
        classes, weights = targets.with_border(nuclei)
    else:
        classes, weights = targets.with_gaps(nuclei, settings.w0, settings.sigma)
    return classes, weights.astype(np.float16)
