"""What all kinds of synthetic pictures share: the loop over pictures, random fields, distances, tidy labels."""

import math
import operator

import cv2
import numpy as np
from skimage import measure

SMALLEST = 32  # pixels a side: below it hardly an object fits


def draw_all(draw_one, count, size, seed, channels=1):
    """Call ``draw_one(rng, shape)`` for each picture: images (N, H, W, C) float32, labels (N, H, W) int32.

    ``draw_one`` returns the image (H, W), or (H, W, C) for several channels, and its labels. Picture k has a
    random generator of its own, made from (seed, k): it stays the same whatever ``count`` is.
    """
    count, seed = _integer("count", count), _integer("seed", seed)
    sides = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"size must be one number or (height, width), not {size!r}")
    height, width = (_integer("size", side) for side in sides)
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if min(height, width) < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels a side, not {height} x {width}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or larger, not {seed}")
    images = np.empty((count, height, width, channels), np.float32)
    labels = np.empty((count, height, width), np.int32)
    for k in range(count):
        image, labels[k] = draw_one(np.random.default_rng((seed, k)), (height, width))
        images[k] = np.clip(image, 0, 1).reshape(height, width, channels)
    return images, labels


def _integer(name, value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None


def noise(rng, shape, scale):
    """A random field (H, W) of mean 0 and standard deviation about 1, smooth over ``scale`` pixels.

    White noise blurred by a Gaussian; for large scales this happens on a coarse grid, which is much faster.
    """
    step = max(1.0, scale / 2)
    sigma = scale / step
    grid = [int(np.ceil(side / step)) + 2 for side in shape]
    field = cv2.GaussianBlur(rng.standard_normal(grid, np.float32), (0, 0), sigma)
    field *= 2 * np.sqrt(np.pi) * sigma  # the blur divided the standard deviation by this
    if step > 1:
        size = [round(side * step) for side in reversed(grid)]
        field = cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
    return field[: shape[0], : shape[1]]


def edges(labels):
    """Pixels (H, W) whose right or lower neighbor has another label: the border lines, one pixel wide."""
    border = np.zeros(labels.shape, bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return border


def distance(mask):
    """Distance in pixels of each pixel of ``mask`` to the nearest pixel outside it; 0 outside. float32 (H, W).

    The picture's own edge is no border. A mask without any outside is far from it everywhere.
    """
    return np.minimum(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), 1e3)


def largest(mask):
    """The largest 4-connected component of a boolean mask (H, W), boolean as well; empty for an empty mask."""
    if not mask.any():
        return mask
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return pieces == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()


def tidy(labels, smallest):
    """Number the connected pieces of each label anew from 1, and remove those below ``smallest`` pixels."""
    pieces = measure.label(labels, connectivity=1)
    keep = np.bincount(pieces.ravel()) >= smallest
    keep[0] = False
    return (np.cumsum(keep) * keep)[pieces].astype(np.int32)


def window(shape, center, radius):
    """Slices of the square around ``center`` = (y, x), cut at the picture's edge, and its offsets (dy, dx)."""
    reach = math.ceil(radius)
    rows, columns = (
        slice(max(int(middle) - reach, 0), max(min(int(middle) + reach + 1, side), 0))
        for middle, side in zip(center, shape, strict=True)
    )
    dy, dx = np.ogrid[rows, columns]
    return (rows, columns), np.float32(dy - center[0]), np.float32(dx - center[1])


def rotate(dy, dx, angle):
    """Coordinates along and across the direction ``angle`` in radians."""
    cosine, sine = math.cos(angle), math.sin(angle)  # Python floats keep float32 arrays what they are
    return dx * cosine + dy * sine, dy * cosine - dx * sine
