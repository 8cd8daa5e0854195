"""One process at a time: several may run arms of one study into the same files."""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    import msvcrt

    def _lock(file):
        msvcrt.locking(file, msvcrt.LK_LOCK, 1)
else:

    def _lock(file):
        fcntl.flock(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def alone(path: Path):
    """Wait until no other process holds the lock ``path``, and hold it; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        _lock(file)
        yield
    finally:
        os.close(file)


def to_disk(path: Path) -> None:
    """Have a file on the disk and not only in memory, so that what names it later is never there without it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
