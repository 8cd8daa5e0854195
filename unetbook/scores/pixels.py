"""Scores that compare two binary masks pixel by pixel. Chapters 01 and 06."""

import numpy as np

from unetbook.scores._checks import binary_masks, one_image, ratio


def dice(truth, predicted) -> float:
    """Dice = 2 |A and B| / (|A| + |B|) of two binary masks of one shape, in [0, 1]; two empty masks score 1.

    Masks of any shape, boolean or 0 and 1. A stack (N, H, W) is pooled: its pixels count as those of one large
    image, so large objects outweigh small ones. The mean over images is another number. Raises ``ValueError``
    when shapes differ or a mask is not binary. Chapters 01 and 06.
    """
    truth, predicted = binary_masks(truth, predicted)
    return ratio(2 * np.count_nonzero(truth & predicted), np.count_nonzero(truth) + np.count_nonzero(predicted))


def iou(truth, predicted) -> float:
    """IoU (Jaccard index) = |A and B| / |A or B| of two binary masks of one shape; two empty masks score 1.

    Shapes, stacks and errors as in ``dice``. Chapters 01 and 06.
    """
    truth, predicted = binary_masks(truth, predicted)
    return ratio(np.count_nonzero(truth & predicted), np.count_nonzero(truth | predicted))


def thresholded_jaccard(truth, predicted, threshold=0.65) -> float:
    """The IoU of one image, or 0 where it is below ``threshold``: a mask that must be drawn again is worth nothing.

    The score of ISIC 2018, task 1 (skin lesions), which is its mean over images. truth, predicted: binary masks
    (H, W). Raises ``ValueError`` as ``dice`` does, for a stack, and for a threshold outside [0, 1]. Chapters 06
    and 17.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], not {threshold}")
    one_image(np.asarray(truth))
    value = iou(truth, predicted)
    return value if value >= threshold else 0.0
