"""The networks of the book, as Keras functional models that return logits."""

import numpy as np
from keras import ops

from unetbook.nets.encoder import encoder
from unetbook.nets.improved import improved_unet
from unetbook.nets.unet import unet
from unetbook.nets.unetpp import prune, unetpp

__all__ = ["encoder", "improved_unet", "probabilities", "prune", "unet", "unetpp"]


def probabilities(logits):
    """Logits (..., classes) to probabilities of the same shape: sigmoid for one channel, soft-max otherwise.

    NumPy in, NumPy out; tensors of the backend stay tensors. A dict of heads, as ``unetpp`` returns it, becomes the
    mean of the heads' probabilities, which its authors call the accurate mode (the fast mode is one head: ``prune``).
    """
    if isinstance(logits, dict):
        return sum(map(probabilities, logits.values())) / len(logits)
    found = ops.sigmoid(logits) if logits.shape[-1] == 1 else ops.softmax(logits, axis=-1)
    return ops.convert_to_numpy(found) if isinstance(logits, np.ndarray) else found
