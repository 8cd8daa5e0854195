"""The U-Net++ of Zhou et al. (2018): nested skips, a head at each depth, pruning to a shallower one."""

import keras
from keras import layers

from unetbook.nets.blocks import convolution, double_convolution, image_input, upsample


def unetpp(input_shape, classes, filters=32, depth=4, deep_supervision=True, normalization=None):
    """Build a U-Net++ that maps images to logits: a dict of heads "L1" to "L4", or one tensor.

    Node X(i, j) lies on level i (0 at the top, ``filters`` * 2^i channels) and is number j along it. By equation 1 of
    the paper, X(i, 0) is a convolution block of the pooled X(i-1, 0), and every other one of the concatenation of
    X(i, 0) to X(i, j-1) with the up-convolved X(i+1, j-1). Head Lj is a 1 x 1 convolution of X(0, j).

    input_shape: (height, width, channels), multiples of 2^depth; height and width may be ``None``.
    classes: channels of each head; 1 for a sigmoid, otherwise soft-max (``nets.probabilities``).
    filters, depth: channels of the first level, and levels below it.
    deep_supervision: a head at each depth, which ``training.fit`` trains together and ``prune`` cuts off; otherwise the
        deepest head alone.
    normalization: ``None`` (the paper), 'batch', 'instance' or 'group'.

    Images (N, H, W, C) float32 in, logits (N, H, W, classes) out, for each head. ``unetpp((None, None, 1), 1)`` has
    9,041,700 parameters, with one head 9,041,601. A block is two 3 x 3 convolutions with ReLU, padded. Raises
    ``ValueError`` naming the fix for a size that does not fit. Sources: arXiv 1807.10165 and 1912.05074.
    """
    images, entering = image_input(input_shape, depth, "same")
    nodes = {}
    for j in range(depth + 1):
        for i in range(depth + 1 - j):
            name, width = f"x{i}{j}", filters * 2**i
            if j:
                below = upsample(nodes[i + 1, j - 1], width, "transpose", "same", name)
                along = [nodes[i, k] for k in range(j)]
                entering = layers.Concatenate(name=f"{name}_concat")([*along, below])
            elif i:
                entering = layers.MaxPooling2D(2, name=f"{name}_pool")(nodes[i - 1, 0])
            nodes[i, j] = double_convolution(entering, width, "same", "relu", normalization, name)

    heads = {f"L{j}": convolution(nodes[0, j], classes, kernel=1, name=f"L{j}") for j in range(1, depth + 1)}
    return keras.Model(images, heads if deep_supervision else heads[f"L{depth}"], name="unetpp")


def prune(model, level) -> keras.Model:
    """Cut a U-Net++ down to the head of one level: only the nodes that this head needs, with the same weights.

    model: a network with heads "L1", "L2", ..., as ``unetpp`` builds it; level: 1 to depth. Returns a model with one
    output, equal to that head of the whole network bit for bit on the same backend. It shares the weights: what is
    trained later in one is changed in both. Saved by ``store.save`` it holds its own nodes only. Raises ``ValueError``
    for a network without heads or without this one. Source: section 3.2 of arXiv 1807.10165.
    """
    heads = model.output if isinstance(model.output, dict) else {}
    if not heads:
        raise ValueError(f"{model.name!r} has no heads to prune to: build it by nets.unetpp with deep_supervision=True")
    if f"L{level}" not in heads:
        raise ValueError(f"level must be one of {', '.join(name[1:] for name in heads)}, not {level!r}")
    return keras.Model(model.input, heads[f"L{level}"], name=f"{model.name}_L{level}")
