import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information

from unetbook import scores
from unetbook.datasets import dsb2018, isbi2012


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
        (np.ones((2, 2), int), (0.5, 0.7), "average_precision takes several"),
    ],
)
def test_objects_refuse(truth, threshold, message):
    with pytest.raises(ValueError, match=message):
        scores.objects(truth, np.ones((2, 2), int), threshold)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3)])
def test_object_scores_take_one_image(shape):
    labels = np.ones(shape, int)  # in a stack, object 1 of every image would count as one object
    for score in (scores.objects, scores.average_precision, scores.object_errors, scores.seg):
        with pytest.raises(ValueError, match="image by image"):
            score(labels, labels)


def test_dice_of_a_stack_is_pooled():
    truth, predicted = np.zeros((2, 4, 4), int), np.zeros((2, 4, 4), int)
    truth[0], predicted[0] = 1, 1  # 16 pixels, all found
    truth[1, 0] = 1  # 4 pixels, none found
    assert scores.dice(truth, predicted) == pytest.approx(2 * 16 / (20 + 16))
    assert scores.iou(truth, predicted) == 16 / 20
    assert np.mean([scores.dice(t, p) for t, p in zip(truth, predicted, strict=True)]) == 0.5


def test_thresholded_jaccard_by_hand():
    truth = np.zeros((5, 20), int)
    truth.flat[:100] = 1
    predicted = np.zeros_like(truth)
    predicted.flat[:65] = 1
    assert scores.thresholded_jaccard(truth, predicted) == 0.65  # exactly 0.65 is not below it
    predicted.flat[64] = 0
    assert scores.thresholded_jaccard(truth, predicted) == 0
    assert scores.thresholded_jaccard(truth, predicted, threshold=0.6) == 0.64
    assert scores.thresholded_jaccard(0 * truth, 0 * truth) == 1
    with pytest.raises(ValueError, match="65"):
        scores.thresholded_jaccard(truth, predicted, threshold=65)
    with pytest.raises(ValueError, match="image by image"):
        scores.thresholded_jaccard(np.ones((2, 3, 3), int), np.ones((2, 3, 3), int))


def average_precision_slowly(truth, predicted, percents=range(50, 100, 5)):
    """A mask for each object, each pair compared, in exact fractions."""
    true_masks = [truth == k for k in np.unique(truth[truth > 0])]
    masks = [predicted == k for k in np.unique(predicted[predicted > 0])]
    pairs = [[Fraction(int((t & p).sum()), int((t | p).sum())) for p in masks] for t in true_masks]
    result = []
    for percent in percents:
        hits = [[value > Fraction(percent, 100) for value in row] for row in pairs]
        assert all(sum(line) <= 1 for line in [*hits, *zip(*hits, strict=True)])  # a match is unique
        matched = sum(map(sum, hits))
        every = len(true_masks) + len(masks) - matched
        result.append(matched / every if every else 1.0)
    return np.array(result)


def jittered(truth, rng):
    """Blocks moved by a pixel or two, some pixels lost, some blocks renumbered into others."""
    moved = np.roll(truth, rng.integers(-1, 2, 2), axis=(0, 1))
    moved = np.where(rng.random(truth.shape) < rng.uniform(0, 0.2), 0, moved)
    return np.where(moved == 3, 4, moved)


def test_average_precision_agrees_with_brute_force_on_random_labels():
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(40):
        size, block = rng.integers(1, 7, 2), rng.integers(1, 12)
        truth = rng.integers(0, 9, size).repeat(block, axis=0).repeat(block, axis=1)
        predicted = jittered(truth, rng)
        ours = scores.average_precision(truth, predicted)
        assert np.array_equal(ours, average_precision_slowly(truth, predicted))
        seen.append(ours)
    assert 0.1 < np.mean(seen) < 0.9 and len(np.unique(seen)) > 20  # neither trivial nor hopeless


def real_pairs(name):
    """Real labels, and what is left of them as components after an erosion (membranes) or without gaps (nuclei)."""
    try:
        if name == "membranes":
            masks = isbi2012.load()[1][[0, 29], 100:300, 200:400].astype(np.uint8)
            return [(segments(mask), segments(cv2.erode(mask, np.ones((3, 3), np.uint8)))) for mask in masks]
        samples = dsb2018.load()
        nuclei = [samples[k].labels for k in range(0, 60, 10)]
        return [(labels, segments(labels > 0)) for labels in nuclei]
    except FileNotFoundError:
        pytest.skip("the real labels are not at hand: set UNETBOOK_DATA")


@pytest.mark.parametrize("name", ["membranes", "nuclei"])
def test_average_precision_agrees_with_brute_force_on_real_labels(name):
    first = []
    for truth, predicted in real_pairs(name):
        ours = scores.average_precision(truth, predicted)
        assert np.array_equal(ours, average_precision_slowly(truth, predicted))
        first.append(ours[0])
    assert 0.2 < np.mean(first) < 1


def row(pixels, length):
    return (np.arange(length)[None] < pixels).astype(int)


def test_an_iou_of_exactly_the_threshold_is_no_match():
    exact = 0
    for union in range(1, 61):
        for shared in range(1, union + 1):
            percents = [shared * 100 > union * percent for percent in range(50, 100, 5)]
            exact += any(shared * 100 == union * percent for percent in range(50, 100, 5))
            assert scores.average_precision(row(shared, 61), row(union, 61)).tolist() == percents
    assert exact > 50
    eleven = row(11, 20), row(20, 20)
    assert scores.average_precision(*eleven, [0.55, 0.549999]).tolist() == [0, 1]
    assert scores.objects(*eleven, 0.55).matched == 0 and scores.objects(*eleven, 0.54).matched == 1


def test_thresholds_as_numpy_makes_them():
    for thresholds in (np.arange(0.5, 1, 0.05), np.linspace(0.5, 0.95, 10), 1 - np.arange(10, 0, -1) * 0.05):
        for k in range(10):  # an IoU of exactly the k-th threshold is above the k before it
            found = scores.average_precision(row(50 + 5 * k, 100), row(100, 100), thresholds)
            assert found.tolist() == k * [1] + (10 - k) * [0]
    assert scores.DSB_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert scores.average_precision(row(3, 5), row(5, 5), 0.55) == 1


def test_two_equal_halves_tie_at_one_half():
    halves, whole = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
    assert scores.average_precision(halves, whole).tolist() == 10 * [0]
    assert scores.object_errors(halves, whole) == (2, 0, 0, 0)


def seg_slowly(truth, predicted):
    """The definition, object by object."""
    values = []
    for number in np.unique(truth[truth > 0]):
        inside, value = truth == number, 0
        for other in np.unique(predicted[predicted > 0]):
            found = predicted == other
            if (inside & found).sum() > inside.sum() / 2:
                value = (inside & found).sum() / (inside | found).sum()
        values.append(value)
    return np.mean(values)


def test_seg_agrees_with_its_definition():
    rng, seen = np.random.default_rng(6), []
    for _ in range(20):
        truth = rng.integers(0, 9, (6, 6)).repeat(3, axis=0).repeat(3, axis=1)
        predicted = jittered(truth, rng)
        assert scores.seg(truth, predicted) == pytest.approx(seg_slowly(truth, predicted), abs=1e-12)
        seen.append(scores.seg(truth, predicted))
    assert 0.1 < np.mean(seen) < 0.9


def test_seg_by_hand():
    truth = np.array([[1, 1, 1, 1, 2, 2, 0, 0]])
    assert scores.seg(truth, np.array([[5, 5, 5, 0, 0, 7, 7, 9]])) == pytest.approx((3 / 4 + 0) / 2)  # half is not more
    assert scores.seg(truth, np.ones_like(truth)) == pytest.approx((4 / 8 + 2 / 8) / 2)  # merged: one partner for two
    assert scores.seg(0 * truth, truth) == 1 and scores.seg(truth, 0 * truth) == 0


def test_average_precision_of_empty_pictures():
    empty, one = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert scores.average_precision(empty, empty).tolist() == 10 * [1]
    assert scores.average_precision(empty, one).tolist() == scores.average_precision(one, empty).tolist() == 10 * [0]
    assert scores.average_precision(np.zeros((0, 5), int), np.zeros((0, 5), int)).tolist() == 10 * [1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_numbering_does_not_matter(pair, dtype):
    truth, predicted = pair
    expected = scores.average_precision(truth, predicted)
    errors = scores.object_errors(truth, predicted)
    top = np.iinfo(dtype).max
    renamed = np.where(truth > 0, top - truth.astype(dtype), 0).astype(dtype)
    assert np.array_equal(scores.average_precision(renamed, predicted), expected)
    assert np.array_equal(scores.average_precision(predicted, renamed), expected)
    assert scores.object_errors(renamed, predicted) == errors
    full = np.where(renamed == 0, 1, renamed)  # no background at all
    assert np.array_equal(scores.average_precision(full, predicted), average_precision_slowly(full, predicted))


def test_many_objects_are_counted_without_a_table():
    rng = np.random.default_rng(5)
    truth = np.arange(1, 1601).reshape(40, 40).repeat(3, axis=0).repeat(3, axis=1)
    predicted = np.where(rng.random(truth.shape) < 0.25, 0, truth)
    kept = np.bincount(predicted.ravel(), minlength=1601)[1:]
    hits = (kept[:, None] * 100 > 9 * np.arange(50, 100, 5)).sum(axis=0)
    every = 1600 + np.count_nonzero(kept) - hits
    assert np.array_equal(scores.average_precision(truth, predicted), hits / every)
    assert scores.object_errors(truth, predicted) == (0, 0, np.count_nonzero(kept == 0), 0)


@pytest.mark.parametrize("thresholds", [0.45, [0.5, 1], [0.5, np.nan], 55])
def test_average_precision_refuses_thresholds(thresholds):
    with pytest.raises(ValueError, match=r"\[0.5, 1\)"):
        scores.average_precision(np.ones((2, 2), int), np.ones((2, 2), int), thresholds)


@pytest.mark.parametrize(
    "truth, message",
    [
        (np.full((2, 2), np.nan), "float64"),
        (np.ones((2, 2), bool), "labels.connected"),
        (np.array([[1, 1], [-3, 0]]), "not -3"),
        (np.ones((2, 3), int), "same shape"),
    ],
)
def test_object_scores_refuse(truth, message):
    for score in (scores.objects, scores.average_precision, scores.object_errors, scores.seg):
        with pytest.raises(ValueError, match=message):
            score(truth, np.ones((2, 2), int))
    with pytest.raises(ValueError, match=message):
        scores.dsb_score([truth], [np.ones((2, 2), int)])


def test_dsb_score_is_the_mean_over_images():
    many = np.arange(1, 10).reshape(3, 3)
    truths = [many, row(3, 5), np.zeros((4, 4), int)]
    predictions = [np.where(many > 5, 0, many), row(5, 5), np.zeros((4, 4), int)]
    assert scores.dsb_score(truths, predictions) == pytest.approx((5 / 9 + 0.2 + 1) / 3)
    assert scores.dsb_score(iter(truths), iter(predictions)) == scores.dsb_score(truths, predictions)
    stack = np.stack([many, many])
    assert scores.dsb_score(stack, stack) == 1
    with pytest.raises(ValueError, match=r"\(3, 3, 1\) are no stack"):
        scores.dsb_score(many[..., None], many[..., None])
    for fewer in (truths[:2], []):
        with pytest.raises(ValueError, match="one of each for every image"):
            scores.dsb_score(fewer, predictions)
    with pytest.raises(ValueError, match="0 truths"):
        scores.dsb_score([], [])
    with pytest.raises(ValueError, match="image by image"):
        scores.dsb_score(many, many)


def errors(truth, predicted):
    return scores.object_errors(np.array([truth]), np.array([predicted]))._asdict()


def test_object_errors_by_hand():
    none = {"merged": 0, "split": 0, "missed": 0, "extra": 0}
    assert errors([1, 1, 1, 0, 2, 2, 2], [5, 5, 0, 0, 7, 7, 7]) == none
    assert errors([1, 1, 1, 0, 2, 2, 2], [5, 5, 5, 5, 5, 5, 5]) == none | {"merged": 2}
    assert errors([1, 1, 1, 1, 1, 1, 1], [5, 5, 0, 7, 7, 7, 8]) == none | {"split": 1}
    assert errors([1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 7, 7, 7]) == none | {"missed": 1, "extra": 1}
    assert errors([1, 1, 1, 0, 0, 0, 0], [5, 5, 5, 5, 5, 5, 5]) == none  # a bad outline is none of the four
    assert errors([1, 1, 1, 1, 0, 0, 0], [0, 0, 5, 5, 5, 5, 0]) == none | {"missed": 1, "extra": 1}  # half is not more
    assert errors([1, 1, 1, 1, 2, 2, 2], [5, 5, 5, 0, 5, 5, 5]) == none | {"merged": 2}
    assert errors([1, 1, 2, 2, 2, 2, 2], [5, 5, 5, 5, 5, 8, 8]) == none | {"merged": 2, "split": 1}
    assert errors([1, 2, 3, 0, 4, 5, 6], [5, 5, 5, 0, 9, 9, 0]) == none | {"merged": 5, "missed": 1}
    assert errors([0, 0, 0], [0, 0, 0]) == none
    assert errors([0, 1, 1], [0, 0, 0]) == none | {"missed": 1}
    assert errors([0, 0, 0], [0, 1, 1]) == none | {"extra": 1}


def test_object_errors_agree_with_sets():
    rng = np.random.default_rng(2)
    total = np.zeros(4, int)
    for _ in range(60):
        truth = rng.integers(0, 7, (4, 5)).repeat(3, axis=0).repeat(2, axis=1)
        predicted = rng.permutation(8)[rng.integers(0, 4, 7) + 4 * (np.arange(7) % 2)][truth]
        predicted = np.where(np.arange(10) < 7, predicted, np.roll(predicted, 2) * 3)
        true = {k: set(np.flatnonzero(truth == k)) for k in np.unique(truth) if k}
        found = {k: set(np.flatnonzero(predicted == k)) for k in np.unique(predicted) if k}
        homes = [[p for p in found.values() if 2 * len(t & p) > len(t)] for t in true.values()]
        merged = sum(bool(home) and homes.count(home) > 1 for home in homes)
        pieces = [sum(2 * len(t & p) > len(p) for p in found.values()) for t in true.values()]

        def related(one, others):
            return any(2 * len(one & other) > min(len(one), len(other)) for other in others.values())

        missed = sum(not related(t, found) for t in true.values())
        extra = sum(not related(p, true) for p in found.values())
        expected = (merged, sum(n > 1 for n in pieces), missed, extra)
        assert scores.object_errors(truth, predicted) == expected
        total += expected
    assert total.min() > 5


def boundary_f_slowly(truth, predicted, tolerance):
    def boundary(mask):
        found = set()
        for y, x in np.argwhere(mask).tolist():
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and not mask[v, u]:
                    found.add((y, x))
        return found

    def near(points, others):
        return np.mean([min((y - v) ** 2 + (x - u) ** 2 for v, u in others) <= tolerance**2 for y, x in points])

    one, other = boundary(truth), boundary(predicted)
    precision, recall = near(other, one), near(one, other)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 2])
def test_boundary_f_agrees_with_the_plain_loop(tolerance):
    rng = np.random.default_rng(4)
    values = []
    for _ in range(8):
        truth, predicted = (cv2.GaussianBlur(rng.standard_normal((16, 19)), (0, 0), 2) > 0.02 for _ in range(2))
        values.append(scores.boundary_f(truth, predicted, tolerance))
        assert values[-1] == pytest.approx(boundary_f_slowly(truth, predicted, tolerance))
    assert 0 < min(values) and max(values) < 1


def test_boundary_f_by_hand():
    square = np.zeros((20, 20), int)
    square[5:15, 5:15] = 1
    for pixels, expected in ((1, 1), (2, 1)):
        moved = np.roll(square, pixels, axis=1)
        assert scores.boundary_f(square, moved) == expected
    assert scores.boundary_f(square, np.roll(square, 3, axis=1)) < 1
    dot = np.zeros((9, 9), int)
    dot[4, 4] = 1
    assert scores.boundary_f(dot, np.roll(dot, 2, axis=0)) == 1
    assert scores.boundary_f(dot, np.roll(dot, (2, 1), axis=(0, 1))) == 0  # sqrt(5) pixels away
    left = np.zeros((9, 9), int)
    left[:, :4] = 1
    assert scores.boundary_f(left, 1 - left, tolerance=1) == 1  # the image's edge is no boundary of either


def test_boundary_f_without_a_boundary():
    empty, full, half = np.zeros((4, 6), int), np.ones((4, 6), int), np.tri(4, 6, dtype=int)
    assert scores.boundary_f(empty, empty) == scores.boundary_f(full, full) == 1
    assert scores.boundary_f(empty, full) == scores.boundary_f(empty, half) == scores.boundary_f(half, full) == 0


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf])
def test_boundary_f_refuses(tolerance):
    mask = np.ones((4, 4), int)
    with pytest.raises(ValueError, match="tolerance"):
        scores.boundary_f(mask, mask, tolerance)
    with pytest.raises(ValueError, match="0 and 1 only"):
        scores.boundary_f(mask, mask * 255)
    with pytest.raises(ValueError, match="image by image"):
        scores.boundary_f(mask[None], mask[None])


def topology(mask):
    """Number of 4-connected pieces of foreground and of 8-connected pieces of background, which goes on outside."""
    mask = np.pad(np.asarray(mask, bool), 1)
    return ndimage.label(mask)[1], ndimage.label(~mask, np.ones((3, 3)))[1]


def all_patches():
    return [np.array(bits, bool).reshape(3, 3) for bits in itertools.product((0, 1), repeat=9)]


def test_simple_means_that_no_piece_appears_vanishes_merges_or_splits():
    simple = 0
    for patch in all_patches():
        flipped = patch.copy()
        flipped[1, 1] = not patch[1, 1]
        assert scores.is_simple(patch) == (topology(patch) == topology(flipped))
        assert scores.is_simple(patch) == scores.is_simple(flipped)
        simple += scores.is_simple(patch)
    assert 0 < simple < 512
    with pytest.raises(ValueError, match=r"\(3, 3\), not \(2, 3\)"):
        scores.is_simple(np.ones((2, 3)))


def blob(rng, shape, share):
    noise = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), 1.5)
    return noise > np.quantile(noise, 1 - share)


def test_warping_keeps_the_topology_of_the_truth():
    rng = np.random.default_rng(6)
    closer = 0
    for _ in range(20):
        truth, predicted = blob(rng, (16, 16), 0.5), blob(rng, (16, 16), 0.6)
        before = truth.copy()
        warped = scores.warp(truth, predicted)
        assert topology(warped) == topology(truth)
        assert np.array_equal(truth, before)  # the truth itself is not touched
        changed = warped != truth
        assert np.array_equal(warped[changed], predicted[changed])
        padded = np.pad(warped, 1)
        left = np.argwhere(warped != predicted)
        assert not any(scores.is_simple(padded[y : y + 3, x : x + 3]) for y, x in left)
        assert scores.warping_error(truth, predicted) == len(left) / 256
        closer += np.count_nonzero(changed)
    assert closer > 200


def test_warping_is_an_upper_bound_of_the_best_one():
    """All 512 images of 3 x 3 pixels, grouped by the flips that lead from one to another."""
    images = np.array(all_patches())
    code = {image.tobytes(): k for k, image in enumerate(images)}
    group = -np.ones(512, int)
    for start in range(512):
        stack = [start] if group[start] < 0 else []
        while stack:
            k = stack.pop()
            if group[k] >= 0:
                continue
            group[k] = start
            padded = np.pad(images[k], 1)
            for y, x in itertools.product(range(3), repeat=2):
                if scores.is_simple(padded[y : y + 3, x : x + 3]):
                    flipped = images[k].copy()
                    flipped[y, x] ^= True
                    stack.append(code[flipped.tobytes()])
    distance = (images.reshape(512, 1, 9) != images.reshape(1, 512, 9)).sum(axis=2)
    rng = np.random.default_rng(8)
    equal = 0
    for truth, predicted in rng.integers(0, 512, (400, 2)):
        best = distance[group == group[truth], predicted].min()
        ours = round(9 * scores.warping_error(images[truth], images[predicted]))
        assert ours >= best
        equal += ours == best
    assert equal > 200  # of 400: often the best, not always


def test_warping_error_by_hand():
    cells = np.ones((16, 16), int)
    cells[8] = 0  # a membrane between two cells
    assert scores.warping_error(cells, cells) == scores.warping_error(cells, np.roll(cells, 1, axis=0)) == 0
    # Beyond pixels on which both agree, a membrane is not found: the old one stays, the new one may not cut through.
    assert scores.warping_error(cells, np.roll(cells, 3, axis=0)) == (16 + 1) / 256
    thick = cells.copy()
    thick[6:11] = 0
    assert scores.warping_error(cells, thick) == 0
    gap = cells.copy()
    gap[8, 4:9] = 1
    assert scores.warping_error(cells, gap) == 5 / 256  # to open any of the five would merge the cells
    assert scores.warping_error(gap, cells) == 1 / 256  # four of the five can be closed
    hole = cells.copy()
    hole[2:5, 2:5] = 0
    assert scores.warping_error(cells, hole) == 9 / 256  # nothing to warp: the whole hole remains
    assert scores.warping_error(hole, cells) == 1 / 256  # it shrinks to a point
    assert scores.warping_error(np.zeros((0, 3), int), np.zeros((0, 3), int)) == 0


@pytest.mark.parametrize(
    "truth, message",
    [
        (np.full((3, 3), np.nan), "0 and 1 only"),
        (np.ones((3, 4), int), "same shape"),
    ],
)
def test_warping_refuses(truth, message):
    with pytest.raises(ValueError, match=message):
        scores.warping_error(truth, np.ones((3, 3), int))
    with pytest.raises(ValueError, match="image by image"):
        scores.warping_error(np.ones((1, 3, 3), int), np.ones((1, 3, 3), int))


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
        (np.array([[0, 255]]), np.ones((1, 2)), "0 and 255 only: pass truth > 0"),
        (np.ones((2, 2, 2), int), np.ones((2, 2, 2)), "slice by slice"),
        (np.ones((2, 2), int), np.ones((2, 3)), "same shape"),
    ],
)
def test_em_scores_refuse(truth, probability, message):
    with pytest.raises(ValueError, match=message):
        scores.em_scores(truth, probability)


@pytest.mark.parametrize("threshold", [np.nan, 5, -1, [0.5]])
def test_em_scores_refuse_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold must be one number"):
        scores.em_scores(np.ones((2, 2), int), np.ones((2, 2)), threshold)


@pytest.mark.parametrize("dtype", [bool, int])
def test_em_scores_of_a_slice_without_pixels(dtype):
    for shape in ((0, 5), (5, 0), (0, 0)):
        assert set(scores.em_scores(np.zeros(shape, dtype), np.zeros(shape)).values()) == {0}


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
