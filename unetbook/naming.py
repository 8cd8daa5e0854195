"""Names of results: one for each picture, that no other picture has, and that every file system and terminal takes."""

import hashlib
import re
from collections import Counter
from pathlib import Path

from unetbook.datasets.pairing import same

LONGEST = 220  # bytes of a stem; endings such as _overlay.png and the mark of a draft fit into the usual 255


def printable(text) -> str:
    """The text, or a path, with bytes that are no UTF-8, as old systems wrote them, as ``%E9``."""
    return re.sub("[\ud800-\udfff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", str(text))


def short(stem) -> str:
    """A stem that a file name has room for: a longer one ends in eight digits of its SHA-256 instead of its end."""
    stem = printable(stem)
    encoded = stem.encode()
    if len(encoded) <= LONGEST:
        return stem
    return f"{encoded[: LONGEST - 9].decode(errors='ignore')}-{_digest(encoded)}"


def of_results(files) -> dict[Path, Path]:
    """The name of each file's results, without an ending, in the folder that they are written to.

    files: {file: the folder inside, relative, that its results belong to}. A file's results have its stem; where two
    files would share a name, also by capital letters or accents alone, each has its whole name, ``a.png`` and
    ``a.tif``, and where these are the same, too, its stem and eight digits of the SHA-256 of its path.
    """
    tried = [
        {file: inside / short(stem(file)) for file, inside in files.items()}
        for stem in (
            lambda file: file.stem,
            lambda file: file.name,
            lambda file: f"{short(file.stem)[:180]}-{_of(file)}",
        )
    ]
    counts = Counter(_key(name) for name in tried[0].values())
    names = {file: name for file, name in tried[0].items() if counts[_key(name)] == 1}
    taken = set(map(_key, names.values()))
    for file in files:
        if file not in names:
            names[file] = next((some[file] for some in tried[1:] if _key(some[file]) not in taken), tried[-1][file])
            taken.add(_key(names[file]))
    return {file: names[file] for file in files}


def _key(name):
    return same(name.as_posix()).casefold()


def _of(file):
    return _digest(str(file.absolute()).encode(errors="surrogatepass"))


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:8]
