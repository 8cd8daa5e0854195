"""Where real data is looked for, and what to say when it is missing or damaged."""

import hashlib
import logging
import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

VARIABLE = "UNETBOOK_DATA"


def cache_folder() -> Path:
    """The package's folder in the user's cache: ``$XDG_CACHE_HOME/unetbook`` or ``~/.cache/unetbook``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unetbook"


def find(folder: str, names, root, how_to_get: str) -> list[Path]:
    """The files ``names`` of the data set ``folder``, from the first place that has the folder.

    With ``root``, only ``root/folder`` is looked at; otherwise ``$UNETBOOK_DATA/folder``, then the cache
    folder's. Raises ``FileNotFoundError`` with the places looked at, the files missing there and
    ``how_to_get``, and ``NotADirectoryError`` when a place is a file.
    """
    named = root or os.environ.get(VARIABLE)
    places = [Path(named).expanduser()] if named else []
    if not root:
        places.append(cache_folder())
    looked_at = []
    for place in places:
        for path in (place, place / folder):
            if path.exists() and not path.is_dir():
                raise NotADirectoryError(f"{path} is a file; give the folder that holds {folder}/. {how_to_get}")
        missing = [name for name in names if not (place / folder / name).is_file()]
        if not missing:
            return [place / folder / name for name in names]
        looked_at.append(f"{place / folder} (no {', '.join(missing)})")
    raise FileNotFoundError(f"the data set {folder} was not found. Looked at: {'; '.join(looked_at)}. {how_to_get}")


def read_stack(path: Path) -> np.ndarray:
    """All pages of a multi-page TIFF of 8-bit gray pictures: uint8 (N, H, W).

    Raises ``ValueError`` naming the file when it is damaged, cut short, of another dtype or not a stack.
    """
    fix = "remove it and get it again"
    try:
        with _complaints() as complaints:
            stack = tifffile.imread(path)
    except Exception as error:  # a damaged TIFF fails in many ways: struct.error, zlib.error, TiffFileError ...
        raise ValueError(f"{path} is damaged or cut short ({error}): {fix}") from error
    if complaints:  # a page list that breaks off is only logged, and the pages before it are returned
        raise ValueError(f"{path} is damaged or cut short ({complaints[0]}): {fix}")
    if stack.dtype != np.uint8:
        raise ValueError(f"{path} holds {stack.dtype}, and uint8 (0 to 255) was expected: {fix}")
    if stack.ndim != 3:
        raise ValueError(f"{path} has shape {stack.shape}, and slices (N, H, W) were expected: {fix}")
    return stack


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _complaints():
    """Collect, instead of printing, what tifffile logs as an error."""
    messages = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
