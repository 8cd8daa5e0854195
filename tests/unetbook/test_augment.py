import warnings

import elasticdeform
import numpy as np
import pytest
from scipy import ndimage

from unetbook import training
from unetbook.augment import Augmenter, deformation, displacement, elastic
from unetbook.datasets import synthetic

pytestmark = pytest.mark.filterwarnings("ignore:elastic=")  # small pictures fold

OFF = {name: 0 for name in ("flip", "rotation", "shift", "zoom", "elastic", "blur", "gamma", "gain", "offset", "noise")}
EVERYTHING = {"shift": 5}  # beside the defaults
GRAY = {name: 0 for name in ("blur", "gamma", "gain", "offset", "noise")}
SHAPES = [(64, 64), (75, 90), (90, 41), (7, 5), (2, 3), (2, 2)]


def generator(seed=0):
    return np.random.default_rng(seed)


def picture(height=75, width=90, channels=1, seed=3):
    return generator(seed).random((height, width, channels), np.float32)


def numbers(shape, dtype=np.int32):
    """Each pixel has its own number."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def stripes(height, width, vertical, seed):
    """A binary mask of stripes at least 4 pixels wide: across them it looks like a line, along them it is constant."""
    across = width if vertical else height
    line = np.repeat(generator(seed).permutation(across) % 2, 4 + generator(seed).integers(9, size=across))[:across]
    return np.broadcast_to(line if vertical else line[:, None], (height, width)).astype(np.int32)


def at(plane, coordinates):
    """The reference: the nearest pixels by plain indexing, mirrored at the borders."""
    indices = []
    for places, length in zip(np.rint(coordinates).astype(int), plane.shape, strict=True):
        period = 2 * (length - 1)
        folded = np.abs(places) % period
        indices.append(np.minimum(folded, period - folded))
    return plane[tuple(indices)]


def geometry(augmenter, shape, seed):
    """The coordinates of the call with this seed: geometry has the first of the two spawned generators."""
    return augmenter.coordinates(shape, generator(seed).spawn(2)[0])


# The field, and the elastic deformation


@pytest.mark.parametrize(
    ("shape", "grid"), [((512, 512), 3), ((200, 301), 3), ((101, 97), 5), ((64, 80), 4), ((64, 64), 2)]
)
def test_the_field_is_that_of_elasticdeform(shape, grid):
    vectors = generator(1).normal(0, 10, (2, grid, grid))
    ramps = [ramp.astype(float) for ramp in np.indices(shape)]
    small = 1e-4  # a field is linear in its vectors, and a small one reads the ramps inside the image only
    moved = elasticdeform.deform_grid(ramps, vectors * small, order=1, mode="nearest")
    expected = (np.array(moved) - ramps) / small
    difference = np.abs(displacement(shape, vectors) - expected)
    assert difference[:, 1:-1, 1:-1].max() < 1e-3 and np.abs(expected).max() > 5
    if grid == 3:
        corners = displacement(shape, vectors)[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_allclose(corners, vectors[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-3)


def test_the_field_runs_through_its_control_points_and_may_have_another_number_of_rows():
    vectors = generator(1).normal(0, 10, (2, 3, 5))
    field = displacement((101, 81), vectors)
    assert field.shape == (2, 101, 81) and field.dtype == np.float32
    np.testing.assert_allclose(field[:, ::50, ::20], vectors, atol=1e-4)
    np.testing.assert_allclose(displacement((40, 30), np.full((2, 3, 3), 2.5)), 2.5, atol=1e-5)


@pytest.mark.parametrize("kind", [synthetic.cells, synthetic.membranes])
def test_images_and_masks_are_those_of_elasticdeform(kind):
    images, labels = kind(1, 256, seed=4)
    image, mask = images[0], labels[0].astype(np.int32)
    vectors = generator(7).normal(0, 8, (2, 3, 3))
    expected, expected_mask = elasticdeform.deform_grid([image[..., 0], mask], vectors, order=[3, 0], mode="mirror")
    warped, warped_mask = elastic(image, mask, generator(7), std=8)
    assert np.abs(warped[..., 0] - expected).mean() * 255 < 1 < np.abs(image[..., 0] - expected).mean() * 255
    assert np.mean(warped_mask != expected_mask) < 1e-3 < np.mean(mask != expected_mask)


def test_elastic_shows_what_lies_a_displacement_away():
    labels = numbers((80, 70))
    field = displacement((80, 70), generator(5).normal(0, 6, (2, 4, 4)))
    _, warped = elastic(picture(80, 70), labels, generator(5), std=6, grid=4)
    np.testing.assert_array_equal(warped, at(labels, field + np.indices((80, 70))))


def test_elastic_keeps_the_range_of_the_image_and_std_0_keeps_all():
    image = picture() * 3 - 1
    assert image.min() <= elastic(image, numbers((75, 90)), generator())[0].min()
    assert image.max() >= elastic(image, numbers((75, 90)), generator())[0].max()
    same = elastic(image, numbers((75, 90)), generator(), std=0, weights=image[..., 0])
    for ours, given in zip(same, (image, numbers((75, 90)), image[..., 0]), strict=True):
        np.testing.assert_array_equal(ours, given)


# Image, labels and weights in step


WAYS = {
    "elastic": lambda *data, **more: elastic(*data, std=4, **more),
    "everything geometric": Augmenter(**EVERYTHING | GRAY | {"elastic": 4}),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("vertical", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_warping_the_mask_is_rounding_the_warped_image_of_it(way, vertical, seed):
    mask = stripes(75, 90, vertical, seed)
    image, labels, weights = WAYS[way](mask[..., None].astype(np.float32), mask, generator(seed), weights=mask)
    undecided = np.abs(image[..., 0] - 0.5) < 0.05  # the place is half-way between two pixels
    np.testing.assert_array_equal(labels[~undecided], np.round(image[..., 0])[~undecided])
    assert undecided.mean() < 0.05 and 0.2 < labels.mean() < 0.8
    np.testing.assert_array_equal(weights, labels)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS)
def test_a_ramp_as_image_tells_which_pixel_the_label_comes_from(way, seed):
    side = 64
    rows, columns = np.indices((side, side))
    ramps = np.stack([rows, columns], axis=-1).astype(np.float32) / (side - 1)
    image, labels = WAYS[way](ramps, (side * rows + columns).astype(np.int32), generator(seed))
    source = np.stack([labels // side, labels % side], axis=-1)
    inside = ((source > 1) & (source < side - 2)).all(axis=-1)  # a mirrored ramp is bent
    assert inside.mean() > 0.5 and np.abs(image * (side - 1) - source)[inside].max() < 0.55


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_one_map_for_all_planes(shape, seed):
    augmenter, image, labels = Augmenter(**EVERYTHING | GRAY), picture(*shape, 2), numbers(shape)
    weights = generator(8).random(shape)
    coordinates = geometry(augmenter, shape, seed)
    warped, warped_labels, warped_weights = augmenter(image, labels, generator(seed), weights)
    assert warped.shape == image.shape and warped.dtype == np.float32 and coordinates.dtype == np.float32
    np.testing.assert_array_equal(warped_labels, at(labels, coordinates))
    assert warped_weights.dtype == np.float32
    np.testing.assert_array_equal(warped_weights, at(weights.astype(np.float32), coordinates))


def test_the_image_is_interpolated_at_the_map():
    images, labels = synthetic.cells(1, 128, seed=2)
    augmenter = Augmenter(**EVERYTHING | GRAY | {"elastic": 3})
    for seed in range(3):
        warped, _ = augmenter(images[0], labels[0], generator(seed))
        places = geometry(augmenter, (128, 128), seed)
        expected = ndimage.map_coordinates(images[0, ..., 0], places, order=3, mode="mirror")
        assert np.abs(warped[..., 0] - expected).mean() * 255 < 1.5 < np.abs(images[0, ..., 0] - expected).mean() * 255


# Each option does what it says


def test_all_off_is_the_identity():
    augmenter = Augmenter(**OFF)
    for shape in SHAPES:
        image, labels = picture(*shape, 3), numbers(shape)
        for ours, given in zip(augmenter(image, labels, generator()), (image, labels), strict=True):
            np.testing.assert_array_equal(ours, given)
    blank = np.full((20, 20, 1), 0.4, np.float32)
    np.testing.assert_array_equal(augmenter.shade(blank, generator()), blank)


def test_flips_are_the_four_mirror_images_as_often():
    image, labels, seen = picture(6, 9), numbers((6, 9)), []
    flipped = [labels, labels[::-1], labels[:, ::-1], labels[::-1, ::-1]]
    for seed in range(400):
        warped, warped_labels = Augmenter(**OFF | {"flip": True})(image, labels, generator(seed))
        np.testing.assert_array_equal(warped[..., 0], image.ravel()[warped_labels])
        seen.append(next(k for k, candidate in enumerate(flipped) if np.array_equal(candidate, warped_labels)))
    assert min(np.bincount(seen, minlength=4)) > 60


def turn_of(coordinates):
    """Angle in degrees, size of objects and place of the center, from a map without elastic deformation."""
    down, across = coordinates[:, -1, 0] - coordinates[:, 0, 0], coordinates[:, 0, -1] - coordinates[:, 0, 0]
    sides = np.array(coordinates.shape[1:]) - 1
    angle = np.degrees(np.arctan2(across[0], across[1]))
    return angle, sides[0] / np.hypot(*down), (coordinates[:, 0, 0] + coordinates[:, -1, -1]) / 2 - sides / 2


@pytest.mark.parametrize(
    ("option", "largest"), [("rotation", 180), ("rotation", 20), ("zoom", 0.5), ("shift", 7)], ids=str
)
def test_geometric_options_fill_their_range_and_nothing_else_moves(option, largest):
    augmenter = Augmenter(**OFF | {option: largest})
    draws = [turn_of(augmenter.coordinates((61, 81), generator(seed))) for seed in range(300)]
    angles, sizes, shifts = (np.array(part) for part in zip(*draws, strict=True))
    varied = {"rotation": angles, "zoom": sizes, "shift": shifts}
    low, high = {"zoom": (1 / (1 + largest), 1 + largest)}.get(option, (-largest, largest))
    values = varied.pop(option)
    slack = 0.02 * (high - low)
    assert low - 1e-3 <= values.min() < low + slack and high - slack < values.max() <= high + 1e-3
    for name, still in varied.items():
        np.testing.assert_allclose(still, 1 if name == "zoom" else 0, atol=1e-3)


def test_zoom_enlarges_objects():
    yy, xx = np.indices((101, 101)) - 50
    disc = (yy**2 + xx**2 <= 20**2).astype(np.int32)
    areas, sizes = [], []
    for seed in range(10):
        augmenter = Augmenter(**OFF | {"zoom": 0.5})
        areas.append(augmenter(disc[..., None].astype(np.float32), disc, generator(seed))[1].sum() / disc.sum())
        sizes.append(turn_of(geometry(augmenter, (101, 101), seed))[1])
    np.testing.assert_allclose(areas, np.square(sizes), rtol=0.06)  # a disc of pixels
    assert np.ptp(sizes) > 0.5


def test_elastic_in_the_augmenter_adds_a_field_to_the_other_changes():
    rigid = Augmenter(elastic=0).coordinates((65, 81), generator(4))
    field = Augmenter(elastic=6).coordinates((65, 81), generator(4)) - rigid
    assert np.abs(field).max() > 3
    np.testing.assert_allclose(field, displacement((65, 81), field[:, ::32, ::40]), atol=1e-3)


def shaded(option, amount, image, seed):
    return Augmenter(**OFF | {option: amount}).shade(image, generator(seed)).astype(float)


def test_gain_and_offset_are_lines_about_the_mean_within_their_range():
    image = picture(40, 40, 2) * 0.2 + 0.4  # nothing is clipped
    lines = [np.polyfit(image.ravel(), shaded("gain", 0.5, image, seed).ravel(), 1) for seed in range(200)]
    slopes = np.array([slope for slope, _ in lines])
    assert 1 / 1.5 - 1e-4 < slopes.min() < 0.7 and 1.45 < slopes.max() < 1.5 + 1e-4
    assert all(abs(slope * image.mean() + start - image.mean()) < 1e-4 for slope, start in lines)
    steps = np.array([shaded("offset", 0.1, image, seed) - image for seed in range(200)])
    np.testing.assert_allclose(steps, steps.mean(axis=(1, 2, 3), keepdims=True) + 0 * steps, atol=1e-6)
    assert -0.1 - 1e-6 < steps.min() < -0.09 and 0.09 < steps.max() < 0.1 + 1e-6


def test_gamma_is_one_power_for_all_pixels():
    image = picture(30, 30, 3) * 0.8 + 0.1
    powers = np.array([np.log(shaded("gamma", 1.0, image, seed)) / np.log(image) for seed in range(200)])
    np.testing.assert_allclose(powers, powers.mean(axis=(1, 2, 3), keepdims=True) + 0 * powers, rtol=1e-3)
    assert 0.5 - 1e-3 < powers.min() < 0.55 and 1.9 < powers.max() < 2 + 1e-3
    assert 0.3 < np.mean(powers < 1) < 0.7


def test_noise_is_of_each_pixel_and_channel():
    image = np.full((50, 60, 3), 0.5, np.float32)
    noise = np.array([shaded("noise", 0.1, image, seed) - 0.5 for seed in range(40)])
    levels = noise.std(axis=(1, 2, 3))
    assert levels.min() < 0.02 and 0.08 < levels.max() < 0.105
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_blur_is_a_gaussian_with_mirrored_borders(channels):
    image = picture(40, 30, channels)
    sigma = 2 * generator(6).random()  # the first number drawn
    expected = ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="mirror")
    np.testing.assert_allclose(shaded("blur", 2, image, 6), expected, atol=2e-3)
    assert np.abs(image - expected).max() > 0.1


def test_gray_values_stay_in_range_and_the_given_image_as_it_is():
    image = picture(40, 40, 3)
    image.setflags(write=False)
    strong = Augmenter(gain=3, offset=0.5, noise=0.5)
    results = np.array([strong(image, numbers((40, 40)), generator(seed))[0] for seed in range(5)])
    assert results.dtype == np.float32 and results.min() == 0 and results.max() == 1


# What is given comes back


@pytest.mark.parametrize("dtype", [*"bBhHiIqQ", ">u2", ">i4"])
def test_labels_of_any_dtype_survive(dtype):
    labels = numbers((40, 50), np.int64).astype(dtype)
    limits = np.iinfo(labels.dtype)
    labels[:10], labels[10:20] = limits.max, limits.min
    labels[20:22] = -1 if limits.min < 0 else 3
    labels = labels[::-1]  # a view is as good
    augmenter = Augmenter(elastic=3)
    warped = augmenter(picture(40, 50), labels, generator(1))[1]
    assert warped.dtype == labels.dtype
    np.testing.assert_array_equal(warped, at(labels, geometry(augmenter, (40, 50), 1)))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
def test_channels_are_warped_alike_and_each_on_its_own(channels):
    image = picture(40, 50, channels)
    together, labels = elastic(image, numbers((40, 50)), generator(), std=3)
    for k in range(channels):
        alone, _ = elastic(image[..., k : k + 1], numbers((40, 50)), generator(), std=3)
        inside = (alone > image.min()) & (alone < image.max())  # overshoots are cut at each image's own range
        np.testing.assert_allclose(together[..., k : k + 1][inside], alone[inside], atol=0.02)
        assert np.corrcoef(together[..., k].ravel(), alone.ravel())[0, 1] > 0.999
    assert together.shape == image.shape and labels.shape == (40, 50)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_floats_become_float32(dtype):
    image, labels = picture(30, 30).astype(np.float16), numbers((30, 30))
    expected = Augmenter()(image.astype(np.float32), labels, generator())[0]
    result = Augmenter()(image.astype(dtype), labels, generator())[0]
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


# One seed, one draw


def test_a_seed_repeats_a_draw_and_a_generator_goes_on():
    data = picture(), numbers((75, 90))
    for way in (Augmenter(), elastic):
        rng = generator(1)
        first, second = way(*data, rng), way(*data, rng)
        again, other = way(*data, generator(1)), way(*data, generator(2))
        for ours, theirs in zip(first, again, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert np.any(first[1] != second[1]) and np.any(first[1] != other[1])


def test_weights_and_gray_values_leave_the_geometry_alone_and_no_option_moves_the_generator():
    data = picture(), numbers((75, 90))
    _, labels = Augmenter()(*data, generator(1))
    for augmenter in (Augmenter(**GRAY), Augmenter(noise=0.3, gain=1)):
        rng = generator(1)
        np.testing.assert_array_equal(augmenter(*data, rng, weights=data[0][..., 0])[1], labels)
        assert rng.random() == generator(1).random()  # so that random tiles lie where they lie without augmentation
    np.testing.assert_array_equal(elastic(*data, generator(1))[1], elastic(*data, generator(1), weights=data[1])[1])


def test_as_augment_of_random_tiles():
    mask = np.stack([stripes(75, 90, True, seed) for seed in range(3)])
    images = mask[..., None].astype(np.float32)
    options = {"tile": 44, "output": 20, "batch_size": 4, "steps": 2, "seed": 5, "weights": mask.astype(np.float32)}
    augmenter = Augmenter(elastic=2, **GRAY)
    first, again = (training.Tiles(images, mask, augment=augmenter, **options)[1] for _ in range(2))
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    image, labels, weights = first
    assert image.shape == (4, 44, 44, 1) and labels.shape == weights.shape == (4, 20, 20)
    center = image[:, 12:32, 12:32, 0]
    decided = np.abs(center - 0.5) > 0.05
    np.testing.assert_array_equal(labels[decided], np.round(center)[decided])
    np.testing.assert_array_equal(weights, labels)


# Bad input


def spoiled(array, value):
    array = array.astype(float)
    array[2, 3] = value
    return array


IMAGE, LABELS = picture(20, 30), numbers((20, 30))
BAD = {
    "NaN": ((spoiled(IMAGE, np.nan), LABELS), {}, ValueError, "NaN or infinity in the image: repair"),
    "infinity": ((spoiled(IMAGE, -np.inf), LABELS), {}, ValueError, "NaN or infinity in the image"),
    "NaN in weights": (
        (IMAGE, LABELS),
        {"weights": spoiled(LABELS, np.nan)},
        ValueError,
        "NaN or infinity in the weights",
    ),
    "integer image": (
        ((IMAGE * 255).astype(np.uint8), LABELS),
        {},
        TypeError,
        r"image must be floats, not uint8: scale to \[0, 1\], for uint8 image.astype\('float32'\) / 255",
    ),
    "floating labels": (
        (IMAGE, LABELS.astype(float)),
        {},
        TypeError,
        r"labels must be integers, not float64: .* for instance \(mask > 0.5\).astype\(int\)",
    ),
    "boolean labels": ((IMAGE, LABELS > 3), {}, TypeError, "labels must be integers, not bool"),
    "a batch": ((IMAGE[None], LABELS[None]), {}, ValueError, r"one image .* shape \(1, 20, 30, 1\): loop over a batch"),
    "no channels": ((IMAGE[..., 0], LABELS), {}, ValueError, r"shape \(20, 30\): .* add \[..., None\]"),
    "beyond float32": ((IMAGE.astype(float) * 1e300, LABELS), {}, ValueError, "NaN or infinity in the image"),
    "weights beyond float32": ((IMAGE, LABELS), {"weights": LABELS * 1e300}, ValueError, "infinity in the weights"),
    "empty": ((IMAGE[:0], LABELS[:0]), {}, ValueError, r"shape \(0, 30, 1\)"),
    "one pixel wide": ((IMAGE[:, :1], LABELS[:, :1]), {}, ValueError, "each side 2 to 32766 pixels"),
    "too large": (
        (np.zeros((2, 40000, 1), np.float32), np.zeros((2, 40000), int)),
        {},
        ValueError,
        "each side 2 to 32766 pixels.* cut a large image into tiles",
    ),
    "labels of another size": (
        (IMAGE, LABELS[1:]),
        {},
        ValueError,
        r"labels of shape \(19, 30\) do not match an image of shape \(20, 30, 1\)",
    ),
    "labels with a channel": ((IMAGE, LABELS[..., None]), {}, ValueError, r"labels of shape \(20, 30, 1\) do not"),
    "weights of another size": (
        (IMAGE, LABELS),
        {"weights": np.ones((20, 31))},
        ValueError,
        r"weights of shape \(20, 31\) do not match",
    ),
    "a seed as generator": ((IMAGE, LABELS, 7), {}, TypeError, r"numpy.random.default_rng\(0\), not 7"),
}


@pytest.mark.parametrize("way", [elastic, Augmenter()], ids=["elastic", "augmenter"])
@pytest.mark.parametrize(("data", "more", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_data_is_refused_with_the_fix(way, data, more, kind, message):
    with pytest.raises(kind, match=message):
        way(*data, *[generator()] * (3 - len(data)), **more)


def test_options_that_mean_nothing():
    for value in (-1, np.nan, np.inf, "10", None):
        with pytest.raises(ValueError, match="std must be a number of pixels of at least 0, not"):
            elastic(IMAGE, LABELS, generator(), std=value)
        for name in set(OFF) - {"flip"}:
            with pytest.raises(ValueError, match=f"{name} must be a number of at least 0, not .*: 0 is off"):
                Augmenter(**{name: value})
    for grid in (1, 0, 2.5, "3"):
        for build in (lambda g: elastic(IMAGE, LABELS, generator(), grid=g), lambda g: Augmenter(grid=g)):
            with pytest.raises(ValueError, match="grid must be a whole number of control points of at least 2, not"):
                build(grid)
    with pytest.raises(ValueError, match=r"flip must be True or False, not 0.5"):
        Augmenter(flip=0.5)
    with pytest.raises(TypeError):
        Augmenter(rotate=10)


def test_images_and_fields_out_of_shape():
    for image in (IMAGE * 255, IMAGE - 0.5):
        with pytest.raises(ValueError, match=r"gray values run from .* scale them to \[0, 1\] before"):
            Augmenter()(image, LABELS, generator())
    for vectors in (np.zeros((3, 3)), np.zeros((3, 3, 3)), np.zeros((2, 1, 3))):
        with pytest.raises(ValueError, match=r"vectors must be \(2, rows, columns\)"):
            displacement((20, 30), vectors)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN or infinity in vectors: each displacement must be"):
            displacement((20, 30), np.full((2, 3, 3), value))
    for shape in ((20,), (20, 30, 1), (0, 4)):
        with pytest.raises(ValueError, match=r"shape must be \(H, W\)"):
            displacement(shape, np.zeros((2, 3, 3)))


@pytest.mark.parametrize("grid", [2, 3, 5])
def test_the_share_of_draws_that_fold_is_that_of_real_fields(grid):
    std, side = 0.22 * 60 / (grid - 1), 61
    folded = 0
    for seed in range(100):
        (down_y, across_y), (down_x, across_x) = map(
            np.gradient, displacement((side, side), generator(seed).normal(0, std, (2, grid, grid)))
        )
        folded += ((1 + down_y) * (1 + across_x) - across_y * down_x).min() <= 0
    assert deformation.folds((side, side), std, grid) == pytest.approx(folded / 100, abs=0.15)
    assert deformation.folds((side, side), 0.1 * 60 / (grid - 1), grid) == 0
    assert deformation.folds((side, side), 60.0, grid) > 0.7
    assert deformation.folds((side, 10 * side), std, grid) >= deformation.folds((10 * side, 10 * side), std, grid) == 0


def test_folds_are_told_once_for_each_size_of_tiles():
    augmenter, image, labels = Augmenter(elastic=10), picture(67, 83), numbers((67, 83))
    with pytest.warns(UserWarning, match=r"elastic=10 folds images of 67 x 83 .* in \d+% of .* give at most 3.3, or"):
        first = augmenter(image, labels, generator())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = augmenter(image, labels, generator())
        for fine, side in ((10, 200), (4, 96), (5, 128), (40, 512), (0, 9)):  # defaults, chapters and measured runs
            Augmenter(elastic=fine)(picture(side, side), numbers((side, side)), generator())
    np.testing.assert_array_equal(first[0], again[0])
