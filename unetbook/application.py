"""A stored network on a reader's own images, and scores of label images in two folders. Chapter 16.

``python -m unetbook predict`` and ``score`` call this. One bad file does not stop the others: it is named, and counted.
"""

import csv
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
import tifffile
from skimage import segmentation

from unetbook import averaging, instances, labels, nets, normalize, scores, submission, tiling
from unetbook.datasets import _images, folder

LARGE = 2048 * 2048  # pixels from which on the tiles of one image have a progress bar of their own
BYTES_A_PIXEL = 110  # of memory at the peak, as measured on images of 4 and 9 million pixels
OUTLINE = (230, 159, 0)  # orange, RGB


class Done(NamedTuple):
    """What became of a set of files: a value for each that was read, and a message for each that was not."""

    values: dict[Path, object]
    problems: dict[Path, str]


def pictures(paths, out) -> list[Path]:
    """The picture files among ``paths``, files and folders, in order.

    Raises ``FileNotFoundError`` for a path that is not there; ``ValueError`` for a folder without pictures, for two
    files of one stem, whose results would overwrite each other, and where ``out`` is the folder of a picture: results
    would stand among the pictures, and could replace labels of your own.
    """
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {path}")
        found += folder.pictures_in(path) if path.is_dir() else [path]
    owners = {}
    for path in dict.fromkeys(found):
        if path.stem in owners:
            raise ValueError(f"{owners[path.stem]} and {path} would both be written as {path.stem}: rename one")
        if path.resolve().parent == Path(out).resolve():
            raise ValueError(f"{path} lies in {out}: give another folder for the results")
        owners[path.stem] = path
    return list(owners.values())


def answer(model, image, once=False, progress=False) -> np.ndarray:
    """What a stored network says of one image: numbered objects, or classes, int32 (H, W).

    model: from ``store.load``; its metadata tell the normalization (``normalize.RULES``), over which positions to
    average (``averaging.WAYS``), and how objects are made (``"objects"``, with the stored ``"choices"``). Without
    objects, the most probable class of each pixel is returned; of two classes the second where it reaches the stored
    threshold, 0.5 unless there is one. image: float32 (H, W, 1 or 3) in [0, 1]; gray is given to each channel of a
    network of three, and of colors a network of one sees the mean. once: one position, seven or eight times faster.
    """
    facts = model.metadata
    wanted = model.input_shape[-1]
    if image.shape[2] != wanted:
        if wanted not in (1, 3) or image.shape[2] not in (1, 3):
            raise ValueError(f"the network takes {wanted} channel(s) and the image has {image.shape[2]}")
        image = np.repeat(image, 3, axis=2) if wanted == 3 else image.mean(axis=2, keepdims=True)
    image = normalize.rule(facts.get("normalize", "as_it_is"))(image)

    def predict(shown):
        return keras.ops.convert_to_numpy(nets.probabilities(tiling.predict(model, shown, progress=progress)))

    way = None if once else facts.get("averaged")
    probability = averaging.WAYS[way](predict, image) if way else predict(image)
    chosen = facts.get("choices", {})
    if facts.get("objects"):
        return instances.from_probabilities(probability, chosen["way"], chosen["threshold"], chosen["smallest"])
    if probability.shape[2] <= 2:
        return (probability[..., -1] >= chosen.get("threshold", 0.5)).astype(np.int32)
    return probability.argmax(axis=2).astype(np.int32)


def check(model, objects=False) -> None:
    """``ValueError`` that says what a stored network lacks to be used here; ``objects``: to find objects."""
    facts = model.metadata
    if "classes" not in facts:
        raise ValueError("this network names no classes: it is a part of others, and segments nothing by itself")
    normalize.rule(facts.get("normalize", "as_it_is"))
    if facts.get("averaged") not in (None, *averaging.WAYS):
        raise ValueError(f"this network averages by {facts['averaged']!r}, and known are {', '.join(averaging.WAYS)}")
    lacks = {"way", "threshold", "smallest"} - set(facts.get("choices", {}))
    if facts.get("objects") and lacks:
        raise ValueError(f"this network finds objects, but its choices lack {', '.join(sorted(lacks))}: store it again")
    if objects and not facts.get("objects"):
        raise ValueError("this network tells classes and no objects: there is nothing to submit")


def predict(model, paths, out, once=False, csv_file=None, report=print) -> Done:
    """Write ``<stem>_labels.png`` and ``<stem>_overlay.png`` for each picture into the folder ``out``.

    Labels are 16-bit numbers, or a 32-bit TIFF from 65,536 objects on; each file appears when it is complete. csv_file:
    also write a submission (``unetbook.submission``) of the pictures that were read. report: called with a line of
    progress for each picture. Returns what was found in each picture, in words, and the problems. Raises ``ValueError``
    before the first picture for what ``check`` and ``pictures`` refuse, and for a name that no submission can hold.
    """
    check(model, objects=bool(csv_file))
    files, out = pictures(paths, out), Path(out)
    if csv_file:
        for file in files:
            submission.check_id(file.stem)
    out.mkdir(parents=True, exist_ok=True)
    done, problems, rows = {}, {}, {}
    for number, file in enumerate(files, start=1):
        try:
            image = _images.image(file.read_bytes(), file)
            _check_memory(image)
            found = answer(model, image, once, progress=image.shape[0] * image.shape[1] > LARGE)
            _write_labels(out, file.stem, found)
            _write(out / f"{file.stem}_overlay.png", np.round(255 * overlay(image, found)).astype(np.uint8)[..., ::-1])
        except Exception as error:  # whatever it is, the other files are not its fault
            problems[file] = (
                str(error) if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {error}"
            )
            report(f"[{number}/{len(files)}] {file}: NOT done")
            continue
        done[file] = _in_words(found, model.metadata)
        if csv_file:
            rows[file.stem] = labels.rle_rows(found)
        report(f"[{number}/{len(files)}] {file}: {done[file]}")
    if rows:
        submission.write(csv_file, rows)
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


def _in_words(found, facts):
    """The number of objects, or the share of each class but the background."""
    if facts.get("objects"):
        return f"{found.max(initial=0)} objects"
    shares = {name: np.mean(found == number) for number, name in enumerate(facts["classes"]) if number}
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def overlay(image, found) -> np.ndarray:
    """The image (H, W, 1 or 3), stretched to be seen, each object outlined in orange: (H, W, 3) in [0, 1]."""
    shown = normalize.stretched(image)
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
    shown[segmentation.find_boundaries(found, mode="inner")] = np.array(OUTLINE) / 255
    return shown


def _write_labels(out, stem, found):
    """Numbers of 16 bits as PNG; more objects as a TIFF of 32 bits. The other file of an earlier run goes."""
    png, tif = (out / f"{stem}_labels.{ending}" for ending in ("png", "tif"))
    if found.max(initial=0) < 2**16:
        _write(png, found.astype(np.uint16))
        tif.unlink(missing_ok=True)
    else:
        _put(tif, lambda draft: tifffile.imwrite(draft, found.astype(np.uint32), compression="deflate"))
        png.unlink(missing_ok=True)


def _write(path, pixels):
    """A PNG, gray or blue, green, red."""
    encoded, data = cv2.imencode(".png", pixels)
    if not encoded:
        raise ValueError(f"{path} could not be encoded")
    _put(path, lambda draft: draft.write_bytes(data.tobytes()))


def _put(path, write):
    """Let ``write`` fill a draft, and put it in place when it is complete; no draft stays behind."""
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def score(truth, predicted, csv_file=None) -> Done:
    """Scores of label images in the folder ``predicted`` against those in ``truth``, by image; pairs have one stem.

    The answer to ``cell.png`` is ``cell_labels.png``, or else ``cell.png`` or ``cell.tif``; endings such as ``_mask``
    of the truth do not count as part of its stem. A file of two values, such as 0 and 255, is a mask: its 4-connected
    components are its objects, and a warning says so. csv_file: write the rows, empty for a truth without an answer.
    Returns {file of the truth: {score: value}}, and the problems: truth without an answer and answers without a truth
    among them. Raises ``FileNotFoundError`` and ``ValueError`` for folders, and where two files of a folder have one
    stem. Chapters 06 and 16.
    """
    answers = _by_stem(file for file in folder.pictures_in(Path(predicted)) if not file.stem.endswith("_overlay"))
    truths = _by_stem(folder.pictures_in(Path(truth)))
    done, problems, used = {}, {}, set()
    for stem, file in truths.items():
        found = next((answers[name] for name in (file.stem, stem) if name in answers), None)
        if found is None:
            problems[file] = f"no answer for it in {predicted}"
            continue
        used.add(found)
        try:
            true = _objects(file)
            done[file] = row(true, _objects(found, like=true))
        except (OSError, ValueError) as error:
            problems[file] = str(error)
    problems |= {file: f"no truth for it in {truth}" for file in answers.values() if file not in used}
    if csv_file and done:
        names = list(next(iter(done.values())))
        rows = [[file.name, *(done.get(file, {}).get(name, "") for name in names)] for file in truths.values()]
        Path(csv_file).parent.mkdir(parents=True, exist_ok=True)

        def write(draft):
            with draft.open("w", newline="", encoding="utf-8") as opened:
                csv.writer(opened, lineterminator="\n").writerows([["image", *names], *rows])

        _put(Path(csv_file), write)
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


def _by_stem(files):
    """Files by their stem without an ending such as ``_labels``; two of one stem are an error."""
    found = {}
    for file in files:
        stem = folder.ENDING.sub("", file.stem)
        if stem in found:
            raise ValueError(f"{found[stem]} and {file} have one stem: keep one of them in the folder")
        found[stem] = file
    return found


def _objects(file, like=None):
    """Numbers of objects in a file, int32 (H, W)."""
    if file.suffix.lower() in (".jpg", ".jpeg"):
        raise ValueError(f"{file} is a JPEG, which changes values: save label images as PNG or TIFF")
    values = folder.object_numbers(_images.mask(file.read_bytes(), file, like=like, numbers=True))
    two = np.unique(values)
    if two.size == 2 and two[0] == 0 and (two[1] == 255 or labels.connected(values > 0).max() > 1):
        warnings.warn(f"{file} holds 0 and {two[1]} alone: its 4-connected components are its objects", stacklevel=4)
        return labels.connected(values > 0)
    return values
