"""``usiigaci-border`` with ten times the weight for pixels of the border class. Chapter 18.

As Caicedo and others (2019, Cytometry A 95) weighted it for nuclei.
"""

from unetbook.recipes import _touching, _touching_scores, usiigaci_border

NAME = "usiigaci-border-weights"
SUMMARY = "touching cells: a class for their border, weighted ten times"
DATASET, LOSS, SEEDS = usiigaci_border.DATASET, usiigaci_border.LOSS, usiigaci_border.SEEDS
SETTINGS = usiigaci_border.SETTINGS | {"border_weight": 10}
QUICK, TARGET = usiigaci_border.QUICK, usiigaci_border.TARGET
PASSPORT = usiigaci_border.PASSPORT

load, split, ids, build, optimizer, batches = _touching.PARTS
validate, evaluate, baselines = _touching_scores.PARTS
