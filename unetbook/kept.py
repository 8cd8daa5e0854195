"""The networks that the book keeps, and what their files say of them: read without loading a network, or Keras."""

import json
import zipfile
import zlib
from pathlib import Path

MEMBER = "unetbook.json"  # of a ``.keras`` archive
NAMES = {
    "nuclei": "dsb2018-unet",
    "nuclei-unetpp": "dsb2018-unetpp",
    "membranes": "isbi2012-paper",
    "lesions": "isic2017-improved",
    "touching": "usiigaci-weights",
}


def passport(path) -> dict:
    """The metadata of a model file. Raises ``FileNotFoundError`` or ``ValueError`` naming the file and the fix."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}: see `python -m unetbook list` for the models at hand")
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read(MEMBER))
        if not isinstance(facts, dict):
            raise ValueError
        return facts
    except (zipfile.BadZipFile, zlib.error, ValueError):
        raise ValueError(f"{path} is damaged or no .keras file: get it again") from None
    except KeyError:
        raise ValueError(f"{path} holds no {MEMBER}: it was not written by unetbook.store.save") from None
