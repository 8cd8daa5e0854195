import keras
import numpy as np
import pytest
from keras import layers

from unetbook import geometry, sizes
from unetbook.nets import unet


def model_of(*parts, size=None):
    """A chain of layers after an input of one channel."""
    images = maps = keras.Input((size, size, 1))
    for part in parts:
        maps = part(maps)
    return keras.Model(images, maps)


def up(**options):
    return layers.Conv2DTranspose(2, 2, strides=2, **options)


def reached(model, side):
    """Which input row changes which output row, by brute force: positive weights, one bright row an image."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([np.abs(rng.normal(size=w.shape)) + 0.05 for w in layer.get_weights()])
    images = np.full((side + 1, side, side, 1), 0.1, np.float32)
    images[np.arange(side), np.arange(side)] += 10
    maps = np.concatenate([model.predict_on_batch(images[k : k + 32]) for k in range(0, side + 1, 32)])
    row = maps[:, :, maps.shape[2] // 2, 0]
    return np.abs(row[:-1] - row[-1]) > 1e-6 * np.abs(row[-1])


UNPADDED = {
    "unet": (lambda: unet((None, None, 1), 1, filters=1, depth=2), 52),
    "nearest": (lambda: unet((None, None, 1), 1, filters=1, depth=2, upsampling="nearest"), 52),
    "no skips": (lambda: unet((None, None, 1), 1, filters=1, depth=1, skip="none"), 24),
    "dilated": (lambda: model_of(layers.Conv2D(2, 3, dilation_rate=3), layers.Conv2D(1, 3)), 20),
    "strided": (lambda: model_of(layers.Conv2D(2, 4, strides=2), up(), layers.Conv2D(1, 3)), 20),
}
PADDED = {
    "unet": (lambda: unet((None, None, 1), 1, filters=1, depth=2, padding="same"), 64),
    "added skips": (lambda: unet((None, None, 1), 1, filters=1, depth=2, padding="same", skip="add"), 64),
    "dilated": (
        lambda: model_of(layers.Conv2D(2, 3, dilation_rate=2, padding="same"), layers.Conv2D(1, 3, padding="same")),
        20,
    ),
    "strided": (lambda: model_of(layers.Conv2D(1, 3, strides=2, padding="same"), up()), 20),
    "even kernel": (lambda: model_of(layers.Conv2D(1, 4, strides=2, padding="same"), up()), 20),
    "large up-convolution": (
        lambda: model_of(layers.AveragePooling2D(2), layers.Conv2DTranspose(1, 4, strides=2, padding="same")),
        20,
    ),
    "zero padding": (lambda: model_of(layers.ZeroPadding2D(1), layers.Conv2D(1, 3)), 12),
    "as in ResNet": (
        lambda: model_of(
            layers.ZeroPadding2D(3),
            layers.Conv2D(1, 7, strides=2),
            layers.ZeroPadding2D(1),
            layers.MaxPooling2D(3, strides=2),
            up(),
            up(),
        ),
        40,
    ),
    "as in MobileNet": (
        lambda: model_of(layers.ZeroPadding2D(((0, 1), (0, 1))), layers.DepthwiseConv2D(3, strides=2), up()),
        20,
    ),
    "depthwise and separable": (
        lambda: model_of(layers.DepthwiseConv2D(3, padding="same"), layers.SeparableConv2D(1, 5, padding="same")),
        20,
    ),
}


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_an_unpadded_unet_agrees_with_the_hand_formulas(depth):
    model = unet((None, None, 1), 1, filters=1, depth=depth)
    assert geometry.of(model) == (2**depth, sizes.margin(depth), 0, False, None)
    assert geometry.legal_at_least(model, 1) == sizes.smallest_input(depth)
    for n in range(1, 300):
        assert geometry.output_size(model, n) == (n - 2 * sizes.margin(depth) if sizes.is_legal(n, depth) else None)
    for position in range(40):
        assert geometry.seen(model, position, position + 1) == sizes.seen_interval(position, depth)


def test_the_halo_of_a_padded_unet():
    shape = geometry.of(unet((None, None, 1), 1, filters=1, padding="same"))
    assert shape == geometry.Geometry(grid=16, margin=0, halo=96, padded=True, whole_image=None)
    assert geometry.legal_at_least(unet((None, None, 1), 1, filters=1, padding="same"), 17) == 32


@pytest.mark.backend
@pytest.mark.parametrize(
    ("build", "side"),
    [*UNPADDED.values(), *PADDED.values()],
    ids=[*UNPADDED, *(f"padded {name}" for name in PADDED)],
)
def test_the_pixels_seen_are_those_that_change_the_output(build, side):
    model = build()
    changes = reached(model, side)
    assert changes.shape == (side, geometry.output_size(model, side))
    for position in range(changes.shape[1]):
        rows = np.flatnonzero(changes[:, position])
        start, stop = geometry.seen(model, position, position + 1)
        assert (rows[0], rows[-1] + 1) == (max(start, 0), min(stop, side)), position


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_interpolation_sees_no_more_than_promised(padding):
    model = unet((None, None, 1), 1, filters=1, depth=2, padding=padding, upsampling="bilinear")
    side = geometry.legal_at_least(model, 64)
    changes = reached(model, side)
    for position in range(changes.shape[1]):
        rows = np.flatnonzero(changes[:, position])
        start, stop = geometry.seen(model, position, position + 1)
        assert max(start, 0) <= rows[0] and rows[-1] < stop
    # A block on the grid, beyond the halo from the edge, is not reached by what happens outside its window.
    shape = geometry.of(model)
    inside = range(shape.halo, side - 2 * shape.margin - shape.halo)
    assert all(0 <= geometry.seen(model, p, p + 1)[0] and geometry.seen(model, p, p + 1)[1] <= side for p in inside)


@pytest.mark.parametrize(("build", "side"), PADDED.values(), ids=PADDED)
def test_the_halo_is_what_one_block_needs_rounded_up_to_the_grid(build, side):
    shape = geometry.of(build())
    changes = reached(build(), side)
    first = (side // 2 // shape.grid) * shape.grid
    rows = np.flatnonzero(changes[:, first : first + shape.grid].any(axis=1))
    needed = max(first - rows[0], rows[-1] + 1 - first - shape.grid)
    assert shape.padded and shape.margin == 0
    assert shape.halo == -(-needed // shape.grid) * shape.grid


def test_a_same_convolution_of_one_pixel_pads_nothing():
    assert geometry.of(model_of(layers.Conv2D(2, 1, padding="same"))) == (1, 0, 0, False, None)


@pytest.mark.parametrize("normalization", ["instance", "group"])
def test_normalization_over_the_image_is_named(normalization):
    model = unet((None, None, 1), 1, filters=2, depth=1, normalization=normalization)
    assert geometry.of(model).whole_image == "down0_norm_a"
    assert geometry.of(unet((None, None, 1), 1, filters=2, depth=1, normalization="batch")).whole_image is None


def test_an_unknown_layer_counts_as_looking_at_the_whole_image():
    model = model_of(layers.Lambda(lambda maps: maps - keras.ops.mean(maps), name="centered"))
    assert geometry.of(model).whole_image == "centered"


def test_feature_bytes_count_every_map():
    model = model_of(layers.Conv2D(6, 3, padding="same"), layers.MaxPooling2D(2), layers.UpSampling2D(2))
    assert geometry.feature_bytes(model, 10, 20) == 4 * (200 * (1 + 6 + 6) + 50 * 6)


def test_models_that_one_axis_cannot_describe_are_refused():
    with pytest.raises(ValueError, match=r"layer 'flat' has kernel_size=\(1, 9\): only equal ones"):
        geometry.of(model_of(layers.Conv2D(1, (1, 9), padding="same", name="flat")))
    with pytest.raises(ValueError, match=r"layer 'flat' has cropping=\(\(1, 1\), \(0, 0\)\)"):
        geometry.of(model_of(layers.Cropping2D(((1, 1), (0, 0)), name="flat")))
    inner = model_of(layers.Conv2D(4, 3, strides=2, padding="same"))
    with pytest.raises(ValueError, match="is a model inside the model"):
        geometry.of(model_of(inner, layers.UpSampling2D(2)))


def test_outputs_of_different_sizes_are_refused():
    images = keras.Input((None, None, 1))
    model = keras.Model(images, {"full": layers.Conv2D(1, 1)(images), "half": layers.MaxPooling2D(2)(images)})
    with pytest.raises(ValueError, match="all outputs must have one size"):
        geometry.of(model)
    with pytest.raises(ValueError, match="no input of 1 to 4096 pixels fits"):
        geometry.of(model_of(layers.UpSampling2D(2)))
