import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers

from unetbook import nets, sizes
from unetbook.nets import blocks, unet

CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose)


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, CONVOLUTIONS)]


def run(model, images, **options):
    return keras.ops.convert_to_numpy(model(images, **options))


@pytest.fixture(scope="module")
def paper():
    """The network of figure 1."""
    keras.utils.set_random_seed(4)
    return unet((572, 572, 1), 2)


def test_the_network_of_2015(paper):
    assert paper.count_params() == 31_030_658
    assert paper.output_shape == (None, 388, 388, 2)
    found = convolutions(paper)
    assert len(found) == 23
    kinds = [(type(layer).__name__, layer.kernel_size[0]) for layer in found]
    assert [kinds.count(kind) for kind in (("Conv2D", 3), ("Conv2DTranspose", 2), ("Conv2D", 1))] == [18, 4, 1]
    assert [layer.filters for layer in found[:10]] == [64, 64, 128, 128, 256, 256, 512, 512, 1024, 1024]
    assert not any(isinstance(layer, (layers.Dropout, layers.BatchNormalization)) for layer in paper.layers)


@pytest.mark.parametrize(("channels", "classes", "parameters"), [(1, 1, 31_030_593), (3, 2, 31_031_810)])
def test_parameters_for_other_channels(channels, classes, parameters):
    assert unet((None, None, channels), classes).count_params() == parameters


def test_all_23_kernels_start_as_the_paper_says(paper):
    for layer in convolutions(paper):
        kernel, bias = layer.get_weights()
        assert not bias.any()
        transposed = isinstance(layer, layers.Conv2DTranspose)
        channels_in = layer.input.shape[-1]
        incoming = channels_in if transposed else channels_in * kernel.shape[0] * kernel.shape[1]
        expected = math.sqrt(2 / incoming)
        error = expected / math.sqrt(2 * kernel.size)  # standard error of the measured standard deviation
        assert abs(kernel.std() - expected) < 4.5 * error, layer.name
        assert abs(kernel.mean()) < 4.5 * expected / math.sqrt(kernel.size), layer.name
        if kernel.size > 1e5:  # beyond 2.28 std lie 2.26 % of a plain Gaussian, nothing of Keras' truncated one
            assert 0.021 < np.mean(np.abs(kernel) > 2.28 * expected) < 0.024, layer.name


def test_the_rule_of_keras_differs_for_the_up_convolution():
    theirs = layers.Conv2DTranspose(512, 2, strides=2, kernel_initializer="he_normal")
    theirs.build((None, 8, 8, 1024))
    ours = blocks.he_normal(1024)((2, 2, 512, 1024))
    assert float(keras.ops.std(theirs.kernel)) == pytest.approx(0.0313, abs=1e-4)
    assert float(keras.ops.std(ours)) == pytest.approx(0.0442, abs=1e-4)


@pytest.mark.backend
def test_drop_out_stands_at_the_end_of_the_contracting_path_only():
    def dropouts(model):
        return [layer.name for layer in model.layers if isinstance(layer, layers.Dropout)]

    assert dropouts(unet((None, None, 1), 2, filters=1, dropout=0.5)) == ["down3_dropout", "bottom_dropout"]
    model = unet((None, None, 1), 2, filters=2, depth=1, dropout=0.5)
    assert dropouts(model) == ["down0_dropout", "bottom_dropout"]
    images = np.random.default_rng(0).random((1, 20, 20, 1), np.float32)
    assert np.any(run(model, images, training=True) != run(model, images))


def test_no_relu_follows_the_up_convolution(paper):
    for level in range(4):
        up = paper.get_layer(f"up{level}_up")
        (user,) = [node.operation for node in up._outbound_nodes]
        assert isinstance(user, layers.Concatenate)
        assert up.activation is keras.activations.linear
    relus = [layer for layer in paper.layers if isinstance(layer, layers.Activation)]
    assert len(relus) == 18 and all(relu.activation is keras.activations.relu for relu in relus)
    assert paper.get_layer("logits").activation is keras.activations.linear


OPTIONS = {
    "padding": ("valid", "same"),
    "skip": ("concat", "add", "none"),
    "upsampling": ("transpose", "nearest", "bilinear"),
    "normalization": (None, "batch", "instance", "group"),
}
COMBINATIONS = list(itertools.product(*OPTIONS.values()))


@pytest.mark.backend
@pytest.mark.parametrize("chosen", [dict(zip(OPTIONS, row, strict=True)) for row in COMBINATIONS[::7]], ids=str)
def test_every_option_builds_runs_and_has_the_right_shapes(chosen):
    model = unet((None, None, 3), 2, filters=2, depth=2, **chosen)
    output = 4 if chosen["padding"] == "valid" else 44
    logits = run(model, np.random.default_rng(1).random((2, 44, 48, 3), np.float32))
    assert logits.shape == (2, output, output + 4, 2)
    assert np.isfinite(logits).all() and logits.std() > 0
    channels = {"concat": 8, "add": 4, "none": 4}[chosen["skip"]]
    assert model.get_layer("up1_conv_a").kernel.shape == (3, 3, channels, 4)


def test_the_combinations_above_hold_every_option():
    for column, values in enumerate(OPTIONS.values()):
        assert {row[column] for row in COMBINATIONS[::7]} == set(values)


@pytest.mark.parametrize("activation", ["relu", "elu", "tanh"])
def test_width_depth_and_activation(activation):
    model = unet((16, 16, 1), 5, filters=3, depth=3, padding="same", activation=activation)
    assert model.output_shape == (None, 16, 16, 5)
    assert unet((None, 8, 1), 1, filters=1, depth=3, padding="same").output_shape == (None, None, 8, 1)
    assert [model.get_layer(f"down{level}_conv_a").filters for level in range(3)] == [3, 6, 12]
    assert model.get_layer("bottom_conv_b").filters == 24
    used = {layer.activation for layer in model.layers if isinstance(layer, layers.Activation)}
    assert used == {keras.activations.get(activation)}


@pytest.mark.parametrize("groups", [2, 8, 6])
def test_group_normalization_uses_at_most_eight_groups_that_divide(groups):
    model = unet((None, None, 1), 1, filters=groups, depth=1, normalization="group")
    assert model.get_layer("down0_norm_a").groups == math.gcd(8, groups)


@pytest.mark.backend
@pytest.mark.parametrize("shape", [(2, 5, 3, 2), (1, 1, 1, 1)])
def test_bilinear_equals_keras_upsampling(shape):
    maps = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    theirs = layers.UpSampling2D(2, interpolation="bilinear")(maps)
    ours = blocks.Bilinear()(maps)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs), atol=1e-6)


@pytest.mark.backend
def test_an_illegal_size_names_both_neighbors_when_built_and_when_called():
    for build in (lambda: unet((570, 572, 1), 2), lambda: unet((None, 570, 1), 2)):
        with pytest.raises(ValueError, match=r"an input of 570 pixels .* use 556 or 572"):
            build()
    with pytest.raises(ValueError, match="use 96 or 112"):
        unet((100, 100, 1), 2, padding="same")
    model = unet((None, None, 1), 2, filters=2, depth=2)
    with pytest.raises(ValueError, match=r"an input of 50 pixels .* use 48 or 52"):
        model(np.zeros((1, 48, 50, 1), np.float32))
    with pytest.raises(ValueError, match=r"an input of 50 pixels .* use 48 or 52"):
        model.predict_on_batch(np.zeros((1, 50, 48, 1), np.float32))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"padding": "full"}, "padding must be 'valid' or 'same', not 'full'"),
        ({"padding": "Valid"}, "padding must be 'valid' or 'same', not 'Valid'"),
        ({"skip": "sum"}, "skip must be 'concat', 'add' or 'none', not 'sum'"),
        ({"upsampling": "cubic"}, "upsampling must be 'transpose', 'nearest' or 'bilinear', not 'cubic'"),
        ({"normalization": "layer"}, "normalization must be None, 'batch', 'instance' or 'group', not 'layer'"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"activation": "softly"}, "softly"),
    ],
)
def test_unknown_options_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        unet((None, None, 1), 2, **{"filters": 2, "depth": 1, **option})


@pytest.mark.parametrize("shape", [(572, 572), (1, 572, 572, 1), (572, 572, None)])
def test_the_input_shape_names_height_width_and_channels(shape):
    with pytest.raises(ValueError, match=r"input_shape must be \(height, width, channels\)"):
        unet(shape, 2)


@pytest.mark.backend
@pytest.mark.parametrize("upsampling", ["transpose", "nearest", "bilinear"])
def test_a_saved_network_returns_the_same_and_checks_as_before(tmp_path, upsampling):
    model = unet((None, None, 1), 2, filters=2, depth=2, upsampling=upsampling, normalization="batch")
    keras.saving.save_model(model, tmp_path / "unet.keras")
    again = keras.saving.load_model(tmp_path / "unet.keras")
    images = np.random.default_rng(3).random((1, 60, 60, 1), np.float32)
    np.testing.assert_array_equal(run(model, images), run(again, images))
    with pytest.raises(ValueError, match="use 60 or 64"):
        again(np.zeros((1, 62, 60, 1), np.float32))


@pytest.mark.backend
def test_probabilities_are_a_sigmoid_or_a_soft_max():
    logits = np.random.default_rng(5).normal(size=(2, 3, 4, 1)).astype(np.float32)
    one = nets.probabilities(logits)
    assert isinstance(one, np.ndarray) and one.dtype == np.float32
    as_tensor = nets.probabilities(keras.ops.convert_to_tensor(logits))
    assert not isinstance(as_tensor, np.ndarray)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(as_tensor), one)
    np.testing.assert_allclose(one, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    two = nets.probabilities(np.concatenate([np.zeros_like(logits), logits], axis=-1))
    np.testing.assert_allclose(two.sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(two[..., 1:], one, rtol=1e-5)  # a soft-max over two is a sigmoid of the difference


@pytest.mark.backend
def test_the_smallest_inputs_run():
    for padding, output in (("valid", 4), ("same", 16)):
        side = sizes.smallest_input(4, padding)
        model = unet((side, side, 1), 1, filters=1, padding=padding)
        assert run(model, np.zeros((1, side, side, 1), np.float32)).shape == (1, output, output, 1)
