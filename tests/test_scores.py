import itertools

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information

from unetbook import scores
from unetbook.datasets import isbi2012


@pytest.fixture
def pair():
    """Blocky labels and a shifted, renumbered, partly erased copy."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 12, (6, 7)).repeat(4, axis=0).repeat(4, axis=1).astype(np.int32)
    predicted = np.where(rng.random(truth.shape) < 0.2, 0, np.roll(truth, 1, axis=1) * 10)
    return truth, predicted


def test_dice_and_iou_by_hand():
    truth = np.array([[1, 1, 0, 0]])
    predicted = np.array([[False, True, True, False]])
    assert scores.dice(truth, predicted) == pytest.approx(1 / 2)
    assert scores.iou(truth, predicted) == pytest.approx(1 / 3)


@pytest.mark.parametrize("score", [scores.dice, scores.iou])
def test_empty_masks_and_bad_masks(score):
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert score(empty, empty) == 1
    assert score(empty, full) == score(full, empty) == 0
    with pytest.raises(ValueError, match="0 and 1 only"):
        score(empty, full * 255)
    with pytest.raises(ValueError, match=r"\(3, 3\) and prediction \(2, 3\)"):
        score(empty, full[:2])


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.75])
def test_objects_agree_with_the_plain_loop(pair, threshold):
    truth, predicted = pair
    names, found = np.unique(truth[truth > 0]), np.unique(predicted[predicted > 0])
    matched = sum(scores.iou(truth == t, predicted == p) > threshold for t, p in itertools.product(names, found))
    result = scores.objects(truth, predicted, threshold)
    assert result[:3] == (matched, len(names) - matched, len(found) - matched)
    assert result.precision == matched / len(found) and result.recall == matched / len(names)
    assert result.f == pytest.approx(2 * matched / (len(names) + len(found)))


def test_objects_match_above_and_not_at_the_threshold():
    truth = np.array([[1, 1, 0]])
    assert scores.objects(truth, np.array([[1, 0, 0]])).matched == 0  # IoU exactly 0.5
    assert scores.objects(truth, np.array([[7, 7, 7]])) == (
        1,
        0,
        0,
        1,
        1,
        1,
    )  # IoU 2/3, and no background at all


def test_objects_of_empty_pictures():
    empty, one = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert scores.objects(empty, empty).f == 1
    assert scores.objects(empty, one) == (0, 0, 1, 0, 0, 0)
    assert scores.objects(one, empty) == (0, 1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "truth, threshold, message",
    [
        (np.ones((2, 2)), 0.5, "float64"),
        (-np.ones((2, 2), int), 0.5, "at least 0"),
        (np.ones((2, 2), int), 0.4, "0.4"),
    ],
)
def test_objects_refuse(truth, threshold, message):
    with pytest.raises(ValueError, match=message):
        scores.objects(truth, np.ones((2, 2), int), threshold)


@pytest.fixture
def slice_pair():
    """Nine cells, and a prediction that splits, merges and thickens.

    False membrane is thick by an even number of pixels, so that no pixel lies at the same distance of two
    segments and there is one way only to grow them.
    """
    truth = np.ones((24, 24), np.int32)
    truth[[0, 8, 16], :] = 0
    truth[:, [0, 8, 16]] = 0
    probability = truth * 0.9
    probability[8, 2:5] = 0.8  # a hole in a membrane merges two cells
    probability[12:14, :8] = 0.2  # a false membrane splits another
    probability[1:3, 10:14] = 0.1
    return truth, probability


def segments(mask):
    return ndimage.label(mask)[0]


def grow_slowly(labels):
    """Round by round, each background pixel takes over the label of a neighbor."""
    grown = labels.copy()
    while not grown.all():
        before = np.pad(grown, 1)
        for y, x in np.argwhere(grown == 0):
            around = before[y, x + 1], before[y + 1, x], before[y + 1, x + 2], before[y + 2, x + 1]
            grown[y, x] = max(around)
    return grown


def pair_counting(truth, predicted):
    """Adapted Rand error by looking at every pair of pixels; predicted 0 is never paired."""
    both = true = found = 0
    for i, j in itertools.combinations(range(len(truth)), 2):
        together = predicted[i] == predicted[j] != 0
        both += truth[i] == truth[j] and together
        true += truth[i] == truth[j]
        found += together
    return 1 - 2 * both / (true + found)


def test_rand_2012_agrees_with_pair_counting(slice_pair):
    truth, probability = slice_pair
    inside = truth > 0
    expected = pair_counting(segments(inside)[inside], segments(probability > 0.5)[inside])
    assert 0.05 < expected < 0.95
    assert scores.em_scores(truth, probability)["rand_2012"] == pytest.approx(expected, abs=1e-12)


def test_grown_scores_agree_with_scikit_image(slice_pair):
    truth, probability = slice_pair
    true_segments, grown = segments(truth > 0), grow_slowly(segments(probability > 0.5))
    ours = scores.em_scores(truth, probability)
    assert ours["rand_thin"] == pytest.approx(adapted_rand_error(true_segments, grown)[0], abs=1e-12)
    split, merge = variation_of_information(true_segments, grown, ignore_labels=(0,))
    assert ours["vi_split"] == pytest.approx(split) and ours["vi_merge"] == pytest.approx(merge)
    assert min(ours["vi_split"], ours["vi_merge"], ours["rand_thin"]) > 0.01


def test_split_and_merge_are_told_apart():
    cells = np.array([[1, 1, 1, 0, 1, 1, 1, 1]])
    one = np.ones((1, 8))
    merged = scores.em_scores(cells, one)
    assert merged["vi_split"] == 0
    assert merged["vi_merge"] == pytest.approx(-(3 * np.log2(3 / 7) + 4 * np.log2(4 / 7)) / 7)
    assert merged["rand_thin"] == merged["rand_2012"] == pytest.approx(1 - 2 * (3 + 6) / (3 + 6 + 21))
    split = scores.em_scores(one.astype(int), cells.astype(float))
    assert split["vi_merge"] == 0 and split["vi_split"] > 0.9


def test_pixel_scores_by_hand():
    truth = np.array([[1, 1, 1, 0]])
    result = scores.em_scores(truth, np.array([[0.5, 0.9, 0.4, 0.1]]))
    assert result["pixel_error"] == 1 / 4
    assert result["f_interior_error"] == pytest.approx(1 - 4 / 5)
    assert result["f_membrane_error"] == pytest.approx(1 - 2 / 3)


def test_perfect_and_degenerate_slices(slice_pair):
    truth, _ = slice_pair
    assert set(scores.em_scores(truth, truth).values()) == {0}
    labeled = segments(truth > 0)
    assert scores.em_scores(labeled, truth) == scores.em_scores(truth.astype(bool), truth)
    nothing = scores.em_scores(truth, np.zeros(truth.shape))
    assert nothing["rand_thin"] == nothing["rand_2012"] == nothing["f_interior_error"] == 1
    no_interior = scores.em_scores(np.zeros((4, 4), int), np.zeros((4, 4)))
    assert set(no_interior.values()) == {0}


@pytest.mark.parametrize(
    "truth, probability, message",
    [
        (np.ones((2, 2), int), np.full((2, 2), np.nan), "NaN"),
        (np.ones((2, 2), int), np.full((2, 2), 1.5), "nets.probabilities"),
        (np.ones((2, 2)), np.ones((2, 2)), "float64"),
        (np.ones((2, 2, 2), int), np.ones((2, 2, 2)), "slice by slice"),
        (np.ones((2, 2), int), np.ones((2, 3)), "same shape"),
    ],
)
def test_em_scores_refuse(truth, probability, message):
    with pytest.raises(ValueError, match=message):
        scores.em_scores(truth, probability)


def test_definitions_disagree_on_real_membranes_one_pixel_thicker():
    """Truth against itself, membranes dilated by a 3 x 3 square: what border width costs under each name."""
    try:
        _, labels = isbi2012.load()
    except FileNotFoundError:
        pytest.skip("the ISBI 2012 slices are not at hand: set UNETBOOK_DATA")
    truths = labels[24:30]
    thicker = [1 - cv2.dilate((1 - t).astype(np.uint8), np.ones((3, 3), np.uint8)) for t in truths]
    results = [scores.em_scores(t, p) for t, p in zip(truths, thicker, strict=True)]
    mean = {name: np.mean([r[name] for r in results]) for name in results[0]}
    assert mean["rand_thin"] == pytest.approx(0.0009, abs=5e-5)
    assert mean["rand_2012"] == pytest.approx(0.054, abs=5e-4)
    assert mean["pixel_error"] == pytest.approx(0.076, abs=5e-4)
    assert mean["f_interior_error"] == pytest.approx(0.0495, abs=5e-5)
    assert mean["f_membrane_error"] == pytest.approx(0.162, abs=5e-4)
    pairs = [(segments(t), segments(p)) for t, p in zip(truths, thicker, strict=True)]
    assert np.mean([adapted_rand_error(t, p)[0] for t, p in pairs]) == pytest.approx(0.134, abs=5e-4)
    everywhere = [adapted_rand_error(t + 1, p + 1)[0] for t, p in pairs]  # no label 0, so no pixel is left out
    assert np.mean(everywhere) == pytest.approx(0.223, abs=5e-4)
