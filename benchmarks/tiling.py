"""Overlap-tile prediction: what planning and stitching cost, and exact tiles against blended ones. Chapter 05."""

import time

import keras
import numpy as np

from benchmarks import timing
from unetbook import tiling
from unetbook.nets import unet


def run(repeats=timing.REPEATS) -> dict:
    """Both measurements, with what was measured on."""
    keras.utils.set_random_seed(0)
    return {"outside_the_network": outside_the_network(repeats), "exact_or_blended": exact_or_blended(repeats)}


def outside_the_network(repeats) -> dict:
    """Seconds that ``predict`` spends outside the network, divided by those inside, in the same call."""
    model = unet((None, None, 1), 2, filters=16)
    image = np.random.default_rng(0).random((2048, 2048, 1), np.float32)
    network, inside = model.predict_on_batch, []
    model.predict_on_batch = lambda batch: _timed(network, batch, inside)

    shares = []
    for _ in range(repeats + 1):
        inside.clear()
        total = timing.seconds(lambda: tiling.predict(model, image, tile=572))
        shares.append(total / sum(inside) - 1)
    return {
        "setting": "unet(filters=16), tile 572, image 2048 x 2048, batches of 4",
        "calls_of_the_network": len(inside),
        "share": timing.spread(shares[1:]),
        "at_most": 0.05,
    }


def exact_or_blended(repeats, side=1024) -> dict:
    """The same padded network, by exact tiles and by blended, half-overlapping ones: time ratio and largest error.

    Errors are measured from the whole image in one call, relative to its largest absolute logit. The weights are
    random: a trained network has other errors, and the same times.
    """
    model = unet((None, None, 1), 2, filters=16, padding="same")
    image = np.random.default_rng(0).random((side, side, 1), np.float32)
    whole = model.predict_on_batch(image[None])[0]
    ways = {
        "exact, tile 560": lambda: tiling.predict(model, image, tile=560),
        "blended, tile 256": lambda: blended(model, image, tile=256),
        "exact, tile 512": lambda: tiling.predict(model, image, tile=512),
        "blended, tile 512": lambda: blended(model, image, tile=512),
    }
    taken = dict(zip(ways, timing.take_turns(*ways.values(), repeats=repeats).T, strict=True))
    scale = np.abs(whole).max()
    return {
        "setting": f"unet(filters=16, padding='same'), image {side} x {side}, batches of 4, random weights",
        "seconds_per_megapixel_exact_560_over_blended_256": timing.ratio(
            taken["exact, tile 560"], taken["blended, tile 256"]
        ),
        "seconds_per_megapixel_exact_over_blended_both_512": timing.ratio(
            taken["exact, tile 512"], taken["blended, tile 512"]
        ),
        "largest_error": {name: float(f"{np.abs(way() - whole).max() / scale:.2g}") for name, way in ways.items()},
    }


def blended(model, image, tile, overlap=0.5, batch_size=4):
    """A sliding window as MONAI and nnU-Net have it: tiles half a tile apart, averaged with Gaussian weights.

    image (H, W, C) at least as large as the tile; the standard deviation is an eighth of the tile. Written here in
    plain NumPy, so that both ways call the network alike.
    """
    starts = [_starts(length, tile, round(tile * (1 - overlap))) for length in image.shape[:2]]
    corners = [(top, left) for top in starts[0] for left in starts[1]]
    bell = np.exp(-0.5 * ((np.arange(tile) - (tile - 1) / 2) / (tile / 8)) ** 2)
    weights = np.outer(bell, bell).astype(np.float32)[..., None]
    total, weight = 0.0, np.zeros((*image.shape[:2], 1), np.float32)
    for first in range(0, len(corners), batch_size):
        batch = corners[first : first + batch_size]
        maps = model.predict_on_batch(np.stack([image[top : top + tile, left : left + tile] for top, left in batch]))
        if first == 0:
            total = np.zeros((*image.shape[:2], maps.shape[-1]), np.float32)
        for (top, left), part in zip(batch, maps, strict=True):
            total[top : top + tile, left : left + tile] += part * weights
            weight[top : top + tile, left : left + tile] += weights
    return total / weight


def _starts(length, tile, step):
    """First pixels of the tiles along an axis, the last one shifted back to fit."""
    return [*range(0, length - tile, step), length - tile]


def _timed(network, batch, inside):
    start = time.perf_counter()
    maps = network(batch)
    inside.append(time.perf_counter() - start)
    return maps
