"""The weights kept for readers: one seed of an arm, chosen on the validation part, in half precision."""

from pathlib import Path

import keras

from studies import precision, records
from unetbook import store

LARGEST_BYTES = 8 * 2**20


def keep_best(study, arm, task, settings, summary, folder: Path, out: Path, data_of) -> dict | None:
    """Write ``<out>/weights/<study>-<arm>.keras`` and return its entry for the summary; ``None`` without checkpoints.

    The seed is the one with the smallest last validation loss: nothing is chosen on test images. Folds have validation
    images of their own and cannot be compared so: of them it is the first. The stored model is loaded again and scored,
    so that the entry says what half precision costs; a part of a network, such as an encoder, is not. folder: of the
    checkpoints, ``seed-0`` and so on. data_of: from a seed to its data and parts. Raises ``ValueError`` for a file
    larger than ``LARGEST_BYTES``, which is removed.
    """
    found = {}
    for seed in map(int, summary["arms"][arm]["seeds"]):
        checkpoints = sorted((folder / f"seed-{seed}").glob("epoch-*.keras"))
        if checkpoints:
            found[seed] = checkpoints[-1]
    if not found:
        return None
    seed = min(found) if task.FOLDS or len(found) == 1 else min(found, key=lambda one: _last_loss(found[one].parent))
    data, parts = data_of(seed)
    model = keras.models.load_model(found[seed], compile=False)
    model = precision.in_float32(lambda: task.build(data, settings), model)
    entry = summary["arms"][arm]["seeds"][str(seed)]
    answering = task.answering(model, settings)
    facts = {"study": study.name, "arm": arm, "seed": seed, "commit": entry["commit"], "date": entry["date"]}
    path, choices = out / "weights" / f"{study.stem(arm)}.keras", entry.get("choices", {})
    passport = task.passport(settings)
    _keep(answering, path, **passport, **facts, choices=choices, scores=entry["scores"])
    kept = {"file": path.name, "seed": seed, "bytes": path.stat().st_size, "scores": entry["scores"]}
    if answering is not model:
        return kept
    again = task.evaluate(store.load(path), data, parts, settings)
    if again.get("choices", choices) != choices:  # half precision tips the scales between two that are as good
        _keep(answering, path, **passport, **facts, choices=again["choices"], scores=again["scores"])
    return kept | {"bytes": path.stat().st_size, "scores": again["scores"]}


def _last_loss(folder):
    return records.read(folder / "state.json")["curves"]["val_loss"][-1]


def _keep(model, path, /, **facts):
    store.save(model, path, half=True, **facts)
    if path.stat().st_size > LARGEST_BYTES:
        size = path.stat().st_size
        path.unlink()
        raise ValueError(f"{path} would have {size} bytes, more than {LARGEST_BYTES}: keep a narrower network")
