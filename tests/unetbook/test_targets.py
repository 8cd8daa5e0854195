"""Targets in place of objects that touch: those of the package's parts, with the paper's weights or a border's own."""

import numpy as np
import pytest

from unetbook import instances, labels, targets, weightmap
from unetbook.datasets import synthetic


@pytest.fixture(scope="module")
def objects():
    """Cells of which some touch."""
    return synthetic.cells(1, 192, seed=8)[1][0]


@pytest.mark.parametrize("options", [(), (10,), (3, 2.5), (10, 5, (0.5, 2.0))], ids=str)
def test_gaps_are_contact_pixels_and_weights_those_of_the_paper(objects, options):
    classes, weights = targets.with_gaps(objects, *options)
    apart = labels.separate(objects)
    assert classes.dtype == np.int8 and weights.dtype == np.float32 and classes.shape == weights.shape == objects.shape
    assert np.array_equal(classes, apart > 0) and 0 < np.count_nonzero(classes) < np.count_nonzero(objects)
    assert np.array_equal(weights, weightmap.weight_map(apart, *options or (0,)))
    assert (weights == 1).all() == (not options) and (weights.max() > 2.5) == bool(options)


def test_between_two_squares_by_hand():
    objects = np.zeros((5, 9), np.int64)
    objects[1:4, 1:4], objects[1:4, 4:8] = 7, 9
    classes, weights = targets.with_gaps(objects, w0=10)
    assert classes.tolist()[2] == [0, 1, 1, 0, 0, 1, 1, 1, 0] and classes[[0, 4]].max() == 0
    assert weights[2, 3] == weights.max() > 5 and (targets.with_gaps(objects)[1] == 1).all()
    classes, weights = targets.with_border(objects, 10)
    assert classes[1:4, 1:8].min() >= 1 and classes[2].tolist()[2:6] == [1, 2, 2, 1]
    assert np.array_equal(weights, np.where(classes == 2, 10, 1))


@pytest.mark.parametrize("weight", [None, 1, 10])
def test_the_border_is_that_of_instances_and_weighs_what_is_said(objects, weight):
    classes, weights = targets.with_border(objects, *[] if weight is None else [weight])
    assert classes.dtype == np.int8 and weights.dtype == np.float32
    assert np.array_equal(classes, instances.border_target(objects)) and set(np.unique(classes)) == {0, 1, 2}
    assert set(weights[classes == 2]) == {weight or 1} and (weights[classes < 2] == 1).all()
    assert np.array_equal(classes > 0, objects > 0)


def test_without_objects_all_is_background():
    for target in (targets.with_gaps, targets.with_border):
        classes, weights = target(np.zeros((6, 7), np.int32))
        assert classes.max() == 0 and (weights == 1).all()
