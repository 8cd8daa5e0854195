"""Synthetic pictures: exact truth, the same from the same seed, quick to draw, and hard enough to teach."""

import time

import keras
import numpy as np
import pytest
from scipy import ndimage

from unetbook import labels, nets, scores, training
from unetbook.datasets import synthetic

KINDS = {"cells": synthetic.cells, "membranes": synthetic.membranes}


@pytest.fixture(params=KINDS)
def draw(request):
    return KINDS[request.param]


def test_shapes_dtypes_and_range(draw):
    images, truth = draw(2, (96, 128), 5)
    assert images.shape == (2, 96, 128, 1) and images.dtype == np.float32
    assert truth.shape == (2, 96, 128) and truth.dtype == np.int32
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.03


def test_a_picture_depends_on_seed_and_number_alone(draw):
    images, truth = draw(3, 96, 7)
    first, first_truth = draw(1, 96, 7)
    assert np.array_equal(images[0], first[0]) and np.array_equal(truth[0], first_truth[0])
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], draw(1, 96, 8)[0][0])


def test_each_label_is_one_component_and_numbers_have_no_gap(draw):
    for picture in draw(3, 128, 1)[1]:
        present = np.unique(picture)
        assert np.array_equal(present, np.arange(picture.max() + 1))
        for number in present[1:]:
            assert labels.connected(picture == number).max() == 1


def test_membranes_cover_about_as_much_as_on_real_slices():
    share = np.mean(synthetic.membranes(6, 256, 0)[1] == 0)
    assert 0.15 < share < 0.35


def test_a_third_of_the_cells_or_more_touch_another_one():
    touching = count = 0
    for picture in synthetic.cells(6, 256, 0)[1]:
        contact = (picture > 0) & (labels.separate(picture) == 0)
        touching += len(np.unique(picture[contact]))
        count += picture.max()
    assert touching / count >= 1 / 3


@pytest.mark.parametrize(("count", "size", "seed"), [(0, 96, 0), (1, 8, 0), (1, 96, -1), (1, (96, 96, 1), 0)])
def test_bad_arguments_are_named(draw, count, size, seed):
    with pytest.raises((ValueError, TypeError), match=r"count|size|seed"):
        draw(count, size, seed)


def test_drawing_is_quick(draw):
    draw(2, 256, 0)
    start = time.process_time()
    draw(10, 256, 1)
    assert time.process_time() - start < 3  # 200 pictures in a minute even on a slow machine


def _f(truth, masks):
    """F at IoU 0.5 over all pictures, connected regions of at least 30 pixels as objects."""
    rows = []
    for picture, mask in zip(truth, masks, strict=True):
        regions = labels.connected(mask)
        areas = np.bincount(regions.ravel())
        rows.append(scores.objects(picture, np.where(areas[regions] >= 30, regions, 0)))
    return 2 * sum(r.matched for r in rows) / sum(2 * r.matched + r.missed + r.extra for r in rows)


def test_no_threshold_finds_the_objects_and_a_quick_network_does(draw):
    images, truth = draw(40, 192, 2)
    test_images, test_truth = draw(8, 192, 3)

    best = 0.0
    for sigma in (0, 1, 2, 3):
        smooth = ndimage.gaussian_filter(test_images[..., 0], (0, sigma, sigma))
        for cut in np.quantile(smooth, np.arange(0.05, 1, 0.05)):
            best = max(best, _f(test_truth, smooth > cut), _f(test_truth, smooth < cut))
    assert best <= 0.6

    training.set_seed(0)
    model = nets.unet((None, None, 1), 2, filters=8, depth=3, padding="same", normalization="batch")
    masks = (labels.separate(truth) > 0).astype("int32")
    rate = keras.optimizers.schedules.CosineDecay(6e-3, 150)  # a falling rate, so that the last step is no lottery
    training.fit(model, (images, masks), epochs=15, batch_size=4, optimizer=keras.optimizers.Adam(rate))
    logits = model.predict(test_images, verbose=0)
    assert 0.6 <= _f(test_truth, logits[..., 1] > logits[..., 0]) <= 0.95
