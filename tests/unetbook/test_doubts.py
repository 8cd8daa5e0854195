"""Input that Keras takes without a word, and that teaches nothing, or NaN."""

import keras
import numpy as np
import pytest

from unetbook import augment, doubts, losses, store, training
from unetbook.nets import unet, unetpp

TILE = {"tile": 16, "output": 16, "batch_size": 2, "steps": 2, "seed": 5}


def pictures(count=3, side=16, seed=0):
    images = np.random.default_rng(seed).random((count, side, side, 1), np.float32)
    return images, (images[..., 0] > 0.5).astype(np.int32)


def network(classes=2):
    return unet((None, None, 1), classes, filters=2, depth=1, padding="same")


def still():
    return keras.optimizers.SGD(0.0)


def ends_in(last, classes=2):
    images = keras.Input((None, None, 1))
    return keras.Model(images, last(keras.layers.Conv2D(classes, 1)(images)), name="mine")


MASKS = {
    "0 and 255": (lambda mask: mask * 255, 2, r"labels of image 0 hold 255, .* tells 2 classes, 0 and 1: for a mask of "
                  r"0 and 255, \(mask > 127\).astype\(int\)"),
    "one channel": (lambda mask: mask * 255, 1, "hold 255, .* 2 classes, 0 and 1"),
    "0 and 2": (lambda mask: mask * 2, 2, r"hold 2, .*\(mask > 1\)"),
    "-1": (lambda mask: np.where(np.arange(16) > 12, -1, mask), 2, "hold -1, .* nobody annotated, give ignore=-1"),
    "255 beside": (lambda mask: np.where(np.arange(16) > 12, 255, mask), 3, "hold 255, .* 3 classes, 0 to 2: .*=255"),
    "numbers": (lambda mask: mask * np.arange(16), 3, r"hold 15, .* classes, 0 to 2: if labels number objects, .*sep"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "classes", "message"), MASKS.values(), ids=MASKS)
def test_labels_that_are_no_classes_are_refused_with_the_value_and_the_fix(change, classes, message):
    images, mask = pictures()
    wrong = change(mask).astype(np.int32)
    for loss in (None, losses.dice, losses.Focal()):
        with pytest.raises(ValueError, match=message):
            training.fit(network(classes), (images, wrong), loss=loss)
    later = [mask[0], mask[1], wrong[2]]
    for plain in (None, augment.turn_and_shade, augment.Augmenter(elastic=1)):
        data = training.Tiles(list(images), later, **TILE, augment=plain)
        with pytest.raises(ValueError, match=message.replace("image 0", "image 2")):
            training.fit(network(classes), data)
    with pytest.raises(ValueError, match=message):
        training.fit(network(classes), (images, mask), validation=(images, wrong))
    compiled = network(classes)
    compiled.compile("sgd", losses.BCEDice())
    with pytest.raises(ValueError, match=message):
        training.fit(compiled, (images, wrong))


def test_heads_are_doubted_too():
    model = unetpp((16, 16, 1), 1, filters=2, depth=2)
    images, mask = pictures()
    for data in ((images, mask * 255), training.Tiles(images, mask * 255, **TILE)):
        with pytest.raises(ValueError, match="hold 255"):
            training.fit(model, data)


def test_classes_that_an_augmentation_makes_are_looked_at(eager):
    images, mask = pictures()
    numbers = mask * np.arange(16)
    data = training.Tiles(images, numbers, **TILE, augment=lambda image, ids, rng: (image, (ids > 0).astype(int)))
    assert np.isfinite(training.fit(network(), data)["loss"]).all()
    data = training.Tiles(images, numbers, **TILE, augment=lambda image, ids, rng: (image, ids))
    with pytest.raises(ValueError, match="of image 0 of batch 0, as augment returns them, hold 15"):
        training.fit(network(), data)


def test_other_losses_may_have_other_labels(eager):
    """Distances in pixels, for a loss of one's own."""

    def squared(distances, values):
        values = keras.ops.reshape(values, keras.ops.shape(distances))  # Keras may have dropped the channel
        return keras.ops.mean((keras.ops.cast(distances, "float32") - values) ** 2)

    images, mask = pictures()
    for data in ((images, mask * 9), training.Tiles(images, mask * 9, **TILE)):
        training.fit(network(1), data, loss=squared)
    images = keras.Input((16, 16, 1))
    model = keras.Model(images, keras.layers.Conv2D(1, 1, activation="sigmoid")(images))
    training.fit(model, pictures(), loss="mse")


def test_images_beyond_0_to_1_are_refused_unless_one_says_so(eager):
    images, mask = pictures()
    for wrong in (images * 255, images * 2 - 1):
        low, high = f"{wrong[0].min():.4g}", f"{wrong[0].max():.4g}"
        message = rf"values of image 0 run from {low} to {high}: images are in \[0, 1\]; divide by .* any_range=True"
        with pytest.raises(ValueError, match=message):
            training.fit(network(), (wrong, mask))
        with pytest.raises(ValueError, match=message):
            training.Tiles(wrong, mask, **TILE)
        with pytest.raises(ValueError, match="image 1 of the list: values of image 0 run from"):
            training.Tiles([images[0], wrong[1]], list(mask[:2]), **TILE)
        training.fit(network(), training.Tiles(wrong, mask, **TILE, any_range=True))
        training.fit(network(), (wrong, mask), any_range=True, validation=(wrong, mask))


def test_labels_with_a_channel_are_those_without(eager):
    images, mask = pictures()
    weights = 1 + mask.astype(np.float32)
    plain = training.Tiles(images, mask, **TILE, weights=weights)[1]
    for data in ((images, mask, weights), (list(images), list(mask), list(weights))):
        data = [data[0], *([one[..., None] for one in part] for part in data[1:])]
        data = data if isinstance(data[0], list) else [np.asarray(part) for part in data]
        again = training.Tiles(*data[:2], **TILE, weights=data[2])[1]
        assert all(np.array_equal(one, other) for one, other in zip(plain, again, strict=True))
    (loss,) = training.fit(network(), (images, mask, weights), optimizer=still())["loss"]
    model = network()
    before = training.fit(model, (images, mask, weights), optimizer=still())["loss"]
    assert training.fit(model, (images, mask[..., None], weights[..., None]))["loss"] == before and loss > 0


@pytest.mark.backend
@pytest.mark.parametrize("ignore", [-1, 255])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_pixels_leave_the_loss_to_the_others(ignore, weighted):
    images, mask = pictures(2)
    out = np.zeros(mask.shape, bool)
    out[:, :, 10:] = True
    given, weights = np.where(out, ignore, mask), np.random.default_rng(1).random(mask.shape, np.float32)
    model = network()
    logits = np.asarray(model.predict_on_batch(images), np.float64)
    energy = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, mask[..., None], axis=-1)[..., 0]
    counted = np.where(out, 0, weights if weighted else 1)
    data = (images, given, weights) if weighted else (images, given)
    found = training.fit(model, data, optimizer=still(), ignore=ignore, validation=data)
    expected = (counted * energy).sum() / counted.sum()
    assert found["loss"] == pytest.approx([expected], rel=1e-4) and found["val_loss"] == pytest.approx([expected], 1e-4)
    again = network()
    again.set_weights(model.get_weights())  # cross-entropy as it is divides by all pixels
    over_all = training.fit(again, data, optimizer=still(), loss=losses.cross_entropy, ignore=ignore)["loss"]
    assert over_all == pytest.approx([(counted * energy).mean()], rel=1e-4)


def test_what_stands_in_ignored_pixels_teaches_nothing(eager):
    """A step with any labels there, and even one with other gray values, as far from the border as the network sees."""
    images, mask = pictures(2, 32)
    given = mask.copy()
    given[:, :, 16:] = 255
    one, *others = [network() for _ in range(3)]
    for other in others:
        other.set_weights(one.get_weights())
    training.fit(one, (images, given), optimizer=keras.optimizers.SGD(0.1), ignore=255)
    weights = np.where(given == 255, 0, 1).astype(np.float32)
    mean = losses.CrossEntropy(reduction="mean_with_sample_weight")
    training.fit(others[0], (images, mask, weights), optimizer=keras.optimizers.SGD(0.1), loss=mean)
    changed = images.copy()
    changed[:, :, 28:] = 0.5
    training.fit(others[1], (changed, given), optimizer=keras.optimizers.SGD(0.1), ignore=255)
    for other in others:
        for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("change", [None, augment.Augmenter(elastic=1)])
def test_tiles_give_ignored_pixels_class_0_and_weight_0(change, eager):
    images, mask = pictures()
    given = np.where(mask > 0, 255, 0).astype(np.uint8)
    shown, labels, weights = training.Tiles(images, given, **TILE, ignore=255, augment=change)[0]
    assert labels.dtype == np.uint8 and not labels.any() and set(np.unique(weights)) == {0, 1}
    if change is None:
        np.testing.assert_array_equal(weights == 0, shown[..., 0] > 0.5)
        doubled = training.Tiles(images, given, **TILE, ignore=255, weights=np.full(mask.shape, 2.0))[0][2]
        np.testing.assert_array_equal(doubled, 2 * weights)
    data = training.Tiles(images, given, **TILE, ignore=255, augment=change)
    history = training.fit(network(), data, validation=data)
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    nothing = training.Tiles(images, np.full(mask.shape, -1), **TILE, ignore=-1)
    assert training.fit(network(), nothing)["loss"] == [0]
    with pytest.raises(ValueError, match="Tiles have an option ignore of their own"):
        training.fit(network(), data, ignore=255)
    for wrong in (1.5, "255", True):
        with pytest.raises(ValueError, match="ignore must be the label of pixels that do not count"):
            training.Tiles(images, given, **TILE, ignore=wrong)


PROBABLE = {
    "sigmoid": lambda x: keras.layers.Activation("sigmoid")(x),
    "soft-max layer": lambda x: keras.layers.Softmax()(x),
    "soft-max operation": lambda x: keras.ops.softmax(x),
    "sigmoid operation": lambda x: keras.ops.sigmoid(x),
    "of a convolution": lambda x: keras.layers.Conv2D(2, 1, activation="softmax")(x),
    "hard": lambda x: keras.layers.Activation("hard_sigmoid")(x),
    "and then linear": lambda x: keras.layers.Activation("linear")(keras.layers.Activation("sigmoid")(x)),
    "average": lambda x: keras.layers.Average()([keras.layers.Softmax()(x), keras.layers.Softmax()(x)]),
    "a model inside": lambda x: keras.Sequential([keras.Input((None, None, 2)), keras.layers.Softmax()])(x),
}


@pytest.mark.parametrize("last", PROBABLE.values(), ids=PROBABLE)
def test_networks_that_end_in_probabilities_are_refused(last, tmp_path):
    model, message = (
        ends_in(last),
        r"'mine' ends in a (hard_)?(sigmoid|soft-max), which would be applied twice: end with",
    )
    assert doubts.activation(model.outputs[0])
    for loss in (None, losses.dice, keras.losses.SparseCategoricalCrossentropy(from_logits=True)):
        with pytest.raises(ValueError, match=message):
            training.fit(model, pictures(), loss=loss)
    if "model" not in str(type(model.layers[-1])):
        with pytest.raises(ValueError, match=message):
            store.save(model, tmp_path / "mine.keras", classes=["background", "cell"])
        assert not list(tmp_path.iterdir())


def test_networks_that_end_in_logits_or_values_are_not(tmp_path, eager):
    for last in (lambda x: x, keras.layers.ReLU(), lambda x: keras.layers.Conv2D(2, 1)(keras.layers.Softmax()(x))):
        doubts.logits(ends_in(last))
    distances = ends_in(keras.layers.Activation("sigmoid"), 1)
    path = store.save(distances, tmp_path / "distances.keras", classes=["none", "cell"], outputs="values")
    assert doubts.activation(store.load(path).outputs[0]) == "sigmoid"
    sequential = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Conv2D(1, 1, activation="sigmoid")])
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        training.fit(sequential, pictures())


def test_a_head_that_ends_in_probabilities_is_named(tmp_path):
    images = keras.Input((16, 16, 1))
    heads = {"cell": keras.layers.Conv2D(2, 1)(images), "edge": keras.layers.Conv2D(2, 1, activation="softmax")(images)}
    model = keras.Model(images, heads)
    for refuse in (lambda: training.fit(model, pictures()), lambda: store.save(model, tmp_path / "heads.keras")):
        with pytest.raises(ValueError, match="head 'edge' of the network ends in a soft-max"):
            refuse()
    doubts.logits(model, outputs={"edge": "values"})
