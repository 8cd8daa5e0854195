"""Pictures that tests write into files: a ramp of gray values, and a disc as a mask."""

import numpy as np

SHAPE = (24, 32)


def gray(dtype=np.uint8):
    """A ramp over most of the range of the dtype."""
    rows, columns = np.indices(SHAPE)
    return (rows * 8 + columns).astype(dtype) * (np.iinfo(dtype).max // 255)


def disc():
    """A disc of 255 on 0."""
    y, x = np.indices(SHAPE)
    return ((y - 11) ** 2 + (x - 14) ** 2 <= 36).astype(np.uint8) * 255
