"""Synthetic pictures: exact truth, the same from the same seed, quick to draw, and hard enough to teach."""

import time

import cv2
import keras
import numpy as np
import pytest
from skimage.filters import threshold_otsu

from unetbook import labels, nets, scores, training
from unetbook.datasets import synthetic

KINDS = [synthetic.membranes, synthetic.cells]


@pytest.fixture(scope="module", params=KINDS, ids=lambda draw: draw.__name__)
def draw(request):
    return request.param


@pytest.fixture(scope="module")
def pictures(draw):
    return draw(8, 256, 3)


@pytest.mark.parametrize("size, shape", [(64, (64, 64)), ((48, 100), (48, 100)), ([32, 33], (32, 33))])
def test_shapes_and_ranges(draw, size, shape):
    images, truth = draw(3, size, 0)
    assert images.shape == (3, *shape, 1) and images.dtype == np.float32
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


def test_each_label_is_one_component(pictures):
    for picture in pictures[1]:
        numbers, areas = np.unique(picture[picture > 0], return_counts=True)
        np.testing.assert_array_equal(numbers, np.arange(1, len(numbers) + 1))
        assert len(numbers) > 5 and areas.min() >= 30
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


def test_no_threshold_finds_most_objects(pictures):
    images, truth = pictures
    best = 0
    for sigma in (0, 1, 2):
        smooth = [cv2.GaussianBlur(image, (0, 0), sigma) if sigma else image[..., 0] for image in images]
        for sign in (1, -1):
            best = max(best, _object_f(truth, [sign * i > sign * threshold_otsu(i) for i in smooth]))
            for level in np.arange(0.2, 0.8, 0.04):
                best = max(best, _object_f(truth, [sign * i > sign * level for i in smooth]))
    assert 0.2 < best <= 0.6


def test_a_quick_unet_finds_most_objects(draw):
    images, truth = draw(128, 128, 10)
    network = quick_network(images, truth, seed=0)
    held_out, held_out_truth = draw(16, 256, 11)
    logits = network.predict(held_out, batch_size=4, verbose=0)
    assert 0.6 <= _object_f(held_out_truth, logits[..., 1] > logits[..., 0]) <= 0.95


def quick_network(images, truth, seed):
    """Half a minute on two cores; the rate falls to 0, so that the last step is no lottery."""
    training.set_seed(seed)
    network = nets.unet((None, None, 1), 2, filters=8, depth=3, padding="same", normalization="batch")
    masks = (labels.separate(truth) > 0).astype("int32")
    rate = keras.optimizers.schedules.CosineDecay(5e-3, 12 * len(images) // 2)
    training.fit(network, (images, masks), epochs=12, batch_size=2, optimizer=keras.optimizers.Adam(rate))
    return network


def _object_f(truth, masks):
    """F at IoU > 0.5 over all pictures: 4-connected components of at least 20 pixels against the truth."""
    matched = wrong = 0
    for picture, mask in zip(truth, masks, strict=True):
        components = labels.connected(mask)
        components[np.bincount(components.ravel())[components] < 20] = 0
        score = scores.objects(picture, components)
        matched, wrong = matched + score.matched, wrong + score.missed + score.extra
    return 2 * matched / (2 * matched + wrong)
