"""From probability to objects: perfect targets give the objects back, each way by its own rule."""

import itertools

import cv2
import numpy as np
import pytest
from skimage import measure, morphology, segmentation

from unetbook import instances, labels, scores
from unetbook.datasets import synthetic

WAYS = ["components", "watershed", "border", "regrow", "distance"]


@pytest.fixture(scope="module")
def truth():
    return synthetic.cells(4, 256, 0)[1]


def perfect(objects, way):
    """What a network without any error predicts for the target of this way."""
    if way == "border":
        return np.eye(3, dtype=np.float32)[instances.border_target(objects)]
    if way == "distance":
        return instances.distance_target(objects)
    return ((labels.separate(objects) if way == "regrow" else objects) > 0).astype(np.float32)


def blurred(prediction, sigma):
    return cv2.GaussianBlur(prediction, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def object_f(truth, found):
    counts = np.array([scores.objects(*pair)[:3] for pair in zip(truth, found, strict=True)]).sum(axis=0)
    return 2 * counts[0] / (2 * counts[0] + counts[1] + counts[2])


def discs(shape, *circles):
    """One mask, or labels in the order given: (row, column, radius)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    objects = np.zeros(shape, np.int32)
    for number, (row, column, radius) in enumerate(circles, start=1):
        objects[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number
    return objects


def same_objects(one, other):
    """Equal but for the numbering."""
    return np.array_equal(labels.relabel(one), labels.relabel(other))


@pytest.mark.parametrize("way, least", [("watershed", 0.9), ("border", 0.97), ("regrow", 0.97), ("distance", 0.97)])
def test_perfect_targets_give_the_objects_back_where_components_of_the_mask_fuse_them(truth, way, least):
    fused = object_f(truth, [instances.from_probabilities(perfect(t, "components")) for t in truth])
    found = object_f(truth, [instances.from_probabilities(perfect(t, way), way) for t in truth])
    assert fused < 0.7 and found >= least


@pytest.mark.parametrize("way, least", [("border", 0.97), ("distance", 0.97)])
def test_a_blurred_target_still_does(truth, way, least):
    found = [instances.from_probabilities(blurred(perfect(t, way), 0.8), way) for t in truth]
    assert object_f(truth, found) >= least


@pytest.mark.parametrize("way", WAYS)
def test_objects_are_int32_numbered_from_1_and_each_one_component(truth, way):
    rng = np.random.default_rng(5)
    noise = blurred(rng.random((96, 128)).astype(np.float32), 2)
    noise = (noise - noise.min()) / np.ptp(noise)
    if way == "border":
        noise = np.stack([1 - noise, noise * noise[::-1], noise * (1 - noise[::-1])], axis=-1)
    prediction = noise * 6 if way == "distance" else noise
    for picture in (prediction, perfect(truth[0], way)):
        before = picture.copy()
        found = instances.from_probabilities(picture, way)
        assert found.dtype == np.int32 and found.shape == picture.shape[:2] and found.max() > 5
        np.testing.assert_array_equal(np.unique(found), np.arange(found.max() + 1))
        assert labels.relabel(found).max() == found.max()
        np.testing.assert_array_equal(found, instances.from_probabilities(picture, way))
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("way", WAYS)
def test_an_image_without_objects_one_full_object_and_one_pixel(way):
    empty = instances.from_probabilities(perfect(np.zeros((9, 12), np.int32), way), way)
    assert empty.dtype == np.int32 and empty.shape == (9, 12) and not empty.any()
    np.testing.assert_array_equal(instances.from_probabilities(perfect(np.ones((9, 12), np.int32), way), way), 1)
    assert instances.from_probabilities(perfect(np.zeros((1, 1), np.int32), way), way).tolist() == [[0]]


def test_foreground_in_each_of_its_forms():
    foreground = np.array([[0.2, 0.5, 0.1, 0.9]])
    expected = [[0, 1, 0, 2]]
    soft_max = np.stack([1 - foreground, foreground], axis=-1)
    for prediction in (foreground, foreground[..., None], soft_max, soft_max.astype(np.float16)):
        assert instances.from_probabilities(prediction).tolist() == expected
    assert instances.from_probabilities(foreground, threshold=0.6).tolist() == [[0, 0, 0, 1]]
    assert instances.from_probabilities(np.array([[0.7]], np.float32), threshold=np.float64(0.7)).tolist() == [[1]]


def test_components_meet_at_edges_not_at_corners():
    assert instances.from_probabilities(np.eye(3)).max() == 3
    assert instances.from_probabilities(np.maximum(np.eye(3), np.eye(3, k=1))).max() == 1


def test_smallest_removes_objects_and_closes_the_numbering():
    row = np.array([[1, 0, 1, 1, 0, 1, 1, 1, 0, 1]], float)
    assert instances.from_probabilities(row, smallest=2).tolist() == [[0, 0, 1, 1, 0, 2, 2, 2, 0, 0]]
    assert instances.from_probabilities(row, smallest=3).max() == 1
    assert not instances.from_probabilities(row, smallest=4).any()
    assert instances.from_probabilities(row, smallest=np.int64(1)).max() == 4


def test_watershed_cuts_two_overlapping_discs_between_their_centers():
    mask = discs((50, 80), (25, 25, 15), (25, 50, 15)) > 0
    found = instances.from_probabilities(mask.astype(float), "watershed")
    np.testing.assert_array_equal(found > 0, mask)
    assert found.max() == 2
    middle = 37.5  # nearer to one center than to the other
    columns = np.broadcast_to(np.arange(80), mask.shape)
    assert len(set(found[mask & (columns < middle - 1)])) == len(set(found[mask & (columns > middle + 1)])) == 1
    assert (
        instances.from_probabilities(mask.astype(float), "watershed", depth=10).max() == 1
    )  # the neck is not that thin


def test_watershed_keeps_a_thin_object_and_one_disc_whole():
    mask = discs((60, 60), (30, 30, 20)) > 0
    mask[2, 5:50] = True
    assert instances.from_probabilities(mask.astype(float), "watershed").max() == 2


def test_watershed_finds_the_maxima_that_scikit_image_finds():
    rng = np.random.default_rng(2)
    landscape = blurred(rng.normal(0, 30, (80, 90)).astype(np.float32), 2)
    mask = landscape >= 0.5
    for depth in (0.5, 1, 3):
        walled = np.where(mask, landscape, -1000)
        lowered = morphology.reconstruction(
            walled - depth, walled, footprint=np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
        )
        tops = morphology.local_maxima(lowered.round(3), connectivity=1) & (lowered >= 0) & mask
        expected = segmentation.watershed(-landscape, measure.label(tops, connectivity=1), mask=mask)
        assert expected.max() > 20
        assert same_objects(instances.from_probabilities(landscape, "distance", depth=depth), expected)


@pytest.mark.parametrize("kind", ["hills", "serpentine"])
def test_where_sweeps_do_not_come_to_rest_the_maxima_are_the_same(kind, monkeypatch):
    rng = np.random.default_rng(5)
    landscape = blurred(rng.normal(0, 30, (60, 70)).astype(np.float32), 2)
    if kind == "serpentine":
        walls = np.zeros((60, 70), bool)
        walls[4::4] = True
        walls[4::8, -3:] = walls[8::8, :3] = False
        landscape = np.where(walls, 0, 3 + np.linspace(0, 5, 60)[:, None] + landscape / 100).astype(np.float32)
    found = {}
    for sweeps in (0, 3, 10**6):
        monkeypatch.setattr(instances, "SWEEPS", sweeps)
        found[sweeps] = instances.distance(landscape, depth=1)
    assert found[10**6].max() > (1 if kind == "hills" else 0)
    assert np.array_equal(found[0], found[10**6]) and np.array_equal(found[3], found[10**6])


def test_a_long_corridor_does_not_take_a_sweep_a_pixel(monkeypatch):
    swept = []
    monkeypatch.setattr(
        instances.cv2, "dilate", lambda level, cross, dilate=cv2.dilate: swept.append(0) or dilate(level, cross)
    )
    corridor = np.linspace(1, 3, 3000)[None].astype(np.float32)
    assert instances.distance(corridor, depth=1).max() == 1
    assert len(swept) <= 2 * instances.SWEEPS


def test_a_lower_hill_counts_where_it_rises_by_more_than_depth():
    hills = np.array([[0, 2, 5, 3, 4.5, 1, 0, 1.9, 0]])
    assert instances.distance(hills, depth=1).tolist() == [[0, 1, 1, 1, 2, 2, 0, 3, 0]]
    assert instances.distance(hills, depth=1.5).tolist() == [[0, 1, 1, 1, 1, 1, 0, 2, 0]]
    assert instances.distance(np.array([[0, 5, 3.4, 4.95, 0]]), depth=1.5).max() == 2
    assert instances.distance(hills).tolist() == [[0, 1, 1, 1, 1, 1, 0, 0, 0]]
    assert instances.distance(hills, threshold=1.5, depth=1).tolist() == [[0, 1, 1, 1, 2, 0, 0, 3, 0]]


def test_border_seeds_are_interior_and_meet_on_the_border():
    background = [0.8, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8, 0.2]
    interior = [0.1, 0.8, 0.5, 0.3, 0.1, 0.3, 0.8, 0.1, 0.0]
    classes = np.array([[[b, i, 1 - b - i] for b, i in zip(background, interior, strict=True)]])
    left, ridge, right = np.split(instances.from_probabilities(classes, "border")[0], [4, 5])
    assert left.tolist() == [0, 1, 1, 1] and ridge[0] in (1, 2)
    assert right.tolist() == [2, 2, 0, 0]  # the last pixel is border without an interior
    assert not instances.from_probabilities(classes, "border", threshold=0.95).any()
    faint = np.array([[[0.35, 0.4, 0.25], [1, 0, 0], [0, 1, 0]]])
    assert instances.from_probabilities(faint, "border").tolist() == [[1, 0, 2]]
    assert instances.from_probabilities(faint, "border", threshold=0.9).tolist() == [[0, 0, 1]]
    assert instances.from_probabilities(faint, "border", core=0.5).tolist() == [[0, 0, 1]]
    parted = instances.from_probabilities(classes, "border", core=0.6)[0]
    assert parted[[0, 1, 2, 3, 5, 6, 7]].tolist() == [0, 1, 1, 1, 2, 2, 0]
    assert instances.from_probabilities(classes, "border", core=0.3)[0].max() == 2
    with pytest.raises(ValueError, match=r"greater than 0 and at most 1, not 1\.5"):
        instances.from_probabilities(classes, "border", core=1.5)


def test_small_objects_go_and_the_numbering_closes():
    objects = np.array([[1, 1, 0, 2, 3, 3, 3]])
    assert instances.without_small(objects, 2).tolist() == [[1, 1, 0, 0, 2, 2, 2]]
    assert instances.without_small(objects, 0).tolist() == objects.tolist()


def test_one_piece_is_the_one_with_most_probability_and_has_no_holes():
    found = np.zeros((20, 20))
    found[2:9, 2:9], found[4:6, 4:6] = 0.9, 0.1  # 45 pixels, 40.5 in sum, and a hole
    found[11:19, 11:18] = 0.6  # 56 pixels, 33.6 in sum
    piece = np.zeros((20, 20), bool)
    piece[2:9, 2:9] = True
    assert instances.one_piece(found).dtype == bool and np.array_equal(instances.one_piece(found), piece)
    assert np.array_equal(instances.one_piece(found, 0.05), piece)
    assert not instances.one_piece(found, 0.95).any() and instances.one_piece(np.ones((3, 3))).all()
    with pytest.raises(ValueError, match="threshold must be greater than 0"):
        instances.one_piece(found, 0)


def test_regrow_undoes_the_cut_and_leaves_other_outlines():
    objects = discs((40, 64), (20, 16, 12), (20, 48, 12))
    objects[10:30, 28:37] = 3  # touches both
    cut = perfect(objects, "regrow")
    assert np.count_nonzero(cut) < np.count_nonzero(objects) - 30
    found = instances.from_probabilities(cut, "regrow")
    assert same_objects(np.where(objects > 0, found, 0), objects)
    filled = (objects == 0) & (found > 0)  # the notches where the outlines part, at most two pixels wide
    assert filled.sum() <= 16
    near_both = cv2.dilate((objects == 3).astype(np.uint8), np.ones((3, 5))) & cv2.dilate(
        np.isin(objects, (1, 2)).astype(np.uint8), np.ones((3, 5))
    )
    assert near_both[filled].all()


def test_regrow_by_as_many_pixels_as_it_is_told():
    gap = np.ones((12, 20), np.float32)
    gap[:, 8:12] = 0  # four pixels wide, from edge to edge
    assert same_objects(instances.regrow(gap, grow=1), labels.connected(gap > 0))
    halves = np.broadcast_to(np.where(np.arange(20) < 10, 1, 2), gap.shape)
    np.testing.assert_array_equal(instances.regrow(gap, grow=2), halves)
    at_edge = np.zeros((9, 9), np.float32)
    at_edge[1:8, 1:8] = 1  # one pixel from the image's edge, which is no object
    np.testing.assert_array_equal(instances.regrow(at_edge), at_edge)
    np.testing.assert_array_equal(instances.regrow(at_edge, grow=3), at_edge)


def test_regrow_from_sure_seeds_parts_what_is_bridged_and_keeps_the_outline():
    """Along a row 0.9, a bridge that sinks to 0.6, and 0.9 again; rims of 0.5 at both ends, and 0.6 alone."""
    row = np.array([0.1, 0.5, 0.9, 0.9, 0.7, 0.6, 0.7, 0.9, 0.5, 0, 0, 0, 0.6, 0], np.float32)[None]
    assert instances.regrow(row, 0.5).tolist() == [[0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 2, 0]]
    found = instances.regrow(row, 0.5, core=0.8)
    assert found[0, :5].tolist() == [0, 1, 1, 1, 1] and found[0, 6:].tolist() == [2, 2, 2, 0, 0, 0, 0, 0]
    assert found[0, 5] in (1, 2)
    assert instances.regrow(row, 0.5, core=0.8, smallest_seed=2).tolist() == [
        [0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    ]
    assert not instances.regrow(row, 0.5, core=0.8, smallest_seed=3).any()
    uneven = np.array([0.9, 0.9, 0.8, 0.8, 0.8, 0.6, 0.9, 0.9], np.float32)[None]  # they meet at 0.6, not midway
    assert instances.regrow(uneven, 0.5, core=0.85)[0, [0, 4, 6]].tolist() == [1, 1, 2]


def test_sure_seeds_at_the_threshold_give_the_same_objects(truth):
    """A core at or below the threshold finds the components that one threshold finds."""
    for objects in truth:
        prediction = np.clip(blurred(perfect(objects, "regrow"), 1.0), 0, 1)
        one, other = instances.regrow(prediction, 0.6), instances.regrow(prediction, 0.6, core=0.4)
        assert one.max() == other.max() and scores.objects(one, other).f > 0.99


def test_a_waist_makes_no_object_of_its_own_where_small_seeds_are_none():
    """Two bodies and a thin waist, whose interior of one pixel lies alone between two widths of border."""
    objects = np.zeros((24, 40), np.int32)
    objects[4:20, 3:15] = objects[4:20, 25:37] = 1
    objects[11:13, 15:25] = 1
    objects[10:13, 20] = 1
    classes = perfect(objects, "border")
    assert instances.border(classes).max() == 3
    assert instances.border(classes, smallest_seed=2).max() == 2


def test_border_target_agrees_with_a_plain_loop(truth):
    objects = truth[0][:80, :90]
    expected = np.zeros(objects.shape, int)
    for y, x in np.argwhere(objects):
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [0 <= a < objects.shape[0] and 0 <= b < objects.shape[1] for a, b in around]
        others = [objects[place] != objects[y, x] for place, ok in zip(around, inside, strict=True) if ok]
        expected[y, x] = 2 if any(others) else 1
    target = instances.border_target(objects)
    assert target.dtype == np.int32 and set(np.unique(target)) == {0, 1, 2}
    np.testing.assert_array_equal(target, expected)


def test_distance_target_agrees_with_every_pair_of_pixels(truth):
    contact = (truth[0] > 0) & (labels.separate(truth[0]) == 0)
    row, column = np.maximum(np.argwhere(contact)[0] - 24, 0)
    objects = truth[0][row : row + 48, column : column + 60]
    objects = np.where(objects == objects.max(), 900, objects)  # a gap in the numbering
    around = np.pad(objects, 1)  # beyond the image is outside of every object
    places = np.argwhere(around >= 0) - 1
    expected = np.zeros(objects.shape)
    for y, x in np.argwhere(objects):
        outside = places[around.ravel() != objects[y, x]]
        expected[y, x] = np.sqrt(((outside - (y, x)) ** 2).sum(axis=1).min())
    target = instances.distance_target(objects)
    assert target.dtype == np.float32
    np.testing.assert_allclose(target, expected, atol=1e-5)
    contact = (objects > 0) & (labels.separate(objects) == 0)
    assert contact.any() and (target[contact] == 1).all() and target.max() > 4


@pytest.mark.parametrize("make", [instances.border_target, instances.distance_target])
def test_targets_refuse_what_is_no_labels(make):
    for bad, message in [
        (np.ones((4, 4)), "float64"),
        (np.ones((2, 4, 4), int), r"\(2, 4, 4\)"),
        (-np.ones((4, 4), int), "-1"),
        (np.ones((0, 4), int), "at least one pixel"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(bad)


FLAT = np.full((4, 5), 0.4, np.float32)


@pytest.mark.parametrize(
    "prediction, arguments, message",
    [
        (FLAT * 10 - 2, {}, "nets.probabilities on logits"),
        (FLAT - 0.5, {}, r"run from -0\.1 to -0\.1"),
        (FLAT * 10, {"way": "watershed"}, r"run from 4 to 4: use nets\.probabilities"),
        (np.where(FLAT > 0, np.nan, 0), {}, "NaN"),
        (np.where(FLAT > 0, np.inf, 0), {"way": "distance"}, "infinity"),
        (np.ones((4, 5), int), {}, r"floats, not int64.*labels\.connected"),
        (np.ones((4, 5), bool), {"way": "regrow"}, "floats, not bool"),
        (np.stack([FLAT, FLAT], axis=-1), {}, "sum to 1"),
        (np.stack([FLAT] * 3, axis=-1), {"way": "border"}, "sum to 1"),
        (np.stack([FLAT] * 3, axis=-1), {}, r"1 or 2 channels, not \(4, 5, 3\): three classes go to way 'border'"),
        (np.stack([FLAT] * 2, axis=-1), {"way": "distance"}, r"1 channels, not \(4, 5, 2\)"),
        (FLAT, {"way": "border"}, r"3 channels, not \(4, 5\)"),
        (np.zeros((2, 4, 5, 1)), {}, r"not \(2, 4, 5, 1\).*image by image"),
        (np.zeros((0, 5)), {}, r"not \(0, 5\)"),
        (FLAT, {"way": "otsu"}, "components, watershed, border, regrow, distance, not 'otsu'"),
        (FLAT, {"threshold": 128}, "at most 1, not 128"),
        (FLAT, {"threshold": 0}, "greater than 0"),
        (FLAT, {"way": "distance", "threshold": np.nan}, "not nan"),
        (FLAT, {"smallest": -1}, "smallest must be a whole number"),
        (FLAT, {"smallest": 2.5}, "not 2.5"),
        (FLAT, {"way": "watershed", "depth": 0}, "depth must be a positive number"),
        (FLAT, {"way": "regrow", "grow": 0}, "at least 1, not 0"),
        (FLAT, {"way": "regrow", "grow": 1.5}, "not 1.5"),
        (FLAT, {"way": "regrow", "core": 1.5}, "not 1.5"),
        (FLAT, {"way": "regrow", "core": 0.5, "smallest_seed": -1}, "smallest_seed must be a whole number"),
    ],
)
def test_errors_carry_the_fix(prediction, arguments, message):
    with pytest.raises(ValueError, match=message):
        instances.from_probabilities(prediction, **arguments)


@pytest.mark.parametrize("way, option", list(itertools.product(["components", "border"], ["depth", "grow"])))
def test_an_option_of_another_way_is_not_ignored(way, option):
    with pytest.raises(TypeError, match=option):
        instances.from_probabilities(FLAT, way, **{option: 1})
