"""Your own images and masks, from two folders."""

import os
import warnings
from pathlib import Path

import numpy as np

from unetbook import labels
from unetbook.datasets import _files, pairing
from unetbook.images import reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def load(images, masks, classes=None, instances=False) -> _files.Samples:
    """Pairs of image and mask, as a sequence that reads a sample when it is asked for.

    images, masks: two folders of PNG, JPEG, BMP or TIFF files (one picture a file; folders inside are not read).
    ``cell.jpg`` pairs with a mask of the same stem, ``cell.png``, or of that stem and a word for masks:
    ``cell_mask.tif``, ``cell-labels.png``, ``cell_cp_masks.png``, ``mask_cell.png`` (``pairing``). Files without a
    partner are left out, and a warning names them.

    Each sample is a ``Sample``: id (the image's stem), image float32 (H, W, C) in [0, 1], C being 1, 3 or what a
    TIFF holds, labels int32 (H, W). 8 bits are divided by 255 and 16 bits by 65535, also side by side; an opaque alpha
    channel is dropped; a turn that a TIFF or EXIF orientation tells is made, in images and masks alike, and a warning
    says so. All images must have the channels of the first one: gray and color are not mixed. Masks are read by
    ``labels.as_labels(mask, classes)``; with ``instances`` their values are the numbers of objects and stay as they
    are. A mask of background alone is fine. Without classes and instances, black and one color are 0 and 1, and so is a
    JPEG whose grays lie at edges, with a warning. A palette gives its colors: with ``instances`` or a number of classes
    it is refused unless it is a ramp of gray.

    Raises ``FileNotFoundError`` or ``NotADirectoryError`` for a folder; ``ValueError`` that names the files when there
    are no pictures, no pairs, two masks of one image or two images of one mask, and, when the sample is read, when a
    file is damaged, a stack, transparent, in CMYK, of other numbers or channels, when sizes differ, and when the
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
        binary = classes is None and not instances
        mask = reading.mask(mask_file.read_bytes(), mask_file, like=image, numbers=numbers, binary=binary)
        try:
            return _files.Sample(id_, image, object_numbers(mask) if instances else labels.as_labels(mask, classes))
        except ValueError as error:
            raise ValueError(f"{mask_file}: {error}") from error

    return _files.Samples(pairs, sample)


def pictures_in(folder) -> list[Path]:
    """The picture files of a folder, sorted by name."""
    _check_folder(folder)
    pictures = [path for path in sorted(folder.iterdir()) if path.is_file() and _is_picture(path.name)]
    if not pictures:
        inner = next((path for path in sorted(folder.iterdir()) if path.is_dir()), None)
        hint = f"; folders inside are not read: give {inner} and others by name" if inner else ""
        raise ValueError(_no_pictures(folder) + hint)
    return pictures


def pictures_below(folder, but=()) -> list[Path]:
    """The picture files of a folder, sorted by name, then those of folders inside; not of hidden ones, nor of ``but``.

    Raises errors as ``pictures_in`` does.
    """
    _check_folder(folder)
    but, found = {Path(path).resolve() for path in but}, []
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(n for n in inside if not n.startswith((".", "__")) and Path(place, n).resolve() not in but)
        found += [Path(place, name) for name in sorted(names) if _is_picture(name)]
    if not found:
        raise ValueError(_no_pictures(folder))
    return found


def _check_folder(folder):
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give the folder that holds it")


def _no_pictures(folder):
    others = [path.name for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    told = f", only {others[0]} and the like" if others else ""
    return f"{folder} holds no pictures ({', '.join(SUFFIXES)}){told}"


def _is_picture(name):
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def _warn_of_the_others(files, pairs, most=10):
    alone = list(map(str, pairing.alone(files, pairs)))
    if alone:
        more = f" and {len(alone) - most} more" if len(alone) > most else ""
        warnings.warn(f"without a partner, and left out: {', '.join(alone[:most])}{more}", stacklevel=3)


def _image(file):
    return reading.image(file.read_bytes(), file)


def object_numbers(mask) -> np.ndarray:
    """The values of a decoded mask as numbers of objects, int32; ``ValueError`` where they cannot be."""
    if mask.ndim != 2:
        raise ValueError("numbers of objects are gray values, and this mask has colors: save the numbers themselves")
    if mask.dtype.kind not in "bui" or (mask.size and (mask.min() < 0 or mask.max() > np.iinfo(np.int32).max)):
        raise ValueError(f"numbers of objects are integers from 0 up that fit 32 bits, not {mask.dtype}")
    return mask.astype(np.int32)
