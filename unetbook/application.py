"""A stored network on a reader's own images.

``python -m unetbook predict`` calls this. One bad file does not stop the others: it is named, and counted.
"""

import contextlib
import os
from collections import Counter
from pathlib import Path

import numpy as np

from unetbook import drafts, images, labels, memory, naming, outputs, progress, submission
from unetbook.comparison import Done
from unetbook.datasets import folder, pairing

LARGE = 2048 * 2048  # pixels from which on the tiles of one image have a progress bar of their own
BYTES_A_PIXEL = 110  # of memory at the peak, as measured on images of 4 and 9 million pixels
WRITTEN = ("_labels.png", "_labels.tif", "_overlay.png", "_table.csv", ".geojson", "_rois.zip")


def pictures(paths, out) -> tuple[dict[Path, Path], dict[Path, str]]:
    """The picture files among ``paths``, files and folders, in order; and what is wrong with the other paths.

    Returns {file: the name of its results in ``out``, without an ending} (``naming.of_results``). Folders inside of a
    folder are read, too, and kept in the names; hidden ones, ``out``, and labels beside an overlay, which ``predict``
    wrote earlier, are not. Raises ``ValueError`` where no picture is left, and where ``out`` is a file or results would
    stand among the pictures: they could replace labels of your own.
    """
    if Path(out).is_file():
        raise ValueError(f"{out} is a file: give a folder for the results")
    found, problems, seen = {}, {}, set()
    for path in map(Path, paths):
        try:
            if not path.exists():
                raise FileNotFoundError(f"there is no file or folder {path}")
            for file in _without_results(folder.pictures_below(path, but=[out])) if path.is_dir() else [path]:
                if os.path.abspath(file) not in seen:  # one file, given twice
                    seen.add(os.path.abspath(file))
                    found[file] = file.parent.relative_to(path) if path.is_dir() else Path()
        except (OSError, ValueError) as error:
            problems[path] = str(error)
    if not found:
        raise ValueError("; ".join(problems.values()) or "no pictures are given")
    names = naming.of_results(found)
    targets = {(Path(out) / name).parent.resolve() for name in names.values()}
    for file in names:
        if targets & {file.parent.resolve(), file.resolve().parent}:
            raise ValueError(f"{file} lies in {out}: give another folder for the results")
    return names, problems


def _without_results(files):
    there = set(files)

    def written(file, what, other):
        beside = [file.with_name(f"{file.stem.removesuffix(what)}{other}{ending}") for ending in (".png", ".tif")]
        return file.stem.endswith(what) and not there.isdisjoint(beside)

    return [
        file for file in files if not written(file, "_overlay", "_labels") and not written(file, "_labels", "_overlay")
    ]


def predict(
    segmenter,
    paths,
    out,
    once=False,
    csv_file=None,
    report=print,
    table=False,
    geojson=False,
    rois=False,
    pixel_size=None,
    channels=None,
    ground=None,
    stretch=False,
) -> Done:
    """Write ``<name>_labels.png`` and ``<name>_overlay.png`` for each picture into the folder ``out``.

    segmenter: of ``unetbook.load``. Names are the pictures' (``pictures``). Labels are 16-bit numbers, or a 32-bit TIFF
    from 65,536 objects on. Each slice of a stack is labeled by itself, in two dimensions: its labels are a TIFF with
    the axes of the stack, and its overlay shows the middle slice. channels: indices of the pictures' channels, in the
    network's order. pixel_size: micrometers, in place of what the files say; kept in the labels. ground, stretch: as
    a ``Segmenter`` takes them.

    csv_file: also write a submission (``unetbook.submission``) of the pictures that were read. report: called with a
    line of progress for each picture, which also says what normalization did. table: also write ``<name>_table.csv``, a
    row an object (``outputs.table``), with the place in a stack, from 0, in columns of its axes. geojson: also
    ``<name>.geojson``, outlines that QuPath opens; rois: ``<name>_rois.zip``, those for ImageJ.

    Returns what was found in each picture, in words, and the problems; of a picture that could not be done, no results
    of an earlier run stay in ``out``. Raises ``ValueError`` before the first picture for what ``pictures`` refuses, for
    a pixel size that is not above 0, and with csv_file for a network that finds no objects, and a folder.
    """
    if csv_file and not segmenter.finds_objects:
        raise ValueError("this network tells classes and no objects: there is nothing to submit")
    outputs.check_pixel_size(pixel_size)
    names, problems = pictures(paths, out)
    ids = _ids(names) if csv_file else {}
    if csv_file:
        drafts.check_target(csv_file)
    Path(out).mkdir(parents=True, exist_ok=True)
    done, rows = {}, {}
    for number, (file, name) in enumerate(names.items(), start=1):
        line, target = f"[{number}/{len(names)}] {naming.printable(file)}", Path(out) / name
        try:
            picture = images.read(file)
            if csv_file:
                submission.check_id(ids[file])
            if csv_file and picture.axes:
                raise ValueError(f"{file} is a stack, and a submission holds single pictures: leave --submission out")
            size = pixel_size or picture.pixel_size
            look = {"channels": channels, "ground": ground, "stretch": stretch}
            found, looked = labeled(segmenter, picture, once, file, **look)
            images.write_labels(target.parent, target.name, found, picture.axes, size)
            middle = tuple(count // 2 for count in picture.stack)
            shown = outputs.overlay(outputs.visible(picture.image(middle), channels), found[middle])
            images.write_png(f"{target}_overlay.png", np.round(255 * shown).astype(np.uint8)[..., ::-1])
            if table:
                outputs.write_table(f"{target}_table.csv", _rows(picture, found, size))
            if geojson:
                outputs.write_geojson(f"{target}.geojson", found, _names(segmenter), picture.axes)
            if rois:
                called = None if segmenter.finds_objects else _names(segmenter)
                outputs.write_rois(f"{target}_rois.zip", found, called, picture.axes)
        except Exception as error:  # whatever it is, the other files are not its fault
            expected = isinstance(error, (OSError, ValueError))
            problems[file] = str(error) if expected else f"{type(error).__name__}: {error}"
            for ending in WRITTEN:
                with contextlib.suppress(OSError):  # such as a file where a folder should be
                    Path(f"{target}{ending}").unlink()
            report(f"{line}: NOT done")
            continue
        words = [_in_words(found, segmenter, picture), *_told(file, name, picture, pixel_size), *looked]
        done[file] = "; ".join(words)
        if csv_file:
            rows[ids[file]] = labels.rle_rows(found)
        report(f"{line}: {done[file]}")
    if rows:
        try:
            submission.write(csv_file, rows)
        except OSError as error:
            problems[Path(csv_file)] = f"{csv_file} cannot be written: {error.strerror}"
    return Done(done, problems)


def labeled(segmenter, picture, once=False, where="the picture", channels=None, **look) -> tuple[np.ndarray, list]:
    """Labels int32 (..., H, W) of a picture, or of each slice of a stack by itself (``images.Picture``).

    look: ground and stretch, as a ``Segmenter`` takes them. Also returns what normalization did, in words.

    Raises ``ValueError`` for channels that do not fit the network and for what memory cannot hold.
    """
    wanted, there = segmenter.model.input_shape[-1], picture.pixels.shape[-1]
    if channels is None and there != wanted and not {wanted, there} <= {1, 3}:
        pages = f"; if its {picture.stack[0]} slices are channels, save it with the axes CYX" if picture.axes else ""
        raise ValueError(
            f"{where} has {there} channel(s) and the network takes {wanted}: choose some, in its order, for instance "
            f"--channels {','.join(str(min(n, there - 1)) for n in range(wanted))}{pages}"
        )
    found = np.zeros(picture.pixels.shape[:-1], np.int32)
    slices, told = list(np.ndindex(picture.stack)), Counter()
    for index in progress.bar(len(slices), "slice", shown=None if len(slices) > 1 else False, iterable=slices):
        image = picture.image(index)
        memory.check(image.shape[0] * image.shape[1] * BYTES_A_PIXEL, image.shape[1], image.shape[0])
        large = image.shape[0] * image.shape[1] > LARGE
        told.update(segmenter.described(image, channels=channels, **look))
        found[index] = segmenter(image, once=once, progress=large, channels=channels, **look)
    some = [f"{text} in {count} of {len(slices)} slices" for text, count in told.items()]
    return found, list(told) if set(told.values()) <= {len(slices)} else some[:3]


def _ids(names):
    """{file: its id in a submission}: its stem, or where stems are the same the name of its results."""
    stems = {file: pairing.stem_of(file) for file in names}
    counts = Counter(stems.values())
    ids = {
        file: naming.printable(stems[file] if counts[stems[file]] == 1 else name.as_posix())
        for file, name in names.items()
    }
    return ids


def _rows(picture, found, size):
    """The rows of all slices, each with its place in the stack."""
    rows = []
    for index in np.ndindex(picture.stack):
        place = dict(zip(picture.axes, index, strict=True))
        rows += [place | row for row in outputs.table(found[index], picture.image(index), size)]
    return rows


def _told(file, name, picture, pixel_size):
    """What is said of a picture beside its objects."""
    told = [f"it {note}" for note in picture.notes]
    if picture.pixel_size and not pixel_size:
        told.append(f"a pixel is {picture.pixel_size:.4g} um, as it says")
    if name.name != pairing.stem_of(file):
        told.append(f"its results are called {name}")
    return told


def _names(segmenter):
    """What an object is called: its class, or where labels are classes the class of each number."""
    classes = segmenter.passport["classes"]
    return classes[1] if segmenter.finds_objects else dict(enumerate(classes))


def _in_words(found, segmenter, picture):
    """The number of objects, or the share of each class but the background, and of a stack what was done."""
    if segmenter.finds_objects:
        words = f"{int(found.max(axis=(-2, -1), initial=0).sum())} objects"
    else:
        classes = enumerate(segmenter.passport["classes"])
        words = ", ".join(f"{name} {np.mean(found == number):.1%}" for number, name in classes if number)
    if not picture.axes:
        return words
    middle = ", ".join(f"{axis} {count // 2}" for axis, count in zip(picture.axes, picture.stack, strict=True))
    count = int(np.prod(picture.stack))
    return (
        f"{words} in {count} slices along {picture.axes}, each labeled by itself; the overlay shows {middle} (from 0)"
    )
