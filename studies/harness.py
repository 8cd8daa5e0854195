"""One loop over (seed, arm): train or resume, score, merge into the files of the study."""

import hashlib
import importlib
import json
import math
import os
import re
import shutil
from pathlib import Path

import keras

from studies import catalog, locks, records
from studies import training as arms_of
from studies.checkpoints import Checkpoint, Diverged, Fingerprint, State
from studies.keep import keep_best
from studies.provenance import provenance
from studies.settings import READING, Read
from studies.study import Study
from unetbook import drafts, precision, progress, results, sizes, training
from unetbook.datasets import _files

VARIABLE = "UNETBOOK_RUNS"
AGAIN = Path("again")


def runs_folder() -> Path:
    """Where checkpoints lie: the folder that ``UNETBOOK_RUNS`` names, or ``runs`` in the package's cache folder."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else _files.cache_folder() / "runs"


def run(study: Study, seeds=None, arms=None, quick=False, out=None, root=None) -> dict:
    """Run a study, or these seeds and arms of it, and return its summary, which then lies in ``<out>/<study>.json``.

    out: folder of the result files. Unless given ``results``, or ``again`` where ``results`` has what was carried over
    from before this harness: that is never added to, and superseded by moving a whole new run there. A quick run, of
    seconds and without meaning, tries the study's ``quick_arms`` and writes to ``quick`` in the folder of the
    checkpoints. What the files already have is not run again; a training that was stopped goes on after its last
    finished epoch. root: folder of the data sets.

    Raises ``ValueError`` for an unknown arm, for files or checkpoints of other settings, data or split, for a setting
    that nothing reads, and where a loss is no longer a number; and what the data set's reader raises.
    """
    return _Run(study, quick, out, root).run(seeds, arms)


class _Run:
    """One call of ``run``: what its arms share."""

    def __init__(self, study, quick, out, root):
        self.study, self.quick, self.root = study, quick, root
        self.task = importlib.import_module(f"studies.tasks.{study.task}")
        self.runs = runs_folder() / "quick" if quick else runs_folder()
        place = Path(out) / "quick" if out and quick else out  # apart from what was measured
        self.out = Path(place) if place else (self.runs if quick else _place(study))
        self.loaded, self.unread, self.work, self.last, self.diverged = [], {}, {}, (None, None), []
        self.now = records.plain(provenance())
        self.best = {arm: _best(study, arm) for arm in study.arms}
        self.values = {arm: study.values(arm, quick, self._of_best(arm)) for arm in study.arms}

    def _of_best(self, arm):
        best = self.best[arm]
        return catalog.get(self.study.settings["best_in"]).arms[best] if best else None

    def run(self, seeds, arms):
        study = self.study
        arms = list(arms or (study.quick_arms if self.quick else ()) or study.arms)
        for arm in arms:
            catalog.arm(study, arm)
        if self.quick:
            self._forget()
            seeds = seeds or study.seeds[:1]
        wanted = [(seed, arm) for seed in seeds or study.seeds for arm in arms if seeds or seed in study.seeds_for(arm)]
        self.head = self._head()
        summary = records.merge(self.out, self.head)
        if self.task.DATASET and study.baselines and "baselines" not in summary:
            print("baselines ...", flush=True)
            read = Read(self.values[next(iter(study.arms))], study.name)
            found = self.task.baselines(self._data(read, 0), self.split, read)
            summary = records.merge(self.out, self.head, baselines=found)
        missing = [(seed, arm) for seed, arm in wanted if str(seed) not in summary["arms"][arm]["seeds"]]
        if len(missing) < len(wanted):
            print(f"{len(wanted) - len(missing)} of {len(wanted)} are already in {self.out / study.name}.json")
        steps = sum(self.values[arm]["steps"] * self.values[arm]["epochs"] for _, arm in missing)
        with progress.bar(steps, "step", shown=None if missing else False) as bar:
            for seed, arm in missing:
                try:
                    entry = self._measured(arm, seed, bar)
                except Diverged as error:  # of one seed; the others go on
                    self.diverged.append(f"{arm}, {error}")
                    bar.write(self.diverged[-1])
                    continue
                shown = "  ".join(f"{name} {value:.4f}" for name, value in entry["scores"].items())
                summary = records.merge(self.out, self.head, arm, seed, entry)
                bar.write(f"seed {seed}  {arm}: {shown}")
        for arm in arms:
            summary = self._keep(arm, summary)
        if self.quick:
            shutil.rmtree(self.runs / study.name, ignore_errors=True)
        self._refuse_unread()
        if self.diverged:
            raise ValueError("; ".join(self.diverged))
        return summary

    def _forget(self):
        """Remove what an earlier quick run left: its files, and its split, which may be that of other data."""
        old = [self.out / f"{self.study.name}.json"]
        old += [results.table_path(self.out, self.study.name, table) for table in results.TABLES]
        if self.task.DATASET:
            old.append(self.out / "splits" / f"{self.task.DATASET.FOLDER}.json")
        for path in old:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.runs / self.study.name, ignore_errors=True)  # of a quick run that was stopped

    def _head(self):
        """What the files of the study are about; a result with another one is not added to."""
        study, dataset = self.study, self.task.DATASET
        quick = study.quick if self.quick else {}
        head = {
            "study": study.name,
            "summary": study.summary,
            "task": study.task,
            "quick": self.quick,
            "based_on": study.based_on,
            "settings": study.settings | quick,
            "arms": {arm: _quickened(changes, quick) for arm, changes in study.arms.items()},
            "best": {arm: best for arm, best in self.best.items() if best},
            "pairs": study.pairs,
            "aims": {study.aims: {"target": study.target, "least": study.least}} if study.aims else {},
        }
        self.split, self.files = None, []
        if dataset:
            self.files = [records.described(path) for path in dict.fromkeys(dataset.files(self.root))]
            self.split, place = self._split()
            of = {part: len(ids) for part, ids in self.split.items()}
            file = f"splits/{place.name}"
            head |= {"data": self.files, "split": {"file": file, "sha256": records.sha256(place), "images": of}}
        return dict(head)

    def _split(self):
        """The split that lies in ``<out>/splits``, and its file.

        Where it does not lie there yet, it is a copy of the stored one if the data have all of its images, or else made
        by the task.
        """
        name = f"{self.task.DATASET.FOLDER}.json"
        path, stored = (place / "splits" / name for place in (self.out, results.folder()))
        data = self._data(Read(next(iter(self.values.values()))), 0)
        there = set(self.task.ids(data))
        if not path.exists():
            known = records.read(stored)
            if known and {id_ for part in known.values() for id_ in part} <= there:
                drafts.put(path, lambda draft: draft.write_bytes(stored.read_bytes()))
            else:
                records.write(path, self.task.split(data))
        split = records.read(path)
        absent = sorted({id_ for part in split.values() for id_ in part} - there)
        if absent:
            raise ValueError(f"the data set lacks {absent}, which {path} names: get the whole data set")
        return split, path

    def _data(self, read, seed):
        """The pictures; real ones are loaded once for all arms that ask for the same."""
        if not self.task.DATASET:
            return self.task.load(read, seed)
        for asked, data in self.loaded:
            if all(read.get(name) == value for name, value in asked.items()):
                return data
        asking = Read(read.all())
        data = self.task.load(asking, seed, self.root)
        asked = {name: read.get(name) for name in asking.asked()}
        self.loaded.append((asked, data))
        return data

    def _measured(self, arm, seed, bar):
        """Train one arm of one seed from its last finished epoch on, and score it."""
        task, values = self.task, self.values[arm]
        read = Read(values, f"arm {arm!r} of {self.study.name}")
        data = self._data(read, seed)
        parts = task.parts(data, self.split, read, seed)
        state, network = self._trained(arm, seed, read, data, parts, bar)
        entry = task.evaluate(network, data, parts, read)
        curves, answering = state["curves"], task.answering(network, read)
        of_epochs = [dict(zip(curves, row, strict=True)) for row in zip(*curves.values(), strict=True)]
        entry.setdefault("tables", {})["curves"] = [{"epoch": n, **row} for n, row in enumerate(of_epochs, start=1)]
        if arm not in self.work:
            self.work[arm] = _multiply_adds(answering, task.side(read))
        self.unread[arm] = read.unread() - {"best_in", "best_of"}
        came_from = dict(state["came_from"])
        differs = {name: value for name, value in self.now.items() if came_from[name] != value}
        return entry | {
            "parameters": answering.count_params(),
            "trainable": int(sum(math.prod(weight.shape) for weight in network.trainable_weights)),
            "multiply_adds": self.work[arm],
            "steps": values["steps"] * values["epochs"],
            "seconds": round(state["seconds"], 1),
            "precision": state["precision"],
            "machine": {name: came_from.pop(name) for name in ("hardware", "backend", "flags", "versions")},
            **came_from,
            **({"continued": state["continued"]} if state["continued"] else {}),
            **({"scored": differs} if differs else {}),
        }

    def _trained(self, arm, seed, read, data, parts, bar):
        """What is known of the training, and the network in float32. One process trains it, and others wait for it."""
        folder = self.runs / self.study.name / _slug(self._trained_by(arm)) / f"seed-{seed}"
        with locks.alone(folder.with_suffix(".lock")):
            return self._trained_in(folder, arm, seed, read, data, parts, bar)

    def _trained_in(self, folder, arm, seed, read, data, parts, bar):
        task, values = self.task, self.values[arm]
        learned = {name: ids for name, ids in (parts or {}).items() if name in ("train", "validation")}
        digest = hashlib.sha256(json.dumps(records.plain(learned), sort_keys=True).encode()).hexdigest()
        if hasattr(task, "learned"):  # it trains in a way of its own
            return task.learned(data, parts, read, seed, folder, bar)
        starts = "" if values.get("start", "random") == "random" else records.sha256(arms_of.encoder_file())
        fingerprint = Fingerprint(self.study.name, seed, _trains(values), self.files, digest, starts)
        state = State.of(folder, fingerprint, read.get("precision", "float32"))
        done = state.facts["epochs"]
        training.set_seed(seed)
        if done:
            bar.write(f"seed {seed}  {arm}: goes on after epoch {done}")
            bar.update(done * values["steps"])
            path = folder / state.facts["checkpoint"]
            model = self.last[1] if self.last[0] == path else keras.models.load_model(path)
        else:
            with precision.policy(state.facts["precision"]):
                model = task.build(data, read)
        judged = precision.in_float32(lambda: task.build(data, Read(values)), model)

        def validate(model):
            state.facts["read"] = sorted({*state.facts["read"], *read.asked()})
            if judged is not model:
                judged.set_weights(model.get_weights())
            return task.validate(judged, data, parts, read) if task.validate else {}

        if done < values["epochs"]:
            if done:
                state.goes_on(self.now)
            training.fit(
                model,
                task.batches(data, parts, read, seed),
                epochs=read.epochs,
                initial_epoch=done,
                optimizer=arms_of.optimizer(read),
                loss=arms_of.loss(read),
                callbacks=[Checkpoint(state, seed, values["epochs"], validate, bar)],
            )
        judged.set_weights(model.get_weights())
        self.last = folder / state.facts["checkpoint"], model  # for arms that are only read otherwise
        read.also(state.facts["read"])
        return state.facts, judged

    def _trained_by(self, arm):
        """The first arm whose settings differ from this one's in how the network is read at most: one training."""
        return next(one for one, values in self.values.items() if _trains(values) == _trains(self.values[arm]))

    def _keep(self, arm, summary):
        if arm not in self.study.keeps or not summary["arms"][arm]["seeds"]:
            return summary
        read = Read(self.values[arm], self.study.name)

        def data_of(seed):
            data = self._data(read, seed)
            return data, self.task.parts(data, self.split, read, seed)

        folder = self.runs / self.study.name / _slug(self._trained_by(arm))
        kept = keep_best(self.study, arm, self.task, read, summary, folder, self.out, data_of)
        return records.merge(self.out, self.head, arm, kept=kept) if kept else summary

    def _refuse_unread(self):
        """``ValueError`` for a setting of an arm that it did not read, and for one of the study that no arm did."""
        own = {(arm, name) for arm, unread in self.unread.items() for name in unread if name in self.study.arms[arm]}
        whole = set(self.unread) >= set((self.study.quick_arms if self.quick else ()) or self.study.arms)
        shared = set.intersection(*self.unread.values()) if self.unread and whole else set()
        if own or shared:
            names = [f"{name} of arm {arm!r}" for arm, name in sorted(own)] or sorted(shared)
            raise ValueError(
                f"nothing reads {', '.join(names)} in {self.study.name}: take it out of studies/catalog.py. What was "
                "measured is stored"
            )


def _best(study, arm):
    """The arm of another study with the best mean of its first score, among those that are named; or ``None``."""
    candidates = study.arms[arm].get("best_of")
    if not candidates:
        return None
    name = study.settings["best_in"]
    other = results.study(name)
    if not all("mean" in other.arm(one) for one in candidates):
        raise ValueError(f"{study.name} takes what did best in {name}, which is only begun: run that first")
    first = next(iter(other.mean(candidates[0])))
    return max(candidates, key=lambda name: other.mean(name)[first])


def _quickened(changes, quick):
    """What differs in an arm, with the values of a smoke run."""
    return changes | {name: value for name, value in quick.items() if name in changes}


def _trains(values):
    """The settings on which a training depends."""
    return {name: value for name, value in values.items() if name not in READING}


def _multiply_adds(model, side):
    """Multiply-adds for one picture of side x side pixels."""
    return sizes.multiply_adds(keras.models.clone_model(model, keras.Input((side, side, model.input_shape[-1]))))


def _place(study):
    """The folder ``results``, or ``again`` where that has a file from before this harness."""
    path = Path("results") / f"{study.name}.json"
    if "as_run" not in (records.read(path) or {}):
        return path.parent
    print(f"{path} was carried over from before this harness and stays as it is: this run is written to {AGAIN}/")
    return AGAIN


def _slug(name):
    """An arm's name as that of a folder."""
    return re.sub(r"[^\w.+-]+", "-", name)
