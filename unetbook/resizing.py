"""To one fixed size and back, for networks that learned pictures squeezed into a square."""

import cv2
import numpy as np

from unetbook import checks


def squeezed(image, side: int) -> np.ndarray:
    """An image (H, W, C) as side x side pixels, its proportions not kept: the mean of the pixels that become one.

    Returns float32 (side, side, C). Raises ``ValueError`` for a side below 1.
    """
    checks.whole(side, "side", 1, unit="pixels")
    image = np.asarray(image, np.float32)
    smaller = side <= min(image.shape[:2])
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=way).reshape(side, side, -1)


def scaled(image, scale: float) -> np.ndarray:
    """An image (H, W, C) times ``scale`` in height and width, at least a pixel each: float32 (h, w, C)."""
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(np.asarray(image, np.float32), (width, height), interpolation=way).reshape(height, width, -1)


def stretched(answer, height: int, width: int) -> np.ndarray:
    """What a network said of a squeezed image, (S, S, K), at the image's own size, bilinear: float32 (H, W, K).

    Stretch probabilities and cut afterwards: a mask that is stretched has steps.
    """
    answer = np.asarray(answer, np.float32)
    return cv2.resize(answer, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)


def stretched_labels(objects, height: int, width: int) -> np.ndarray:
    """Numbered objects (S, S) at the image's own size, each pixel that of the nearest: int32 (H, W).

    OpenCV's ``INTER_NEAREST`` would round coordinates down and so shift the objects by up to half a pixel.
    """
    exact = np.asarray(objects).astype(np.float64)  # OpenCV moves no int32, and numbers are not mixed here
    return cv2.resize(exact, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.int32)
