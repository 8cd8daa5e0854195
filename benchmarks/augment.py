"""Elastic deformation against ``elasticdeform`` and Simard's way, and what augmentation adds to a training. Chapter 07.

The three deformations are not one distribution. The first two draw the same field; Simard's smoothed noise is scaled to
the same standard deviation of displacements.
"""

import time

import elasticdeform
import keras
import numpy as np
from scipy import ndimage

from benchmarks import timing
from unetbook import sizes, training
from unetbook.augment import Augmenter, elastic
from unetbook.nets import unet

STD = 10.0  # of the displacements, in pixels
CASES = ((380, 2, "valid"), (256, 4, "same"))  # tile, batch, padding of the trainings
CALLS = 5  # a deformation takes milliseconds: a repeat times some of them


def run(repeats=timing.REPEATS) -> dict:
    """Both measurements, with what was measured on."""
    return {"elastic": deformation(repeats), "pipeline": pipeline(repeats)}


def deformation(repeats, side=512) -> dict:
    """How many times as fast ``elastic`` is as its peers: image by splines of order 3, mask nearest, new fields."""
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.random((side, side), np.float32), 2)
    image = (image - image.min()) / np.ptp(image)
    mask = (image > 0.5).astype(np.int32)
    ways = {
        "elasticdeform": lambda: elasticdeform.deform_grid(
            [image, mask], rng.normal(0, STD, (2, 3, 3)), order=[3, 0], mode="mirror"
        ),
        "simard": lambda: simard(image, mask, rng),
        "ours": lambda: elastic(image[..., None], mask, rng, STD),
    }
    repeated = [lambda way=way: [way() for _ in range(CALLS)] for way in ways.values()]
    taken = dict(zip(ways, timing.take_turns(*repeated, repeats=repeats).T, strict=True))
    return {
        "setting": f"image and mask {side} x {side}, 3 x 3 control points, standard deviation {STD:g} pixels",
        "faster": timing.ratio(taken["elasticdeform"], taken["ours"]),
        "promised": 20,
        "faster_than_simard": timing.ratio(taken["simard"], taken["ours"]),
    }


def simard(image, mask, rng, smooth=30.0):
    """Simard et al. 2003: displacements of each pixel drawn alone, then smoothed over ``smooth`` pixels."""
    fields = [ndimage.gaussian_filter(rng.uniform(-1, 1, image.shape), smooth) for _ in range(2)]
    places = [index + field * (STD / field.std()) for index, field in zip(np.indices(image.shape), fields, strict=True)]
    return [
        ndimage.map_coordinates(plane, places, order=order, mode="mirror") for plane, order in ((image, 3), (mask, 0))
    ]


def pipeline(repeats) -> dict:
    """The share that all augmentations together add to the training step of ``fit``, for two usual tiles."""
    return {f"{tile} {padding}": added(repeats, tile, batch, padding) for tile, batch, padding in CASES}


def added(repeats, tile, batch, padding, steps=12) -> dict:
    """Seconds of an epoch with augmentation, divided by those of the epoch without beside it, less one."""
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((4, 512, 512, 1), np.float32)
    labels = (images[..., 0] > 0.5).astype(np.int32)
    model = unet((None, None, 1), 2, filters=16, padding=padding)
    output = sizes.output_size(tile) if padding == "valid" else tile
    plain, augmented = (
        training.Tiles(images, labels, tile, output, batch, steps, seed=0, augment=augment)
        for augment in (None, Augmenter())
    )
    shares = []
    for _ in range(repeats + 1):
        without = _epoch_seconds(model, plain)
        shares.append(_epoch_seconds(model, augmented) / without - 1)
    return {
        "setting": f"unet(filters=16, padding={padding!r}), {batch} tiles of {tile} x {tile} a step, all augmentations",
        "share": timing.spread(shares[1:]),
        "at_most": 0.10,
    }


def _epoch_seconds(model, data) -> float:
    """From the first batch asked for to the last step done; building the data set is left out."""
    clock = _Clock()
    training.fit(model, data, callbacks=[clock])
    return clock.taken


class _Clock(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.taken = time.perf_counter() - self.start
