"""One look for images of one task: bright on dark, whatever the microscope."""

import numpy as np
import pytest

from unetbook import normalize
from unetbook.datasets import synthetic


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def dim(image):
    return 0.05 + 0.1 * image


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_and_its_negative_look_alike(channels):
    image = np.repeat(synthetic.nuclei(1, 96, seed=3)[0][0][..., :1], channels, axis=-1)
    image = dim(np.clip(image, 0, 1) if np.median(image) < 0.5 else 1 - np.clip(image, 0, 1))
    shown, negative = normalize.bright_on_dark(image), normalize.bright_on_dark(1 - image)
    assert shown.dtype == np.float32 and shown.shape == image.shape
    assert np.allclose(shown**2, negative**2, atol=1e-5)
    assert shown.min() == 0 and shown.max() == 1
    assert np.median(shown) < 0.5


@pytest.mark.parametrize("lamp", [1, 0.5, 1 / 16])
def test_a_dim_lamp_or_a_camera_of_12_bits_does_not_change_the_look(lamp):
    image = 1 - 0.6 * np.clip(synthetic.nuclei(1, 96, seed=3)[0][0][..., :1], 0, 1)
    image = image if np.median(image) > 0.5 else 1.4 - image
    image = np.round(65535 * lamp * image) / 65535
    shown = normalize.bright_on_dark(image)
    assert normalize.light_ground(image) and np.median(shown**2) < 0.4
    full = normalize.bright_on_dark(np.round(image / lamp * 65535) / 65535)
    assert np.allclose(shown**2, full**2, atol=5e-3)


def test_a_dim_signal_of_16_bits_is_stretched_whole():
    counts = 200 + np.round(100 * synthetic.nuclei(1, 96, seed=3)[0][0][..., :1].clip(0, 1))
    shown = normalize.bright_on_dark(counts / 65535)
    assert shown.max() == 1 and shown.min() == 0


@pytest.mark.parametrize("few", [0, 25])
def test_a_nearly_empty_picture_keeps_its_polarity(few, rng):
    """One nucleus in noise: the percentiles see the noise alone, whose median lies in the middle of its range."""
    image = 0.1 + 0.01 * rng.standard_normal((256, 256, 1))
    image[100:109, 100:110] = 0.5
    image[:1, :few] += 0.1  # pixels of the camera that are too bright
    assert not normalize.light_ground(image) and normalize.light_ground(1 - image)
    assert np.allclose(normalize.bright_on_dark(1 - image), normalize.bright_on_dark(image), atol=1e-3)
    assert normalize.bright_on_dark(image)[100:109, 100:110].min() == 1


def test_brightness_and_contrast_of_the_microscope_do_not_matter(rng):
    image = rng.beta(1, 6, (64, 48, 3))
    shown, of_dim = normalize.bright_on_dark(image), normalize.bright_on_dark(dim(image))
    assert np.allclose(shown**2, of_dim**2, atol=1e-5)


def test_a_dim_object_is_seen_beside_a_bright_one():
    image = np.zeros((64, 64, 1))
    image[8:16, 8:16], image[40:48, 40:48] = 1, 0.09
    shown = normalize.bright_on_dark(image)
    assert shown[10, 10] == 1 and shown[44, 44] == pytest.approx(0.3, abs=1e-6) and shown[0, 0] == 0


def test_one_pair_of_percentiles_keeps_colors_apart(rng):
    image = rng.random((64, 64, 1)) ** 4 * [0.2, 0.4, 0.8]
    shown = normalize.bright_on_dark(image)
    blue, green, red = (np.mean(shown[..., channel] ** 2) for channel in (2, 1, 0))
    assert blue > 1.5 * green > 2 * red


def test_the_percentiles_are_those_that_are_named(rng):
    image = rng.permutation(0.4 * np.linspace(0, 1, 10_000) ** 4).reshape(100, 100, 1)
    shown = normalize.bright_on_dark(image)
    assert np.mean(shown == 0) == pytest.approx(0.01, abs=2e-4) and np.mean(shown == 1) == pytest.approx(
        0.002, abs=2e-4
    )


def test_an_image_without_contrast_is_not_blown_up(rng):
    assert not normalize.bright_on_dark(np.full((8, 8, 1), 0.7)).any()
    noisy = 0.2 + rng.random((32, 32, 1)) * 1e-6
    assert np.max(normalize.bright_on_dark(noisy) ** 2) < 1e-3


def test_a_given_array_stays_as_it_is(rng):
    image = rng.random((8, 8, 1)).astype(np.float32)
    before = image.copy()
    for rule in normalize.RULES.values():
        rule(image)
    assert np.array_equal(image, before) and np.array_equal(normalize.as_it_is(image), image)


def test_stretched_brings_a_camera_of_12_bits_to_the_full_range_and_inverts_nothing(rng):
    image = np.round(4095 * rng.beta(2, 2, (64, 48, 1))) / 65535
    shown = normalize.stretched(image)
    assert shown.dtype == np.float32 and shown.min() == 0 and shown.max() == 1
    assert np.corrcoef(shown.ravel(), image.ravel())[0, 1] > 0.99
    assert np.allclose(normalize.stretched(0.5 * image), shown, atol=1e-5)


def test_errors_name_the_fix():
    with pytest.raises(ValueError, match=r"no normalization 'bright': known are as_it_is, bright_on_dark, stretched"):
        normalize.rule("bright")
    for rule in normalize.RULES.values():
        with pytest.raises(TypeError, match="floats, not uint8: scale"):
            rule(np.zeros((4, 4, 1), np.uint8))
        with pytest.raises(ValueError, match="run from 0 to 255"):
            rule(np.array([[[0.0], [255.0]]]))
        with pytest.raises(ValueError, match="NaN"):
            rule(np.full((4, 4, 1), np.nan))
        for shape in ((4, 4), (0, 4, 1)):
            with pytest.raises(ValueError, match=r"\(H, W, C\)"):
                rule(np.zeros(shape))
    assert normalize.rule("bright_on_dark") is normalize.bright_on_dark
