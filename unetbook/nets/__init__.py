"""The networks of the book, as Keras functional models that return logits. Chapters 02, 12, 13 and 14."""

from keras import ops

from unetbook.nets.unet import unet

__all__ = ["probabilities", "unet"]


def probabilities(logits):
    """Logits (..., classes) to probabilities of the same shape: sigmoid for one channel, soft-max otherwise.

    Chapter 02.
    """
    return ops.sigmoid(logits) if logits.shape[-1] == 1 else ops.softmax(logits, axis=-1)
