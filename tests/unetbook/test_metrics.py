import keras
import numpy as np
import pytest

from unetbook import losses, metrics, scores

KINDS = {"iou": metrics.IoU, "dice": metrics.Dice, "pixel_error": metrics.PixelError}


def batches(channels, seed=0, classes=None):
    """Three batches of unlike size, as (labels, logits, weights)."""
    rng = np.random.default_rng(seed)
    for count in (3, 1, 2):
        labels = rng.integers(0, classes or max(channels, 2), (count, 5, 6))
        logits = rng.normal(size=(count, 5, 6, channels)).astype(np.float32)
        yield labels, logits, (rng.integers(0, 3, labels.shape) * 1.7).astype(np.float32)


def decided(logits):
    probability = 1 / (1 + np.exp(-logits[..., 0]))
    return (probability >= 0.5).astype(int) if logits.shape[-1] == 1 else logits.argmax(axis=-1)


def plain(kind, labels, predicted):
    """By sets of pixels, one class after another."""
    if kind is metrics.PixelError:
        return np.mean(labels != predicted)
    values = []
    for c in range(1, max(labels.max(), predicted.max(), 1) + 1):
        a, b = set(np.flatnonzero(labels == c)), set(np.flatnonzero(predicted == c))
        if a | b:
            values.append(len(a & b) / len(a | b) if kind is metrics.IoU else 2 * len(a & b) / (len(a) + len(b)))
    return np.mean(values) if values else 1.0


@pytest.mark.backend
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_pooled_over_batches_as_by_plain_loops(kind, channels, weighted):
    metric, seen = kind(channels), []
    for labels, logits, weights in batches(channels):
        result = metric(labels, logits, sample_weight=weights if weighted else None)
        kept = weights > 0 if weighted else np.ones(labels.shape, bool)
        seen.append((labels[kept], decided(logits)[kept]))
        assert float(result) == pytest.approx(plain(kind, *map(np.concatenate, zip(*seen, strict=True))), rel=1e-5)
    metric.reset_state()
    labels, logits, weights = next(batches(channels, seed=1))
    metric.update_state(labels[..., None].astype(np.uint8), logits, weights[..., None])
    kept = weights > 0
    assert float(metric.result()) == pytest.approx(plain(kind, labels[kept], decided(logits)[kept]), rel=1e-5)


@pytest.mark.backend
def test_by_hand_and_like_scores():
    truth = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 0]]])
    predicted = np.array([[[0, 1, 1, 0]], [[0, 0, 0, 1]]])
    logits = np.where(predicted, 2.0, -2.0)[..., None]
    found = {name: float(kind(1)(truth, logits)) for name, kind in KINDS.items()}
    assert found == pytest.approx({"iou": 1 / 4, "dice": 2 / 5, "pixel_error": 3 / 8})
    assert found["iou"] == pytest.approx(scores.iou(truth, predicted))
    assert found["dice"] == pytest.approx(scores.dice(truth, predicted))
    by_image = [scores.iou(*pair) for pair in zip(truth, predicted, strict=True)]
    assert np.mean(by_image) == pytest.approx((1 / 3 + 0) / 2)  # another number: pooled is no mean over images


@pytest.mark.backend
def test_the_threshold_is_one_half():
    for logit, expected in ((-1e-3, 0), (0.0, 1), (1e-3, 1)):
        assert float(metrics.IoU(1)(np.ones((1, 1, 1), int), np.full((1, 1, 1, 1), logit))) == expected


@pytest.mark.backend
def test_empty_against_empty_is_perfect_and_absent_classes_are_left_out():
    empty, background = np.zeros((1, 2, 2), int), np.tile([1.0, 0, 0], (1, 2, 2, 1))
    for kind in KINDS.values():
        perfect = 0 if kind is metrics.PixelError else 1
        assert float(kind(3).result()) == perfect  # before the first pixel
        assert float(kind(3)(empty, background)) == perfect
        assert float(kind(3)(empty, background[..., ::-1], 0 * empty)) == perfect  # nobody annotated anything
        assert float(kind(3)(empty, background[..., ::-1])) == 1 - perfect  # class 2 all over an empty picture
    metric = metrics.IoU(3)
    assert float(metric(empty + 1, background[..., [1, 0, 2]])) == 1  # class 2 occurs nowhere
    assert float(metric(empty + 2, background)) == 1 / 2  # now it does, and is missed


@pytest.mark.backend
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_in_fit_and_evaluate_and_in_a_saved_model(tmp_path, channels):
    parts = list(zip(*batches(channels), strict=True))
    labels, logits, weights = map(np.concatenate, parts)
    images = keras.Input((None, None, channels))
    model = keras.Model(images, keras.layers.Conv2D(channels, 1)(images))
    loss = losses.Tversky(pooled=True)
    model.compile(keras.optimizers.SGD(0.0), loss, weighted_metrics=[kind(channels) for kind in KINDS.values()])
    predicted, kept = decided(model.predict(logits, verbose=0)), weights > 0
    expected = {name: plain(kind, labels[kept], predicted[kept]) for name, kind in KINDS.items()}
    history = model.fit(logits, labels, sample_weight=weights, batch_size=4, epochs=2, verbose=0).history
    for name, value in expected.items():
        assert history[name] == pytest.approx([value, value], rel=1e-5)  # counts start again with each epoch
    keras.saving.save_model(model, tmp_path / "model.keras")
    for tested in (model, keras.saving.load_model(tmp_path / "model.keras")):
        found = tested.evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0, return_dict=True)
        assert {name: found[name] for name in KINDS} == pytest.approx(expected, rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_nan_and_labels_that_are_no_class_give_nan_unless_left_out(kind):
    for channels in (1, 3):
        labels, logits, weights = next(batches(channels))
        weights[0, 0, 0] = 0
        broken, odd = logits.copy(), labels.copy()
        broken[0, 0, 0, channels - 1] = np.nan
        odd[0, 0, 0] = 255
        expected = float(kind(channels)(labels, logits, weights))
        for pair in ((labels, broken), (odd, logits)):
            assert np.isnan(float(kind(channels)(*pair)))
            assert float(kind(channels)(*pair, weights)) == expected


@pytest.mark.backend
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("bad", [np.nan, -1])
def test_weights_that_mean_nothing_give_nan(kind, bad):
    labels, logits, weights = next(batches(3))
    weights[0, 0, 0] = bad
    assert np.isnan(float(kind(3)(labels, logits, weights)))


@pytest.mark.backend
def test_wrong_shapes_are_refused_with_the_fix():
    labels, logits, weights = next(batches(3))
    with pytest.raises(ValueError, match=r"\(3, 5, 6, 3\) are not \(N, H, W, C\) with classes=2: .*IoU\(classes=3\)"):
        metrics.IoU()(labels, logits)
    with pytest.raises(ValueError, match=r"logits of shape \(3, 5, 6\) are not \(N, H, W, C\)"):
        metrics.Dice()(labels, logits[..., 0])
    with pytest.raises(ValueError, match=r"labels of shape \(3, 4, 6\) do not match .* training.center_crop"):
        metrics.Dice(3)(labels[:, 1:], logits)
    with pytest.raises(ValueError, match=r"weights of shape \(3,\) do not match .*: give one a pixel"):
        metrics.PixelError(3)(labels, logits, weights[:, 0, 0])
    with pytest.raises(
        ValueError, match="classes must be a whole number of at least 1, not 0: give the network's channels"
    ):
        metrics.IoU(0)
