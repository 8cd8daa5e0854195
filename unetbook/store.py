"""A model with what is needed to use it again: classes, scaling of the input, tile geometry, license, scores.

The file is Keras' own ``.keras`` archive with one member more, ``unetbook.json``; ``keras.saving.load_model`` reads
it too, once ``unetbook.nets`` is imported.
"""

import io
import json
import os
import re
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

import unetbook
from unetbook import doubts, geometry, kept, nets  # nets registers the layers that a saved model names
from unetbook.kept import MEMBER, passport

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"


def save(model, path, half=False, **metadata) -> Path:
    """Write a model and its metadata into one ``.keras`` file, and return the path.

    The optimizer's state, twice the size of the weights for Adam, is left out: the file is for use, not for resuming.
    half: keep the weights in half precision, which halves the file; they are float32 again when loaded. metadata: what
    JSON can hold, for instance classes=["membrane", "interior"], license="MIT"; the versions, the number of parameters
    and the tile geometry are added. Nothing is left half-written: the file appears when it is complete. Raises
    ``ValueError`` for another ending than .keras, for metadata that JSON cannot hold, naming the entry, and for a
    network that ends in a sigmoid or soft-max, unless its ``outputs`` are "values".
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"a model file ends in .keras: use {path.with_suffix('.keras')} instead of {path}")
    for name, value in metadata.items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise ValueError(
                f"metadata {name!r} cannot be stored: {error}; use numbers, text, lists or dicts"
            ) from None
    doubts.logits(model, outputs=metadata.get("outputs"))
    facts = {
        "unetbook": unetbook.__version__,
        "keras": keras.__version__,
        "parameters": model.count_params(),
        "geometry": geometry.of(model)._asdict(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft, final = Path(folder) / "draft.keras", Path(folder) / "final.keras"
        keras.saving.save_model(model, draft)
        with zipfile.ZipFile(draft) as old, zipfile.ZipFile(final, "w", zipfile.ZIP_DEFLATED) as new:
            for member in old.namelist():
                content = old.read(member)
                if member == _WEIGHTS:
                    content = _weights_alone(content, half)
                elif member == _CONFIG:
                    content = json.dumps({**json.loads(content), "compile_config": None})
                new.writestr(member, content)
            new.writestr(MEMBER, json.dumps({**facts, **metadata}, indent=1))
        os.replace(final, path)
    return path


def load(path):
    """Read a model that ``save`` wrote; its metadata is the dict ``model.metadata``.

    Code is never run from a model file: Keras refuses such layers, and so does this; what says that it unpacks to more
    than a network is not unpacked. Raises ``FileNotFoundError`` or ``ValueError`` naming the file, and the Keras that
    is needed where it was written by a newer one.
    """
    path, metadata = Path(path), passport(path)
    try:
        _check_weights(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except kept.Bomb:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        fix, wrote = "get it again from a source you trust", metadata.get("keras")
        if _version(wrote) > _version(keras.__version__):
            fix = f"it was written by Keras {wrote}, and {keras.__version__} is installed: install that or a newer one"
        raise ValueError(f"{path} cannot be loaded ({reason}): {fix}") from error
    object.__setattr__(model, "metadata", metadata)  # not by Keras, which would wrap the dict to track layers in it
    return model


def _version(text) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", str(text))[:3]]


def _check_weights(path) -> None:
    """``ValueError`` for arrays that lie in other files, or say that they have more bytes than any network."""
    with zipfile.ZipFile(path) as archive:
        content = archive.read(_WEIGHTS)
    arrays = []
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        if any(array.external or array.is_virtual for array in arrays):
            raise ValueError("its arrays lie in other files")
        kept.check_size(path, sum(array.nbytes for array in arrays), len(content))


def _weights_alone(content: bytes, half: bool) -> bytes:
    """An HDF5 file without the optimizer's state and, if asked, with its float32 arrays stored as float16."""
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(result, "w") as new:

        def copy(name, item):
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                target = new.require_group(name)
            else:
                target = new.create_dataset(name, data=_halved(item[()]) if half else item[()])
            target.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return result.getvalue()


def _halved(values):
    """A float32 array in half precision, unless a value is too large for it."""
    if getattr(values, "dtype", None) != np.float32 or np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        return values
    return values.astype(np.float16)


__all__ = ["load", "nets", "passport", "save"]
