"""From settings to a network, a loss and an optimizer: what all tasks share."""

import inspect

import keras

from studies.settings import NETWORK, Read
from unetbook import augment, losses, nets, results, targets
from unetbook.augment import Augmenter

NETWORKS = {name: getattr(nets, name) for name in ("unet", "unetpp", "improved_unet", "encoder")}


def encoder_file():
    """Where the weights of ``encoder-synthetic`` lie."""
    return results.folder() / "weights" / "encoder-synthetic.keras"


def network(settings: Read, channels: int, classes: int) -> keras.Model:
    """The network of an arm for images (N, H, W, channels) of any legal size; logits (N, h, w, classes)."""
    make, shape = NETWORKS[settings.network], (None, None, channels)
    known = inspect.signature(make).parameters
    options = settings.options(name for name in NETWORK if name in known)
    if make is not nets.encoder:
        return make(shape, classes, **options)
    start, alpha = settings.start, settings.alpha
    weights = "random" if start == "random" else encoder_file()
    return make(shape, classes, weights, frozen=start == "frozen", alpha=alpha, **options)


LOSSES = {
    "cross_entropy": lambda: losses.cross_entropy,
    "weighted_cross_entropy": lambda: losses.CrossEntropy(reduction="mean_with_sample_weight"),
    "binary_cross_entropy": lambda: losses.binary_cross_entropy,
    "dice": lambda: losses.dice,
    "bce_dice": lambda: losses.bce_dice,
    "squared_error": lambda: targets.squared_error,
}


def loss(settings: Read):
    """The loss of an arm; the weighted one is divided by the sum of the weights."""
    return LOSSES[settings.loss]()


def optimizer(settings: Read) -> keras.optimizers.Optimizer:
    """Adam, or SGD with momentum 0.99 (section 3 of the U-Net paper), and the rate over all steps of the training.

    A cosine falls to 0 over all steps; with SGD's warm-up the rate rises from 0 before.
    """
    rate, steps = settings.learning_rate, settings.steps * settings.epochs
    sgd = settings.optimizer == "sgd"
    if settings.schedule == "cosine":
        warmup = settings.get("warmup", 0) if sgd else 0
        if warmup:
            rise = {"warmup_target": rate, "warmup_steps": warmup}
            rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, **rise)
        else:
            rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    return keras.optimizers.SGD(rate, momentum=0.99) if sgd else keras.optimizers.Adam(rate)


def recolored(image, labels, rng, weights=None):
    """Turned and shaded, then in color: gray values inverted in half of the cases, each channel with its own curve.

    image: float32 (H, W, 1) in [0, 1]; labels and weights (H, W). Returns the image as (H, W, 3), and the rest.
    """
    image, *rest = augment.turn_and_shade(image, labels, rng, weights)
    image = 1 - image if rng.integers(2) else image
    curves, light = rng.uniform(0.6, 1.6, 3), rng.uniform(0.6, 1.0, 3)
    return ((light * image**curves).astype("float32"), *rest)


AUGMENTATIONS = {"none": None, "turn_and_shade": augment.turn_and_shade, "recolored": recolored}


def augmentation(settings: Read):
    """A function (image, labels, rng, weights=None) of the arm, or ``None``."""
    wanted = settings.augmentation
    if isinstance(wanted, str):
        return AUGMENTATIONS[wanted]
    try:
        return Augmenter(**wanted)
    except TypeError as error:
        known = ", ".join(inspect.signature(Augmenter).parameters)
        raise ValueError(f"the augmentation {wanted} has an option that Augmenter has not ({error}): {known}") from None
