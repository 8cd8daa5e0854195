"""Downloads of the data sets, whose addresses, sums and licenses stand in ``registry.toml``.

A file appears in its place when all of its data set is there and was checked. Until then it lies in a folder beside,
which is removed at the end; what a killed call leaves there, the next one removes.
"""

import hashlib
import importlib
import importlib.resources
import logging
import os
import shutil
import tomllib
from contextlib import contextmanager
from pathlib import Path

from unetbook import progress
from unetbook.datasets import _archives, _files

try:
    import fcntl
except ImportError:  # a system without it
    fcntl = None

TIMEOUT = 30  # seconds without a byte
CHUNK = 2**16


def registry() -> dict:
    """What ``registry.toml`` says of each data set, by name."""
    return tomllib.loads(importlib.resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8"))


def fetch(name, root=None, report=print) -> list[Path]:
    """The files of a data set as its reader wants them, downloaded where they are not at hand.

    They go into ``root/name``; without ``root`` into the folder that ``UNETBOOK_DATA`` names, or the cache folder.
    What its reader finds already is not downloaded again. report: called with lines on what is done. Raises
    ``ValueError`` for an unknown name, for a file of another sum and for one that is not this data set;
    ``FileNotFoundError`` where the publisher wants an account; ``ConnectionError`` where the download fails;
    ``OSError`` where nothing can be written. They name the address and say how to do it by hand.
    """
    known = registry()
    if name not in known:
        raise ValueError(f"there is no data set {name!r}: known are {', '.join(known)}")
    facts, reader = known[name], importlib.import_module(f"unetbook.datasets.{name}")
    try:
        found = reader.files(root)
        report(f"{name} is at hand, and nothing was downloaded")
        return found
    except FileNotFoundError:
        by_hand = f"By hand: {reader.how_to_get()}"
    if "account" in facts:
        raise FileNotFoundError(f"{name} cannot be downloaded from here: {facts['account']}. {by_hand}")
    place = Path(root or os.environ.get(_files.VARIABLE) or _files.cache_folder()).expanduser()
    report(f"{name}: {facts['license']}; cite {facts['cite']}")
    with _bench(place, name) as bench:
        new = bench / name
        new.mkdir()
        for file in facts["files"]:
            there = [place / name / file["name"], (place / name / file["name"]).with_suffix("")]
            here = next((path for path in there if path.exists()), None)
            if here:
                (new / here.name).symlink_to(here.resolve())
                continue
            report(f"{file['url']} ({file['size']})")
            draft = _downloaded(file, bench, by_hand)
            if "sha256" not in file:
                report(f"its SHA-256 is {_files.sha256(draft)}")
            try:
                _put(draft, new, file)
            except ValueError as error:
                raise ValueError(f"what {file['url']} sent is not the data set {name}: {error}. {by_hand}") from error
        try:
            _check_pixels(new, facts.get("pixels", {}))
            reader.load(bench)
        except (OSError, ValueError) as error:
            raise ValueError(f"what was downloaded is not the data set {name}: {error}. {by_hand}") from error
        (place / name).mkdir(exist_ok=True)
        for path in sorted(new.iterdir()):
            if not path.is_symlink():
                os.replace(path, place / name / path.name)
    return reader.files(place)


def _downloaded(file, bench, by_hand) -> Path:
    """The file, in the folder ``bench``, with the sum of the registry where it has one."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.ERROR)  # it tells of sums in many lines
    url, sum_ = file["url"], file.get("sha256")
    try:
        with progress.bar(1, "B", unit_scale=True, unit_divisor=1024) as bar:  # pooch tells it the size
            shown = False if bar.disable else bar
            downloader = pooch.HTTPDownloader(progressbar=shown, chunk_size=CHUNK, timeout=TIMEOUT)
            return Path(pooch.retrieve(url, sum_ and f"sha256:{sum_}", file["name"], bench, downloader=downloader))
    except requests.RequestException as error:
        raise ConnectionError(f"{url} could not be downloaded ({_reason(error)}): try again. {by_hand}") from error
    except ValueError as error:
        raise ValueError(
            f"{url} has another SHA-256 than {sum_}: the file was changed, or altered on its way; nothing of it was "
            f"kept. {by_hand}"
        ) from error
    except OSError as error:
        raise OSError(f"{url} could not be written into {bench.parent} ({error.strerror or error})") from error


def _reason(error) -> str:
    """Why, in a few words; what ``requests`` tells has several lines' length."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError):
        return f"the server answered {error.response.status_code}"
    if isinstance(error, exceptions.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return "no connection" if isinstance(error, exceptions.ConnectionError) else type(error).__name__


def _put(draft, new, file) -> None:
    """Move an archive that is whole into the folder ``new``, or its members that are wanted."""
    archive = _archives.Members(draft)
    archive.check()
    if "unpack" not in file:
        os.replace(draft, new / file["name"])
        return
    for wanted in file["unpack"]:
        names = [name for name in archive.names if name.split("/")[-1] == wanted]
        if len(names) != 1:
            raise ValueError(f"it holds {len(names)} files of the name {wanted}, not one")
        (new / wanted).write_bytes(archive.read(names[0]))


def _check_pixels(folder, sums) -> None:
    """``ValueError`` for a stack whose pixels have another sum."""
    for name, sum_ in sums.items():
        if hashlib.sha256(_files.read_stack(folder / name).tobytes()).hexdigest() != sum_:
            raise ValueError(f"{name} holds other pixels than those known")


@contextmanager
def _bench(place, name):
    """An empty folder beside the data set's, for this process alone; it goes at the end."""
    bench = place / f".{name}.download"
    try:
        bench.mkdir(parents=True, exist_ok=True)
        alone = _locked(bench, f"another process downloads {name} into {place}: wait for it")
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(f"nothing can be written into {place} ({error.strerror}): give another folder") from error
    try:
        for left in bench.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield bench
    finally:
        shutil.rmtree(bench, ignore_errors=True)
        if alone is not None:
            os.close(alone)


def _locked(folder, problem) -> int | None:
    """Take a folder for this process, until it ends; ``BlockingIOError`` where another has it."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BlockingIOError(problem) from None
    return descriptor
