"""The networks that the book keeps, and what their files say of them: read without loading a network, or Keras."""

import json
import zipfile
import zlib
from pathlib import Path

MEMBER = "unetbook.json"  # of a ``.keras`` archive
PARTS = {MEMBER, "metadata.json", "config.json", "model.weights.h5"}
HDF5 = b"\x89HDF\r\n\x1a\n"  # the first bytes of such a file
LARGE, EXPANSION = 2**30, 20  # bytes unpacked, above which a file may grow by this factor: weights hardly pack at all
BACKENDS = ("tensorflow", "jax", "torch")
NAMES = {
    "nuclei": "dsb2018-unet",
    "nuclei-unetpp": "dsb2018-unetpp",
    "membranes": "isbi2012-paper",
    "lesions": "isic2017-improved",
    "touching": "usiigaci-weights",
}
_AGAIN = (
    "load it by Keras and store it with a passport: unetbook.Segmenter(keras.models.load_model(file), "
    "{'classes': ['background', 'cell']}).save('new.keras')"
)


def passport(path) -> dict:
    """The metadata of a model file. Raises ``FileNotFoundError`` or ``ValueError`` naming the file and the fix."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}: see `python -m unetbook list` for the models at hand")
    with path.open("rb") as file:
        if file.read(len(HDF5)) == HDF5:
            raise ValueError(f"{path} is an HDF5 file (.h5), and a .keras file is needed: {_AGAIN}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_size(path, sum(member.file_size for member in members), path.stat().st_size)
            facts = json.loads(archive.read(MEMBER))
        if not isinstance(facts, dict):
            raise ValueError
    except Bomb:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, OSError):  # of members that are encrypted, too
        raise ValueError(f"{path} is damaged or no .keras file: get it again") from None
    except KeyError:
        raise ValueError(f"{path} holds no {MEMBER}: it was not written by unetbook.store.save. {_AGAIN}") from None
    others = sorted({member.filename for member in members} - PARTS)
    if others:
        raise ValueError(
            f"{path} holds {others[0]!r}, which a network has no use for: get it again from a source you trust"
        )
    return facts


class Bomb(ValueError):
    """A file that would fill the memory."""


def check_size(path, unpacked, packed) -> None:
    """``Bomb``, a ``ValueError``, where a file says that it unpacks to far more bytes than any network."""
    if unpacked > max(LARGE, EXPANSION * packed):
        raise Bomb(
            f"{path} has {packed / 2**20:.1f} MB and says that it unpacks to {unpacked / 2**30:.0f} GB, which no "
            "network does: get it again from a source you trust"
        )


def without_backend(error) -> ModuleNotFoundError:
    """The error of a module that is not installed, in other words where it is what Keras computes with."""
    if error.name not in BACKENDS:
        return error
    return ModuleNotFoundError(
        f"Keras computes with {error.name}, which is not installed: install it, or name another of "
        f"{', '.join(BACKENDS)} in the environment variable KERAS_BACKEND",
        name=error.name,
    )
