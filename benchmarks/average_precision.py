"""Average precision at ten thresholds: one pass over the labels, and an assignment problem at each threshold."""

import cv2
import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from benchmarks import timing
from benchmarks.weight_map import cells
from unetbook import labels, scores

THRESHOLDS = np.array(scores.DSB_THRESHOLDS)


def run(repeats=timing.REPEATS) -> dict:
    """How many times faster ``scores.average_precision`` is than two other ways, on the same labels."""
    truth, predicted, taken = against_assignment(512, 120, repeats)
    found = []
    slow = timing.seconds(lambda: found.append(by_masks(truth, predicted)))
    if not np.array_equal(found[0], scores.average_precision(truth, predicted)):
        raise AssertionError("masks disagree: their times mean nothing")
    return {
        "setting": f"512 x 512 pixels, {truth.max()} true and {predicted.max()} predicted cells, ten thresholds; the "
        "peer is Cellpose's way, written anew: a dense table of overlaps, then scipy.optimize.linear_sum_assignment at "
        "each threshold; one np.bincount stands in for its loop over the pixels, which numba compiles",
        "faster": timing.ratio(*taken),
        "promised": 4,
        "faster_at_1024_with_400_cells": timing.ratio(*against_assignment(1024, 400, repeats)[2]),
        "faster_than_a_mask_for_each_object_run_once": timing.ratio([slow], taken[1]),
    }


def against_assignment(size, count, repeats):
    """Labels, and the seconds (2, repeats) of Cellpose's way and of ours on them."""
    truth = cells(size, count)
    predicted = imperfect(truth)
    ways = by_assignment, scores.average_precision
    if not np.array_equal(*(way(truth, predicted) for way in ways)):
        raise AssertionError("the two ways disagree: their times mean nothing")
    taken = timing.take_turns(*(lambda way=way: way(truth, predicted) for way in ways), repeats=repeats).T
    return truth, predicted, taken


def imperfect(truth, seed=0) -> np.ndarray:
    """What a network might make of the truth: outlines that stray by some pixels, and some cells merge or split.

    truth: labels (H, W). Returns int32 labels of the same shape: components of a mask, numbered from 1.
    """
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(truth.shape), (0, 0), 5)
    inside = ndimage.distance_transform_edt(truth > 0) - ndimage.distance_transform_edt(truth == 0)
    return labels.connected(inside > 2 * noise / noise.std())


def by_assignment(truth, predicted) -> np.ndarray:
    """Cellpose's way: IoU of all pairs, and at each threshold the assignment that matches most pairs.

    One difference: an IoU of exactly the threshold is no match, so that both ways have the same result.
    """
    shape = int(truth.max()) + 1, int(predicted.max()) + 1
    pairs = truth.ravel() * shape[1] + predicted.ravel()
    shared = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    iou = (shared / union)[1:, 1:]
    matched = np.zeros(len(THRESHOLDS))
    for k, threshold in enumerate(THRESHOLDS):
        costs = -(iou > threshold).astype(float) - iou / (2 * min(iou.shape))
        chosen = linear_sum_assignment(costs)
        matched[k] = np.count_nonzero(iou[chosen] > threshold)
    return matched / (sum(iou.shape) - matched)


def by_masks(truth, predicted) -> np.ndarray:
    """The plain way: a mask for each object, and the IoU of each true mask with each predicted one."""
    true_masks = [truth == k for k in range(1, truth.max() + 1)]
    masks = [predicted == k for k in range(1, predicted.max() + 1)]
    iou = np.array([[np.sum(t & p) / np.sum(t | p) for p in masks] for t in true_masks])
    matched = np.count_nonzero(iou[..., None] > THRESHOLDS, axis=(0, 1))
    return matched / (len(true_masks) + len(masks) - matched)
