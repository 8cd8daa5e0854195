"""Which mask belongs to which image, by the names that programs give their files."""

import re
import unicodedata
from collections import defaultdict
from pathlib import Path

WORDS = r"masks?|labels?|segmentations?|seg|gt|instances|annotations?"
# ``x_mask``, ``x-labels``, Cellpose's ``x_cp_masks``; and the same word before the name.
ENDING = re.compile(rf"[_-](cp[_-])?({WORDS})$", re.IGNORECASE)
BEGINNING = re.compile(rf"^({WORDS})[_-]", re.IGNORECASE)
# ``x_img``, ``image-x``; nnU-Net's ``x_0000``, the first channel of x.
OF_IMAGES = (re.compile(r"[_-](img|image|im|raw)$", re.IGNORECASE), re.compile(r"_0000$"))
IMAGE_FIRST = re.compile(r"^(img|image|im|raw)[_-]", re.IGNORECASE)


def same(name) -> str:
    """A name as it is compared: an accent is one character, or two, by the system that wrote it."""
    return unicodedata.normalize("NFC", name)


def stem_of(file) -> str:
    """The name of a picture's file without its ending, which for ``cell.ome.tif`` is ``.ome.tif``."""
    file = Path(file)
    return file.stem[:-4] if file.name.lower().endswith((".ome.tif", ".ome.tiff")) else file.stem


def stem(file) -> str:
    """``stem_of`` as it is compared."""
    return same(stem_of(file))


def names_of_image(file) -> set[str]:
    """The stem of an image, and what is left of it without ``_img``, ``image_`` or ``_0000``."""
    name = stem(file)
    return {name, *(ending.sub("", name) for ending in OF_IMAGES), IMAGE_FIRST.sub("", name)} - {""}


def names_of_mask(file) -> set[str]:
    """The stem of a mask, and what is left of it without ``_mask``, ``mask_`` and the like."""
    name = stem(file)
    return {name, ENDING.sub("", name), BEGINNING.sub("", name)} - {""}


def pairs(images, masks) -> dict[str, tuple[Path, Path]]:
    """Files (image, mask) by the image's stem, in the order of the images.

    images, masks: lists of files, which may be one list where both lie in one folder: masks are then the files whose
    name says so. Raises ``ValueError`` for two partners of one file, naming them, and where nothing pairs.
    """
    images, masks = list(images), list(masks)
    first, other = images[0], masks[0]
    if set(images) == set(masks):
        masks = [file for file in images if names_of_mask(file) != {stem(file)}]
        images = [file for file in images if file not in set(masks)]
    found, owners, by_name = {}, {}, defaultdict(list)
    for mask in masks:
        for name in names_of_mask(mask):
            by_name[name].append(mask)
    for image in images:
        partners = list(dict.fromkeys(mask for name in sorted(names_of_image(image)) for mask in by_name[name]))
        if len(partners) > 1:
            raise ValueError(f"{image} pairs with two masks, {partners[0]} and {partners[1]}: keep one")
        for mask in partners:
            if mask in owners:
                raise ValueError(f"{mask} pairs with two images, {owners[mask]} and {image}: keep one")
            owners[mask] = image
            if stem(image) in found:
                raise ValueError(f"{found[stem(image)][0]} and {image} have one stem: rename one, and its mask")
            found[stem(image)] = image, mask
    if not found:
        raise ValueError(
            f"no mask in {other.parent} pairs with an image in {first.parent} ({other.name} and {first.name} are the "
            "first): give a mask the stem of its image, or that stem and _mask"
        )
    return found


def alone(files, pairs) -> list[Path]:
    """The files that are in none of the pairs, each once."""
    paired = {file for pair in pairs.values() for file in pair}
    return [file for file in dict.fromkeys(files) if file not in paired]
