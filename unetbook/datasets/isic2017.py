"""Skin lesions under the dermoscope: the ISIC 2017 challenge, part 1, its validation images.

RGB images of several sizes, each with one mask of the lesion, which covers from 0.5 % to 92 % of it. Codella et al.
2018.
"""

from pathlib import Path

from unetbook import labels
from unetbook.datasets import _archives, _files
from unetbook.images import reading

FOLDER = "isic2017"
FILES = tuple((f"{name}.zip", name) for name in ("ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"))
IMAGE = r"(^|/)(?P<id>ISIC_\d+)\.jpg$"  # the archive of images also holds ISIC_<id>_superpixels.png
MASK = r"(^|/)(?P<id>ISIC_\d+)_segmentation\.png$"
# The last number of each kind, which the images themselves tell at a glance: the set is in order of its sources.
KINDS = ((8025, "colored stickers"), (10459, "fills the picture"), (14428, "ruler"), (9999999, "two lamps"))


def how_to_get() -> str:
    """What to download, from where, how large, under which license, and where to put it."""
    return (
        "Download ISIC-2017_Validation_Data.zip (under 1 GB) and ISIC-2017_Validation_Part1_GroundTruth.zip (under "
        "1 MB; both CC0; cite Codella et al. 2018) from https://challenge.isic-archive.com/data/#2017 and put them, or "
        f"the folders of the same names, into a folder {FOLDER}/ below the folder that {_files.VARIABLE} names, or "
        f"into {_files.cache_folder() / FOLDER}"
    )


def files(root=None) -> list[Path]:
    """Paths of the images and of the masks, each an archive or an unpacked folder; errors as in ``load``."""
    return _files.find(FOLDER, FILES, root, how_to_get())


def load(root=None, ids=None) -> _files.Samples:
    """The images and their lesions, as a sequence that reads a sample when it is asked for.

    Each is a ``Sample``: id (``ISIC_0001769``), image float32 (H, W, 3) in [0, 1], labels int32 (H, W), 1 = lesion.
    ``ids`` selects and orders. ``root`` is the folder that holds ``isic2017/``; without it ``UNETBOOK_DATA``, then
    the cache folder.

    Raises ``FileNotFoundError`` or ``NotADirectoryError`` that say how to get the data; ``ValueError`` naming an
    archive or a member that is damaged, a path that leaves the folder, an image without a mask or a mask without an
    image, absent ids, and, when the sample is read, a mask of another size or of other values.
    """
    pictures, truths = map(_archives.Members, files(root))
    images, masks = pictures.by_id(IMAGE), truths.by_id(MASK)
    where = f"{pictures.path} with {truths.path.name}"
    known = _archives.paired(images, masks, where)

    def sample(id_):
        image = reading.image(pictures.read(images[id_]), pictures.where(images[id_]), channels=3)
        mask = reading.mask(truths.read(masks[id_]), truths.where(masks[id_]), like=image)
        try:
            return _files.Sample(id_, image, labels.as_labels(mask))
        except ValueError as error:
            raise ValueError(f"{truths.where(masks[id_])}: {error}") from error

    return _files.Samples(_archives.chosen(known, ids, where), sample)


def kind(id_) -> str:
    """What an image shows beside its lesion, by its id such as ``ISIC_0001769``."""
    return next(name for last, name in KINDS if int(id_.split("_")[1]) <= last)
