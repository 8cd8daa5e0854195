"""TIFF files, also BigTIFF, OME-TIFF and stacks of ImageJ, decoded by tifffile and imagecodecs, whatever packs them."""

import io
import logging
import math
import re
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC, TIFF

from unetbook.images.picture import AGAIN, MICROMETERS, Picture, Unreadable, check_fits, ramp_step, size_of_pixels

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEGS = {6, 7, 34892, 33007}  # compressions whose YCbCr tifffile decodes to RGB
KNOWN = {PHOTOMETRIC.SEPARATED: "CMYK, the colors of print", PHOTOMETRIC.YCBCR: "YCbCr, without JPEG"}
ENDED = {7, 33003, 33005, 34712}  # JPEG and JPEG 2000, whose data end in a mark
ALPHA = (1, 2)  # of ExtraSamples; 0 is a channel of no stated meaning
MANY = 100  # errors of one file, after which the others do not count
UNKNOWN = "IQ"  # letters that tifffile gives to pages of which the file says nothing


def picture(data) -> Picture:
    """The pictures of these bytes. Raises ``Unreadable``, and ``ValueError`` for a file that is damaged."""
    problem = None
    try:
        with complaints() as messages, tifffile.TiffFile(io.BytesIO(data)) as file:
            try:
                found = _decoded(file, data)
            except (Unreadable, NotImplementedError, ImportError) as error:
                problem = error
    except MemoryError:
        raise Unreadable("is larger than this machine's memory: cut it into parts") from None
    except Exception as error:  # a damaged TIFF fails in many ways: struct.error, zlib.error, TiffFileError ...
        raise ValueError(f"is damaged or cut short ({error}): {AGAIN}") from error
    if messages:  # a list of pages that breaks off is only logged, and the pages before it are returned
        raise ValueError(f"is damaged or cut short ({messages[0]}): {AGAIN}")
    if isinstance(problem, Unreadable):
        raise problem
    if problem:
        raise Unreadable(f"cannot be decoded ({problem}): save it in gray or RGB, without compression")
    return found


@contextmanager
def complaints():
    """Collect, instead of printing, what tifffile logs as an error; ``ValueError`` where that does not end."""
    messages = []

    def emit(record):
        messages.append(record.getMessage())
        if len(messages) > MANY:  # a list of pages that runs in a circle of damaged ones
            raise ValueError(messages[0])

    handler = logging.Handler(logging.ERROR)
    handler.emit = emit
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _decoded(file, data):
    series, notes = _main(file)
    page = series.keyframe
    _check_kind(page)
    check_fits(page.imagewidth, page.imagelength, 2 * series.size * page.dtype.itemsize)  # and a copy, turned
    _check_whole(series, data)
    pixels = series.asarray()
    stack = [i for i, axis in enumerate(series.axes) if axis not in "YXCS" and pixels.shape[i] > 1]
    single = [i for i, axis in enumerate(series.axes) if axis not in "YXCS" and pixels.shape[i] == 1]
    last = [series.axes.index(axis) for axis in "YXCS" if axis in series.axes]
    pixels = pixels.transpose(*single, *stack, *last)
    shape = pixels.shape[len(single) : len(single) + len(stack) + 2]
    axes = "".join(series.axes[i] for i in stack)
    if set(axes) & set(UNKNOWN):
        notes.append(f"does not say what its {math.prod(shape[:-2])} pages are: they are read as slices")
    size, of_size = _pixel_size(file, series)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * pixels.dtype.itemsize
    if pixels.dtype.kind == "u" and bits not in (1, 2, 4, 8, 16, 32, 64):
        notes.append(f"has {bits} bits a pixel, so that {2**bits - 1} is white")
    found = Picture(pixels.reshape(*shape, -1), axes, size, bits, notes=(*notes, *of_size))
    found = _as_shown(found, page)
    color = 3 if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) else 1
    extra = page.extrasamples[:1]
    if extra and (extra[0] in ALPHA or (color == 3 and _opaque(found))):
        found = found.without_alpha(color)
    tag = page.tags.get(274)
    return found.turned(int(tag.value) if tag else 1, "TIFF orientation tag")


def _main(file):
    """The series of the largest pictures, and notes on smaller ones beside it; two of one size are refused."""
    every = [series for series in file.series if {"Y", "X"} <= set(series.axes)]
    if not every:
        raise ValueError("no pixels")
    main = max(every, key=lambda series: _area(series.keyframe))
    notes = []
    for other in every:
        if other is main:
            continue
        if 4 * _area(other.keyframe) > _area(main.keyframe) and not other.keyframe.is_reduced:
            shapes = ", ".join(str(series.shape) for series in every[:4])
            raise Unreadable(
                f"holds {len(every)} pictures or stacks, of shapes {shapes}: save each in a file of its own"
            )
        notes.append(f"also holds a smaller picture, {other.shape}, which is left out")
    if len(main.levels) > 1:
        notes.append(f"is a pyramid of {len(main.levels)} levels: the largest is read")
    return main, notes


def _area(page):
    return page.imagewidth * page.imagelength


def _check_kind(page):
    """``Unreadable`` for samples, colors and compressions that cannot be read as they are meant."""
    convert = "save it in gray or RGB, with LZW or without compression"
    if page.dtype is None:
        raise Unreadable(f"holds samples of {page.bitspersample} bits of a kind that cannot be read: {convert}")
    if page.dtype.kind not in "buif":
        raise Unreadable(f"holds {page.dtype}: save one real number a pixel")
    if page.compression != 1 and page.compression not in TIFF.DECOMPRESSORS:
        raise Unreadable(f"is compressed as {_name(page.compression)}, which cannot be read: {convert}")
    plain = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE)
    if page.photometric not in plain and not (page.photometric == PHOTOMETRIC.YCBCR and page.compression in JPEGS):
        raise Unreadable(f"stores its pixels as {KNOWN.get(page.photometric) or _name(page.photometric)}: {convert}")
    if page.photometric == PHOTOMETRIC.MINISWHITE and page.dtype.kind not in "bu":
        raise Unreadable(f"counts {page.dtype} from white: save it with black as 0")
    if page.photometric == PHOTOMETRIC.PALETTE and (page.colormap is None or page.dtype.kind != "u"):
        raise Unreadable("has a palette that cannot be used: save it in gray or RGB")


def _name(value):
    return getattr(value, "name", value)


def _check_whole(series, data):
    """``ValueError`` for a strip that is not whole in the file: decoders would fill it with zeros or gray."""
    for page in series.pages:
        if page is None and series.dataoffset is None:
            raise Unreadable("is one file of a set, and the others are not in it: save the set as one file")
        if page is None or series.keyframe.is_contiguous:
            continue
        offsets, counts = page.dataoffsets, page.databytecounts
        if min(len(offsets), len(counts)) < math.prod(series.keyframe.chunked) or not (all(offsets) and all(counts)):
            raise ValueError("a strip or tile has no pixels")
        ends = list(map(sum, zip(offsets, counts, strict=False)))
        if max(ends) > len(data):
            raise ValueError("a strip or tile ends after the end of the file")
        if series.keyframe.compression in ENDED:
            strips = (data[max(start, end - 4096) : end] for start, end in zip(offsets, ends, strict=False))
            if not all(b"\xff\xd9" in strip.rstrip(b"\0")[-64:] for strip in strips):
                raise ValueError("a strip or tile breaks off")


def _as_shown(found, page):
    """The picture with black as 0, less than 8 bits stretched to 0 .. 255, and a palette's colors."""
    pixels, bits = found.pixels, found.bits
    if page.photometric == PHOTOMETRIC.PALETTE:
        colors = np.asarray(page.colormap).T
        colors = (colors >> 8 if colors.max() > 255 else colors).astype(np.uint8)
        shown = colors[pixels[..., 0]]
        shown = shown[..., :1] if (colors == colors[:, :1]).all() else shown
        return replace(found, pixels=shown, bits=8, step=ramp_step(colors))
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        pixels = ~pixels if pixels.dtype == bool else (2**bits - 1 - pixels).astype(pixels.dtype)
        found = replace(found, from_white=True)
    if bits in (1, 2, 4):
        step = 255 // (2**bits - 1)
        return replace(found, pixels=pixels.astype(np.uint8) * np.uint8(step), bits=8, step=step)
    return replace(found, pixels=pixels)


def _opaque(found):
    """Whether a fourth channel of no stated meaning is white everywhere."""
    return (
        found.pixels.shape[-1] == 4
        and found.pixels.dtype.kind == "u"
        and (found.pixels[..., 3] == 2**found.bits - 1).all()
    )


def _pixel_size(file, series):
    """The size of a pixel in micrometers that OME, ImageJ or the TIFF's resolution tells, and notes."""
    if file.is_ome:
        return size_of_pixels(*_ome_sizes(file.ome_metadata or "", [one is series for one in file.series].index(True)))
    x, y = (_inverse(series.keyframe.tags.get(tag)) for tag in (282, 283))
    if file.is_imagej:
        unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "\u00b5")
    else:
        tag = series.keyframe.tags.get(296)
        unit = {2: "inch", 3: "cm"}.get(int(tag.value) if tag else 1)
    return size_of_pixels(*(MICROMETERS.get(unit, 0) * each for each in (x, y)))


def _ome_sizes(xml, number):
    """Width and height of a pixel in the image of that number, in micrometers; 0 where they are not told."""
    every = re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", xml)
    told = dict(re.findall(r'\b(PhysicalSize[XY](?:Unit)?)="([^"]*)"', every[number])) if number < len(every) else {}
    names = ("PhysicalSizeX", "PhysicalSizeY")
    return [_number(told.get(name)) * MICROMETERS.get(told.get(f"{name}Unit", "um"), 0) for name in names]


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0


def _inverse(tag):
    """One over the resolution, a fraction, of a tag; 0 where there is none."""
    pixels, units = tag.value if tag and isinstance(tag.value, tuple) and len(tag.value) == 2 else (0, 0)
    return units / pixels if pixels else 0.0
