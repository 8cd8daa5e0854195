"""A submission to the Data Science Bowl 2018: a CSV file with one row of run lengths for each nucleus.

The header is ``ImageId,EncodedPixels``. Rows of one image stand together, images in ascending order of their ids; an
image without objects has one row with nothing after the comma. Pixels are counted as ``labels.rle_encode`` counts them,
and belong to one object at most.
"""

import re
from pathlib import Path

import numpy as np

from unetbook import drafts, labels

HEADER = "ImageId,EncodedPixels"
_RUNS = re.compile(r"([1-9][0-9]* [1-9][0-9]*( [1-9][0-9]* [1-9][0-9]*)*)?")


def write(path, predictions) -> Path:
    """Write label images as a submission; the file appears when it is complete.

    predictions: {image id: integers (H, W), 0 = background}, or in place of an image its rows of ``labels.rle_rows``.
    Within an image, objects are written in ascending order of their labels. Raises ``ValueError`` for an empty dict,
    for an id that ``check_id`` refuses, and for what ``labels.rle_rows`` refuses, naming the image.
    """
    path, lines = Path(path), [HEADER]
    for id_ in sorted(predictions):
        check_id(id_)
        found = predictions[id_]
        try:
            rows = found if isinstance(found, list) else labels.rle_rows(found)
        except ValueError as error:
            raise ValueError(f"image {id_}: {error}") from None
        lines += [f"{id_},{text}" for text in rows or [""]]
    if len(lines) == 1:
        raise ValueError("there is no image to submit")
    drafts.put(path, lambda draft: draft.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n"))
    return path


def check_id(id_) -> None:
    """``ValueError`` for an image id that cannot stand in the file: empty, or with a comma, quote or line break."""
    if len(id_.splitlines()) != 1 or set(id_) & set(',"\r\n'):
        raise ValueError(f"{id_!r} cannot stand in a submission as an image id: rename the image")


def read(path, shapes) -> dict[str, np.ndarray]:
    """Read a submission back as label images, and check it whole: the validator.

    shapes: {image id: (height, width)} of all images that must be answered. Returns {id: int32 (H, W)}, objects
    numbered in the order of their rows. Raises ``FileNotFoundError``, or ``ValueError`` naming the file and line, where
    the header is another, a row has not two cells, an image is unknown, missing, or its rows stand apart, images do not
    ascend, an empty row stands beside others, run lengths are not valid for the image (``labels.rle_decode``) or not
    written as the challenge writes them, or two objects of an image share a pixel.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no submission at {path}")
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error.reason}") from None
    if lines[0] != HEADER:
        raise ValueError(f"{path}, line 1: the header must be {HEADER}")
    found, last, counts = {}, "", {}
    for number, line in enumerate(lines[1:], start=2):
        where, cells = f"{path}, line {number}", line.split(",")
        if len(cells) != 2:
            raise ValueError(f"{where}: {len(cells)} cell(s), where an image id and run lengths are expected")
        id_, text = cells
        if id_ not in shapes:
            raise ValueError(f"{where}: image {id_!r} is not asked for")
        if id_ != last and id_ in found:
            raise ValueError(f"{where}: rows of image {id_} stand apart: sort the rows by image")
        if id_ < last:
            raise ValueError(f"{where}: image {id_} stands after {last}: sort the rows by image")
        objects = found.setdefault(id_, np.zeros(shapes[id_], np.int32))
        if id_ == last and not (text and counts[id_]):
            raise ValueError(f"{where}: image {id_} has an empty row beside others: an empty row says 'no object'")
        try:
            mask = labels.rle_decode(text, shapes[id_])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if not _RUNS.fullmatch(text):
            raise ValueError(f"{where}: run lengths are whole numbers in plain digits with one space between them")
        if objects[mask].any():
            raise ValueError(f"{where}: shares {np.count_nonzero(objects[mask])} pixel(s) with an earlier object")
        counts[id_] = counts.get(id_, 0) + bool(text)
        objects[mask] = counts[id_]
        last = id_
    missing = sorted(set(shapes) - set(found))
    if missing:
        raise ValueError(f"{path} has no row for {len(missing)} image(s), the first is {missing[0]}")
    return found
