"""Pixel metrics for ``training.fit`` and ``compile(weighted_metrics=...)``: IoU, Dice and pixel error.

They take what losses take: integer labels (N, H, W) or (N, H, W, 1) and logits (N, H, W, C). With one channel,
foreground is predicted where the sigmoid is at least 0.5, with more, the class of the largest logit. Counts are
*pooled* over all pixels since the last reset (in ``fit``, of an epoch), so that large objects rule: means over images,
and scores of objects, are in ``unetbook.scores``.

Pixels of weight 0 (not annotated) are left out. All others count the same, whatever their weight: a weight map is for
the loss, and scores with and without one remain comparable. Keras gives weights to ``weighted_metrics`` only, not to
``metrics``. Where a logit is NaN, a label no class, or a weight NaN or negative, the result is NaN: compiled code
cannot raise. Other shapes raise ``ValueError``. All are registered: a saved model keeps its metrics, and loads once
this module is imported.
"""

import keras
from keras import ops

from unetbook import checks

_register = keras.saving.register_keras_serializable("unetbook.metrics")


class _PixelMetric(keras.metrics.Metric):
    """Counts of pixels by class: in truth and prediction both, in the truth, in the prediction."""

    def __init__(self, classes=2, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        checks.whole(classes, "classes", 1, "give the network's channels")
        self.classes, self._distinct = classes, max(classes, 2)  # one channel tells two classes apart
        self.both, self.true, self.predicted = (
            self.add_variable(shape=(self._distinct,), initializer="zeros", name=counts)
            for counts in ("both", "true", "predicted")
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Count a batch: labels (N, H, W), logits (N, H, W, C) and, if there are any, weights (N, H, W)."""
        logits = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if len(logits.shape) != 4 or max(logits.shape[-1], 2) != self._distinct:
            raise ValueError(
                f"logits of shape {tuple(logits.shape)} are not (N, H, W, C) with classes={self.classes}: give the "
                "network's channels to the metric, as in metrics.IoU(classes=3)"
            )
        labels = checks.plane(ops.convert_to_tensor(y_true, dtype=self.dtype), logits, "labels")
        found = logits[..., 0] >= 0 if logits.shape[-1] == 1 else ops.argmax(logits, axis=-1)
        found = ops.where(ops.any(ops.isnan(logits), axis=-1), float("nan"), ops.cast(found, self.dtype))
        true, predicted = self._one_hot(labels), self._one_hot(found)
        if sample_weight is not None:
            weights = checks.plane(ops.convert_to_tensor(sample_weight, dtype=self.dtype), logits, "weights")
            absent = ops.where(weights == 0, 0.0, float("nan"))[..., None]  # NaN: the weight is negative or NaN
            true, predicted = (ops.where(weights[..., None] > 0, one, absent) for one in (true, predicted))
        for counts, pixels in ((self.both, true * predicted), (self.true, true), (self.predicted, predicted)):
            counts.assign(counts + ops.sum(pixels, axis=(0, 1, 2)))

    def _one_hot(self, values):
        """(N, H, W) to 0 and 1, (N, H, W, classes); NaN where the value is no class."""
        one = ops.cast(values[..., None] == ops.arange(self._distinct, dtype=self.dtype), self.dtype)
        return ops.where(ops.any(one > 0, axis=-1, keepdims=True), one, float("nan"))

    def get_config(self):
        """Name, dtype and classes."""
        return {**super().get_config(), "classes": self.classes}


class _Overlap(_PixelMetric):
    """part / whole for each foreground class, ``_sums``; the mean over those that occur, or 1 where none does."""

    def result(self):
        """The score of all pixels since the last reset, in [0, 1]."""
        part, whole = (sums[1:] for sums in self._sums())
        occurs = whole != 0  # true for NaN
        mean = ops.sum(ops.divide_no_nan(part, whole)) / ops.maximum(ops.sum(ops.cast(occurs, self.dtype)), 1.0)
        return ops.where(ops.any(occurs), mean, 1.0)


@_register
class IoU(_Overlap):
    """IoU (Jaccard index), |A and B| / |A or B|: A the true, B the predicted foreground, pooled over pixels; in [0, 1].

    classes: the network's channels (1 or 2: foreground against background). With more, the mean over the foreground
    classes 1 to C - 1 that occur in truth or prediction. Nothing true and nothing predicted is 1.
    """

    def __init__(self, classes=2, name="iou", dtype=None):
        super().__init__(classes, name, dtype)

    def _sums(self):
        return self.both, self.true + self.predicted - self.both


@_register
class Dice(_Overlap):
    """Dice, 2 |A and B| / (|A| + |B|): for one class 2 IoU / (1 + IoU). All else as in ``IoU``."""

    def __init__(self, classes=2, name="dice", dtype=None):
        super().__init__(classes, name, dtype)

    def _sums(self):
        return 2 * self.both, self.true + self.predicted


@_register
class PixelError(_PixelMetric):
    """The share of pixels whose class is wrong, 1 - accuracy, background included; in [0, 1], 0 without any pixel.

    The 'pixel error' of the ISBI 2012 challenge is another one: 1 - the maximal F-score.
    """

    def __init__(self, classes=2, name="pixel_error", dtype=None):
        super().__init__(classes, name, dtype)

    def result(self):
        """The error of all pixels since the last reset."""
        pixels = ops.sum(self.true)
        return ops.divide_no_nan(pixels - ops.sum(self.both), pixels)
