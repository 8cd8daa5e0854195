"""Which images show one field: tiles cut from one photograph, or two photographs of one place.

A network that has seen the left half of a cell knows something of the right half, so all images of a field must go to
one part of a split.
"""

from collections import defaultdict

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist

STEP = 1.35  # across a cut gray values change at most this many times as much as between the outermost rows inside
FOLLOWS = 0.6  # least correlation of two facing edges without their slow changes
SLOW = 8  # pixels: standard deviation of the blur that tells what changes slowly
RESEMBLES = 0.8  # correlation of two thumbnails from which on they show one place
THUMBNAIL = 32  # pixels


def same_field(images) -> list[int]:
    """A number for each image; images of one field share it.

    images: floats (H, W, C) in [0, 1]. Two images of one size belong together where the first row (or column) of one
    continues the last of the other: it differs from it hardly more than rows inside do, and its details follow. They
    also do where their thumbnails resemble each other, and so do all that are joined through others. Gray values are
    compared as square roots, which gives dim parts a say; an edge or thumbnail without contrast joins nothing. Returns
    numbers from 0 in the order of first appearance.
    """
    gray = [np.sqrt(np.clip(np.mean(image, axis=2, dtype=np.float32), 0, 1)) for image in images]
    by_size = defaultdict(list)
    for number, plane in enumerate(gray):
        by_size[plane.shape].append(number)
    leader = list(range(len(gray)))

    def first(number):
        while leader[number] != number:
            number = leader[number]
        return number

    for members in by_size.values():
        for i, j in np.argwhere(_joined([gray[number] for number in members])):
            one, other = sorted((first(members[i]), first(members[j])))
            leader[other] = one
    names = {}
    return [names.setdefault(first(number), len(names)) for number in range(len(gray))]


def _joined(planes):
    """Which pairs (N, N) of planes of one size belong together."""
    small = [cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel() for plane in planes]
    turned = [plane.T for plane in planes]
    return _below(planes) | _below(turned) | (_correlations(small, small) > RESEMBLES)


def _below(planes):
    """Where plane j continues plane i downward, (N, N)."""
    last, first = (np.stack([plane[row] for plane in planes]) for row in (-1, 0))
    inside = np.array(
        [np.mean([np.abs(plane[-1] - plane[-2]).mean(), np.abs(plane[1] - plane[0]).mean()]) for plane in planes]
    )
    across = cdist(last, first, "cityblock") / last.shape[1]
    smooth = across < STEP * np.maximum(inside[:, None], inside[None])
    details = (line - gaussian_filter1d(line, SLOW, axis=1) for line in (last, first))
    return smooth & (_correlations(*details) > FOLLOWS)


def _correlations(lines, others):
    """Pearson's correlation of each line with each other line, (N, N); 0 where one is constant."""
    return _standardized(lines) @ _standardized(others).T


def _standardized(lines):
    lines = np.stack(list(lines)).astype(np.float64)
    lines -= lines.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(lines, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, lines / np.maximum(lengths, 1e-6), 0)
