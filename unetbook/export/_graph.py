"""An ONNX graph while it grows."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and weights as they are added; half: kernels are stored in half precision, and computed with in single."""

    def __init__(self, half=False):
        """Start without a node."""
        self.nodes, self.weights, self.half = [], [], half
        # Of the layer whose nodes are added: its name, the shape of its input, the batch normalization to fold into it.
        self.layer, self.shape, self.norm = "", (), None

    def add(self, kind, *inputs, **attributes) -> str:
        """Add a node; returns the name of what comes out."""
        name = f"{self.layer}_{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, values, halved=False) -> str:
        """Add weights; halved: in half precision where that is asked for and holds them."""
        values, name = np.asarray(values), f"{self.layer}_weights_{len(self.weights)}"
        values = values.astype(np.int64 if values.dtype.kind in "iu" else np.float32)
        halved = halved and self.half and np.abs(values).max(initial=0) <= np.finfo(np.float16).max
        self.weights.append(numpy_helper.from_array(values.astype(np.float16) if halved else values, name))
        return self.add("Cast", name, to=TensorProto.FLOAT) if halved else name

    def affine(self, maps, scale, shift) -> str:
        """Add scale * maps + shift, one of each a channel or one for all."""
        maps = self.add("Mul", maps, self.constant(_channels(scale)))
        return self.add("Add", maps, self.constant(_channels(shift)))


def _channels(values):
    values = np.asarray(values, np.float64)
    return values.reshape(1, -1, 1, 1) if values.ndim else values
