"""Places of the input for the pixels of the result, and the one warp that shows image, labels and weights there."""

from functools import lru_cache

import cv2
import numpy as np
from scipy import ndimage

from unetbook import checks

LONGEST = 2**15 - 2  # pixels along an axis: OpenCV keeps coordinates in 16 bits (and one pixel has no mirror image)


def checked(image, labels, rng, weights):
    """The image and weights as float32, the labels as they are, or an error that names what does not fit."""
    image, labels = np.asarray(image), np.asarray(labels)
    if image.ndim != 3 or 0 in image.shape or min(image.shape[:2]) < 2 or max(image.shape[:2]) > LONGEST:
        raise ValueError(
            f"one image (H, W, C) is augmented at a time, each side 2 to {LONGEST} pixels, not an array of shape "
            f"{image.shape}: loop over a batch, add [..., None] to a single channel, cut a large image into tiles"
        )
    checks.floats(image, "image")
    checks.integers(labels.dtype, "labels")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
        image = image.astype(np.float32, copy=False)
        weights = None if weights is None else np.asarray(weights, np.float32)
    checks.one_a_pixel(labels, image, "labels", "an image", "(H, W)")
    checks.finite(image, "the image", "repair such pixels, or drop the image")
    if weights is not None:
        checks.one_a_pixel(weights, image, "weights", "an image", "(H, W)")
        checks.finite(weights, "the weights", "repair such pixels, or drop the image")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a generator such as numpy.random.default_rng(0), not {rng!r}")
    return image, labels, weights


def check_grid(grid) -> None:
    """``grid`` is a number of control points along each axis."""
    checks.whole(grid, "grid", 2, unit="control points")


def strips(shape, turn, start, vectors):
    """For each pixel p its place in the input, turn @ p + start + displacement(p): yields rows and float32 (2, n, W).

    One product does it all: turn and start are two more columns beside those of the control points. Strips of some rows
    stay in the cache, and such small products in this thread, while others are busy with the training.
    """
    down, across = (_spline_weights(n, points) for n, points in zip(shape, vectors.shape[1:], strict=True))
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    ones = np.ones_like(y), np.ones_like(x)
    left = [np.hstack([down @ vectors[k], turn[k, 0] * y, ones[0]]) for k in (0, 1)]
    right = [np.vstack([across.T, ones[1], turn[k, 1] * x + start[k]]) for k in (0, 1)]
    left, right = np.asarray(left, np.float32), np.asarray(right, np.float32)
    step = max(1, 2**14 // shape[1])
    for top in range(0, shape[0], step):
        rows = slice(top, top + step)
        yield rows, left[:, rows] @ right


def whole(places) -> np.ndarray:
    """All strips together: float32 (2, H, W)."""
    return np.concatenate([part for _, part in places], axis=1)


def warp(image, labels, weights, places) -> tuple:
    """What lies at the places that ``strips`` yields: the image interpolated within its range, the rest nearest."""
    low, high = image.min(), image.max()
    groups = [np.ascontiguousarray(image[..., k : k + 4]) for k in range(0, image.shape[2], 4)]  # OpenCV takes four
    planes = [plane for plane in (labels, weights) if plane is not None]
    words = [_words(plane) for plane in planes]
    warped, moved = np.empty(image.shape, np.float32), [np.empty_like(word) for word in words]
    for rows, at in places:
        parts = [_remap(group, at, cv2.INTER_CUBIC) for group in groups]
        part = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        np.clip(part, low, high, out=warped[rows])  # bicubic interpolation overshoots at edges
        for word, into in zip(words, moved, strict=True):
            into[rows] = _remap(word, at, cv2.INTER_NEAREST)
    return (warped, *(into.view(plane.dtype)[..., 0] for into, plane in zip(moved, planes, strict=True)))


@lru_cache(maxsize=32)  # tiles of a training are all of one size
def _spline_weights(length, points):
    """What each control point adds to each of ``length`` pixels: (length, points), by cubic B-splines, mirrored."""
    places = np.linspace(0, points - 1, length)
    return np.stack([ndimage.map_coordinates(one, [places], order=3, mode="mirror") for one in np.eye(points)], axis=1)


def _words(plane):
    """A plane (H, W) of any dtype as (H, W, words) of bits, which OpenCV moves unchanged; it knows few dtypes."""
    word = {1: np.uint8, 2: np.uint16}.get(plane.itemsize, np.int32)
    return np.ascontiguousarray(plane)[..., None].view(word)


def _remap(image, places, interpolation):
    """OpenCV's remap with mirrored borders, for one to four channels: (n, W, C)."""
    rows, columns = places
    moved = cv2.remap(image, columns, rows, interpolation, borderMode=cv2.BORDER_REFLECT_101)
    return moved.reshape(*rows.shape, -1)
