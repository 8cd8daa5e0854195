import math

import numpy as np
import pytest

from unetbook.contract import expect


def test_the_promise_is_printed_and_not_the_measurement(capsys):
    expect("Dice", measured=0.8123, about=0.8, within=0.02)
    expect("output", measured=388, about=388)
    assert capsys.readouterr().out == "Dice: 0.8, within 0.02 ✓\noutput: 388, exactly ✓\n"


def test_a_large_promise_keeps_its_digits(capsys):
    expect("parameters", measured=31_030_660, about=31_030_658, within=5)
    assert capsys.readouterr().out == "parameters: 31030658, within 5 ✓\n"


def test_outside_the_tolerance_it_fails_and_says_both(capsys):
    with pytest.raises(AssertionError, match=r"Dice: the text promises 0\.8, within 0\.02, but this run gave 0\.83"):
        expect("Dice", measured=0.83, about=0.8, within=0.02)
    with pytest.raises(AssertionError, match="promises 388, exactly, but this run gave 384"):
        expect("output", measured=384, about=388)
    assert capsys.readouterr().out == ""


def test_the_tolerance_holds_on_both_sides_and_at_its_end():
    expect("end", measured=1.5, about=1.0, within=0.5)
    expect("end", measured=0.5, about=1.0, within=0.5)
    for measured in (1.51, 0.49):
        with pytest.raises(AssertionError):
            expect("beyond", measured=measured, about=1.0, within=0.5)


@pytest.mark.parametrize("within", [0, 1, 1e30])
def test_a_measurement_that_is_no_number_fails(within):
    with pytest.raises(AssertionError, match="nan"):
        expect("loss", measured=math.nan, about=0.0, within=within)


def test_equality_of_texts_tuples_and_arrays():
    expect("name", "relu", "relu")
    expect("sizes", (188, 204), (188, 204))
    expect("array", np.array([[1, 2]]), [[1, 2]])
    expect("yes", np.bool_(True), True)
    for measured, about in (("relu", "elu"), ((188, 204), (188, 205)), (np.array([1, 2]), [1, 3]), (False, True)):
        with pytest.raises(AssertionError):
            expect("broken", measured, about)


def test_numpy_scalars_and_one_element_arrays_count_as_numbers(capsys):
    expect("mean", np.float32(0.25), np.float64(0.25), within=1e-6)
    expect("mean", np.array(0.25), 0.25, within=1e-6)
    assert capsys.readouterr().out == "mean: 0.25, within 1e-06 ✓\n" * 2


@pytest.mark.parametrize("within", [-0.1, math.nan, math.inf, "0.1", None])
def test_a_tolerance_that_promises_nothing_is_refused(within):
    with pytest.raises(ValueError, match="within must be a finite number of at least 0"):
        expect("Dice", 0.8, 0.8, within=within)


def test_a_tolerance_needs_numbers():
    with pytest.raises(ValueError, match="a tolerance needs numbers: name is 'relu'"):
        expect("name", "relu", "relu", within=0.1)
