"""Curves of a training, and paired differences of a study."""

import matplotlib.pyplot as plt
import numpy as np

from unetbook.show import colors


def curves(series, xlabel, ylabel, title=None, logarithmic=False, width=7.0):
    """Lines over their index or over given x: a dict of name to y or (x, y). Color and line style differ.

    Returns (figure, axis).
    """
    figure, axis = plt.subplots(figsize=(width, 0.5 * width))
    palette = (colors.BLUE, colors.RED, colors.GREEN, colors.ORANGE, colors.PINK, colors.BLACK)
    for number, (name, line) in enumerate(series.items()):
        x, y = line if isinstance(line, tuple) else (np.arange(1, len(line) + 1), line)
        axis.plot(x, y, colors.STYLES[number % 4], color=palette[number % 6], label=name, linewidth=1.8)
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


def differences(axis, study, pairs, score):
    """Draw paired differences in one score of a study: dots are seeds, a bar the mean with its 95 % interval.

    study: of ``results.study``; pairs: {label: (arm, other arm)}, one row each, from the top; score: its name. Axes
    with the same rows may share their y.
    """
    for row, (one, other) in enumerate(pairs.values()):
        ours, theirs = study.entries(one), study.entries(other)
        of_seeds = [ours[seed]["scores"][score] - theirs[seed]["scores"][score] for seed in ours if seed in theirs]
        between = study.differences[f"{one} - {other}"][score]
        axis.plot(of_seeds, [row - 0.12] * len(of_seeds), "o", color=colors.ORANGE, markersize=4.5, alpha=0.8)
        if between["low"] is not None:
            axis.plot([between["low"], between["high"]], [row + 0.15] * 2, color=colors.BLUE, linewidth=2)
        axis.plot(between["mean"], row + 0.15, "|", color=colors.BLUE, markersize=9)
    axis.axvline(0, color="gray", linewidth=0.8)
    axis.set_yticks(range(len(pairs)), pairs)
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.spines[["top", "right"]].set_visible(False)
