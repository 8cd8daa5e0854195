"""The U-Net paper's elastic deformation."""

from functools import cache

import numpy as np

from unetbook import checks
from unetbook.augment._warp import check_grid, checked, strips, warp, whole

SAFE = 0.1  # of the distance of control points: displacements whose standard deviation is that small do not fold
DRAWS = 100  # by which ``folds`` estimates


def elastic(image, labels, rng, std=10.0, grid=3, weights=None) -> tuple:
    """The U-Net paper's elastic deformation: random displacements on a coarse grid, smooth in between.

    image: floats (H, W, C); labels: integers (H, W); weights: numbers (H, W) or ``None``; rng: a NumPy ``Generator``.
    std: standard deviation of the displacements in pixels, along each axis. grid: control points along each axis.
    The image folds over where std is large for the distance of control points, (H - 1) / (grid - 1): up to a tenth of
    it practically never, at a fifth in about one of eight draws for a grid of 3.

    Returns (image, labels) or (image, labels, weights): image and weights float32, labels of their own dtype. Gray
    values stay within those of the image. Raises ``ValueError`` or ``TypeError`` naming the fix. Source: Ronneberger
    et al. 2015, section 3.1.
    """
    image, labels, weights = checked(image, labels, rng, weights)
    checks.amount(std, "std", unit="pixels")
    check_grid(grid)
    vectors = rng.normal(0, std, (2, grid, grid))
    return warp(image, labels, weights, strips(labels.shape, np.eye(2), np.zeros(2), vectors))


def displacement(shape, vectors) -> np.ndarray:
    """The displacement of each pixel, from the displacements of a few control points, by cubic splines.

    shape: (H, W) in pixels; vectors: (2, rows, columns), the displacements down and to the right in pixels. Control
    points span the image from corner to corner: for 3 x 3 they are its corners, the middles of its edges, its center.
    Returns float32 (2, H, W); ``elastic`` shows at pixel p what the image has at p + displacement. A spline is linear
    in its control points, and rows and columns separate: two products with small matrices equal the interpolation at
    each pixel. Raises ``ValueError`` for another shape of the vectors.
    """
    vectors = np.asarray(vectors, np.float64)
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape must be (H, W) with at least one pixel, not {shape}")
    if vectors.ndim != 3 or len(vectors) != 2 or min(vectors.shape) < 2:
        raise ValueError(f"vectors must be (2, rows, columns) with at least 2 x 2 points, not {vectors.shape}")
    checks.finite(vectors, "vectors", "each displacement must be a number of pixels")
    return whole(strips(shape, np.zeros((2, 2)), np.zeros(2), vectors))


@cache
def folds(shape, std, grid) -> float:
    """Share of the draws of ``elastic`` in which an image of this shape folds over somewhere, estimated by ``DRAWS``.

    shape: (H, W) in pixels; std, grid: as in ``elastic``. Only std over the distance of control points matters, so it
    is estimated on a small picture: it folds where the Jacobian determinant of p -> p + displacement(p) is not
    positive.
    """
    distances = [(side - 1) / (grid - 1) for side in shape]
    if std <= SAFE * min(distances):
        return 0.0
    rng, small = np.random.default_rng(0), 8  # pixels between control points
    scale = np.array([small * std / distance for distance in distances])[:, None, None]
    count = 0
    for _ in range(DRAWS):
        field = displacement((small * (grid - 1) + 1,) * 2, scale * rng.standard_normal((2, grid, grid)))
        (down_y, across_y), (down_x, across_x) = map(np.gradient, field)
        count += ((1 + down_y) * (1 + across_x) - across_y * down_x).min() <= 0
    return float(count / DRAWS)
