import builtins
import json

import keras
import numpy as np
import pytest
from keras import layers

import unetbook
from unetbook import __main__, export, geometry, nets, results, segmenter, store

onnx = pytest.importorskip("onnx")  # not where another backend is tried
onnxruntime = pytest.importorskip("onnxruntime")
KEPT = sorted((results.folder() / "weights").glob("*.keras"))


def shaken(model, seed=0):
    """The model with weights, biases and statistics as after a training: none is 0 or 1."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            if "seed" not in weight.name and len(weight.shape) == 1:
                low = 0.5 if weight.name in ("gamma", "moving_variance", "variance") else -0.5
                weight.assign(rng.uniform(low, low + 1, weight.shape))
    return model


def session(proto):
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def both(model, sides=None, **options):
    """Heads by name, as Keras and as onnxruntime give them for images of two sizes."""
    running = session(export.onnx_model(model, **options))
    if sides is None:
        first = geometry.legal_at_least(model, 40)
        sides = (first, geometry.legal_at_least(model, first + 1)), (first, first)
    for height, width in sides:
        images = np.random.default_rng(height).random((2, height, width, model.input_shape[-1]), np.float32)
        said = model(images, training=False)
        said = said if isinstance(said, dict) else {"logits": said}
        first_channels = options.get("layout") == "NCHW"
        found = running.run(None, {"images": images.transpose(0, 3, 1, 2) if first_channels else images})
        found = [maps.transpose(0, 2, 3, 1) for maps in found] if first_channels else found
        assert [one.name for one in running.get_outputs()] == list(said)
        for maps, head in zip(found, said.values(), strict=True):
            yield keras.ops.convert_to_numpy(head), maps


def assert_equal(model, within=1e-4, **options):
    """Logits within 1e-4, or that share of the largest where they are large: single precision holds no more there."""
    for expected, found in both(model, **options):
        assert expected.shape == found.shape and found.dtype == np.float32
        assert expected.std() > 1e-3  # a constant would equal any other
        assert np.abs(found - expected).max() <= within * max(1, np.abs(expected).max())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_networks_say_the_same(path):
    assert_equal(store.load(path))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_both_layouts_say_the_same(layout):
    assert_equal(shaken(nets.unet((None, None, 3), 2, filters=4, depth=2, normalization="batch")), layout=layout)


UNETS = {
    "the paper's": {"padding": "valid", "depth": 3, "dropout": 0.5},
    "batch": {"padding": "same", "normalization": "batch"},
    "batch, valid": {"padding": "valid", "normalization": "batch", "skip": "add"},
    "instance": {"padding": "same", "normalization": "instance", "upsampling": "nearest"},
    "group": {"padding": "valid", "normalization": "group", "upsampling": "bilinear"},
    "none": {"padding": "same", "skip": "none", "upsampling": "bilinear", "activation": "elu"},
    **{name: {"padding": "same", "activation": name, "depth": 1} for name in ("gelu", "silu", "leaky_relu", "selu")},
}


@pytest.mark.parametrize("options", UNETS.values(), ids=UNETS)
def test_every_kind_of_unet_says_the_same(options):
    assert_equal(shaken(nets.unet((None, None, 1), 2, **{"filters": 8, "depth": 2} | options)))


def test_heads_keep_their_names_and_a_pruned_network_has_one():
    model = shaken(nets.unetpp((None, None, 1), 3, filters=4, depth=3, normalization="batch"))
    assert_equal(model)
    assert [one.name for one in session(export.onnx_model(model)).get_outputs()] == ["L1", "L2", "L3"]
    pruned = nets.prune(model, 2)
    assert_equal(pruned, sides=[(40, 48), (48, 40)])
    assert len(export.onnx_model(pruned).graph.node) < len(export.onnx_model(model).graph.node) / 2 + 5


def test_the_improved_unet_says_the_same():
    assert_equal(shaken(nets.improved_unet((None, None, 3), 2, filters=4)))


BACKBONES = {
    "MobileNetV2": ({"alpha": 0.35}, 1),
    "ResNet50": ({}, 3),
    "ResNet50V2": ({}, 3),
    "DenseNet121": ({}, 3),
    "EfficientNetV2B0": ({}, 1),
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_pretrained_encoder_says_the_same(backbone):
    options, channels = BACKBONES[backbone]
    model = nets.encoder((None, None, channels), 2, "random", backbone, filters=4, depth=2, **options)
    assert_equal(model, sides=[(64, 96), (32, 32)])


def around(*steps, channels=3):
    """A network that is these layers one after the other."""
    maps = images = keras.Input((None, None, channels))
    for layer in steps:
        maps = layer(maps)
    return shaken(keras.Model(images, maps))


LAYERS = {
    "activation in the convolution": lambda: [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
    "normalization first": lambda: [layers.BatchNormalization(), layers.ReLU(6), layers.Conv2D(2, 3, use_bias=False)],
    "without scale": lambda: [layers.Conv2D(4, 1), layers.BatchNormalization(scale=False, center=False)],
    "stride, odd sizes": lambda: [layers.Conv2D(4, 3, 2, "same"), layers.Conv2D(4, 2, 1, "same")],
    "dilation": lambda: [layers.Conv2D(4, 3, padding="same", dilation_rate=2), layers.Conv2D(3, 3, dilation_rate=3)],
    "groups": lambda: [layers.Conv2D(4, 3, padding="same"), layers.Conv2D(6, 3, groups=2), layers.LeakyReLU(0.3)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.BatchNormalization()],
    "transposed 3": lambda: [layers.Conv2DTranspose(4, 3, 2, "same"), layers.BatchNormalization()],
    "transposed, valid": lambda: [layers.Conv2DTranspose(4, 3, 2), layers.Activation("tanh")],
    "transposed, gaps": lambda: [layers.Conv2DTranspose(4, 2, 3, "same"), layers.Conv2DTranspose(2, 1, 2)],
    "mean pooling": lambda: [layers.AveragePooling2D(3, 2, "same"), layers.AveragePooling2D(2, 1)],
    "largest, same": lambda: [layers.MaxPooling2D(3, 2, "same"), layers.MaxPooling2D(3, 1, "same")],
    "enlarged": lambda: [layers.UpSampling2D(3), layers.UpSampling2D(2, interpolation="bilinear")],
    "edges": lambda: [layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Cropping2D(((0, 1), (2, 3)))],
    "scaled": lambda: [layers.Rescaling(2.0, -1.0), layers.SpatialDropout2D(0.5), layers.Activation("softmax")],
}


@pytest.mark.parametrize("steps", LAYERS.values(), ids=LAYERS)
def test_layers_of_other_networks_say_the_same(steps, monkeypatch):
    monkeypatch.setattr(geometry.operations, "check", lambda op: None)  # tiles need alike sides, and this does not
    monkeypatch.setattr(export, "_metadata", lambda *arguments: {})
    assert_equal(around(*steps()), sides=[(17, 22), (24, 19)])


def test_a_normalization_is_folded_only_where_nobody_else_reads():
    images = keras.Input((None, None, 1))
    maps = layers.Conv2D(4, 3, padding="same")(images)
    model = shaken(keras.Model(images, layers.Add()([layers.BatchNormalization()(maps), maps])))
    assert_equal(model)
    heads = {"raw": maps, "normal": model.layers[-2].output}
    assert_equal(keras.Model(images, heads))
    kinds = [
        node.op_type for node in export.onnx_model(around(layers.Conv2D(4, 3), layers.BatchNormalization())).graph.node
    ]
    assert kinds == ["Transpose", "Conv", "Transpose"]


def test_a_normalization_that_is_called_twice_is_folded_where_it_can_be():
    images, shared = keras.Input((None, None, 3)), layers.BatchNormalization()
    one = shared(layers.Conv2D(4, 3, padding="same")(images))
    other = shared(layers.Conv2D(4, 3, padding="same", activation="relu")(images))  # nothing to fold into
    assert_equal(shaken(keras.Model(images, layers.Concatenate()([one, other]))))


def test_a_layer_that_is_called_twice_is_written_twice():
    images, shared = keras.Input((None, None, 4)), layers.Conv2D(4, 3, padding="same")
    model = keras.Model(images, shared(layers.ReLU()(shared(images))))
    assert_equal(model)


class Doubling(layers.Conv2D):
    def call(self, maps):
        return 2 * super().call(maps)


UNKNOWN = {
    "a layer": (
        lambda: [layers.PReLU(name="odd")],
        r"'odd' is a PReLU, which has no rule here: take layers of unetbook",
    ),
    "a kin": (lambda: [Doubling(2, 3, name="odd")], r"'odd' is a Doubling, which has no rule here"),
    "code": (lambda: [layers.Lambda(lambda maps: maps * 2, name="odd")], r"'odd' is a Lambda"),
    "an operation": (lambda: [lambda maps: maps * 2], r"'multiply.*' is a Multiply, which has no rule here"),
    "activation": (lambda: [layers.Conv2D(2, 3, activation="mish", name="odd")], r"'odd' has the activation 'mish'"),
    "interpolation": (
        lambda: [layers.UpSampling2D(interpolation="bicubic", name="odd")],
        r"'odd' interpolates by 'bicu",
    ),
    "axis": (lambda: [layers.BatchNormalization(axis=2, name="odd")], r"'odd' works along axis 2"),
    "axis, folded": (
        lambda: [layers.Conv2D(2, 1), layers.BatchNormalization(axis=2, name="odd")],
        r"'odd' works along axis 2",
    ),
    "a model": (lambda: [keras.Sequential([layers.ReLU()], name="odd")], r"'odd' is a model inside the model"),
}


@pytest.mark.parametrize("steps, said", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_written_is_refused_by_name(steps, said, tmp_path):
    images = keras.Input((8, 8, 3))
    maps = images
    for layer in steps():
        maps = layer(maps)
    with pytest.raises(ValueError, match=said):
        export.to_onnx(keras.Model(images, maps), tmp_path / "odd.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_size_stays_fixed_and_an_open_one_open():
    def sides(proto, layout):
        dims = proto.graph.input[0].type.tensor_type.shape.dim
        return [dim.dim_value or dim.dim_param for dim in dims]

    fixed = nets.unet((32, 48, 1), 2, filters=2, depth=1, padding="same")
    assert sides(export.onnx_model(fixed), "NHWC") == ["N", 32, 48, 1]
    assert sides(export.onnx_model(fixed, layout="NCHW"), "NCHW") == ["N", 1, 32, 48]
    open_ = nets.unet((None, None, 3), 2, filters=2, depth=1)
    assert sides(export.onnx_model(open_), "NHWC") == ["N", "height", "width", 3]


def test_the_file_says_what_to_do_with_an_image(tmp_path):
    reader = segmenter.load("membranes")
    path = export.to_onnx(reader, tmp_path / "new" / "membranes.onnx", layout="NCHW")
    assert list(path.parent.iterdir()) == [path]
    told = session(onnx.load(path)).get_modelmeta().custom_metadata_map
    assert json.loads(told["passport"]) == json.loads(json.dumps(reader.passport)) and told["layout"] == "NCHW"
    assert json.loads(told["passport"])["classes"] == ["membrane", "interior"]
    shape = geometry.of(reader.model)
    assert json.loads(told["geometry"]) == shape._asdict() and told["unetbook"] == unetbook.__version__
    assert f"multiple of {shape.grid} more; {shape.margin} pixels less come out" in told["sides"]
    assert "soft-max" in told["output"] and "NCHW" in told["input"]


def test_kernels_in_half_precision_halve_the_file_and_hardly_change_logits(tmp_path):
    model = shaken(nets.unet((None, None, 1), 2, filters=16, depth=2, padding="same", normalization="batch"))
    full, half = (export.to_onnx(model, tmp_path / f"{half}.onnx", half=half) for half in (False, True))
    assert half.stat().st_size < 0.55 * full.stat().st_size
    for expected, found in both(model, half=True):
        assert 0 < np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()
    kernel = model.layers[2].get_weights()[0]
    model.layers[2].set_weights([kernel * 1e7, *model.layers[2].get_weights()[1:]])  # more than half precision holds
    for expected, found in both(model, half=True):
        assert np.isfinite(found).all() and np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()


def test_the_kept_networks_in_half_precision_find_the_same():
    for name in ("nuclei", "touching"):
        model = segmenter.load(name).model
        for expected, found in both(model, half=True):
            assert np.mean(expected.argmax(-1) != found.argmax(-1)) < 0.002


def test_a_wrong_ending_a_folder_and_a_layout_are_told(tmp_path):
    model = nets.unet((None, None, 1), 2, filters=2, depth=1)
    with pytest.raises(ValueError, match=r"an ONNX file ends in \.onnx: use .*a\.onnx instead of .*a\.pb"):
        export.to_onnx(model, tmp_path / "a.pb")
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(ValueError, match="is a folder: give a file"):
        export.to_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="layout must be 'NHWC' or 'NCHW', not 'CHW'"):
        export.onnx_model(model, "CHW")


def test_a_file_that_the_checker_refuses_does_not_replace_a_good_one(tmp_path, monkeypatch):
    model = nets.unet((None, None, 1), 2, filters=2, depth=1)
    good = export.to_onnx(model, tmp_path / "a.onnx").read_bytes()

    def refused(*arguments, **options):
        raise onnx.checker.ValidationError("refused")

    monkeypatch.setattr(onnx.checker, "check_model", refused)
    with pytest.raises(onnx.checker.ValidationError):
        export.to_onnx(nets.unet((None, None, 1), 2, filters=4, depth=1), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"] and (tmp_path / "a.onnx").read_bytes() == good


def test_the_command_writes_a_file_that_runs(tmp_path, capsys):
    out = tmp_path / "nuclei.onnx"
    command = ["export", "--model", "nuclei", "--onnx", str(out)]
    assert __main__.main(command) == 0
    printed = capsys.readouterr().out
    assert str(out) in printed and "7.8 MB" in printed
    assert __main__.main([*command, "--half", "--layout", "NCHW"]) == 0
    assert "3.9 MB" in capsys.readouterr().out
    (found,) = session(onnx.load(out)).run(None, {"images": np.zeros((1, 3, 32, 48), np.float32)})
    assert found.shape == (1, 2, 32, 48)
    assert __main__.main(["export", "--model", "nuclei", "--onnx", str(tmp_path / "a.txt")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_package_one_line_names_it(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert __main__.main(["export", "--model", "nuclei", "--onnx", str(tmp_path / "a.onnx")]) == 1
    error = capsys.readouterr().err
    assert "needs the package onnx: install it, or unetbook with its extra 'export'" in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
