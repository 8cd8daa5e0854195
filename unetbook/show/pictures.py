"""Pictures side by side, outlines on them, and how two of them differ."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from unetbook.show import colors

FRAME = "#b0b0b0"  # seen on a white page and on the white of a mask
LESS_AND_MORE = LinearSegmentedColormap.from_list("less and more", [colors.BLUE, "white", colors.RED])
MORE = LinearSegmentedColormap.from_list("more", ["white", colors.RED, "#5a2500"])


def panels(pictures, titles, columns=None, width=8.0, gray_range=None):
    """Pictures side by side, each framed and with its title: a list of (H, W), (H, W, 1) or (H, W, 3).

    gray_range: (low, high) shown as black and white; each picture's own range unless given. width: inches, of which a
    page has eight. Returns (figure, axes).
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    shapes = [np.shape(picture)[:2] for picture in pictures]
    aspect = max(height / side for height, side in shapes)
    cell = width / columns
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (cell * aspect + 0.35)), squeeze=False)
    axes = axes.ravel()
    low, high = gray_range or (None, None)
    for axis in axes[len(pictures) :]:
        axis.set_axis_off()
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(np.squeeze(picture), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title)
        frame(axis)
    figure.tight_layout()
    return figure, axes


def frame(axis) -> None:
    """A thin gray frame in place of ticks, so that white on a white page has an end."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=FRAME, linewidth=0.6)


def outlines(image, labels, color=colors.ORANGE, thickness=2):
    """Draw the outline of each object of ``labels`` on an image (H, W) or (H, W, 1 or 3) in [0, 1]; (H, W, 3).

    Two-toned, so that it is seen on light and on dark: the color on the object's own pixels, and black beside them, or
    white beside a dark color. thickness: of both together, pixels, at least 2.
    """
    image = np.squeeze(np.asarray(image, np.float32))
    canvas = np.ascontiguousarray(np.dstack([image] * 3) if image.ndim == 2 else image).copy()
    labels = np.asarray(labels).astype(np.int32)
    padded = np.pad(labels, 1)  # the edge of the image is an end, too
    beside = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    inner = (labels > 0) & np.any([neighbor != labels for neighbor in beside], axis=0)
    for _ in range((thickness + 1) // 2 - 1):
        inner = _wider(inner) & (labels > 0)
    outer = labels > 0
    for _ in range(max(1, thickness // 2)):
        outer = _wider(outer)
    rgb = np.array(colors.rgb(color))
    canvas[outer & (labels == 0)] = 1.0 if rgb @ (0.299, 0.587, 0.114) < 0.3 else 0.0
    canvas[inner] = rgb
    return canvas


def _wider(mask):
    return cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0


def errors(truth, predicted):
    """Where two binary masks (H, W) differ: hits light gray, missed blue, false orange, (H, W, 3)."""
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    picture = np.zeros((*truth.shape, 3))
    picture[truth & predicted] = 0.8
    for where, color in ((truth & ~predicted, colors.BLUE), (~truth & predicted, colors.ORANGE)):
        picture[where] = colors.rgb(color)
    return picture


def difference(axis, values, limit=None, label="difference"):
    """Draw a map of differences (H, W) or (H, W, 1) with a scale: white is none, red more, blue less.

    limit: what full color stands for, the largest size unless given. Where nothing is below 0 the scale begins there.
    Returns the color bar.
    """
    values = np.asarray(values, float)
    values = values[..., 0] if values.ndim == 3 else values
    limit = limit or float(np.abs(values).max(initial=0)) or 1.0
    signed = values.min(initial=0) < 0
    shown = axis.imshow(
        values,
        cmap=LESS_AND_MORE if signed else MORE,
        vmin=-limit if signed else 0,
        vmax=limit,
        interpolation="nearest",
    )
    frame(axis)
    return axis.figure.colorbar(shown, ax=axis, label=label, fraction=0.046, pad=0.03)
