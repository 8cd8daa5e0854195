"""Read a picture, a stack or a mask, of whatever format, or say what is wrong with it."""

import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from unetbook.images import rasters, tiffs
from unetbook.images.picture import Picture

EDGE = np.ones((5, 5), np.uint8)  # how far from an edge JPEG and smoothing leave grays


def read(path) -> Picture:
    """The picture or stack of a file, whose ``image`` is in [0, 1].

    Raises ``OSError``, and ``ValueError`` naming the file when it is damaged or cut short, has transparent pixels or
    colors of print, or holds other numbers than 8 or 16 bits without a sign, or floats in [0, 1], which are kept.
    """
    return picture(Path(path).read_bytes(), path)


def picture(data: bytes, where) -> Picture:
    """``read`` for the bytes of a file; ``where`` names it in errors."""
    found = _decoded(data, where)
    if found.from_white:
        found = replace(found, notes=(*found.notes, "counts from white: it is read as it is shown, black as 0"))
    pixels = found.pixels
    if pixels.dtype.kind == "f":
        low, high = pixels.min(), pixels.max()
        if not (low >= 0 and high <= 1):  # NaN is not, either
            raise ValueError(
                f"{where} holds {pixels.dtype} from {low:.4g} to {high:.4g}, and floats are read in [0, 1]: divide "
                "them by the value that is white, the same for all pictures, or save 8 or 16 bits"
            )
        return found
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"{where} holds {pixels.dtype} from {pixels.min()} to {pixels.max()}, and 8 or 16 bits without a sign are "
            "read: convert it, by image.astype('uint16') where that keeps the values"
        )
    return found


def image(data: bytes, where, channels=None) -> np.ndarray:
    """One picture as float32 (H, W, C), scaled to [0, 1]: C is 1 for gray, 3 for RGB, or what a TIFF holds.

    An opaque alpha channel is dropped. ``channels`` asks for a number of them. Raises ``ValueError`` naming ``where``
    as ``read`` does, for a stack, and for another number of channels; warns of the picture's notes.
    """
    found = _single(picture(data, where), where)
    if channels not in (None, found.pixels.shape[2]):
        raise ValueError(f"{where} has {found.pixels.shape[2]} channel(s) and {channels} were expected: convert it")
    return found.image()


def mask(data: bytes, where, like=None, numbers=False, binary=False) -> np.ndarray:
    """The mask, (H, W) when it is gray, also when saved as RGB, and (H, W, 3) when it has colors; floats as integers.

    A palette gives its colors, and pixels of less than 8 bits are stretched to 0 .. 255; in files that count from white
    stored numbers count, with a warning. With ``numbers`` the values are class indices or numbers of objects: those
    that are stored, also of few bits, and of palettes that are ramps of gray; other palettes are refused. With
    ``binary``, black and one color are read as 0 and 1, and so is a JPEG whose grays lie at edges, each with a warning.
    Raises ``ValueError`` as ``read`` does, for a stack, for floats that are no whole numbers from 0 up, for a JPEG
    otherwise, and when the size is not that of the image ``like``.
    """
    found = _decoded(data, where)
    if found.from_white:  # as ImageJ writes masks with its inverting table, and tifffile those of booleans
        stored = (2**found.bits - 1 - found.pixels).astype(found.pixels.dtype)
        note = "counts from white, and its numbers are read as they are stored: 0, shown white, is background"
        found = replace(found, pixels=stored, notes=(*found.notes, note))
    found = _single(found, where)
    if like is not None and found.pixels.shape[:2] != like.shape[:2]:
        raise ValueError(_of_another_size(found.pixels, like, where))
    pixels = _whole(found.pixels, where)
    pixels = pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels
    two = _of_two(pixels, data.startswith(rasters.JPEG), found.step) if binary else None
    if two is not None:
        warnings.warn(f"{where} {two[1]}", stacklevel=3)
        return two[0]
    if data.startswith(rasters.JPEG):
        raise ValueError(f"{where} is a JPEG, which changes values: save masks as PNG or TIFF")
    if not numbers:
        return pixels
    if found.step is None:
        raise ValueError(
            f"{where} has a palette, so that its values may be the stored numbers or their colors: save the numbers, "
            "numpy.array(PIL.Image.open(path)), as a gray PNG, or list the colors of classes in classes="
        )
    return pixels // found.step if found.step > 1 else pixels


def _decoded(data, where):
    try:
        return (tiffs if data.startswith(tiffs.STARTS) else rasters).picture(data)
    except ValueError as error:
        raise ValueError(f"{where} {error}") from error


def _single(found, where):
    if found.axes:
        raise ValueError(
            f"{where} holds several pictures, of shape {found.pixels.shape[:-1]} along {found.axes}YX: save one "
            "picture a file"
        )
    for note in found.notes:
        warnings.warn(f"{where} {note}", stacklevel=4)
    return found


def _of_another_size(pixels, like, where):
    turned = pixels.shape[:2] == like.shape[1::-1]
    fix = (
        "one of them was turned, and the other was not: turn it, or save both without an orientation"
        if turned
        else ("get the original, or resize it without interpolation (nearest neighbor)")
    )
    sizes = f"{where} is {pixels.shape[1]} x {pixels.shape[0]} pixels and its image {like.shape[1]} x {like.shape[0]}"
    return f"{sizes}: a mask must have the size of its image; {fix}"


def _whole(pixels, where):
    """The values of a mask as integers: floats must be whole numbers from 0 up."""
    if pixels.dtype.kind != "f":
        return pixels
    with np.errstate(invalid="ignore"):
        whole = pixels.astype(np.int64)
    if (whole != pixels).any() or whole.min() < 0:
        raise ValueError(
            f"{where} holds {pixels.dtype} from {pixels.min():.4g} to {pixels.max():.4g}, not whole numbers from 0 up: "
            "a map of probabilities becomes a mask by a threshold, such as map > 0.5"
        )
    return whole


def _of_two(pixels, jpeg, step):
    """A mask of two kinds of pixels as 0 and 1, and what to tell of it; ``None`` where it is not one."""
    if jpeg:
        gray = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
        dark, bright = (gray <= 64).astype(np.uint8), (gray >= 191).astype(np.uint8)
        at_edges = cv2.dilate(dark, EDGE) & cv2.dilate(bright, EDGE)
        if not (dark | bright | at_edges).all():
            return None
        return (gray > 127).astype(np.uint8), "is a JPEG, which changes values: it is cut at half; save masks as PNG"
    if pixels.ndim == 2 and step is not None:
        return None
    pixels = np.atleast_3d(pixels)
    lit = pixels.any(axis=2)
    colors = pixels[lit]
    if lit.all() or (colors != colors[:1]).any():
        return None
    color = tuple(colors[0].tolist()) if len(colors) else "nothing else"
    return lit.astype(np.uint8), f"has two colors: black is read as background, {color} as object"
