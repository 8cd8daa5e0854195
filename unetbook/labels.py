"""Instances as integer labels: connected components, and the contact pixels between objects.

Labels are int32, 0 is the background. Taught in chapters 01 and 10.
"""

import cv2
import numpy as np


def connected(mask, connectivity=4) -> np.ndarray:
    """Number the connected components of a binary mask.

    mask: (H, W), boolean or 0 and 1; connectivity: 4 (pixels meet at an edge) or 8 (a corner suffices).
    Returns int32 (H, W), 1 to n in some fixed order, 0 where the mask is 0. Raises ``ValueError`` for another
    shape, other values or another connectivity. Chapter 01; what components cannot tell apart, chapter 10.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"the mask must be one image (H, W), not {mask.shape}: call it slice by slice")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, not {connectivity!r}")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError("the mask must hold 0 and 1 only: compare with a threshold first, for example mask > 0")
    _, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity, ltype=cv2.CV_32S)
    return components


def separate(labels) -> np.ndarray:
    """Turn the contact pixels of objects that touch into background, so that a gap runs between them.

    The rule: a pixel of an object becomes background when one of its 4 neighbors belongs to a *different*
    object. It is judged on the labels as given and for both sides alike, so the gap is two pixels wide, no
    object is favored, and an object one or two pixels thin along a contact may vanish. Afterwards no two
    objects share a pixel edge; they may still meet at a corner, which 4-connected components tell apart.

    labels: integers (H, W) or (N, H, W), each image on its own, 0 = background. Returns int32 of the same
    shape. Raises ``ValueError`` for another shape or dtype. Chapters 09 and 10.
    """
    labels = np.asarray(labels)
    if labels.ndim not in (2, 3) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers (H, W) or (N, H, W), not {labels.dtype} {labels.shape}")
    contact = np.zeros(labels.shape, bool)
    down = _differ(labels[..., :-1, :], labels[..., 1:, :])
    contact[..., :-1, :] |= down
    contact[..., 1:, :] |= down
    right = _differ(labels[..., :-1], labels[..., 1:])
    contact[..., :-1] |= right
    contact[..., 1:] |= right
    return np.where(contact, 0, labels).astype(np.int32)


def _differ(one, other):
    return (one != other) & (one != 0) & (other != 0)
