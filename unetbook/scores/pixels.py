"""Scores that compare two binary masks pixel by pixel."""

import numpy as np

from unetbook import checks

ONE_IMAGE = "score image by image, then average"  # pooled over a stack, these scores have another meaning


def dice(truth, predicted) -> float:
    """Dice = 2 |A and B| / (|A| + |B|) of two binary masks of one shape, in [0, 1]; two empty masks score 1.

    Masks of any shape, boolean or 0 and 1. A stack (N, H, W) is pooled: its pixels count as those of one large
    image, so large objects outweigh small ones. The mean over images is another number. Raises ``ValueError``
    when shapes differ or a mask is not binary.
    """
    truth, predicted = masks(truth, predicted)
    return ratio(2 * np.count_nonzero(truth & predicted), np.count_nonzero(truth) + np.count_nonzero(predicted))


def iou(truth, predicted) -> float:
    """IoU (Jaccard index) = |A and B| / |A or B| of two binary masks of one shape; two empty masks score 1.

    Shapes, stacks and errors as in ``dice``.
    """
    truth, predicted = masks(truth, predicted)
    return ratio(np.count_nonzero(truth & predicted), np.count_nonzero(truth | predicted))


def thresholded_jaccard(truth, predicted, threshold=0.65) -> float:
    """The IoU of one image, or 0 where it is below ``threshold``: a mask that must be drawn again is worth nothing.

    The score of ISIC 2018, task 1 (skin lesions), which is its mean over images. truth, predicted: binary masks
    (H, W). Raises ``ValueError`` as ``dice`` does, for a stack, and for a threshold outside [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], not {threshold}")
    value = iou(*masks(truth, predicted, checks.IMAGE))
    return value if value >= threshold else 0.0


def masks(truth, predicted, axes=None) -> tuple[np.ndarray, np.ndarray]:
    """Both as booleans; ``ValueError`` unless they have one shape, hold 0 and 1 only, and are what ``axes`` says."""
    both = zip(checks.same_shape(truth, predicted), ("the truth", "the prediction"), strict=True)
    truth, predicted = (checks.binary(mask, name, axes, ONE_IMAGE) for mask, name in both)
    return truth, predicted


def ratio(part, whole) -> float:
    """``part / whole``, and 1 where both are 0: what is asked for and what is given agree."""
    return float(part / whole) if whole else 1.0
