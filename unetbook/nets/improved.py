"""The Improved U-Net of Isensee et al. (2017), read in two dimensions."""

import keras
from keras import layers

from unetbook.nets.blocks import convolution, image_input, normalize

LEVELS = 5
HEADS = 3  # segmentation layers


def improved_unet(input_shape, classes, filters=16, dropout=0.3):
    """Build the Improved U-Net, which maps images to logits: context modules down, localization modules up.

    - Down: on each of five levels a context module, levels joined by 3 x 3 convolutions of stride 2.
    - Up: an up-sampling module, the skip concatenated, a localization module; at the top a last 3 x 3 convolution.
    - Segmentation layers: 1 x 1 convolutions on the three upper levels, added up from the lowest one, each sum doubled
      in size.

    input_shape: (height, width, channels), multiples of 16; height and width may be ``None``. classes: channels of the
    logits. filters: channels of the first level, doubled on each. dropout: rate within the context modules.

    Images (N, H, W, C) float32 in, logits (N, H, W, classes) out; ``improved_unet((256, 256, 3), 1)`` has 3,188,915
    parameters. The paper is in three dimensions; every 3 x 3 x 3 there is 3 x 3 here. Normalization is per instance, so
    that tiles cannot be exact: predict whole images. Sizes are doubled by repeating pixels, those of the segmentation
    layers too, for which the paper names no way. Widely copied ports differ: convolutions before normalization in the
    context modules, localization modules that do not halve the channels (2,775,299 parameters), and in some versions
    normalized segmentation layers (2,775,305). Raises ``ValueError`` naming the fix for a size that does not fit.
    Source: arXiv 1802.10508.
    """
    images, maps = image_input(input_shape, LEVELS - 1, "same")
    skips = []
    for level in range(LEVELS):
        maps = unit(maps, filters * 2**level, f"down{level}", stride=2 if level else 1)
        maps = context(maps, dropout, f"down{level}_context")
        skips.append(maps)

    total = None
    for level in reversed(range(LEVELS - 1)):
        width = filters * 2**level
        maps = layers.UpSampling2D(2, name=f"up{level}_repeat")(maps)
        maps = unit(maps, width, f"up{level}")
        maps = layers.Concatenate(name=f"up{level}_concat")([skips[level], maps])
        maps = localization(maps, width, f"up{level}_localization") if level else unit(maps, 2 * width, "last")
        if level < HEADS:
            scores = convolution(maps, classes, kernel=1, name=f"segmentation{level}")
            if total is not None:
                larger = layers.UpSampling2D(2, name=f"segmentation{level}_repeat")(total)
                scores = layers.Add(name=f"segmentation{level}_sum")([larger, scores])
            total = scores
    return keras.Model(images, total, name="improved_unet")


def unit(maps, filters, name, kernel=3, stride=1):
    """Convolution, instance normalization, leaky ReLU: (N, H, W, C) to (N, H / stride, W / stride, filters)."""
    maps = convolution(maps, filters, kernel, "same", f"{name}_conv", stride)
    return leaky(normalize(maps, "instance", f"{name}_norm"), f"{name}_leaky")


def context(maps, dropout, name):
    """The context module, a pre-activation residual block: maps + two units of normalization, leaky ReLU, convolution.

    Drop-out stands between the two. (N, H, W, C) in and out.
    """
    residual = maps
    for which in "ab":
        residual = leaky(normalize(residual, "instance", f"{name}_norm_{which}"), f"{name}_leaky_{which}")
        residual = convolution(residual, maps.shape[-1], padding="same", name=f"{name}_conv_{which}")
        if which == "a" and dropout:
            residual = layers.Dropout(dropout, name=f"{name}_dropout")(residual)
    return layers.Add(name=f"{name}_sum")([maps, residual])


def localization(maps, filters, name):
    """The localization module: 3 x 3 keeps the channels of the concatenation, 1 x 1 halves them to ``filters``."""
    maps = unit(maps, maps.shape[-1], f"{name}_a")
    return unit(maps, filters, f"{name}_b", kernel=1)


def leaky(maps, name):
    """Leaky ReLU of slope 0.01 below zero."""
    return layers.LeakyReLU(negative_slope=0.01, name=name)(maps)
