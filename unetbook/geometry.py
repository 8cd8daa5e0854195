"""What a live model does to positions: its grid, the margin that it cuts, and the pixels that an output pixel sees.

The graph of a Keras functional model is walked twice: forward for sizes, backward for the input that a block of output
pixels needs. ``unetbook.tiling`` plans its tiles with it, for any model made of layers that ``operations`` knows.
"""

from typing import NamedTuple

from keras import layers

from unetbook import operations


class Geometry(NamedTuple):
    """What tiles have to respect, all in input pixels.

    grid: the product of the poolings' strides; only shifts by its multiples leave a prediction unchanged.
    margin: what unpadded convolutions cut from each side.
    halo: what must be discarded beyond that on each side where a tile ends and the image goes on, because padding or
        interpolation at the tile's edge invents values there; a multiple of grid, 0 where nothing is invented.
    padded: whether a layer pads inside the network, so that a tile must meet the image's edge where it is.
    whole_image: name of the first layer that looks at all pixels at once (or whose reach is unknown); ``None`` if no
        layer does. Tiles are exact only for ``None``.
    """

    grid: int
    margin: int
    halo: int
    padded: bool
    whole_image: str | None


def of(model) -> Geometry:
    """The geometry of a Keras functional model with one image input and outputs at the input's resolution."""
    nodes = walk(model)
    whole_image = next((op.name for op, _ in nodes if operations.reach(op) == "whole image"), None)
    padded = any(getattr(op, "padding", None) == "same" and operations.kernel(op) > 1 for op, _ in nodes)
    padded = padded or any(isinstance(op, layers.ZeroPadding2D) for op, _ in nodes)
    invents = padded or any(getattr(op, "interpolation", "nearest") != "nearest" for op, _ in nodes)
    grid = int(max(scale for _, scale in _scales(nodes)))
    side = legal_at_least(model, 1, nodes)
    margin = (side - output_size(model, side, nodes)) // 2
    # One block of output pixels on the grid, far from any edge: what it needs beyond the margin is the halo.
    start, stop = seen(model, 0, grid, nodes)
    reach = max(-start, stop - grid - 2 * margin, 0) if invents else 0
    return Geometry(grid, margin, -(-reach // grid) * grid, padded, whole_image)


def output_size(model, n: int, nodes=None) -> int | None:
    """Side of the output for an input of side ``n``, or ``None`` where a pooling or a concatenation does not fit."""
    nodes = nodes or walk(model)
    side = _follow(model, n, nodes)
    if side is None and any(isinstance(op, layers.ZeroPadding2D) for op, _ in nodes):
        # Zero padding often adds a row more than the next stride reaches. That row holds no image where the sizes of
        # the whole model come out even.
        side = _follow(model, n, nodes, exact=False)
        return side if side == n else None
    return side if side is None or side <= n else None


def feature_bytes(model, height: int, width: int) -> int:
    """Bytes of all float32 feature maps for one input of about this size: an upper bound of what a prediction holds."""
    per_pixel = sum(4 * tensor.shape[-1] / scale**2 for tensor, scale in _scales(walk(model)))
    return int(per_pixel * height * width)


def legal_at_least(model, n: int, nodes=None) -> int:
    """The smallest input side of at least ``n`` pixels that the model takes; ``ValueError`` where there is none."""
    nodes = nodes or walk(model)
    for side in range(max(n, 1), max(n, 1) + 4096):
        if output_size(model, side, nodes):
            return side
    raise ValueError(
        f"no input of {n} to {n + 4095} pixels fits the model {model.name!r}: sizes must agree where maps meet, "
        "and all outputs must have one size, at the resolution of the input"
    )


def seen(model, start: int, stop: int, nodes=None) -> tuple[int, int]:
    """Input pixels that the output pixels [start, stop) see along one axis, as a half-open interval.

    Output and input pixels are counted from the first pixel of their own array. With padding the interval may reach
    beyond the input. For an unpadded U-Net it equals ``sizes.seen_interval``.
    """
    nodes = nodes or walk(model)
    wanted = {id(tensor): (start, stop) for tensor in model.outputs}
    for op, node in reversed(nodes):
        spans = [wanted[id(t)] for t in node.outputs if id(t) in wanted]
        span = operations.backward(op, min(s for s, _ in spans), max(s for _, s in spans))
        for tensor in node.input_tensors:
            old = wanted.get(id(tensor), span)
            wanted[id(tensor)] = (min(old[0], span[0]), max(old[1], span[1]))
    return wanted[id(model.inputs[0])]


def walk(model):
    """Operations with the node of the graph where each is called, inputs first."""
    order, met = [], set()

    def visit(tensor):
        op, index, _ = tensor._keras_history
        node = op._inbound_nodes[index]
        if id(node) not in met:
            met.add(id(node))
            operations.check(op)
            for earlier in node.input_tensors:
                visit(earlier)
            order.append((op, node))

    for tensor in model.outputs:
        visit(tensor)
    return order


def _follow(model, n, nodes, exact=True):
    """Side of the model's outputs for an input of side ``n``, or ``None`` where sizes do not fit or agree."""
    sizes = {}
    for op, node in nodes:
        incoming = {sizes[id(t)] for t in node.input_tensors} or {n}
        if len(incoming) > 1:
            return None
        side = operations.forward(op, incoming.pop(), exact)
        if side is None or side < 1:
            return None
        sizes.update({id(t): side for t in node.outputs})
    found = {sizes[id(t)] for t in model.outputs}
    return found.pop() if len(found) == 1 else None


def _scales(nodes):
    """Each feature map with its scale: how many input pixels lie between two of its pixels."""
    scales, found = {}, []
    for op, node in nodes:
        scale = (
            max((scales[id(t)] for t in node.input_tensors), default=1) * operations.stride(op) / operations.growth(op)
        )
        scales.update({id(t): scale for t in node.outputs})
        found += [(t, scale) for t in node.outputs]
    return found
