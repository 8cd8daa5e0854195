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
OUTLINE = (230, 159, 0)  # orange, RGB


class Done(NamedTuple):
    """What became of a set of files: a value for each that was read, and a message for each that was not."""

    values: dict[Path, object]
    problems: dict[Path, str]


def pictures(paths) -> list[Path]:
    """The picture files among ``paths``, files and folders, in order.

    Raises ``FileNotFoundError`` for a path that is not there; ``ValueError`` for a folder without pictures, and for two
    files of one stem, whose results would overwrite each other.
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
        owners[path.stem] = path
    return list(owners.values())


def answer(model, image, once=False, progress=False) -> np.ndarray:
    """What a stored network says of one image: numbered objects, or classes, int32 (H, W).

    model: from ``store.load``; its metadata tell channels, normalization (``normalize.RULES``), whether to average over
    eight positions, and how objects are made (``"objects"``, with the stored ``"choices"``); without that entry the
    most probable class of each pixel is returned. image: float32 (H, W, 1 or 3) in [0, 1]; gray is given to each
    channel of a network of three, and of colors a network of one sees the mean. once: one position, eight times faster.
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

    averaged = facts.get("averaged") and not once
    probability = averaging.eight(predict, image) if averaged else predict(image)
    if facts.get("objects"):
        chosen = facts["choices"]
        return instances.from_probabilities(probability, chosen["way"], chosen["threshold"], chosen["smallest"])
    if probability.shape[2] == 1:
        return (probability[..., 0] >= 0.5).astype(np.int32)
    return probability.argmax(axis=2).astype(np.int32)


def predict(model, paths, out, once=False, csv_file=None, report=print) -> Done:
    """Write ``<stem>_labels.png`` and ``<stem>_overlay.png`` for each picture into the folder ``out``.

    Labels are 16-bit numbers, or a 32-bit TIFF from 65,536 objects on; each file appears when it is complete. csv_file:
    also write a submission (``unetbook.submission``) of the pictures that were read. report: called with a line of
    progress for each picture. Returns what was found in each picture, in words, and the problems. Raises ``ValueError``
    for a network without classes, such as an encoder, and what ``pictures`` raises.
    """
    if "classes" not in model.metadata:
        raise ValueError("this network names no classes: it is a part of others, and segments nothing by itself")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    files, done, problems, answers = pictures(paths), {}, {}, {}
    for number, file in enumerate(files, start=1):
        try:
            image = _images.image(file.read_bytes(), file)
            found = answer(model, image, once, progress=image.shape[0] * image.shape[1] > LARGE)
            _write_labels(out, file.stem, found)
            _write(out / f"{file.stem}_overlay.png", np.round(255 * overlay(image, found)).astype(np.uint8)[..., ::-1])
        except (OSError, ValueError, MemoryError) as error:
            problems[file] = str(error)
            report(f"[{number}/{len(files)}] {file}: NOT done")
            continue
        done[file] = _in_words(found, model.metadata)
        if csv_file:
            answers[file.stem] = found
        report(f"[{number}/{len(files)}] {file}: {done[file]}")
    if answers:
        submission.write(csv_file, answers)
    return Done(done, problems)


def _in_words(found, facts):
    """The number of objects, or the share of each class but the background."""
    if facts.get("objects"):
        return f"{found.max(initial=0)} objects"
    shares = {name: np.mean(found == number) for number, name in enumerate(facts["classes"]) if number}
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())


def overlay(image, found) -> np.ndarray:
    """The image (H, W, 1 or 3), stretched to be seen, each object outlined in orange: (H, W, 3) in [0, 1]."""
    low, high = np.percentile(image, [normalize.LOW, normalize.HIGH])
    shown = np.clip((image - low) / max(high - low, normalize.LEAST_RANGE), 0, 1)
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown.copy()
    shown[segmentation.find_boundaries(found, mode="inner")] = np.array(OUTLINE) / 255
    return shown


def _write_labels(out, stem, found):
    """Numbers of 16 bits as PNG; more objects as a TIFF of 32 bits."""
    if found.max(initial=0) < 2**16:
        return _write(out / f"{stem}_labels.png", found.astype(np.uint16))
    path = out / f"{stem}_labels.tif"
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    tifffile.imwrite(draft, found.astype(np.uint32), compression="deflate")
    os.replace(draft, path)
    return path


def _write(path, pixels):
    """A PNG, gray or blue, green, red; it appears when it is complete."""
    encoded, data = cv2.imencode(".png", pixels)
    if not encoded:
        raise ValueError(f"{path} could not be encoded")
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    draft.write_bytes(data.tobytes())
    os.replace(draft, path)
    return path


def score(truth, predicted, csv_file=None) -> Done:
    """Scores of label images in the folder ``predicted`` against those in ``truth``, by image; pairs have one stem.

    Endings such as ``_labels`` and ``_mask`` do not count as part of a stem. A file of two values, such as 0 and 255,
    is a mask: its 4-connected components are its objects. csv_file: write the rows. Returns {file of the truth:
    {score: value}}, and the problems: truth without an answer among them. Raises ``FileNotFoundError`` and
    ``ValueError`` for folders. Chapters 06 and 16.
    """
    answers = {folder.ENDING.sub("", file.stem): file for file in _labels_in(predicted)}
    done, problems = {}, {}
    for file in folder.pictures_in(Path(truth)):
        stem = folder.ENDING.sub("", file.stem)
        if stem not in answers:
            problems[file] = f"no answer for it in {predicted}"
            continue
        try:
            true = _objects(file)
            done[file] = row(true, _objects(answers[stem], like=true))
        except (OSError, ValueError) as error:
            problems[file] = str(error)
    if csv_file and done:
        names = list(next(iter(done.values())))
        rows = [[file.name, *(values[name] for name in names)] for file, values in done.items()]
        draft = Path(csv_file).with_name(f".{Path(csv_file).name}.{os.getpid()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened, lineterminator="\n").writerows([["image", *names], *rows])
        os.replace(draft, csv_file)
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


def _labels_in(place):
    """Label images of a folder: its ``*_labels`` files where there are any, so that overlays do not count."""
    files = folder.pictures_in(Path(place))
    written = [file for file in files if file.stem.endswith("_labels")]
    return written or files


def _objects(file, like=None):
    values = _images.mask(file.read_bytes(), file, like=like, numbers=True)
    values = folder.object_numbers(values)
    two = np.unique(values)
    if two.size == 2 and two[0] == 0 and (two[1] == 255 or labels.connected(values > 0).max() > 1):
        warnings.warn(f"{file} holds 0 and {two[1]} alone: its 4-connected components are its objects", stacklevel=4)
        return labels.connected(values > 0)
    return values
