"""Test-time averaging: exact for what turns with the image, and a mean for what does not."""

import numpy as np
import pytest
from scipy import ndimage

from unetbook import averaging


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def blur(image):
    """A prediction that turns with the image: an isotropic filter."""
    return np.dstack([ndimage.gaussian_filter(image[..., 0], 2, mode="mirror"), image[..., 0]])


def test_a_prediction_that_turns_with_the_image_is_not_changed_by_eight(rng):
    image = rng.random((21, 34, 1)).astype(np.float32)
    assert np.allclose(averaging.eight(blur, image), blur(image), atol=1e-6)


def test_eight_is_the_mean_of_the_eight_positions(rng):
    image = rng.random((6, 6, 1)).astype(np.float32)
    corner = np.zeros((6, 6, 1), np.float32)
    corner[0, 1] = 1  # whatever the image, this pixel
    mean = averaging.eight(lambda _: corner, image)
    places = np.argwhere(mean[..., 0] > 0).tolist()
    assert places == [[0, 1], [0, 4], [1, 0], [1, 5], [4, 0], [4, 5], [5, 1], [5, 4]]
    assert np.allclose(mean[mean > 0], 1 / 8)


def test_rotations_keep_smooth_predictions_within_interpolation(rng):
    image = ndimage.gaussian_filter(rng.random((60, 81)), 4)[..., None].astype(np.float32)
    spread = float(np.ptp(image))
    mean = averaging.rotations(blur, image, count=7)
    assert mean.shape == (60, 81, 2) and mean.dtype == np.float32
    inside = (slice(8, -8), slice(8, -8))
    assert np.abs(mean - blur(image))[inside].max() < 0.05 * spread


def test_one_rotation_is_the_image_itself(rng):
    image = rng.random((9, 12, 1)).astype(np.float32)
    assert np.array_equal(averaging.rotations(blur, image, count=1), blur(image).astype(np.float32))


def test_rotations_see_the_image_in_seven_positions(rng):
    image, seen = rng.random((30, 40, 3)).astype(np.float32), []

    def remember(shown):
        seen.append(shown.shape)
        return shown[..., :1]

    averaging.rotations(remember, image)
    assert len(seen) == 7 and seen[0] == (30, 40, 3) and set(seen[1:]) == {(52, 52, 3)}


def test_rotations_are_undone_about_the_same_center(rng):
    marked = np.zeros((40, 50, 1), np.float32)
    marked[9:12, 36:39] = 1
    mean = averaging.rotations(lambda shown: shown, marked, count=5)
    assert ndimage.center_of_mass(mean[..., 0]) == pytest.approx(ndimage.center_of_mass(marked[..., 0]), abs=0.05)


def test_errors_name_the_fix(rng):
    image = rng.random((8, 8, 1)).astype(np.float32)
    with pytest.raises(ValueError, match="at least 1"):
        averaging.rotations(blur, image, count=0)
    for wrong in (lambda shown: shown[..., 0], lambda shown: shown[:4]):
        with pytest.raises(ValueError, match="must return"):
            averaging.eight(wrong, image)
