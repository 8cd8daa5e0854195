"""Measured runs by name. Each recipe is a small module: data, split, network, loss, schedule, scores, seeds.

A recipe module has these names, which ``recipes._run`` uses:

- ``NAME``, ``SUMMARY``, ``DATASET`` (a module of ``unetbook.datasets``), ``SEEDS``, ``SETTINGS`` (plain
  values that the result file repeats), ``QUICK`` (what a smoke run replaces in them), ``TARGET`` ({score:
  largest value});
- ``split() -> {part: [ids]}`` and ``ids(data)``, the ids that the data have;
- ``build(settings)``, ``optimizer(settings)``, ``batches(data, split, settings, seed)``: what ``fit`` needs;
- ``validate(model, data, split) -> {name: value}``, after each epoch;
- ``evaluate(model, data, split)`` and ``baselines(data, split)``: scores on the test images.
"""

import difflib
import importlib

_MODULES = {"isbi2012-unet": "isbi2012_unet"}


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(_MODULES)


def get(name: str):
    """The recipe's module. Raises ``ValueError`` with the known names, and the closest one, for an unknown name."""
    if name not in _MODULES:
        closest = difflib.get_close_matches(name, _MODULES, n=1, cutoff=0.4)
        hint = f"; did you mean {closest[0]!r}?" if closest else ""
        raise ValueError(f"there is no recipe {name!r}{hint} Known: {', '.join(names())}")
    return importlib.import_module(f"unetbook.recipes.{_MODULES[name]}")
