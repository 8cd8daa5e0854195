"""The weights kept for readers: one seed, chosen on the validation part, in half precision, with its passport."""

from pathlib import Path

import keras

from unetbook import store
from unetbook.recipes import _precision

LARGEST_BYTES = 8 * 2**20


def keep_best(recipe, result, data, split_of, runs: Path, out: Path) -> dict | None:
    """Write ``<out>/weights/<recipe>.keras`` and return its entry for the result file; ``None`` without checkpoints.

    The seed is the one with the smallest last validation loss: nothing is chosen on test images. Folds have validation
    images of their own and cannot be compared so: of them it is the first. The stored model is loaded again and scored,
    so that the entry says what half precision costs. split_of: from a seed to the parts of its fold. Raises
    ``ValueError`` for a file larger than ``LARGEST_BYTES``. Chapter 15.
    """
    checkpoints = {}
    for seed, entry in result.get("seeds", {}).items():
        found = sorted((runs / recipe.NAME / f"seed-{seed}").glob("epoch-*.keras"))
        if found:
            checkpoints[seed] = (entry["curves"]["val_loss"][-1], found[-1])
    if not checkpoints:
        return None
    folds = hasattr(recipe, "fold")
    seed = min(checkpoints, key=lambda seed: int(seed) if folds else checkpoints[seed][0])
    model = keras.models.load_model(checkpoints[seed][1], compile=False)
    model = _precision.in_float32(recipe, result["settings"], model)
    entry = result["seeds"][seed]
    facts = {"recipe": recipe.NAME, "seed": int(seed), "commit": entry["commit"], "date": entry["date"]}
    choices = entry.get("choices", {})
    path = keep(recipe, model, out, **facts, choices=choices, scores=entry["scores"])
    again = recipe.evaluate(store.load(path), data, split_of(int(seed)))
    if again.get("choices", choices) != choices:  # half precision tips the scales between two that are as good
        path = keep(recipe, model, out, **facts, choices=again["choices"], scores=again["scores"])
    return {"file": path.name, "seed": int(seed), "bytes": path.stat().st_size, "scores": again["scores"]}


def keep(recipe, model, out: Path, /, **facts) -> Path:
    """Write ``<out>/weights/<recipe>.keras`` in half precision, with the recipe's passport and these facts.

    Raises ``ValueError`` for a file larger than ``LARGEST_BYTES``, which is removed.
    """
    path = out / "weights" / f"{recipe.NAME}.keras"
    store.save(model, path, half=True, **recipe.PASSPORT, **facts)
    if path.stat().st_size > LARGEST_BYTES:
        size = path.stat().st_size
        path.unlink()
        raise ValueError(f"{path} would have {size} bytes, more than {LARGEST_BYTES}: keep a narrower network")
    return path
