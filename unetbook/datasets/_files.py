"""Where real data is looked for, what to say when it is missing or damaged, and the samples that readers give."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from unetbook.images import AGAIN
from unetbook.images.tiffs import complaints

VARIABLE = "UNETBOOK_DATA"


class Sample(NamedTuple):
    """One picture: its id, the image float32 (H, W, C) in [0, 1], and its labels int32 (H, W)."""

    id: str
    image: np.ndarray
    labels: np.ndarray


class Samples(Sequence):
    """A sequence of ``Sample`` that reads a picture each time it is asked for, so that a large set needs no memory.

    ``ids`` lists what it holds; ``list(samples)`` keeps all pictures in memory; a slice is a sequence again.
    """

    def __init__(self, ids, read):
        """Hold the ids, and a function that reads the sample of one."""
        self.ids, self._read = list(ids), read

    def __len__(self):
        """Count the samples, without reading one."""
        return len(self.ids)

    def __getitem__(self, index):
        """Read the sample of that index."""
        chosen = self.ids[index]
        return Samples(chosen, self._read) if isinstance(index, slice) else self._read(chosen)


def cache_folder() -> Path:
    """The package's folder in the user's cache: ``$XDG_CACHE_HOME/unetbook`` or ``~/.cache/unetbook``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unetbook"


def find(folder: str, names, root, how_to_get: str) -> list[Path]:
    """The files ``names`` of the data set ``folder``, from the first place that has all of them.

    A name with a suffix is a file's, one without is a folder's; in place of a name, a tuple lists alternatives, of
    which the first that is there is taken. With ``root``, only ``root/folder`` is looked at; otherwise
    ``$UNETBOOK_DATA/folder``, then the cache folder's. Raises ``FileNotFoundError`` with the places looked at, the
    files missing there and ``how_to_get``, and ``NotADirectoryError`` when a place is a file.
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
        found = {name: _first(place / folder, [name] if isinstance(name, str) else name) for name in names}
        missing = [name if isinstance(name, str) else " or ".join(name) for name in names if not found[name]]
        if not missing:
            return list(dict.fromkeys(found.values()))
        looked_at.append(f"{place / folder} (no {', '.join(missing)})")
    raise FileNotFoundError(
        f"the data set {folder} was not found. Looked at: {'; '.join(looked_at)}. To download it: "
        f"python -m unetbook fetch {folder}. By hand: {how_to_get}"
    )


def _first(place, names) -> Path | None:
    paths = [place / name for name in names]
    return next((path for path in paths if (path.is_file() if path.suffix else path.is_dir())), None)


def read_stack(path: Path) -> np.ndarray:
    """All pages of a multi-page TIFF of 8-bit gray pictures: uint8 (N, H, W).

    Raises ``ValueError`` naming the file when it is damaged, cut short, of another dtype or not a stack.
    """
    try:
        with complaints() as messages:
            stack = tifffile.imread(path)
    except Exception as error:  # a damaged TIFF fails in many ways: struct.error, zlib.error, TiffFileError ...
        raise ValueError(f"{path} is damaged or cut short ({error}): {AGAIN}") from error
    if messages:  # a page list that breaks off is only logged, and the pages before it are returned
        raise ValueError(f"{path} is damaged or cut short ({messages[0]}): {AGAIN}")
    if stack.dtype != np.uint8:
        raise ValueError(f"{path} holds {stack.dtype}, and uint8 (0 to 255) was expected: {AGAIN}")
    if stack.ndim != 3:
        raise ValueError(f"{path} has shape {stack.shape}, and slices (N, H, W) were expected: {AGAIN}")
    return stack


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
