"""The harness of measured runs: trains each seed, resumes what was stopped, merges results into one JSON file."""

import hashlib
import math
import shutil
import statistics
import time
from pathlib import Path

import keras

from unetbook import training
from unetbook.datasets import _files
from unetbook.recipes import _json, _precision
from unetbook.recipes._keep import keep_best
from unetbook.recipes._provenance import provenance

RUNS = Path("runs")  # checkpoints, below the current folder; ignored by git


def run(recipe, seeds=None, out=None, quick=False, root=None) -> dict:
    """Run a recipe for all its seeds, or those given, and return what stands in ``<out>/<recipe>.json`` afterwards.

    out: folder of the result, ``results`` unless given; a quick run, of seconds and without meaning, writes
    to ``runs/quick``. A seed that the file already has is not run again; one that was stopped goes on after
    its last finished epoch. Raises ``ValueError`` where the file or a checkpoint stems from other settings,
    data or split, or where the loss is no longer a number, and what the data set's reader raises. Chapter 15.
    """
    runs = RUNS / "quick" if quick else RUNS
    out = Path(out) if out else (runs if quick else Path("results"))
    settings = recipe.SETTINGS | (recipe.QUICK if quick else {})
    data = getattr(recipe, "load", recipe.DATASET.load)(root)
    split = _split(recipe, out, data)
    head = {
        "recipe": recipe.NAME,
        "summary": recipe.SUMMARY,
        "quick": quick,
        "settings": settings,
        "data": [described(path) for path in recipe.DATASET.files(root)],
        "split": split,
        "target": recipe.TARGET,
        **({"least": recipe.LEAST} if hasattr(recipe, "LEAST") else {}),
    }
    path = out / f"{recipe.NAME}.json"
    if quick:
        path.unlink(missing_ok=True)
    result = _merge(path, head, {})
    if "baselines" not in result:
        print("baselines ...", flush=True)
        result = _merge(path, head, {"baselines": _json.rounded(recipe.baselines(data, split))})
    for seed in recipe.SEEDS if seeds is None else seeds:
        if str(seed) in result.get("seeds", {}):
            print(f"seed {seed}: already in {path}")
            continue
        folder = runs / recipe.NAME / f"seed-{seed}"
        entry = _run_seed(recipe, data, split, settings, seed, folder, head)
        result = _merge(path, head, {"seeds": {str(seed): entry}})
        print(f"seed {seed}: merged into {path}", flush=True)
    keeps = getattr(recipe, "KEPT", True)
    kept = keeps and keep_best(recipe, result, data, lambda seed: _of_seed(recipe, split, seed), runs, out)
    if kept:
        result = _merge(path, head, {"kept": _json.rounded(kept)})
        print(f"weights of seed {kept['seed']} kept in {out / 'weights' / kept['file']}", flush=True)
    if quick:
        shutil.rmtree(runs / recipe.NAME, ignore_errors=True)
    return result


def _run_seed(recipe, data, split, settings, seed, folder, head):
    """Train one seed from its last finished epoch on, and score it."""
    came_from = _json.plain(provenance())
    precision = _precision.usable(settings.get("precision", "float32"))
    fresh = {"head": head, "epochs": 0, "curves": {}, "seconds": 0.0, "came_from": came_from, "precision": precision}
    state = fresh | (_json.read(folder / "state.json") or {})
    if state["head"] != _json.plain(head):
        raise ValueError(f"{folder} was begun with other settings, data or split: remove the folder to start anew")
    split = _of_seed(recipe, split, seed)
    training.set_seed(seed)
    if state["epochs"]:
        print(f"seed {seed}: resumes after epoch {state['epochs']}", flush=True)
        model = keras.models.load_model(folder / state["checkpoint"])
    else:
        with _precision.policy(state["precision"]):
            model = recipe.build(settings)
    judged = _precision.in_float32(recipe, settings, model)

    def validate(model):
        if judged is not model:
            judged.set_weights(model.get_weights())
        return recipe.validate(judged, data, split)

    training.fit(
        model,
        recipe.batches(data, split, settings, seed),
        epochs=settings["epochs"],
        initial_epoch=state["epochs"],
        optimizer=recipe.optimizer(settings),
        loss=getattr(recipe, "LOSS", None),
        callbacks=[_Checkpoint(folder, state, seed, settings["epochs"], validate)],
    )
    judged.set_weights(model.get_weights())
    return {
        **_json.rounded(recipe.evaluate(judged, data, split)),
        "curves": state["curves"],
        "parameters": model.count_params(),
        "steps": settings["steps"] * settings["epochs"],
        "seconds": round(state["seconds"]),
        **({"precision": state["precision"]} if "precision" in settings else {}),
        **(state["came_from"] | _differs(state["came_from"], came_from)),
    }


def _of_seed(recipe, split, seed):
    """The parts train, validation and test: those of the split, or of the seed's fold where the recipe has folds."""
    return recipe.fold(split, seed) if hasattr(recipe, "fold") else split


def _differs(trained, scored):
    """What was another machine, backend or commit when the network was scored than when its training began."""
    differs = {name: value for name, value in scored.items() if trained.get(name) != value}
    return {"scored": differs} if differs else {}


class _Checkpoint(keras.callbacks.Callback):
    """After each epoch: validate, print a line, store model and optimizer, so that a stop costs one epoch at most."""

    def __init__(self, folder, state, seed, epochs, validate):
        super().__init__()
        self.folder, self.state, self.seed, self.epochs, self.validate = folder, state, seed, epochs, validate

    def on_epoch_begin(self, epoch, logs=None):
        """Give drop-out an epoch's own random numbers: a resumed run then drops what it would have dropped."""
        self.began = time.perf_counter()
        for number, layer in enumerate(self.model.layers):
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign([self.seed * 1000 + epoch, number])

    def on_epoch_end(self, epoch, logs=None):
        """Write the checkpoint first and the state that names it last, so that neither is ever half there."""
        # Not only a high rate does this. On processors with AMX, TensorFlow 2.21's gradient of some unpadded bfloat16
        # convolutions multiplies memory that nobody wrote by 0: exact, unless a NaN happens to lie there.
        if not math.isfinite((logs or {}).get("loss", 0)):
            raise ValueError(
                f"the loss of seed {self.seed} is no longer a number in epoch {epoch + 1}, of which {self.folder} has "
                "nothing: run again to repeat it, or change the recipe's learning rate if that happens again"
            )
        values = {**(logs or {}), **self.validate(self.model)}
        for name, value in values.items():
            self.state["curves"].setdefault(name, []).append(round(float(value), _json.DIGITS))
        self.folder.mkdir(parents=True, exist_ok=True)
        old, new = self.state.get("checkpoint"), f"epoch-{epoch + 1:03d}.keras"
        self.model.save(self.folder / new)
        self.state["seconds"] += time.perf_counter() - self.began
        self.state.update(epochs=epoch + 1, checkpoint=new)
        _json.write(self.folder / "state.json", self.state)
        if old and old != new:
            (self.folder / old).unlink(missing_ok=True)
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        print(f"seed {self.seed}  epoch {epoch + 1}/{self.epochs}  {shown}  {self.state['seconds']:.0f} s", flush=True)


def _split(recipe, out, data):
    """The split that lies in ``<out>/splits``, made from the recipe where it does not lie there yet."""
    path = out / "splits" / f"{recipe.DATASET.FOLDER}.json"
    split = _json.read(path)
    if split is None:
        split = recipe.split(data)
        _json.write(path, split)
    absent = sorted({i for part in split.values() for i in part} - set(recipe.ids(data)))
    if absent:
        raise ValueError(f"the data set lacks {absent}, which {path} names: get the whole data set")
    return split


def _merge(path, head, news):
    """Add ``news`` to the result file, which another process may have changed, and replace the file in one step."""
    result = _json.read(path) or {}
    if result and any(result.get(name) != value for name, value in _json.plain(head).items() if name != "summary"):
        raise ValueError(
            f"{path} holds a run with other settings, data or split: move it away, or choose another --out"
        )
    result |= head
    for name, value in news.items():
        result[name] = {**result.get(name, {}), **value}
    finished = [entry["scores"] for entry in result.get("seeds", {}).values()]
    if finished:
        columns = {name: [scores[name] for scores in finished] for name in finished[0]}
        result["mean"] = _json.rounded({name: statistics.fmean(column) for name, column in columns.items()})
        result["std"] = _json.rounded({n: statistics.stdev(c) if len(c) > 1 else None for n, c in columns.items()})
        met = [result["mean"][name] <= most for name, most in result["target"].items()]
        met += [result["mean"][name] >= least for name, least in result.get("least", {}).items()]
        if met:
            result["target_met"] = all(met)
    if news:
        _json.write(path, result)
    return result


def described(path):
    """Name, bytes and SHA-256 of a file; of a folder that of its files' names and sums, in order."""
    if path.is_file():
        return {"file": path.name, "bytes": path.stat().st_size, "sha256": _files.sha256(path)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{_files.sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return {
        "folder": path.name,
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": hashlib.sha256(listing.encode()).hexdigest(),
    }
