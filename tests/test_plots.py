import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

import matplotlib.pyplot as plt

from unetbook import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_panels_show_each_picture_with_its_title():
    pictures = [np.zeros((4, 6)), np.ones((4, 6, 1)), np.zeros((4, 6, 3))]
    figure, axes = plots.panels(pictures, ["a", "b", "c"], columns=2, gray_range=(0, 1))
    assert len(axes) == 4 and [axis.get_title() for axis in axes] == ["a", "b", "c", ""]
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 0]
    assert axes[1].images[0].get_array().shape == (4, 6) and axes[1].images[0].get_clim() == (0, 1)
    assert axes[2].images[0].get_array().shape == (4, 6, 3)
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_label_colors_keep_the_background_black_and_tell_labels_apart():
    labels = np.arange(12).reshape(3, 4)
    colors = plots.label_colors(labels)
    assert colors.shape == (3, 4, 3) and colors.min() >= 0 and colors.max() <= 1
    assert not colors[0, 0].any() and colors.reshape(12, 3)[1:].any(axis=1).all()
    assert len(np.unique(colors.reshape(12, 3), axis=0)) == 12
    assert not plots.label_colors(np.zeros((2, 2), int)).any()


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 3)])
def test_outlines_follow_the_border_and_leave_the_image_alone(shape):
    image = np.full(shape, 0.25, np.float32)
    labels = np.zeros((9, 9), int)
    labels[2:7, 2:5], labels[2:7, 5:8] = 3, 7
    before = image.copy()
    canvas = plots.outlines(image, labels, color="#ff0000")
    drawn = (canvas == [1, 0, 0]).all(axis=-1)
    expected = labels > 0
    expected[3:6, 3] = expected[3:6, 6] = False  # the inside of each object
    np.testing.assert_array_equal(drawn, expected)
    assert (canvas[~drawn] == 0.25).all() and canvas.shape == (9, 9, 3)
    np.testing.assert_array_equal(image, before)


def test_errors_tell_missed_from_false():
    truth, predicted = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 1, 0]])
    picture = plots.errors(truth, predicted)
    as_hex = [matplotlib.colors.to_hex(color) for color in picture[0]]
    assert as_hex == ["#cccccc", plots.BLUE.lower(), plots.ORANGE.lower(), "#000000"]


def test_curves_differ_in_color_and_style():
    _, axis = plots.curves({"loss": [3, 2, 1], "other": ([0, 10], [1, 2])}, "step", "loss", logarithmic=True)
    first, second = axis.lines
    np.testing.assert_array_equal(first.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(second.get_xdata(), [0, 10])
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()
    assert axis.get_xlabel() == "step" and axis.get_yscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["loss", "other"]
    assert plots.curves({"alone": [1, 2]}, "x", "y")[1].get_legend() is None


def test_many_curves_never_share_color_and_style():
    _, axis = plots.curves({str(k): [k, k] for k in range(12)}, "x", "y")
    assert len({(line.get_color(), line.get_linestyle()) for line in axis.lines}) == 12


def test_source_shows_the_code_as_it_stands(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.source(plots.errors, plots.curves)
    text = shown[0].data
    assert text.startswith("```python\ndef errors(truth, predicted):") and text.endswith("\n```")
    assert "\n\ndef curves(series" in text


def test_differences_show_every_seed_and_the_interval():
    seeds = {str(k): {"arms": {"a": {"scores": {"f": 0.5 + 0.1 * k}}, "b": {"scores": {"f": 0.4}}}} for k in range(3)}
    seeds["3"] = {"arms": {"a": {"scores": {"f": 0.0}}}}  # stopped before its second arm
    row = {"mean": 0.2, "low": 0.1, "high": 0.3, "pairs": 3}
    result = {"seeds": seeds, "differences": {"a - b": {"f": row}, "b - a": {"f": row | {"low": None, "high": None}}}}
    _, axis = plt.subplots()
    plots.differences(axis, result, {"first": ("a", "b"), "second": ("b", "a")}, "f")
    dots, bar, mean, *without = (line.get_xdata() for line in axis.lines)
    assert np.allclose(dots, [0.1, 0.2, 0.3]) and np.allclose(bar, [0.1, 0.3]) and np.allclose(mean, 0.2)
    assert len(without) == 3  # dots, mean and the line at 0: no bar
    assert [label.get_text() for label in axis.get_yticklabels()] == ["first", "second"]
    top, bottom = axis.transData.transform([(0, 0), (0, 1)])[:, 1]
    assert top > bottom
