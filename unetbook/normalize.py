"""Rules that bring images of one task to one look before a network sees them.

A stored network names the rule that it was trained with (``store``, entry ``"normalize"``), and
``python -m unetbook predict`` applies it. All rules take and return float32 (H, W, C) in [0, 1].
"""

import cv2
import numpy as np

from unetbook import checks

LOW, HIGH = 1.0, 99.8  # percentiles that become 0 and 1
FEW = 20  # pixels; the smallest nucleus of the Data Science Bowl has 21
LIGHT = 0.3  # of the stretched median: in the Data Science Bowl at most 0.19 on dark ground and at least 0.43 on light
SMOOTH = 1.5  # pixels, before lines of equal gray are followed
EDGES = 0.1  # of the pixels, those where gray changes most
CLEAR = 0.05  # share of the edges, beyond one half, that bend one way; no image of the Data Science Bowl bends wrong
STRAIGHT = 1e-3  # 1 / pixels, the curvature of an edge that does not bend
PAIR = 28  # pixels at which an edge is seen once: smoothing makes neighbors alike, over 4 pi SMOOTH^2
LITTLE = 0.1  # of the range: a picture that uses less is told of
GROUNDS = (None, "dark", "light")


def as_floats(image) -> np.ndarray:
    """One picture of the usual kinds as float32 (H, W, C) in [0, 1]; integers by their full range.

    image: (H, W) or (H, W, C), uint8, uint16, or floats in [0, 1]. Raises ``TypeError`` for another dtype,
    ``ValueError`` for another shape, no pixels, NaN, infinity, or floats beyond [0, 1], each with the fix.
    """
    image = np.asarray(image)
    checks.shaped(image, "one picture (H, W) or (H, W, C)", "the image", "give them one at a time")
    if image.dtype in (np.uint8, np.uint16):
        image = image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
    elif not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"an image is uint8, uint16 or floats in [0, 1], not {image.dtype}: convert it, for 12 bits "
            "image.astype('float32') / 4095"
        )
    return _checked(image[..., None] if image.ndim == 2 else image)


def picked(image, channels) -> np.ndarray:
    """Some channels of an image (H, W, C), in this order: indices from 0, or one of them.

    Raises ``ValueError`` for an index that the image does not have, and for none.
    """
    wanted = np.atleast_1d(channels)
    there = image.shape[2]
    if not wanted.size or wanted.ndim > 1 or not all(isinstance(n, np.integer) and 0 <= n < there for n in wanted):
        raise ValueError(f"channels must be indices from 0 to {there - 1}, such as (0,), not {channels!r}")
    return image[..., wanted]


def as_it_is(image) -> np.ndarray:
    """The image as the reader scaled it: the full range of its integers is [0, 1]."""
    return _checked(image)


def bright_on_dark(image, ground=None) -> np.ndarray:
    """Objects bright on a dark ground, for fluorescence, bright field and stains alike: light ground is inverted.

    Then the percentiles 1 and 99.8 of all values become 0 and 1; one pair for all channels, so that colors stay apart.
    Values beyond are clipped, and the square root is taken, so that dim objects are seen beside bright ones. A constant
    image becomes 0, and one whose range is less than a step of its integers keeps that: its noise is not blown up.
    Exposure, gain and bit depth do not matter. ground: "dark" or "light" where you know it; ``None`` asks
    ``light_ground``.
    """
    image = _checked(image)
    if _is_light(image, ground):
        image = 1 - image
    low, high = np.percentile(image, [LOW, HIGH])
    return np.sqrt(np.clip((image - np.float32(low)) / np.float32(max(high - low, _step(image))), 0, 1))


def bright_on_dark_linear(image, ground=None) -> np.ndarray:
    """``bright_on_dark`` without the square root: what the root does can be measured against it."""
    return bright_on_dark(image, ground) ** 2


def light_ground(image) -> bool:
    """Whether an image (H, W, C) shows its objects on a light ground, by how its edges bend, or by its median.

    Objects are convex, on the whole, and edges bend around them: where clearly more edges bend around what is dark, the
    ground is light, however much of it is covered. Where it is not clear, the median of the gray values decides: most
    pixels are ground. It is compared with the image's own range and not with the range of its integers, which a dim
    lamp or a 12-bit camera leaves mostly unused. In a nearly empty picture that range is one of noise: where its
    ``FEW`` brightest pixels lie far further from the median than its darkest, the ground is dark.
    """
    gray = np.mean(image, axis=2, dtype=np.float32)
    bend, margin = _bend(gray)
    if abs(bend) > margin:
        return bend < 0
    low, middle, high = np.percentile(gray, [LOW, 50, HIGH])
    few = min(FEW, gray.size) - 1
    darkest, brightest = np.partition(gray.ravel(), [few, gray.size - 1 - few])[[few, gray.size - 1 - few]]
    nearly_empty = brightest - middle > 2 * (middle - darkest)
    return bool(middle - low > LIGHT * max(high - low, _step(image)) and not nearly_empty)


def _bend(gray):
    """Share of the edges that bend around what is bright, less one half, and how far that is from 0 by chance.

    The curvature of a line of equal gray is (Ixx Iy^2 - 2 Ixy Ix Iy + Iyy Ix^2) / |grad I|^3, negative around bright
    things. Only its sign counts, so that the few sharp inner corners where objects touch do not decide.
    """
    if min(gray.shape) < 3:
        return 0.0, 1.0
    smooth = cv2.GaussianBlur(gray, (0, 0), SMOOTH)
    down, across = np.gradient(smooth)
    slope = np.hypot(across, down)
    many, steepest = np.quantile(slope, [1 - EDGES, 0.999])
    edges = slope >= max(many, steepest / 4, 1e-5)  # the last is above rounding
    if not edges.any():
        return 0.0, 1.0
    (down2, mixed), across2 = np.gradient(down), np.gradient(across, axis=1)
    bent = across2 * down**2 - 2 * mixed * across * down + down2 * across**2
    curvature = bent[edges] / slope[edges] ** 3
    signs = np.where(np.abs(curvature) > STRAIGHT, -np.sign(curvature), 0)
    return float(signs.mean() / 2), max(CLEAR, 0.5 * (PAIR / signs.size) ** 0.5)


def _is_light(image, ground):
    if ground not in GROUNDS:
        raise ValueError(f"ground must be 'dark', 'light' or None, which looks, not {ground!r}")
    return light_ground(image) if ground is None else ground == "light"


def stretched(image) -> np.ndarray:
    """The image between its percentiles, not inverted: for phase contrast, and to be looked at."""
    image = _checked(image)
    low, high = np.percentile(image, [LOW, HIGH])
    return np.clip((image - np.float32(low)) / np.float32(max(high - low, _step(image))), 0, 1)


def _step(image) -> float:
    """The least range that is stretched: one step of 8-bit values, eight of 16-bit values."""
    eight_bits = np.abs(image * 255 - np.round(image * 255)).max() < 1e-3
    return 1 / 255 if eight_bits else 8 / 65535


RULES = {rule.__name__: rule for rule in (as_it_is, bright_on_dark, stretched, bright_on_dark_linear)}
LOOK = ("bright_on_dark", "bright_on_dark_linear")  # rules that ask for the ground


def rule(name):
    """The rule of that name; ``ValueError`` with the known names for an unknown one."""
    if name not in RULES:
        raise ValueError(f"there is no normalization {name!r}: known are {', '.join(RULES)}")
    return RULES[name]


def applied(name, image, ground=None, stretch=False) -> np.ndarray:
    """The image by the rule of that name, with what a person knows better.

    ground: "dark" or "light", for rules that would look. stretch: the rule ``as_it_is`` sees the image ``stretched``,
    as for 12 bits in a file of 16; other rules stretch by themselves. Raises ``ValueError`` for a ground where the rule
    does not ask for it.
    """
    use = rule(name)
    if name in LOOK:
        return use(image, ground)
    if ground is not None:
        raise ValueError(f"this network's rule {name!r} does not ask for the ground: leave ground={ground!r} out")
    return use(stretched(image) if stretch and use is as_it_is else image)


def described(name, image, ground=None, stretch=False) -> list[str]:
    """What ``applied`` does to an image (H, W, C) that a person should know, in words; empty where that is nothing."""
    image = _checked(image)
    if name in LOOK:
        kind = "light ground, inverted" if _is_light(image, ground) else "dark ground"
        return [kind if ground else f"taken for {kind}"]
    low, high = np.percentile(image, [LOW, HIGH])
    if name != as_it_is.__name__:
        return []
    if stretch:
        return [f"stretched from {low:.3g} to {high:.3g}"]
    used = f"its values use {100 * (high - low):.0f} % of their range: stretch them (--stretch)"
    return [used] if high - low < LITTLE else []


def _checked(image):
    """The image as float32, or an error that says what is wrong."""
    image = np.asarray(image)
    checks.shaped(image, "one picture (H, W, C)", "the image")
    checks.floats(image, "image")
    checks.finite(image, "the image", "repair it before it is normalized")
    checks.unit_range(image, "gray values", "scale them to [0, 1] first", 1e-3)
    return image.astype(np.float32)
