"""Ellipses among discs: a plain picture for experiments in which one thing is varied and all else is held."""

import functools

import cv2
import numpy as np

from unetbook.datasets.synthetic import _drawing as drawing

LONG, SHORT = 10, 5  # half axes of an ellipse, in pixels
DISCS = 6  # in a picture of 128 x 128


def ellipses(count, size, seed, objects=8, degrees=(0, 180)):
    """Bright ellipses, which are the objects, among discs of the same area and brightness, which are not.

    count: number of pictures; size: pixels a side, or (height, width), at least 32; seed: 0 or larger; objects: how
    many ellipses a picture holds, of about 170 pixels each, fewer where no more fit; degrees: range of the direction of
    the long axis, 0 = along a row, 90 = along a column. Returns images float32 (N, H, W, 1) in [0, 1] and labels int32
    (N, H, W): 0 = background and discs, 1 to n = ellipses, which do not touch. Picture k depends on (seed, k) and the
    other arguments only. Raises ``TypeError`` or ``ValueError`` naming the argument.

    Brightness alone does not tell ellipses from discs, so a network has to learn a shape, and a direction where it has
    seen one only.
    """
    if objects < 0:
        raise ValueError(f"objects must be at least 0, not {objects}")
    if len(degrees) != 2 or degrees[0] > degrees[1]:
        raise ValueError(f"degrees must be (from, to) with from <= to, not {degrees!r}")
    return drawing.draw_all(functools.partial(_draw, objects=objects, degrees=degrees), count, size, seed)


def _draw(rng, shape, objects, degrees):
    labels = np.zeros(shape, np.int32)
    taken = np.zeros(shape, np.uint8)
    discs = round(DISCS * labels.size / 128**2)
    kinds = rng.permutation([True] * objects + [False] * discs)
    for is_ellipse in kinds:
        for _ in range(200):
            axes = (LONG, SHORT) if is_ellipse else (round((LONG * SHORT) ** 0.5),) * 2
            angle = rng.uniform(*degrees) if is_ellipse else 0
            center = [int(rng.integers(LONG + 2, side - LONG - 2)) for side in shape[::-1]]
            if not (_stamp(shape, center, [axis + 3 for axis in axes], angle) & taken).any():
                stamp = _stamp(shape, center, axes, angle)
                taken |= stamp
                if is_ellipse:
                    labels[stamp > 0] = labels.max() + 1
                break
    image = 0.35 + 0.3 * cv2.GaussianBlur(taken.astype(np.float32), (0, 0), 1.5)
    image += 0.06 * drawing.noise(rng, shape, 40) + 0.04 * drawing.noise(rng, shape, 4)
    return image + 0.1 * rng.standard_normal(shape, np.float32), labels


def _stamp(shape, center, axes, angle):
    stamp = np.zeros(shape, np.uint8)
    cv2.ellipse(stamp, center, axes, angle, 0, 360, 1, -1)
    return stamp
