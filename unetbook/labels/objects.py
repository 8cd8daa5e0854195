"""Objects as numbers: connected components, one mask an object, and the contact pixels between objects."""

import warnings

import cv2
import numpy as np
from skimage import measure

from unetbook import checks
from unetbook.labels.masks import as_labels


def connected(mask, connectivity=4) -> np.ndarray:
    """Number the connected components of a binary mask.

    mask: (H, W), boolean or 0 and 1; connectivity: 4 (pixels meet at an edge) or 8 (a corner suffices).
    Returns int32 (H, W), 1 to n in some fixed order, 0 where the mask is 0. Raises ``ValueError`` for another
    shape, other values or another connectivity.
    """
    mask = checks.binary(mask, axes=checks.IMAGE)
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, not {connectivity!r}")
    if not mask.size:  # OpenCV crashes on an image without pixels
        return np.zeros(mask.shape, np.int32)
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=int(connectivity), ltype=cv2.CV_32S)[1]


def relabel(labels) -> np.ndarray:
    """Number the connected pieces of each label anew, so that each piece is an object of its own.

    Pieces are 4-connected pixels of one label: touching objects stay apart, an id in several pieces becomes several
    objects, and gaps in the numbering close. labels: integers from 0 up, (H, W). Returns int32 (H, W), 1 to n in some
    fixed order. Raises ``ValueError`` for another shape, floats, or negative labels.
    """
    return measure.label(numbered(labels), connectivity=1).astype(np.int32)


def instances(masks) -> np.ndarray:
    """Number the objects of an image that come as one binary mask each, as in the Data Science Bowl.

    masks: any iterable of masks (H, W) of one size, in the binary encodings of ``as_labels``; they are read one at a
    time and not kept. Returns int32 (H, W), where k + 1 are the pixels of the k-th mask, counted from 0.

    A pixel in several masks goes to the smallest of them (by the pixels of the mask as given), of equal ones to the
    first: a small object on top of a large one survives. Each such pixel is reported by one ``UserWarning``, which
    names how many there are and masks that meet, and each mask that is empty or keeps no pixel, whose number is then
    missing. Raises ``ValueError`` for no mask at all, another size, or a mask that is not binary.
    """
    labels, sizes, meeting = None, [np.inf], []  # the background gives way to every mask
    for index, mask in enumerate(masks):
        inside = _one_object(mask, index)
        if labels is None:
            labels, shared = np.zeros(inside.shape, np.int32), np.zeros(inside.shape, bool)
        if inside.shape != labels.shape:
            raise ValueError(
                f"masks[{index}] has the size {inside.shape}, masks[0] {labels.shape}: all must be of one image"
            )
        owner = labels[inside]
        sizes.append(len(owner))
        labels[inside] = np.where(np.array(sizes)[owner] > len(owner), index + 1, owner)
        shared[inside] |= owner > 0
        meeting += [(other - 1, index) for other in np.unique(owner[owner > 0]).tolist()]
    if labels is None:
        raise ValueError("no masks, so no size: for an image without any object take numpy.zeros(shape, numpy.int32)")
    _report(labels, sizes, int(shared.sum()), meeting)
    return labels


def separate(labels) -> np.ndarray:
    """Turn the contact pixels of objects that touch into background, so that a gap runs between them.

    The rule: a pixel of an object becomes background when one of its 4 neighbors belongs to a *different*
    object. It is judged on the labels as given and for both sides alike, so the gap is two pixels wide, no
    object is favored, and an object one or two pixels thin along a contact may vanish. Afterwards no two
    objects share a pixel edge; they may still meet at a corner, which 4-connected components tell apart.

    labels: integers (H, W) or (N, H, W), each image on its own, 0 = background; -1, not annotated, stays and is no
    object. Returns int32 of the same shape. Raises ``ValueError`` for another shape, floats, or labels below -1.
    """
    labels = numbered(labels, checks.STACK, lowest=-1)
    contact = np.zeros(labels.shape, bool)
    down = _differ(labels[..., :-1, :], labels[..., 1:, :])
    contact[..., :-1, :] |= down
    contact[..., 1:, :] |= down
    right = _differ(labels[..., :-1], labels[..., 1:])
    contact[..., :-1] |= right
    contact[..., 1:] |= right
    return np.where(contact, 0, labels).astype(np.int32)


def numbered(labels, axes=checks.IMAGE, lowest=0) -> np.ndarray:
    """The labels as an array, refused where they are no integers from ``lowest`` up that fit int32, with these axes."""
    labels = checks.label_image(labels, axes=axes)
    if labels.size:
        checks.label_range(labels.min(), labels.max(), "labels", lowest, checks.LARGEST)
    return labels


def _differ(one, other):
    return (one != other) & (one > 0) & (other > 0)


def _one_object(mask, index):
    try:
        return as_labels(mask) > 0
    except ValueError as error:
        raise ValueError(f"masks[{index}] must be the binary mask of one object: {error}") from None


def _report(labels, sizes, shared, meeting, most=5):
    """Warn about pixels in several masks and about masks that keep no pixel."""
    problems = []
    if shared:
        pairs = ", ".join(f"{one} and {other}" for one, other in meeting[:most])
        more = f", {len(meeting) - most} more" if len(meeting) > most else ""
        lie = "pixel lies" if shared == 1 else "pixels lie"
        problems.append(f"{shared} {lie} in several masks and went to the smallest (masks {pairs}{more})")
    kept = np.bincount(labels.ravel(), minlength=len(sizes))
    for index in np.flatnonzero(kept[1:] == 0).tolist():
        problems.append(f"masks[{index}] " + ("keeps no pixel: others cover it" if sizes[index + 1] else "is empty"))
    if problems:
        warnings.warn("; ".join(problems), stacklevel=3)
