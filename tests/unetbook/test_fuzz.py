"""Files and arrays that were changed at random: each is read right, or refused with one clear error.

``UNETBOOK_FUZZ`` says how many changes of each kind are tried; ``make fuzz`` tries 500. A change depends on its kind
and number alone: a failure is found again by the kind and number that the message tells.

What is right: where a format has checksums (PNG, model files), what was stored, exactly, or an error. Other formats
cannot know: a changed byte of their pixels is another pixel, and a changed header another size. There, the answer must
be a picture in [0, 1] without zeros where pixels were: no pixel is black, so that rows of 0 are made up by a decoder
that went on where it should have stopped. Only of JPEG less is asked: in it a change of one block moves the gray of all
that follow, down to black, and no decoder tells.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import time
import warnings
import zipfile
import zlib

import cv2
import keras
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetbook import doubts, instances, kept, labels, results, scores, store, weightmap
from unetbook import images as reader
from unetbook.nets import unet

COUNT = int(os.environ.get("UNETBOOK_FUZZ", 40))
SECONDS = 10  # for one case, on a busy machine; most take a millisecond
NAME = "changed.file"
RIGHT = (ValueError, OSError)  # with the name of the file
SIDE = 40


# --- how a file is changed ---


def changed(data, rng):
    """The bytes of a file, changed in one of eight ways; never the same bytes."""
    while True:
        new = bytearray(data)
        start = int(rng.integers(len(new)))
        length = int(rng.integers(1, 9))
        match rng.integers(8):
            case 0:  # bits flip
                for at in rng.integers(len(new), size=rng.integers(1, 5)):
                    new[at] ^= 1 << rng.integers(8)
            case 1:  # cut short
                del new[start:]
            case 2:  # a piece is lost
                del new[start : start + int(rng.integers(1, 200))]
            case 3:  # bytes come in
                new[start:start] = rng.bytes(length)
            case 4:  # two pieces change places
                other = int(rng.integers(len(new)))
                for k in range(min(length, len(new) - max(start, other))):
                    new[start + k], new[other + k] = new[other + k], new[start + k]
            case 5:  # a few bytes are wiped
                new[start : start + length] = bytes(len(new[start : start + length]))
            case 6:  # a field of the header
                at = int(rng.integers(min(64, len(new))))
                extreme = [b"\0", b"\xff", b"\x7f", b"\x80", rng.bytes(1)][rng.integers(5)]
                width = int(rng.choice([1, 2, 4]))
                new[at : at + width] = (extreme * width)[: len(new[at : at + width])]
            case 7:  # the file is copied behind itself, or to a half
                new = new + new[start:] if rng.integers(2) else new[: len(new) // 2]
        if bytes(new) != bytes(data):
            return bytes(new)


class Hanging(BaseException):
    """Not an ``Exception``, which a reader may take for a damaged file."""


@contextlib.contextmanager
def limited():
    """Stop a case that takes too long, where the system can, and let warnings pass."""

    def stop(*_):
        raise Hanging(f"it takes more than {SECONDS} seconds")

    alarm = hasattr(signal, "SIGALRM")
    if alarm:
        old = signal.signal(signal.SIGALRM, stop)
        signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if alarm:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, old)


def tried(kind, case, named=NAME):
    """Call ``case(rng)`` ``COUNT`` times, which says what is wrong with its answer, or nothing; tell what failed."""
    seed, wrong, answered = zlib.crc32(kind.encode()), [], 0
    for number in range(COUNT):
        began = time.monotonic()
        try:
            with limited():
                problem = case(np.random.default_rng((seed, number)))
            answered += 1
        except RIGHT as error:
            text = str(error)
            clear = named in text and len(text) < 1000
            problem = "" if clear else f"is not clear, or names no file: {type(error).__name__}: {text}"
        except (Exception, Hanging) as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() - began > SECONDS:
            problem = problem or f"it took {time.monotonic() - began:.0f} seconds"
        if problem:
            wrong.append(f"{kind} {number}: {problem}")
    assert not wrong, f"{len(wrong)} of {COUNT}, {answered} answered\n" + "\n".join(text[:300] for text in wrong[:20])
    return answered


# --- pictures ---


def picture(channels=1, dtype=np.uint8):
    """Gray values all over the range, without a black pixel, and no row or column of one value."""
    rng = np.random.default_rng(0)
    y, x = np.indices((SIDE, SIDE + 8))
    waves = np.stack([np.sin(x / (3 + k)) * np.cos(y / (4 + k)) for k in range(channels)], axis=-1)
    pixels = np.round(128 + 90 * waves + rng.normal(0, 8, waves.shape)).clip(1, 254)
    pixels = (pixels * (np.iinfo(dtype).max // 255)).astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


def objects():
    """Numbers of objects, some above 255."""
    y, x = np.indices((SIDE, SIDE + 8))
    return ((y // 8) * 60 + x // 8 + 1).astype(np.uint16)


def by_opencv(suffix, pixels, *options):
    shown = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    done, data = cv2.imencode(suffix, shown, list(options))
    assert done
    return data.tobytes()


def by_tifffile(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", **options)
    return file.getvalue()


def by_pillow(pixels, kind, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


SURE = {  # formats with a checksum: what is read is what was stored
    "PNG": lambda: by_opencv(".png", picture()),
    "PNG of colors": lambda: by_opencv(".png", picture(3)),
    "PNG of 16 bits": lambda: by_opencv(".png", picture(dtype=np.uint16)),
    "PNG of Pillow": lambda: by_pillow(picture(3), "PNG"),
}
UNSURE = {
    "BMP": lambda: by_opencv(".bmp", picture(3)),
    "BMP of grays": lambda: by_opencv(".bmp", picture()),
    "JPEG": lambda: by_opencv(".jpg", picture()),
    "JPEG of colors": lambda: by_opencv(".jpg", picture(3), cv2.IMWRITE_JPEG_QUALITY, 90),
    "JPEG, progressive": lambda: by_opencv(".jpg", picture(3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "TIFF": lambda: by_tifffile(picture(dtype=np.uint16)),
    "TIFF of colors": lambda: by_tifffile(picture(3)),
    "TIFF, deflate": lambda: by_tifffile(picture(3), compression="zlib", rowsperstrip=8),
    "TIFF, LZW": lambda: by_pillow(picture(3), "TIFF", compression="tiff_lzw"),
    "TIFF, PackBits": lambda: by_pillow(picture(), "TIFF", compression="packbits"),
    "TIFF, zstd": lambda: by_tifffile(picture(3), compression="zstd", bigtiff=True),
    "TIFF, tiles": lambda: by_tifffile(picture(dtype=np.uint16), compression="lzw", predictor=True, tile=(16, 16)),
    "TIFF, JPEG": lambda: by_tifffile(picture(), compression="jpeg"),
}
NUMBERS = {
    "labels in PNG": lambda: by_opencv(".png", objects()),
    "labels in TIFF": lambda: by_tifffile(objects(), compression="zlib"),
}


def made_up(shown):
    """Whether two rows or more are all 0."""
    return np.count_nonzero((shown == 0).reshape(len(shown), -1).all(axis=1)) > 1


@pytest.mark.parametrize(("kind", "make"), [*SURE.items(), *UNSURE.items()], ids=[*SURE, *UNSURE])
def test_pictures(kind, make):
    data = make()
    whole = reader.image(data, NAME)
    assert whole.shape[:2] == (SIDE, SIDE + 8) and not made_up(whole) and whole.min() > 0

    def case(rng):
        shown = reader.image(changed(data, rng), NAME)
        if shown.dtype != np.float32 or shown.ndim != 3 or not (0 <= shown.min() and shown.max() <= 1):
            return f"no picture: {shown.dtype} {shown.shape}"
        if kind in SURE and not np.array_equal(shown, whole):
            return f"other pixels: {np.mean(shown != whole) if shown.shape == whole.shape else shown.shape}"
        return f"made up rows, of {shown.shape}" if "JPEG" not in kind and made_up(shown) else ""

    tried(kind, case)


@pytest.mark.parametrize(("kind", "make"), NUMBERS.items(), ids=NUMBERS)
def test_label_images(kind, make):
    data = make()
    assert np.array_equal(reader.mask(data, NAME, numbers=True), objects())

    def case(rng):
        found = reader.mask(changed(data, rng), NAME, numbers=True)
        if "PNG" in kind and not np.array_equal(found, objects()):
            return f"other numbers, {found.shape}"
        return "made up zeros" if found.ndim == 2 and (found == 0).all(axis=1).any() else ""

    tried(kind, case)


def test_a_list_of_damaged_pages_without_end_is_left():
    """A change found here: tifffile logged errors for minutes."""
    rng = np.random.default_rng((zlib.crc32(b"labels in TIFF"), 214))
    data = changed(NUMBERS["labels in TIFF"](), rng)
    with limited(), pytest.raises(ValueError, match=f"{NAME} is damaged or cut short"):
        reader.mask(data, NAME, numbers=True)


# --- arrays of labels ---


def odd(found, rng):
    """An array of labels, changed as people do by mistake."""
    match rng.integers(12):
        case 0:
            return found.astype(rng.choice([np.float32, np.float64, np.complex64, bool, "U8", object]))
        case 1:
            return found.astype(rng.choice([np.int8, np.uint8, np.int64, np.uint64, np.uint32]))
        case 2:
            return found[..., None].repeat(int(rng.integers(1, 5)), axis=2)
        case 3:
            return found[: int(rng.integers(3)), : int(rng.integers(3))]
        case 4:
            return found.ravel() if rng.integers(2) else found[0, 0]
        case 5:
            return np.where(rng.random(found.shape) < 0.1, np.nan, found)
        case 6:
            return -found - int(rng.integers(3))
        case 7:
            return found.astype(np.int64) * int(rng.choice([2**20, 2**31, 2**40]))
        case 8:
            return found[None].repeat(int(rng.integers(1, 3)), axis=0)
        case 9:
            return found[::-1, ::2] if rng.integers(2) else np.asfortranarray(found)
        case 10:
            return found.tolist() if rng.integers(2) else [None]
        case _:
            return np.where(rng.random(found.shape) < 0.2, int(rng.integers(-2, 2**15)), found)


USES = {
    "relabel": labels.relabel,
    "connected": lambda found: labels.connected(found),
    "separate": labels.separate,
    "border weights": weightmap.border_weights,
    "weight map": weightmap.weight_map,
    "class weights": lambda found: weightmap.class_weights([found]),
    "scores": lambda found: scores.objects(found, found),
    "run lengths": labels.rle_rows,
    "border target": instances.border_target,
}


@pytest.mark.parametrize(("kind", "use"), USES.items(), ids=USES)
def test_arrays_of_labels(kind, use):
    """A result of numbers that are finite, or ``ValueError`` or ``TypeError`` that says what is wrong."""
    few = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), int))

    def case(rng):
        given = odd(few, rng)
        try:
            answer = use(given)
        except (ValueError, TypeError) as error:
            return "" if len(str(error)) > 20 else f"says little: {error!r}"
        finite = not isinstance(answer, np.ndarray) or answer.dtype.kind in "biu" or np.isfinite(answer).all()
        return "" if finite else f"{answer.dtype} that is not finite"

    tried(kind, case)


def test_arrays_of_a_training():
    images, few = np.zeros((1, 12, 16, 1), np.float32), np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), int)) % 2
    model = unet((None, None, 1), 2, filters=1, depth=1, padding="same")

    def case(rng):
        try:
            _, found, _ = doubts.arrays(images, odd(few, rng)[None] if rng.integers(2) else odd(few[None], rng), None)
            doubts.classes(found, model, None)
        except (ValueError, TypeError) as error:
            return "" if len(str(error)) > 20 else f"says little: {error!r}"
        return "" if found.shape == (1, 12, 16) and 0 <= found.min() and found.max() <= 1 else "no classes"

    tried("training", case)


# --- results ---


@pytest.mark.parametrize("kind", [".json", ".csv", "-curves.csv"])
def test_result_files(kind, tmp_path, monkeypatch):
    """Numbers have no checksum: a study of the same form, or an error. All that reads it is called."""
    name = "isbi2012"
    for file in results.folder().glob(f"{name}*"):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    file = tmp_path / f"{name}{kind}"
    data = file.read_bytes()

    def read():
        found = results.study(name)
        for arm in found.arms:
            found.settings_of(arm), found.mean(arm), found.std(arm)
            for seed, entry in found.entries(arm).items():
                found.scores(arm, next(iter(entry["scores"])), seeds=[seed])
                found.machine(entry), found.curves(arm, seed), found.swept(arm, seed)
        return len(found.rows(reading=None))

    wanted = read()

    def case(rng):
        file.write_bytes(changed(data, rng))
        return "" if read() == wanted else "other rows"

    tried(f"result{kind}", case, named=file.name)


# --- networks ---


def test_model_files(tmp_path):
    """An archive has checksums: the same network, or an error."""
    model = unet((None, None, 1), 2, filters=2, depth=1)
    path = store.save(model, tmp_path / "whole.keras", classes=["background", "cell"])
    data, weights, file = path.read_bytes(), model.get_weights(), tmp_path / "changed.keras"
    facts = kept.passport(path)

    def case(rng):
        file.write_bytes(changed(data, rng))
        loaded = store.load(file)
        same = all(np.array_equal(a, b) for a, b in zip(weights, loaded.get_weights(), strict=True))
        return "" if same and loaded.metadata == facts else "another network"

    tried("model", case, named=file.name)


def test_members_of_model_files(tmp_path):
    """What is changed before the archive is written: checksums say nothing, and a network is a network."""
    model = unet((None, None, 1), 2, filters=2, depth=1)
    path = store.save(model, tmp_path / "whole.keras", classes=["background", "cell"])
    file = tmp_path / "changed.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def case(rng):
        name = list(members)[rng.integers(len(members))]
        with zipfile.ZipFile(file, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, changed(content, rng) if member == name else content)
        loaded = store.load(file)
        return "" if isinstance(loaded, keras.Model) and isinstance(loaded.metadata, dict) else "no network"

    tried("members", case, named=file.name)


def test_the_changes_are_many_and_repeat():
    data = json.dumps(list(range(200))).encode()
    first = [changed(data, np.random.default_rng(number)) for number in range(60)]
    assert first == [changed(data, np.random.default_rng(number)) for number in range(60)]
    assert data not in first and len(set(first)) > 50
    assert min(map(len, first)) < len(data) < max(map(len, first))
    with pytest.raises(AssertionError, match="is not clear, or names no file"):
        tried("one", lambda rng: int("x"))
    with pytest.raises(AssertionError, match="KeyError"):
        tried("two", lambda rng: {}["x"])
    with pytest.raises(AssertionError, match="wrong picture"):
        tried("three", lambda rng: "wrong picture")
    assert tried("four", lambda rng: "") == COUNT
