"""The U-Net of Ronneberger, Fischer and Brox (2015), figure 1, and the variants that its readers ask about."""

import keras
from keras import layers

from unetbook import sizes
from unetbook.nets.blocks import convolution, double_convolution, image_input, join, upsample


def unet(
    input_shape,
    classes,
    filters=64,
    depth=4,
    padding="valid",
    skip="concat",
    upsampling="transpose",
    activation="relu",
    normalization=None,
    dropout=0.0,
):
    """Build a U-Net that maps images to logits, one channel a class.

    ``unet((572, 572, 1), 2)`` is the network of figure 1: 23 convolutional layers, 31,030,658 parameters, 388 x 388
    out.

    input_shape: (height, width, channels); height and width may be ``None``. Legal sizes: ``sizes.legal_sizes`` for
        unpadded convolutions, multiples of 2^depth for padded ones.
    classes: channels of the output; 1 for a sigmoid, otherwise soft-max (``nets.probabilities``).
    filters, depth: channels of the first level, doubled at each of ``depth`` poolings.
    padding: 'valid' (the paper) or 'same' (output as large as the input).
    skip: 'concat' (the paper), 'add' or 'none'.
    upsampling: 'transpose' (the paper's up-convolution), 'nearest' or 'bilinear'.
    normalization: ``None`` (the paper), 'batch', 'instance' or 'group'.
    dropout: rate of the two drop-out layers at the end of the contracting path (section 3.1). The paper gives neither
        the rate nor the exact place; here one stands after the last level that has a skip, one after the bottom.

    Images (N, H, W, C) float32 in, logits (N, H', W', classes) out; H' = H - 184 for unpadded convolutions at depth 4,
    otherwise H' = H. As in the paper's text there is no ReLU after the up-convolution. Raises ``ValueError`` naming the
    fix for a size that does not fit or an unknown option.
    """
    images, maps = image_input(input_shape, depth, padding)

    skips = []
    for level in range(depth):  # contracting path: 64, 128, 256, 512 channels
        maps = double_convolution(maps, filters * 2**level, padding, activation, normalization, f"down{level}")
        if dropout and level == depth - 1:
            maps = layers.Dropout(dropout, name=f"down{level}_dropout")(maps)
        skips.append(maps)
        maps = layers.MaxPooling2D(2, name=f"down{level}_pool")(maps)

    maps = double_convolution(maps, filters * 2**depth, padding, activation, normalization, "bottom")
    if dropout:
        maps = layers.Dropout(dropout, name="bottom_dropout")(maps)

    for level in reversed(range(depth)):  # expansive path: 512, 256, 128, 64 channels
        crop = sizes.skip_crop(level, depth) if padding == "valid" else 0
        maps = upsample(maps, filters * 2**level, upsampling, padding, f"up{level}")
        maps = join(skips[level], maps, skip, crop, f"up{level}")
        maps = double_convolution(maps, filters * 2**level, padding, activation, normalization, f"up{level}")

    logits = convolution(maps, classes, kernel=1, name="logits")
    return keras.Model(images, logits, name="unet")
