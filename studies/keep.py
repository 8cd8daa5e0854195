"""The weights kept for readers: one seed of an arm, chosen on the validation part, in half precision."""

from pathlib import Path

import keras

from studies import records
from unetbook import precision, results, store

LARGEST_BYTES = 8 * 2**20


def keep_best(study, arm, task, settings, summary, folder: Path, out: Path, data_of) -> dict | None:
    """Write ``<out>/weights/<study>-<arm>.keras`` and return its entry for the summary.

    The seed is the one with the smallest last validation loss: nothing is chosen on test images. Folds have validation
    images of their own and cannot be compared so: of them it is the first. ``None`` where that is the seed that is kept
    already, and where its whole training does not lie here; what is kept then stays. The stored model is loaded again
    and scored, so that the entry says what half precision costs; a part of a network, such as an encoder, is not.
    folder: of the checkpoints, ``seed-0`` and so on. data_of: from a seed to its data and parts. Raises ``ValueError``
    for a file larger than ``LARGEST_BYTES``, which is removed.
    """
    entries = summary["arms"][arm]["seeds"]
    seed = int(min(entries, key=int) if task.FOLDS else min(entries, key=lambda one: _last_loss(out, study, arm, one)))
    path = out / "weights" / f"{study.stem(arm)}.keras"
    if summary["arms"][arm].get("kept", {}).get("seed") == seed and path.exists():
        return None
    state = records.read(folder / f"seed-{seed}" / "state.json")
    if not state or state["epochs"] < settings.epochs:
        print(f"{arm}: the checkpoint of seed {seed}, the one to keep, does not lie in {folder}: {path} stays as it is")
        return None
    checkpoint = folder / f"seed-{seed}" / state["checkpoint"]
    data, parts = data_of(seed)
    model = keras.models.load_model(checkpoint, compile=False)
    model = precision.in_float32(lambda: task.build(data, settings), model)
    entry = summary["arms"][arm]["seeds"][str(seed)]
    answering = task.answering(model, settings)
    facts = {"study": study.name, "arm": arm, "seed": seed, "commit": entry["commit"], "date": entry["date"]}
    choices = entry.get("choices", {})
    passport = task.passport(settings)
    _keep(answering, path, **passport, **facts, choices=choices, scores=entry["scores"])
    kept = {"file": path.name, "seed": seed, "bytes": path.stat().st_size, "scores": entry["scores"]}
    if answering is not model:
        return kept
    again = task.evaluate(store.load(path), data, parts, settings)
    if again.get("choices", choices) != choices:  # half precision tips the scales between two that are as good
        _keep(answering, path, **passport, **facts, choices=again["choices"], scores=again["scores"])
    return kept | {"bytes": path.stat().st_size, "scores": again["scores"]}


def _last_loss(out, study, arm, seed):
    """The validation loss after the last epoch, or the training's where nothing is validated; from the table."""
    rows = records.rows_of(results.table_path(out, study.name, "curves"))
    last = [row for row in rows if (row["arm"], row["seed"]) == (arm, seed)][-1]
    return float(last.get("val_loss", last["loss"]))


def _keep(model, path, /, **facts):
    store.save(model, path, half=True, **facts)
    if path.stat().st_size > LARGEST_BYTES:
        size = path.stat().st_size
        path.unlink()
        raise ValueError(f"{path} would have {size} bytes, more than {LARGEST_BYTES}: keep a narrower network")
