"""What a finished segmentation is worth: per pixel, per object, and for the membranes of electron microscopy.

NumPy arrays of whole images in, plain numbers out. Taught in chapters 01, 06 and 15.
"""

from typing import NamedTuple

import cv2
import numpy as np
from skimage.segmentation import watershed


class ObjectScores(NamedTuple):
    """Counts of objects, with precision, recall and F = 2 matched / (2 matched + missed + extra)."""

    matched: int
    missed: int
    extra: int
    precision: float
    recall: float
    f: float


def dice(truth, predicted) -> float:
    """Dice = 2 |A and B| / (|A| + |B|) of two binary masks of one shape, in [0, 1]; two empty masks score 1.

    Raises ``ValueError`` when shapes differ or a mask is not binary. Chapters 01 and 06.
    """
    truth, predicted = _masks(truth, predicted)
    return _ratio(2 * np.count_nonzero(truth & predicted), np.count_nonzero(truth) + np.count_nonzero(predicted))


def iou(truth, predicted) -> float:
    """IoU (Jaccard index) = |A and B| / |A or B| of two binary masks of one shape; two empty masks score 1.

    Raises ``ValueError`` when shapes differ or a mask is not binary. Chapters 01 and 06.
    """
    truth, predicted = _masks(truth, predicted)
    return _ratio(np.count_nonzero(truth & predicted), np.count_nonzero(truth | predicted))


def objects(truth, predicted, threshold=0.5) -> ObjectScores:
    """Match predicted to true objects where their IoU is greater than ``threshold``, and count.

    truth, predicted: integer labels of the same shape, 0 = background, any numbering. Two empty pictures
    score 1, an empty one against objects 0. Objects do not overlap, so from a threshold of 0.5 on an object
    has at most one partner and no assignment problem arises; a lower threshold raises ``ValueError``, as do
    other shapes and dtypes.

    All intersections come from one ``bincount``: label pairs are numbered, and each pixel votes for its pair.
    Chapters 01 and 06.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    _same_shape(truth, predicted)
    for labels in (truth, predicted):
        if not np.issubdtype(labels.dtype, np.integer) or (labels.size and labels.min() < 0):
            raise ValueError(f"labels must be integers of at least 0, not {labels.dtype} (first label the objects)")
    if not 0.5 <= threshold < 1:
        raise ValueError(f"threshold must lie in [0.5, 1), not {threshold}: below it a match is not unique")
    table, true_sizes, predicted_sizes = _intersections(truth, predicted)
    union = true_sizes[:, None] + predicted_sizes[None, :] - table
    matched = int(np.count_nonzero(table > threshold * union))
    missed, extra = len(true_sizes) - matched, len(predicted_sizes) - matched
    if not missed and not extra:
        return ObjectScores(matched, 0, 0, 1.0, 1.0, 1.0)
    precision = matched / len(predicted_sizes) if len(predicted_sizes) else 0.0
    recall = matched / len(true_sizes) if len(true_sizes) else 0.0
    return ObjectScores(matched, missed, extra, precision, recall, 2 * matched / (2 * matched + missed + extra))


def em_scores(truth, probability, threshold=0.5) -> dict[str, float]:
    """Score one slice of a membrane segmentation; 0 is perfect in every entry. Chapter 15.

    truth: (H, W), 1 inside a cell and 0 on membrane (boolean works), or instance labels with 0 on membrane;
    probability: (H, W), of the interior, in [0, 1]; pixels of at least ``threshold`` are predicted interior.
    Segments are 4-connected components of the interior. The first, second and last two entries count pixels
    of true interior only.

    - ``rand_thin``: adapted Rand error, 1 - 2 n_both / (n_true + n_predicted), where n counts pairs of pixels
      in one segment of both, of the truth, of the prediction. Predicted segments are first grown over the
      predicted membrane by a watershed on a flat landscape: each pixel goes to the segment that reaches it
      first. Width no longer counts.
    - ``rand_2012``: the same without growing; each pixel of predicted membrane is a segment of its own (a
      singleton), so it adds no predicted pair and misses its true ones.
    - ``pixel_error``: 1 - accuracy over all pixels.
    - ``f_interior_error``, ``f_membrane_error``: 1 - F (1 - Dice) of interior and of membrane, over all
      pixels.
    - ``vi_split``, ``vi_merge``: variation of information after growing, in bits: H(predicted | true), large
      when segments are split, and H(true | predicted), large when they are merged.

    Nothing to grow leaves singletons; no true interior scores 0 where it alone counts. The definitions follow
    Arganda-Carreras et al. 2015 (section on metrics), which takes the best threshold instead of a given one.
    Raises ``ValueError`` for other shapes, NaN or values outside [0, 1], or a truth that is not made of
    labels.
    """
    truth, probability = np.asarray(truth), np.asarray(probability)
    _same_shape(truth, probability)
    if truth.ndim != 2:
        raise ValueError(f"em_scores takes one slice (H, W), not {truth.shape}: score slice by slice, then average")
    if not (np.issubdtype(truth.dtype, np.integer) or truth.dtype == bool) or (truth.size and truth.min() < 0):
        raise ValueError(f"the truth must be boolean or labels of at least 0, not {truth.dtype}")
    if not np.logical_and(probability >= 0, probability <= 1).all():
        raise ValueError("the probability must lie in [0, 1] without NaN: use nets.probabilities on logits")
    interior, predicted = truth > 0, probability >= threshold
    true_segments = truth if truth.size and truth.max() > 1 else _segments(interior)
    segments = _segments(predicted)
    grown = watershed(np.zeros(segments.shape, np.uint8), segments) if segments.any() else segments
    thick = _contingency(true_segments[interior], segments[interior])
    thin = _contingency(true_segments[interior], grown[interior])
    vi_split, vi_merge = _variation_of_information(*thin)
    return {
        "rand_thin": _adapted_rand_error(*thin),
        "rand_2012": _adapted_rand_error(*thick),
        "pixel_error": float(np.mean(interior != predicted)) if truth.size else 0.0,
        "f_interior_error": 1 - dice(interior, predicted),
        "f_membrane_error": 1 - dice(~interior, ~predicted),
        "vi_split": vi_split,
        "vi_merge": vi_merge,
    }


def _segments(mask):
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]


def _contingency(truth, predicted):
    """Pixels of each pair of segments, of each true and of each predicted one; predicted 0 = singletons."""
    predicted = predicted.astype(np.int64)
    alone = predicted == 0
    predicted[alone] = predicted.max(initial=0) + 1 + np.arange(np.count_nonzero(alone))
    pairs = truth.astype(np.int64) * (predicted.max(initial=0) + 1) + predicted
    return tuple(np.unique(which, return_counts=True)[1].astype(float) for which in (pairs, truth, predicted))


def _adapted_rand_error(both, true, predicted):
    n_both, n_true, n_predicted = (np.sum(n * (n - 1)) for n in (both, true, predicted))
    return 1 - _ratio(2 * n_both, n_true + n_predicted)


def _variation_of_information(both, true, predicted):
    """H(predicted | true) and H(true | predicted) in bits."""
    joint, of_truth, of_predicted = (_entropy(n) for n in (both, true, predicted))
    return max(joint - of_truth, 0.0), max(joint - of_predicted, 0.0)  # rounding can leave -1e-16


def _entropy(counts):
    share = counts / max(counts.sum(), 1)
    return float(-np.sum(share * np.log2(share)))


def _intersections(truth, predicted):
    """Pixels shared by each true and predicted object, and the objects' own pixels, background left out."""
    # A 0 put in front makes background the first value of each, whether the picture has any or not.
    true_values, true_index = np.unique(np.append(0, truth), return_inverse=True)
    values, index = np.unique(np.append(0, predicted), return_inverse=True)
    shape = (len(true_values), len(values))
    table = np.bincount(true_index[1:] * shape[1] + index[1:], minlength=shape[0] * shape[1]).reshape(shape)
    return table[1:, 1:], table.sum(axis=1)[1:], table.sum(axis=0)[1:]


def _masks(truth, predicted):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    _same_shape(truth, predicted)
    for mask in (truth, predicted):
        if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
            raise ValueError("masks must hold 0 and 1 only: compare with a threshold first, for example mask > 0")
    return truth.astype(bool), predicted.astype(bool)


def _same_shape(truth, predicted):
    if truth.shape != predicted.shape:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must have the same shape")


def _ratio(part, whole) -> float:
    return float(part / whole) if whole else 1.0
