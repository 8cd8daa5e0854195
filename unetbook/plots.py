"""Figures of the book: legible on a light and a dark page, and without color vision.

Figures keep a white ground, so that a dark page shows them as they were drawn. Colors are those of Okabe and Ito
(2008); what matters is also told by position, line style or brightness.
"""

import inspect
import textwrap

import cv2
import matplotlib.pyplot as plt
import numpy as np

BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
STYLES = ("-", "--", ":", "-.")


def panels(pictures, titles, columns=None, width=9.0, gray_range=None):
    """Pictures side by side, each with its title: a list of (H, W), (H, W, 1) or (H, W, 3). Returns (figure, axes).

    gray_range: (low, high) shown as black and white; each picture's own range unless given.
    """
    columns = columns or len(pictures)
    rows = -(-len(pictures) // columns)
    shapes = [np.shape(picture)[:2] for picture in pictures]
    aspect = max(height / side for height, side in shapes)
    cell = width / columns
    figure, axes = plt.subplots(rows, columns, figsize=(width, rows * (cell * aspect + 0.35)), squeeze=False)
    axes = axes.ravel()
    low, high = gray_range or (None, None)
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, title in zip(axes, pictures, titles, strict=False):
        axis.imshow(np.squeeze(picture), cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title, fontsize=10)
    figure.tight_layout()
    return figure, axes


def label_colors(labels):
    """Instances (H, W) as colors (H, W, 3): background black, neighbors apart in hue and brightness."""
    labels = np.asarray(labels)
    rng = np.random.default_rng(7)
    count = int(labels.max(initial=0))
    hues = (np.arange(count) * 0.618) % 1
    palette = plt.get_cmap("turbo")(0.08 + 0.84 * hues)[:, :3] * rng.uniform(0.65, 1, (count, 1))
    return np.vstack([np.zeros((1, 3)), palette])[labels]


def outlines(image, labels, color=ORANGE, thickness=1):
    """Draw the outline of each object of ``labels`` on an image (H, W) or (H, W, 1 or 3) in [0, 1]; (H, W, 3)."""
    image = np.squeeze(np.asarray(image, np.float32))
    canvas = np.ascontiguousarray(np.dstack([image] * 3) if image.ndim == 2 else image).copy()
    rgb = tuple(int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
    for label in np.unique(labels)[np.unique(labels) > 0]:
        contours, _ = cv2.findContours(
            (np.asarray(labels) == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, contours, -1, rgb, thickness)
    return canvas


def errors(truth, predicted):
    """Where two binary masks (H, W) differ: hits light gray, missed blue, false orange, (H, W, 3)."""
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    picture = np.zeros((*truth.shape, 3))
    picture[truth & predicted] = 0.8
    for where, color in ((truth & ~predicted, BLUE), (~truth & predicted, ORANGE)):
        picture[where] = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return picture


def curves(series, xlabel, ylabel, title=None, logarithmic=False, width=7.0):
    """Lines over their index or over given x: a dict of name to y or (x, y). Color and line style differ.

    Returns (figure, axis).
    """
    figure, axis = plt.subplots(figsize=(width, 0.5 * width))
    colors = (BLUE, RED, GREEN, ORANGE, PINK, BLACK)
    for number, (name, line) in enumerate(series.items()):
        x, y = line if isinstance(line, tuple) else (np.arange(1, len(line) + 1), line)
        axis.plot(x, y, STYLES[number % 4], color=colors[number % 6], label=name, linewidth=1.8)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
    if logarithmic:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        low, high = axis.get_ylim()
        between = (2, 5) if high / low < 100 else ()  # label 0.2 and 0.5 too where there is room for them
        axis.yaxis.set_minor_formatter(lambda y, _: f"{y:g}" if int(f"{y:e}"[0]) in between else "")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    if len(series) > 1:
        axis.legend(frameon=False)
    figure.tight_layout()
    return figure, axis


def differences(axis, result, pairs, score):
    """Draw paired differences in one score of a lab: dots are seeds, a bar the mean with its 95 % interval. Chapter 03.

    result: of ``recipes.result``; pairs: {label: (arm, other arm)}, one row each, from the top; score: its name. Axes
    with the same rows may share their y.
    """
    for row, (one, other) in enumerate(pairs.values()):
        arms = [seed["arms"] for seed in result["seeds"].values() if one in seed["arms"] and other in seed["arms"]]
        of_seeds = [of[one]["scores"][score] - of[other]["scores"][score] for of in arms]
        between = result["differences"][f"{one} - {other}"][score]
        axis.plot(of_seeds, [row - 0.12] * len(of_seeds), "o", color=ORANGE, markersize=4.5, alpha=0.8)
        if between["low"] is not None:
            axis.plot([between["low"], between["high"]], [row + 0.15] * 2, color=BLUE, linewidth=2)
        axis.plot(between["mean"], row + 0.15, "|", color=BLUE, markersize=9)
    axis.axvline(0, color="gray", linewidth=0.8)
    axis.set_yticks(range(len(pairs)), pairs, fontsize=9)
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.spines[["top", "right"]].set_visible(False)


def table(header, rows):
    """Show a table in a notebook: a header of words, rows of words and numbers, which are shown with three decimals."""
    from IPython.display import Markdown, display

    def line(cells):
        return "| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"

    rule = "|---" + "|---:" * (len(header) - 1) + "|"
    display(Markdown("\n".join([line(header), rule, *map(line, rows)])))


def source(*functions):
    """Show the package's own code of functions or classes, highlighted, in a notebook that is about to use it."""
    from IPython.display import Markdown, display

    code = "\n\n".join(textwrap.dedent(inspect.getsource(function)).rstrip() for function in functions)
    display(Markdown(f"```python\n{code}\n```"))
