"""Seconds of U-Net, U-Net++ and Improved U-Net at equal multiply-adds: one training step, one answer."""

import keras
import numpy as np

from benchmarks import timing
from studies import labs
from unetbook import losses, nets, sizes

SIDE = 256
TILES, TILE = 4, 96  # of one training step, as in the lab


def run(repeats=timing.REPEATS) -> dict:
    """For each network of ``lab-family-rates``: seconds, and how many times as long as the plain U-Net it takes."""
    rng = np.random.default_rng(0)
    image = rng.random((1, SIDE, SIDE, 3), np.float32)
    tiles, masks = rng.random((TILES, TILE, TILE, 3), np.float32), rng.integers(0, 2, (TILES, TILE, TILE), np.int32)
    networks = {name: network(name, (None, None, 3)) for name in labs.NETWORKS}
    for model in networks.values():
        model.compile(keras.optimizers.Adam(), losses.cross_entropy, jit_compile=False)  # as training.fit on a CPU
    answers = [lambda model=model: model.predict_on_batch(image) for model in networks.values()]
    steps = [lambda model=model: model.train_on_batch(tiles, masks) for model in networks.values()]
    taken = {
        what: dict(zip(networks, timing.take_turns(*calls, repeats=repeats).T, strict=True))
        for what, calls in {"answer": answers, "step": steps}.items()
    }
    return {
        "setting": f"answer: one image of {SIDE} x {SIDE} x 3; step: {TILES} tiles of {TILE} x {TILE}, Adam",
        "networks": {
            name: {
                "multiply_adds": sizes.multiply_adds(network(name, (SIDE, SIDE, 3))),
                **{
                    what: {
                        "seconds": timing.spread(of[name]),
                        "longer_than_unet": timing.ratio(of[name], of["U-Net"]),
                    }
                    for what, of in taken.items()
                },
            }
            for name in networks
        },
    }


def network(name, shape) -> keras.Model:
    """One network of ``lab-family-rates`` for two classes."""
    options = dict(labs.NETWORKS[name])
    return getattr(nets, options.pop("network"))(shape, 2, **options)
