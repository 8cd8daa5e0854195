import tracemalloc
import warnings
from itertools import product

import cv2
import numpy as np
import pytest

from unetbook import labels as label_tools
from unetbook import weightmap
from unetbook.datasets import dsb2018, synthetic, usiigaci

BOTH = pytest.mark.parametrize("border", [weightmap.border_weights, weightmap.border_weights_plain])
WITHIN = 1e-3  # absolute, promised between the fast and the plain version


def scattered(shape, objects, seed, radius=3):
    """Random discs, later ones over earlier ones, that also touch, nest, break apart and leave the image."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(shape, np.int32)
    rows, columns = np.indices(shape)
    for number in range(1, objects + 1):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        picture[np.hypot(rows - row, columns - column) <= rng.uniform(0.7, radius)] = number
    return picture


def pixel_by_pixel(labels, w0, sigma):
    """Equation 2's border term from all pairs of a background pixel and an object's pixel."""
    result = np.zeros(labels.shape)
    numbers = [number for number in np.unique(labels) if number > 0]
    for here in np.argwhere(labels == 0):
        distances = sorted(np.sqrt(((np.argwhere(labels == n) - here) ** 2).sum(axis=1)).min() for n in numbers)
        if len(distances) > 1:
            result[tuple(here)] = w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return result


@BOTH
@pytest.mark.parametrize("gap, weight", [(2, 9.23), (5, 6.07), (10, 1.35), (20, 0.0034)])
def test_the_paper_weights_by_hand(border, gap, weight):
    row = np.zeros((1, gap + 1), np.int32)
    row[0, 0], row[0, -1] = 1, 2
    weights = border(row)
    assert weights.dtype == np.float32 and weights.shape == row.shape
    assert weights[0, 0] == weights[0, -1] == 0  # objects carry none
    assert weights[0, 1:-1] == pytest.approx(weight, rel=0.02 if gap == 20 else 5e-3)
    assert np.allclose(border(row.T), weights.T)


@BOTH
def test_two_discs_by_hand(border):
    rows, columns = np.indices((61, 90))
    labels = np.where(np.hypot(rows - 30, columns - 25) <= 10, 4, 0)
    labels[np.hypot(rows - 30, columns - 52) <= 12] = 9
    # On the line between the centers the discs end at columns 35 and 40: d1 + d2 = 5 in the whole gap.
    weights = border(labels)
    assert weights[30, 36:40] == pytest.approx(10 * np.exp(-25 / 50), abs=WITHIN)
    # Column 13 lies 2 pixels from the first disc and 27 from the second; column 66, 2 from the second and 31 away.
    assert weights[30, [13, 66]].max() < WITHIN
    # Above the gap, the nearest pixels are (24, 33) and (24, 42).
    assert weights[20, 38] == pytest.approx(10 * np.exp(-((41**0.5 + 32**0.5) ** 2) / 50), abs=WITHIN)
    assert not weights[labels > 0].any()


@BOTH
def test_equals_pixel_by_pixel(border):
    labels = scattered((23, 31), 9, seed=1)
    labels[5:9, 10:20] = -1
    labels[labels == 3] = 0
    assert len(np.unique(labels)) > 6
    for w0, sigma in ((10, 5), (3, 2)):
        expected = pixel_by_pixel(labels, w0, sigma)
        assert expected.max() > 0.1 * w0
        assert np.abs(border(labels, w0, sigma) - expected).max() < WITHIN


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (64, 90), (131, 77)])
@pytest.mark.parametrize("objects", [2, 7, 40])
def test_fast_agrees_with_plain_on_random_labels(shape, objects):
    agree(scattered(shape, objects, seed=objects, radius=6))


@pytest.mark.parametrize("w0, sigma", [(10, 0.1), (10, 0.5), (10, 1), (10, 20), (10, 200), (0, 5), (1e-3, 5), (300, 5)])
def test_fast_agrees_with_plain_for_other_parameters(w0, sigma):
    agree(scattered((70, 85), 15, seed=2), w0, sigma)


@pytest.mark.parametrize("seed", [0, 1])
def test_fast_agrees_with_plain_on_synthetic_cells(seed):
    _, labels = synthetic.cells(1, 256, seed)
    agree(labels[0])
    agree(label_tools.separate(labels[0]))


def agree(labels, w0=10.0, sigma=5.0):
    plain = weightmap.border_weights_plain(labels, w0, sigma)
    fast = weightmap.border_weights(labels, w0, sigma)
    assert fast.dtype == plain.dtype == np.float32
    assert np.abs(fast - plain).max() < WITHIN
    dropped = weightmap.CUTOFF * min(w0 / 10, 1)  # the docstring's bound; below it everything is dropped
    assert np.abs(fast - plain).max() <= 1.01 * dropped + 1e-6 * w0
    assert not fast[plain < 0.99 * dropped].any()
    assert 0 <= fast.min() and fast.max() <= w0


@pytest.mark.parametrize("reader, corner", [(dsb2018, 360), (usiigaci, 400)])
def test_fast_agrees_with_plain_on_real_labels(reader, corner):
    try:
        samples = reader.load()
    except FileNotFoundError:
        pytest.skip(f"the images of {reader.__name__} are not at hand: set UNETBOOK_DATA")
    pictures = [samples[index].labels[:corner, :corner] for index in (0, 15, 30)]
    for labels in pictures:
        agree(labels)
    assert max(weightmap.border_weights(labels).max() for labels in pictures) > 1


@BOTH
def test_fewer_than_two_objects_weigh_nothing(border):
    labels = np.zeros((9, 30), int)
    assert not border(labels).any()
    labels[2:5, 3:8] = 7
    assert not border(labels).any()
    labels[2:5, 10:15] = 7  # a second piece of the same cell
    assert not border(labels).any()
    labels[2:5, 10:15] = 8
    assert border(labels).any()
    assert not border(np.ones((5, 5), int)).any()


@BOTH
def test_pieces_of_one_cell_count_once(border):
    row = np.array([[7, 0, 7, 0, 0, 0, 8]])
    weights = border(row)
    assert weights[0, 1] == pytest.approx(10 * np.exp(-((1 + 5) ** 2) / 50), abs=WITHIN)
    assert weights[0, 3] == pytest.approx(10 * np.exp(-((1 + 3) ** 2) / 50), abs=WITHIN)


@BOTH
def test_a_cell_in_the_hole_of_another(border):
    labels = np.ones((41, 41), int)
    labels[6:35, 6:35] = 0
    labels[12:29, 12:29] = 2
    weights = border(labels)
    # From the core's edge (column 28) to the ring (column 35): d1 + d2 = 7.
    assert weights[20, 29:35] == pytest.approx(10 * np.exp(-49 / 50), abs=WITHIN)
    assert not weights[labels > 0].any()
    assert np.allclose(weights, np.rot90(weights))


@BOTH
def test_cells_at_the_image_edge(border):
    labels = np.zeros((12, 14), int)
    labels[:, 0], labels[:2, 6:], labels[-1, 9:] = 1, 2, 3
    assert np.abs(border(labels) - pixel_by_pixel(labels, 10, 5)).max() < WITHIN


@BOTH
def test_numbering_and_integer_type_do_not_matter(border):
    labels = scattered((40, 50), 12, seed=3)
    expected = border(labels)
    assert expected.max() > 5
    for dtype in ("int8", "uint8", "int16", "uint16", "int64", "uint64", ">i4", ">u2"):
        assert np.array_equal(border(labels.astype(dtype)), expected), dtype
    shuffled = np.append(0, np.random.default_rng(0).permutation(12) + 1)[labels]
    assert np.allclose(border(shuffled), expected)
    assert np.allclose(border(np.where(labels > 0, 100 * labels, 0)), expected)
    huge = np.where(labels > 0, labels.astype(np.int64) << 35, 0)
    huge[0, 0] = -1
    assert np.allclose(border(huge), np.where(huge < 0, 0, border(np.where(huge < 0, -1, labels))))


def test_touching_cells_have_no_gap_to_weigh_until_separated():
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 5:20], labels[10:30, 20:35] = 1, 2
    contact = (slice(15, 25), slice(15, 25))
    assert not weightmap.border_weights(labels)[contact].any()
    apart = label_tools.separate(labels)
    weights = weightmap.border_weights(apart)[contact]
    assert np.array_equal(weights > 0, apart[contact] == 0)
    assert weights[:, 4:6] == pytest.approx(10 * np.exp(-9 / 50), abs=WITHIN)  # two pixels of gap: 1 + 2
    labels[10:30, 20] = -1
    assert np.array_equal(label_tools.separate(labels) == -1, labels == -1)


@pytest.mark.parametrize("function", [weightmap.border_weights, weightmap.weight_map])
def test_the_fast_maps_take_the_memory_of_a_few_images(function):
    labels = np.zeros((512, 512), np.int32)
    for number, (row, column) in enumerate(product(range(11), repeat=2), start=1):
        labels[46 * row + 5 : 46 * row + 40, 46 * column + 5 : 46 * column + 40] = number
    assert labels.max() == 121
    one_image = 4 * labels.size  # float32
    tracemalloc.start()  # also sees the distance maps of OpenCV, which lie in arrays of NumPy
    try:
        cv2.distanceTransform((labels != 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        assert tracemalloc.get_traced_memory()[1] > 1.2 * one_image  # the mask, a quarter, and the distances
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        weights = function(labels)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert weights.max() > 0 and one_image < peak < 8 * one_image


def test_every_run_gives_the_same_bits():
    labels = scattered((80, 80), 12, seed=4, radius=8)
    first = weightmap.border_weights(labels)
    shifts = [np.zeros(shift, np.uint8) for shift in range(1, 20)]  # other places in memory
    assert all(np.array_equal(weightmap.border_weights(labels.copy()), first) for _ in shifts)


def test_pixels_nobody_annotated_weigh_nothing():
    labels = np.array([[1, 0, 0, -1, 0, 2], [-1, -1, -1, -1, -1, -1]])
    border = weightmap.border_weights(labels)
    assert border[0, [1, 2, 4]] == pytest.approx(10 * np.exp(-25 / 50), abs=WITHIN)
    weights = weightmap.weight_map(labels, class_weights=(0.5, 4))
    assert np.array_equal(weights == 0, labels == -1)


def test_weight_map_is_class_weight_plus_border_term():
    labels = scattered((50, 60), 9, seed=5)
    border = weightmap.border_weights(labels, w0=7, sigma=3)
    plain = weightmap.weight_map(labels, w0=7, sigma=3)
    assert plain.dtype == np.float32 and np.allclose(plain, 1 + border)
    weights = weightmap.weight_map(labels, 7, 3, class_weights=[0.25, 3])
    assert weights.dtype == np.float32
    assert np.allclose(weights, np.where(labels > 0, 3, 0.25 + border))
    assert np.allclose(weightmap.weight_map(labels, w0=0), 1)
    assert np.allclose(weightmap.weight_map(np.zeros((4, 5), int), class_weights=(0.25, 3)), 0.25)


def test_class_weights_by_hand():
    # 12 annotated pixels: 9 background, 3 of two cells.
    images = [np.array([[0, 0, 0, 5], [0, 0, 9, 9]]), np.array([[0, 0, -1], [0, 0, -1]])]
    weights = weightmap.class_weights(images)
    assert weights.tolist() == pytest.approx([12 / (2 * 9), 12 / (2 * 3)])
    assert (9 * weights[0] + 3 * weights[1]) / 12 == pytest.approx(1)  # mean over pixels
    assert 9 * weights[0] == pytest.approx(3 * weights[1])  # each class the same in total
    stack = np.array([[[0, 1], [2, 2]], [[0, 0], [2, 2]]], np.uint8)
    assert weightmap.class_weights(stack, classes=3).tolist() == pytest.approx([8 / 9, 8 / 3, 8 / 12])
    assert weightmap.class_weights(stack).tolist() == pytest.approx([8 / 6, 8 / 10])


def test_weight_map_takes_what_class_weights_gives():
    labels = scattered((50, 60), 9, seed=6)
    weights = weightmap.weight_map(labels, w0=0, class_weights=weightmap.class_weights([labels]))
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert weights[labels > 0].sum() == pytest.approx(weights[labels == 0].sum(), rel=1e-4)


BAD_LABELS = [
    (np.zeros((3, 4, 4), int), r"\(3, 4, 4\): call it image by image"),
    (np.zeros(4, int), r"one image \(H, W\)"),
    (np.zeros((0, 4), int), "at least one pixel"),
    (np.zeros((4, 4)), "not float64"),
    (np.full((4, 4), np.nan), "not float64"),
    (np.zeros((4, 4), bool), "labels.connected"),
    (np.full((4, 4), -2), "not -2"),
]
BAD_PARAMETERS = [
    ({"sigma": 0}, "sigma must be a positive number of pixels, not 0"),
    ({"sigma": -5.0}, "not -5.0"),
    ({"sigma": np.nan}, "not nan"),
    ({"sigma": np.inf}, "not inf"),
    ({"w0": -1}, "w0 must be a number of at least 0, not -1"),
    ({"w0": np.nan}, "w0 must be .* not nan"),
    ({"w0": np.inf}, "w0 must be .* not inf"),
]
MAPS = [weightmap.border_weights, weightmap.border_weights_plain, weightmap.weight_map]


@BOTH
def test_a_sigma_of_almost_nothing_leaves_no_weight(border):
    assert not border(np.array([[1, 0, 2], [1, 0, 2]]), sigma=1e-20).any()


@pytest.mark.parametrize("function, bad", list(product(MAPS, BAD_LABELS + BAD_PARAMETERS)))
def test_maps_refuse(function, bad):
    given, message = bad
    labels, parameters = (np.eye(4, dtype=int), given) if isinstance(given, dict) else (given, {})
    with pytest.raises(ValueError, match=message):
        function(labels, **parameters)


@pytest.mark.parametrize("bad", [(1,), (1, 1, 1), 2.0, (0.5, -1), (0, 1), (1, np.nan), [[1, 2]]])
def test_weight_map_refuses_class_weights(bad):
    with pytest.raises(ValueError, match=r"two positive numbers \(background, foreground\)"):
        weightmap.weight_map(np.eye(4, dtype=int), class_weights=bad)


@pytest.mark.parametrize(
    "images, classes, message",
    [
        ([np.zeros((2, 2), int)], 2, r"class 1 does not occur .*\[4, 0\]"),
        ([np.ones((2, 2), int)], 2, r"class 0 does not occur"),
        ([np.array([[0, 2]])], 3, "class 1 does not occur"),
        ([], 2, "class 0 does not occur"),
        ([np.full((2, 2), -1)], 2, "class 0 does not occur"),
        ([np.array([[0, 1]]), np.array([[0, 7]])], 3, "image 1 of the training set holds class 7"),
        (np.array([[0, 1]]), 2, "list of images or a stack"),
        (np.zeros((2, 3, 3, 1), int), 2, r"not \(3, 3, 1\)"),
        ([np.eye(3)], 2, "image 0 of the training set must be integers"),
        ([np.array([[0, -3]])], 2, "not -3"),
        ([np.eye(3, dtype=int)], 1, "classes must be a whole number of at least 2"),
        ([np.eye(3, dtype=int)], 2.0, "not 2.0"),
    ],
)
def test_class_weights_refuse(images, classes, message):
    with pytest.raises(ValueError, match=message):
        weightmap.class_weights(images, classes)


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("weigh", [weightmap.border_weights, weightmap.border_weights_plain, weightmap.weight_map])
def test_a_mask_without_instances_is_told(white, weigh):
    cells = synthetic.cells(1, 64, seed=1)[1][0]
    mask = np.where(label_tools.separate(cells) > 0, white, 0).astype(np.uint8)
    message = rf"hold {white} alone, in \d+ pieces: .* number its objects first, labels.connected\(mask > 0\)"
    with pytest.warns(UserWarning, match=message) as caught:
        weigh(mask)
    assert caught[0].filename == __file__ or weigh is weightmap.weight_map


def test_one_object_in_one_piece_and_numbered_objects_are_not_doubted():
    one = np.zeros((20, 20), np.int32)
    one[2:5, 2:5] = 1
    two = one.copy()
    two[5, 5] = 1  # at its corner
    apart = one.copy()
    apart[10:, 10:] = 2
    seventh = np.where(apart > 0, 7, 0)  # one object that a tile cut into two
    partly = np.where(np.arange(20) > 15, -1, one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fine in (one, two, apart, seventh, partly, 0 * one, one - 1):
            weightmap.border_weights(fine)
