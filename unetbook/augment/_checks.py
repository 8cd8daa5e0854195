"""Checks that all augmentations share: each error names the fix."""

from numbers import Real

import numpy as np

LONGEST = 2**15 - 2  # pixels along an axis: OpenCV keeps coordinates in 16 bits (and one pixel has no mirror image)


def checked(image, labels, rng, weights):
    """The image and weights as float32, the labels as they are, or an error that names what does not fit."""
    image, labels = np.asarray(image), np.asarray(labels)
    if image.ndim != 3 or 0 in image.shape or min(image.shape[:2]) < 2 or max(image.shape[:2]) > LONGEST:
        raise ValueError(
            f"one image (H, W, C) is augmented at a time, each side 2 to {LONGEST} pixels, not an array of shape "
            f"{image.shape}: loop over a batch, add [..., None] to a single channel, cut a large image into tiles"
        )
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"the image is {image.dtype}: scale it to floats, for uint8 image.astype('float32') / 255")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels are {labels.dtype}: they must be integers, for instance (mask > 0.5).astype(int)")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
        image = image.astype(np.float32, copy=False)
        weights = None if weights is None else np.asarray(weights, np.float32)
    planes = {"image": image, "labels": labels} | ({} if weights is None else {"weights": weights})
    for name, plane in planes.items():
        if plane.shape[:2] != image.shape[:2] or plane.ndim != (3 if name == "image" else 2):
            raise ValueError(f"{name} of shape {plane.shape} do not match an image of shape {image.shape}")
        if name != "labels" and not np.isfinite(plane).all():
            raise ValueError(f"NaN or infinity in the {name}: repair such pixels, or drop the image")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a generator such as numpy.random.default_rng(0), not {rng!r}")
    return image, labels, weights


def check_amount(name, value):
    """``value`` is an amount of change."""
    if not isinstance(value, (Real, np.bool_)) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a finite number from 0 (off) up, not {value!r}")


def check_grid(grid):
    """``grid`` is a number of control points."""
    if not isinstance(grid, (int, np.integer)) or grid < 2:
        raise ValueError(f"grid must be an integer of at least 2 control points along each axis, not {grid!r}")
