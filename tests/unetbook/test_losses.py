"""Each loss against numbers worked out by hand, and against plain NumPy in double precision, value and gradient."""

import keras
import numpy as np
import pytest

from unetbook import losses

LN3, LN4, LN4_3 = np.log(3), np.log(4), np.log(4 / 3)

# Two 4 x 4 images. In the first, 4 pixels are foreground; the network says 3/4 on two of them and on two others, and
# 1/4 on the remaining 12, so that sum p = 4 * 3/4 + 12 * 1/4 = 6, sum g = 4, sum pg = 2 * 3/4 + 2 * 1/4 = 2, and
# sum p^2 = 4 * 9/16 + 12 * 1/16 = 3. Twelve pixels have 3/4 at their true class, four have 1/4.
TRUTH = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])[None]
LIKELY = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])[None]
LOGITS = np.where(LIKELY, LN3, -LN3)[..., None].astype(np.float32)  # sigmoid(ln 3) = 3/4
# The second image has no foreground and 1/4 everywhere: sum p = 4, sum p^2 = 1, sum g = 0.
BOTH_TRUTH = np.concatenate([TRUTH, 0 * TRUTH])
BOTH_LOGITS = np.concatenate([LOGITS, 0 * LOGITS - np.float32(LN3)])

BY_HAND = {
    "cross_entropy": (losses.cross_entropy, (12 * LN4_3 + 4 * LN4) / 16),
    "binary_cross_entropy": (losses.binary_cross_entropy, (12 * LN4_3 + 4 * LN4) / 16),
    "focal": (losses.focal, (12 * (1 / 4) ** 2 * LN4_3 + 4 * (3 / 4) ** 2 * LN4) / 16),
    "focal, balanced": (  # of the foreground two pixels right and two wrong; of the background ten and two
        losses.Focal(gamma=1, alpha=0.8),
        (0.8 * (2 / 4 * LN4_3 + 2 * 3 / 4 * LN4) + 0.2 * (10 / 4 * LN4_3 + 2 * 3 / 4 * LN4)) / 16,
    ),
    "dice": (losses.dice, 1 - (2 * 2 + 1) / (6 + 4 + 1)),
    "dice, not smoothed": (losses.Dice(smooth=0), 1 - 2 * 2 / (6 + 4)),
    "v_net_dice": (losses.v_net_dice, 1 - (2 * 2 + 1) / (3 + 4 + 1)),
    "v_net_dice, not smoothed": (losses.VNetDice(smooth=0), 1 - 2 * 2 / (3 + 4)),
    "tversky": (losses.tversky, 1 - (2 * 2 + 1) / (2 * (2 + 0.3 * 4 + 0.7 * 2) + 1)),  # TP 2, FP 6 - 2, FN 4 - 2
    "tversky, not smoothed": (losses.Tversky(alpha=1, beta=0, smooth=0), 1 - 2 / (2 + 4)),
    "bce_dice": (losses.bce_dice, 0.5 * (12 * LN4_3 + 4 * LN4) / 16 + 1 - (2 * 2 + 1) / (6 + 4 + 1)),
}


def two_channels(logits):
    """The logits (0, z): their soft-max is the sigmoid of z. A number added to both changes nothing."""
    return np.concatenate([0 * logits + 0.7, logits + 0.7], axis=-1)


@pytest.mark.backend
@pytest.mark.parametrize(("loss", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand(loss, expected):
    heads = [LOGITS, two_channels(LOGITS)]
    heads = heads[1:] if loss is losses.cross_entropy else heads[:1] if loss is losses.binary_cross_entropy else heads
    for logits in heads:
        assert float(loss(TRUTH, logits)) == pytest.approx(expected, rel=1e-5)
        assert float(loss(TRUTH[..., None].astype(np.uint8), logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
def test_per_image_and_pooled_by_hand():
    first, second = 1 - 5 / 11, 1 - 1 / 5  # (0 + 1) / (4 + 0 + 1)
    assert float(losses.dice(BOTH_TRUTH, BOTH_LOGITS)) == pytest.approx((first + second) / 2, rel=1e-5)
    pooled = 1 - (2 * 2 + 1) / (6 + 4 + 4 + 1)
    assert float(losses.Dice(pooled=True)(BOTH_TRUTH, BOTH_LOGITS)) == pytest.approx(pooled, rel=1e-5)
    each = keras.ops.convert_to_numpy(losses.Dice(reduction=None)(BOTH_TRUTH, BOTH_LOGITS))
    np.testing.assert_allclose(each, [first, second], rtol=1e-5)
    energy = (28 * LN4_3 + 4 * LN4) / 32
    total = losses.BCEDice(pooled=True)(BOTH_TRUTH, BOTH_LOGITS)
    assert float(total) == pytest.approx(0.5 * energy + pooled, rel=1e-5)


# ----- against plain NumPy in double precision


def plain_probabilities(logits):
    if logits.shape[-1] == 1:
        p = 1 / (1 + np.exp(-logits))
        return np.concatenate([1 - p, p], axis=-1)
    e = np.exp(logits)
    return e / e.sum(axis=-1, keepdims=True)


def plain_pixels(labels, logits, weights, gamma=0.0, alpha=None):
    p = np.take_along_axis(plain_probabilities(logits), labels[..., None], axis=-1)[..., 0]
    factor = 1 if alpha is None else np.where(labels > 0, alpha, 1 - alpha)
    return np.mean(-weights * factor * (1 - p) ** gamma * np.log(p))


def plain_regions(labels, logits, weights, sums, smooth=1.0, pooled=False, energy=0.0):
    """Image by image and class by class."""
    p = plain_probabilities(logits)
    groups = [slice(None)] if pooled else [[n] for n in range(len(labels))]
    values = []
    for group in groups:
        w, scores = weights[group], []
        for c in range(1, p.shape[-1]):
            part, whole = sums(p[group][..., c], (labels[group] == c).astype(float), w)
            scores.append((part + smooth) / (whole + smooth))
        mean = plain_pixels(labels[group], logits[group], w / w.mean()) if energy else 0.0
        values.append(energy * mean + 1 - np.mean(scores))
    return np.mean(values)


def dice_sums(p, g, w):
    return 2 * np.sum(w * p * g), np.sum(w * (p + g))


def v_net_sums(p, g, w):
    return 2 * np.sum(w * p * g), np.sum(w * (p * p + g * g))


def tversky_sums(p, g, w, alpha=0.3, beta=0.7):
    hit = np.sum(w * p * g)
    return 2 * hit, 2 * (hit + alpha * np.sum(w * p * (1 - g)) + beta * np.sum(w * (1 - p) * g))


PLAIN = {
    "cross_entropy": (losses.cross_entropy, plain_pixels, {}),
    "binary_cross_entropy": (losses.binary_cross_entropy, plain_pixels, {}),
    "focal": (losses.focal, plain_pixels, {"gamma": 2.0}),
    "focal 0.5": (losses.Focal(gamma=0.5, alpha=0.3), plain_pixels, {"gamma": 0.5, "alpha": 0.3}),
    "focal 0": (losses.Focal(gamma=0), plain_pixels, {}),
    "dice": (losses.dice, plain_regions, {"sums": dice_sums}),
    "dice pooled": (
        losses.Dice(pooled=True, smooth=0.0),
        plain_regions,
        {"sums": dice_sums, "smooth": 0.0, "pooled": True},
    ),
    "v_net_dice": (losses.v_net_dice, plain_regions, {"sums": v_net_sums}),
    "v_net_dice pooled": (losses.VNetDice(pooled=True), plain_regions, {"sums": v_net_sums, "pooled": True}),
    "tversky": (losses.tversky, plain_regions, {"sums": tversky_sums}),
    "tversky pooled": (losses.Tversky(pooled=True), plain_regions, {"sums": tversky_sums, "pooled": True}),
    "tversky halves": (losses.Tversky(alpha=0.5, beta=0.5), plain_regions, {"sums": dice_sums}),
    "bce_dice": (losses.bce_dice, plain_regions, {"sums": dice_sums, "energy": 0.5}),
    "bce_dice pooled": (
        losses.BCEDice(pooled=True),
        plain_regions,
        {"sums": dice_sums, "energy": 0.5, "pooled": True},
    ),
}

CASES = [
    (name, channels)
    for name in PLAIN
    for channels in {"cross_entropy": (2, 4), "binary_cross_entropy": (1,)}.get(name, (1, 2, 4))
]


class Given(keras.layers.Layer):
    """Returns its own weights whatever comes in: logits that an optimizer can move."""

    def __init__(self, logits):
        super().__init__()
        self.logits = self.add_weight(shape=logits.shape, initializer="zeros")
        self.logits.assign(logits)

    def call(self, images):
        return self.logits + 0 * images


def gradient(loss, labels, logits, weights=None):
    """The backend's own gradient: what one step of SGD at rate 1 subtracts from the logits."""
    layer = Given(np.zeros_like(logits, np.float32))
    images = keras.Input(logits.shape[1:], batch_size=len(logits))
    model = keras.Model(images, layer(images))
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True)  # compiled below, by fit
    layer.logits.assign(logits)
    model.train_on_batch(np.zeros_like(logits, np.float32), labels, sample_weight=weights)
    return logits - keras.ops.convert_to_numpy(layer.logits)


def batch(channels, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, max(channels, 2), (2, 4, 4))
    return labels, rng.normal(0, 1.5, (2, 4, 4, channels)).astype(np.float32), rng.uniform(0.2, 3, labels.shape)


@pytest.mark.backend
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "channels"), CASES)
def test_value_and_gradient_are_those_of_plain_numpy(name, channels, weighted):
    loss, plain, options = PLAIN[name]
    labels, logits, weights = batch(channels)
    weights = weights if weighted else np.ones_like(weights)
    given = weights.astype(np.float32) if weighted else None
    exact = logits.astype(float)
    assert float(loss(labels, logits, given)) == pytest.approx(plain(labels, exact, weights, **options), rel=2e-5)
    found = gradient(loss, labels, logits, given)
    for index in [(0, 1, 2, 0), (1, 3, 0, channels - 1), (1, 0, 3, 0)]:
        step = np.zeros_like(exact)
        step[index] = 1e-5
        values = [plain(labels, exact + sign * step, weights, **options) for sign in (1, -1)]
        assert found[index] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-3, abs=2e-6)


# ----- limits

DEFAULTS = {name: loss for name, (loss, _) in BY_HAND.items() if "," not in name}
EVERY = DEFAULTS | {
    "dice, not smoothed": losses.Dice(smooth=0),
    "v_net_dice, not smoothed": losses.VNetDice(smooth=0),
    "tversky, not smoothed and pooled": losses.Tversky(smooth=0, pooled=True),
}


def head(loss, logits):
    """One channel, or the two that make the same prediction."""
    return two_channels(logits) if loss is losses.cross_entropy else logits


@pytest.mark.backend
@pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
def test_two_empty_masks_and_other_perfect_predictions_have_loss_0(loss):
    for truth in (0 * BOTH_TRUTH, BOTH_TRUTH, 0 * BOTH_TRUTH + 1):
        logits = head(loss, np.where(truth, 1e4, -1e4)[..., None].astype(np.float32))
        assert float(loss(truth, logits)) == pytest.approx(0, abs=1e-6)
        assert np.isfinite(gradient(loss, truth, logits)).all()


@pytest.mark.backend
@pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
def test_the_opposite_of_the_truth_has_a_large_but_finite_loss(loss):
    logits = head(loss, np.where(TRUTH, -1e4, 1e4)[..., None].astype(np.float32))
    value = float(loss(TRUTH, logits))
    assert 0.9 < value < 2e4
    if loss in (losses.cross_entropy, losses.binary_cross_entropy, losses.focal):
        assert value == pytest.approx(1e4, rel=1e-5)
    assert np.isfinite(gradient(loss, TRUTH, logits)).all()


@pytest.mark.backend
def test_what_smooth_is_for():
    empty = 0 * TRUTH
    nearly = np.full((1, 4, 4, 1), -9, np.float32)
    assert float(losses.dice(empty, nearly)) < 0.002 and gradient(losses.dice, empty, nearly).min() > 1e-5
    unsmoothed = losses.Dice(smooth=0)
    assert float(unsmoothed(empty, nearly)) == pytest.approx(1)
    np.testing.assert_allclose(gradient(unsmoothed, empty, nearly), 0, atol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
def test_nan_in_logits_or_weights_is_seen(loss):
    logits, weights = head(loss, BOTH_LOGITS.copy()), np.ones(BOTH_TRUTH.shape, np.float32)
    assert np.isfinite(float(loss(BOTH_TRUTH, logits, weights)))
    weights[1, 2, 3] = np.nan
    assert np.isnan(float(loss(BOTH_TRUTH, logits, weights)))
    weights[1, 2, 3] = 0
    logits[1, 2, 3] = np.nan
    assert np.isnan(float(loss(BOTH_TRUTH, logits)))
    assert np.isnan(float(loss(BOTH_TRUTH, logits, weights)))


# ----- weights

PIXEL = {"binary_cross_entropy": losses.BinaryCrossEntropy, "focal": losses.Focal}
REGION = {"dice": losses.Dice, "v_net_dice": losses.VNetDice, "tversky": losses.Tversky, "bce_dice": losses.BCEDice}


@pytest.mark.backend
@pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)
def test_pixels_of_weight_0_do_not_count(loss):
    labels, logits, _ = batch(1)
    logits = head(loss, logits)
    weights = (np.random.default_rng(1).random(labels.shape) < 0.6).astype(np.float32)
    changed = np.where(weights[..., None] > 0, logits, logits[::-1] * 2 + 1)
    assert np.any(changed != logits)
    value = float(loss(labels, logits, weights))
    assert float(loss(np.where(weights, labels, 1), changed, weights)) == pytest.approx(value, rel=1e-5)
    assert float(loss(labels, logits)) != pytest.approx(value, rel=1e-3)
    found = np.abs(gradient(loss, labels, logits, weights)).max(axis=-1)
    assert found[weights == 0].max() == 0 and found[weights == 1].min() > 0
    nothing = gradient(loss, labels, logits, 0 * weights)
    assert float(loss(labels, logits, 0 * weights)) == 0 and not nothing.any()


@pytest.mark.backend
@pytest.mark.parametrize("kind", PIXEL.values(), ids=PIXEL)
def test_what_a_reduction_makes_of_the_weights(kind):
    labels, logits, weights = batch(1)
    weights = weights.astype(np.float32)
    pixels = keras.ops.convert_to_numpy(kind(reduction=None)(labels, logits))
    assert pixels.shape == labels.shape
    weighted = keras.ops.convert_to_numpy(kind(reduction=None)(labels, logits, weights))
    np.testing.assert_allclose(weighted, weights * pixels, rtol=1e-6)
    expected = {
        "sum_over_batch_size": (weights * pixels).mean(),
        "mean_with_sample_weight": (weights * pixels).sum() / weights.sum(),
        "sum": (weights * pixels).sum(),
    }
    for reduction, value in expected.items():
        assert float(kind(reduction=reduction)(labels, logits, weights)) == pytest.approx(value, rel=1e-5)
        assert float(kind(reduction=reduction)(labels, logits, weights[..., None])) == pytest.approx(value, rel=1e-5)


@pytest.mark.backend
def test_the_step_grows_with_the_weights_or_not_at_all():
    """Chapter 09: weights 3 times as large make each step of SGD 3 times as long, unless their sum is divided out."""
    labels, logits, weights = batch(2)
    weights = weights.astype(np.float32)
    growth = {"sum_over_batch_size": 3, "mean_with_sample_weight": 1, "sum": 3}
    for reduction, factor in growth.items():
        loss = losses.CrossEntropy(reduction=reduction)
        step = gradient(loss, labels, logits, weights)
        np.testing.assert_allclose(gradient(loss, labels, logits, 3 * weights), factor * step, rtol=1e-3, atol=1e-6)
    mean = gradient(losses.cross_entropy, labels, logits, weights)
    divided = gradient(losses.CrossEntropy(reduction="mean_with_sample_weight"), labels, logits, weights)
    np.testing.assert_allclose(divided * weights.mean(), mean, rtol=1e-3, atol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("kind", REGION.values(), ids=REGION)
def test_only_ratios_of_weights_matter_to_regions(kind, pooled):
    labels, logits, weights = batch(1)
    weights = weights.astype(np.float32)
    loss = kind(pooled=pooled, smooth=0)
    value = float(loss(labels, logits, weights))
    assert float(loss(labels, logits, 7 * weights)) == pytest.approx(value, rel=1e-5)
    assert float(loss(labels, logits)) == pytest.approx(float(loss(labels, logits, 0 * weights + 4)), rel=1e-5)
    assert float(loss(labels, logits)) != pytest.approx(value, rel=1e-3)


@pytest.mark.backend
def test_a_weight_of_2_is_a_pixel_seen_twice():
    labels, logits, _ = batch(1)
    weights = np.ones(labels.shape, np.float32)
    weights[:, :, 1] = 2
    again = np.repeat(np.arange(4), [1, 2, 1, 1])
    for kind in REGION.values():
        twice = float(kind()(labels[:, :, again], logits[:, :, again]))
        assert float(kind()(labels, logits, weights)) == pytest.approx(twice, rel=1e-5)


# ----- in Keras


def small_model(channels, loss):
    keras.utils.set_random_seed(3)
    images = keras.Input((None, None, 1))
    model = keras.Model(images, keras.layers.Conv2D(channels, 3, padding="same")(images))
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


SAVED = {
    "cross_entropy": (2, losses.cross_entropy),
    "reduction": (2, losses.CrossEntropy(reduction="mean_with_sample_weight")),
    "binary_cross_entropy": (1, losses.binary_cross_entropy),
    "focal": (3, losses.Focal(gamma=1.5, alpha=0.7)),
    "dice": (1, losses.dice),
    "dice with options": (3, losses.Dice(pooled=True, smooth=0.5, reduction="sum")),
    "v_net_dice": (1, losses.VNetDice(smooth=0)),
    "tversky": (1, losses.Tversky(alpha=0.1, beta=0.9, pooled=True)),
    "bce_dice": (1, losses.BCEDice(pooled=True)),
}


@pytest.mark.backend
@pytest.mark.parametrize(("channels", "loss"), SAVED.values(), ids=SAVED)
def test_fit_evaluate_and_a_saved_model_without_custom_objects(tmp_path, channels, loss):
    labels, logits, weights = batch(channels)
    images, weights = logits[..., :1], weights.astype(np.float32)
    model = small_model(channels, loss)
    expected = float(loss(labels, model.predict_on_batch(images), weights))
    assert model.fit(images, labels, sample_weight=weights, verbose=0).history["loss"] == pytest.approx(
        [expected], rel=1e-5
    )
    keras.saving.save_model(model, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(loss) and loaded.loss.get_config() == loss.get_config()
    value = model.evaluate(images, labels, sample_weight=weights, verbose=0)
    assert value < expected
    assert loaded.evaluate(images, labels, sample_weight=weights, verbose=0) == pytest.approx(value, rel=1e-5)


@pytest.mark.backend
def test_one_loss_for_each_head():
    labels, logits, _ = batch(1)
    images = keras.Input((4, 4, 1))
    heads = {name: keras.layers.Conv2D(1, 1, name=name)(images) for name in ("L1", "L2")}
    model = keras.Model(images, heads)
    model.compile("sgd", {"L1": losses.bce_dice, "L2": losses.Tversky(pooled=True)})
    outputs = model.predict_on_batch(logits)
    expected = losses.bce_dice(labels, outputs["L1"]) + losses.Tversky(pooled=True)(labels, outputs["L2"])
    targets = dict.fromkeys(heads, labels)
    assert model.evaluate(logits, targets, verbose=0, return_dict=True)["loss"] == pytest.approx(
        float(expected), rel=1e-5
    )


@pytest.mark.backend
def test_half_precision_logits_are_summed_in_float32():
    labels = np.ones((1, 300, 300), np.int32)
    logits = keras.ops.cast(np.full((1, 300, 300, 1), LN3), "float16")
    assert float(losses.Dice(smooth=0)(labels, logits)) == pytest.approx(1 - 2 * 0.75 / 1.75, rel=1e-3)


# ----- bad input


@pytest.mark.backend
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("bad", [-1, 3, 255])
def test_labels_that_are_no_class_raise_from_numpy_and_are_nan_once_compiled(channels, bad):
    logits = np.zeros((1, 4, 4, channels), np.float32)
    labels = 0 * TRUTH
    labels[0, 1, 2] = bad
    has = rf"{channels} channel\(s\) have classes 0 to {max(channels, 2) - 1}"
    message = rf"labels from {min(bad, 0)} to {max(bad, 0)}, but {has}: see labels.as_labels"
    ours = [losses.dice, losses.focal, losses.bce_dice, losses.v_net_dice, losses.tversky]
    for loss in [*ours, losses.binary_cross_entropy if channels == 1 else losses.cross_entropy]:
        with pytest.raises(ValueError, match=message):
            loss(labels, logits)
        assert np.isnan(float(loss(keras.ops.convert_to_tensor(labels), logits)))
    model = small_model(channels, losses.focal)
    assert np.isnan(model.evaluate(logits[..., :1], labels, verbose=0))


BAD = {
    "float labels": (
        TRUTH * 1.0,
        LOGITS,
        None,
        TypeError,
        r"labels must be integers, not float\d+: .*\(mask > 0.5\).astype\(int\)",
    ),
    "boolean labels": (TRUTH > 0, LOGITS, None, TypeError, "labels must be integers, not bool: take class indices"),
    "logits without channels": (
        TRUTH,
        LOGITS[..., 0],
        None,
        ValueError,
        r"logits must be \(N, H, W, C\), not \(1, 4, 4\)",
    ),
    "labels of another size": (
        np.zeros((1, 6, 6), int),
        LOGITS,
        None,
        ValueError,
        r"labels of shape \(1, 6, 6\) do not match logits of shape \(1, 4, 4, 1\): .* by training.center_crop",
    ),
    "one label an image": (np.zeros(1, int), LOGITS, None, ValueError, r"labels of shape \(1,\) do not match"),
    "one-hot labels": (
        np.zeros((1, 4, 4, 2), int),
        two_channels(LOGITS),
        None,
        ValueError,
        r"labels of shape \(1, 4, 4, 2\) do not match .*: give one a pixel, \(N, H, W\)",
    ),
    "one weight an image": (TRUTH, LOGITS, np.ones(1), ValueError, r"weights of shape \(1,\) do not match logits"),
    "weights of another size": (TRUTH, LOGITS, np.ones((1, 4, 5)), ValueError, r"weights of shape \(1, 4, 5\) do not"),
    "negative weights": (TRUTH, LOGITS, -np.ones((1, 4, 4)), ValueError, r"weights must be at least 0, and one is -1"),
}


@pytest.mark.backend
@pytest.mark.parametrize(("labels", "logits", "weights", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_arrays_are_refused_with_the_fix(labels, logits, weights, kind, message):
    for loss in (losses.focal, losses.dice):
        with pytest.raises(kind, match=message):
            loss(labels, logits, weights)


def test_fit_says_what_does_not_match():
    labels, logits, _ = batch(1)
    model = small_model(1, losses.dice)
    with pytest.raises(ValueError, match=r"labels of shape \(None, 3, 4\) do not match logits"):
        model.fit(logits, labels[:, 1:], verbose=0)
    with pytest.raises(ValueError, match=r"weights of shape \(None,\) do not match logits"):
        model.fit(logits, labels, sample_weight=np.ones(2), verbose=0)


def test_the_wrong_number_of_channels_and_options_out_of_range():
    with pytest.raises(ValueError, match=r"one channel has no soft-max: use losses.binary_cross_entropy"):
        losses.cross_entropy(TRUTH, LOGITS)
    with pytest.raises(ValueError, match=r"2 channels are no binary task: use losses.cross_entropy"):
        losses.binary_cross_entropy(TRUTH, two_channels(LOGITS))
    for options in ({"gamma": -1}, {"alpha": 0}, {"alpha": 1.5}):
        with pytest.raises(ValueError, match=r"gamma must be at least 0 and alpha None or in \(0, 1\)"):
            losses.Focal(**options)
    with pytest.raises(ValueError, match="smooth must be a number of pixels of at least 0, not -1"):
        losses.Dice(smooth=-1)
    for option in ("alpha", "beta"):
        with pytest.raises(ValueError, match=f"{option} must be a number of at least 0, not -1"):
            losses.Tversky(**{option: -1})
    with pytest.raises(TypeError, match="positional argument"):
        losses.Dice(TRUTH, LOGITS)
