"""PNG, JPEG and BMP files, decoded by OpenCV; what it does not tell is read here."""

import zlib
from dataclasses import replace

import cv2
import numpy as np

from unetbook.images.picture import AGAIN, Picture, Unreadable, check_fits, ramp_step, size_of_pixels

PNG, JPEG, BMP, WEBP = b"\x89PNG", b"\xff\xd8", b"BM", b"WEBP"
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a JPEG's frame, which counts its channels
EXIF = 0xE1
ORIENTATION = 274
A_PIXEL = 16  # bytes: four channels of 16 bits, and a copy


def picture(data) -> Picture:
    """The picture of these bytes. Raises ``Unreadable``, and ``ValueError`` for a file that is damaged."""
    chunks = _png_chunks(data) if data.startswith(PNG) else {}
    if len(data) < 12 or _cut_short(data, chunks):  # before OpenCV sees it: it would print, or fill the rest with gray
        raise ValueError(f"is cut short: {AGAIN}")
    if data.startswith(JPEG) and _jpeg_frame(data)[5] == 4:  # OpenCV would convert it without its color profile
        raise Unreadable("is a JPEG in CMYK, the colors of print: convert it to RGB")
    if not data.startswith((PNG, JPEG, BMP)) and data[8:12] != WEBP:  # which OpenCV reads as well
        raise Unreadable("is no PNG, JPEG, BMP or TIFF, whatever its name says: get it again, or save it as one")
    width, height = _size(data)
    check_fits(width, height, A_PIXEL * width * height)
    pixels = _opencv(data)
    if pixels is None:
        raise ValueError(f"is damaged: {AGAIN}")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    shown = Picture(pixels, bits=8 * pixels.dtype.itemsize, step=_step(data, chunks))
    if pixels.shape[2] == 4:
        shown = shown.without_alpha(3)
    if chunks:
        shown = _as_png_says(shown, data, chunks)
    if data.startswith(JPEG):
        exif = next((content for marker, content in _jpeg_segments(data) if marker == EXIF), b"")
        return shown.turned(_orientation(exif.removeprefix(b"Exif\0\0")), "EXIF")
    return shown


def _opencv(data):
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if "MAX_IMAGE" in str(error):
            raise Unreadable("is larger than OpenCV reads: save it as TIFF") from None
        return None
    return pixels if pixels is None or pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _as_png_says(shown, data, chunks):
    """The picture with a transparent gray level refused, a gray one gray, and turned; and the size of its pixels."""
    bits, kind = data[24], data[25]
    if kind == 0 and chunks.get(b"tRNS"):  # one gray level is transparent, and OpenCV reads it as opaque
        level = int.from_bytes(chunks[b"tRNS"][:2]) * (255 // (2**bits - 1) if bits < 8 else 1)
        alpha = np.where(shown.pixels == level, 0, 2**shown.bits - 1).astype(shown.pixels.dtype)
        shown = replace(shown, pixels=np.append(shown.pixels, alpha, axis=-1)).without_alpha(1)
    if kind == 4:  # gray with alpha, which OpenCV reads as color
        shown = replace(shown, pixels=shown.pixels[..., :1])
    physical = chunks.get(b"pHYs", b"")
    if physical[8:] == b"\1":  # pixels a meter
        x, y = (1e6 / (int.from_bytes(physical[at : at + 4]) or np.inf) for at in (0, 4))
        size, notes = size_of_pixels(x, y)
        shown = replace(shown, pixel_size=size, notes=notes)
    return shown.turned(_orientation(chunks.get(b"eXIf", b"")), "EXIF")


def _step(data, chunks):
    """What the stored number 1 is shown as; ``None`` where a palette does not show numbers in order."""
    if chunks and data[25] == 3:
        return ramp_step(np.frombuffer(chunks.get(b"PLTE", b""), np.uint8).reshape(-1, 3))
    if chunks:
        return 255 // (2 ** data[24] - 1) if data[24] < 8 else 1
    if not data.startswith(BMP):
        return 1
    offset, header = (int.from_bytes(data[at : at + 4], "little") for at in (10, 14))
    bits, each = (data[24], 3) if header == 12 else (data[28], 4)  # the first version stored no fourth byte
    colors = np.frombuffer(data[14 + header : offset], np.uint8)
    return ramp_step(colors[: len(colors) // each * each].reshape(-1, each)[:, :3]) if bits <= 8 else 1


def _png_chunks(data):
    """The first chunk of each name, {name: content}; ``ValueError`` where one that is needed has a wrong check sum."""
    at, found, view = 8, {}, memoryview(data)
    while at + 12 <= len(data):
        name, end = data[at + 4 : at + 8], at + 8 + int.from_bytes(data[at : at + 4])
        if end + 4 > len(data):
            break
        if zlib.crc32(view[at + 4 : end]) == int.from_bytes(data[end : end + 4]):
            found.setdefault(name, view[at + 8 : end].tobytes() if name != b"IDAT" else b"")
        elif name.isupper():
            raise ValueError(f"is damaged (a check sum is wrong): {AGAIN}")
        at = end + 4
    return found


def _jpeg_segments(data):
    """Pairs (marker, content) before the pixels of a JPEG."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data) and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # fills up
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        yield data[at + 1], data[at + 4 : end]
        at = end


def _jpeg_frame(data):
    """What the frame of a JPEG tells: a byte of bits, two of height, two of width, one of channels; or zeros."""
    frames = (content for marker, content in _jpeg_segments(data) if marker in FRAMES and len(content) > 5)
    return next(frames, bytes(6))


def _size(data):
    """Width and height that the file tells of itself; 0 for WebP, which has room for 16,383."""
    if data.startswith(PNG):
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if data.startswith(JPEG):
        frame = _jpeg_frame(data)
        return int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])
    if not data.startswith(BMP):
        return 0, 0
    each = 2 if data[14] == 12 else 4  # bytes; a height below 0 says that rows run down
    return tuple(abs(int.from_bytes(data[at : at + each], "little", signed=each == 4)) for at in (18, 18 + each))


def _orientation(exif):
    """The orientation that EXIF, a small TIFF without pixels, tells; 1 where it tells none."""
    order = "little" if exif.startswith(b"II") else "big"
    at = int.from_bytes(exif[4:8], order)
    for entry in range(int.from_bytes(exif[at : at + 2], order)):
        field = exif[at + 2 + 12 * entry : at + 14 + 12 * entry]
        if int.from_bytes(field[:2], order) == ORIENTATION:
            return int.from_bytes(field[8:10], order)
    return 1


def _cut_short(data, chunks):
    if data.startswith(PNG):
        return b"IEND" not in chunks
    if data.startswith(JPEG):  # the last scan has an end; a thumbnail before it has another
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(BMP) and len(data) < int.from_bytes(data[2:6], "little")
