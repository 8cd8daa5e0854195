"""Your own images and masks, from two folders."""

import warnings
from pathlib import Path

import numpy as np

from unetbook import labels
from unetbook.datasets import _files, _images, pairing

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def load(images, masks, classes=None, instances=False) -> _files.Samples:
    """Pairs of image and mask, as a sequence that reads a sample when it is asked for.

    images, masks: two folders of PNG, JPEG, BMP or TIFF files (one picture a file; folders inside are not read).
    ``cell.jpg`` pairs with a mask of the same stem, ``cell.png``, or of that stem and a word for masks:
    ``cell_mask.tif``, ``cell-labels.png``, ``cell_cp_masks.png``, ``mask_cell.png`` (``pairing``). Files without a
    partner are left out, and a warning names them.

    Each sample is a ``Sample``: id (the image's stem), image float32 (H, W, 1) or (H, W, 3) in [0, 1], labels int32
    (H, W). 8 bits are divided by 255 and 16 bits by 65535, also side by side; an opaque alpha channel is dropped; a
    turn that a camera wrote into EXIF is ignored. All images must have the channels of the first one: gray and color
    are not mixed. Masks are read by ``labels.as_labels(mask, classes)``; with ``instances`` their values are the
    numbers of objects and stay as they are. A mask of background alone is fine; JPEG is read for 0/255 masks only. A
    palette gives its colors: with ``instances`` or a number of classes it is refused, as are PNGs of 1, 2 or 4 bits.

    Raises ``FileNotFoundError`` or ``NotADirectoryError`` for a folder; ``ValueError`` that names the files when there
    are no pictures, no pairs, two masks of one image or two images of one mask, and, when the sample is read, when a
    file is damaged, transparent, in CMYK, of another bit depth or number of channels, when sizes differ, and when the
    values of a mask are ambiguous, such as the grays that JPEG leaves.
    """
    if not isinstance(instances, (bool, np.bool_)):
        raise ValueError(f"instances is True or False, not {instances!r}")
    if instances and classes is not None:
        raise ValueError("give classes or instances=True, not both: values are classes or numbers of objects")
    images, masks = Path(images).expanduser(), Path(masks).expanduser()
    image_files, mask_files = pictures_in(images), pictures_in(masks)
    if images.samefile(masks):
        raise ValueError(f"{images} is given for images and masks: put them into two folders")
    pairs = pairing.pairs(image_files, mask_files)
    if not pairs:
        raise ValueError(
            f"no mask in {masks} pairs with an image in {images} ({mask_files[0].name} and {image_files[0].name} are "
            "the first): give a mask the stem of its image, or that stem and _mask"
        )
    _warn_of_the_others(image_files + mask_files, pairs)
    first = next(iter(pairs.values()))[0]
    channels = _image(first).shape[2]
    numbers = instances or isinstance(classes, (int, np.integer))

    def sample(id_):
        image_file, mask_file = pairs[id_]
        image = _image(image_file)
        if image.shape[2] != channels:
            raise ValueError(
                f"{image_file} has {image.shape[2]} channel(s) and {first} has {channels}: save all images in gray, or "
                "all in RGB"
            )
        mask = _images.mask(mask_file.read_bytes(), mask_file, like=image, numbers=numbers)
        jpeg = "JPEG changes values, save masks as PNG" if mask_file.suffix.lower() in (".jpg", ".jpeg") else ""
        if jpeg and (instances or classes is not None):  # a changed value may look like another class or object
            raise ValueError(f"{mask_file}: {jpeg}")
        try:
            return _files.Sample(id_, image, object_numbers(mask) if instances else labels.as_labels(mask, classes))
        except ValueError as error:
            raise ValueError(f"{mask_file}: {error}{jpeg and '; '}{jpeg}") from error

    return _files.Samples(pairs, sample)


def pictures_in(folder):
    """The picture files of a folder, sorted by name."""
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give the folder that holds it")
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    pictures = [path for path in found if path.suffix.lower() in SUFFIXES]
    if not pictures:
        others = f", only {found[0].name} and the like" if found else ""
        inner = next((path for path in sorted(folder.iterdir()) if path.is_dir()), None)
        hint = f"; folders inside are not read: give {inner} and others by name" if inner else ""
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}){others}{hint}")
    return pictures


def _warn_of_the_others(files, pairs, most=10):
    paired = {file for pair in pairs.values() for file in pair}
    alone = [str(file) for file in files if file not in paired]
    if alone:
        more = f" and {len(alone) - most} more" if len(alone) > most else ""
        warnings.warn(f"without a partner, and left out: {', '.join(alone[:most])}{more}", stacklevel=3)


def _image(file):
    return _images.image(file.read_bytes(), file)


def object_numbers(mask) -> np.ndarray:
    """The values of a decoded mask as numbers of objects, int32; ``ValueError`` where they cannot be."""
    if mask.ndim != 2:
        raise ValueError("numbers of objects are gray values, and this mask has colors: save the numbers themselves")
    if mask.dtype.kind not in "bui" or (mask.size and (mask.min() < 0 or mask.max() > np.iinfo(np.int32).max)):
        raise ValueError(f"numbers of objects are integers from 0 up that fit 32 bits, not {mask.dtype}")
    return mask.astype(np.int32)
