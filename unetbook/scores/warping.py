"""Warping error: what remains of the disagreement when outlines may move but nothing may merge, split or vanish.

Jain et al. 2010; one of the scores of ISBI 2012. Here foreground (cell interior) is 4-connected, background (membrane)
8-connected, and what lies beyond the image is background.
"""

import numpy as np
from scipy import ndimage

from unetbook import checks
from unetbook.scores.pixels import masks

_FOUR_NEIGHBORS = np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1])
_EIGHT = np.ones((3, 3), int)


def is_simple(patch) -> bool:
    """Whether flipping the middle of a 3 x 3 binary patch leaves the topology of the whole image as it is.

    It does when, around the middle, exactly one 4-connected piece of foreground shares an edge with it, and exactly
    one 8-connected piece of background is there. Two pieces of foreground would be joined or parted, none would make
    an object appear or vanish; the same holds for background. Such a pixel is called simple.
    """
    patch = np.array(patch, bool)
    if patch.shape != (3, 3):
        raise ValueError(f"a patch is a pixel with its 8 neighbors, (3, 3), not {patch.shape}")
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    foreground, _ = ndimage.label(patch & around)
    _, background = ndimage.label(~patch & around, _EIGHT)
    touching = np.unique(foreground[_FOUR_NEIGHBORS])
    return np.count_nonzero(touching) == 1 and background == 1


def warp(truth, predicted) -> np.ndarray:
    """Bring the truth as close to the prediction as flips of simple pixels can.

    truth, predicted: binary masks (H, W). Pixels where the two differ are visited row by row; a simple one is
    flipped at once, and the rounds go on until one changes nothing. Returns a boolean mask (H, W) of the topology of
    the truth. Raises ``ValueError`` when shapes differ, for a stack and for a mask that is not binary.
    """
    truth, predicted = masks(truth, predicted, checks.IMAGE)
    warped = np.pad(truth, 1)
    waiting, visited = np.argwhere(truth != predicted).tolist(), -1
    known = {}  # there are 512 patches only
    while len(waiting) != visited:
        visited, remaining = len(waiting), []
        for y, x in waiting:
            patch = warped[y : y + 3, x : x + 3]
            key = patch.tobytes()
            if key not in known:
                known[key] = is_simple(patch)
            if known[key]:
                patch[1, 1] = not patch[1, 1]
            else:
                remaining.append((y, x))
        waiting = remaining
    return warped[1:-1, 1:-1]


def warping_error(truth, predicted) -> float:
    """Share of pixels where the prediction differs from the truth after ``warp``, in [0, 1]; 0 is perfect.

    An outline that is only displaced costs nothing, a merge or a split at least one pixel. The definition asks for
    the best of all warpings; ``warp`` is greedy, so the value is an upper bound that depends on the order of visits.
    It also moves an outline over pixels where the two differ and no further: a thin membrane that is drawn beside
    the true one, with agreement in between, is not reached. truth, predicted and errors as in ``warp``. Jain et al.
    2010.
    """
    warped = warp(truth, predicted)
    return float(np.count_nonzero(warped != np.asarray(predicted)) / max(warped.size, 1))
