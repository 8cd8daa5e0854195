"""Decode one picture or mask from the bytes of a PNG, JPEG, BMP or TIFF file, or say what is wrong with it.

One rule scales images, whatever their bit depth: the full range of the stored integers becomes [0, 1], so 8 bits are
divided by 255 and 16 bits by 65535. Nothing is stretched per image: a 12-bit camera's values in a 16-bit file stay
within [0, 1/16], and it is for the user to multiply them.
"""

import io

import cv2
import numpy as np
import tifffile

from unetbook.datasets import _files

PNG, JPEG, BMP = b"\x89PNG", b"\xff\xd8", b"BM"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNPACKED_BY_TIFFFILE = {1, 8, 32946}  # none and deflate; LZW and others need a package more, or OpenCV
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a JPEG's frame, which counts its channels


def image(data: bytes, where, channels=None) -> np.ndarray:
    """The picture as float32 (H, W, 1) for gray or (H, W, 3) for RGB, scaled to [0, 1].

    An opaque alpha channel is dropped. ``channels`` asks for 1 or 3. Raises ``ValueError`` naming ``where`` when the
    file is damaged or cut short, has transparent pixels, is a JPEG in CMYK, or has another dtype or number of channels.
    """
    pixels = _pixels(data, where)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{where} holds {pixels.dtype}, and 8 or 16 bits without a sign are read: convert it")
    if channels not in (None, pixels.shape[2]):
        raise ValueError(f"{where} has {pixels.shape[2]} channel(s) and {channels} were expected: convert it")
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def mask(data: bytes, where, like=None, numbers=False) -> np.ndarray:
    """The mask, (H, W) when it is gray, also when saved as RGB, and (H, W, 3) when it has colors.

    A palette gives its colors, and pixels of less than 8 bits are stretched to 0..255; with ``numbers`` the values are
    class indices or numbers of objects, and files where these would change are refused. Raises ``ValueError`` as
    ``image`` does, and when its size is not that of the image ``like``, where one is given.
    """
    pixels = _pixels(data, where)
    if like is not None and pixels.shape[:2] != like.shape[:2]:
        raise ValueError(
            f"{where} is {_size(pixels)} pixels and its image {_size(like)}: a mask must have the size of its image; "
            "get the original, or resize it without interpolation (nearest neighbor)"
        )
    problem = numbers and _changes_numbers(data)
    if problem:
        raise ValueError(f"{where} {problem}")
    gray = pixels.ndim == 3 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if gray else pixels


def _size(pixels):
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def _changes_numbers(data):
    """Why the decoded values of a PNG or BMP are not the stored numbers, with the fix; None when they are."""
    palette = _palette(data)
    if palette is not None and (palette != np.arange(len(palette))[:, None]).any():
        return (
            "has a palette, so that its values may be the stored numbers or their colors: save the numbers, "
            "numpy.array(PIL.Image.open(path)), as a gray PNG, or list the colors of classes in classes="
        )
    bits = data[24] if data.startswith(PNG) else 8
    if palette is None and bits < 8:
        step = 255 // (2**bits - 1)
        return f"has {bits} bit(s) a pixel, and 1 is read as {step}: divide what OpenCV reads by {step}, save 8 bits"
    return None


def _palette(data):
    """The colors (n, 3) that a PNG or BMP file gives to its numbers; None without a palette."""
    if data.startswith(PNG) and data[25] == 3:
        return np.frombuffer(_png_chunk(data, b"PLTE"), np.uint8).reshape(-1, 3)
    if not data.startswith(BMP):
        return None
    offset, header = (int.from_bytes(data[at : at + 4], "little") for at in (10, 14))
    bits, each = (data[24], 3) if header == 12 else (data[28], 4)  # the first version stored no fourth byte
    colors = np.frombuffer(data[14 + header : offset], np.uint8)
    return colors[: len(colors) // each * each].reshape(-1, each)[:, :3] if bits <= 8 else None


def _png_chunk(data, name):
    """The content of the first chunk of that name before the pixels, empty when there is none."""
    at = 8
    while data[at + 4 : at + 8] not in (name, b"IDAT", b""):
        at += 12 + int.from_bytes(data[at : at + 4])
    return data[at + 8 : at + 8 + int.from_bytes(data[at : at + 4])] if data[at + 4 : at + 8] == name else b""


def _pixels(data, where):
    """The pixels as stored, without an opaque alpha channel: integers or boolean, (H, W) or (H, W, 3)."""
    pixels = _decode(data, where)
    if pixels.dtype.kind not in "bui":
        raise ValueError(f"{where} holds {pixels.dtype}, and integers are read: convert it to 8 or 16 bits")
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3] if pixels.ndim == 3 else _alpha_of_gray(pixels, data)
    if alpha is not None and (alpha != np.iinfo(pixels.dtype).max).any():
        raise ValueError(
            f"{where} has transparent pixels (alpha from {alpha.min()} to {alpha.max()}): what is behind them is not "
            "stored; flatten the picture first"
        )
    return pixels if pixels.ndim == 2 else pixels[..., :3]


def _alpha_of_gray(pixels, data):
    """Alpha of a gray PNG that declares one level transparent, which OpenCV reads as opaque; else None."""
    level = _png_chunk(data, b"tRNS") if data.startswith(PNG) else b""
    if not level:
        return None
    bits = data[24]  # below 8 the level is stretched as the pixels are
    level = int.from_bytes(level[:2]) * (255 // (2**bits - 1) if bits < 8 else 1)
    return np.where(pixels == level, 0, np.iinfo(pixels.dtype).max)


def _decode(data, where):
    """The pixels as stored: (H, W), or (H, W, 3 or 4) as RGB or RGBA."""
    if data.startswith(TIFF):
        return _decode_tiff(data, where)
    if _cut_short(data):  # before OpenCV sees it: it would print, and older versions fill the rest with gray
        raise ValueError(f"{where} is cut short: {_files.AGAIN}")
    pixels = _opencv(data)
    if pixels is None:
        raise ValueError(f"{where} is damaged, or no PNG, JPEG, BMP or TIFF: {_files.AGAIN}")
    if data.startswith(JPEG) and _jpeg_channels(data) == 4:  # OpenCV would convert it without its color profile
        raise ValueError(f"{where} is a JPEG in CMYK, the colors of print: convert it to RGB")
    return pixels


def _opencv(data):
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return pixels if pixels is None or pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _jpeg_channels(data):
    at = 2
    while data[at : at + 1] == b"\xff" and at + 9 < len(data):
        if data[at + 1] in FRAMES:
            return data[at + 9]
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])  # 0xFF fills up
    return None


def _cut_short(data):
    if data.startswith(PNG):
        return b"IEND\xaeB`\x82" not in data
    if data.startswith(JPEG):  # the last scan has an end; a thumbnail before it has another
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(BMP) and len(data) < int.from_bytes(data[2:6], "little")


def _decode_tiff(data, where):
    try:
        with _files.complaints() as messages, tifffile.TiffFile(io.BytesIO(data)) as file:
            problem = _problem(file)
            pixels = None if problem else _tiff_pixels(file, data)
    except Exception as error:  # a damaged TIFF fails in many ways: struct.error, zlib.error, TiffFileError ...
        raise ValueError(f"{where} is damaged or cut short ({error}): {_files.AGAIN}") from error
    if problem and not messages:
        raise ValueError(f"{where} {problem}: save one picture a file, in gray or RGB, black as 0")
    if messages:
        raise ValueError(f"{where} is damaged or cut short ({messages[0]}): {_files.AGAIN}")
    return pixels


def _problem(file):
    """What makes this TIFF more, or other, than one picture whose numbers can be taken as they are."""
    series = file.series[0]
    sizes = list(zip(series.axes, series.shape, strict=True))
    if len(file.series) > 1 or any(size > 1 for axis, size in sizes if axis not in "YXS"):
        return f"holds several pictures, of shape {series.shape}"
    if dict(sizes).get("S", 1) not in (1, 3, 4):
        return f"has {dict(sizes)['S']} channels"
    photometric = file.pages.first.photometric  # MINISWHITE counts from white, a palette gives colors to numbers
    if photometric not in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB):
        return f"stores its pixels as {photometric.name}"
    return None


def _tiff_pixels(file, data):
    page = file.pages.first
    if page.compression not in UNPACKED_BY_TIFFFILE:
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
        pixels = _opencv(data) if max(ends) <= len(data) else None
        if pixels is None:
            raise ValueError("no pixels; if other programs open it, save it without compression")
        return pixels
    axes, pixels = file.series[0].axes, file.series[0].asarray()
    order = [axes.index(axis) for axis in "YXS" if axis in axes]  # channels may come first, axes of length 1 anywhere
    pixels = pixels.transpose(*order, *(i for i in range(pixels.ndim) if i not in order))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels
