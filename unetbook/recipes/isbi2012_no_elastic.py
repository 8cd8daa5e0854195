"""``isbi2012-paper`` without elastic deformation; all else is the same. Chapter 15."""

from unetbook.recipes import isbi2012_paper

NAME = "isbi2012-no-elastic"
SUMMARY = "EM membranes as in the paper, but without elastic deformation"
DATASET, LOSS, SEEDS = isbi2012_paper.DATASET, isbi2012_paper.LOSS, isbi2012_paper.SEEDS
SETTINGS = isbi2012_paper.SETTINGS | {"elastic": 0}
QUICK, TARGET, PASSPORT = isbi2012_paper.QUICK, isbi2012_paper.TARGET, isbi2012_paper.PASSPORT
KEPT = False  # the weights that are kept are those of isbi2012-paper

split, ids, build = isbi2012_paper.split, isbi2012_paper.ids, isbi2012_paper.build
optimizer, batches = isbi2012_paper.optimizer, isbi2012_paper.batches
validate, evaluate, baselines = isbi2012_paper.validate, isbi2012_paper.evaluate, isbi2012_paper.baselines
