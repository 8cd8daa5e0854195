"""What lies in a folder of annotated pictures: their sizes, bits and channels, how masks are encoded, their objects."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage import measure, segmentation

from unetbook import labels, normalize, progress
from unetbook.datasets import folder, pairing
from unetbook.images import reading

FEWEST = 5  # annotated pictures
MOST_CLASSES = 20
SOME = 200  # objects whose outline is looked at
NUMBERS = "numbers of objects"  # an encoding


class Picture(NamedTuple):
    """One annotated picture: its id, image float32 (H, W, C) in [0, 1], labels int32 (H, W), group, bits a channel."""

    id: str
    image: np.ndarray
    labels: np.ndarray
    group: str
    bits: int = 8


class Found(NamedTuple):
    """What was found in a folder; pixels are those of the pictures.

    task: ``"objects"`` or ``"classes"``. encoding: what the values of the masks are, in words. classes: how many, with
    the background. counts: objects a picture, or pieces. diameter: that of the median object, as a disc of
    its area; for classes of the largest pieces of each picture.
    touching: share of objects that touch another one; 0 for classes. solidity: median share of its convex hull that an
    object covers.
    brighter: share of pictures whose objects are brighter than the ground. agree: share of pictures of which
    ``normalize.light_ground`` tells that. reach: for each picture the gray value below which 99.8 % of it lie.
    alone: files without a partner. unlabeled: images among these.
    """

    task: str
    encoding: str
    classes: int
    sizes: list
    bits: list
    channels: int
    counts: list
    diameter: float
    touching: float
    solidity: float
    brighter: float
    agree: float
    reach: list
    alone: list
    unlabeled: list


def read(images, masks, task=None, channels=None, group_by=None) -> tuple[list[Picture], Found]:
    """All pairs of image and mask of two folders, or of one, in memory, and what is found in them.

    task: ``"objects"`` or ``"classes"``; told by the masks unless given. channels: indices of those to take. group_by:
    a regular expression that is searched in the image's stem; its first group, or else the match, names the group.

    Raises ``FileNotFoundError``, ``NotADirectoryError`` for the folders; ``ValueError`` that names the file, and the
    fix, for what cannot be read, for pictures of other channels, and for masks that may mean several things.
    """
    images, masks = Path(images).expanduser(), Path(masks).expanduser()
    image_files = folder.pictures_in(images)
    mask_files = image_files if images.exists() and images.samefile(masks) else folder.pictures_in(masks)
    pairs = pairing.pairs(image_files, mask_files)
    alone = pairing.alone([*image_files, *mask_files], pairs)
    every = progress.bar(len(pairs), "picture", iterable=pairs.items())
    raw = [_read(id_, *files, channels) for id_, files in every]
    _refuse_other_channels(raw, pairs)
    task, encoding, values = _told(raw, pairs, task)
    in_pieces = task == "objects" and encoding != NUMBERS
    numbered = [labels.connected(mask > 0) if in_pieces else _labels(mask, task, values) for _, _, mask, _ in raw]
    if not any(one.any() for one in numbered):
        raise ValueError(f"no mask in {masks} marks anything: are these the annotated ones?")
    pictures = [
        Picture(id_, image, found, _group(id_, group_by), bits)
        for (id_, image, _, bits), found in zip(raw, numbered, strict=True)
    ]
    unlabeled = [file for file in alone if file in set(image_files) and file not in set(mask_files)]
    return pictures, described(pictures, task, encoding, len(values), alone, unlabeled)


def described(pictures, task, encoding="", classes=2, alone=(), unlabeled=()) -> Found:
    """What is found in pictures that are in memory."""
    areas, counts, touching, solid, brighter, agree, reach = [], [], 0, [], [], [], []
    for one in pictures:
        numbered = task == "objects"
        objects = one.labels if numbered else labels.connected(one.labels > 0)
        regions = measure.regionprops(objects)
        of_regions = [region.area for region in regions]
        areas += of_regions if numbered else [max(of_regions, default=0)]
        counts.append(len(regions))
        touching += len(np.unique(objects[(objects > 0) & (labels.separate(objects) == 0)])) if numbered else 0
        solid += [region.solidity for region in regions[: max(1, SOME // len(pictures))]]
        gray, inside = one.image.mean(axis=2), one.labels > 0
        if inside.any() and not inside.all():
            brighter.append(gray[inside].mean() > gray[~inside].mean())
            agree.append(normalize.light_ground(one.image) != brighter[-1])
        reach.append(float(np.percentile(one.image, normalize.HIGH)))
    return Found(
        task=task,
        encoding=encoding,
        classes=classes,
        sizes=[one.labels.shape for one in pictures],
        bits=sorted({one.bits for one in pictures}),
        channels=pictures[0].image.shape[2],
        counts=counts,
        diameter=float(np.median(2 * np.sqrt(np.array(areas)[np.array(areas) > 0] / np.pi))),
        touching=touching / max(len(areas), 1),
        solidity=float(np.median(solid)),
        brighter=float(np.mean(brighter)) if brighter else 1.0,
        agree=float(np.mean(agree)) if agree else 0.0,
        reach=reach,
        alone=[str(file) for file in alone],
        unlabeled=[str(file) for file in unlabeled],
    )


def _read(id_, image_file, mask_file, channels):
    data = image_file.read_bytes()
    bits = reading.picture(data, image_file).bits
    image = reading.image(data, image_file)
    if channels is not None:
        try:
            image = normalize.picked(image, channels)
        except ValueError as error:
            raise ValueError(f"{image_file}: {error}") from None
    mask = reading.mask(mask_file.read_bytes(), mask_file, like=image, numbers=True, binary=True)
    if mask.ndim != 2:
        raise ValueError(
            f"{mask_file} has colors, and numbers of objects or classes are read: save the numbers themselves, or "
            "turn colors into classes with unetbook.labels.as_labels(mask, classes=[...])"
        )
    return id_, image, folder.object_numbers(mask), bits


def _refuse_other_channels(raw, pairs):
    first = next(iter(pairs.values()))[0]
    for id_, image, _, _ in raw:
        if image.shape[2] != raw[0][1].shape[2]:
            raise ValueError(
                f"{pairs[id_][0]} has {image.shape[2]} channel(s) and {first} has {raw[0][1].shape[2]}: save all "
                "images in gray, or all in RGB, or choose a channel that all have (--channels 0)"
            )


def _told(raw, pairs, task):
    """The task, the encoding in words, and the values that are classes, from all masks together."""
    if task not in (None, "objects", "classes"):
        raise ValueError(f"task is 'objects' or 'classes', not {task!r}")
    every = sorted({int(value) for _, _, mask, _ in raw for value in np.unique(mask)})
    above = [value for value in every if value]
    if len(above) <= 1:
        value = above[0] if above else 1
        return _two_valued(raw, task, value)
    first = next(pairs[id_][1] for id_, _, mask, _ in raw if len(np.unique(mask)) > 2 or mask.max() > 1)
    if task == "objects" or (task is None and _are_numbers(raw, above)):
        return "objects", NUMBERS, [0, 1]
    if task == "classes":
        if len(above) >= MOST_CLASSES:
            raise ValueError(f"the masks, such as {first}, hold {len(above)} values: these are objects, not classes")
        named = ", ".join(f"{value} is class {number}" for number, value in enumerate([0, *above]))
        return "classes", "numbers of classes" if above[-1] == len(above) else named, [0, *above]
    shown = ", ".join(map(str, every[:8])) + (" ..." if len(every) > 8 else "")
    raise ValueError(
        f"the masks, such as {first}, hold the values {shown}, which may number objects or name classes: say which, "
        "--task objects or --task classes"
    )


def _two_valued(raw, task, value):
    pieces = [int(labels.connected(mask > 0).max()) for _, _, mask, _ in raw]
    if task is None and np.median(pieces) > 1:
        raise ValueError(
            f"the masks hold 0 and {value} alone, in {np.median(pieces):.0f} pieces a picture: say whether each piece "
            "is an object, --task objects (those that touch are then one; numbered masks tell them apart), or the "
            "whole a class, --task classes"
        )
    if task == "objects":
        return "objects", f"masks of 0 and {value}, each piece an object", [0, 1]
    return "classes", f"masks of 0 and {value}", [0, value]


def _are_numbers(raw, above):
    """Whether values number objects: too many for classes, or 1 to n in each picture, n varies, one piece each."""
    if len(above) > MOST_CLASSES:
        return True
    masks = [mask for _, _, mask, _ in raw if mask.any()]
    most = [int(mask.max()) for mask in masks]
    closed = all(len(np.unique(mask[mask > 0])) == top for mask, top in zip(masks, most, strict=True))
    pieces = sum(int(measure.label(mask, background=0, connectivity=1).max()) for mask in masks)
    return closed and len(set(most)) > 1 and pieces < 1.2 * sum(most)


def _labels(mask, task, values):
    if task == "classes":
        return np.searchsorted(values, mask).astype(np.int32)
    return segmentation.relabel_sequential(mask)[0].astype(np.int32)


def _group(id_, group_by):
    if group_by is None:
        return id_
    try:
        match = re.search(group_by, id_)
    except re.error as error:
        raise ValueError(f"--group-by {group_by!r} is no regular expression ({error})") from None
    if not match:
        raise ValueError(f"--group-by {group_by!r} is not found in {id_!r}: it must match each image's name")
    return match[1] if match.groups() else match[0]
