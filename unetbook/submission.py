"""A submission to the Data Science Bowl 2018: a CSV file with one row of run lengths for each nucleus. Chapter 16.

The header is ``ImageId,EncodedPixels``. Rows of one image stand together; an image without objects has one row with
nothing after the comma. Pixels are counted as ``labels.rle_encode`` counts them, and belong to one object at most.
"""

import csv
import os
from pathlib import Path

import numpy as np

from unetbook import labels

HEADER = ["ImageId", "EncodedPixels"]


def write(path, predictions) -> Path:
    """Write label images as a submission; the file appears when it is complete.

    predictions: {image id: integers (H, W), 0 = background}. Ids and, within an image, labels are written in ascending
    order. Raises ``ValueError`` for an empty dict, for an id with a comma, quote or line break, and for what
    ``labels.rle_rows`` refuses, naming the image.
    """
    path, rows = Path(path), []
    for id_ in sorted(predictions):
        if not id_ or set(id_) & set(',"\r\n'):
            raise ValueError(f"{id_!r} cannot stand in a CSV file as an image id: rename the image")
        try:
            found = labels.rle_rows(predictions[id_])
        except ValueError as error:
            raise ValueError(f"image {id_}: {error}") from None
        rows += [(id_, text) for text in found or [""]]
    if not rows:
        raise ValueError("there is no image to submit")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    os.replace(draft, path)
    return path


def read(path, shapes) -> dict[str, np.ndarray]:
    """Read a submission back as label images, and check it whole: the validator.

    shapes: {image id: (height, width)} of all images that must be answered. Returns {id: int32 (H, W)}, objects
    numbered in the order of their rows. Raises ``FileNotFoundError``, or ``ValueError`` naming the file and line, where
    the header is another, a row has not two cells, an image is unknown, missing, or its rows stand apart, an empty row
    stands beside others, run lengths are not valid for the image (``labels.rle_decode``), or two objects of an image
    share a pixel.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no submission at {path}")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    if not lines or lines[0] != HEADER:
        raise ValueError(f"{path}, line 1: the header must be {','.join(HEADER)}")
    found, last, counts = {}, None, {}
    for number, cells in enumerate(lines[1:], start=2):
        where = f"{path}, line {number}"
        if len(cells) != 2:
            raise ValueError(f"{where}: {len(cells)} cell(s), where an image id and run lengths are expected")
        id_, text = cells
        if id_ not in shapes:
            raise ValueError(f"{where}: image {id_!r} is not asked for")
        if id_ != last and id_ in found:
            raise ValueError(f"{where}: rows of image {id_} stand apart: sort the rows by image")
        objects = found.setdefault(id_, np.zeros(shapes[id_], np.int32))
        if id_ == last and not (text and counts[id_]):
            raise ValueError(f"{where}: image {id_} has an empty row beside others: an empty row says 'no object'")
        try:
            mask = labels.rle_decode(text, shapes[id_])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if objects[mask].any():
            raise ValueError(f"{where}: shares {np.count_nonzero(objects[mask])} pixel(s) with an earlier object")
        counts[id_] = counts.get(id_, 0) + bool(text)
        objects[mask] = counts[id_]
        last = id_
    missing = sorted(set(shapes) - set(found))
    if missing:
        raise ValueError(f"{path} has no row for {len(missing)} image(s), the first is {missing[0]}")
    return found
