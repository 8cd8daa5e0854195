"""Files that appear when they are complete: nothing is half-written, and no draft stays behind."""

import os
from pathlib import Path


def put(path, write) -> None:
    """Let ``write`` fill a draft beside ``path``, and put it in place when it is complete. Raises ``OSError``."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def check_target(path) -> None:
    """``ValueError`` where a file is to be written and a folder lies."""
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder: give a file to write")
