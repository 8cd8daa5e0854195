"""The answer to an exercise: what is told first, and that equal is equal."""

import numpy as np
import pytest

from unetbook import exercise

EXPECTED = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("yours", "expected", "said"),
    [
        (EXPECTED + 1e-7, EXPECTED, "✓ equal to the solution"),
        (EXPECTED.tolist(), EXPECTED, "✓ equal to the solution"),
        (4, 4, "✓ equal to the solution"),
        (np.eye(2, dtype=bool), np.eye(2), "✓ equal to the solution"),
        (None, EXPECTED, "nothing is returned yet: write your lines, and end them with return"),
        ([None, 4], EXPECTED, "nothing is returned yet: write your lines, and end them with return"),
        (EXPECTED[0], EXPECTED, "the shape is (2,) and should be (2, 2)"),
        ("four", 4, "a str is returned where numbers are expected"),
        ([[1], [2, 3]], EXPECTED, "a list is returned where numbers are expected"),
        (5, 4, "the shape is right; 1 of 1 values are off, the furthest: 5 should be 4"),
        (
            EXPECTED + np.array([[0, 0.5], [0, 2]]),
            EXPECTED,
            "the shape is right; 2 of 4 values are off, the furthest at [1, 1]: 6 should be 4",
        ),
        (
            EXPECTED * [[np.nan, 1], [1, 2]],
            EXPECTED,
            "the shape is right; 2 of 4 values are off, the furthest at [0, 0]: nan should be 1",
        ),
    ],
)
def test_what_is_said(yours, expected, said, capsys):
    exercise.check(yours, expected)
    assert capsys.readouterr().out == said + "\n"


def test_how_far_off_a_value_may_be(capsys):
    exercise.check(EXPECTED + 0.01, EXPECTED)
    assert "4 of 4 values are off" in capsys.readouterr().out
    exercise.check(EXPECTED + 0.01, EXPECTED, within=0.02)
    assert capsys.readouterr().out.startswith("✓")
