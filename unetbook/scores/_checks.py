"""What every score asks of its input, and a ratio that is 1 for nothing out of nothing."""

import numpy as np


def binary_masks(truth, predicted):
    """Both as boolean arrays; ``ValueError`` unless they have one shape and hold 0 and 1 only."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    same_shape(truth, predicted)
    for mask in (truth, predicted):
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise ValueError("masks must hold 0 and 1 only: compare with a threshold first, for example mask > 0")
    return truth.astype(bool), predicted.astype(bool)


def label_images(truth, predicted):
    """Both as arrays; ``ValueError`` unless they are one image each, of one shape, of integers."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    same_shape(truth, predicted)
    one_image(truth)
    for labels in (truth, predicted):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"labels must be integers, not {labels.dtype}: number the objects with labels.connected")
    return truth, predicted


def one_image(array):
    """``ValueError`` unless the array is (H, W): pooled over a stack, these scores have another meaning."""
    if array.ndim != 2:
        raise ValueError(f"this score takes one image (H, W), not {array.shape}: score image by image, then average")


def same_shape(truth, predicted):
    """``ValueError`` for two shapes."""
    if truth.shape != predicted.shape:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must have the same shape")


def ratio(part, whole) -> float:
    """``part / whole``, and 1 where both are 0: what is asked for and what is given agree."""
    return float(part / whole) if whole else 1.0
