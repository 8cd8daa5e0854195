"""Scores that compare objects with objects: matched, missed, extra, merged and split.

Objects of one label image do not overlap, so an IoU above 1/2 makes a match unique and no assignment problem arises:
the shared pixels are then more than half of the true object, and two predicted objects cannot both have more than half.
"""

from typing import NamedTuple

import numpy as np

from unetbook import checks
from unetbook.scores.pixels import ONE_IMAGE

DSB_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
_LARGEST_TABLE = 2**20  # pairs; 8 MB


class ObjectScores(NamedTuple):
    """Counts of objects, with precision, recall and F = 2 matched / (2 matched + missed + extra)."""

    matched: int
    missed: int
    extra: int
    precision: float
    recall: float
    f: float


class ObjectErrors(NamedTuple):
    """What went wrong: true objects merged, split and missed, and predicted objects that are extra."""

    merged: int
    split: int
    missed: int
    extra: int


def objects(truth, predicted, threshold=0.5) -> ObjectScores:
    """Match predicted to true objects where their IoU is greater than ``threshold``, and count.

    truth, predicted: integer labels (H, W) of the same shape, 0 = background, any numbering. Two empty pictures
    score 1, an empty one against objects 0. Objects do not overlap, so from a threshold of 0.5 on an object
    has at most one partner and no assignment problem arises; a lower threshold raises ``ValueError``, as do
    other shapes and dtypes.
    """
    if np.ndim(threshold):
        raise ValueError(f"objects takes one threshold, not {threshold}: average_precision takes several")
    pairs = _overlaps(truth, predicted)
    matched = int(np.count_nonzero(pairs.iou > _checked(threshold)))
    missed, extra = (int(count) - matched for count in pairs.counts)
    if not missed and not extra:
        return ObjectScores(matched, 0, 0, 1.0, 1.0, 1.0)
    precision = matched / (matched + extra) if matched + extra else 0.0
    recall = matched / (matched + missed) if matched + missed else 0.0
    return ObjectScores(matched, missed, extra, precision, recall, 2 * matched / (2 * matched + missed + extra))


def average_precision(truth, predicted, thresholds=DSB_THRESHOLDS) -> np.ndarray:
    """Matched / (matched + missed + extra) at each threshold, with objects matched where IoU > threshold.

    truth, predicted: as in ``objects``; thresholds: numbers in [0.5, 1), by default 0.50, 0.55, ..., 0.95. Returns
    float64 of their shape; two empty pictures score 1. This is what the Data Science Bowl 2018 calls average
    precision (Caicedo et al. 2019), not the area under a curve. An IoU of exactly the threshold is no match there;
    StarDist and Cellpose count it. Raises ``ValueError`` as ``objects`` does.
    """
    pairs = _overlaps(truth, predicted)
    matched = np.count_nonzero(pairs.iou > _checked(thresholds)[..., None], axis=-1)
    every = sum(pairs.counts) - matched
    return np.divide(matched, every, out=np.ones(matched.shape), where=every > 0)


def dsb_score(truths, predictions) -> float:
    """The score of the Data Science Bowl 2018: ``average_precision`` meant over ten thresholds, then over images.

    truths, predictions: as many label images (H, W) each, of any sizes, or stacks (N, H, W). An image with one
    nucleus counts as much as one with a hundred. Raises ``ValueError`` for no image, for different numbers of
    images, and as ``objects`` does.
    """
    for images in (truths, predictions):
        if isinstance(images, np.ndarray):
            checks.no_channel(images)
    truths, predictions = list(truths), list(predictions)  # generators too
    if len(truths) != len(predictions) or len(truths) == 0:
        raise ValueError(f"{len(truths)} truths and {len(predictions)} predictions: give one of each for every image")
    return float(np.mean([average_precision(t, p).mean() for t, p in zip(truths, predictions, strict=True)]))


def object_errors(truth, predicted) -> ObjectErrors:
    """Count true objects that are merged, split or missed, and predicted objects that are extra.

    An object lies in another when more than half of its pixels do; the two are then related.

    - ``merged``: true objects that lie in one predicted object together with other true objects;
    - ``split``: true objects in which two or more predicted objects lie, however small;
    - ``missed``: true objects related to no predicted object; ``extra``: predicted ones related to no true object.

    A true object can be merged and split at once. How well outlines fit is not judged (``objects`` does that): one
    true object in a predicted one of twice its size is no error here. truth, predicted and errors as in ``objects``.
    The rule is ours; papers count merges and splits in different ways.
    """
    pairs = _overlaps(truth, predicted)
    true_lies_in = 2 * pairs.shared > pairs.true_sizes[pairs.true]
    predicted_lies_in = 2 * pairs.shared > pairs.predicted_sizes[pairs.predicted]
    inhabitants = np.bincount(pairs.predicted[true_lies_in])  # true objects in each predicted one
    pieces = np.bincount(pairs.true[predicted_lies_in])  # predicted objects in each true one
    related = true_lies_in | predicted_lies_in
    true_count, predicted_count = pairs.counts
    return ObjectErrors(
        merged=int(inhabitants[inhabitants > 1].sum()),
        split=int(np.count_nonzero(pieces > 1)),
        missed=int(true_count) - len(np.unique(pairs.true[related])),
        extra=int(predicted_count) - len(np.unique(pairs.predicted[related])),
    )


def seg(truth, predicted) -> float:
    """SEG of the Cell Tracking Challenge: the mean IoU of true objects with the predicted ones that cover them.

    A true object is compared with the predicted object that holds more than half of its pixels; without one it counts
    0. What is extra costs nothing, and two merged objects share one partner. Without a true object there is nothing to
    miss, 1. The challenge takes the mean over the objects of all images. truth, predicted and errors as in ``objects``.
    Ulman et al. 2017, Nature Methods.
    """
    pairs = _overlaps(truth, predicted)
    covered = 2 * pairs.shared > pairs.true_sizes[pairs.true]
    count, _ = pairs.counts
    return float(pairs.iou[covered].sum() / count) if count else 1.0


class _Overlaps(NamedTuple):
    """Pairs of objects that share pixels, and the objects' own pixels by number (0 where a number is not used)."""

    true: np.ndarray
    predicted: np.ndarray
    shared: np.ndarray
    true_sizes: np.ndarray
    predicted_sizes: np.ndarray

    @property
    def iou(self):
        """IoU of each pair: whole numbers divided once, so it is the float next to the exact value."""
        return self.shared / (self.true_sizes[self.true] + self.predicted_sizes[self.predicted] - self.shared)

    @property
    def counts(self):
        """How many true and how many predicted objects there are."""
        return np.count_nonzero(self.true_sizes), np.count_nonzero(self.predicted_sizes)


def _overlaps(truth, predicted) -> _Overlaps:
    """Count the pixels of each pair of labels in one pass, instead of comparing each object with each other one.

    Labels change rarely along a row, so not each pixel votes for its pair but each run of equal pairs, with its
    length. Pairs that never meet do not appear.
    """
    both = checks.same_shape(truth, predicted)
    truth, predicted = (checks.label_image(labels, fix=ONE_IMAGE).ravel() for labels in both)
    new = np.ones(truth.size + 1, bool)  # where a run begins, and the end of the last one
    np.not_equal(truth[1:], truth[:-1], out=new[1:-1])
    new[1:-1] |= predicted[1:] != predicted[:-1]
    starts = _places(new)
    lengths = np.diff(starts)
    truth, predicted = truth[starts[:-1]], predicted[starts[:-1]]
    checks.label_range(min(truth.min(initial=0), predicted.min(initial=0)), 0)

    if (int(truth.max(initial=0)) + 1) * (int(predicted.max(initial=0)) + 1) <= _LARGEST_TABLE:
        columns = int(predicted.max(initial=0)) + 1
        table = np.bincount(truth.astype(np.int64) * columns + predicted.astype(np.int64), lengths)
        pair = np.flatnonzero(table > 0)
        shared = table[pair]
    else:  # many objects or large numbers: a sorted list instead of a table
        truth, predicted = _renumbered(truth), _renumbered(predicted)
        columns = predicted.max() + 1
        pair, which = np.unique(truth * columns + predicted, return_inverse=True)
        shared = np.bincount(which, lengths)
    true, found = pair // columns, pair % columns
    true_sizes, predicted_sizes = np.bincount(true, shared), np.bincount(found, shared)
    true_sizes[:1] = predicted_sizes[:1] = 0  # the background is no object
    both = (true > 0) & (found > 0)
    return _Overlaps(true[both], found[both], shared[both], true_sizes, predicted_sizes)


def _places(flags):
    """``np.flatnonzero(flags)``, faster where few are set: first the bytes of eight flags, then the bits in them."""
    packed = np.packbits(flags)
    some = np.flatnonzero(packed > 0)
    bits = np.flatnonzero(np.unpackbits(packed[some]).view(bool))
    return 8 * some[bits >> 3] + (bits & 7)


def _renumbered(labels):
    """Labels as 1 to n, background 0."""
    names, index = np.unique(labels, return_inverse=True)
    return index + (names[0] > 0)


def _checked(thresholds):
    """Thresholds to six decimals: the 0.6000000000000001 of ``np.arange`` means 0.6."""
    rounded = np.round(np.asarray(thresholds, float), 6)
    if not ((rounded >= 0.5) & (rounded < 1)).all():
        raise ValueError(f"threshold must lie in [0.5, 1), not {thresholds}: below it a match is not unique")
    return rounded
