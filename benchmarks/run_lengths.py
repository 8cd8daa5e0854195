"""Run lengths of all objects of an image: one pass over the labels, and a Python loop over each object's pixels."""

import cv2
import numpy as np

from benchmarks import timing
from unetbook import labels


def run(repeats=timing.REPEATS) -> dict:
    """How many times faster ``labels.rle_rows`` is than the loop, on the same picture and with the same result."""
    picture = ellipses()
    if labels.rle_rows(picture) != loop(picture):
        raise AssertionError("the two ways disagree: their times mean nothing")
    taken = timing.take_turns(lambda: loop(picture), lambda: labels.rle_rows(picture), repeats=repeats).T
    return {
        "setting": f"{picture.max()} ellipses, {picture.shape[0]} x {picture.shape[1]}, one thread",
        "faster": timing.ratio(*taken),
        "promised": 15,
    }


def ellipses(count=120, side=512, seed=0) -> np.ndarray:
    """Labels int32 (side, side): ellipses of random axes and directions, one in each cell of a grid."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((side, side), np.int32)
    columns = int(np.ceil(np.sqrt(count)))
    pitch = side / columns
    for k in range(count):
        center = (np.array([k % columns, k // columns]) + rng.uniform(0.4, 0.6, 2)) * pitch
        axes = rng.uniform(0.15, 0.28, 2) * pitch
        cv2.ellipse(picture, center.astype(int), axes.astype(int), rng.uniform(0, 180), 0, 360, k + 1, cv2.FILLED)
    return picture


def loop(picture) -> list[str]:
    """The usual way: object by object, a Python loop over the pixels of its mask (those alone, not the background)."""
    rows = []
    for k in range(1, picture.max() + 1):
        runs, before = [], -2
        for position in np.flatnonzero((picture == k).T).tolist():
            if position > before + 1:
                runs.append([position + 1, 0])
            runs[-1][1] += 1
            before = position
        rows.append(" ".join(f"{start} {length}" for start, length in runs))
    return rows
