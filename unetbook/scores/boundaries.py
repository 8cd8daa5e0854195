"""The score that compares outlines."""

import numpy as np
from scipy import ndimage

from unetbook import checks
from unetbook.scores.pixels import masks


def boundary_f(truth, predicted, tolerance=2) -> float:
    """Boundary F-score of two binary masks (H, W), in [0, 1]: do the outlines lie within ``tolerance`` pixels?

    A boundary pixel is a pixel of the mask with at least one of its 4 neighbors outside the mask; what lies beyond
    the image's edge counts as inside, for the edge cuts an object and does not bound it. Precision is the share of
    predicted boundary pixels at a distance (Euclidean, between pixel centers) of at most ``tolerance`` from the
    nearest true boundary pixel, recall the same with truth and prediction exchanged, F their harmonic mean. Two
    masks of which one has no boundary (empty or full) score 1 if they are equal, otherwise 0.

    After Csurka et al. 2013; Perazzi et al. 2016 score video segmentation so. Raises ``ValueError`` when shapes
    differ, for a stack, for a mask that is not binary and for a negative tolerance.
    """
    truth, predicted = masks(truth, predicted, checks.IMAGE)
    checks.amount(tolerance, "tolerance", unit="pixels")
    true_boundary, boundary = _boundary(truth), _boundary(predicted)
    if not true_boundary.any() or not boundary.any():
        return float(np.array_equal(truth, predicted))
    precision = np.mean(_distance_to(true_boundary)[boundary] <= tolerance)
    recall = np.mean(_distance_to(boundary)[true_boundary] <= tolerance)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _boundary(mask):
    return mask & ~ndimage.binary_erosion(mask, border_value=1)


def _distance_to(pixels):
    return ndimage.distance_transform_edt(~pixels)
