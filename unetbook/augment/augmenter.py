"""All random changes of a training picture in one draw."""

import warnings
from dataclasses import dataclass, fields
from functools import cache

import cv2
import numpy as np

from unetbook import checks
from unetbook.augment._warp import check_grid, checked, strips, warp, whole
from unetbook.augment.deformation import SAFE, folds

OFTEN = 0.05  # of the draws: folds that a warning tells of


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Random changes that leave the meaning of an image alone: ``augment(image, labels, rng, weights=None)``.

    Each option says how far a change may go, and 0 turns it off; each call draws anew within these bounds. The defaults
    suit microscopy, where up and down mean nothing. ``elastic`` is the paper's 10 pixels, for tiles of 200 pixels and
    more: smaller ones would fold, and a warning tells. An instance is what ``unetbook.training.Tiles`` takes as
    ``augment``.

    image: floats (H, W, C) in [0, 1]; labels: integers (H, W); weights: numbers (H, W) or ``None``; rng: a NumPy
    ``Generator``. Returns (image, labels) or (image, labels, weights) of the same size: the image float32 in [0, 1],
    labels of their own dtype, weights float32. The draws come from two generators spawned from ``rng``, one for the
    geometry and one for gray values: the same seed gives the same turns with and without noise, and what is drawn from
    ``rng`` itself stays the same for all augmenters. Raises ``ValueError`` or ``TypeError`` naming the fix.
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
        check_grid(self.grid)
        if self.flip not in (False, True):
            raise ValueError(f"flip must be True or False, not {self.flip!r}")
        for field in fields(self):
            if field.name != "grid":
                checks.amount(getattr(self, field.name), field.name, "0 is off")

    def __call__(self, image, labels, rng, weights=None) -> tuple:
        """One draw for all that is given."""
        image, labels, weights = checked(image, labels, rng, weights)
        geometry, gray = rng.spawn(2)
        image, *rest = warp(image, labels, weights, strips(labels.shape, *self._draw(labels.shape, geometry)))
        return (self.shade(image, gray), *rest)

    def coordinates(self, shape, rng) -> np.ndarray:
        """Draw where each pixel of the result lies in the input: float32 (2, H, W), row and column.

        For a pixel p and the center c: turned(p - c) / zoom + c + shift + displacement(p). All is drawn whatever the
        options, so that two augmenters with one seed differ only where their options do.
        """
        return whole(strips(shape, *self._draw(shape, rng)))

    def _draw(self, shape, rng):
        """The few numbers of one draw: turn (2, 2), start (2,) and the displacements of the control points."""
        _warn_of_folds(tuple(shape), self.elastic, self.grid)
        signs = 1 - 2 * bool(self.flip) * rng.integers(2, size=2)
        angle = np.deg2rad(self.rotation * rng.uniform(-1, 1))
        zoom = _factor(self.zoom, rng)
        shift = self.shift * rng.uniform(-1, 1, 2)
        vectors = self.elastic * rng.standard_normal((2, self.grid, self.grid))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * signs / zoom
        center = (np.array(shape) - 1) / 2
        return turn, center + shift - turn @ center, vectors

    def shade(self, image, rng) -> np.ndarray:
        """Draw other gray values, in the order of a microscope: optics (blur), gamma, contrast and offset, noise.

        image: float32 (H, W, C) in [0, 1]. Returns the same, clipped to [0, 1]; all but the noise is one draw for all
        channels. Raises ``ValueError`` for images of another range.
        """
        image = np.asarray(image, np.float32)
        checks.unit_range(image, "gray values", "scale them to [0, 1] before they are augmented", 1e-3)
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


@cache  # once for each size of tiles
def _warn_of_folds(shape, elastic, grid):
    share = folds(shape, elastic, grid)
    if share >= OFTEN:
        safe = SAFE * (min(shape) - 1) / (grid - 1)
        warnings.warn(
            f"elastic={elastic} folds images of {shape[0]} x {shape[1]} pixels over in {share:.0%} of the draws, where "
            f"objects stand as in a mirror: give at most {safe:.1f}, or larger tiles",
            stacklevel=4,
        )
