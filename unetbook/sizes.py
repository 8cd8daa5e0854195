"""Sizes, margins, receptive fields and legal inputs of the U-Net, in plain Python.

All formulas follow one walk through figure 1 of Ronneberger et al. 2015: two 3 x 3 convolutions a level, a 2 x 2
max pooling of stride 2 on the way down, a 2 x 2 up-convolution of stride 2 on the way up.
"""

import math
from typing import NamedTuple

from unetbook import checks


class Step(NamedTuple):
    """One operation of the network: its name, its level (0 = full resolution), and the side length before and after."""

    name: str
    level: int
    size_in: int
    size_out: int


class Row(NamedTuple):
    """One layer of a live model: sizes are (height, width), ``None`` where the model leaves a side open."""

    layer: str
    kind: str
    size_in: tuple
    size_out: tuple
    channels: int
    parameters: int


def margin(depth: int = 4) -> int:
    """Pixels that unpadded convolutions cut from each side of the input: 92 at depth 4 (figure 1).

    A level at scale 2^i loses 4 * 2^i pixels on the way down and as many on the way up, the bottom level 4 * 2^depth.
    """
    checks.whole(depth, "depth", 1)
    down_and_up = sum(2 * 4 * 2**level for level in range(depth))
    return (down_and_up + 4 * 2**depth) // 2


def output_size(n: int, depth: int = 4) -> int:
    """Side of the output, in pixels, for an input of side ``n`` and unpadded convolutions: 572 gives 388 (figure 1).

    Raises ``ValueError`` naming the two nearest legal sizes where a pooling would meet an odd size, or where nothing
    would be left.
    """
    check_input_size(n, depth, "valid")
    return n - 2 * margin(depth)


def legal_sizes(low: int, high: int, depth: int = 4) -> list[int]:
    """All input sides in [low, high] that fit a U-Net with unpadded convolutions: 188 + 16 k at depth 4."""
    checks.whole(depth, "depth", 1)
    return [n for n in range(max(low, 1), high + 1) if is_legal(n, depth)]


def is_legal(n: int, depth: int = 4, padding: str = "valid") -> bool:
    """Whether a square input of side ``n`` fits: every pooling meets an even size, and at least one pixel comes out."""
    grid = 2**depth
    if padding == "same":
        return n >= grid and n % grid == 0
    output = n - 2 * margin(depth)
    # The bottom map is doubled depth times; on the way, the convolutions of the levels above cut 4, 2 * 4, 4 * 4 ...
    # pixels at the output's scale. So only an output that is a multiple of 2^depth less that cut can come about.
    cut = 4 * (grid - 1)
    return output > 0 and (output + cut) % grid == 0


def check_input_size(n: int, depth: int = 4, padding: str = "valid") -> None:
    """Raise ``ValueError`` naming the nearest legal input sides if ``n`` does not fit."""
    checks.whole(depth, "depth", 1)
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same', not {padding!r}")
    if is_legal(n, depth, padding):
        return
    grid = 2**depth
    above = next(m for m in range(max(n, 1), max(n, 1) + 2 * margin(depth) + 2 * grid) if is_legal(m, depth, padding))
    below = above - grid
    choices = f"{below} or {above}" if is_legal(below, depth, padding) else f"{above} (the smallest)"
    rule = f"{smallest_input(depth, padding)} + {grid} k"
    raise ValueError(
        f"an input of {n} pixels does not fit a U-Net of depth {depth} with padding={padding!r}: "
        f"use {choices}. Legal sizes are {rule}."
    )


def smallest_input(depth: int = 4, padding: str = "valid") -> int:
    """The smallest legal input side: 188 at depth 4 with unpadded convolutions, 16 with padding."""
    return next(n for n in range(1, 2 * margin(depth) + 2**depth + 1) if is_legal(n, depth, padding))


def receptive_field(depth: int = 4) -> tuple[int, int]:
    """Smallest and largest side, in pixels, of the input region that one output pixel sees: (188, 204) at depth 4.

    Which of the sizes holds depends on the output pixel's position modulo 2^depth (its phase): a 2 x 2 pooling and
    up-convolution treat the pixels of a pair alike. Intervals are followed from the output back to the input
    (``seen_interval``).
    """
    lengths = [stop - start for start, stop in (seen_interval(o, depth) for o in range(2**depth))]
    return min(lengths), max(lengths)


def seen_interval(position: int, depth: int = 4) -> tuple[int, int]:
    """Half-open interval of input pixels that output pixel ``position`` sees along one axis, unpadded convolutions.

    Both are counted from the first pixel of their own array, so that output pixel 0 of 388 starts at input pixel 0 of
    572. The widest path decides, which is the one through the bottom.
    """
    checks.whole(depth, "depth", 1)
    start, stop = position, position + 1
    skips = []
    for _ in range(depth):  # down the decoder, against the arrows
        stop += 4  # two 3 x 3 convolutions: output i sees inputs i to i + 4
        skips.append((start, stop))  # what the skip connection of this level has to deliver
        start, stop = start // 2, (stop - 1) // 2 + 1  # up-convolution: output i comes from input i // 2
    stop += 4
    for level in reversed(range(depth)):  # up the encoder, against the arrows
        start, stop = 2 * start, 2 * stop  # pooling: output i sees inputs 2 i and 2 i + 1
        crop = _skip_crop(level, depth)
        start, stop = min(start, skips[level][0] + crop), max(stop, skips[level][1] + crop)
        stop += 4
    return start, stop


def steps(n: int, depth: int = 4) -> list[Step]:
    """The hand-made shape ledger of the U-Net with unpadded convolutions, operation by operation.

    ``steps(572)`` holds every number of figure 1: 572, 570, 568, 284, ... 28, 56, ... 392, 390, 388.
    """
    check_input_size(n, depth, "valid")
    rows, before_pooling = [], []

    def add(name, level, size_out):
        nonlocal n
        rows.append(Step(name, level, n, size_out))
        n = size_out

    for level in range(depth):
        add("convolution 3x3", level, n - 2)
        add("convolution 3x3", level, n - 2)
        before_pooling.append(n)
        add("max pooling 2x2", level + 1, n // 2)
    add("convolution 3x3", depth, n - 2)
    add("convolution 3x3", depth, n - 2)
    for level in reversed(range(depth)):
        add("up-convolution 2x2", level, 2 * n)
        rows.append(Step("crop of the skip", level, before_pooling[level], n))
        add("convolution 3x3", level, n - 2)
        add("convolution 3x3", level, n - 2)
    add("convolution 1x1", 0, n)
    return rows


def skip_crop(level: int, depth: int = 4) -> int:
    """Pixels cut from each side of the encoder's map before the concatenation at ``level``: 88, 40, 16, 4."""
    checks.whole(depth, "depth", 1)
    if not 0 <= level < depth:
        raise ValueError(f"level must lie in 0 to {depth - 1}, not {level}")
    return _skip_crop(level, depth)


def ledger(model) -> list[Row]:
    """The shape ledger of a live Keras model: one row a layer, in the order of ``model.layers``.

    Only layers with one spatial output (batch, height, width, channels) appear.
    """
    rows = []
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        shape_out = getattr(layer.output, "shape", ())
        shape_in = inputs[0].shape if inputs else shape_out
        if len(shape_in) == len(shape_out) == 4:
            kind = type(layer).__name__
            parameters = layer.count_params()
            rows.append(Row(layer.name, kind, tuple(shape_in[1:3]), tuple(shape_out[1:3]), shape_out[3], parameters))
    return rows


def multiply_adds(model) -> int:
    """Multiplications, each with an addition, that one image costs in the convolutions of a live model.

    The model must be built for one input size. Raises ``ValueError`` where height or width are open.
    """
    return sum(map(layer_multiply_adds, model.layers))


def layer_multiply_adds(layer) -> int:
    """The same for one layer of a live model; 0 for a layer that does not convolve.

    Raises ``ValueError`` where its height or width are open.
    """
    kernel = getattr(layer, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        return 0
    # A transposed convolution multiplies its kernel by each pixel that comes in, others do for each that goes out.
    height, width = (layer.input if type(layer).__name__ == "Conv2DTranspose" else layer.output).shape[1:3]
    if None in (height, width):
        raise ValueError(f"the size of {layer.name!r} is open: build the model for one size, such as (256, 256, 1)")
    return math.prod(kernel.shape) * height * width


def _skip_crop(level: int, depth: int) -> int:
    # Between the skip at a level and the concatenation, the path through the levels below loses 4 pixels at each scale:
    # 2 (depth - level - 1) times on the way down and up, once at the bottom. Half of it falls on each side.
    below = sum(2 * 4 * 2 ** (lower - level) for lower in range(level + 1, depth))
    return (below + 4 * 2 ** (depth - level)) // 2
