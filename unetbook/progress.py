"""Bars with the time left, in a terminal and in a notebook: for everything that takes over five seconds."""

import os
import sys
import warnings

QUIET = "UNETBOOK_STRICT"  # set where chapters are executed and compared: their pages hold no bars


def bar(total, unit, shown=None, **options):
    """A bar of ``tqdm`` on stderr: ``with bar(...) as steps: steps.update()``, or ``bar(..., iterable=...)``.

    shown: ``None`` where somebody looks, at a terminal or in a notebook; ``True`` also where output goes to a file.
    Nowhere in the kernel that executes the book's chapters.
    """
    shown = looked_at() if shown is None else shown
    if not shown or os.environ.get(QUIET) == "1":
        from tqdm import tqdm

        return tqdm(total=total, disable=True, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a notebook without widgets: a bar of text takes their place
        from tqdm.auto import tqdm
    return tqdm(total=total, unit=unit, **options)


def looked_at() -> bool:
    """Whether stderr is a terminal, or a notebook's."""
    return sys.stderr.isatty() or "ipykernel" in type(sys.stderr).__module__
