"""How answers on drawn pictures are scored: masks and their outlines, or objects counted."""

import hashlib

import numpy as np

from studies import training as arms
from unetbook import instances, labels, nets, scores

SMALLEST = 20  # pixels; what is smaller counts as no object
COUNTED = "true", "matched", "missed", "extra", "merged", "split"


def evaluate(model, data, parts, settings) -> dict:
    """Scores on the test pictures, as the setting ``scored`` says.

    ``"outline"``: Dice and boundary F of the mask. ``"mask"``: its Dice, and F of its components, pooled over all
    pictures. ``"errors"``: these, and objects merged, split, missed and extra for 100 true ones. ``"objects"``: the
    same of objects by the arm's ``way``, and the DSB score. ``"classes"``: IoU of each kind.
    """
    entry = SCORED[settings.scored](model, data.test, settings)
    if settings.get("start", "random") != "random":
        entry["encoder"] = hashlib.sha256(arms.encoder_file().read_bytes()).hexdigest()
    return entry


def probabilities(model, images) -> np.ndarray:
    """Probabilities (N, H, W, C) of whole images, one after the other; of several heads their mean."""
    return np.concatenate([nets.probabilities(model.predict_on_batch(image[None])) for image in images])


def _mask(model, images):
    """Masks (N, H, W): the last class, or the only one, where it is at least as probable as not."""
    return probabilities(model, images)[..., -1] >= 0.5


def _outline(model, test, settings):
    head = settings.get("head", "mean")
    model = model if head == "mean" else nets.prune(model, int(head[1:]))
    images, truth = test[0], test[1] > 0
    return of_outlines(truth, _mask(model, images), settings.boundary_tolerance)


def of_outlines(truth, predicted, tolerance) -> dict:
    """Dice and boundary F (within ``tolerance`` pixels) of masks (N, H, W), and their means."""
    rows = [
        {"image": number, "dice": scores.dice(t, p), "boundary_f": scores.boundary_f(t, p, tolerance)}
        for number, (t, p) in enumerate(zip(truth, predicted, strict=True))
    ]
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("dice", "boundary_f")}
    return {"scores": means, "tables": {"images": rows}}


def of_objects(truth, found, predicted, dsb=False, errors=True) -> dict:
    """Dice of masks, and F of the objects pooled over all pictures; errors for 100 true objects; all (N, H, W)."""
    rows = []
    for number, (t, f, p) in enumerate(zip(truth, found, predicted, strict=True)):
        one, wrong = scores.objects(t, f), scores.object_errors(t, f)
        counts = len(np.unique(t[t > 0])), one.matched, wrong.missed, wrong.extra, wrong.merged, wrong.split
        row = {"image": number, "dice": scores.dice(t > 0, p)}
        row |= {"unmatched": int(one.missed + one.extra), **dict(zip(COUNTED, map(int, counts), strict=True))}
        rows.append(row | ({"dsb": scores.dsb_score([t], [f])} if dsb else {}))
    total = {name: sum(row[name] for row in rows) for name in (*COUNTED, "unmatched")}
    either = 2 * total["matched"] + total["unmatched"]
    found_scores = {
        "dice": float(np.mean([row["dice"] for row in rows])),
        "f": 2 * total["matched"] / either if either else 1.0,
        **({"dsb": float(np.mean([row["dsb"] for row in rows]))} if dsb else {}),
        **({name: 100 * total[name] / total["true"] for name in scores.ObjectErrors._fields} if errors else {}),
    }
    return {"scores": found_scores, "tables": {"images": rows}}


def _components(model, test, settings):
    images, truth = test
    masks = _mask(model, images)
    found = [instances.without_small(labels.connected(mask), SMALLEST) for mask in masks]
    return of_objects(truth, found, masks, errors=settings.scored == "errors")


def _objects(model, test, settings):
    images, truth = test
    told = (
        np.concatenate([model.predict_on_batch(image[None]) for image in images])
        if settings.way == "distance"
        else probabilities(model, images)
    )
    found = [instances.from_probabilities(one, settings.way, smallest=SMALLEST) for one in told]
    return of_objects(truth, found, [one > 0 for one in found], dsb=True)


def _classes(model, test, settings):
    images, truth = test
    found = probabilities(model, np.repeat(images, 3, axis=-1)).argmax(-1)
    kinds = enumerate((name.removesuffix("s") for name in settings.pictures), start=1)
    return {"scores": {kind: scores.iou(truth == number, found == number) for number, kind in kinds}}


SCORED = {
    "outline": _outline,
    "mask": _components,
    "errors": _components,
    "objects": _objects,
    "classes": _classes,
}
