"""A network as an ONNX file, which runs without Keras: in onnxruntime, in a browser, in ImageJ or QuPath.

The functional model is walked from its input to its heads, and each layer is written by its rule; batch normalizations
become part of the convolution before them. The file says in its metadata what to do with an image before, and with the
logits after.
"""

import json
from pathlib import Path

import unetbook
from unetbook import checks, drafts, geometry

LAYOUTS = "NHWC", "NCHW"
OPSET, IR = 17, 8  # of 2022: old enough for most programs that read the format


def to_onnx(network, path, layout="NHWC", half=False) -> Path:
    """Write a network as an ONNX file that was checked, and return the path. Arguments and errors as in ``onnx_model``.

    It appears when it is complete. Raises ``ValueError`` for another ending than .onnx, too. To run it elsewhere:

        session = onnxruntime.InferenceSession("nuclei.onnx")
        (logits,) = session.run(None, {"images": images})
        passport = json.loads(session.get_modelmeta().custom_metadata_map["passport"])
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"an ONNX file ends in .onnx: use {path.with_suffix('.onnx')} instead of {path}")
    drafts.check_target(path)
    content = onnx_model(network, layout, half).SerializeToString()

    def write(draft):
        import onnx

        draft.write_bytes(content)
        onnx.checker.check_model(str(draft), full_check=True)

    drafts.put(path, write)
    return path


def onnx_model(network, layout="NHWC", half=False):
    """A network as an ``onnx.ModelProto``: one input ``images`` float32, outputs float32 ``logits`` or heads by name.

    network: a ``Segmenter``, or a Keras functional model of one image input. layout: "NHWC", images (N, H, W, C) and
    logits (N, H', W', classes) as everywhere in this package, or "NCHW", channels first, as many other programs want
    them. Sides that the network leaves open stay open. half: kernels are stored in half precision, which halves the
    file; all is computed in single precision. ``metadata_props`` hold texts: ``passport`` and ``geometry`` (JSON),
    ``layout``, and ``input``, ``sides`` and ``output``, sentences on what to do with an image.

    Normalization, tiles and how logits become labels are not part of the file. Raises ``ValueError`` for a layout and
    for a layer that is not known, by its name, with the fix; ``ModuleNotFoundError`` without the package ``onnx``.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be 'NHWC' or 'NCHW', not {layout!r}")
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing ONNX files needs the package onnx: install it, or unetbook with its extra 'export'",
            name=error.name,
        ) from None
    model = getattr(network, "model", network)
    checks.image_model(model)
    graph, outputs = _written(model, layout, half)
    heads = list(model.output) if isinstance(getattr(model, "output", None), dict) else ["logits"]
    tensors = dict(zip(heads, model.outputs, strict=True)) if len(heads) == 1 else model.output
    last = layout == "NHWC"
    for head in heads:
        found = outputs[id(tensors[head])]
        kind = {"perm": [0, 2, 3, 1]} if last else {}
        graph.nodes.append(onnx.helper.make_node("Transpose" if last else "Identity", [found], [head], head, **kind))
    told = onnx.helper.make_graph(
        graph.nodes,
        model.name,
        [_value(onnx, "images", model.inputs[0].shape, layout)],
        [_value(onnx, head, tensors[head].shape, layout, f"{head} ") for head in heads],
        graph.weights,
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    proto = onnx.helper.make_model(told, opset_imports=opset, ir_version=IR, producer_name="unetbook")
    proto.producer_version = unetbook.__version__
    onnx.helper.set_model_props(proto, _metadata(network, model, layout, half, heads))
    return proto


def _written(model, layout, half):
    """The graph of a model's layers, and the name of each map by the id of its tensor."""
    from unetbook.export import _graph, _layers

    steps, graph = geometry.walk(model), _graph.Graph(half)
    readers = {id(tensor): ["the outside"] for tensor in model.outputs}
    for op, node in steps:
        for tensor in node.input_tensors:
            readers.setdefault(id(tensor), []).append(op)
    names, folded = {}, set()
    for op, node in steps:
        (out,) = node.outputs
        if not node.input_tensors:
            names[id(out)] = graph.add("Transpose", "images", perm=[0, 3, 1, 2]) if layout == "NHWC" else "images"
            continue
        maps = [names[id(tensor)] for tensor in node.input_tensors]
        if id(node.input_tensors[0]) in folded:  # the normalization is in the kernel; it may be used elsewhere, too
            names[id(out)] = maps[0]
            continue
        rule = _layers.RULES.get(type(op))
        if rule is None:
            raise ValueError(f"{op.name!r} is a {type(op).__name__}, which has no rule here: {_layers.ELSE}")
        after = readers.get(id(out), [])
        graph.norm = after[0] if len(after) == 1 and _layers.can_fold(op, after[0]) else None
        folded |= {id(out)} if graph.norm else set()
        graph.layer, graph.shape = op.name, node.input_tensors[0].shape
        names[id(out)] = rule(graph, op, maps)
    return graph, names


def _value(onnx, name, shape, layout, prefix=""):
    """What goes in or out, by name; open sides have a name, those of a head its own."""
    sides = [
        prefix + open_ if side is None else side for open_, side in zip(("height", "width"), shape[1:3], strict=True)
    ]
    sides = [*sides, shape[3]] if layout == "NHWC" else [shape[3], *sides]
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *sides])


def _metadata(network, model, layout, half, heads) -> dict[str, str]:
    """What a program, or a person, needs to know to use the file."""
    passport = getattr(network, "passport", None) or getattr(network, "metadata", None) or {}
    shape = geometry.of(model)
    least = geometry.legal_at_least(model, 1)
    cut = f"; {shape.margin} pixels less come out at each side" if shape.margin else ""
    several = f"Heads {', '.join(heads)}. " if len(heads) > 1 else ""
    return {
        "unetbook": unetbook.__version__,
        "layout": layout,
        "precision": "kernels stored in half precision" if half else "single",
        "passport": json.dumps(passport),
        "geometry": json.dumps(shape._asdict()),
        "input": f"float32 {layout}, gray values in [0, 1], then normalized as the passport's 'normalize' says",
        "sides": f"{least} pixels, or {'' if shape.grid == 1 else f'a multiple of {shape.grid} '}more{cut}",
        "output": f"{several}Logits {layout}: sigmoid for one channel, soft-max over several, unless the passport's "
        "'outputs' says that they are values; classes are in the order of the passport's 'classes'",
    }
