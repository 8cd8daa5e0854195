"""Labels of a picture or a stack as a file that other programs open, with the size of a pixel."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import tifffile

from unetbook import drafts


def write_png(path, pixels, pixel_size=None) -> None:
    """Write a PNG, gray, or blue, green, red, uint8 or uint16. It appears when it is complete.

    pixel_size: micrometers, kept as whole pixels a meter, as the format has it.
    """
    encoded, data = cv2.imencode(".png", pixels)
    if not encoded:
        raise ValueError(f"{path} could not be encoded")
    data = data.tobytes()
    if pixel_size:
        physical = b"pHYs" + 2 * min(round(1e6 / pixel_size), 2**32 - 1).to_bytes(4) + b"\1"
        data = data[:33] + b"\0\0\0\x09" + physical + zlib.crc32(physical).to_bytes(4) + data[33:]
    drafts.put(path, lambda draft: draft.write_bytes(data))


def write_labels(folder, stem, found, axes="", pixel_size=None) -> Path:
    """Write ``<stem>_labels.png`` of one label image, or ``<stem>_labels.tif`` of a stack; the other of before goes.

    found: integers from 0 up, (H, W), or (..., H, W) with a letter of ``axes`` for each axis before H. A PNG has 16
    bits; one label image of 65,536 objects and more is a TIFF of 32 bits. A stack of T, Z or both is one that ImageJ
    opens, of more objects an OME-TIFF; other letters stand in the file as tifffile writes them. pixel_size:
    micrometers, kept in all of them. Returns the path.
    """
    png, tif = (Path(folder) / f"{stem}_labels.{ending}" for ending in ("png", "tif"))
    few = found.max(initial=0) < 2**16
    if few and not axes:
        write_png(png, found.astype(np.uint16), pixel_size)
        tif.unlink(missing_ok=True)
        return png
    drafts.put(tif, lambda draft: _write_tiff(draft, found.astype(np.uint16 if few else np.uint32), axes, pixel_size))
    png.unlink(missing_ok=True)
    return tif


def _write_tiff(path, found, axes, pixel_size):
    kind, options, metadata = {}, {}, {"axes": f"{axes}YX"}
    if axes in ("Z", "T", "TZ") and found.dtype == np.uint16:
        kind, metadata = {"imagej": True}, metadata | ({"unit": "um"} if pixel_size else {})
    elif set(axes) <= set("TZ") and axes:
        kind = {"ome": True}
        told = {
            f"PhysicalSize{axis}{what}": value
            for axis in "XY"
            for what, value in (("", pixel_size), ("Unit", "\u00b5m"))
        }
        metadata |= told if pixel_size else {}
    if pixel_size:
        each = 1 if "imagej" in kind else 1e4  # pixels a micrometer, or a centimeter
        options = {"resolution": (each / pixel_size,) * 2, "resolutionunit": "NONE" if each == 1 else "CENTIMETER"}
    tifffile.imwrite(path, found, photometric="minisblack", compression="zlib", metadata=metadata, **kind, **options)
