"""Figures of an executed chapter, made small and of a known width: palette PNG, or JPEG where they are photographs.

A notebook stores figures as text, and git keeps each version, so their bytes count. A plot has few colors: a palette of
256 shows it as it was drawn. A photograph has many, and fine grain that PNG cannot shorten: JPEG halves it at least.
The width in CSS pixels, which Jupyter and the book both read, makes text as large on the page as it was drawn.
"""

import base64
import io

import nbformat
from PIL import Image, ImageChops, ImageStat

CSS_PIXELS = 96  # an inch
QUALITY = 88  # of a JPEG, colors at full resolution: text in it stays clean
SHARE = 0.5  # of the palette PNG's bytes: a JPEG of at most so many is taken
LOSS = 1.5  # of 255 gray values: where a palette changes a figure by more in the mean, a JPEG is taken


def small(notebook: nbformat.NotebookNode) -> None:
    """Encode each PNG among the outputs anew, in place; a figure that was encoded here before stays as it is."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" not in data:
                continue
            kind, content, width = encoded(base64.b64decode(data["image/png"]))
            del data["image/png"]
            output.metadata.pop("image/png", None)
            data[kind] = base64.b64encode(content).decode() + "\n"
            output.metadata[kind] = {"width": width}


def encoded(png: bytes) -> tuple[str, bytes, int]:
    """Return the kind (``image/png`` or ``image/jpeg``), the bytes and the width in CSS pixels of a figure."""
    picture = Image.open(io.BytesIO(png))
    dots = picture.info.get("dpi", (CSS_PIXELS,))[0]
    width = round(picture.width / dots * CSS_PIXELS)
    if picture.mode == "P":
        return "image/png", png, width
    opaque = Image.new("RGB", picture.size, "white")
    opaque.paste(picture, mask=picture.convert("RGBA").getchannel("A"))
    plot = opaque.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    as_png, as_jpeg = io.BytesIO(), io.BytesIO()
    plot.save(as_png, "PNG", optimize=True, dpi=(dots, dots))
    opaque.save(as_jpeg, "JPEG", quality=QUALITY, subsampling=0, optimize=True, dpi=(round(dots), round(dots)))
    changed = sum(ImageStat.Stat(ImageChops.difference(opaque, plot.convert("RGB"))).mean) / 3
    if changed > LOSS or as_jpeg.tell() <= SHARE * as_png.tell():
        return "image/jpeg", as_jpeg.getvalue(), width
    return "image/png", as_png.getvalue(), width
