"""What the values of a mask mean: 0/1, 0/255, class indices, or the colors of a palette."""

import operator
from collections.abc import Mapping

import numpy as np

NEAR = 16  # gray levels: a value at most this far from 0 or 255 may be what JPEG made of them


def as_labels(mask, classes=None) -> np.ndarray:
    """Turn a mask into labels; what is ambiguous is refused with the values that the mask holds.

    mask: integers or boolean, (H, W), or (H, W, channels) with 1, 3 or 4 channels. Three equal channels count as one
    gray channel. A fourth (alpha) is dropped where it is opaque everywhere: 255, or 65535 in 16 bits.

    classes: what the values are.

    - ``None``: a binary mask, 0/1 or 0/255, in 16 bits also 0/65535. Returns 0 and 1. One value alone is fine too.
    - a number n: class indices 0 to n - 1, background included, returned as they are. A mask of 0 and 255 alone is
      refused, even where n is 256: it is binary far more often than it is two classes of 256.
    - a list in the order of the classes, of RGB colors, ``[(0, 0, 0), (255, 0, 0)]``, or of gray levels,
      ``[0, 128, 255]``. A dict from color to class index lets several colors share a class. OpenCV reads BGR: turn it
      around first, ``mask[..., ::-1]``.

    Returns int32 (H, W). Raises ``ValueError`` with values and fix: for values or colors that ``classes`` does not
    allow (JPEG leaves some), transparent pixels, negative values, another shape, and floats, even 0.0 and 1.0: whether
    they are labels or rounded probabilities only you know.
    """
    pixels = _pixels(mask)
    if classes is None:
        return _binary(_gray(pixels))
    if isinstance(classes, (int, np.integer)):
        return _indices(_gray(pixels), classes)
    return _by_palette(pixels, _palette(classes))


def _pixels(mask):
    """The mask as (H, W, 1) or (H, W, 3), boolean or integers from 0 up."""
    pixels = np.asarray(mask)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise ValueError(
            f"a mask is one image (H, W), or (H, W, channels) with 1, 3 or 4 channels, not {np.shape(mask)}: take a "
            "stack image by image; one-hot (H, W, n) becomes class indices by numpy.argmax(mask, axis=-1)"
        )
    if pixels.dtype != bool and not np.issubdtype(pixels.dtype, np.integer):
        raise ValueError(
            f"a mask is made of integers, this one is {pixels.dtype} and holds {_listed(pixels)}: threshold it, for "
            "example mask > 0.5, or make whole numbers integers, mask.round().astype(int)"
        )
    if pixels.min() < 0:
        raise ValueError(
            f"a mask has no values below 0, this one holds {_listed(pixels)}: give pixels that nobody annotated a "
            "class of their own, and weight 0 in training"
        )
    if pixels.shape[2] < 4:
        return pixels
    alpha = pixels[..., 3]
    if not any((alpha == opaque).all() for opaque in _full(pixels.dtype)):
        raise ValueError(
            f"the fourth channel should be alpha, 255 everywhere, and holds {_listed(alpha)}: decide what transparent "
            "pixels are and pass mask[..., :3]; one-hot becomes class indices by numpy.argmax(mask, axis=-1)"
        )
    return pixels[..., :3]


def _full(dtype):
    """What stands for white or opaque: 8-bit values keep their range in wider integers too."""
    return (255, 65535) if dtype == np.uint16 else (255,)


def _gray(pixels):
    """The one channel (H, W), also of a gray picture that was saved as RGB."""
    gray = pixels[..., 0]
    if pixels.shape[2] == 3 and (pixels != pixels[..., :1]).any():
        raise ValueError(
            f"the mask has colors, {_colors(pixels.reshape(-1, 3))}: list them in the order of their classes, for "
            "example classes=[(0, 0, 0), (255, 0, 0)]; save a gray mask that JPEG colored as PNG; one-hot becomes "
            "class indices by numpy.argmax(mask, axis=-1)"
        )
    return gray


def _binary(gray):
    highest = gray.max()  # two comparisons: for the thousands of masks of a data set much faster than numpy.unique
    if highest in (0, 1, *_full(gray.dtype)) and ((gray == 0) | (gray == highest)).all():
        return (gray > 0).astype(np.int32)
    raise ValueError(f"a binary mask holds 0/1 or 0/255, this one {_listed(gray)}: {_hint(gray)}")


def _hint(gray):
    """What a mask of other gray levels than 0/1 and 0/255 may be, and what to do in each case."""
    values, counts = np.unique(gray, return_counts=True)
    hints, highest = [], int(values[-1])
    bright = values > NEAR
    if highest <= 255 and counts[values >= 255 - NEAR].sum() > 0.75 * counts[bright].sum():
        hints.append("JPEG leaves such values near 0 and 255: save masks as PNG, or threshold them, mask > 127")
    if highest < 64:
        hints.append(f"if they are class indices, pass classes={highest + 1}")
    elif len(values) <= 8:
        hints.append(f"if each stands for a class, list them in the order of the classes, classes={values.tolist()}")
    elif not hints:
        hints.append(f"if it is a gray picture, threshold it, for example mask > {highest // 2}")
    return "; ".join([*hints, "if they number objects, they are labels already"])


def _indices(gray, classes):
    if classes < 2:
        raise ValueError(f"classes counts the background too: it is at least 2, not {classes}")
    highest = int(gray.max())
    if highest < classes and not (highest == 255 and np.isin(gray, (0, 255)).all()):
        return gray.astype(np.int32)
    if np.isin(gray, (0, 255)).all():
        fix = "leave classes out for a 0/255 mask"
    elif highest == 255:
        fix = "if 255 marks pixels that nobody annotated, give them a class in the mask and weight 0 in training"
    else:
        fix = f"count the background as a class, classes={highest + 1}, or subtract 1 if the classes start at 1"
    raise ValueError(f"classes={classes} means class indices 0 to {classes - 1}, the mask holds {_listed(gray)}: {fix}")


def _palette(classes):
    """Class index of each color, as {(gray,): index} or {(red, green, blue): index}."""
    try:
        pairs = list(classes.items()) if isinstance(classes, Mapping) else [(c, i) for i, c in enumerate(classes)]
        palette = {tuple(map(operator.index, np.atleast_1d(c))): operator.index(index) for c, index in pairs}
    except (TypeError, ValueError):
        palette = {}
    if {len(color) for color in palette} not in ({1}, {3}) or min(palette.values()) < 0:
        raise ValueError(
            "classes is a number, a list of gray levels or of RGB colors (three whole numbers each), or a dict from "
            f"these to class indices, not {classes!r}"
        )
    if len(palette) < len(pairs):
        raise ValueError(f"a color stands twice in classes={classes!r}: a dict lets several colors share a class")
    return palette


def _by_palette(pixels, palette):
    """The pixels' class indices, color by color."""
    if len(next(iter(palette))) == 1:
        pixels = _gray(pixels)[..., None]
    elif pixels.shape[2] == 1:
        raise ValueError(
            f"classes lists RGB colors, but the mask has one channel with {_listed(pixels)}: read the file as RGB, or "
            f"pass classes={max(palette.values()) + 1} if these are class indices"
        )
    labels = np.full(pixels.shape[:2], -1, np.int32)
    for color, index in palette.items():
        labels[(pixels == color).all(axis=-1)] = index
    unknown = pixels[labels < 0]
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} of {labels.size} pixels are in no class of the palette, {_colors(unknown)}: add these to "
            "classes, save masks as PNG if JPEG changed them, or turn OpenCV's BGR into RGB, mask[..., ::-1]"
        )
    return labels


def _listed(array, most=8):
    """The values of an array in words: all of them where they are few."""
    values = np.unique(array)
    if len(values) <= most:
        return ", ".join(str(value) for value in values.tolist())
    first, last = (", ".join(str(value) for value in part.tolist()) for part in (values[: most - 2], values[-2:]))
    return f"{first} ... {last} ({len(values)} values)"


def _colors(colors, most=4):
    """The most frequent colors of (n, channels) pixels in words, with their pixels."""
    values, counts = np.unique(colors, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    named = [f"{tuple(values[i].tolist())} in {counts[i]} pixels" for i in order]
    return ", ".join(named) + (f" and {len(values) - most} more" if len(values) > most else "")
