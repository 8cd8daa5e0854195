import re
import tracemalloc
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from unetbook import geometry, sizes, tiling
from unetbook.nets import unet


def network(side=None, channels=1, classes=2, filters=2, **options):
    """A U-Net with random biases and, for batch normalization, with statistics as after some training."""
    height, width = side if isinstance(side, tuple) else (side, side)
    model = unet((height, width, channels), classes, filters=filters, **options)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        values = [w if w.ndim > 1 else w + rng.normal(0, 0.2, w.shape) for w in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            values[3] = rng.uniform(0.5, 2, values[3].shape)  # the moving variance
        elif isinstance(layer, layers.Conv2D):
            kernel = values[0]
            values[0] = rng.normal(0, np.sqrt(2 / np.prod(kernel.shape[:3])), kernel.shape)
        layer.set_weights(values)
    return model


def picture(height, width, channels=1, seed=2):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def whole(model, image, margin, legal):
    """The reference: the whole mirrored image at once, by numpy.pad, and the crop of what belongs to the image."""
    pads = []
    for length in image.shape[:2]:
        side = next(n for n in range(length + 2 * margin, length + 2 * margin + 1000) if legal(n))
        pads.append((margin, side - margin - length))
    mirrored = np.pad(image, [*pads, (0, 0)], mode="reflect")
    return np.asarray(model.predict_on_batch(mirrored[None]))[0, : image.shape[0], : image.shape[1]]


def reference(model, image, depth, padding):
    margin = sizes.margin(depth) if padding == "valid" else 0
    return whole(model, image, margin, lambda n: sizes.is_legal(n, depth, padding))


def assert_equal(result, expected):
    assert result.shape == expected.shape and result.dtype == np.float32
    largest = np.abs(expected).max()
    assert largest > 0 and np.abs(result - expected).max() <= 1e-5 * largest


def batches_of(model, monkeypatch):
    """Shapes of all batches that the network will see."""
    seen, call = [], model.predict_on_batch
    monkeypatch.setattr(model, "predict_on_batch", lambda batch: seen.append(batch.shape) or call(batch))
    return seen


CASES = {
    "depth 4": ({}, 4, 1, (130, 97), 252),
    "depth 4, several tiles of one axis": ({}, 4, 1, (3, 700), 316),
    "depth 4, same": ({"padding": "same"}, 4, 1, (270, 300), 256),
    "depth 3, three channels": ({}, 3, 3, (101, 67), 124),
    "depth 3, same, three channels": ({"padding": "same"}, 3, 3, (163, 131), 112),
    "depth 2": ({}, 2, 1, (53, 127), 60),
    "depth 2, same": ({"padding": "same"}, 2, 1, (97, 131), 64),
    "depth 2, no skips": ({"skip": "none"}, 2, 1, (53, 37), 60),
    "depth 2, added skips, ELU": ({"skip": "add", "activation": "elu"}, 2, 1, (53, 37), 60),
    "depth 1": ({}, 1, 1, (41, 29), 24),
    "depth 1, same": ({"padding": "same"}, 1, 2, (41, 29), 32),
    "nearest": ({"upsampling": "nearest"}, 2, 1, (53, 61), 60),
    "nearest, same": ({"upsampling": "nearest", "padding": "same"}, 2, 1, (97, 83), 64),
    "bilinear": ({"upsampling": "bilinear"}, 2, 1, (101, 89), 92),
    "bilinear, depth 4": ({"upsampling": "bilinear"}, 4, 1, (113, 211), 316),
    "bilinear, same": ({"upsampling": "bilinear", "padding": "same"}, 2, 1, (113, 131), 80),
    "batch normalization": ({"normalization": "batch"}, 2, 3, (53, 61), 60),
    "batch normalization, same": ({"normalization": "batch", "padding": "same"}, 2, 1, (97, 83), 64),
}


@pytest.mark.backend
@pytest.mark.parametrize(("options", "depth", "channels", "size", "tile"), CASES.values(), ids=CASES)
def test_tiles_equal_the_whole_mirrored_image(options, depth, channels, size, tile, monkeypatch):
    model = network(channels=channels, depth=depth, **options)
    image = picture(*size, channels)
    expected = reference(model, image, depth, options.get("padding", "valid"))
    seen = batches_of(model, monkeypatch)
    assert_equal(tiling.predict(model, image, tile=tile), expected)
    assert sum(shape[0] for shape in seen) > 1
    assert all(max(shape[1:3]) <= tile for shape in seen)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
def test_small_and_odd_images(padding, upsampling, eager):
    model = network(depth=2, padding=padding, upsampling=upsampling)
    for size in ((1, 1), (1, 23), (2, 2), (13, 7), (4, 64)):
        image = picture(*size)
        expected = reference(model, image, 2, padding)
        for tile in (None, 92):
            assert_equal(tiling.predict(model, image, tile=tile), expected)


@pytest.mark.backend
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_one_pixel_through_depth_4(padding):
    model = network(padding=padding)
    image = picture(1, 1)
    assert_equal(tiling.predict(model, image), reference(model, image, 4, padding))


FIXED = {
    "valid": ({}, 2, (60, 60), (53, 97)),
    "valid, depth 4": ({}, 4, (252, 252), (70, 130)),
    "valid, image smaller": ({}, 2, (60, 60), (5, 9)),
    "valid, oblong": ({}, 2, (60, 44), (31, 30)),
    "same": ({"padding": "same"}, 2, (64, 64), (97, 70)),
    "same, oblong": ({"padding": "same"}, 2, (64, 80), (97, 131)),
}


@pytest.mark.backend
@pytest.mark.parametrize(("options", "depth", "side", "size"), FIXED.values(), ids=FIXED)
def test_a_model_of_fixed_size(options, depth, side, size):
    fixed, free = network(side, depth=depth, **options), network(depth=depth, **options)
    free.set_weights(fixed.get_weights())
    image = picture(*size)
    assert_equal(tiling.predict(fixed, image), reference(free, image, depth, options.get("padding", "valid")))


def test_a_padded_model_of_fixed_size_mirrors_a_smaller_image():
    model = network(64, depth=2, padding="same")
    image = picture(21, 40)
    expected = whole(model, image, 0, lambda n: n == 64)
    assert_equal(tiling.predict(model, image), expected)


@pytest.mark.parametrize(
    ("padding", "depth", "tile", "step"),
    [("valid", 2, 60, 20), ("valid", 1, 24, 8), ("valid", 2, 64, 24), ("same", 2, 64, 64 - 2 * 24)],
)
@pytest.mark.parametrize("size", [(70, 131), (100, 65), (140, 140)])
def test_the_number_of_tiles(padding, depth, tile, step, size, monkeypatch):
    model = network(depth=depth, padding=padding)
    seen = batches_of(model, monkeypatch)
    tiling.predict(model, picture(*size), tile=tile, batch_size=3)
    tiles = -(-size[0] // step) * -(-size[1] // step)
    assert sum(shape[0] for shape in seen) == tiles
    assert [shape[0] for shape in seen[:-1]] == [3] * ((tiles - 1) // 3)


def test_the_plan_of_the_paper_steps_by_384_and_not_by_388():
    shape = geometry.Geometry(grid=16, margin=92, halo=0, padded=False, whole_image=None)
    spans = tiling.plan(1000, 572, shape, 388)
    assert spans == [(-92, 0, 384, 0), (292, 384, 768, 0), (676, 768, 1000, 0)]


def laid_edge_to_edge(model, image, output, margin):
    """Tiles at the step that the paper's output size suggests: 388, here 68; both leave 4 when divided by 16."""
    padded = np.pad(image, [(margin, margin + 100)] * 2 + [(0, 0)], mode="reflect")
    result = np.zeros((*image.shape[:2], 2), np.float32)
    for top in range(0, image.shape[0], output):
        for left in range(0, image.shape[1], output):
            tile = padded[top : top + output + 2 * margin, left : left + output + 2 * margin]
            into = result[top : top + output, left : left + output]
            into[:] = np.asarray(model.predict_on_batch(tile[None]))[0, : into.shape[0], : into.shape[1]]
    return result


def test_steps_out_of_phase_change_the_result():
    model = network()
    image = picture(130, 100)
    expected = reference(model, image, 4, "valid")
    naive = laid_edge_to_edge(model, image, 68, 92)
    difference = np.abs(naive - expected).max(axis=-1) / np.abs(expected).max()
    assert difference[:68, :68].max() <= 1e-5  # the first tile is in phase
    assert difference[68:].max() > 1e-3
    assert_equal(tiling.predict(model, image, tile=252), expected)


def test_a_padded_network_needs_the_halo_of_96(monkeypatch):
    model = network(padding="same")
    image = picture(300, 16)
    expected = reference(model, image, 4, "same")
    exact = geometry.of(model)
    assert exact.halo == 96
    assert_equal(tiling.predict(model, image, tile=256), expected)
    monkeypatch.setattr(geometry, "of", lambda model: exact._replace(halo=80))
    assert np.abs(tiling.predict(model, image, tile=256) - expected).max() > 1e-4 * np.abs(expected).max()


@pytest.mark.backend
def test_batches_of_any_size_give_the_same():
    model, image = network(depth=1), picture(41, 50)
    expected = tiling.predict(model, image, tile=24)
    for batch_size in (1, 5, 1000):
        assert_equal(tiling.predict(model, image, tile=24, batch_size=batch_size), expected)


@pytest.mark.backend
def test_gray_images_other_floats_and_memory_maps(tmp_path):
    model, image = network(depth=1), picture(30, 50)
    expected = tiling.predict(model, image)
    np.testing.assert_array_equal(tiling.predict(model, image[..., 0]), expected)
    np.testing.assert_array_equal(tiling.predict(model, image.astype(np.float64)), expected)
    np.save(tmp_path / "image.npy", image)
    stored = np.load(tmp_path / "image.npy", mmap_mode="r")
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (30, 50, 2))
    assert tiling.predict(model, stored, out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def heads_model():
    images = keras.Input((None, None, 1))
    maps = layers.Conv2D(3, 3, activation="relu")(images)
    return keras.Model(images, {"edges": layers.Conv2D(1, 1)(maps), "classes": layers.Conv2D(4, 1)(maps)})


@pytest.mark.backend
def test_a_dict_of_heads_gives_a_dict_of_arrays():
    model, image = heads_model(), picture(20, 31)
    expected = model.predict_on_batch(np.pad(image, [(1, 1), (1, 1), (0, 0)], mode="reflect")[None])
    result = tiling.predict(model, image, tile=12)
    assert set(result) == {"edges", "classes"}
    for name, maps in result.items():
        assert_equal(maps, expected[name][0])
    out = {name: np.zeros_like(maps) for name, maps in result.items()}
    assert tiling.predict(model, image, tile=12, out=out) is out
    np.testing.assert_array_equal(out["classes"], result["classes"])


def test_progress_is_shown_on_request(capsys):
    model, image = network(depth=1), picture(20, 20)
    tiling.predict(model, image, tile=24)
    assert capsys.readouterr().err == ""
    tiling.predict(model, image, tile=24, progress=True)
    assert "9/9" in capsys.readouterr().err


def test_memory_is_bounded_by_tile_and_batch(tmp_path, monkeypatch):
    images = keras.Input((None, None, 1))
    model = keras.Model(images, layers.Conv2D(1, 3)(images))
    image = np.lib.format.open_memmap(tmp_path / "image.npy", "w+", np.float32, (4000, 4000, 1))
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (4000, 4000, 1))
    image[1234, 2345] = 1
    seen = batches_of(model, monkeypatch)
    tiling.predict(model, image[:300], tile=258, out=out[:300])  # what the backend needs once
    tracemalloc.start()
    tiling.predict(model, image, tile=258, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(shape[0] * shape[1] * shape[2] for shape in seen) == 4 * 258**2
    assert peak < 12e6  # the image has 64 MB
    kernel = np.asarray(model.get_weights()[0])[..., 0, 0]
    np.testing.assert_allclose(out[1233:1236, 2344:2347, 0], kernel[::-1, ::-1], rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("normalization", ["instance", "group"])
def test_per_image_normalization_sees_the_whole_image(padding, normalization, monkeypatch):
    model = network(depth=2, padding=padding, normalization=normalization)
    image = picture(70, 53)
    monkeypatch.setattr(tiling, "WISH", 44)
    seen = batches_of(model, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = tiling.predict(model, image)
    assert [shape[0] for shape in seen] == [1]
    expected = reference(model, image, 2, padding)
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("given", [True, False], ids=["tile given", "image too large"])
def test_per_image_normalization_in_tiles_warns_with_a_number(padding, given, monkeypatch, eager):
    model = network(depth=1, padding=padding, normalization="instance")
    image = picture(80, 53) * np.linspace(0, 1, 80, dtype=np.float32)[:, None, None]
    monkeypatch.setattr(tiling, "WISH", 32)
    monkeypatch.setattr(tiling, "WHOLE_IMAGE_BYTES", geometry.feature_bytes(model, 80, 53) - 1)
    with pytest.warns(UserWarning, match="layer 'down0_norm_a' looks at its whole input") as caught:
        tiled = tiling.predict(model, image, tile=32 if given else None)
    assert caught[0].filename == __file__
    number = float(re.search(r"differ by up to (\S+)", str(caught[0].message))[1])
    expected = reference(model, image, 1, padding)
    assert 0 < number
    assert np.abs(tiled - expected).max() > 1e-3 * np.abs(expected).max()


def test_a_deep_network_takes_a_larger_tile_than_the_usual_one(monkeypatch):
    for padding in ("valid", "same"):
        model, image = network(depth=2, padding=padding), picture(200, 30)
        expected = reference(model, image, 2, padding)
        monkeypatch.setattr(tiling, "WISH", 40)  # smaller than any usable tile, as 572 is for depth 6
        assert_equal(tiling.predict(model, image), expected)


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_mirror_equals_numpy_pad(length):
    row = np.arange(length)
    expected = np.pad(row, (20, 20), mode="reflect")
    np.testing.assert_array_equal(row[tiling.mirror(np.arange(-20, length + 20), length)], expected)


def test_a_window_holds_the_mirrored_image():
    image = picture(5, 4, 2)
    padded = np.pad(image, [(9, 9), (9, 9), (0, 0)], mode="reflect")
    for top, left in ((-9, -9), (0, 0), (2, 1), (-3, 4), (4, -5)):
        part = tiling.window(image, top, left, 3, 4)
        np.testing.assert_array_equal(part, padded[top + 9 : top + 12, left + 9 : left + 13])


def with_value(value):
    image = picture(300, 10, 3)
    image[210, 4, 2] = value
    return image


BAD_IMAGES = {
    "NaN": (lambda: with_value(np.nan), ValueError, "holds nan at row 210, column 4, channel 2: .*numpy.nan_to_num"),
    "infinity": (lambda: with_value(-np.inf), ValueError, "holds -inf at row 210, column 4, channel 2"),
    "channels": (lambda: picture(9, 9, 1), ValueError, r"takes 3 channel\(s\), the image has 1: \(9, 9, 1\)"),
    "gray": (lambda: picture(9, 9)[..., 0], ValueError, r"one picture \(H, W, C\) .*, not \(9, 9\): give them one"),
    "batch": (lambda: picture(9, 9, 3)[None], ValueError, r"one picture \(H, W, C\) .*, not \(1, 9, 9, 3\)"),
    "empty": (lambda: np.zeros((0, 9, 3), np.float32), ValueError, r"with at least one pixel, not \(0, 9, 3\)"),
    "uint8": (
        lambda: np.zeros((9, 9, 3), np.uint8),
        TypeError,
        r"floats, not uint8: .* image.astype\('float32'\) / 255",
    ),
    "bool": (lambda: np.zeros((9, 9, 3), bool), TypeError, "image must be floats, not bool"),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_a_bad_image_is_refused_with_the_fix(build, kind, message):
    with pytest.raises(kind, match=message):
        tiling.predict(network(channels=3, depth=1), build())


def test_a_bad_tile_is_refused_with_the_fix():
    model, image = network(depth=2), picture(200, 9)
    with pytest.raises(ValueError, match="a tile of 62 pixels does not fit this network: use 60 or 64"):
        tiling.predict(model, image, tile=62)
    with pytest.raises(ValueError, match=r"a tile of 20 pixels .* use 44 \(the smallest\)"):
        tiling.predict(model, image, tile=20)
    with pytest.raises(ValueError, match="of 64 x 60 only: leave out tile=64"):
        tiling.predict(network((64, 60), depth=2), image, tile=64)
    with pytest.raises(ValueError, match=r"a tile of 32 pixels leaves no usable output: .* from 52 up"):
        tiling.predict(network(depth=2, padding="same"), image, tile=32)
    assert tiling.predict(network(depth=2, padding="same"), image, tile=52).shape == (200, 9, 2)


def test_bad_calls_are_refused():
    model, image = network(depth=1), picture(9, 9)
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"batch_size must be a whole number of at least 1, not {size}"):
            tiling.predict(model, image, batch_size=size)
    for out in (np.zeros((9, 9, 1), np.float32), np.zeros((10, 9, 2), np.float32), np.zeros((9, 9, 2), np.uint8)):
        with pytest.raises(ValueError, match=r"out must be a float array of shape \(9, 9, 2\), not"):
            tiling.predict(model, image, out=out)
    with pytest.raises(ValueError, match=r"out must hold one array a head of the model: .*edges"):
        tiling.predict(heads_model(), image, out=np.zeros((9, 9, 1), np.float32))


def test_bad_models_are_refused():
    image, images = picture(9, 9), keras.Input((None, None, 1))
    maps = layers.Conv2D(2, 3)(images)
    with pytest.raises(ValueError, match="the model returns a list: give its heads names"):
        tiling.predict(keras.Model(images, [maps, layers.ReLU()(maps)]), image)
    with pytest.raises(ValueError, match=r"must return maps \(N, H, W, classes\), not outputs of shape"):
        tiling.predict(keras.Model(images, layers.GlobalAveragePooling2D()(maps)), image)
    with pytest.raises(ValueError, match="a Keras functional model with one image input"):
        tiling.predict(keras.Model([images, keras.Input((None, None, 1))], maps), image)
