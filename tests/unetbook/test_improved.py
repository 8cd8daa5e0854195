import keras
import numpy as np
import pytest
from keras import layers

from unetbook import geometry, nets, store
from unetbook.nets import improved


def small(**options):
    keras.utils.set_random_seed(2)
    return nets.improved_unet((None, None, 1), 2, **{"filters": 2, **options})


def run(model, images, **options):
    return keras.ops.convert_to_numpy(model(images, **options))


@pytest.fixture(scope="module")
def paper():
    return nets.improved_unet((256, 256, 3), 1)


def test_parameters_as_counted_by_hand(paper):
    """By the formula: a convolution has its bias, each but the segmentation layers a scale and shift."""

    def unit(channels, filters, kernel=3):
        return kernel**2 * channels * filters + filters + 2 * filters

    width = [16, 32, 64, 128, 256]
    total = unit(3, 16) + sum(unit(c, 2 * c) for c in width[:-1])  # first convolution and four of stride 2
    total += sum(2 * (2 * c + 9 * c * c + c) for c in width)  # context modules
    total += sum(unit(2 * n, n) for n in width[:-1])  # up-sampling modules
    total += sum(unit(2 * n, 2 * n) + unit(2 * n, n, kernel=1) for n in (128, 64, 32))  # localization modules
    total += unit(32, 32) + sum(n + 1 for n in (64, 32, 32))  # last convolution, segmentation layers
    assert paper.count_params() == total == 3_188_915
    assert paper.output_shape == (None, 256, 256, 1)


def test_context_modules_are_residual_and_pre_activation(paper):
    for level in range(5):
        name = f"down{level}_context"
        summed = paper.get_layer(f"{name}_sum")
        entering, residual = summed.input
        order = ["norm_a", "leaky_a", "conv_a", "dropout", "norm_b", "leaky_b", "conv_b"]
        tensor = entering
        for part in order:
            layer = paper.get_layer(f"{name}_{part}")
            assert layer.input is tensor
            tensor = layer.output
        assert tensor is residual and paper.get_layer(f"{name}_dropout").rate == 0.3
        assert entering.shape[-1] == 16 * 2**level


def test_levels_are_joined_by_strided_convolutions_and_no_pooling(paper):
    strided = [layer for layer in paper.layers if isinstance(layer, layers.Conv2D) and layer.strides == (2, 2)]
    assert [layer.name for layer in strided] == [f"down{level}_conv" for level in range(1, 5)]
    assert not any(isinstance(layer, layers.MaxPooling2D) for layer in paper.layers)


def test_normalization_is_per_instance_with_scale_and_shift_everywhere_but_in_the_segmentation_layers(paper):
    norms = [layer for layer in paper.layers if isinstance(layer, layers.GroupNormalization)]
    kernels = [layer for layer in paper.layers if isinstance(layer, layers.Conv2D)]
    assert all(layer.groups == -1 or layer.groups == layer.input.shape[-1] for layer in norms)
    assert all(len(layer.get_weights()) == 2 for layer in norms + kernels)
    assert len(kernels) == len(norms) + improved.HEADS
    slopes = {layer.negative_slope for layer in paper.layers if isinstance(layer, layers.LeakyReLU)}
    assert slopes == {0.01} and not any(isinstance(layer, layers.Activation) for layer in paper.layers)


@pytest.mark.backend
def test_segmentation_layers_add_up():
    """The logits are the three segmentation layers' maps, those of the lower levels with each pixel repeated."""
    model = small()
    images = np.random.default_rng(0).random((2, 32, 48, 1), np.float32)
    parts = [model.get_layer(f"segmentation{level}").output for level in range(3)]
    top, middle, low = (keras.ops.convert_to_numpy(part) for part in keras.Model(model.input, parts)(images))
    assert top.shape == (2, 32, 48, 2) and low.shape == (2, 8, 12, 2)
    larger = [part.repeat(times, axis=1).repeat(times, axis=2) for part, times in ((middle, 2), (low, 4))]
    np.testing.assert_allclose(run(model, images), top + sum(larger), atol=1e-5)
    assert all(np.abs(part).max() > 1e-3 for part in (top, middle, low))


@pytest.mark.backend
def test_drop_out_in_training_only_and_none_on_request():
    images = np.random.default_rng(1).random((1, 16, 16, 1), np.float32)
    model = small()
    np.testing.assert_array_equal(run(model, images), run(model, images))
    assert np.abs(run(model, images, training=True) - run(model, images)).max() > 1e-4
    without = small(dropout=0)
    assert not any(isinstance(layer, layers.Dropout) for layer in without.layers)
    assert len([layer for layer in model.layers if isinstance(layer, layers.Dropout)]) == 5


@pytest.mark.backend
def test_a_stored_network_returns_the_same_at_any_legal_size(tmp_path):
    model = small()
    again = store.load(store.save(model, tmp_path / "improved.keras"))
    for shape in ((1, 16, 16, 1), (2, 48, 32, 1)):
        images = np.random.default_rng(2).random(shape, np.float32)
        np.testing.assert_array_equal(run(again, images), run(model, images))
    with pytest.raises(ValueError, match=r"an input of 40 pixels .* use 32 or 48"):
        again(np.zeros((1, 40, 32, 1), np.float32))
    assert again.metadata["geometry"]["whole_image"] == "down0_norm"
    assert geometry.of(model).grid == 16


@pytest.mark.parametrize("shape", [(40, 32, 3), (32, 40, 3), (None, 40, 3)])
def test_an_illegal_size_names_both_neighbors(shape):
    with pytest.raises(ValueError, match=r"an input of 40 pixels .* use 32 or 48"):
        nets.improved_unet(shape, 1)


def test_the_blocks_of_the_module_by_hand():
    """A context module is x + f(x), and f begins with the normalization: a constant image passes unchanged."""
    maps = keras.Input((8, 8, 3))
    model = keras.Model(maps, improved.context(maps, 0, "c"))
    constant = np.full((1, 8, 8, 3), 7, np.float32)
    np.testing.assert_allclose(run(model, constant), constant, atol=1e-5)
    halved = improved.localization(keras.Input((8, 8, 12)), 6, "l")
    assert halved.shape == (None, 8, 8, 6)
