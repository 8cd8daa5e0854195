"""One random draw for image, labels and weights: flips, rotation, shift, zoom, elastic deformation, gray values.

Geometric changes are written as coordinates: for each pixel of the result, the place of the input that it shows. Places
add up and turn, so that any number of changes becomes one map, and the image is interpolated once. Images are
interpolated bicubically: bilinear interpolation takes a tenth to a third of the fine contrast away, which images at
test time still have. Labels and weights are never interpolated: a pixel takes both from the nearest pixel of the input.
Beyond its borders the input is continued by its mirror image, where an object may appear a second time under its
number. Chapter 07.
"""

from dataclasses import dataclass, fields
from functools import lru_cache
from numbers import Real

import cv2
import numpy as np
from scipy import ndimage

LONGEST = 2**15 - 2  # pixels along an axis: OpenCV keeps coordinates in 16 bits


def elastic(image, labels, rng, std=10.0, grid=3, weights=None) -> tuple:
    """The U-Net paper's elastic deformation: random displacements on a coarse grid, smooth in between.

    image: floats (H, W, C); labels: integers (H, W); weights: numbers (H, W) or ``None``; rng: a NumPy ``Generator``.
    std: standard deviation of the displacements in pixels, along each axis. grid: control points along each axis.
    The image folds over where std is large for the distance of control points, (H - 1) / (grid - 1): up to a tenth of
    it practically never, at a fifth in about one of eight draws for a grid of 3.

    Returns (image, labels) or (image, labels, weights): image and weights float32, labels of their own dtype. Gray
    values stay within those of the image. Raises ``ValueError`` or ``TypeError`` naming the fix. Source: Ronneberger
    et al. 2015, section 3.1. Chapter 07.
    """
    image, labels, weights = _checked(image, labels, rng, weights)
    _check_amount("std", std)
    _check_grid(grid)
    coordinates = displacement(labels.shape, rng.normal(0, std, (2, grid, grid)))
    coordinates[0] += np.arange(labels.shape[0], dtype=np.float32)[:, None]
    coordinates[1] += np.arange(labels.shape[1], dtype=np.float32)
    return _warp(image, labels, weights, coordinates)


def displacement(shape, vectors) -> np.ndarray:
    """The displacement of each pixel, from the displacements of a few control points, by cubic splines.

    shape: (H, W) in pixels; vectors: (2, rows, columns), the displacements down and to the right in pixels. Control
    points span the image from corner to corner: for 3 x 3 they are its corners, the middles of its edges, its center.
    Returns float32 (2, H, W); ``elastic`` shows at pixel p what the image has at p + displacement. A spline is linear
    in its control points, and rows and columns separate: two products with small matrices equal the interpolation at
    each pixel. Raises ``ValueError`` for another shape of the vectors. Chapter 07.
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 3 or len(vectors) != 2 or min(vectors.shape) < 2:
        raise ValueError(f"vectors must be (2, rows, columns) with at least 2 x 2 points, not {vectors.shape}")
    down, across = (_spline_weights(n, points) for n, points in zip(shape, vectors.shape[1:], strict=True))
    down, across = (down @ vectors).astype(np.float32), across.T.astype(np.float32)
    field = np.empty((2, *shape), np.float32)
    step = max(1, 2**15 // shape[1])  # small products stay in this thread: others are busy with the training
    for top in range(0, shape[0], step):
        np.matmul(down[:, top : top + step], across, out=field[:, top : top + step])
    return field


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Random changes that leave the meaning of an image alone: ``augment(image, labels, rng, weights=None)``.

    Each option says how far a change may go, and 0 turns it off; each call draws anew within these bounds. The defaults
    suit microscopy, where up and down mean nothing. ``elastic`` is the paper's 10 pixels, for tiles of 200 pixels and
    more: smaller ones would fold. An instance is what ``unetbook.training.Tiles`` takes as ``augment``.

    image: floats (H, W, C) in [0, 1]; labels: integers (H, W); weights: numbers (H, W) or ``None``; rng: a NumPy
    ``Generator``. Returns (image, labels) or (image, labels, weights) of the same size: the image float32 in [0, 1],
    labels of their own dtype, weights float32. The draws come from two generators spawned from ``rng``, one for the
    geometry and one for gray values: the same seed gives the same turns with and without noise, and what is drawn from
    ``rng`` itself stays the same for all augmenters. Raises ``ValueError`` or ``TypeError`` naming the fix. Chapter 07.
    """

    flip: bool = True  # mirrored upside down, and left to right, each in half of the draws
    rotation: float = 180.0  # degrees, either way, about the center
    shift: float = 0.0  # pixels, either way along each axis; random tiles are shifted as it is
    zoom: float = 0.1  # objects become 1 / (1 + zoom) to 1 + zoom times as large
    elastic: float = 10.0  # standard deviation of the displacements of control points, in pixels
    grid: int = 3  # control points along each axis
    blur: float = 1.0  # standard deviation of a Gaussian, in pixels
    gamma: float = 0.2  # gray values to the power of 1 / (1 + gamma) to 1 + gamma
    gain: float = 0.2  # contrast about the image's mean times 1 / (1 + gain) to 1 + gain
    offset: float = 0.05  # added to all gray values, either way
    noise: float = 0.02  # standard deviation of Gaussian noise, of each pixel and channel on its own

    def __post_init__(self):
        """Refuse amounts that mean nothing."""
        _check_grid(self.grid)
        for field in fields(self):
            if field.name != "grid":
                _check_amount(field.name, getattr(self, field.name))

    def __call__(self, image, labels, rng, weights=None) -> tuple:
        """One draw for all that is given."""
        image, labels, weights = _checked(image, labels, rng, weights)
        geometry, gray = rng.spawn(2)
        image, *rest = _warp(image, labels, weights, self.coordinates(labels.shape, geometry))
        return (self.shade(image, gray), *rest)

    def coordinates(self, shape, rng) -> np.ndarray:
        """Draw where each pixel of the result lies in the input: float32 (2, H, W), row and column.

        For a pixel p and the center c: turned(p - c) / zoom + c + shift + displacement(p). All is drawn whatever the
        options, so that two augmenters with one seed differ only where their options do.
        """
        signs = 1 - 2 * bool(self.flip) * rng.integers(2, size=2)
        angle = np.deg2rad(self.rotation * rng.uniform(-1, 1))
        zoom = _factor(self.zoom, rng)
        shift = self.shift * rng.uniform(-1, 1, 2)
        places = displacement(shape, self.elastic * rng.standard_normal((2, self.grid, self.grid)))

        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * signs / zoom
        center = (np.array(shape) - 1) / 2
        down, across = np.arange(shape[0]) - center[0], np.arange(shape[1]) - center[1]
        for axis in (0, 1):
            places[axis] += (turn[axis, 0] * down).astype(np.float32)[:, None]
            places[axis] += (turn[axis, 1] * across + center[axis] + shift[axis]).astype(np.float32)
        return places

    def shade(self, image, rng) -> np.ndarray:
        """Draw other gray values, in the order of a microscope: optics (blur), gamma, contrast and offset, noise.

        image: float32 (H, W, C) in [0, 1]. Returns the same, clipped to [0, 1]; all but the noise is one draw for all
        channels. Raises ``ValueError`` for images of another range.
        """
        low, high = float(image.min()), float(image.max())
        if not -1e-3 <= low <= high <= 1 + 1e-3:
            raise ValueError(
                f"gray values run from {low:.4g} to {high:.4g}: scale them to [0, 1] before they are augmented"
            )
        blur, noise = float(self.blur * rng.random()), float(self.noise * rng.random())
        gamma, gain = _factor(self.gamma, rng), _factor(self.gain, rng)
        offset = float(self.offset * rng.uniform(-1, 1))

        image = np.clip(image, 0, 1)
        if blur:
            blurred = cv2.GaussianBlur(image, (0, 0), blur, borderType=cv2.BORDER_REFLECT_101)
            image = blurred.reshape(image.shape)  # OpenCV drops a single channel
        if gamma != 1:
            image = image**gamma
        image = gain * image + ((1 - gain) * float(image.mean()) + offset)
        if noise:
            image += noise * rng.standard_normal(image.shape, np.float32)
        return np.clip(image, 0, 1, out=image)


def _factor(spread, rng) -> float:
    """A factor between 1 / (1 + spread) and 1 + spread, as often below 1 as above."""
    return float((1 + spread) ** rng.uniform(-1, 1))


@lru_cache(maxsize=32)  # tiles of a training are all of one size
def _spline_weights(length, points):
    """What each control point adds to each of ``length`` pixels: (length, points), by cubic B-splines, mirrored."""
    places = np.linspace(0, points - 1, length)
    return np.stack([ndimage.map_coordinates(one, [places], order=3, mode="mirror") for one in np.eye(points)], axis=1)


def _warp(image, labels, weights, coordinates):
    """Everything at the given places: the image interpolated bicubically within its range, the rest nearest."""
    rows, columns = coordinates
    low, high = image.min(), image.max()
    channels = [_remap(image[..., first : first + 4], rows, columns) for first in range(0, image.shape[2], 4)]
    warped = np.concatenate(channels, axis=-1) if len(channels) > 1 else channels[0]
    np.clip(warped, low, high, out=warped)  # bicubic interpolation overshoots at edges
    return (warped, *(_nearest(plane, rows, columns) for plane in (labels, weights) if plane is not None))


def _remap(image, rows, columns, how=cv2.INTER_CUBIC):
    """OpenCV's remap for one to four channels, with mirrored borders: (H, W, C)."""
    moved = cv2.remap(np.ascontiguousarray(image), columns, rows, how, borderMode=cv2.BORDER_REFLECT_101)
    return moved.reshape(image.shape)


def _nearest(plane, rows, columns):
    """The nearest pixels of (H, W) in any dtype: they are moved as words of bits, since OpenCV knows few dtypes."""
    word = {1: np.uint8, 2: np.uint16}.get(plane.itemsize, np.int32)
    words = np.ascontiguousarray(plane).view(word).reshape(*plane.shape, -1)
    return _remap(words, rows, columns, cv2.INTER_NEAREST).view(plane.dtype).reshape(plane.shape)


def _checked(image, labels, rng, weights):
    """The image and weights as float32, the labels as they are, or an error that names what does not fit."""
    image, labels = np.asarray(image), np.asarray(labels)
    if image.ndim != 3 or 0 in image.shape or max(image.shape[:2]) > LONGEST:
        raise ValueError(
            f"one image (H, W, C) is augmented at a time, each side 1 to {LONGEST} pixels, not an array of shape "
            f"{image.shape}: loop over a batch, add [..., None] to a single channel, cut a large image into tiles"
        )
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"the image is {image.dtype}: scale it to floats, for uint8 image.astype('float32') / 255")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels are {labels.dtype}: they must be integers, for instance (mask > 0.5).astype(int)")
    planes = {"image": image, "labels": labels}
    if weights is not None:
        planes["weights"] = weights = np.asarray(weights, np.float32)
    for name, plane in planes.items():
        if plane.shape[:2] != image.shape[:2] or plane.ndim != (3 if name == "image" else 2):
            raise ValueError(f"{name} of shape {plane.shape} do not match an image of shape {image.shape}")
        if name != "labels" and not np.isfinite(plane).all():
            raise ValueError(f"NaN or infinity in the {name}: repair such pixels, or drop the image")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a generator such as numpy.random.default_rng(0), not {rng!r}")
    return image.astype(np.float32, copy=False), labels, weights


def _check_amount(name, value):
    if not isinstance(value, (Real, np.bool_)) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a finite number from 0 (off) up, not {value!r}")


def _check_grid(grid):
    if not isinstance(grid, (int, np.integer)) or grid < 2:
        raise ValueError(f"grid must be an integer of at least 2 control points along each axis, not {grid!r}")
