"""A stored network on a reader's own images.

``python -m unetbook predict`` calls this. One bad file does not stop the others: it is named, and counted.
"""

import os
from pathlib import Path

import numpy as np

from unetbook import drafts, labels, outputs, submission
from unetbook.comparison import Done
from unetbook.datasets import _images, folder

LARGE = 2048 * 2048  # pixels from which on the tiles of one image have a progress bar of their own
BYTES_A_PIXEL = 110  # of memory at the peak, as measured on images of 4 and 9 million pixels


def pictures(paths, out) -> tuple[list[Path], dict[Path, str]]:
    """The picture files among ``paths``, files and folders, in order; and what is wrong with the other paths.

    Raises ``ValueError`` where no picture is left, for two files of one stem, whose results would overwrite each other,
    and where ``out`` is a file or the folder of a picture: results would stand among the pictures, and could replace
    labels of your own.
    """
    if Path(out).is_file():
        raise ValueError(f"{out} is a file: give a folder for the results")
    found, problems = [], {}
    for path in map(Path, paths):
        try:
            if not path.exists():
                raise FileNotFoundError(f"there is no file or folder {path}")
            found += folder.pictures_in(path) if path.is_dir() else [path]
        except (OSError, ValueError) as error:
            problems[path] = str(error)
    if not found:
        raise ValueError("; ".join(problems.values()) or "no pictures are given")
    owners = {}
    for path in found:
        if owners.get(path.stem) and os.path.abspath(owners[path.stem]) == os.path.abspath(path):
            continue  # one file, given twice
        if path.stem in owners:
            raise ValueError(f"{owners[path.stem]} and {path} would both be written as {path.stem}: rename one")
        if Path(out).resolve() in (path.parent.resolve(), path.resolve().parent):
            raise ValueError(f"{path} lies in {out}: give another folder for the results")
        owners[path.stem] = path
    return list(owners.values()), problems


def predict(
    segmenter,
    paths,
    out,
    once=False,
    csv_file=None,
    report=print,
    table=False,
    geojson=False,
    pixel_size=None,
    ground=None,
    stretch=False,
) -> Done:
    """Write ``<stem>_labels.png`` and ``<stem>_overlay.png`` for each picture into the folder ``out``.

    segmenter: of ``unetbook.load``. Labels are 16-bit numbers, or a 32-bit TIFF from 65,536 objects on; each file
    appears when it is complete. csv_file: also write a submission (``unetbook.submission``) of the pictures that were
    read. report: called with a line of progress for each picture, which also tells what normalization did. ground,
    stretch: as a ``Segmenter`` takes them. table: also write ``<stem>_table.csv``, a row an
    object (``outputs.table``), with pixel_size, micrometers, in these, too. geojson: also ``<stem>.geojson``, outlines
    that QuPath opens. Returns what was found in each picture, in words, and the problems; of a picture that could not
    be done, no results of an earlier run stay in ``out``. Raises ``ValueError`` before the first picture for what
    ``pictures`` refuses, for a pixel size that is not above 0, and with csv_file for a network that finds no objects, a
    name that no submission can hold, and a folder.
    """
    if csv_file and not segmenter.finds_objects:
        raise ValueError("this network tells classes and no objects: there is nothing to submit")
    outputs.check_pixel_size(pixel_size)
    files, problems = pictures(paths, out)
    out = Path(out)
    if csv_file:
        drafts.check_target(csv_file)
        for file in files:
            submission.check_id(file.stem)
    out.mkdir(parents=True, exist_ok=True)
    done, rows = {}, {}
    for number, file in enumerate(files, start=1):
        try:
            image = _images.image(file.read_bytes(), file)
            _check_memory(image)
            look = {"ground": ground, "stretch": stretch}
            told = segmenter.described(image, **look)
            found = segmenter(image, once=once, progress=image.shape[0] * image.shape[1] > LARGE, **look)
            outputs.write_labels(out, file.stem, found)
            shown = np.round(255 * outputs.overlay(image, found)).astype(np.uint8)[..., ::-1]
            outputs.write_picture(out / f"{file.stem}_overlay.png", shown)
            if table:
                outputs.write_table(out / f"{file.stem}_table.csv", outputs.table(found, image, pixel_size))
            if geojson:
                outputs.write_geojson(out / f"{file.stem}.geojson", found, _names(segmenter))
        except Exception as error:  # whatever it is, the other files are not its fault
            problems[file] = (
                str(error) if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {error}"
            )
            for old in ("_labels.png", "_labels.tif", "_overlay.png", "_table.csv", ".geojson"):
                (out / f"{file.stem}{old}").unlink(missing_ok=True)
            report(f"[{number}/{len(files)}] {file}: NOT done")
            continue
        done[file] = "; ".join([_in_words(found, segmenter), *told])
        if csv_file:
            rows[file.stem] = labels.rle_rows(found)
        report(f"[{number}/{len(files)}] {file}: {done[file]}")
    if rows:
        try:
            submission.write(csv_file, rows)
        except OSError as error:
            problems[Path(csv_file)] = f"{csv_file} cannot be written: {error.strerror}"
    return Done(done, problems)


def _check_memory(image):
    """``ValueError`` for an image that this machine has not the memory for, where Linux tells how much is free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)
    needed = image.shape[0] * image.shape[1] * BYTES_A_PIXEL
    if free is not None and needed > free:
        raise ValueError(
            f"{image.shape[1]} x {image.shape[0]} pixels need about {needed / 2**30:.0f} GB of memory, and "
            f"{free / 2**30:.0f} GB are free: cut the picture into parts that overlap, or use a larger machine"
        )


def _names(segmenter):
    """What an object is called: its class, or where labels are classes the class of each number."""
    classes = segmenter.passport["classes"]
    return classes[1] if segmenter.finds_objects else dict(enumerate(classes))


def _in_words(found, segmenter):
    """The number of objects, or the share of each class but the background."""
    if segmenter.finds_objects:
        return f"{found.max(initial=0)} objects"
    shares = {name: np.mean(found == number) for number, name in enumerate(segmenter.passport["classes"]) if number}
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
