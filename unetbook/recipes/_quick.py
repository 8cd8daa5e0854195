"""What the labs share: a small network, a training of seconds, and how its answers are scored."""

import keras
import numpy as np

from unetbook import labels, nets, scores, training

SMALLEST = 20  # pixels; what is smaller counts as no object


def pictures(draw, settings, seed):
    """Training and test pictures of ``draw``, each (images, labels), from seeds of their own."""
    counts = {1000 + seed: settings["training_pictures"], 2000 + seed: settings["test_pictures"]}
    return [draw(count, settings["size"], seed=start) for start, count in counts.items()]


def network(settings, seed, classes=2, channels=1, **options) -> keras.Model:
    """A padded U-Net whose initial weights depend on the seed alone, so that all arms of a seed begin alike."""
    training.set_seed(seed)
    options = {"normalization": "batch"} | options
    return nets.unet((None, None, channels), classes, settings["filters"], settings["depth"], padding="same", **options)


def train(model, images, targets, settings, seed, augment=None, weights=None, loss=None, optimizer=None) -> list[float]:
    """Train on random tiles, the same ones for all arms of a seed; returns the loss of each epoch.

    targets: integers (N, H, W). The optimizer is Adam, its rate falling to 0 along a cosine, unless another is given.
    """
    tiles = training.Tiles(
        images,
        targets,
        settings["tile"],
        settings["tile"],
        settings["batch"],
        settings["steps"],
        seed,
        augment=augment,
        weights=weights,
    )
    optimizer = optimizer or keras.optimizers.Adam(falling(settings["learning_rate"], settings))
    return training.fit(model, tiles, epochs=settings["epochs"], optimizer=optimizer, loss=loss)["loss"]


def outlined(model, pictures, settings, seed) -> dict:
    """Train a network on masks; Dice and boundary F on the test pictures, its parameters and the losses.

    pictures: training and test pictures, each (images, masks of one kind of object).
    """
    (images, masks), test = pictures
    curve = train(model, images, masks.astype(np.int32), settings, seed)
    return {"scores": tested(model, test, settings), "parameters": model.count_params(), "curve": curve}


def tested(model, test, settings) -> dict[str, float]:
    """Dice and boundary F of a trained network on test pictures: (images, masks)."""
    images, truth = test
    predicted = probabilities(model, images)[..., 1] >= 0.5
    return outline_scores(truth, predicted, settings["boundary_tolerance"])


def falling(rate, settings) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that falls from ``rate`` to 0 along a cosine over the whole training."""
    return keras.optimizers.schedules.CosineDecay(rate, settings["steps"] * settings["epochs"])


def probabilities(model, images) -> np.ndarray:
    """Probabilities (N, H, W, C) of whole images, one after the other; of several heads their mean."""
    return np.concatenate([nets.probabilities(model.predict_on_batch(image[None])) for image in images])


def mask_scores(truth, predicted) -> dict[str, float]:
    """Mean Dice of the masks, and F of the objects pooled over all pictures; components are the objects.

    truth: instances (N, H, W); predicted: masks (N, H, W).
    """
    found = [without_small(labels.connected(mask)) for mask in predicted]
    dice = [scores.dice(t > 0, p) for t, p in zip(truth, predicted, strict=True)]
    return {"dice": float(np.mean(dice)), "f": object_f(truth, found)}


def outline_scores(truth, predicted, tolerance) -> dict[str, float]:
    """Dice and boundary F (within ``tolerance`` pixels) of masks (N, H, W), means over the pictures."""
    pairs = list(zip(truth, predicted, strict=True))
    return {
        "dice": float(np.mean([scores.dice(t, p) for t, p in pairs])),
        "boundary_f": float(np.mean([scores.boundary_f(t, p, tolerance) for t, p in pairs])),
    }


def object_f(truth, found) -> float:
    """F = 2 matched / (2 matched + missed + extra) at IoU > 0.5, counted over all pictures together."""
    rows = [scores.objects(t, f) for t, f in zip(truth, found, strict=True)]
    matched, wrong = sum(row.matched for row in rows), sum(row.missed + row.extra for row in rows)
    return 2 * matched / (2 * matched + wrong) if matched + wrong else 1.0


def errors(truth, found) -> dict[str, float]:
    """Objects merged, split, missed and extra (``scores.object_errors``), all for 100 true objects."""
    counts = np.sum([scores.object_errors(t, f) for t, f in zip(truth, found, strict=True)], axis=0)
    objects = sum(len(np.unique(t[t > 0])) for t in truth)
    return dict(zip(scores.ObjectErrors._fields, (100 * counts / objects).tolist(), strict=True))


def without_small(instances) -> np.ndarray:
    """Instances (H, W) without those below ``SMALLEST`` pixels."""
    return np.where(np.bincount(instances.ravel())[instances] < SMALLEST, 0, instances)
