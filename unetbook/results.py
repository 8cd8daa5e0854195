"""Where the stored results and the weights lie: in a clone, or inside an installed package. Chapter 15."""

from pathlib import Path


def folder() -> Path:
    """The copy that an installed package carries (on Colab, say), or ``results/`` of a clone.

    The installed copy first: beside an installed package, a folder ``results`` would be somebody else's.
    """
    package = Path(__file__).parent
    installed = package / "_results"
    return installed if installed.is_dir() else package.parent / "results"
