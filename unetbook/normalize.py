"""Rules that bring images of one task to one look before a network sees them. Chapter 16.

A stored network names the rule that it was trained with (``store``, entry ``"normalize"``), and
``python -m unetbook predict`` applies it. All rules take and return float32 (H, W, C) in [0, 1].
"""

import numpy as np

LOW, HIGH = 1.0, 99.8  # percentiles that become 0 and 1
LEAST_RANGE = 1 / 255  # an image without contrast stays without: its noise is not blown up


def as_it_is(image) -> np.ndarray:
    """The image as the reader scaled it: the full range of its integers is [0, 1]."""
    return _checked(image)


def bright_on_dark(image) -> np.ndarray:
    """Objects bright on a dark ground, whatever the microscope: dark on light is inverted, then all is stretched.

    Light is an image whose median is above 1/2: most of it is ground, and the ground of stained tissue and of
    bright-field images is light, that of fluorescence dark. Then the percentiles 1 and 99.8 of all values become 0 and
    1; one pair for all channels, so that colors stay apart. Values beyond are clipped. A constant image becomes 0.
    """
    image = _checked(image)
    if np.median(image) > 0.5:
        image = 1 - image
    low, high = np.percentile(image, [LOW, HIGH])
    return np.clip((image - np.float32(low)) / np.float32(max(high - low, LEAST_RANGE)), 0, 1)


RULES = {rule.__name__: rule for rule in (as_it_is, bright_on_dark)}


def rule(name):
    """The rule of that name; ``ValueError`` with the known names for an unknown one."""
    if name not in RULES:
        raise ValueError(f"there is no normalization {name!r}: known are {', '.join(RULES)}")
    return RULES[name]


def _checked(image):
    """The image as float32, or an error that says what is wrong."""
    image = np.asarray(image)
    if image.ndim != 3 or not image.size:
        raise ValueError(f"an image must be a non-empty array (H, W, C), not of shape {image.shape}")
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"the image is {image.dtype}: scale it to [0, 1] first, for uint8 image.astype('float32') / 255"
        )
    if not np.isfinite(image).all():
        raise ValueError("the image holds NaN or infinity: repair it before it is normalized")
    low, high = float(image.min()), float(image.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(f"gray values run from {low:.4g} to {high:.4g}: scale them to [0, 1] first")
    return image.astype(np.float32)
