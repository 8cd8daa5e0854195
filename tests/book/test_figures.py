"""Figures in notebooks are small and look as they were drawn: plots as palette PNG, photographs as JPEG."""

import base64
import io

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tools import figures, rules


def png(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def plot():
    """A few lines on white, with the many grays of smooth edges."""
    y, x = np.mgrid[:300, :750]
    distance = np.abs(y - 150 - 90 * np.sin(x / 60))
    return np.clip(np.stack([distance * 90, distance * 60 + 60, np.full_like(distance, 255)], -1), 0, 255).astype(
        np.uint8
    )


def photograph():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:300, :750]
    smooth = np.stack([128 + 80 * np.sin(x / 50 + k) * np.cos(y / 40) for k in range(3)], -1)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def test_a_plot_becomes_a_palette_and_looks_the_same():
    before = png(plot(), dpi=(150, 150))
    kind, content, width = figures.encoded(before)
    shown = Image.open(io.BytesIO(content))
    assert kind == "image/png" and shown.mode == "P" and len(content) < len(before)
    assert width == 480  # 5 inches
    assert np.abs(np.asarray(shown.convert("RGB")).astype(int) - plot()).mean() < 1


def test_a_photograph_becomes_a_jpeg_of_far_fewer_bytes():
    before = png(photograph(), dpi=(150, 150))
    kind, content, width = figures.encoded(before)
    shown = Image.open(io.BytesIO(content))
    assert kind == "image/jpeg" and shown.format == "JPEG" and len(content) < len(before) / 3 and width == 480
    assert np.abs(np.asarray(shown).astype(int) - photograph()).mean() < 6


def test_gray_and_see_through_figures_stand_on_white():
    clear = np.zeros((40, 60, 4), np.uint8)
    clear[10:30, 10:30] = (0, 114, 178, 255)
    _, content, width = figures.encoded(png(clear))
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert (shown[0, 0] == 255).all() and tuple(shown[20, 20]) == (0, 114, 178) and width == 60
    kind, _, _ = figures.encoded(png(np.full((40, 60), 255, np.uint8)))
    assert kind == "image/png"


@pytest.mark.parametrize(("pixels", "kind"), [(plot(), "image/png"), (photograph(), "image/jpeg")])
def test_outputs_are_replaced_once_and_keep_their_text(pixels, kind):
    data = {"image/png": base64.b64encode(png(pixels, dpi=(150, 150))).decode(), "text/plain": "<Figure>"}
    printed = new_output("stream", name="stdout", text="a line\n")
    notebook = new_notebook(cells=[new_code_cell("draw()", outputs=[printed, new_output("display_data", data=data)])])
    assert ["as it was drawn" in problem for problem in rules.encodings(notebook)] == [True]
    figures.small(notebook)
    assert rules.encodings(notebook) == []
    output = notebook.cells[0].outputs[1]
    assert set(output.data) == {kind, "text/plain"} and output.metadata == {kind: {"width": 480}}
    assert notebook.cells[0].outputs[0] == printed
    again = dict(output.data)
    figures.small(notebook)
    assert output.data == again and output.metadata == {kind: {"width": 480}}
    output.metadata.clear()
    assert len(rules.encodings(notebook)) == 1
