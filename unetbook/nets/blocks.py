"""The parts that the networks of the book share, each named as the papers name it."""

import math

import keras
from keras import layers, ops

from unetbook import sizes


@keras.saving.register_keras_serializable("unetbook")
class LegalSize(layers.Layer):
    """Passes images on unchanged, after checking that their height and width fit a U-Net of this depth.

    Without it a wrong size fails deep inside, where two maps of different size meet at a concatenation. Raises
    ``ValueError`` naming the nearest legal sizes.
    """

    pointwise = True  # for unetbook.geometry: no pixel sees another

    def __init__(self, depth, padding, **kwargs):
        super().__init__(**kwargs)
        self.depth, self.padding = depth, padding

    def call(self, images):
        """Images (N, H, W, C) in and out."""
        for side in images.shape[1:3]:
            if side is not None:
                sizes.check_input_size(int(side), self.depth, self.padding)
        return images

    def compute_output_shape(self, input_shape):
        """The shape that came in."""
        return input_shape

    def get_config(self):
        """Depth and padding, so that a saved model checks as before."""
        return {**super().get_config(), "depth": self.depth, "padding": self.padding}


@keras.saving.register_keras_serializable("unetbook")
class Bilinear(layers.UpSampling2D):
    """Doubles height and width by bilinear interpolation, the edge repeated: equal to Keras' ``UpSampling2D``.

    Keras 3.15 cannot trace that layer on TensorFlow when height and width are open, which tiles of several sizes need.
    """

    def __init__(self, **kwargs):
        kwargs.pop("size", None)
        super().__init__(2, **{**kwargs, "interpolation": "bilinear"})

    def call(self, maps):
        """Maps (N, H, W, C) to (N, 2 H, 2 W, C): pixels repeated, then smoothed by (1, 2, 1) / 4 along each axis."""
        for axis in (1, 2):
            maps = ops.moveaxis(ops.repeat(maps, 2, axis=axis), axis, 0)
            before = ops.concatenate([maps[:1], maps[:-1]], axis=0)
            after = ops.concatenate([maps[1:], maps[-1:]], axis=0)
            maps = ops.moveaxis((before + 2 * maps + after) / 4, 0, axis)
        return maps


def he_normal(incoming: int):
    """The paper's initial weights: a plain Gaussian of standard deviation sqrt(2 / N), N incoming nodes (section 3).

    ``incoming`` is channels in x kernel area for a convolution, and channels in alone for the 2 x 2 up-convolution of
    stride 2, where one tap of the kernel reaches each output pixel. Keras' own ``he_normal`` counts the *output*
    channels of a ``Conv2DTranspose`` instead, and truncates the Gaussian.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / incoming))


def image_input(input_shape, depth, padding):
    """The input layer for images of this shape, and the images behind a check of their size (``LegalSize``).

    input_shape: (height, width, channels); height and width may be ``None``. Raises ``ValueError`` naming the fix.
    """
    *sides, channels = input_shape
    if len(sides) != 2 or not channels:
        raise ValueError(f"input_shape must be (height, width, channels), not {tuple(input_shape)!r}")
    for side in sides:
        sizes.check_input_size(sizes.smallest_input(depth, padding) if side is None else side, depth, padding)
    images = keras.Input(input_shape, name="images")
    return images, LegalSize(depth, padding, name="legal_size")(images)


def convolution(maps, filters, kernel=3, padding="valid", name=None, stride=1):
    """A convolution with the paper's initial weights: (N, H, W, C) to (N, H', W', filters)."""
    initial = he_normal(maps.shape[-1] * kernel * kernel)
    return layers.Conv2D(filters, kernel, stride, padding, kernel_initializer=initial, name=name)(maps)


def double_convolution(maps, filters, padding, activation, normalization, name):
    """Twice: convolution 3 x 3, normalization if any, activation. Unpadded, a map loses 4 pixels a side length."""
    for which in "ab":
        maps = convolution(maps, filters, padding=padding, name=f"{name}_conv_{which}")
        maps = normalize(maps, normalization, name=f"{name}_norm_{which}")
        maps = activate(maps, activation, name=f"{name}_{activation}_{which}")
    return maps


def activate(maps, activation, name=None):
    """The activation as a layer of its own, so that the live model shows it: (N, H, W, C) in and out."""
    return layers.Activation(activation, name=name)(maps)


def normalize(maps, normalization, name=None):
    """Batch, instance or group normalization, or none; not in the paper of 2015. (N, H, W, C) in and out."""
    if normalization is None:
        return maps
    if normalization == "batch":
        return layers.BatchNormalization(momentum=0.9, name=name)(maps)  # 0.99 lags behind in short trainings
    if normalization == "instance":
        return layers.GroupNormalization(groups=-1, name=name)(maps)
    if normalization == "group":
        channels = maps.shape[-1]
        return layers.GroupNormalization(groups=math.gcd(8, channels), name=name)(maps)
    raise ValueError(f"normalization must be None, 'batch', 'instance' or 'group', not {normalization!r}")


def upsample(maps, filters, upsampling, padding, name):
    """Twice the height and width, and ``filters`` channels: (N, H, W, C) to (N, 2 H, 2 W, filters).

    'transpose' is the paper's 2 x 2 up-convolution. 'nearest' and 'bilinear' repeat or interpolate pixels and halve the
    channels by a 1 x 1 convolution, which keeps all sizes as the figure has them.
    """
    if upsampling == "transpose":
        return layers.Conv2DTranspose(
            filters, 2, strides=2, kernel_initializer=he_normal(maps.shape[-1]), name=f"{name}_up"
        )(maps)
    if upsampling in ("nearest", "bilinear"):
        double = Bilinear if upsampling == "bilinear" else layers.UpSampling2D
        larger = double(name=f"{name}_up")(maps)
        return convolution(larger, filters, kernel=1, padding=padding, name=f"{name}_up_conv")
    raise ValueError(f"upsampling must be 'transpose', 'nearest' or 'bilinear', not {upsampling!r}")


def join(skip, maps, how, crop, name):
    """The gray arrow of figure 1: the encoder's maps, cropped to the decoder's size, meet the decoder's.

    skip (N, h, w, C) and maps (N, H, W, C) with h = H + 2 crop. 'concat' gives 2 C channels (the paper), 'add' C, and
    'none' drops the skip.
    """
    if how == "none":
        return maps
    if crop:
        skip = layers.Cropping2D(crop, name=f"{name}_crop")(skip)
    if how == "concat":
        return layers.Concatenate(name=f"{name}_concat")([skip, maps])
    if how == "add":
        return layers.Add(name=f"{name}_add")([skip, maps])
    raise ValueError(f"skip must be 'concat', 'add' or 'none', not {how!r}")
