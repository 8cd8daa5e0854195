"""What each layer of a Keras network is in ONNX.

A rule is a function (graph, layer, maps) that adds the nodes of one layer and returns the name of the map that comes
out; ``maps`` are the names of those that go in, (N, C, H, W). What only trains, as drop-out, is nothing here.
"""

import functools
import math

import keras
import numpy as np
from keras import layers, ops

from unetbook.nets.blocks import Bilinear, LegalSize
from unetbook.nets.encoder import IMAGENET_MEAN, IMAGENET_STD, ExpectedInput

ELSE = "take layers of unetbook.nets, or write it by Keras: model.export(path, format='onnx')"


def scale_and_shift(norm) -> tuple[np.ndarray, np.ndarray]:
    """What a batch normalization does to each channel when it no longer learns."""
    mean, variance = _values(norm.moving_mean), _values(norm.moving_variance)
    scale = _values(norm.gamma, 1) / np.sqrt(variance + norm.epsilon)
    return scale, _values(norm.beta) - mean * scale


def can_fold(layer, norm) -> bool:
    """Whether a batch normalization that follows a layer can become part of its kernel and bias."""
    folds = type(layer) in (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)
    if not folds or type(norm) is not layers.BatchNormalization or layer.activation is not keras.activations.linear:
        return False
    _check_last(norm)
    return True


def _values(weights, otherwise=0):
    return np.float64(otherwise) if weights is None else ops.convert_to_numpy(weights).astype(np.float64)


def _folded(graph, layer, kernel):
    """Names of kernel (out first) and bias, the batch normalization that follows multiplied in."""
    out_axis = 1 if type(layer) is layers.Conv2DTranspose else 0
    count = kernel.shape[out_axis]
    bias = np.broadcast_to(_values(layer.bias), count)
    if graph.norm is not None:
        scale, shift = scale_and_shift(graph.norm)
        kernel = kernel * scale.reshape([-1 if axis == out_axis else 1 for axis in range(4)])
        bias = bias * scale + shift
    return graph.constant(kernel, halved=True), graph.constant(bias)


def _window(layer, sides):
    """Attributes of a window: its sides, strides, and padding, which Keras puts at the end where it is odd."""
    strides, dilations = list(layer.strides), list(getattr(layer, "dilation_rate", (1, 1)))
    found = {"kernel_shape": list(sides), "strides": strides}
    if dilations != [1, 1]:
        found["dilations"] = dilations
    if layer.padding == "same" and strides == [1, 1]:
        more = [(side - 1) * step for side, step in zip(sides, dilations, strict=True)]
        found["pads"] = [one // 2 for one in more] + [one - one // 2 for one in more]
    elif layer.padding == "same":
        found["auto_pad"] = "SAME_UPPER"  # how much depends on the size of the image
    return found


def _convolution(graph, layer, maps):
    kernel = _values(layer.kernel)  # (height, width, in, out)
    depthwise = type(layer) is layers.DepthwiseConv2D
    groups = kernel.shape[2] if depthwise else layer.groups
    kernel = (
        kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2]) if depthwise else kernel.transpose(3, 2, 0, 1)
    )
    found = graph.add("Conv", *maps, *_folded(graph, layer, kernel), group=groups, **_window(layer, kernel.shape[2:]))
    return _activated(graph, layer, found)


def _transposed(graph, layer, maps):
    kernel = _values(layer.kernel).transpose(3, 2, 0, 1)  # (height, width, out, in) to (in, out, height, width)
    sides, strides = kernel.shape[2:], layer.strides
    over = [side - stride for side, stride in zip(sides, strides, strict=True)]
    cut = [max(one, 0) if layer.padding == "same" else 0 for one in over]
    if layer.output_padding is not None or set(layer.dilation_rate) != {1}:
        raise ValueError(f"the layer {layer.name!r} has output_padding or dilation, which are not written: {ELSE}")
    pads = [one // 2 for one in cut] + [one - one // 2 for one in cut]
    more = {"pads": pads, "output_padding": [max(-one, 0) for one in over], "kernel_shape": list(sides)}
    found = graph.add("ConvTranspose", *maps, *_folded(graph, layer, kernel), strides=list(strides), **more)
    return _activated(graph, layer, found)


def _activated(graph, layer, maps):
    """The activation of a layer, by its function."""
    function = layer.activation
    name = getattr(function, "__name__", "")
    if getattr(keras.activations, name, None) is not function or name not in _ACTIVATIONS:
        raise ValueError(f"the layer {layer.name!r} has the activation {name!r}, which is not written: {ELSE}")
    return _ACTIVATIONS[name](graph, maps)


def _gelu(graph, maps):
    half = graph.add("Mul", maps, graph.constant(0.5))
    spread = graph.add("Erf", graph.add("Mul", maps, graph.constant(math.sqrt(0.5))))
    return graph.add("Mul", half, graph.add("Add", spread, graph.constant(1.0)))


def _clipped(graph, maps, most):
    return graph.add("Clip", maps, graph.constant(0.0), graph.constant(most))


_ACTIVATIONS = {
    "linear": lambda graph, maps: maps,
    "relu6": lambda graph, maps: _clipped(graph, maps, 6.0),
    "leaky_relu": lambda graph, maps: graph.add("LeakyRelu", maps, alpha=0.2),
    "silu": lambda graph, maps: graph.add("Mul", maps, graph.add("Sigmoid", maps)),
    "gelu": _gelu,
    "softmax": lambda graph, maps: graph.add("Softmax", maps, axis=1),
    **{
        name.lower(): lambda graph, maps, name=name: graph.add(name, maps)
        for name in ("Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign")
    },
}


def _relu(graph, layer, maps):
    if layer.threshold or (layer.negative_slope and layer.max_value is not None):
        raise ValueError(f"the layer {layer.name!r} has a threshold or a slope and a maximum: {ELSE}")
    if layer.max_value is not None:
        return _clipped(graph, maps[0], float(layer.max_value))
    return graph.add("LeakyRelu", maps[0], alpha=float(layer.negative_slope))


def _pooling(kind):
    return lambda graph, layer, maps: graph.add(kind, *maps, **_window(layer, layer.pool_size))


def _batch_normalization(graph, layer, maps):
    _check_last(layer)
    return graph.affine(maps[0], *scale_and_shift(layer))


def _group_normalization(graph, layer, maps):
    """Instances are groups of one channel; larger groups are laid out as one long row each."""
    _check_last(layer)
    (maps,), channels = maps, graph.shape[-1]
    groups = channels if layer.groups == -1 else layer.groups
    rows = maps if groups == channels else graph.add("Reshape", maps, graph.constant([0, groups, -1]))
    one, zero = graph.constant(np.ones(groups)), graph.constant(np.zeros(groups))
    rows = graph.add("InstanceNormalization", rows, one, zero, epsilon=float(layer.epsilon))
    found = rows if groups == channels else graph.add("Reshape", rows, graph.add("Shape", maps))
    return graph.affine(found, _values(layer.gamma, 1), _values(layer.beta))


def _check_last(layer):
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, 3):
        raise ValueError(f"the layer {layer.name!r} works along axis {axis}, and channels come last: {ELSE}")


def _resized(graph, layer, maps):
    """Repeated pixels, or bilinear between their centers, the edge repeated."""
    ways = {
        "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    }
    if layer.interpolation not in ways:
        raise ValueError(f"the layer {layer.name!r} interpolates by {layer.interpolation!r}: {ELSE}")
    scales = graph.constant([1.0, 1.0, *map(float, layer.size)])
    return graph.add("Resize", *maps, "", scales, **ways[layer.interpolation])


def _cropped(graph, layer, maps):
    (top, bottom), (left, right) = layer.cropping
    starts, ends = graph.constant([top, left]), graph.constant([-one or 2**62 for one in (bottom, right)])
    return graph.add("Slice", *maps, starts, ends, graph.constant([2, 3]))


def _padded(graph, layer, maps):
    (top, bottom), (left, right) = layer.padding
    return graph.add("Pad", *maps, graph.constant([0, 0, top, left, 0, 0, bottom, right]))


def _expected_input(graph, layer, maps):
    """``ExpectedInput`` of an encoder."""
    (maps,) = maps
    if graph.shape[-1] == 1:
        maps = graph.add("Concat", maps, maps, maps, axis=1)
    if layer.expects == "-1 to 1":
        return graph.affine(maps, 2.0, -1.0)
    if layer.expects == "standardized":
        mean, spread = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
        return graph.affine(maps, 1 / spread, -mean / spread)
    if layer.expects == "BGR minus mean":
        maps = graph.add("Gather", maps, graph.constant([2, 1, 0]), axis=1)
        return graph.affine(maps, 255.0, [-103.939, -116.779, -123.68])
    return graph.affine(maps, 255.0, 0.0)


def _standardized(graph, layer, maps):
    mean, spread = np.ravel(_values(layer.mean)), np.sqrt(np.ravel(_values(layer.variance)))
    return graph.affine(maps[0], 1 / np.maximum(spread, keras.config.epsilon()), -mean / spread)


def _reshaped(graph, layer, maps):
    """The means of channels, as maps of one pixel: they are that already."""
    if len(graph.shape) != 2 or layer.target_shape[:2] != (1, 1):
        raise ValueError(f"the layer {layer.name!r} reshapes maps: {ELSE}")
    return maps[0]


def _joined(kind):
    return lambda graph, layer, maps: functools.reduce(lambda one, other: graph.add(kind, one, other), maps)


def _nothing(graph, layer, maps):
    return maps[0]


RULES = {
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.Conv2DTranspose: _transposed,
    layers.Activation: lambda graph, layer, maps: _activated(graph, layer, maps[0]),
    layers.ReLU: _relu,
    layers.LeakyReLU: lambda graph, layer, maps: graph.add("LeakyRelu", *maps, alpha=float(layer.negative_slope)),
    layers.BatchNormalization: _batch_normalization,
    layers.GroupNormalization: _group_normalization,
    layers.MaxPooling2D: _pooling("MaxPool"),
    layers.AveragePooling2D: _pooling("AveragePool"),
    layers.GlobalAveragePooling2D: lambda graph, layer, maps: graph.add("GlobalAveragePool", *maps),
    layers.UpSampling2D: _resized,
    Bilinear: _resized,
    layers.Cropping2D: _cropped,
    layers.ZeroPadding2D: _padded,
    layers.Concatenate: lambda graph, layer, maps: (_check_last(layer), graph.add("Concat", *maps, axis=1))[1],
    layers.Add: _joined("Add"),
    layers.Multiply: _joined("Mul"),
    layers.Rescaling: lambda graph, layer, maps: graph.affine(*maps, layer.scale, layer.offset),
    layers.Normalization: _standardized,
    layers.Reshape: _reshaped,
    ExpectedInput: _expected_input,
    **dict.fromkeys((LegalSize, layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise), _nothing),
}
