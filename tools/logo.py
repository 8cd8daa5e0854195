"""Draw the mark of the book: the U of its network, feature maps in blue and a skip connection in orange.

    python -m tools.logo

Boxes on a grid of 32 units, so that the picture in a browser's tab is as sharp as the drawing in the side bar.
"""

import numpy as np
from skimage import io

from tools.pairs import ROOT

LOGO, FAVICON = ROOT / "_static" / "logo.svg", ROOT / "_static" / "favicon.png"
SIZE, ZOOM = 32, 2  # units of the grid, and pixels a unit of the favicon
BLUE, ORANGE = "#0072b2", "#e69f00"  # Okabe and Ito; both stand out on white and on near-black
MAPS = [(2, 1, 9, 14), (4, 15, 11, 23), (8, 24, 24, 31), (21, 15, 28, 23), (23, 1, 30, 14)]  # left, top, right, bottom
SKIPS = [(11, 5, 21, 9)]
BOXES = [(box, BLUE) for box in MAPS] + [(box, ORANGE) for box in SKIPS]


def svg() -> str:
    """Return the mark as the text of an SVG file."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="64" height="64">']
    for (left, top, right, bottom), color in BOXES:
        place = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"'
        lines.append(f'  <rect {place} rx="0.75" fill="{color}"/>')
    return "\n".join([*lines, "</svg>", ""])


def pixels() -> np.ndarray:
    """Return the mark on a see-through ground: uint8 (H, W, 4), RGBA, ``SIZE * ZOOM`` pixels wide."""
    image = np.zeros((SIZE, SIZE, 4), np.uint8)
    for (left, top, right, bottom), color in BOXES:
        image[top:bottom, left:right] = [*bytes.fromhex(color[1:]), 255]
    return image.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def main() -> None:
    """Write both files."""
    LOGO.write_text(svg(), encoding="utf-8")
    io.imsave(FAVICON, pixels(), check_contrast=False)


if __name__ == "__main__":
    main()
