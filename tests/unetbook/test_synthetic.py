"""Synthetic pictures: exact truth, the same from the same seed, quick to draw, and hard enough to teach."""

import time

import cv2
import keras
import numpy as np
import pytest
from skimage.filters import threshold_otsu

from unetbook import labels, nets, scores, training
from unetbook.datasets import synthetic
from unetbook.datasets.synthetic import _lesions

KINDS = [synthetic.membranes, synthetic.cells, synthetic.nuclei, synthetic.lesions]


@pytest.fixture(scope="module", params=KINDS, ids=lambda draw: draw.__name__)
def draw(request):
    return request.param


@pytest.fixture(scope="module")
def pictures(draw):
    return draw(8, 256, 3) if draw is not synthetic.lesions else draw(32, 96, 3)  # one object a picture


@pytest.mark.parametrize("size, shape", [(64, (64, 64)), ((48, 100), (48, 100)), ([32, 33], (32, 33))])
def test_shapes_and_ranges(draw, size, shape):
    images, truth = draw(3, size, 0)
    assert images.shape == (3, *shape, 3 if draw is synthetic.lesions else 1) and images.dtype == np.float32
    assert truth.shape == (3, *shape) and truth.dtype == np.int32
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.05
    assert truth.min() == 0 and truth.max(axis=(1, 2)).min() >= 1


def test_a_picture_depends_on_its_seed_and_number_alone(draw):
    images, truth = draw(3, 64, 7)
    again, truth_again = draw(2, 64, 7)
    np.testing.assert_array_equal(images[:2], again)
    np.testing.assert_array_equal(truth[:2], truth_again)
    other, _ = draw(2, 64, 8)
    for one, two in [(images[0], images[1]), (images[0], other[0]), (images[1], other[0])]:
        assert np.abs(one - two).mean() > 0.02


def test_each_label_is_one_component(draw, pictures):
    for picture in pictures[1]:
        numbers, areas = np.unique(picture[picture > 0], return_counts=True)
        np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
        assert len(numbers) == 1 if draw is synthetic.lesions else len(numbers) > 5
        assert areas.min() >= 30
        for number in numbers:
            assert labels.connected(picture == number).max() == 1


def test_membranes_separate_all_profiles():
    images, truth = synthetic.membranes(16, 256, 0)
    np.testing.assert_array_equal(labels.separate(truth), truth)
    assert 0.18 < np.mean(truth == 0) < 0.3  # ISBI 2012 has 0.22
    assert images[..., 0][truth == 0].mean() < images[..., 0][truth > 0].mean() - 0.15
    areas = np.concatenate([np.bincount(picture.ravel())[1:] for picture in truth])
    assert np.quantile(areas, 0.95) > 15 * np.quantile(areas, 0.25)  # sizes as unequal as in tissue


def test_at_least_a_third_of_the_cells_touch_another():
    _, truth = synthetic.cells(16, 256, 0)
    gaps = (truth > 0) & (labels.separate(truth) == 0)
    touching = sum(len(np.unique(picture[gap])) for picture, gap in zip(truth, gaps, strict=True))
    assert touching / truth.max(axis=(1, 2)).sum() > 1 / 3
    assert 0.2 < np.mean(truth > 0) < 0.5


def test_three_in_ten_nuclei_share_a_component():
    _, truth = synthetic.nuclei(64, 256, 0)
    fused = 0
    for picture in truth:
        component = labels.connected(picture > 0, connectivity=8)
        first = np.unique(picture, return_index=True)[1][1:]  # one pixel of each nucleus
        company = np.bincount(component.ravel()[first])
        fused += company[company > 1].sum()
    assert 0.2 < fused / truth.max(axis=(1, 2)).sum() < 0.4  # Data Science Bowl 2018: 0.29
    areas = np.concatenate([np.bincount(picture.ravel())[1:] for picture in truth])
    assert areas.min() >= 30 and 200 < np.median(areas) < 400  # there 302
    assert 20 < np.median(truth.max(axis=(1, 2))) < 60


def test_some_nuclei_are_as_dim_as_the_haze():
    images, truth = synthetic.nuclei(32, 256, 0)
    ratios, dim = [], 0
    for image, picture in zip(images[..., 0], truth, strict=True):
        light = [image[picture == number].mean() for number in range(1, picture.max() + 1)]
        ratios.append(np.quantile(light, 0.9) / np.quantile(light, 0.1))
        dim += min(light) < np.quantile(image[picture == 0], 0.99)
        assert image[picture > 0].mean() > 1.5 * image[picture == 0].mean()
    assert np.median(ratios) > 2 and dim > 16


@pytest.mark.parametrize("size", [(64, 150), 256])
def test_a_lesion_is_one_piece_without_holes(size):
    _, truth = synthetic.lesions(32, size, 0)
    assert set(np.unique(truth)) == {0, 1}
    assert 0.02 <= truth.mean(axis=(1, 2)).min() and truth.mean(axis=(1, 2)).max() <= 0.6
    assert truth.mean(axis=(1, 2)).std() > 0.05
    for picture in truth:
        around = np.pad(picture == 0, 1, constant_values=True)
        assert labels.connected(around, connectivity=8).max() == 1


def test_the_outline_of_a_lesion_lies_at_half_its_contrast():
    images, truth = synthetic.lesions(64, 128, 0)
    bands = {"skin": (-10, -6), "outline": (-1.5, 1.5), "lesion": (6, 10)}
    blue = {name: [] for name in bands}
    for image, picture in zip(images[..., 2], truth.astype(np.uint8), strict=True):
        depth = cv2.distanceTransform(picture, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - picture, cv2.DIST_L2, 5)
        for name, (low, high) in bands.items():
            blue[name].append(np.median(image[(depth >= low) & (depth <= high)]))
    skin, outline, lesion = (np.array(blue[name]) for name in bands)
    assert np.mean(lesion < skin) > 0.9
    assert 0.4 < np.mean(skin - outline) / np.mean(skin - lesion) < 0.6


def test_hairs_are_thin_dark_lines_that_leave_the_labels_alone(monkeypatch):
    images, truth = synthetic.lesions(24, 128, 3)
    draw_hairs = _lesions._hairs
    # On a copy: the same random numbers are drawn, and the picture stays bald.
    monkeypatch.setattr(_lesions, "_hairs", lambda rng, image, unit: draw_hairs(rng, image.copy(), unit))
    bald, same = synthetic.lesions(24, 128, 3)
    np.testing.assert_array_equal(truth, same)
    darker = (bald - images).mean(axis=-1)
    hairs = np.abs(bald - images).max(axis=-1) > 0.02
    shares = hairs.mean(axis=(1, 2))
    assert 0.2 < np.mean(shares == 0) < 0.6 and 0.1 < shares.max() < 0.5  # none, a few or many
    np.testing.assert_array_equal(images[shares == 0], bald[shares == 0])
    on_skin = hairs & (truth == 0) & (bald.mean(axis=-1) > 0.3)
    assert np.count_nonzero(on_skin) > 10_000
    assert (darker[on_skin] > 0).mean() > 0.99 and darker[on_skin].mean() > 0.05
    square, thick = np.ones((7, 7), np.uint8), 0  # the square fits in only where hairs cross
    for hair in hairs[shares > 0].astype(np.uint8):
        thick += cv2.morphologyEx(hair, cv2.MORPH_OPEN, square).sum()
        _, _, boxes, _ = cv2.connectedComponentsWithStats(hair, connectivity=8)
        assert boxes[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max() > 15  # a line, no speck
    assert thick < 0.06 * np.count_nonzero(hairs)


def keeping(function, results):
    """The function, which also puts what it returns into a list."""

    def call(*arguments):
        results.append(function(*arguments))
        return results[-1]

    return call


def test_dark_corners_follow_the_lens_and_leave_the_labels_alone(monkeypatch):
    lens, lenses = _lesions._lens, []
    monkeypatch.setattr(_lesions, "_lens", keeping(lens, lenses))
    images, truth = synthetic.lesions(24, 128, 3)
    lenses = np.array(lenses)
    dark, middle = lenses <= 0.5, (slice(None), slice(40, 88), slice(40, 88))
    cut = dark.any(axis=(1, 2))
    assert 0.25 < cut.mean() < 0.75 and lenses[~cut].min() > 0.99  # about half of the pictures
    assert dark[cut][:, [0, 0, -1, -1], [0, -1, 0, -1]].all() and not dark[middle].any()
    assert not truth[dark].any()
    within = np.array([cv2.erode(corner, np.ones((9, 9))) for corner in dark.astype(np.uint8)]) > 0  # beyond the blur
    assert images[within].mean() < 0.1
    light = []
    for share in (0.2, 0.4):  # of the light in the dark corners, which end where they did
        changed = iter(np.where(dark, np.float32(share), lenses))
        monkeypatch.setattr(_lesions, "_lens", lambda rng, shape, changed=changed: (lens(rng, shape), next(changed))[1])
        other, same = synthetic.lesions(24, 128, 3)
        np.testing.assert_array_equal(truth, same)
        assert np.abs(other - images)[middle].max() < 1e-6
        light.append(other[within].mean())
    assert light[1] == pytest.approx(2 * light[0], rel=0.02)


def test_a_lesion_ends_where_the_lens_does():
    visible = np.zeros((64, 64), bool)
    visible[:, :36] = True
    lesions = np.array([_lesions._outline(np.random.default_rng(seed), visible) for seed in range(20)])
    assert not lesions[:, ~visible].any() and lesions[:, :, 35].any()
    rows, columns = np.indices((40, 160))
    wide = np.hypot(rows - 19.5, columns - 79.5) < 74
    across = _lesions._outline(np.random.default_rng(4), wide)  # from edge to edge: it cuts a dark corner off
    assert across[0].any() and across[-1].any() and not across[~wide].any()


def test_light_falls_with_the_squared_distance_from_the_center(monkeypatch):
    places, falls = [], []
    monkeypatch.setattr(_lesions, "_from_center", keeping(_lesions._from_center, places))
    monkeypatch.setattr(_lesions.drawing, "noise", lambda rng, shape, scale: np.zeros(shape, np.float32))
    for seed in range(40):
        light = _lesions._light(np.random.default_rng(seed), (32, 48))[..., 1]
        squared = places[-1] ** 2
        slope, center = np.polyfit(squared.ravel(), light.ravel(), 1)
        np.testing.assert_allclose(light, center + slope * squared, atol=1e-4)
        falls.append(-slope / center)
        assert places[-1].min() < 0.1 and places[-1][[0, 0, -1, -1], [0, -1, 0, -1]].min() > 1.1
    assert 0 <= min(falls) < 0.05 and 0.25 < max(falls) <= 0.3 + 1e-4


def test_two_hundred_pictures_take_seconds(draw):
    start = time.process_time()
    draw(20, 256, 1)
    assert time.process_time() - start < 2  # about 0.4 s


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((0, 64, 0), ValueError, "count must be at least 1"),
        ((2.0, 64, 0), TypeError, r"count must be a whole number, not 2\.0"),
        ((1, 31, 0), ValueError, "at least 32 pixels a side, not 31 x 31"),
        ((1, (64, 20), 0), ValueError, "at least 32 pixels a side, not 64 x 20"),
        ((1, (64, 64, 1), 0), ValueError, r"one number or \(height, width\)"),
        ((1, "64", 0), TypeError, "size must be a whole number, not '64'"),
        ((1, 64, -1), ValueError, "seed must be 0 or larger"),
        ((1, 64, None), TypeError, "seed must be a whole number, not None"),
    ],
)
def test_errors_name_the_argument(draw, arguments, error, message):
    with pytest.raises(error, match=message):
        draw(*arguments)


def test_no_threshold_finds_most_objects(draw, pictures):
    """The best of all levels, channels and smoothings; where one lesion is known to be there, the largest piece."""
    images, truth = pictures
    gray = [images[..., channel] for channel in range(images.shape[-1])] + [images.mean(axis=-1)]
    best = 0
    for plane in gray if len(gray) > 2 else gray[:1]:
        for sigma in (0, 1, 2):
            smooth = [cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image for image in plane]
            levels = [np.full(len(smooth), level) for level in np.arange(0.08, 0.8, 0.04)]
            for level in [[threshold_otsu(image) for image in smooth], *levels]:
                for sign in (1, -1):
                    masks = [sign * image > sign * cut for image, cut in zip(smooth, level, strict=True)]
                    best = max(best, _object_f(truth, masks, largest=draw is synthetic.lesions))
    assert 0.2 < best <= 0.6


def test_a_quick_unet_finds_most_objects(draw):
    if draw is synthetic.lesions:  # they grow with the picture: training and test have one size
        training_set, held_out, settings = draw(64, 96, 10), draw(192, 96, 11), {"epochs": 8}
    else:
        training_set, held_out, settings = draw(128, 96, 10), draw(16, 256, 11), {"epochs": 6}
    if draw in (synthetic.membranes, synthetic.nuclei):  # easier: found by less
        settings = {"epochs": 4, "depth": 2, "rate": 1e-2}
    network = quick_network(*training_set, seed=0, **settings)
    logits = network.predict(held_out[0], batch_size=4, verbose=0)
    assert 0.6 <= _object_f(held_out[1], logits[..., 1] > logits[..., 0]) <= 0.95


def quick_network(images, truth, seed, epochs, depth=3, rate=5e-3):
    """A quarter of a minute on one core; the rate falls to 0, so that the last step is no lottery."""
    training.set_seed(seed)
    channels = images.shape[-1]
    network = nets.unet((None, None, channels), 2, filters=8, depth=depth, padding="same", normalization="batch")
    masks = (labels.separate(truth) > 0).astype("int32")
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * len(images) // 2)
    training.fit(network, (images, masks), epochs=epochs, batch_size=2, optimizer=keras.optimizers.Adam(falling))
    return network


def _object_f(truth, masks, largest=False):
    """F at IoU > 0.5 over all pictures: 4-connected components of at least 20 pixels against the truth."""
    matched = wrong = 0
    for picture, mask in zip(truth, masks, strict=True):
        components = labels.connected(mask)
        areas = np.bincount(components.ravel())
        keep = areas >= 20
        if largest:
            keep &= areas == areas[1:].max(initial=0)
        components[~keep[components]] = 0
        score = scores.objects(picture, components)
        matched, wrong = matched + score.matched, wrong + score.missed + score.extra
    return 2 * matched / (2 * matched + wrong)


def test_ellipses_vary_in_what_is_asked_for_alone():
    images, truth = synthetic.ellipses(6, 128, 0, objects=10)
    assert images.shape == (6, 128, 128, 1) and images.dtype == np.float32 and truth.dtype == np.int32
    assert truth.max(axis=(1, 2)).tolist() == [10] * 6
    np.testing.assert_array_equal(labels.separate(truth), truth)
    again, _ = synthetic.ellipses(2, 128, 0, objects=10)
    np.testing.assert_array_equal(images[:2], again)
    for objects, share in ((1, 0.011), (3, 0.033), (20, 0.212)):
        assert (synthetic.ellipses(6, 128, 0, objects=objects)[1] > 0).mean() == pytest.approx(share, rel=0.08)
    _, flat = synthetic.ellipses(4, 128, 0, degrees=(-10, 10))
    for picture in flat:
        for number in range(1, picture.max() + 1):
            rows, columns = np.nonzero(picture == number)
            assert np.ptp(columns) > 1.5 * np.ptp(rows)
    assert synthetic.ellipses(1, 64, 0, objects=0)[1].max() == 0


@pytest.mark.parametrize("options", [{"objects": -1}, {"degrees": (90, 0)}, {"degrees": (0, 10, 20)}])
def test_ellipses_name_a_wrong_option(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        synthetic.ellipses(1, 64, 0, **options)
