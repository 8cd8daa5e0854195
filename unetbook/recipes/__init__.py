"""Measured runs by name. Each recipe is a small module: data, split, network, loss, schedule, scores, seeds.

The recipe ``a-b`` is the module ``a_b`` of this folder; modules that begin with an underscore are none.

A recipe on real data has these names, which ``recipes._run`` uses:

- ``NAME``, ``SUMMARY``, ``DATASET`` (a module of ``unetbook.datasets``), ``SEEDS``, ``SETTINGS`` (plain
  values that the result file repeats), ``QUICK`` (what a smoke run replaces in them), ``TARGET`` ({score:
  largest value}), and where larger is better ``LEAST`` ({score: smallest value});
- ``load(root)``, where it is not the data set's own; ``split(data) -> {part: [ids]}`` and ``ids(data)``, the ids that
  the data have; ``fold(split, seed)`` where each seed is a fold with a train, validation and test part of its own;
- ``build(settings)``, ``optimizer(settings)``, ``batches(data, split, settings, seed)``, and ``LOSS`` where it is not
  the usual one: what ``fit`` needs; ``KEPT = False`` where no weights are to be kept;
- ``validate(model, data, split) -> {name: value}``, after each epoch, with a ``val_loss``;
- ``evaluate(model, data, split)`` and ``baselines(data, split)``: scores on the test images.

A lab compares choices on synthetic pictures and has these, which ``recipes._lab`` uses:

- ``NAME`` (``lab-...``), ``SUMMARY``, ``SEEDS``, ``SETTINGS`` and ``QUICK`` as above, ``ARMS`` ({name: plain options}),
  and ``PAIRS`` ([(arm, arm)], the differences that are reported);
- ``data(settings, seed)``: what all arms of a seed share;
- ``measure(data, options, settings, seed) -> {"scores": {name: value}, ...}``: train one arm and score it;
- ``PASSPORT`` where ``measure`` also returns a ``"model"``, which is then kept in ``<out>/weights/NAME.keras``.
"""

import difflib
import importlib
import json
import statistics
from pathlib import Path

from scipy import stats

from unetbook import results


def result(name: str) -> dict:
    """What the recipe ``name`` measured. Raises ``FileNotFoundError`` with the command that makes it."""
    path = results.folder() / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run it first, python -m unetbook run {name}")
    return json.loads(path.read_text(encoding="utf-8"))


def names() -> list[str]:
    """The names of all recipes, sorted."""
    modules = (file.stem for file in Path(__file__).parent.glob("[!_]*.py"))
    return sorted(module.replace("_", "-") for module in modules)


def get(name: str):
    """The recipe's module. Raises ``ValueError`` with the known names, and the closest one, for an unknown name."""
    if name not in names():
        closest = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        hint = f"; did you mean {closest[0]!r}?" if closest else ""
        raise ValueError(f"there is no recipe {name!r}{hint} Known: {', '.join(names())}")
    return importlib.import_module(f"unetbook.recipes.{name.replace('-', '_')}")


def paired_difference(one, other) -> dict:
    """Mean of ``one - other`` over pairs of numbers, with the 95 % interval of Student's t.

    Both lists are equally long. Returns mean, low, high and the number of pairs; with one pair there is no interval,
    and low and high are ``None``. Chapter 07.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    if count < 2:
        return {"mean": mean, "low": None, "high": None, "pairs": count}
    half = float(stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / count**0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "pairs": count}


def interval_text(row, digits=3) -> str:
    """A paired difference as text: mean (low to high), with a sign. Chapter 03."""
    mean, *ends = (row[name] if row[name] is None else f"{row[name]:+.{digits}f}" for name in ("mean", "low", "high"))
    return f"{mean} (no interval)" if None in ends else f"{mean} ({ends[0]} to {ends[1]})"


def leaves_out_zero(row) -> bool:
    """Whether the 95 % interval of a paired difference lies on one side of 0. Without an interval it does not."""
    return row["low"] is not None and row["low"] * row["high"] > 0
