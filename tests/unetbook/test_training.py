import keras
import numpy as np
import pytest

from unetbook import losses, training
from unetbook.nets import unet


def pictures(count=3, height=31, width=37, channels=1, seed=0):
    """Images whose labels can be read off them, so that a shift between the two is seen."""
    images = np.random.default_rng(seed).random((count, height, width, channels), np.float32)
    return images, (images[..., 0] > 0.5).astype(np.int32)


def tiles(images, labels, **options):
    settings = {"tile": 24, "output": 8, "batch_size": 4, "steps": 3, "seed": 5, **options}
    return training.Tiles(images, labels, **settings)


def small_unet(classes=2, **options):
    return unet((None, None, 1), classes, filters=2, depth=1, **options)


def weights_of(model):
    return np.concatenate([values.ravel() for values in model.get_weights()])


def test_a_batch_depends_on_seed_epoch_and_step_alone():
    data, again, other = (tiles(*pictures(), seed=seed) for seed in (5, 5, 6))
    assert len(data) == 3
    batches = {}
    for epoch in (0, 1):
        data.epoch = epoch
        for index in (2, 0, 1):  # in any order
            batches[epoch, index] = data[index]
    again.epoch = 1
    for ours, theirs in zip(batches[1, 1], again[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = [batch[0].tobytes() for batch in batches.values()] + [other[0][0].tobytes()]
    assert len(set(images)) == 7


@pytest.mark.parametrize(("height", "width"), [(31, 37), (8, 8), (5, 50), (1, 1)])
def test_labels_lie_on_the_center_of_their_tile(height, width):
    images, labels = tiles(*pictures(3, height, width), batch_size=16)[0]
    assert images.shape == (16, 24, 24, 1) and images.dtype == np.float32
    assert labels.shape == (16, 8, 8) and labels.dtype == np.int32
    np.testing.assert_array_equal(labels, images[:, 8:16, 8:16, 0] > 0.5)


def test_every_output_position_inside_the_image_is_drawn_and_none_outside():
    labels = np.arange(10 * 11).reshape(1, 10, 11)
    data = tiles(np.zeros((1, 10, 11, 1), np.float32), labels, batch_size=400)
    corners = {int(label[0, 0]) for label in data[0][1]}
    assert corners == {int(label) for label in labels[0, :3, :4].ravel()}
    everywhere = tiles(np.zeros((3, 10, 11, 1), np.float32), np.arange(3)[:, None, None] + np.zeros((3, 10, 11), int))
    assert set(np.unique(everywhere[0][1])) <= {0, 1, 2} and len(np.unique(everywhere[1][1])) > 1


def test_beyond_the_image_stands_its_mirror():
    images, labels = pictures(1, 8, 8)
    drawn, _ = tiles(images, labels)[0]
    expected = np.pad(images[0], [(8, 8), (8, 8), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(drawn, np.broadcast_to(expected, drawn.shape))


def test_augment_turns_image_labels_and_weights_together():
    images, labels = pictures()
    given = []

    def augment(image, labels, rng, weights=None):
        given.append((image.shape, labels.shape, weights is not None))
        turns = int(rng.integers(1, 4))
        rest = () if weights is None else (np.rot90(weights, turns),)
        return (np.rot90(image, turns), np.rot90(labels, turns), *rest)

    first = tiles(images, labels, augment=augment, batch_size=8)[0]
    np.testing.assert_array_equal(first[1], first[0][:, 8:16, 8:16, 0] > 0.5)
    assert given == [((24, 24, 1), (24, 24), False)] * 8
    weighted = tiles(images, labels, augment=augment, batch_size=8, weights=images[..., 0] * 2)[0]
    np.testing.assert_array_equal(weighted[2], weighted[0][:, 8:16, 8:16, 0] * 2)
    assert given[-1] == ((24, 24, 1), (24, 24), True)
    np.testing.assert_array_equal(first[0], weighted[0])  # the generator is seeded by the batch
    assert np.any(first[0] != tiles(images, labels, batch_size=8)[0][0])


@pytest.mark.backend
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    data = tiles(*pictures())

    def begin():
        training.set_seed(3)
        return small_unet()

    sgd = {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9)}
    whole = begin()
    history = training.fit(whole, data, epochs=4, **sgd)
    half = begin()
    sgd = {"optimizer": keras.optimizers.SGD(0.05, momentum=0.9)}
    first = training.fit(half, data, epochs=2, **sgd)
    keras.saving.save_model(half, tmp_path / "half.keras")
    resumed = keras.saving.load_model(tmp_path / "half.keras")
    second = training.fit(resumed, tiles(*pictures()), epochs=4, initial_epoch=2)
    assert len(first["loss"]) == len(second["loss"]) == 2
    np.testing.assert_allclose(first["loss"] + second["loss"], history["loss"], rtol=1e-5)
    np.testing.assert_allclose(weights_of(resumed), weights_of(whole), atol=1e-5)
    data = tiles(*pictures())
    training.fit(resumed, data, epochs=6, initial_epoch=5)  # a model that Keras has built before counts no further
    fresh = tiles(*pictures())
    training.fit(begin(), fresh, epochs=6, initial_epoch=5)
    assert data.epoch == fresh.epoch == 5
    wrong = keras.saving.load_model(tmp_path / "half.keras")
    training.fit(wrong, tiles(*pictures()), epochs=2)  # the batches of epochs 0 and 1 once more
    assert np.abs(weights_of(wrong) - weights_of(whole)).max() > 1e-3


@pytest.mark.backend
def test_a_seed_repeats_a_training():
    def train(seed):
        training.set_seed(seed)
        model = small_unet()
        training.fit(model, pictures(2, 20, 20), epochs=1)
        return weights_of(model)

    first = train(1)
    np.testing.assert_array_equal(first, train(1))
    assert np.any(first != train(2))


@pytest.mark.backend
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_the_cross_entropy_of_the_central_pixels(classes, weighted, eager):
    images, labels = pictures(3, 20, 24)
    weights = np.random.default_rng(1).random(labels.shape, np.float32)
    model = small_unet(classes)
    logits = model.predict_on_batch(images)
    logits = np.concatenate([np.zeros_like(logits), logits], axis=-1) if classes == 1 else logits
    wanted = np.take_along_axis(logits, labels[:, 8:12, 8:16, None], axis=-1)[..., 0]
    expected = np.log(np.exp(logits).sum(axis=-1)) - wanted
    expected = expected * weights[:, 8:12, 8:16] if weighted else expected
    data = (images, labels, weights) if weighted else (images, labels)
    history = training.fit(model, data, batch_size=3, optimizer=keras.optimizers.SGD(0.0), validation=data)
    assert history["loss"] == pytest.approx([expected.mean()], rel=1e-4)
    assert history["val_loss"] == pytest.approx([expected.mean()], rel=1e-4)
    assert type(history["loss"]) is list and type(history["loss"][0]) is float


@pytest.mark.backend
def test_training_lowers_the_loss():
    training.set_seed(4)
    model = unet((None, None, 1), 1, filters=8, depth=1, activation="elu")
    history = training.fit(model, tiles(*pictures(), steps=15), epochs=4, optimizer=keras.optimizers.Adam(0.02))
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_validation_on_tiles_and_metrics(eager):
    images, labels = pictures()
    metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    history = training.fit(
        small_unet(),
        tiles(images, labels),
        epochs=2,
        validation=tiles(images, labels, seed=9),
        metrics=[metric],
        optimizer=keras.optimizers.SGD(0.0),
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history["val_loss"][0] == history["val_loss"][1]  # the same tiles each time
    assert history["loss"][0] != history["loss"][1]


def test_a_compiled_model_keeps_its_optimizer_and_callbacks_are_called():
    model, epochs = small_unet(), []
    optimizer = keras.optimizers.SGD(0.0)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = weights_of(model)
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    training.fit(model, pictures(2, 20, 20), epochs=5, initial_epoch=3, callbacks=[note])
    assert model.optimizer is optimizer and epochs == [3, 4]
    np.testing.assert_array_equal(weights_of(model), before)


def test_fit_prints_nothing_unless_asked(capsys, eager):
    training.fit(small_unet(), pictures(1, 20, 20))
    assert capsys.readouterr().out == ""
    training.fit(small_unet(), pictures(1, 20, 20), verbose=2)
    assert "loss" in capsys.readouterr().out


def test_center_crop():
    maps = np.arange(2 * 6 * 7).reshape(2, 6, 7)
    np.testing.assert_array_equal(training.center_crop(maps, 2, 3), maps[:, 2:4, 2:5])
    np.testing.assert_array_equal(training.center_crop(maps, 6, 7), maps)


def bad_image(value):
    images, labels = pictures()
    images[1, 2, 3] = value
    return images, labels


BAD = {
    "NaN": (lambda: bad_image(np.nan), ValueError, "NaN or infinity in image 1: repair or drop it"),
    "infinity": (lambda: bad_image(np.inf), ValueError, "NaN or infinity in image 1"),
    "integer images": (
        lambda: (np.zeros((1, 20, 20, 1), np.uint8), np.zeros((1, 20, 20), int)),
        TypeError,
        r"images must be floats, not uint8: .*images.astype\('float32'\) / 255",
    ),
    "float labels": (
        lambda: (pictures()[0], pictures()[1].astype(float)),
        TypeError,
        r"labels must be integers, not float64: .*\(mask > 0.5\).astype\(int\)",
    ),
    "empty": (
        lambda: (np.zeros((0, 20, 20, 1), np.float32), np.zeros((0, 20, 20), int)),
        ValueError,
        r"\(N, H, W, C\) with at least one pixel, not \(0, 20, 20, 1\)",
    ),
    "no channels": (
        lambda: (pictures()[0][..., 0], pictures()[1]),
        ValueError,
        r"images must be \(N, H, W, C\) .*, not \(3, 31, 37\)",
    ),
    "labels of another size": (
        lambda: (pictures()[0], pictures()[1][:, 1:]),
        ValueError,
        r"labels of shape \(3, 30, 37\) do not match images of shape \(3, 31, 37, 1\)",
    ),
    "weights of another size": (
        lambda: (*pictures(), np.ones((3, 31, 36))),
        ValueError,
        r"weights of shape \(3, 31, 36\) do not match",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_data_is_refused_with_the_fix(build, kind, message):
    data = build()
    with pytest.raises(kind, match=message):
        training.fit(small_unet(), data)
    with pytest.raises(kind, match=message):
        tiles(*data[:2], weights=data[2] if len(data) == 3 else None)


def test_images_that_do_not_fit_the_network_and_tiles_off_center():
    with pytest.raises(ValueError, match=r"images of \(31, 37\) do not fit 'unet': see unetbook.sizes.legal_sizes"):
        training.fit(small_unet(), pictures())
    for tile, output in ((24, 9), (24, 26)):
        with pytest.raises(ValueError, match=f"an output of {output} pixels is not centered in a tile of {tile}"):
            tiles(*pictures(), tile=tile, output=output)


def test_a_sequential_model_is_trained_too(eager):
    images, labels = pictures(2, 16, 16)
    model = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Conv2D(1, 1)])
    assert len(training.fit(model, (images, labels), epochs=2, loss=losses.binary_cross_entropy)["loss"]) == 2


def several_sizes(dtype=np.float32):
    """Three pictures of different sizes whose labels can be read off them, with weights."""
    pairs = [pictures(1, height, width, seed=height) for height, width in ((31, 37), (8, 50), (64, 24))]
    images = [image[0].astype(dtype) for image, _ in pairs]
    labels = [(image[..., 0] > 0.5).astype(np.int8) for image in images]
    return images, labels, [np.float16(1) + label for label in labels]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_lists_of_several_sizes_make_tiles_in_step(dtype):
    images, labels, weights = several_sizes(dtype)
    data = tiles(images, labels, weights=weights, batch_size=64)
    shown, target, weight = data[0]
    assert shown.shape == (64, 24, 24, 1) and shown.dtype == np.float32 and target.shape == weight.shape == (64, 8, 8)
    np.testing.assert_array_equal(target, shown[:, 8:16, 8:16, 0] > 0.5)
    np.testing.assert_array_equal(weight, 1 + target)
    alone = tiles(images[1:2], labels[1:2], batch_size=64)[0][0]
    assert len(np.unique(alone)) <= images[1].size + 1  # only that picture


def test_an_image_that_stands_twice_in_a_list_is_drawn_twice_as_often():
    images = [np.full((20, 20, 1), value, np.float32) for value in (0, 1, 1)]
    labels = [np.zeros((20, 20), np.int32)] * 3
    shown = tiles(images, labels, batch_size=3000)[0][0]
    assert shown.mean() == pytest.approx(2 / 3, abs=0.05)


def test_lists_name_the_image_that_is_wrong():
    images, labels, weights = several_sizes()
    with pytest.raises(ValueError, match=r"image 1 of the list: labels of shape"):
        tiles(images, [labels[0], labels[0], labels[2]])
    with pytest.raises(TypeError, match="image 2 of the list: images must be floats, not uint8"):
        tiles([*images[:2], np.zeros((8, 8, 1), np.uint8)], [*labels[:2], np.zeros((8, 8), int)])
    for wrong in ((images[:2], labels, None), ([], [], None), (images, labels, weights[:1])):
        with pytest.raises(ValueError, match="give one of each"):
            tiles(wrong[0], wrong[1], weights=wrong[2])


def test_a_network_is_trained_on_a_list(eager):
    images, labels, weights = several_sizes()
    data = tiles(images, labels, weights=weights, tile=16, output=16)
    loss = losses.CrossEntropy(reduction="mean_with_sample_weight")
    model = small_unet(padding="same")
    history = training.fit(model, data, epochs=2, loss=loss)
    assert len(history["loss"]) == 2 and np.isfinite(history["loss"]).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow makes graphs by calling the step")
def test_the_graph_of_a_step_is_made_once(monkeypatch):
    """Were the optimizer's variables made inside of it, TensorFlow would make it twice, which takes twice as long."""
    calls, train_step = [], keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda model, data: calls.append(1) or train_step(model, data))
    model = unet((16, 16, 1), 2, filters=2, depth=1, padding="same")
    training.fit(model, (np.zeros((4, 16, 16, 1), np.float32), np.zeros((4, 16, 16), int)), epochs=2, batch_size=2)
    assert len(calls) == 1
