"""Pictures as their files have them, so that a measured run gives ``Segmenter`` what ``predict`` gives it."""

import numpy as np


def raw(image) -> np.ndarray:
    """A picture (H, W, C) in [0, 1] as integers: uint8 where these are its values, otherwise the nearest uint16."""
    for dtype in (np.uint8, np.uint16):
        most = np.float32(np.iinfo(dtype).max)
        values = np.round(image * most).astype(dtype)
        if np.array_equal(values / most, image):
            return values
    return values
