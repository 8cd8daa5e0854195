"""Scores of membranes in electron microscopy: what ISBI 2012 measured, and what replaced it."""

import cv2
import numpy as np
from skimage.segmentation import watershed

from unetbook import checks
from unetbook.scores.pixels import dice, ratio


def em_scores(truth, probability, threshold=0.5) -> dict[str, float]:
    """Score one slice of a membrane segmentation; 0 is perfect in every entry.

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
    Raises ``ValueError`` for other shapes, NaN or values outside [0, 1], a truth that is not made of labels, and
    one of 0 and 255 alone, which may be a mask or one instance.
    """
    truth, probability = checks.same_shape(truth, probability)
    checks.shaped(truth, "one slice (H, W)", "the truth", "score slice by slice, then average", empty=True)
    if not (np.issubdtype(truth.dtype, np.integer) or truth.dtype == bool) or (truth.size and truth.min() < 0):
        raise ValueError(f"the truth must be boolean or labels of at least 0, not {truth.dtype}")
    if truth.size and truth.max() == 255 and np.isin(truth, (0, 255)).all():
        raise ValueError("the truth holds 0 and 255 only: pass truth > 0 if it is a mask, truth // 255 if one instance")
    if np.ndim(threshold) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be one number in [0, 1], not {threshold!r}")
    checks.unit_range(probability, "probabilities", "use nets.probabilities on logits, and repair NaN")
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
    if not mask.size:  # OpenCV crashes on an image without pixels
        return np.zeros(mask.shape, np.int32)
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
    return 1 - ratio(2 * n_both, n_true + n_predicted)


def _variation_of_information(both, true, predicted):
    """H(predicted | true) and H(true | predicted) in bits."""
    joint, of_truth, of_predicted = (_entropy(n) for n in (both, true, predicted))
    return max(joint - of_truth, 0.0), max(joint - of_predicted, 0.0)  # rounding can leave -1e-16


def _entropy(counts):
    share = counts / max(counts.sum(), 1)
    return float(-np.sum(share * np.log2(share)))
