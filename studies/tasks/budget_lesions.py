"""The annotation budget for skin lesions (ISIC 2017)."""

import functools

from studies.tasks import budget, lesions

DATASET, FOLDS = lesions.DATASET, False
ids, validate, evaluate, answering, side = budget.ids, None, budget.evaluate, budget.answering, budget.side
load, split = lesions.load, lesions.split
learned = functools.partial(budget.learned, task="classes", image_and_labels=lambda one: (one.image, one.lesion))


def parts(data, split, settings, seed):
    """Pictures drawn from all parts but the first, which is the test."""
    test, *others = split.values()
    return budget.drawn([id_ for part in others for id_ in part], test, settings, seed)
