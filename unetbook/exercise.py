"""What a coding exercise of a chapter is checked with: whether it is the shape that is wrong, or a value."""

import numpy as np


def check(yours, expected, within=1e-5) -> None:
    """Print whether an answer equals the expected one, and where it does not.

    yours: what your function returned; ``None`` says that nothing is written yet. expected: a number or an array.
    within: how far a value may be off. What is wrong is told in this order: type, shape, and the furthest value.
    """
    print(_problem(yours, np.asarray(expected), within) or "✓ equal to the solution")


def _problem(yours, expected, within):
    if yours is None or (isinstance(yours, list | tuple) and None in yours):
        return "nothing is returned yet: write your lines, and end them with return"
    try:
        numbers = np.asarray(yours, float)
    except (TypeError, ValueError):
        return f"a {type(yours).__name__} is returned where numbers are expected"
    yours = numbers
    if yours.shape != expected.shape:
        return f"the shape is {yours.shape} and should be {expected.shape}"
    apart = np.abs(yours - expected.astype(float))
    if np.all(apart <= within):
        return ""
    place = np.unravel_index(np.argmax(np.where(np.isnan(apart), np.inf, apart)), apart.shape)
    at = f" at {[int(one) for one in place]}" if place else ""
    wrong = int(np.sum(~(apart <= within)))
    return (
        f"the shape is right; {wrong} of {apart.size} values are off, the furthest{at}: "
        f"{yours[place]:.6g} should be {expected[place]:.6g}"
    )
