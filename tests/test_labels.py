import numpy as np
import pytest
from scipy import ndimage

from unetbook import labels


@pytest.fixture
def blobs():
    return np.random.default_rng(0).random((40, 57)) < 0.55


@pytest.mark.parametrize("connectivity, structure", [(4, 1), (8, 2)])
def test_connected_agrees_with_scipy(blobs, connectivity, structure):
    ours = labels.connected(blobs, connectivity)
    theirs, count = ndimage.label(blobs, ndimage.generate_binary_structure(2, structure))
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert ours.dtype == np.int32 and ours.shape == blobs.shape
    assert ours.max() == count > 5
    assert pairs.shape[1] == count + 1  # a one-to-one renumbering, background included


def test_connected_by_hand():
    corner = np.array([[1, 0], [0, 1]])
    assert labels.connected(corner).max() == 2
    assert labels.connected(corner, 8).max() == 1
    assert labels.connected(np.zeros((3, 3), bool)).max() == 0


@pytest.mark.parametrize("mask, message", [(np.zeros((2, 3, 3)), "slice by slice"), (np.eye(3) * 255, "threshold")])
def test_connected_refuses(mask, message):
    with pytest.raises(ValueError, match=message):
        labels.connected(mask)


def test_connected_refuses_connectivity():
    with pytest.raises(ValueError, match="4 or 8, not 6"):
        labels.connected(np.zeros((3, 3), bool), 6)


def separate_slowly(picture):
    result = picture.copy()
    height, width = picture.shape
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width and 0 not in (picture[y, x], picture[v, u]):
                    if picture[y, x] != picture[v, u]:
                        result[y, x] = 0
    return result


def test_separate_agrees_with_the_plain_loop():
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 4, (3, 9, 11)).astype(np.int32)
    stack = coarse.repeat(3, axis=1).repeat(3, axis=2)
    separated = labels.separate(stack)
    assert separated.dtype == np.int32
    for ours, picture in zip(separated, stack, strict=True):
        assert np.array_equal(ours, separate_slowly(picture))
    assert not np.array_equal(separated, stack)
    assert np.array_equal(labels.separate(separated), separated)  # no contact is left


def test_separate_keeps_what_does_not_touch():
    apart = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 3, 0]], np.int32)  # 3 meets 2 at a corner only
    assert np.array_equal(labels.separate(apart), apart)
    assert labels.separate(np.array([[1, 1, 1, 2, 2, 2]])).tolist() == [[1, 1, 0, 0, 2, 2]]


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros(4, int)])
def test_separate_refuses(bad):
    with pytest.raises(ValueError, match=r"integers \(H, W\)"):
        labels.separate(bad)
