"""Labeled photographs that an installed package ships: real pictures where no data set is at hand."""

import importlib.metadata

import numpy as np
import tifffile

from unetbook.datasets._files import Sample

PACKAGE = "stardist"


def nuclei() -> Sample:
    """One photograph of 125 nuclei in fluorescence: id, float32 (512, 512, 1) in [0, 1], int32 (512, 512).

    It is a crop of the image 4dbbb27596 of the Data Science Bowl 2018 (CC0), with noise, as the package ``stardist``
    ships it (Schmidt et al. 2018); the files are read, and the package is not imported. Raises ``FileNotFoundError``
    where it is not installed.
    """
    try:
        package = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"the picture comes with the package {PACKAGE}, which is not installed: pip install {PACKAGE}"
        ) from None
    image, labels = (
        tifffile.imread(package.locate_file(f"{PACKAGE}/data/images/{name}.tif")) for name in ("img2d", "mask2d")
    )
    return Sample("photograph", np.float32(image[..., None] / 255), labels.astype(np.int32))
