"""Which images show one field: tiles cut from one photograph, or two photographs of one place.

A network that has seen the left half of a cell knows something of the right half, so all images of a field must go to
one part of a split. Chapter 16.
"""

from collections import defaultdict

import cv2
import numpy as np

CONTINUES = 0.95  # correlation of two facing edges from which on they are one cut
RESEMBLES = 0.8  # correlation of two thumbnails from which on they show one place
THUMBNAIL = 32  # pixels


def same_field(images) -> list[int]:
    """A number for each image; images of one field share it.

    images: floats (H, W, C) in [0, 1]. Two images of one size belong together where the last row of one continues in
    the first row of the other (or column), or where their thumbnails resemble each other; so do all that are joined
    through others. Gray values are compared as square roots, which gives dim parts a say, by Pearson's correlation; an
    edge or thumbnail without contrast resembles none. Returns numbers from 0 in the order of first appearance.
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
        planes = [gray[number] for number in members]
        for i, j in np.argwhere(_joined(planes)):
            one, other = sorted((first(members[i]), first(members[j])))
            leader[other] = one
    names = {}
    return [names.setdefault(first(number), len(names)) for number in range(len(gray))]


def _joined(planes):
    """Which pairs (N, N) of planes of one size belong together."""
    top, bottom = ([plane[row] for plane in planes] for row in (0, -1))
    left, right = ([plane[:, column] for plane in planes] for column in (0, -1))
    small = [cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel() for plane in planes]
    joined = (_correlations(bottom, top) > CONTINUES) | (_correlations(right, left) > CONTINUES)
    return joined | (_correlations(small, small) > RESEMBLES)


def _correlations(lines, others):
    """Pearson's correlation of each line with each other line, (N, N); 0 where one is constant."""
    return _standardized(lines) @ _standardized(others).T


def _standardized(lines):
    lines = np.stack(lines).astype(np.float64)
    lines -= lines.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(lines, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, lines / np.maximum(lengths, 1e-6), 0)
