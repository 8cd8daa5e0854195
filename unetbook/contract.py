"""Numbers under contract: what the text says is printed beside what this run measured. Used by every chapter."""

import math
import numbers
import os

HINT = "the text no longer describes this run"


def expect(name: str, measured, about, within=0) -> None:
    """Print what was measured and what the text says of it, with ✓ where they agree.

    One line: ``IoU: 0.302 (text: 0.30 ± 0.05) ✓``, or without a tolerance ``output: 388 (exactly) ✓``; units are those
    of the text. ``within=0`` asks for equality, which also serves strings, booleans, tuples and arrays. Where they
    disagree the line ends in ✗ and says that the text no longer describes this run, as after a change of yours; with
    ``UNETBOOK_STRICT=1``, as the tests have it, ``AssertionError`` is raised instead. ``ValueError`` for a tolerance
    that is negative, infinite or not a number, and for one of what is no number.
    """
    if not _is_number(within) or not math.isfinite(within) or within < 0:
        raise ValueError(f"within must be a finite number of at least 0, not {within!r}")
    if within == 0:
        kept = _plain(measured) == _plain(about)
        text = _plain(about)  # where they are equal, as the text has it: 0 and not 0.0
        shown, promise = (f"{text}", "(exactly)") if kept else (f"{_plain(measured)}", f"(text: {text}, exactly)")
    else:
        if not _is_number(about) or not _is_number(measured):
            raise ValueError(f"a tolerance needs numbers: {name} is {measured!r}, promised about {about!r}")
        measured, about, within = (_number(value) for value in (measured, about, within))
        kept = abs(measured - about) <= within
        shown, promise = _measured(measured, within), f"(text: {_promised(about, within)})"
    line = f"{name}: {shown} {promise}"
    if not kept and os.environ.get("UNETBOOK_STRICT") == "1":
        raise AssertionError(f"{line} ✗ {HINT}; measured was {_plain(measured)!r}")
    print(f"{line} ✓" if kept else f"{line} ✗ {HINT}")


def _is_number(value) -> bool:
    return isinstance(value, numbers.Real) or (hasattr(value, "item") and getattr(value, "size", 0) == 1)


def _plain(value):
    """NumPy scalars and arrays as plain Python, so that ``==`` gives one truth value."""
    return value.tolist() if hasattr(value, "tolist") else value


def _number(value):
    """A number, NumPy scalar or array of one element as a plain number."""
    return value.item() if hasattr(value, "item") else value


def _promised(about, within) -> str:
    """Promise and tolerance with as many decimals as either needs, and at most ten digits: the tools read them."""
    texts = [f"{float(value):.10g}" for value in (about, within)]
    if any("e" in text for text in texts):
        return " ± ".join(texts)
    decimals = [len(text.partition(".")[2]) for text in texts]
    texts[0] += ("." if not decimals[0] and decimals[1] else "") + "0" * max(0, decimals[1] - decimals[0])
    return " ± ".join(texts)


def _measured(value, within) -> str:
    """A measured number to a tenth of the tolerance's first digit; what would round to nothing, to two digits."""
    if isinstance(value, numbers.Integral) or not math.isfinite(value):
        return str(value)
    places = max(0, 1 - math.floor(math.log10(within)))
    rounded = f"{value:.{places}f}"
    return rounded if value == 0 or float(rounded) else f"{value:.2g}"
