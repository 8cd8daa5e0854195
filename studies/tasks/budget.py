"""How many pictures to annotate: ``python -m unetbook train`` as a reader gets it, on few pictures of three tasks.

A seed is a draw of pictures; those of 5 are among those of 10. A quarter of them is what choices are made on, as in a
training on a folder, and the test pictures are fixed. The three modules beside this one name the data.
"""

import dataclasses
from types import SimpleNamespace

import numpy as np

from studies.provenance import provenance
from studies.tasks import usual
from unetbook import normalize, segmenter
from unetbook.project import found as finding
from unetbook.project import learn, run
from unetbook.project import plan as planning

VALIDATION = 0.25  # share of the annotated pictures
ids = usual.ids


def drawn(pool, test, settings, seed) -> dict[str, list]:
    """Train, validation and test: ids drawn from the pool, the first of an order that the seed alone tells."""
    order = np.random.default_rng(seed).permutation(sorted(pool)).tolist()[: settings.annotated]
    if len(order) < settings.annotated:
        raise ValueError(f"{settings.annotated} pictures are to be drawn, and there are {len(order)}")
    kept = max(1, int(VALIDATION * len(order)))
    return {"train": sorted(order[kept:]), "validation": sorted(order[:kept]), "test": sorted(test)}


def learned(data, parts, settings, seed, folder, bar, task, image_and_labels):
    """What is known of the training, and the network with its answers: by the rules of a training on a folder.

    image_and_labels: a function of one of the data that gives these. bar: of the study.
    """

    def picture(id_):
        image, labels = image_and_labels(data[id_])
        return finding.Picture(id_, normalize.as_floats(image), labels.astype(np.int32), id_)

    pictures = {part: [picture(id_) for id_ in of] for part, of in parts.items()}
    found = finding.described(pictures["train"] + pictures["validation"], task)
    plan, rows = planning.made(found)
    name, given = settings.weights_of, None
    if name:
        given = segmenter.load(name)
        plan, rows = planning.started(plan, rows, given, name)
    plan = dataclasses.replace(plan, **settings.options(("filters", "depth")))
    facts = {"plan": dataclasses.asdict(plan), "parts": parts, "seed": seed, "start": name}
    state = learn.begun(folder, facts)
    state |= {"steps": settings.steps * settings.epochs, "each": settings.steps}
    state.setdefault("came_from", provenance())

    def shared(steps, unit, iterable=None):
        return _Shared(bar) if iterable is None else iterable

    judged = run.trained(pictures, plan, state, folder, found, minutes=0, seed=seed, start=given, bar=shared)
    known = {
        "curves": {"loss": state["loss"], "val_score": state["score"]},
        "seconds": state["seconds"],
        "precision": state["precision"],
        "came_from": state["came_from"],
        "continued": [],
    }
    model = judged.segmenter.model
    return known, SimpleNamespace(judged=judged, plan=plan, model=model, trainable_weights=model.trainable_weights)


class _Shared:
    """The bar of the study in place of one of the training's own."""

    def __init__(self, bar):
        self.bar, self.update = bar, bar.update

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def set_postfix(self, **shown):
        """Show loss and score behind the bar."""
        self.bar.set_postfix(**shown)


def evaluate(network, data, parts, settings) -> dict:
    """Scores of the test pictures; beside them those of Otsu's threshold, set up on the same annotated pictures."""
    judged = network.judged
    (name, scores), *_ = judged.baselines.items()
    plain = {score: of["mean"] for score, of in scores.items()}
    choices = judged.segmenter.choices
    chosen = {"target": network.plan.target, "normalize": network.plan.normalize, "scale": network.plan.scale}
    rows = [{"image": row.pop("picture")} | row for row in map(dict, judged.rows)]
    for row in rows:
        del row["group"]
    return {
        "scores": {score: of["mean"] for score, of in judged.scores.items()},
        "choices": {"way": choices.way, **choices.given()},
        "plan": chosen | ({"side": network.plan.side} if network.plan.side else {}),
        "otsu": {"scores": plain, "name": name},
        "tables": {"images": rows},
    }


def answering(network, settings):
    """The whole network."""
    return network.model


def side(settings) -> int:
    """Pixels of the picture for which multiply-adds are counted."""
    return 256
