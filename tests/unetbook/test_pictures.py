"""The photograph that an installed package ships: read as a file, and told how to get where it is not."""

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from unetbook.datasets import pictures


def test_the_photograph_has_its_nuclei():
    photograph = pictures.nuclei()
    assert photograph.image.shape == (512, 512, 1) and photograph.image.dtype == np.float32
    assert 0 <= photograph.image.min() and 0.5 < photograph.image.max() <= 1
    assert photograph.labels.shape == (512, 512) and photograph.labels.dtype == np.int32
    assert len(np.unique(photograph.labels)) == 125 + 1
    inside = photograph.labels > 0
    assert photograph.image[inside].mean() > 1.5 * photograph.image[~inside].mean()


def test_the_package_that_ships_it_is_not_imported():
    code = "import sys; from unetbook.datasets import pictures; pictures.nuclei(); sys.exit('stardist' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_where_it_is_missing_the_fix_is_told(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(FileNotFoundError, match="pip install stardist"):
        pictures.nuclei()
