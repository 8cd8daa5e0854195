import math

import numpy as np
import pytest

from tools import rules
from unetbook.contract import expect


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("UNETBOOK_STRICT", "1")


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """A reader's kernel, in which a broken promise is told and does not raise."""
    monkeypatch.delenv("UNETBOOK_STRICT", raising=False)


@pytest.mark.parametrize(
    ("measured", "about", "within", "line"),
    [
        (0.30214, 0.3, 0.05, "0.302 (text: 0.30 ± 0.05)"),
        (31_030_660, 31_030_658, 5, "31030660 (text: 31030658 ± 5)"),
        (3.8e-7, 0, 1e-5, "3.8e-07 (text: 0 ± 1e-05)"),
        (0.0, 0, 1e-4, "0.00000 (text: 0.0000 ± 0.0001)"),
        (21.584, 22, 1.4, "21.6 (text: 22.0 ± 1.4)"),
        (12.4, 10, 10, "12 (text: 10 ± 10)"),
        (np.float32(0.25), np.float64(0.25), 1e-6, "0.2500000 (text: 0.25 ± 1e-06)"),
        (np.array([0.25]), 0.25, 0.1, "0.25 (text: 0.25 ± 0.1)"),
        (1 / 3, 1 / 3, 0.0123456, "0.333 (text: 0.3333333333 ± 0.0123456)"),
        (-7.1e-5, 0.002, 0.01, "-7.1e-05 (text: 0.002 ± 0.01)"),
    ],
)
def test_measured_stands_beside_promise_and_tolerance(measured, about, within, line, capsys):
    expect("IoU", measured, about, within)
    printed = capsys.readouterr().out
    assert printed == f"IoU: {line} ✓\n"
    [(name, promise, tolerance)] = rules.promises_in(printed)  # which the tools read again, to ten digits
    assert name == "IoU" and promise == pytest.approx(float(np.squeeze(about)), rel=1e-9)
    assert tolerance == pytest.approx(within, rel=1e-9)


def test_exact_promises_say_so(capsys):
    expect("output", measured=388, about=388)
    expect("sizes", np.array([188, 204]), [188, 204])
    expect("loss", measured=0.0, about=0)
    assert capsys.readouterr().out == "output: 388 (exactly) ✓\nsizes: [188, 204] (exactly) ✓\nloss: 0 (exactly) ✓\n"


def test_a_reader_who_changed_a_line_is_told_and_goes_on(capsys):
    expect("Dice", measured=0.83, about=0.8, within=0.02)
    expect("output", measured=384, about=388)
    assert capsys.readouterr().out == (
        "Dice: 0.830 (text: 0.80 ± 0.02) ✗ the text no longer describes this run\n"
        "output: 384 (text: 388, exactly) ✗ the text no longer describes this run\n"
    )


def test_where_the_tests_run_a_broken_promise_raises(strict, capsys):
    with pytest.raises(AssertionError, match=r"Dice: 0\.830 \(text: 0\.80 ± 0\.02\) ✗.*measured was 0\.8301234"):
        expect("Dice", measured=0.8301234, about=0.8, within=0.02)
    with pytest.raises(AssertionError, match=r"output: 384 \(text: 388, exactly\) ✗"):
        expect("output", measured=384, about=388)
    assert capsys.readouterr().out == ""


def test_the_tolerance_holds_on_both_sides_and_at_its_end(strict):
    expect("end", measured=1.5, about=1.0, within=0.5)
    expect("end", measured=0.5, about=1.0, within=0.5)
    for measured in (1.51, 0.49):
        with pytest.raises(AssertionError):
            expect("beyond", measured=measured, about=1.0, within=0.5)


@pytest.mark.parametrize("within", [0, 1, 1e30])
def test_a_measurement_that_is_no_number_fails(within, strict):
    with pytest.raises(AssertionError, match="nan"):
        expect("loss", measured=math.nan, about=0.0, within=within)


def test_equality_of_texts_tuples_and_arrays(strict):
    expect("name", "relu", "relu")
    expect("sizes", (188, 204), (188, 204))
    expect("array", np.array([[1, 2]]), [[1, 2]])
    expect("yes", np.bool_(True), True)
    for measured, about in (("relu", "elu"), ((188, 204), (188, 205)), (np.array([1, 2]), [1, 3]), (False, True)):
        with pytest.raises(AssertionError):
            expect("broken", measured, about)


@pytest.mark.parametrize("within", [-0.1, math.nan, math.inf, "0.1", None])
def test_a_tolerance_that_promises_nothing_is_refused(within):
    with pytest.raises(ValueError, match="within must be a finite number of at least 0"):
        expect("Dice", 0.8, 0.8, within=within)


def test_a_tolerance_needs_numbers():
    with pytest.raises(ValueError, match="a tolerance needs numbers: name is 'relu'"):
        expect("name", "relu", "relu", within=0.1)
