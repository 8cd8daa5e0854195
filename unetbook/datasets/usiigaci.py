"""Cells that touch, in phase contrast: the T98G glioblastoma cells of Usiigaci.

45 images for training and 5 for validation, 1022 x 1024 pixels of 16 bits, with a number for each cell. Tsai et al.,
SoftwareX 2019. Kin to the PhC-U373 cells of the U-Net paper.
"""

import re
from pathlib import Path

import numpy as np

from unetbook import labels
from unetbook.datasets import _archives, _files
from unetbook.images import reading

FOLDER = "usiigaci"
FILES = (("usiigaci.zip", "train"), ("usiigaci.zip", "val"))
IMAGE = r"(^|/)(?P<id>(train|val)/set\d+)/raw\.tif$"
MASK = r"(^|/)(?P<id>(train|val)/set\d+)/instances_ids\.png$"

LARGE = 2000  # pixels; the median cell has 2,658 and more in 23 pictures, and at most 1,618 in the other 27
SMALLEST = 50  # pixels of a cell; the median of the cells has 1,749


def how_to_get() -> str:
    """What to download, from where, how large, under which license, and where to put it."""
    return (
        "Download https://github.com/oist/Usiigaci (MIT; cite Tsai et al. 2019; about 100 MB of it are needed) and put "
        "the folders train/ and val/ of its folder 'Mask R-CNN', or both packed as usiigaci.zip, into a folder "
        f"{FOLDER}/ below the folder that {_files.VARIABLE} names, or into {_files.cache_folder() / FOLDER}"
    )


def files(root=None) -> list[Path]:
    """Path of the archive, or of the folders ``train`` and ``val``; errors as in ``load``."""
    return _files.find(FOLDER, FILES, root, how_to_get())


def load(root=None, ids=None) -> _files.Samples:
    """The images and their cells, as a sequence that reads a sample when it is asked for.

    Each is a ``Sample``: id (``train/set1`` to ``val/set50``), image float32 (H, W, 1) in [0, 1], labels int32 (H, W),
    0 = background. ``ids`` selects and orders. ``root`` is the folder that holds ``usiigaci/``; without it
    ``UNETBOOK_DATA``, then the cache folder.

    The 16 bits are divided by 65535: the authors stretched each image to that full range. One in five of their
    hand-drawn cells (628 of 3,225) falls into several 4-connected pieces, nearly always a body and crumbs of a few
    pixels. Each piece becomes an object of its own, and pieces under ``SMALLEST`` pixels background: 3,240 cells.

    Raises ``FileNotFoundError`` or ``NotADirectoryError`` that say how to get the data; ``ValueError`` naming an
    archive or a member that is damaged, a path that leaves the folder, an image without ids or ids without an image,
    absent ids, and, when the sample is read, a mask of another size.
    """
    path = files(root)[0]
    members = _archives.Members(path if path.is_file() else path.parent)
    images, masks = members.by_id(IMAGE), members.by_id(MASK)
    known = sorted(_archives.paired(images, masks, members.path), key=_number)

    def sample(id_):
        image = reading.image(members.read(images[id_]), members.where(images[id_]), channels=1)
        mask = reading.mask(members.read(masks[id_]), members.where(masks[id_]), like=image, numbers=True)
        try:
            return _files.Sample(id_, image, without_crumbs(mask))
        except ValueError as error:
            raise ValueError(f"{members.where(masks[id_])}: {error}") from error

    return _files.Samples(_archives.chosen(known, ids, members.path), sample)


def without_crumbs(cells, smallest=SMALLEST) -> np.ndarray:
    """Number each 4-connected piece of a cell as an object, and make pieces under ``smallest`` pixels background.

    cells: integer labels (H, W), 0 = background. Returns int32 (H, W), 1 to n. Raises ``ValueError`` for other labels.
    """
    pieces = labels.relabel(cells)
    pieces[np.bincount(pieces.ravel())[pieces] < smallest] = 0
    return labels.relabel(pieces)


def kind(cells) -> str:
    """Two kinds of picture lie in the set, and nothing between them: the median cell of labels (H, W) tells which."""
    areas = np.bincount(cells.ravel())[1:]
    return "large cells" if areas.any() and np.median(areas[areas > 0]) > LARGE else "small cells"


def _number(id_):
    return int(re.search(r"\d+", id_)[0])
