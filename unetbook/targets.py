"""What a network learns in place of numbered objects that touch: classes or distances, and the weight of a pixel."""

import keras
import numpy as np

from unetbook import instances, labels, weightmap

STEPS_A_PIXEL = 8  # distances are learned from whole numbers, as tiles hold them


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


def with_distances(objects, up_to=np.inf) -> np.ndarray:
    """How far each pixel is from the outside of its object (``instances.distance_target``), in eighths of a pixel.

    objects: integers (H, W), 0 for the background. up_to: pixels; what lies deeper counts as that. Returns int32
    (H, W), for ``squared_error``.
    """
    far = np.minimum(instances.distance_target(objects), up_to)
    return np.round(STEPS_A_PIXEL * far).astype(np.int32)


@keras.saving.register_keras_serializable("unetbook.targets")
def squared_error(target, distances):
    """A loss, (predicted - true distance)^2 in pixels^2, (N, H, W), of a network with one channel.

    target: eighths of a pixel (``with_distances``), integers (N, H, W) or (N, H, W, 1).
    """
    # Keras drops the last axis for a function and keeps it for a Loss.
    distances = keras.ops.reshape(distances, keras.ops.shape(target))
    return keras.ops.square(distances - keras.ops.cast(target, distances.dtype) / STEPS_A_PIXEL)
