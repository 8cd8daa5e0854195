"""The border term of the weight map: the fast version against one SciPy distance map an object. Chapter 09."""

import math
import tracemalloc

import cv2
import numpy as np

from benchmarks import timing
from unetbook import weightmap

SLOW = 5  # seconds; a peer slower than this is run once
WITHIN = 1e-3  # the largest difference promised
IMAGES = 8  # the peak memory promised, in float32 images; unlike times, these two do not depend on the machine


def run(repeats=timing.REPEATS) -> dict:
    """Two comparisons with the stacked distance maps, and a picture that is too large for them."""
    return {
        "512": against_stacked(512, 120, promised=50, repeats=repeats),
        "1024": against_stacked(1024, 400, promised=300, repeats=repeats),
        "8192": alone(8192, 20_000, repeats=min(repeats, 3)),
    }


def against_stacked(size, count, promised, repeats) -> dict:
    """How many times faster than the stack, and the largest difference of the two maps, at most ``WITHIN``."""
    labels = cells(size, count)
    stacked = []
    taken = [timing.seconds(lambda: stacked.append(weightmap.border_weights_plain(labels)))]
    difference = np.abs(weightmap.border_weights(labels) - stacked[0]).max()
    if not difference <= WITHIN:
        raise AssertionError(f"{size} x {size}: the two maps differ by {difference:.2g}, promised {WITHIN:g}")
    if taken[0] > SLOW:
        ours = timing.take_turns(lambda: weightmap.border_weights(labels), repeats=repeats)
    else:
        ways = weightmap.border_weights_plain, weightmap.border_weights
        taken, ours = timing.take_turns(*(lambda way=way: way(labels) for way in ways), repeats=repeats).T
    return {
        "setting": f"{size} x {size} pixels, {count} cells, w0 10, sigma 5; the peer stacks "
        "scipy.ndimage.distance_transform_edt(labels != number) and takes the two smallest",
        "faster": timing.ratio(taken, ours),
        "promised": promised,
        "repeats_of_the_peer": len(taken),
        "largest_difference": float(f"{difference:.2g}"),
        "largest_difference_promised": WITHIN,
    }


def alone(size, count, repeats) -> dict:
    """Seconds and peak memory, at most ``IMAGES``, without a peer, whose stack would not fit into memory."""
    labels = cells(size, count)
    tracemalloc.start()  # also sees the distance maps of OpenCV, which lie in arrays of NumPy
    weightmap.border_weights(labels)
    peak = tracemalloc.get_traced_memory()[1] / (4 * labels.size)
    tracemalloc.stop()
    if peak > IMAGES:
        raise AssertionError(f"{size} x {size}: the memory of {peak:.2f} float32 images, promised {IMAGES}")
    taken = timing.take_turns(lambda: weightmap.border_weights(labels), repeats=repeats)
    return {
        "setting": f"{size} x {size} pixels, {count} cells, w0 10, sigma 5, no peer",
        "seconds": timing.spread(taken),
        "peak_memory_in_float32_images": round(peak, 2),
        "peak_memory_promised": IMAGES,
        "gigabytes_of_the_stack_it_replaces": round(8 * labels.size * count / 1e9),
    }


def cells(size, count, seed=0):
    """Labels int32 (size, size): ``count`` ellipses that do not touch, one in each cell of a grid, moved at random.

    Each stays within its square of the grid, so that gaps run from two pixels to most of a square.
    """
    rng = np.random.default_rng(seed)
    side = math.ceil(math.sqrt(count))
    step = size / side
    labels = np.zeros((size, size), np.int32)
    for number, place in enumerate(rng.permutation(side * side)[:count], start=1):
        long, short = step * rng.uniform(0.25, 0.45), step * rng.uniform(0.2, 0.25)
        room = step / 2 - long - 1
        row, column = (step * (index + 0.5) + rng.uniform(-room, room) for index in divmod(place, side))
        center, axes = (round(column), round(row)), (int(long), int(short))
        cv2.ellipse(labels, center, axes, rng.uniform(0, 180), 0, 360, int(number), thickness=-1)
    return labels
