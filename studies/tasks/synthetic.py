"""Drawn pictures: the labs, and the encoder that the book trained itself. How answers are scored: ``synthetic_scores``.

What all arms of a seed share depends on the seed alone: the pictures, the initial weights and the batches.
"""

import functools
from types import SimpleNamespace

import keras
import numpy as np

from studies import training as arms
from studies.tasks import synthetic_scores
from unetbook import instances, labels, nets, targets, training, weightmap
from unetbook.datasets import synthetic
from unetbook.nets.encoder import BACKBONES

DATASET, FOLDS = None, False
ONE_CHANNEL = ("binary_cross_entropy", "dice", "bce_dice", "squared_error")  # losses of one logit, or one distance
ENCODER = {
    "task": "features for other networks: MobileNetV2 (alpha 0.35) without top, for unetbook.nets.encoder",
    "input": "three channels in -1 to 1",
    "training_data": "synthetic cells, membranes and ellipses of unetbook.datasets, 300 each",
    "license": "MIT",
}

validate, evaluate = None, synthetic_scores.evaluate


@functools.lru_cache(maxsize=12)
def _drawn(name, count, size, seed, objects):
    """Pictures (N, H, W, C) and labels (N, H, W), drawn once for all arms; 0 in a membrane is what is looked for."""
    options = {} if objects is None else {"objects": objects}
    images, found = getattr(synthetic, name)(count, size, seed=seed, **options)
    return images, (found == 0).astype(np.int32) if name == "membranes" else found


def load(settings, seed, root=None) -> SimpleNamespace:
    """Training and test pictures, from seeds of their own: ``train`` and ``test``, each (images, labels).

    Of several kinds of picture labels are classes, 1, 2, ... for the objects of each kind. learned_pictures: the first
    of the training pictures.
    """
    kinds, size, objects = settings.pictures, settings.size, settings.get("objects")
    sets = []
    for count, start in ((settings.training_pictures, 1000), (settings.test_pictures, 2000)):
        drawn = [_drawn(kind, count, size, start + seed, objects) for kind in kinds]
        found = [one if len(kinds) == 1 else number * (one > 0) for number, (_, one) in enumerate(drawn, start=1)]
        sets.append((np.concatenate([images for images, _ in drawn]), np.concatenate(found)))
    (images, found), test = sets
    first = settings.get("learned_pictures", len(images))
    return SimpleNamespace(train=(images[:first], found[:first]), test=test)


def parts(data, split, settings, seed):
    """Drawn pictures have no split."""
    return None


def build(data, settings) -> keras.Model:
    """A padded network; recolored pictures have three channels."""
    channels = 3 if settings.augmentation == "recolored" else data.train[0].shape[-1]
    return arms.network(settings, channels, _classes(settings))


def _classes(settings):
    if settings.loss in ONE_CHANNEL:
        return 1
    return {"classes": len(settings.pictures) + 1, "border": 3}.get(settings.target, 2)


def side(settings) -> int:
    """Pixels of a picture."""
    return settings.size


def batches(data, parts, settings, seed) -> training.Tiles:
    """Random tiles, the same ones for all arms of a seed, with the arm's target."""
    images, found = data.train
    augment, weights = arms.augmentation(settings), None
    if settings.target == "gaps" and settings.made == "after each turn":
        change, learned = augment, found

        def augment(image, cells, rng):
            image, cells = (image, cells) if change is None else change(image, cells, rng)
            return image, (labels.separate(cells) > 0).astype(np.int32)

    else:
        learned, weights = target(found, settings)
    of_tiles = settings.tile, settings.tile, settings.batch, settings.steps, seed
    return training.Tiles(images, learned, *of_tiles, augment, weights)


def target(found, settings) -> tuple[np.ndarray, np.ndarray | None]:
    """What is learned of labels (N, H, W), integers of that shape, and weights where the loss has them."""
    if settings.target == "mask":
        return (found > 0).astype(np.int32), None
    if settings.target == "classes":
        return found, None
    if settings.target == "border":
        return np.stack([instances.border_target(one) for one in found]), None
    if settings.target == "distance":
        return np.stack([targets.with_distances(one, settings.distance_up_to) for one in found]), None
    apart, weights = labels.separate(found), None
    if settings.loss == "weighted_cross_entropy":
        balance = weightmap.class_weights(apart) if settings.get("balanced") else None
        options = settings.w0, settings.sigma if settings.w0 else 5, balance
        weights = np.stack([weightmap.weight_map(one, *options) for one in apart])
    return (apart > 0).astype(np.int32), weights


def answering(model, settings) -> keras.Model:
    """The head that the arm is about, or the encoder alone, which is what is kept of it; else the whole network."""
    head = settings.get("head", "mean")
    if head != "mean":
        return nets.prune(model, int(head[1:]))
    if settings.target != "classes":
        return model
    last = model.get_layer(BACKBONES["MobileNetV2"].features[settings.depth - 1])
    return keras.Model(model.get_layer("expected_input").output, last.output, name="mobilenetv2")


def passport(settings) -> dict:
    """Entries of the kept encoder."""
    return ENCODER
