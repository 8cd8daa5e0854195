"""Label images in two folders, compared file by file.

``python -m unetbook score`` calls this. One bad file does not stop the others: it is named, and counted.
"""

import csv
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage import measure

from unetbook import drafts, labels, naming, progress, scores
from unetbook.datasets import folder, pairing
from unetbook.images import reading

MANY = 3  # pieces for each number, on average, from which on numbers are no objects
TINY = 4  # pixels of a crumb


class Done(NamedTuple):
    """What became of a set of files: a value for each that was read, and a message for each that was not."""

    values: dict[Path, object]
    problems: dict[Path, str]


def score(truth, predicted, csv_file=None) -> Done:
    """Scores of label images in the folder ``predicted`` against those in ``truth``, by image; pairs have one stem.

    The answer to ``cell.png`` is ``cell_labels.png``, or else ``cell.png`` or ``cell.tif``, and that to a file in a
    folder inside lies in such a folder, as ``predict`` writes them; endings such as ``_mask`` of the truth do not count
    as part of its stem, and accents may be of one character or two. A file of two values, such as 0 and 255, is a mask:
    its 4-connected components are its objects, and a warning says so; so are black and one color. Numbers that lie in
    crumbs are refused, as those of masks with soft edges, resized labels and probability maps do; of what seems
    inverted, or classes, a warning tells. csv_file: write the rows, empty for a truth without an answer.

    Returns {file of the truth: {score: value}}, and the problems: truth without an answer and answers without a truth
    among them, and files of one folder that have one stem. Raises ``FileNotFoundError`` and ``ValueError`` for
    folders, also as csv_file.
    """
    if csv_file:
        drafts.check_target(csv_file)
    truth, predicted = Path(truth), Path(predicted)
    truths = folder.pictures_below(truth)
    pairs, problems = _paired(truths, truth, predicted)
    done = {}
    for file, found in progress.bar(len(pairs), "image", iterable=pairs.items()):
        try:
            true = _objects(file)
            done[file] = row(true, _objects(found, like=true))
        except (OSError, ValueError) as error:
            problems[file] = str(error)
    if csv_file and done:
        names, called = list(next(iter(done.values()))), {file: file.relative_to(truth).as_posix() for file in truths}
        rows = [
            [naming.printable(called[file]), *(done.get(file, {}).get(name, "") for name in names)] for file in truths
        ]

        def write(draft):
            with draft.open("w", newline="", encoding="utf-8") as opened:
                csv.writer(opened, lineterminator="\n").writerows([["image", *names], *rows])

        try:
            drafts.put(csv_file, write)
        except OSError as error:
            problems[Path(csv_file)] = f"{csv_file} cannot be written: {error.strerror}"
    return Done(done, problems)


def row(truth, found) -> dict[str, float]:
    """All scores of one pair of label images (H, W)."""
    at_half, errors = scores.objects(truth, found), scores.object_errors(truth, found)
    return {
        "dice": scores.dice(truth > 0, found > 0),
        "iou": scores.iou(truth > 0, found > 0),
        "f": at_half.f,
        "dsb": scores.dsb_score([truth], [found]),
        "matched": at_half.matched,
        **errors._asdict(),
    }


def _paired(truths, truth, predicted):
    """{file of the truth: its answer}, and what is wrong with the others, and with answers that none is for."""
    answers, owners, problems = {}, {}, {}
    for file in folder.pictures_below(predicted):
        if not file.stem.endswith("_overlay"):
            stem = pairing.same(naming.printable(pairing.ENDING.sub("", file.stem)))
            answers.setdefault((file.parent.relative_to(predicted), stem), []).append(file)
    for file in truths:
        found = next((answers[key] for key in _keys(file, truth) if key in answers), [])
        if not found:
            problems[file] = f"no answer for it in {predicted}"
        for answer in found:
            owners.setdefault(answer, []).append((file, found))
    for owned in owners.values():
        (file, found), several = owned[0], [file for file, _ in owned]
        alike = several if len(several) > 1 else found
        if len(alike) > 1:
            told = f"{alike[0]} and {alike[1]} have one stem: keep one of them in the folder"
            problems |= dict.fromkeys(several, told)
    unused = [file for files in answers.values() for file in files if file not in owners]
    pairs = {owned[0][0]: answer for answer, owned in owners.items() if owned[0][0] not in problems}
    return pairs, problems | {file: f"no truth for it in {truth}" for file in unused}


def _keys(file, place):
    """Where the answer to a file of truth may stand, the best first: results have its name, stem, or a shorter one."""
    stems = (file.name, file.stem, pairing.ENDING.sub("", file.stem))
    known = [naming.printable(stem) for stem in stems] + [naming.short(stem) for stem in stems[1:]]
    return [(file.parent.relative_to(place), pairing.same(stem)) for stem in known]


def _objects(file, like=None):
    """Numbers of objects in a file, int32 (H, W)."""
    mask = reading.mask(file.read_bytes(), file, like=like, numbers=True, binary=True)
    try:
        values = folder.object_numbers(mask)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    two = np.unique(values)
    if two.size == 2 and two[0] == 0 and _seems_inverted(values > 0):
        warnings.warn(
            f"{file} has {two[1]} all around its edge, as if 0 were its objects: is it inverted?", stacklevel=4
        )
    if two.size == 2 and two[0] == 0 and (two[1] == 255 or labels.connected(values > 0).max() > 1):
        warnings.warn(f"{file} holds 0 and {two[1]} alone: its 4-connected components are its objects", stacklevel=4)
        return labels.connected(values > 0)
    _doubt(values, file)
    return values


def _seems_inverted(mask) -> bool:
    """Whether a mask covers more than half of the picture and nearly all of its edge, as a background does."""
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return mask.mean() > 0.5 and edge.mean() > 0.9


def _doubt(values, file):
    """Refuse numbers that lie in crumbs, and warn of numbers that seem to be classes: no object has many pieces.

    Labels of a few pixels each are one piece each, and those of cells drawn by hand have a crumb here and there.
    """
    pieces = np.bincount(measure.label(values, background=0, connectivity=1).ravel())[1:]
    numbers = np.unique(values[values > 0]).size
    if pieces.size < MANY * numbers:
        return
    told = f"{file} has {numbers} numbers in {pieces.size} pieces"
    if np.mean(pieces <= TINY) > 0.5:
        raise ValueError(
            f"{told}, most of at most {TINY} pixels: a mask with soft edges, labels that were resized with "
            "interpolation, a probability map, or a file that was once a JPEG? Cut it at one threshold, and resize "
            "labels by the nearest pixel"
        )
    warnings.warn(
        f"{told}: are they classes? Then number the objects of each, labels.connected(image == 1) for instance",
        stacklevel=5,
    )
