"""Prediction by way of one fixed size, for networks that learned pictures squeezed into a square. Chapter 17."""

import cv2
import numpy as np


def squeezed(image, side: int) -> np.ndarray:
    """An image (H, W, C) as side x side pixels, its proportions not kept: the mean of the pixels that become one.

    Returns float32 (side, side, C). Raises ``ValueError`` for a side below 1.
    """
    if side < 1:
        raise ValueError(f"a side of {side} pixels is none: give 1 and more")
    image = np.asarray(image, np.float32)
    smaller = side <= min(image.shape[:2])
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=way).reshape(side, side, -1)


def through(predict, image, side: int) -> np.ndarray:
    """What ``predict`` says of the squeezed image, stretched back (bilinear) to the image's own size.

    predict: a function of one image (S, S, C) that returns an array (S, S, K), such as probabilities; image: (H, W, C).
    Returns float32 (H, W, K). Stretch probabilities and cut afterwards: a mask that is stretched has steps.
    """
    answer = np.asarray(predict(squeezed(image, side)), np.float32)
    height, width = image.shape[:2]
    return cv2.resize(answer, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
