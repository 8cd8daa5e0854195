"""The U-Net on a pretrained encoder: features, scaling of its input, where weights come from, what is frozen."""

import itertools
import json
import zipfile

import keras
import numpy as np
import pytest

from unetbook import geometry, nets, store, tiling, training
from unetbook.nets.encoder import BACKBONES, ExpectedInput

ALPHA = {"alpha": 0.35}
MODULES = {
    "MobileNetV2": "mobilenet_v2",
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "DenseNet121": "densenet",
    "EfficientNetV2B0": "efficientnet_v2",
}


def small(weights="random", sides=(64, 64), channels=3, classes=2, **options):
    return nets.encoder((*sides, channels), classes, weights, filters=2, **(ALPHA | options))


def plain(seed=0, backbone="MobileNetV2", **options):
    """The backbone as ``keras.applications`` builds it, with random weights."""
    training.set_seed(seed)
    return getattr(keras.applications, backbone)(include_top=False, weights=None, input_shape=(64, 64, 3), **options)


def pictures(count=2, side=64, channels=3):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (count, side, side, channels)).astype("float32"), rng.integers(0, 2, (count, side, side))


def run(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def tensors(model, names):
    return {name: [keras.ops.convert_to_numpy(w) for w in model.get_layer(name).weights] for name in names}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "plain.keras"
    plain(seed=7, **ALPHA).save(path)
    return path


@pytest.mark.backend
@pytest.mark.parametrize("backbone", BACKBONES)
def test_input_is_scaled_as_the_encoder_expects(backbone):
    images, _ = pictures()
    images[0, :2, :2] = [[[0, 0, 0], [1, 1, 1]], [[1, 0, 0], [0, 0.5, 1]]]
    expected = getattr(keras.applications, MODULES[backbone]).preprocess_input(255 * images.astype("float64"))
    layer = ExpectedInput(BACKBONES[backbone].expects)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(images)), expected, atol=1e-4)
    gray = images[..., :1]
    np.testing.assert_array_equal(layer(gray), layer(np.repeat(gray, 3, axis=-1)))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_are_taken_at_each_resolution_and_before_the_next(backbone):
    """The named layers have the strides 2 to 32, and from each the next is made, at half its size."""
    model = nets.encoder((64, 64, 3), 1, "random", backbone, filters=2, **(ALPHA if backbone == "MobileNetV2" else {}))
    names = BACKBONES[backbone].features
    assert [model.get_layer(name).output.shape[1] for name in names] == [32, 16, 8, 4, 2]
    for earlier, later in itertools.pairwise(names):
        keras.Model(model.get_layer(earlier).output, model.get_layer(later).output)  # raises if it needed anything else


@pytest.mark.backend
def test_the_encoder_computes_what_the_backbone_does(weights):
    model, body = small(weights), keras.saving.load_model(weights, compile=False)
    images, _ = pictures()
    names = BACKBONES["MobileNetV2"].features
    both = [keras.Model(m.inputs, [m.get_layer(name).output for name in names]) for m in (model, body)]
    expected = both[1](keras.applications.mobilenet_v2.preprocess_input(255 * images), training=False)
    for ours, theirs in zip(both[0](images, training=False), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert run(model, images).shape == (2, 64, 64, 2)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ".h5"])
def test_weights_come_from_a_file(suffix, tmp_path):
    body, path = plain(seed=3, **ALPHA), tmp_path / f"body{suffix}"
    if suffix == ".keras":
        store.save(body, path)
    elif suffix == ".weights.h5":
        body.save_weights(path)
    else:
        body.save(path)
    model = small(path)
    names = [layer.name for layer in body.layers if layer.weights]
    for name, values in tensors(body, names).items():
        for one, other in zip(values, tensors(model, [name])[name], strict=True):
            np.testing.assert_array_equal(one, other)


def test_weights_come_from_a_whole_network_on_the_same_encoder(tmp_path):
    trained = small(depth=3)
    store.save(trained, tmp_path / "trained.keras")
    other = small(tmp_path / "trained.keras", classes=5, channels=1, sides=(None, None), depth=3)
    names = [layer.name for layer in trained.layers if layer.weights and not layer.name.startswith(("up", "logits"))]
    assert len(names) > 30
    for name, values in tensors(trained, names).items():
        for one, two in zip(values, tensors(other, [name])[name], strict=True):
            np.testing.assert_array_equal(one, two)
    with pytest.raises(
        ValueError, match=r"trained.keras holds no weights of MobileNetV2 with .*0.35.* without its top"
    ):
        small(tmp_path / "trained.keras", depth=4)


def test_never_silently_random(weights, tmp_path, monkeypatch):
    with pytest.raises(
        FileNotFoundError, match=r"no file of weights at nowhere.keras: give the path of one for Mobile"
    ):
        small("nowhere.keras")
    with pytest.raises(ValueError, match=r"plain.keras holds no weights of MobileNetV2 with {'alpha': 0.5} without"):
        small(weights, alpha=0.5)
    with pytest.raises(ValueError, match=r"plain.keras holds no weights of ResNet50 without its top"):
        nets.encoder((64, 64, 3), 1, weights, "ResNet50", filters=2)
    for suffix in (".weights.h5", ".h5"):
        path = tmp_path / f"other{suffix}"
        path.write_bytes(b"no weights at all")
        with pytest.raises(ValueError, match=rf"other{suffix} holds no weights of MobileNetV2"):
            small(path)
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]).save_weights(tmp_path / "few.weights.h5")
    with pytest.raises(ValueError, match=r"few.weights.h5 holds no weights of MobileNetV2"):
        small(tmp_path / "few.weights.h5")

    def offline(**arguments):
        raise OSError("Name or service not known\nand a second line") if arguments["weights"] else AssertionError

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ConnectionError) as caught:
        small("imagenet")
    assert "\n" not in str(caught.value)
    assert "could not be downloaded (Name or service not known): try again where the network is open" in str(
        caught.value
    )


def test_the_usual_download_is_asked_for(monkeypatch):
    asked, build = [], keras.applications.MobileNetV2

    def download(**arguments):
        asked.append(arguments["weights"])
        return build(**(arguments | {"weights": None}))

    monkeypatch.setattr(keras.applications, "MobileNetV2", download)
    assert small("imagenet").output.shape == (None, 64, 64, 2) and asked == ["imagenet"]


@pytest.mark.backend
@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_or_fine_tuned(weights, frozen, eager_training):
    """Frozen: nothing of the encoder moves, neither kernels nor running statistics. Otherwise both do."""
    model = small(weights, frozen=frozen, depth=3)
    names = [layer.name for layer in model.layers if layer.weights and not layer.name.startswith(("up", "logits"))]
    before, rest = tensors(model, names), tensors(model, ["logits", "up0_conv_a"])
    training.fit(model, pictures(), epochs=2, batch_size=2)
    moved = {
        name: [np.any(a != b) for a, b in zip(before[name], tensors(model, [name])[name], strict=True)]
        for name in names
    }
    assert len(names) > 20
    assert any(map(any, moved.values())) == (not frozen)
    if not frozen:
        assert all(moved["Conv1"]) and all(moved["bn_Conv1"])
    for name, values in tensors(model, rest).items():
        assert np.any(values[0] != rest[name][0])
    momenta = {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == ({0.999, 0.9} if frozen else {0.9})


@pytest.mark.backend
def test_round_trip_without_custom_objects(weights, tmp_path):
    images, _ = pictures(channels=1)
    model = small(weights, channels=1, sides=(None, None), depth=4)
    expected = run(model, images)
    store.save(model, tmp_path / "model.keras", classes=["background", "lesion"])
    again = store.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(again, images), expected)
    assert again.metadata["classes"] == ["background", "lesion"]
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert "lambda" not in json.dumps(json.loads(archive.read("config.json"))).lower()
    np.testing.assert_array_equal(run(keras.saving.load_model(tmp_path / "model.keras"), images), expected)


@pytest.mark.backend
@pytest.mark.parametrize("depth", [1, 3, 5])
def test_any_legal_size(depth):
    model = small(sides=(None, None), channels=1, depth=depth)
    height, width = 2**depth, 3 * 2**depth
    assert run(model, np.zeros((1, height, width, 1), "float32")).shape == (1, height, width, 2)
    assert geometry.of(model).grid == 2**depth
    predicted = tiling.predict(model, np.random.default_rng(0).uniform(0, 1, (37, 50, 1)).astype("float32"))
    assert predicted.shape == (37, 50, 2) and np.isfinite(predicted).all()


def test_tiles_equal_the_whole_image(weights):
    model = small(weights, sides=(None, None), channels=1, depth=2)
    halo = geometry.of(model).halo
    image = np.random.default_rng(1).uniform(0, 1, (128, 144, 1)).astype("float32")
    whole = run(model, image[None])[0]
    tiled = tiling.predict(model, image, tile=2 * halo + 16)
    np.testing.assert_allclose(tiled, whole, atol=1e-4 * np.abs(whole).max())


def test_errors_name_the_fix():
    with pytest.raises(ValueError, match=r"backbone must be one of MobileNetV2, ResNet50, .* not 'VGG99'"):
        nets.encoder((64, 64, 3), 1, "random", "VGG99")
    for depth in (0, 6, 2.0):
        with pytest.raises(ValueError, match=f"depth must be a whole number of 1 to 5, not {depth!r}"):
            small(depth=depth)
    with pytest.raises(ValueError, match="takes images of 1 or 3 channels, not 4"):
        small(channels=4)
    with pytest.raises(ValueError, match=r"64.*96"):
        small(sides=(80, 80))
    with pytest.raises(ValueError, match="input_shape must be"):
        nets.encoder((64, 64), 1, "random")
