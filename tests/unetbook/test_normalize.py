"""One look for images of one task: bright on dark, whatever the microscope."""

import os

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from unetbook import normalize
from unetbook.datasets import dsb2018, synthetic
from unetbook.datasets.synthetic import _drawing as drawing


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


def crowded(seed, side=256):
    """Bright cells (H, W, 1) that cover 40 to 80 % of a dark ground: overlapping ellipses, or shrunken polygons."""
    rng = np.random.default_rng(seed)
    radius, light = rng.uniform(7, 18), np.zeros((side, side), np.float32)
    if seed % 2:  # each pixel belongs to the nearest of some points in a jittered lattice, less a gap
        rows = np.arange(-radius, side + 2 * radius, 1.7 * radius)
        points = [(y, x) for y in rows for x in np.arange(-radius, side + 2 * radius, 2 * radius)]
        points = np.array(points) + rng.normal(0, 0.35 * radius, (len(points), 2))
        (near, next_), owner = np.moveaxis(np.array(cKDTree(points).query(np.argwhere(light == 0), k=2)), 1, -1)
        cell = np.exp(rng.normal(0, 0.2, len(points)))[owner[0].astype(int)]
        light = np.where(next_ - near > rng.uniform(2.5, 5), cell, 0).reshape(side, side).astype(np.float32)
    else:
        wanted = rng.uniform(0.55, 0.8)
        for _ in range(5000):
            size, center = radius * np.exp(rng.normal(0, 0.2)), rng.integers(0, side, 2).tolist()
            new = cv2.ellipse(np.zeros((side, side), np.uint8), center, (int(1.2 * size), int(size / 1.2)),
                              rng.uniform(0, 180), 0, 360, 1, -1) > 0  # fmt: skip
            if (light[new] > 0).mean() < 0.3:
                light[new & (light == 0)] = np.exp(rng.normal(0, 0.2))
            if (light > 0).mean() >= wanted:
                break
    covered = (light > 0).mean()
    light *= 1 + rng.uniform(0, 0.2) * (drawing.noise(rng, light.shape, 1.5) + drawing.noise(rng, light.shape, 5))
    light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.7, 1.6)) * (1 + 0.1 * drawing.noise(rng, light.shape, 80))
    light += rng.uniform(0.02, 0.1) * np.sqrt(np.maximum(light, 0) + 0.05) * rng.standard_normal(light.shape)
    return np.clip(0.1 + 0.45 * light, 0, 1).astype(np.float32)[..., None], covered


def by_the_median(image):
    """The rule that decides where edges do not."""
    low, middle, high = np.percentile(image.mean(axis=2), [1, 50, 99.8])
    return middle - low > 0.3 * (high - low)


def test_crowded_fields_are_taken_for_what_they_are():
    """All of 40 drawn fields and their negatives are right; the median alone takes 37 of the 40 for light ground."""
    fields, covered = zip(*map(crowded, range(40)), strict=True)
    assert 0.6 < np.median(covered) < 0.8 and max(covered) > 0.75
    assert sum(map(by_the_median, fields)) >= 30
    assert sum(not normalize.light_ground(image) for image in fields) >= 39
    assert sum(normalize.light_ground(1 - image) for image in fields) >= 39


@pytest.mark.parametrize("size", [96, 192])
def test_drawn_fields_keep_the_polarity_that_the_median_finds(size):
    for image in synthetic.nuclei(20, size, seed=3)[0]:
        for shown in (image, 1 - image, 1 - image * [0.45, 0.7, 0.25]):
            assert normalize.light_ground(shown) == by_the_median(shown)


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the nuclei are not at hand: set UNETBOOK_DATA")
@pytest.mark.filterwarnings("ignore:image .* in several masks")
def test_real_fields_keep_their_polarity():
    """All 664 were tried, and all are right; here one in twenty."""
    try:
        samples = dsb2018.load()
    except FileNotFoundError:
        pytest.skip("the nuclei are not below UNETBOOK_DATA")
    for k in range(0, len(samples), 20):
        gray, nuclei = samples[k].image.mean(axis=2), samples[k].labels > 0
        light = gray[~nuclei].mean() > gray[nuclei].mean()
        assert normalize.light_ground(samples[k].image) == light == by_the_median(samples[k].image), samples[k].id


def test_pictures_without_an_edge_or_of_a_few_pixels_are_decided_too():
    dot = np.zeros((9, 9, 1))
    dot[4, 4] = 1
    for image in (np.full((8, 8, 1), 0.7), np.zeros((1, 1, 1)), np.ones((2, 5, 3)), dot):
        assert normalize.light_ground(image) is False
    straight = np.zeros((64, 64, 1))
    straight[:, 20:30] = 1  # bends neither way: the median decides
    assert not normalize.light_ground(straight) and normalize.light_ground(1 - straight)


def test_a_person_who_knows_the_ground_is_believed():
    image = synthetic.nuclei(1, 96, seed=3)[0][0]
    shown = normalize.applied("bright_on_dark", image)
    assert np.array_equal(shown, normalize.applied("bright_on_dark", image, ground="dark"))
    told = normalize.applied("bright_on_dark_linear", image, ground="light")
    assert np.allclose(told, normalize.bright_on_dark_linear(1 - image, ground="dark")) and told.mean() > 0.5
    with pytest.raises(ValueError, match="ground must be 'dark', 'light' or None"):
        normalize.bright_on_dark(image, ground="black")
    for name in ("as_it_is", "stretched"):
        with pytest.raises(ValueError, match=f"rule '{name}' does not ask for the ground"):
            normalize.applied(name, image, ground="dark")


def test_stretch_is_for_rules_that_take_the_image_as_it_is(rng):
    image = np.round(4095 * rng.beta(2, 2, (64, 48, 1))) / 65535
    assert np.array_equal(normalize.applied("as_it_is", image, stretch=True), normalize.stretched(image))
    assert normalize.applied("as_it_is", image).max() < 0.07
    for name in ("stretched", "bright_on_dark"):
        assert np.array_equal(normalize.applied(name, image, stretch=True), normalize.rule(name)(image))


def test_what_is_done_is_told(rng):
    image, dim = synthetic.nuclei(1, 96, seed=3)[0][0], np.round(4095 * rng.beta(2, 2, (64, 48, 1))) / 65535
    assert normalize.described("bright_on_dark", image) == ["taken for dark ground"]
    assert normalize.described("bright_on_dark", 1 - image) == ["taken for light ground, inverted"]
    assert normalize.described("bright_on_dark", image, ground="light") == ["light ground, inverted"]
    assert normalize.described("as_it_is", image) == normalize.described("stretched", dim) == []
    (told,) = normalize.described("as_it_is", dim)
    assert told == "its values use 6 % of their range: stretch them (--stretch)"
    assert normalize.described("as_it_is", dim, stretch=True)[0].startswith("stretched from 0.00")


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
