"""Numbers under contract: what the text promises is checked where it is printed. Used by every chapter."""

import math
import numbers


def expect(name: str, measured, about, within=0) -> None:
    """Check that ``measured`` lies within ``within`` of ``about``, and print the promise.

    The printed line holds the promise and not the measurement, so it is the same text on every machine; a chapter's
    test compares it. Units are those of the text. ``within=0`` asks for equality, which also serves strings, booleans
    and tuples. Raises ``AssertionError`` naming the promise and the measured value when it is broken, and
    ``ValueError`` for a tolerance that is negative, infinite or not a number.
    """
    if not _is_number(within) or not math.isfinite(within) or within < 0:
        raise ValueError(f"within must be a finite number of at least 0, not {within!r}")
    if within == 0:
        promise, kept = f"{about}, exactly", _plain(measured) == _plain(about)
    else:
        if not _is_number(about) or not _is_number(measured):
            raise ValueError(f"a tolerance needs numbers: {name} is {measured!r}, promised about {about!r}")
        promise, kept = f"{about:.10g}, within {within:g}", abs(float(measured) - float(about)) <= within
    if not kept:
        raise AssertionError(f"{name}: the text promises {promise}, but this run gave {measured!r}")
    print(f"{name}: {promise} ✓")


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) or (hasattr(value, "item") and getattr(value, "size", 0) == 1)


def _plain(value):
    """NumPy scalars and arrays as plain Python, so that ``==`` gives one truth value."""
    return value.tolist() if hasattr(value, "tolist") else value
