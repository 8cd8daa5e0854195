"""Pixel weights for training: class balance, and the border term that keeps touching cells apart.

Equation 2 of Ronneberger et al. 2015: w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)). Distances here run
from a pixel's center to the nearest *pixel* of the nearest and of the second nearest cell, and the border term stands
on background pixels only: measured on all pixels, most of the weight of two close cells would fall inside them.

Labels are integers (H, W): 0 = background, each positive number one object (also where it lies in several pieces), and
-1 = not annotated. Labels that touch have no background between them and thus no border weight: cut them apart first,
with ``labels.separate``. Of a mask of 0 and 1 or 255, in which objects have no numbers, a warning tells.
"""

import math
import warnings

import cv2
import numpy as np
from scipy import ndimage

from unetbook import checks

CUTOFF = 5e-4  # the fast version drops border weights below it


def border_weights(labels, w0=10.0, sigma=5.0) -> np.ndarray:
    """The border term of equation 2, fast: w0 exp(-(d1 + d2)^2 / (2 sigma^2)) on background pixels, 0 elsewhere.

    labels: integers (H, W), any numbering, 0 = background, -1 = not annotated (neither background nor object);
    w0: the largest weight, of at least 0; sigma: in pixels, greater than 0; the paper has 10 and about 5. Returns
    float32 (H, W) in [0, w0), 0 with fewer than two objects. Raises ``ValueError`` for anything else.

    Why boxes suffice: the weight falls to ``CUTOFF`` where d1 + d2 = R = sigma sqrt(2 ln(w0 / CUTOFF)). A background
    pixel is at least 1 from every object, so where the weight is larger, d1 <= d2 < R - 1: both objects reach the pixel
    within their bounding boxes grown by R - 1. Each box gets an exact distance transform, and two running minima over
    the boxes keep d1 and d2. Where d1 + d2 > R the result is 0, less than ``CUTOFF`` away from
    ``border_weights_plain``. A weight w0 below 10 counts as 10 in R, so that the error stays below w0 / 20,000.
    """
    labels = _checked(labels, w0, sigma)
    numbers = _compact(labels)
    reach = sigma * math.sqrt(2 * math.log(max(w0, 10) / CUTOFF))
    nearest, second = (np.full(labels.shape, np.inf, np.float32) for _ in range(2))
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        if box is None:  # a gap in the numbering
            continue
        box = _grown(box, max(int(reach - 1), 0))
        outside = (numbers[box] != number).view(np.uint8)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        first, farther = nearest[box], np.maximum(nearest[box], distance)
        np.minimum(first, distance, out=first)
        np.minimum(second[box], farther, out=second[box])
    weights = np.zeros(labels.shape, np.float32)
    near = (second <= reach) & (labels == 0)
    # Squares of distances are whole numbers. OpenCV's last bit depends on where an array lies in memory; rounding the
    # squares makes a map the same in every run.
    total = sum(np.sqrt(np.rint(distance[near] ** 2)) for distance in (nearest, second))
    weights[near] = np.where(total <= reach, w0 * np.exp(-((total / sigma) ** 2) / 2), 0)
    return weights


def border_weights_plain(labels, w0=10.0, sigma=5.0) -> np.ndarray:
    """The border term as equation 2 reads: one distance map an object, stacked, and the two smallest of each pixel.

    Arguments, result and errors as in ``border_weights``; memory and time grow with objects times pixels.
    """
    labels = _checked(labels, w0, sigma)
    objects = np.unique(labels[labels > 0])
    if len(objects) < 2:
        return np.zeros(labels.shape, np.float32)
    distances = np.stack([ndimage.distance_transform_edt(labels != number) for number in objects])  # (objects, H, W)
    distances.partition(1, axis=0)
    d1, d2 = distances[:2]
    term = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return np.where(labels == 0, term, 0).astype(np.float32)


def weight_map(labels, w0=10.0, sigma=5.0, class_weights=None) -> np.ndarray:
    """Equation 2 whole: the weight of the pixel's class plus the border term; 0 exactly where nobody annotated.

    labels, w0, sigma: as in ``border_weights``; class_weights: (background, foreground), both positive, from the
    *training set* (the function ``class_weights``), ``None`` for (1, 1). Returns float32 (H, W). A loss still needs a
    class for pixels that are not annotated, any one: ``np.maximum(labels, 0)`` makes them background, of weight 0.
    Raises ``ValueError`` for other labels, parameters or class weights.
    """
    background, foreground = _background_and_foreground(class_weights)
    weights = border_weights(labels, w0, sigma)
    labels = np.asarray(labels)
    weights += np.where(labels > 0, foreground, background)
    weights[labels < 0] = 0
    return weights


def class_weights(labels, classes=2) -> np.ndarray:
    """Weights that balance the classes of a training set: w_c = N / (classes N_c), inverse to the class's frequency.

    The paper asks for class balance and gives no formula. This one lets every class weigh the same in total, and makes
    the mean weight of the annotated pixels 1, so that weighting does not change the size of a training step.

    labels: the training set (never validation or test images), a stack (N, H, W) or a list of images (H, W) of any
    sizes, integers; -1 = not annotated, not counted. With two classes every positive label is foreground, so that
    instances count as ``weight_map`` has them; with more, labels are class indices 0 to classes - 1.
    Returns float64 (classes,). Raises ``ValueError`` for other labels and for a class that does not occur.
    """
    checks.whole(classes, "classes", 2, "the background counts too")
    counts = np.zeros(classes, np.int64)
    for index, image in enumerate(labels):
        image = _annotated(image, f"image {index} of the training set", "give a list of images or a stack (N, H, W)")
        annotated = image[image >= 0]
        if classes == 2:
            annotated = annotated > 0
        elif annotated.max(initial=0) >= classes:
            raise ValueError(
                f"image {index} of the training set holds class {annotated.max()}, and classes={classes} knows "
                f"0 to {classes - 1}: raise classes, or turn instances into classes first"
            )
        counts += np.bincount(annotated.astype(np.intp), minlength=classes)
    if not counts.all():
        raise ValueError(
            f"class {int(np.argmin(counts))} does not occur in the training set, so that no weight balances it "
            f"(pixels of each class: {counts.tolist()}): add images that show it, or lower classes"
        )
    return counts.sum() / (classes * counts)


def _grown(box, margin):
    """The box with a margin on each side; a slice may end beyond the image, and must not start before it."""
    return tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in box)


def _compact(labels):
    """Labels whose numbers are few enough to list every one up to the largest, as ``find_objects`` does."""
    if labels.max() <= labels.size:
        return labels.astype(np.int32, copy=False)
    objects = labels > 0
    numbers = np.zeros(labels.shape, np.int32)
    numbers[objects] = np.unique(labels[objects], return_inverse=True)[1] + 1
    return numbers


def _checked(labels, w0, sigma):
    labels = _annotated(labels, "labels", "call it image by image")
    checks.amount(sigma, "sigma", "the paper has about 5", unit="pixels", positive=True)
    checks.amount(w0, "w0", "the paper has 10, and 0 leaves no border term")
    number = labels.max()
    if number in (1, 255) and (labels[labels > 0] == number).all():  # one object, or all objects of a mask
        pieces = cv2.connectedComponents((labels > 0).view(np.uint8))[0] - 1
        if pieces > 1:
            warnings.warn(
                f"the labels hold {number} alone, in {pieces} pieces: as one object, which has no border term. If they "
                "are a mask, number its objects first, labels.connected(mask > 0)",
                stacklevel=3,
            )
    return labels


def _annotated(labels, name, fix):
    """Labels of one image (H, W), from -1 (not annotated) up."""
    labels = checks.label_image(labels, name, fix=fix, empty=False)
    checks.label_range(labels.min(), labels.max(), name, lowest=-1)
    return labels


def _background_and_foreground(class_weights):
    pair = np.ones(2) if class_weights is None else np.asarray(class_weights, float)
    if pair.shape != (2,) or not (np.isfinite(pair) & (pair > 0)).all():
        raise ValueError(
            f"class_weights must be two positive numbers (background, foreground), not {class_weights!r}: take them "
            "from weightmap.class_weights(training labels)"
        )
    return pair.astype(np.float32)
