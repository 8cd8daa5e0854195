"""The package behind the book: what its chapters share, so that it is written and tested once.

Import the room you need, for example ``from unetbook import sizes, tiling`` or ``from unetbook.nets import unet``; or
use a kept network on a picture of your own: ``unetbook.load("nuclei")(image)``.
"""

import importlib

__version__ = "0.1.0"

# Names that are imported when they are first asked for: with them, `import unetbook` would take seconds, and every
# chapter would depend on every module. `tools/inputs.py` reads this table.
_LAZY = {"load": "segmenter", "Segmenter": "segmenter"}


def __getattr__(name):
    """The names of ``_LAZY``, from their modules (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:
        from unetbook import kept

        raise kept.without_backend(error) from None


def __dir__():
    """Also the names that are not imported yet."""
    return sorted({*globals(), *_LAZY})
