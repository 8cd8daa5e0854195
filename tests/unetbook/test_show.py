from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

import matplotlib.pyplot as plt

from unetbook import show
from unetbook.show import colors, objects


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_panels_show_each_picture_with_its_title():
    pictures = [np.zeros((4, 6)), np.ones((4, 6, 1)), np.zeros((4, 6, 3))]
    figure, axes = show.panels(pictures, ["a", "b", "c"], columns=2, gray_range=(0, 1))
    assert len(axes) == 4 and [axis.get_title() for axis in axes] == ["a", "b", "c", ""]
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 0]
    assert axes[1].images[0].get_array().shape == (4, 6) and axes[1].images[0].get_clim() == (0, 1)
    assert axes[2].images[0].get_array().shape == (4, 6, 3)
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_every_picture_has_a_frame_and_empty_places_have_none():
    figure, axes = show.panels([np.ones((4, 6))] * 3, ["a", "b", "c"], columns=2)
    assert [axis.axison for axis in axes] == [True, True, True, False]
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., 0]
    left, bottom, _, top = axes[0].get_window_extent().extents.astype(int)
    middle = len(pixels) - (bottom + top) // 2  # rows are counted from above
    around = pixels[middle, left - 3 : left + 4]
    assert around.min() < 200 and around.max() == 255  # a gray line, white on both sides


def rings(count):
    """Sectors of two rings around a disc: each touches several others."""
    y, x = np.mgrid[-60:61, -60:61]
    radius, angle = np.hypot(y, x), (np.arctan2(y, x) + np.pi) / (2 * np.pi)
    sector = np.minimum((angle * count).astype(int), count - 1)
    inner, outer = (radius > 12) & (radius < 34), (radius >= 34) & (radius < 58)
    return np.where(radius <= 12, 1, np.where(inner, 2 + sector, np.where(outer, 2 + count + sector, 0)))


def main_color(picture, labels, label):
    """The color of an object's pixels that are not outline."""
    found, counts = np.unique(picture[labels == label].round(4), axis=0, return_counts=True)
    counts[(found == 1).all(axis=1)] = 0
    return tuple(found[counts.argmax()])


@pytest.mark.parametrize("count", [3, 5, 8])
def test_neighbors_have_different_colors_of_six_and_a_white_outline(count):
    labels = rings(count)
    picture = show.instances(labels)
    shown = {label: main_color(picture, labels, label) for label in np.unique(labels) if label}
    allowed = {tuple(np.round(colors.rgb(color), 4)) for color in objects.SIX}
    assert set(shown.values()) <= allowed and picture.shape == (121, 121, 3)
    pairs = np.concatenate([np.stack([labels[1:].ravel(), labels[:-1].ravel()], 1),
                            np.stack([labels[:, 1:].ravel(), labels[:, :-1].ravel()], 1)])  # fmt: skip
    touching = {tuple(pair) for pair in pairs.tolist() if pair[0] and pair[1] and pair[0] != pair[1]}
    assert touching and all(shown[a] != shown[b] for a, b in touching)
    assert (picture[labels == 0] == 0).all()
    edge = (labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0)
    assert (picture[:, 1:][edge] == 1).all()


def test_six_colors_are_enough_for_a_plane_full_of_objects():
    """Voronoi cells of random sites: as many neighbors as objects in a plane can have."""
    rng = np.random.default_rng(0)
    sites = rng.integers(0, 200, (150, 2))
    y, x = np.mgrid[:200, :200]
    labels = np.argmin((y[..., None] - sites[:, 0]) ** 2 + (x[..., None] - sites[:, 1]) ** 2, axis=2) + 1
    number = objects.color_numbers(labels)
    beside = (
        (labels[1:] != labels[:-1], labels[1:], labels[:-1]),
        (labels[:, 1:] != labels[:, :-1], labels[:, 1:], labels[:, :-1]),
    )
    for differ, one, other in beside:
        assert (number[one[differ]] != number[other[differ]]).all()
    assert set(number[1:]) == set(range(6))


def test_small_objects_keep_their_color_and_nothing_is_black():
    labels = np.zeros((120, 120), int)
    labels[2:5, 2:5], labels[7:9, 7:9] = 1, 2
    picture = show.instances(labels)
    labels[50:90, 50:90] = 3
    assert (show.instances(labels)[50, 50] == 1).all()  # a large one has an outline
    assert (show.instances(labels, outline=False)[50, 50] != 1).any()
    assert (show.instances(labels[:95, :95])[50, 50] != 1).any()  # but not in a picture of few pixels
    labels[50:90, 50:90] = 0
    assert not (picture == 1).all(axis=2).any() and (picture[labels > 0].max(axis=1) > 0.5).all()
    assert not show.instances(np.zeros((2, 2), int)).any()


def test_an_answer_takes_the_colors_of_the_truth_that_it_matches():
    truth = np.zeros((40, 60), int)
    truth[5:20, 5:20], truth[5:20, 20:35], truth[25:38, 5:30] = 1, 2, 3
    found = np.zeros_like(truth)
    found[6:20, 5:20], found[5:20, 21:36] = 9, 4  # numbered otherwise, nearly in place
    found[25:38, 5:17], found[25:38, 17:30] = 7, 5  # one true object in two: the larger half matches it
    found[25:38, 40:55] = 6  # and one that is not there
    of_truth, of_found = show.instances(truth), show.instances(found, like=truth)
    gray = tuple(np.round(colors.rgb(colors.GRAY), 4))
    for true, answer in ((1, 9), (2, 4), (3, 5)):
        assert main_color(of_found, found, answer) == main_color(of_truth, truth, true)
    assert main_color(of_found, found, 6) == main_color(of_found, found, 7) == gray
    with pytest.raises(ValueError, match=r"truth \(39, 60\) and prediction \(40, 60\)"):
        show.instances(found, like=truth[1:])


@pytest.mark.parametrize("shape", [(11, 11), (11, 11, 1), (11, 11, 3)])
def test_outlines_are_two_toned_and_leave_the_image_alone(shape):
    image = np.full(shape, 0.25, np.float32)
    labels = np.zeros((11, 11), int)
    labels[3:8, 3:6], labels[3:8, 6:9] = 3, 7
    before = image.copy()
    canvas = show.outlines(image, labels, color="#ff8000")
    drawn = np.isclose(canvas, colors.rgb("#ff8000")).all(axis=-1)
    expected = labels > 0
    expected[4:7, 4] = expected[4:7, 7] = False  # the inside of each object
    np.testing.assert_array_equal(drawn, expected)
    around = (canvas == 0).all(axis=-1)
    assert around[2, 3:9].all() and around[8, 3:9].all() and around[3:8, 2].all() and around.sum() == 2 * (6 + 5)
    assert (canvas[~drawn & ~around] == 0.25).all() and canvas.shape == (11, 11, 3)
    np.testing.assert_array_equal(image, before)
    dark = show.outlines(image, labels, color=show.BLACK, thickness=4)
    assert (dark[1, 4] == 1).all() and (dark[2, 4] == 1).all() and (dark[4, 4] == 0).all()


def test_a_difference_has_a_scale_that_is_even_around_none():
    _, (signed, positive) = plt.subplots(1, 2)
    bar = show.difference(signed, np.array([[-0.2, 0.1]]), label="logits")
    assert bar.ax.get_ylabel() == "logits" and (bar.vmin, bar.vmax) == (-0.2, 0.2)
    assert np.allclose(bar.cmap(0.5)[:3], 1, atol=0.01)
    bar = show.difference(positive, np.array([[0, 0.1]]), limit=0.5)
    assert (bar.vmin, bar.vmax) == (0, 0.5) and np.allclose(bar.cmap(0.0)[:3], 1)
    assert show.difference(positive, np.zeros((2, 2))).vmax == 1  # nothing differs, and the scale says of what


def test_the_style_is_that_of_the_book():
    wanted = matplotlib.rc_params_from_file(show.STYLE, use_default_template=False)
    assert {name: plt.rcParams[name] for name in wanted} == dict(wanted)
    sizes = ["font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"]
    assert min(float(wanted[name]) for name in sizes) >= 9 and wanted["figure.dpi"] == 150


def test_errors_tell_missed_from_false():
    truth, predicted = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 0]])
    picture = show.errors(truth, predicted)
    as_hex = [matplotlib.colors.to_hex(color) for color in picture[0]]
    assert as_hex == ["#cccccc", show.BLUE.lower(), show.ORANGE.lower(), "#000000"]


def test_curves_differ_in_color_and_style():
    _, axis = show.curves({"loss": [3, 2, 1], "other": ([0, 10], [1, 2])}, "step", "loss", logarithmic=True)
    first, second = axis.lines
    np.testing.assert_array_equal(first.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(second.get_xdata(), [0, 10])
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()
    assert axis.get_xlabel() == "step" and axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["loss", "other"]
    assert show.curves({"alone": [1, 2]}, "x", "y")[1].get_legend() is None


def test_many_curves_never_share_color_and_style():
    _, axis = show.curves({str(k): [k, k] for k in range(12)}, "x", "y")
    assert len({(line.get_color(), line.get_linestyle()) for line in axis.lines}) == 12


def test_source_shows_the_code_as_it_stands(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show.source(show.errors, show.curves)
    text = shown[0].data
    assert text.startswith("```python\ndef errors(truth, predicted):") and text.endswith("\n```")
    assert "\n\ndef curves(series" in text


def test_differences_show_every_seed_and_the_interval():
    arms = {
        "a": {k: {"scores": {"f": 0.5 + 0.1 * k}} for k in range(3)},
        "b": {k: {"scores": {"f": 0.4}} for k in range(3)},
    }
    arms["a"][3] = {"scores": {"f": 0.0}}  # the other arm has no such seed
    row = {"mean": 0.2, "low": 0.1, "high": 0.3, "pairs": 3}
    between = {"a - b": {"f": row}, "b - a": {"f": row | {"low": None, "high": None}}}
    study = SimpleNamespace(entries=arms.get, differences=between)
    _, axis = plt.subplots()
    show.differences(axis, study, {"first": ("a", "b"), "second": ("b", "a")}, "f")
    dots, bar, mean, *without = (line.get_xdata() for line in axis.lines)
    assert np.allclose(dots, [0.1, 0.2, 0.3]) and np.allclose(bar, [0.1, 0.3]) and np.allclose(mean, 0.2)
    assert len(without) == 3  # dots, mean and the line at 0: no bar
    assert [label.get_text() for label in axis.get_yticklabels()] == ["first", "second"]
    top, bottom = axis.transData.transform([(0, 0), (0, 1)])[:, 1]
    assert top > bottom
