"""What pruning a U-Net++ saves: seconds and multiply-adds of each level, on one image of 256 x 256."""

import numpy as np

from benchmarks import timing
from unetbook import nets, sizes

PROMISED = {1: 4, 3: 1.3}  # times as fast as the whole network
SIDE = 256


def run(repeats=timing.REPEATS) -> dict:
    """Seconds of each level and how many times faster it is than level 4; ``predict_on_batch`` of one image."""
    whole = nets.unetpp((SIDE, SIDE, 1), 1)
    pruned = {level: nets.prune(whole, level) for level in (1, 2, 3, 4)}
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 1), np.float32)
    heads = whole.predict_on_batch(image)
    for level, model in pruned.items():
        if not np.array_equal(model.predict_on_batch(image), heads[f"L{level}"]):
            raise AssertionError(f"level {level} is not its head: its time means nothing")
    calls = [lambda model=model: model.predict_on_batch(image) for model in pruned.values()]
    taken = dict(zip(pruned, timing.take_turns(*calls, repeats=repeats).T, strict=True))
    return {
        "setting": f"unetpp(({SIDE}, {SIDE}, 1), 1), one image a call",
        "levels": {
            f"L{level}": {
                "parameters": model.count_params(),
                "multiply_adds": sizes.multiply_adds(model),
                "seconds": timing.spread(taken[level]),
                "faster": timing.ratio(taken[4], taken[level]),
                **({"promised": PROMISED[level]} if level in PROMISED else {}),
            }
            for level, model in pruned.items()
        },
    }
