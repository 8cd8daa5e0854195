"""Losses on logits, for ``compile(loss=...)`` and ``training.fit``, or called by hand on one batch.

As in Keras, ``losses.dice`` is the loss with its defaults and ``losses.Dice(pooled=True)`` one with options (write the
parentheses); called on a batch, ``losses.dice(labels, logits, sample_weight=None)``, each is a number. All are
registered: a saved model keeps loss and options, and loads once this module is imported.

Shapes: labels are integers (N, H, W) or (N, H, W, 1), logits (N, H, W, C). One channel is a sigmoid and labels are 0 or
1; two and more are a soft-max over classes 0 (background) to C - 1. Weights, at least 0, are shaped like the labels.

Pixel losses (cross-entropies, focal) multiply the loss of each pixel by its weight. Keras then takes the mean over all
pixels: twice the weights are twice the gradient, and with SGD twice the step. ``reduction="mean_with_sample_weight"``
divides by the sum of the weights instead, ``"sum"`` by nothing, and ``None`` returns the pixels, (N, H, W).
Region losses (Dice family) count a pixel as often as its weight says, so that only ratios of weights matter. They are
taken per image and averaged over images (``None`` returns these, (N,)), or over the whole batch with ``pooled=True``.

A NaN in logits or weights, or a label that is no class, makes the loss NaN, also where the weight is 0: compiled code
cannot raise. Labels and weights in NumPy arrays are checked, and raise ``ValueError``, as other shapes do; floats as
labels raise ``TypeError``.
"""

import keras
import numpy as np
from keras import ops

from unetbook import checks

_register = keras.saving.register_keras_serializable("unetbook.losses")


class _Loss(keras.losses.Loss):
    """A Keras loss whose options are attributes and part of its configuration."""

    def __init__(self, *, reduction="sum_over_batch_size", name=None, **options):
        super().__init__(name=name, reduction=reduction)
        self._options = options
        self.__dict__.update(options)

    def get_config(self):  # what a saved model keeps
        return {**super().get_config(), **self._options}


class _PixelLoss(_Loss):
    """``call`` returns the loss of each pixel, (N, H, W), which Keras multiplies by the weights and averages."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(*_checked(y_true, y_pred, sample_weight))


class _RegionLoss(_Loss):
    """1 - part / whole of sums over the pixels, ``_sums``, for each foreground class; ``call`` averages over classes.

    pooled: sum over the batch before dividing, not over each image. smooth: pixels added to part and whole. Thanks to
    it the loss of an image without foreground falls to 0 as the prediction vanishes; with ``smooth=0`` it stays at 1,
    its gradient 0, until the prediction is exactly empty. Two empty masks have loss 0 either way.
    """

    def __init__(self, *, pooled=False, smooth=1.0, **options):
        checks.amount(smooth, "smooth", unit="pixels")
        super().__init__(pooled=pooled, smooth=smooth, **options)

    def __call__(self, y_true, y_pred, sample_weight=None):
        labels, logits, weights = _checked(y_true, y_pred, sample_weight)
        # Weights belong in the sums: Keras would multiply the finished score of each image by them.
        return super().__call__((labels, ops.ones_like(labels) if weights is None else weights), logits)

    def call(self, y_true, y_pred):
        labels, weights = y_true
        truth = _one_hot(labels, y_pred)[..., 1:]  # (N, H, W, foreground classes)
        found = ops.sigmoid(y_pred) if y_pred.shape[-1] == 1 else ops.softmax(y_pred)[..., 1:]
        part, whole = self._sums(truth, found, lambda values: self._total(values, weights))
        # 1 - (part + smooth) / (whole + smooth), and 0 where that would be 1 - 0 / 0
        return ops.mean(ops.divide_no_nan(whole - part, whole + self.smooth), axis=-1)

    def _total(self, values, weights):
        """Weighted sum of (N, H, W, K) over the pixels of each image, (N, K), or of the batch, (1, K)."""
        sums = ops.sum(weights[..., None] * values, axis=(1, 2))
        return ops.sum(sums, axis=0, keepdims=True) if self.pooled else sums


@_register
class CrossEntropy(_PixelLoss):
    """Soft-max cross-entropy, - w log p_l: p_l is the probability of the pixel's true class l, w its weight.

    The energy of Ronneberger et al. 2015, eq. 1, which is printed without the minus sign; the paper sums over pixels.
    For two and more channels.
    """

    def call(self, y_true, y_pred):
        """Labels (N, H, W) and logits (N, H, W, C) to - log p_l, (N, H, W)."""
        if y_pred.shape[-1] == 1:
            raise ValueError("one channel has no soft-max: use losses.binary_cross_entropy, or two classes")
        return _energy(y_true, y_pred)


@_register
class BinaryCrossEntropy(_PixelLoss):
    """- w (g log p + (1 - g) log(1 - p)): p is the sigmoid of the one channel, g the label, w the weight.

    Keras' ``BinaryCrossentropy`` first takes the mean over the last axis, so that weights of pixels no longer fit.
    """

    def call(self, y_true, y_pred):
        """Labels (N, H, W) and logits (N, H, W, 1) to the loss of each pixel, (N, H, W)."""
        if y_pred.shape[-1] != 1:
            raise ValueError(f"{y_pred.shape[-1]} channels are no binary task: use losses.cross_entropy")
        return _energy(y_true, y_pred)


@_register
class Focal(_PixelLoss):
    """- w (1 - p_l)^gamma log p_l: cross-entropy in which pixels count less that are already classified well.

    gamma: at least 0, where 0 is cross-entropy. alpha: in (0, 1), a further factor on foreground pixels (label above
    0), 1 - alpha on background; ``None`` for neither. Lin et al. 2017, arXiv 1708.02002, eq. 4 and 5, where there is
    one channel; with more, p_l is the soft-max at the true class.
    """

    def __init__(self, *, gamma=2.0, alpha=None, **options):
        if gamma < 0 or not (alpha is None or 0 < alpha < 1):
            raise ValueError(f"gamma must be at least 0 and alpha None or in (0, 1), not {gamma} and {alpha}")
        super().__init__(gamma=gamma, alpha=alpha, **options)

    def call(self, y_true, y_pred):
        """Labels (N, H, W) and logits (N, H, W, C) to the loss of each pixel, (N, H, W)."""
        log_odds = _log_odds(y_true, y_pred)
        easy = ops.exp(-self.gamma * ops.softplus(log_odds))  # (1 - p)^gamma, with a finite gradient at p = 1 too
        balance = 1.0 if self.alpha is None else ops.where(y_true > 0, self.alpha, 1 - self.alpha)
        return balance * easy * ops.softplus(-log_odds)


@_register
class Dice(_RegionLoss):
    """1 - 2 sum(p g) / (sum p + sum g): p is the probability, g the truth (0 or 1) of the foreground.

    pooled, smooth: see the module and ``_RegionLoss``. With more than two classes, the mean over classes 1 to C - 1,
    each with its own sums; class 0, the background, is left out.
    """

    def _sums(self, truth, found, total):
        return 2 * total(found * truth), total(found) + total(truth)


@_register
class VNetDice(_RegionLoss):
    """1 - 2 sum(p g) / (sum p^2 + sum g^2): the denominator squared. Classes and options as in ``Dice``.

    Milletari et al. 2016 (V-Net), arXiv 1606.04797, where ``smooth`` is 0.
    """

    def _sums(self, truth, found, total):
        return 2 * total(found * truth), total(found**2) + total(truth**2)


@_register
class Tversky(_RegionLoss):
    """1 - TP / (TP + alpha FP + beta FN): TP = sum(p g), FP = sum(p (1 - g)), FN = sum((1 - p) g).

    alpha: the price of a false positive; beta: of a false negative. Classes and other options as in ``Dice``, which
    it equals where both are 0.5: for that, part and whole are doubled before ``smooth`` is added. Salehi et al. 2017,
    arXiv 1706.05721.
    """

    def __init__(self, *, alpha=0.3, beta=0.7, **options):
        checks.amount(alpha, "alpha")
        checks.amount(beta, "beta")
        super().__init__(alpha=alpha, beta=beta, **options)

    def _sums(self, truth, found, total):
        hit, extra, missed = total(found * truth), total(found * (1 - truth)), total((1 - found) * truth)
        return 2 * hit, 2 * (hit + self.alpha * extra + self.beta * missed)


@_register
class BCEDice(Dice):
    """0.5 BCE + 1 - Dice, with the weighted mean of the binary cross-entropy; at least 0. Options as in ``Dice``.

    The loss 0.5 BCE - Dice of a nucleus notebook for the Data Science Bowl 2018, and 1 more, which changes no gradient.
    With more channels than one, soft-max cross-entropy takes the place of BCE.
    """

    def call(self, y_true, y_pred):
        """(Labels, weights) and logits (N, H, W, C) to one loss an image, (N,), or for the batch, (1,)."""
        labels, weights = y_true
        energy = self._total(_energy(labels, y_pred)[..., None], weights)
        mean = ops.divide_no_nan(energy, self._total(ops.ones_like(labels)[..., None], weights))
        return 0.5 * mean[..., 0] + super().call(y_true, y_pred)


cross_entropy = CrossEntropy()
binary_cross_entropy = BinaryCrossEntropy()
focal = Focal()
dice = Dice()
v_net_dice = VNetDice()
tversky = Tversky()
bce_dice = BCEDice()


def takes_classes(loss) -> bool:
    """Whether a loss is one of this module, on labels 0 to C - 1 and logits."""
    return isinstance(loss, _Loss)


def _energy(labels, logits):
    """- log p of each pixel's true class, (N, H, W), without the logarithm of 0: softplus(x) = log(1 + exp x)."""
    return ops.softplus(-_log_odds(labels, logits))


def _log_odds(labels, logits):
    """log(p / (1 - p)) of each pixel's true class, (N, H, W): p is the sigmoid, or the soft-max, of the logits."""
    truth = _one_hot(labels, logits)
    if logits.shape[-1] == 1:
        return (2 * truth[..., 1] - 1) * logits[..., 0]
    others = ops.where(truth > 0, -float("inf"), logits)
    return ops.sum(truth * logits, axis=-1) - ops.logsumexp(others, axis=-1)


def _one_hot(labels, logits):
    """The true class of each pixel in 0 and 1, (N, H, W, classes); NaN where the label is no class."""
    truth = ops.cast(labels[..., None] == ops.arange(_classes(logits), dtype=labels.dtype), labels.dtype)
    return ops.where(ops.any(truth > 0, axis=-1, keepdims=True), truth, float("nan"))


def _classes(logits):
    return max(logits.shape[-1], 2)


def _checked(labels, logits, weights):
    """Labels and weights (or ``None``) as (N, H, W), logits (N, H, W, C); an error names what does not fit."""
    low, high = (labels.min(initial=0), labels.max(initial=0)) if isinstance(labels, np.ndarray) else (0, 0)
    if isinstance(weights, np.ndarray) and weights.min(initial=0) < 0:
        raise ValueError(f"weights must be at least 0, and one is {weights.min()}: 0 leaves a pixel out")
    labels, logits = ops.convert_to_tensor(labels), ops.convert_to_tensor(logits)
    checks.shaped(logits, "(N, H, W, C)", "logits", empty=True)
    checks.integers(keras.backend.standardize_dtype(labels.dtype), "labels")
    if low < 0 or high >= _classes(logits):
        raise ValueError(
            f"labels from {low} to {high}, but {logits.shape[-1]} channel(s) have classes 0 to {_classes(logits) - 1}: "
            "see labels.as_labels; pixels that nobody annotated take any class, and weight 0"
        )
    labels = checks.plane(labels, logits, "labels")
    return labels, logits, None if weights is None else checks.plane(ops.convert_to_tensor(weights), logits, "weights")
