"""The annotation budget for cells that touch, in phase contrast (Usiigaci), at the pictures' own size."""

import functools

from studies.tasks import budget, touching

DATASET, FOLDS = touching.DATASET, False
ids, validate, evaluate, answering, side = budget.ids, None, budget.evaluate, budget.answering, budget.side
load, split = touching.load, touching.split
learned = functools.partial(budget.learned, task="objects", image_and_labels=lambda one: (one.image, one.truth))


def parts(data, split, settings, seed):
    """Pictures drawn from what other studies learn from and choose on; the test pictures."""
    return budget.drawn(split["train"] + split["validation"], split["test"], settings, seed)
