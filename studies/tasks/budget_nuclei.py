"""The annotation budget for nuclei: one kind of image of the Data Science Bowl, fluorescence of one size.

More than one microscope made them: median diameters run from 9 to 24 pixels, and some outlines are drawn wider.
"""

import functools

from studies.tasks import budget, nuclei

DATASET, FOLDS, KIND = nuclei.DATASET, False, "fluorescence, 256 x 256"
ids, validate, evaluate, answering, side = budget.ids, None, budget.evaluate, budget.answering, budget.side
load, split = nuclei.load, nuclei.split
learned = functools.partial(
    budget.learned, task="objects", image_and_labels=lambda one: (one.image[..., :1], one.nuclei)
)


def parts(data, split, settings, seed):
    """Pictures of the kind, drawn from what other studies learn from; the test images of the kind."""
    pool, test = ([id_ for id_ in split[part] if data[id_].kind == KIND] for part in ("train", "test"))
    return budget.drawn(pool, test, settings, seed)
