"""What the nucleus recipes share: the pictures, their kinds and split, and the tiles to train on.

The data set, 664 images of many microscopes, is brought to one look (``look``). The target is what
did best in chapter 10: nuclei with a gap where they touch, weighted by the border term. Chapter 16.
"""

import warnings
from typing import NamedTuple

import keras
import numpy as np

from unetbook import instances, labels, losses, normalize, training, weightmap
from unetbook.augment import Augmenter
from unetbook.datasets import dsb2018
from unetbook.recipes import _precision, _strata
from unetbook.recipes._fields import same_field
from unetbook.recipes._raw import raw
from unetbook.recipes._schedule import falling_adam as optimizer

DATASET = dsb2018
LOSS = losses.CrossEntropy(reduction="mean_with_sample_weight")
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SPLIT_SEED = 2018
USUAL_SIZES = ((256, 256), (360, 360), (520, 696))  # of fluorescence images; five other sizes are rare
# Fewer images of one size and kind count as one field: they may be slices of one specimen, as six of them look.
FEW = 10
PASSPORT = {
    "task": "nuclei in microscopy images, fluorescent or stained",
    "classes": ["background", "nucleus"],
    "input": "three channels; gray images three times the same",
    "channels": 3,
    "normalize": "bright_on_dark",
    "objects": True,
    "averaged": "eight",
    "training_data": "Data Science Bowl 2018, stage 1 (Caicedo et al. 2019, BBBC038v1), 70 % of its images",
    "license": "MIT for the code; the images are CC0",
}


class Picture(NamedTuple):
    """One image of the data set as in its file, (H, W, 3); its nuclei, int16 (H, W); its kind and its field."""

    image: np.ndarray
    nuclei: np.ndarray
    kind: str
    field: int


def load(root=None) -> dict[str, Picture]:
    """All pictures by id, half a gigabyte; two minutes, for there is one file a nucleus."""
    pictures, dim = {}, []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="image .* in several masks")  # of six images
        for sample in DATASET.load(root):
            pictures[sample.id] = Picture(raw(sample.image), sample.labels.astype(np.int16), kind(sample.image), 0)
            dim.append(sample.image.mean(axis=2, keepdims=True, dtype=np.float32))
    fields = same_field(dim)
    like = [(picture.kind, picture.nuclei.shape) for picture in pictures.values()]
    fields = [size if like.count(size) < FEW else field for size, field in zip(like, fields, strict=True)]
    numbers = {field: number for number, field in enumerate(dict.fromkeys(fields))}
    return {
        id_: picture._replace(field=numbers[field])
        for (id_, picture), field in zip(pictures.items(), fields, strict=True)
    }


def look(image) -> np.ndarray:
    """An image of the data set as a network learns it: normalized, float16 (H, W, 3), half the memory of float32."""
    return normalize.rule(PASSPORT["normalize"])(normalize.as_floats(image)).astype(np.float16)


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
    kinds, fields = ([getattr(picture, name) for picture in data.values()] for name in ("kind", "field"))
    parts = _strata.split(list(data), kinds, fields, FRACTIONS, SPLIT_SEED)
    return {name: sorted(chosen) for name, chosen in parts.items()}


def ids(data) -> list[str]:
    """The images that the data have."""
    return list(data)


def batches(data, split, settings, seed) -> training.Tiles:
    """Random tiles of the training images, those of rare kinds drawn more often; nuclei with gaps, and weights.

    With the setting ``"gaps": "made after the turn"``, nuclei are turned and deformed, and the target is made of what
    comes out. Else gaps are made first, and a turn, which takes each pixel from its nearest, breaks some of them.
    ``"root": False``: gray values without the square root of ``look``.
    """
    kinds = [data[id_].kind for id_ in split["train"]]
    most = max(map(kinds.count, kinds))
    times = {of_kind: round((most / kinds.count(of_kind)) ** 0.5) for of_kind in kinds}
    drawn = [id_ for id_, of_kind in zip(split["train"], kinds, strict=True) for _ in range(times[of_kind])]
    looks = {id_: look(data[id_].image) ** (1 if settings.get("root", True) else 2) for id_ in split["train"]}
    images, augmenter = [looks[id_] for id_ in drawn], Augmenter(**settings["augmentation"])
    of_tiles = settings["tile"], settings["tile"], settings["batch"], settings["steps"], seed
    if settings.get("gaps") == "made after the turn":

        def augment(image, nuclei, rng):
            image, nuclei = augmenter(image, nuclei, rng)
            return image, *_target(nuclei, settings)

        return training.Tiles(images, [data[id_].nuclei for id_ in drawn], *of_tiles, augment)
    targets = {id_: _target(data[id_].nuclei, settings) for id_ in split["train"]}
    classes, weights = zip(*(targets[id_] for id_ in drawn), strict=True)
    return training.Tiles(images, list(classes), *of_tiles, augmenter, list(weights))


def trained(recipe, data, split, settings, seed) -> tuple[keras.Model, list[float]]:
    """A network of the recipe, trained without checkpoints, in float32; and the loss of each epoch."""
    training.set_seed(seed)
    with _precision.policy(_precision.usable(settings["precision"])):
        model = recipe.build(settings)
    history = training.fit(
        model,
        batches(data, split, settings, seed),
        epochs=settings["epochs"],
        optimizer=optimizer(settings),
        loss=LOSS,
    )
    return _precision.in_float32(recipe, settings, model), history["loss"]


def _target(nuclei, settings):
    """Classes int8 (H, W), 1 in nuclei without their contact pixels, and the weight map float16 (H, W).

    With the setting ``"target": "border"``, the classes of ``instances.border_target`` and no weights.
    """
    nuclei = nuclei.astype(np.int32)
    if settings.get("target") == "border":
        return instances.border_target(nuclei).astype(np.int8), np.ones(nuclei.shape, np.float16)
    apart = labels.separate(nuclei)
    weights = weightmap.weight_map(apart, settings["w0"], settings["sigma"])
    return (apart > 0).astype(np.int8), weights.astype(np.float16)
