"""``usiigaci-weights`` with a border class in place of gaps and weights, every pixel alike. Chapter 18."""

from unetbook.recipes import _touching, _touching_scores, usiigaci_weights

NAME = "usiigaci-border"
SUMMARY = "touching cells: a class for their border"
DATASET, LOSS, SEEDS = usiigaci_weights.DATASET, usiigaci_weights.LOSS, (0, 1, 2)
SETTINGS = usiigaci_weights.SETTINGS | {"way": "border", "classes": 3, "w0": 0, "border_weight": 1}
QUICK, TARGET = usiigaci_weights.QUICK, usiigaci_weights.TARGET
PASSPORT = usiigaci_weights.PASSPORT | {"classes": ["background", "interior", "border"]}

load, split, ids, build, optimizer, batches = _touching.PARTS
validate, evaluate, baselines = _touching_scores.PARTS
