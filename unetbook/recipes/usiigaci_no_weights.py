"""``usiigaci-weights`` with every pixel alike. Chapter 18."""

from unetbook.recipes import _touching, _touching_scores, usiigaci_weights

NAME = "usiigaci-no-weights"
SUMMARY = "touching cells: gaps, and every pixel alike"
DATASET, LOSS, SEEDS = usiigaci_weights.DATASET, usiigaci_weights.LOSS, usiigaci_weights.SEEDS
SETTINGS = usiigaci_weights.SETTINGS | {"w0": 0}
QUICK, TARGET = usiigaci_weights.QUICK, usiigaci_weights.TARGET
PASSPORT = usiigaci_weights.PASSPORT

load, split, ids, build, optimizer, batches = _touching.PARTS
validate, evaluate, baselines = _touching_scores.PARTS
