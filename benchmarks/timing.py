"""How the benchmarks measure: one warm-up, then repeats in which the candidates take turns."""

import time

import numpy as np

REPEATS = 5


def seconds(function) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(*functions, repeats=REPEATS):
    """Seconds of each function in each repeat, an array (repeats, functions), after one warm-up of each.

    The functions take turns, so that what else runs on the machine meets all of them.
    """
    for function in functions:
        function()
    return np.array([[seconds(function) for function in functions] for _ in range(repeats)])


def spread(values) -> dict:
    """Minimum and median over the repeats."""
    return {"min": round(float(np.min(values)), 4), "median": round(float(np.median(values)), 4)}


def ratio(taken, other) -> dict:
    """How long one way took against another, by the minima and by the medians of their repeats."""
    return {
        "of minima": round(float(np.min(taken) / np.min(other)), 3),
        "of medians": round(float(np.median(taken) / np.median(other)), 3),
    }
