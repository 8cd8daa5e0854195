"""What one operation of a live model does to positions along an axis: how far it looks, what it cuts, how it resamples.

``geometry`` walks the graph of a model with these rules: ``forward`` gives the size that comes out, ``backward`` the
interval of the input that an interval of the output needs. Height and width are alike (``check``).
"""

from keras import Model, layers

_WINDOWED = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
)
_POINTWISE = (
    layers.InputLayer,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.Softmax,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.BatchNormalization,
    layers.Rescaling,
    layers.Add,
    layers.Average,
    layers.Multiply,
    layers.Concatenate,
)


def check(op):
    """Raise ``ValueError`` for a layer that one walk along one axis cannot describe."""
    if isinstance(op, Model):
        raise ValueError(
            f"{op.name!r} is a model inside the model, and its layers are not seen: build it on the outer input "
            "instead (input_tensor=... in keras.applications)"
        )
    for name in ("kernel_size", "pool_size", "strides", "dilation_rate", "size", "cropping", "padding"):
        pair = getattr(op, name, None)
        if isinstance(pair, (tuple, list)) and len(set(pair)) > 1:
            raise ValueError(f"layer {op.name!r} has {name}={pair}: only equal ones for height and width are supported")


def reach(op) -> str:
    """How far an operation looks: 'pixel', 'window', 'resampling' or, where not known to be less, 'whole image'."""
    if isinstance(op, (layers.Conv2DTranspose, layers.UpSampling2D, layers.Cropping2D, layers.ZeroPadding2D)):
        return "resampling"
    if isinstance(op, _WINDOWED):
        return "window"
    return "pixel" if isinstance(op, _POINTWISE) or getattr(op, "pointwise", False) else "whole image"


def kernel(op) -> int:
    """Side of the window, dilation included."""
    side = _side(getattr(op, "kernel_size", getattr(op, "pool_size", 1)))
    return (side - 1) * _side(getattr(op, "dilation_rate", 1)) + 1


def stride(op) -> int:
    """Pixels of the input from one pixel of the output to the next, 1 for what does not shrink."""
    return _side(op.strides) if isinstance(op, _WINDOWED) and not _grows(op) else 1


def growth(op) -> int:
    """Pixels of the output for one of the input, 1 for what does not enlarge."""
    if isinstance(op, layers.UpSampling2D):
        return _side(op.size)
    return _side(op.strides) if _grows(op) else 1


def forward(op, n, exact=True):
    """Side of the output of one operation, ``None`` where a stride does not divide the side (and exact is asked)."""
    if isinstance(op, (layers.Cropping2D, layers.ZeroPadding2D)):
        return n - sum(_cut(op))
    if isinstance(op, layers.UpSampling2D):
        return n * growth(op)
    if _grows(op):
        return n * growth(op) + (max(kernel(op) - growth(op), 0) if op.padding == "valid" else 0)
    if isinstance(op, _WINDOWED):
        step = stride(op)
        if op.padding == "same":
            return n // step if n % step == 0 else None
        return (n - kernel(op)) // step + 1 if not exact or (n - kernel(op)) % step == 0 else None
    return n


def backward(op, start, stop):
    """The half-open interval of the operation's input that its outputs [start, stop) need."""
    if isinstance(op, (layers.Cropping2D, layers.ZeroPadding2D)):
        return start + _cut(op)[0], stop + _cut(op)[0]
    if isinstance(op, layers.UpSampling2D):
        more = 0 if op.interpolation == "nearest" else 1
        return start // growth(op) - more, (stop - 1) // growth(op) + 1 + more
    if _grows(op):
        step, side = growth(op), kernel(op)
        shift = max(side - step, 0) // 2 if op.padding == "same" else 0
        return -(-(start + shift - side + 1) // step), (stop - 1 + shift) // step + 1
    if isinstance(op, _WINDOWED):
        first = start * stride(op) - _before(op)
        return first, (stop - 1) * stride(op) - _before(op) + kernel(op)
    return start, stop


def _side(pair) -> int:
    return pair[0] if isinstance(pair, (tuple, list)) else pair


def _grows(op) -> bool:
    return isinstance(op, layers.Conv2DTranspose)


def _before(op) -> int:
    """Pixels of padding before the first one, as Keras places them on sizes that the stride divides."""
    return max(kernel(op) - _side(op.strides), 0) // 2 if op.padding == "same" else 0


def _cut(op) -> tuple[int, int]:
    """Pixels cut from the first and the last side by a cropping layer (negative for zero padding)."""
    if isinstance(op, layers.Cropping2D):
        return op.cropping[0]
    first, last = op.padding[0]
    return -first, -last
