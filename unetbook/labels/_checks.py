"""Checks that the functions on labels share: each raises ``ValueError`` with the fix."""

import numpy as np

LARGEST = np.iinfo(np.int32).max


def binary(mask) -> np.ndarray:
    """The mask (H, W), boolean or 0 and 1, as booleans."""
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"the mask must be one image (H, W), not {mask.shape}: call it slice by slice")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError("the mask must hold 0 and 1 only: compare with a threshold first, for example mask > 0")
    return mask.astype(bool)


def integer(labels, *, stack=False, lowest=0) -> np.ndarray:
    """The labels (H, W), with ``stack`` also (N, H, W), as an array of integers from ``lowest`` up that fit int32."""
    labels = np.asarray(labels)
    if labels.ndim not in ((2, 3) if stack else (2,)) or not np.issubdtype(labels.dtype, np.integer):
        shapes = "(H, W) or (N, H, W)" if stack else "(H, W)"
        raise ValueError(
            f"labels must be integers {shapes}, not {labels.dtype} {labels.shape}: number the objects of a binary mask "
            "with labels.connected, and take a stack image by image"
        )
    if labels.ndim == 3 and labels.shape[2] == 1:
        raise ValueError(f"labels of shape {labels.shape} are no stack (N, H, W): drop the last axis, labels[..., 0]")
    if labels.size and (labels.min() < lowest or labels.max() > LARGEST):
        bad = labels.min() if labels.min() < lowest else labels.max()
        raise ValueError(
            f"labels must lie in {lowest}..{LARGEST}, with 0 = background; one is {bad}: renumber the objects"
        )
    return labels
