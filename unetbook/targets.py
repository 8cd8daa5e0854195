"""What a network learns in place of numbered objects that touch: classes for each pixel, and its weight in the loss."""

import numpy as np

from unetbook import instances, labels, weightmap


def with_gaps(objects, w0=0.0, sigma=5.0, balance=None) -> tuple[np.ndarray, np.ndarray]:
    """Objects without their contact pixels, and the weights of the U-Net paper (equation 2) where they are near.

    objects: integers (H, W), 0 for the background. w0, sigma (pixels), balance: as in ``weightmap.weight_map``; with
    w0 = 0 every pixel counts alike. Returns classes int8 (H, W), 1 inside, and weights float32 (H, W). Weights are
    those of what is given: of a tile, a neighbor beyond its edge counts as none.
    """
    apart = labels.separate(objects)
    return (apart > 0).astype(np.int8), weightmap.weight_map(apart, w0, sigma, balance)


def with_border(objects, weight=1.0) -> tuple[np.ndarray, np.ndarray]:
    """Background 0, interior 1 and border 2 (``instances.border_target``), and ``weight`` for pixels of the border.

    objects: integers (H, W). Returns classes int8 (H, W) and weights float32 (H, W), 1 elsewhere. Caicedo and others
    (2019) weighted the border ten times.
    """
    classes = instances.border_target(objects).astype(np.int8)
    return classes, np.where(classes == 2, weight, 1).astype(np.float32)
