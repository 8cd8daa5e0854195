"""Test-time averaging: the mean of what a network says of an image in several positions."""

import cv2
import numpy as np

from unetbook import checks, tiling


def eight(predict, image) -> np.ndarray:
    """Mean over the four turns by 90 degrees and their mirror images; exact, no pixel is interpolated.

    predict: a function of one image (H, W, C) that returns an array (H, W, K), such as probabilities. Average
    probabilities, not logits: a mean of logits is dominated by the most certain. Returns float32 (H, W, K).
    """
    total = 0
    for turns in range(4):
        for mirrored in (False, True):
            moved = np.rot90(image[:, ::-1] if mirrored else image, turns)
            back = np.rot90(_answer(predict, np.ascontiguousarray(moved)), -turns)
            total = total + (back[:, ::-1] if mirrored else back)
    return (total / 8).astype(np.float32)


def rotations(predict, image, count=7) -> np.ndarray:
    """Mean over ``count`` rotations by multiples of 360 / ``count`` degrees, as the U-Net paper averaged seven.

    The image is mirrored beyond its edges, rotated about its center (bilinear), predicted and rotated back; the first
    position is the image itself. The paper does not name the angles. predict and result: as for ``eight``. Raises
    ``ValueError`` for a count below 1. Source: section 4.
    """
    checks.whole(count, "count", 1)
    height, width = image.shape[:2]
    side = int(np.ceil(np.hypot(height, width))) + 2
    top, left = (side - height) // 2, (side - width) // 2
    canvas = tiling.window(image, -top, -left, side, side)
    total = _answer(predict, np.ascontiguousarray(image))
    for number in range(1, count):
        turned = _rotated(canvas, 360 * number / count)
        answer = _rotated(_answer(predict, turned), -360 * number / count)
        total = total + answer[top : top + height, left : left + width]
    return (total / count).astype(np.float32)


WAYS = {way.__name__: way for way in (eight, rotations)}


def _rotated(planes, degrees):
    """Planes (S, S, C) rotated about their center; what comes from beyond is mirrored."""
    center = (planes.shape[1] - 1) / 2, (planes.shape[0] - 1) / 2
    turn = cv2.getRotationMatrix2D(center, degrees, 1.0)
    size = planes.shape[1::-1]
    each = [cv2.warpAffine(plane, turn, size, borderMode=cv2.BORDER_REFLECT_101) for plane in np.moveaxis(planes, 2, 0)]
    return np.stack(each, axis=-1)


def _answer(predict, image):
    """What ``predict`` says, which must have the image's size."""
    answer = np.asarray(predict(image), np.float32)
    if answer.ndim != 3 or answer.shape[:2] != image.shape[:2]:
        raise ValueError(f"predict must return (H, W, K) for an image of {image.shape}, not {answer.shape}")
    return answer
