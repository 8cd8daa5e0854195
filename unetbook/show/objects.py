"""Instances in color: six colors, neighbors apart, and an answer in the colors of the truth that it matches."""

import numpy as np
from skimage import segmentation

from unetbook import checks
from unetbook.show import colors

SIX = (colors.BLUE, colors.ORANGE, colors.GREEN, colors.PINK, colors.SKY, colors.RED)
NEAR = 3  # pixels: objects at most twice as far apart count as neighbors
SMALL = 100  # pixels: a picture of shorter sides has large pixels, which need no outline
LEAST = 40  # pixels of an object that has a white outline: of a smaller one too little would be left
MATCH = 0.5  # IoU above which a found object is that true one


def instances(labels, like=None, outline=True) -> np.ndarray:
    """Objects as a picture (H, W, 3) in [0, 1]: one of six colors each, white outlines, black ground.

    labels: integers (H, W), 0 for background. Neighbors have different colors. like: the true labels (H, W), when
    ``labels`` is an answer to them: each found object takes the color of the true object that it matches (IoU above
    0.5), and is gray where it matches none. outline: without it, every pixel has the color of its object. Raises
    ``ValueError`` for another shape.
    """
    labels = np.asarray(labels)
    checks.shaped(labels, checks.IMAGE, "labels", empty=True)
    if like is not None:
        checks.same_shape(like, labels)
    number = color_numbers(labels) if like is None else _matched(labels, np.asarray(like))
    palette = np.array([colors.rgb(color) for color in (*SIX, colors.GRAY)])
    picture = np.zeros((*labels.shape, 3))
    inside = labels > 0
    picture[inside] = palette[number[labels[inside]]]
    if not outline or min(labels.shape) < SMALL:
        return picture
    large = np.bincount(labels.ravel())[labels] >= LEAST
    picture[segmentation.find_boundaries(labels, connectivity=1, mode="inner") & large] = 1
    return picture


def color_numbers(labels) -> np.ndarray:
    """The number of a color, 0 to 5, for each label from 0 to the largest; neighbors differ.

    Objects are colored in turn, the one with the fewest neighbors left last: for regions in a plane, whose neighbors
    can be drawn without crossing lines, one of six colors is then always free (smallest-last, Matula and Beck 1983).
    Of the free ones the rarest is taken. Pieces of one label may need a seventh; then two neighbors share one.
    """
    labels = np.asarray(labels)
    beside = {int(label): set() for label in np.unique(labels) if label}
    wide = segmentation.expand_labels(labels, NEAR)
    for one, other in ((wide[1:], wide[:-1]), (wide[:, 1:], wide[:, :-1])):
        touching = (one != other) & (one > 0) & (other > 0)
        for a, b in np.unique(np.stack([one[touching], other[touching]]), axis=1).T.tolist():
            beside[a].add(b)
            beside[b].add(a)
    left, order = {label: set(others) for label, others in beside.items()}, []
    while left:
        last = min(left, key=lambda label: (len(left[label]), label))
        order.append(last)
        for other in left.pop(last):
            left[other].discard(last)
    number, used = np.zeros(int(labels.max(initial=0)) + 1, int), [0] * len(SIX)
    done = set()
    for label in reversed(order):
        taken = [number[other] for other in beside[label] if other in done]
        number[label] = min(range(len(SIX)), key=lambda color: (taken.count(color), used[color], color))
        used[number[label]] += 1
        done.add(label)
    return number


def _matched(labels, truth):
    """Color numbers of found objects: that of the true object they match, or the last one, gray."""
    of_truth = color_numbers(truth)
    number = np.full(int(labels.max(initial=0)) + 1, len(SIX))
    areas, true_areas = np.bincount(labels.ravel()), np.bincount(truth.ravel())
    both = (labels > 0) & (truth > 0)
    pairs, shared = np.unique(np.stack([labels[both], truth[both]]), axis=1, return_counts=True)
    for (found, true), overlap in zip(pairs.T.tolist(), shared.tolist(), strict=True):
        if overlap / (areas[found] + true_areas[true] - overlap) > MATCH:  # of one object at most one is above 1/2
            number[found] = of_truth[true]
    return number
