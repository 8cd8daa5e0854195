"""Membranes in serial-section electron microscopy: the ISBI 2012 challenge, the U-Net paper's first task.

30 training slices of 512 x 512 pixels (Drosophila ventral nerve cord, 4 x 4 nm a pixel, slices 50 nm apart)
with labels, and 30 test slices whose labels were never published. Neighboring slices show the same cells:
split into contiguous blocks, never at random. Cardona et al. 2010; Arganda-Carreras et al. 2015.
"""

from pathlib import Path

import numpy as np

from unetbook.datasets import _files

FOLDER = "isbi2012"
TRAIN = ("train-volume.tif", "train-labels.tif")
TEST = ("test-volume.tif",)


def how_to_get() -> str:
    """What to download, from where, how large, under which license, and where to put it."""
    return (
        "Download ISBI-2012-challenge.zip (tens of MB; free for research if you cite Arganda-Carreras et al. "
        "2015 and Cardona et al. 2010) from https://imagej.net/events/isbi-2012-segmentation-challenge and put "
        "train-volume.tif, train-labels.tif and test-volume.tif into a folder "
        f"{FOLDER}/ below the folder that {_files.VARIABLE} names, or into {_files.cache_folder() / FOLDER}"
    )


def files(root=None) -> list[Path]:
    """Paths of the training volume and its labels; errors as in ``load``."""
    return _files.find(FOLDER, TRAIN, root, how_to_get())


def load(root=None) -> tuple[np.ndarray, np.ndarray]:
    """The training slices: images float32 (30, 512, 512, 1) in [0, 1], labels int32 (30, 512, 512).

    Labels are the annotators' binary map, as the network learns it: 1 inside a cell, 0 on membrane. Instances
    follow from ``labels.connected`` slice by slice. ``root`` is the folder that holds ``isbi2012/``; without
    it ``UNETBOOK_DATA``, then the cache folder. Raises ``FileNotFoundError`` or ``NotADirectoryError`` that
    say how to get the data, and ``ValueError`` naming the file that is damaged, of another dtype, of other
    values or of another size.
    """
    volume_file, labels_file = files(root)
    volume, labels = _files.read_stack(volume_file), _files.read_stack(labels_file)
    if volume.shape != labels.shape:
        raise ValueError(
            f"{labels_file} has shape {labels.shape} and {volume_file} {volume.shape}; both must hold the "
            "same slices: get both again from one source"
        )
    others = np.setdiff1d(labels, (0, 255))
    if others.size:
        raise ValueError(
            f"{labels_file} holds the values {others[:5].tolist()}; labels are 0 (membrane) or 255 "
            "(interior): get the original file, or threshold a copy that was compressed with loss"
        )
    return _scaled(volume), (labels == 255).astype(np.int32)


def load_test(root=None) -> np.ndarray:
    """The test slices, whose labels were never published: float32 (30, 512, 512, 1) in [0, 1].

    ``root`` and errors as in ``load``.
    """
    (volume_file,) = _files.find(FOLDER, TEST, root, how_to_get())
    return _scaled(_files.read_stack(volume_file))


def _scaled(volume):
    return volume[..., None].astype(np.float32) / 255
