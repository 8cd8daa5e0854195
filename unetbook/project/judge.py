"""How a network for a folder of pictures is read, judged and compared: chosen on validation, scored on test."""

import numpy as np
from skimage import filters, measure

from unetbook import instances, labels, normalize, resizing, scores
from unetbook.segmenter import Segmenter

THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))
FEW = (0.3, 0.5, 0.7)  # of these, after each epoch
FAR = (0.5, 1.0, 1.5, 2.0)  # pixels: thresholds of distances
PLAIN = {
    "gap": {"way": "regrow", "threshold": 0.5, "smallest": 0},
    "border": {"way": "border", "threshold": 0.5, "smallest": 0},
    "distance": {"way": "distance", "threshold": 0.5, "smallest": 0},
}
CHOSEN = {
    "gap": [{"way": "regrow"}, *({"way": "watershed", "depth": depth} for depth in (1.0, 2.0, 4.0))],
    "border": [{"way": "border", "smallest_seed": pixels} for pixels in (0, 12)],
    "distance": [{"way": "distance", "depth": depth} for depth in (1.0, 2.0, 3.0, 4.0)],
}
SMALLEST = (0.1, 0.05, 0.0, 0.2)  # of the median area
EQUAL = 0.01  # of a score: what few pictures cannot tell apart
BLURS = (1, 0, 2, 4)  # standard deviations in pixels, before Otsu's threshold
MOST, CROP = 12, 512  # validation pictures to choose on, and the most of their sides
DRAWS, LEVEL = 2000, (2.5, 97.5)


def entries(plan, names, found) -> dict:
    """The passport of a network that was trained by this plan, before anything is chosen."""
    facts = {
        "task": f"{found.task} in pictures of a folder",
        "channels": plan.channels,
        "classes": ["background", *names],
        "normalize": plan.normalize,
    }
    if plan.side:
        facts["side"] = plan.side
    elif plan.scale != 1:
        facts["scale"] = plan.scale
    if plan.target == "classes":
        return facts
    facts |= {"objects": True, "choices": PLAIN[plan.target], "median_diameter": round(found.diameter, 1)}
    return facts | ({"outputs": "values"} if plan.target == "distance" else {})


def after_an_epoch(segmenter, pictures) -> float:
    """F1 of objects at the best of a few thresholds, or the mean Dice of classes; one position."""
    known = _known(segmenter, pictures, once=True)
    way = segmenter.choices.way
    if way in ("classes", "one_piece"):
        return _mean_dice(segmenter, known, {})
    tried = FAR[:2] if way == "distance" else FEW
    return max(_pooled_f(segmenter, known, {"threshold": threshold}) for threshold in tried)


def chosen(segmenter, pictures, plan) -> Segmenter:
    """The segmenter with the choices that do best on these pictures; of those that do about as well, the plainest.

    One after the other: the threshold, the way, the smallest object.
    """
    known = _known(segmenter, pictures)
    if plan.target == "classes":
        if plan.outputs > 2:
            return segmenter  # the most probable class is taken
        single = all(labels.connected(one.labels > 0).max() <= 1 for one in pictures)
        ways = ("one_piece", "classes") if single and plan.side else ("classes",)
        offered = [{"way": way, "threshold": threshold} for way in ways for threshold in _from_the_middle(THRESHOLDS)]
        return segmenter.replace(**_plainest(offered, lambda one: _mean_dice(segmenter, known, one)))

    def best(offered):
        return _plainest(offered, lambda one: _pooled_f(segmenter, known, one))

    thresholds = FAR if plan.target == "distance" else _from_the_middle(THRESHOLDS)
    areas = np.concatenate([np.bincount(truth.ravel())[1:] for _, truth in known])
    median = float(np.median(areas[areas > 0])) if areas.any() else 0
    sizes = [{"smallest": round(share * median)} for share in SMALLEST]
    picked = best([PLAIN[plan.target] | sizes[0] | {"threshold": threshold} for threshold in thresholds])
    picked = best([picked | way for way in CHOSEN[plan.target]])
    picked = best([picked | {"threshold": threshold} for threshold in thresholds])
    return segmenter.replace(**best([picked | size for size in sizes]))


def _plainest(offered, score):
    """The first of those whose score is the best, or within ``EQUAL`` of it."""
    worth = [score(one) for one in offered]
    return next(one for one, reached in zip(offered, worth, strict=True) if reached >= max(worth) - EQUAL)


def _known(segmenter, pictures, once=False):
    """(maps, truth) of pictures at the size at which the network works, of large ones the middle."""
    pairs = []
    for one in pictures[:MOST]:
        maps = segmenter.maps(one.image, once=once)
        truth = resizing.stretched_labels(one.labels, *maps.shape[:2])
        pairs.append((central(maps, CROP), central(truth, CROP)))
    return pairs


def central(plane, longest):
    """The middle of an array (H, W, ...), at most ``longest`` a side."""
    height, width = (min(side, longest) for side in plane.shape[:2])
    top, left = ((side - part) // 2 for side, part in zip(plane.shape[:2], (height, width), strict=True))
    return plane[top : top + height, left : left + width]


def _from_the_middle(values):
    return sorted(values, key=lambda value: abs(value - 0.5))


def _pooled_f(segmenter, known, picked):
    return pooled_f([scores.objects(truth, segmenter.labels(maps, truth.shape, **picked)) for maps, truth in known])


def pooled_f(counts) -> float:
    """F1 of objects that were counted picture by picture."""
    matched = sum(one.matched for one in counts)
    return 2 * matched / max(sum(2 * one.matched + one.missed + one.extra for one in counts), 1)


def _mean_dice(segmenter, known, picked):
    return float(np.mean([_dice(truth, segmenter.labels(maps, truth.shape, **picked)) for maps, truth in known]))


def _dice(truth, found):
    """Mean over the classes that are in either; 1 where there is none."""
    there = sorted({*np.unique(truth), *np.unique(found)} - {0})
    return float(np.mean([scores.dice(truth == number, found == number) for number in there])) if there else 1.0


def scored(answers, pictures, task) -> list[dict]:
    """One row a picture: of objects F1 at IoU 0.5, of both Dice; count and area, true and found, in pixels."""
    rows = []
    for found, one in zip(answers, pictures, strict=True):
        row = {"picture": one.id, "group": one.group}
        if task == "objects":
            counted = scores.objects(one.labels, found)
            row |= {"f1": counted.f, **{name: getattr(counted, name) for name in ("matched", "missed", "extra")}}
            row |= {name: getattr(scores.object_errors(one.labels, found), name) for name in ("merged", "split")}
            row["dice"] = scores.dice(one.labels > 0, found > 0)
            row |= {"true_count": counted.matched + counted.missed, "found_count": counted.matched + counted.extra}
        else:
            row["dice"] = _dice(one.labels, found)
        rows.append(row | {"true_area": int((one.labels > 0).sum()), "found_area": int((found > 0).sum())})
    return rows


def together(rows, task, seed=0) -> dict[str, dict]:
    """{score: {mean, low, high}} over pictures, with the 95 % interval of a bootstrap over groups, if there are two.

    F1 is pooled over all objects; errors in count and area are those of the pictures, |found - true| / true, averaged
    over those that have something.
    """
    names = ("f1", "dice", "count_error", "area_error") if task == "objects" else ("dice", "area_error")
    groups = list(dict.fromkeys(row["group"] for row in rows))
    members = {group: [row for row in rows if row["group"] == group] for group in groups}
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(DRAWS if len(groups) > 1 else 0):
        drawn.append([row for pick in rng.integers(len(groups), size=len(groups)) for row in members[groups[pick]]])
    result = {}
    for name in names:
        low, high = np.nanpercentile([_summary(some, name) for some in drawn], LEVEL) if drawn else (None, None)
        result[name] = {"mean": _summary(rows, name), "low": low, "high": high}
    return {
        name: {end: None if value is None else float(value) for end, value in of.items()} for name, of in result.items()
    }


def _summary(rows, name):
    if name == "f1":
        total = sum(2 * row["matched"] + row["missed"] + row["extra"] for row in rows)
        return 2 * sum(row["matched"] for row in rows) / max(total, 1)
    if name == "dice":
        return float(np.mean([row["dice"] for row in rows]))
    kind = name.removesuffix("_error")
    off = [abs(row[f"found_{kind}"] - row[f"true_{kind}"]) / row[f"true_{kind}"] for row in rows if row[f"true_{kind}"]]
    return float(np.mean(off)) if off else 0.0


def without_a_network(pictures, known, found) -> dict[str, list]:
    """Answers {name: [labels]} to ``pictures`` without a network.

    Otsu's threshold of the gray values, or of the local contrast, blurred; its objects by a watershed. What is
    thresholded and blurred, the depth and the smallest size, one after the other, do best on the pictures ``known``.
    For the task of classes what is above the threshold is class 1.
    """
    seen = [(central(one.image, CROP), central(one.labels, CROP)) for one in known[:MOST]]
    around = max(2.0, found.diameter / 2)
    signals = [("gray", blur) for blur in BLURS] + [("contrast", max(1.0, share * around)) for share in (0.1, 0.25)]

    def mask(image, kind, blur):
        return _otsu(image, kind, blur, around, found)

    if found.task == "classes":

        def dice(signal):
            return np.mean([_dice(truth, mask(image, *signal).astype(np.int32)) for image, truth in seen])

        best_signal = max(signals, key=dice)
        return {"Otsu's threshold": [mask(one.image, *best_signal).astype(np.int32) for one in pictures]}
    areas = np.concatenate([np.bincount(truth.ravel())[1:] for _, truth in seen])
    median = float(np.median(areas[areas > 0])) if areas.any() else 1

    def answer(image, signal, depth, share):
        inside = mask(image, *signal).astype(np.float32)
        return instances.from_probabilities(inside, "watershed", depth=depth, smallest=round(share * median))

    def best(offered):
        return max(offered, key=lambda one: pooled_f([scores.objects(t, answer(image, *one)) for image, t in seen]))

    picked = best([(signal, 2.0, 0.1) for signal in signals])
    picked = best([(picked[0], depth, 0.1) for depth in (2.0, 1.0, 4.0, 8.0)])
    picked = best([(*picked[:2], share) for share in (0.1, 0.0, 0.3)])
    return {"Otsu's threshold and a watershed": [answer(one.image, *picked) for one in pictures]}


def _otsu(image, kind, blur, around, found):
    """The mask above Otsu's threshold, or below it where objects are darker and no rule tells of which picture."""
    brighter = found.brighter > 0.5
    if kind == "gray" and found.agree > max(found.brighter, 1 - found.brighter):
        gray, brighter = normalize.bright_on_dark(image).mean(axis=2), True
    else:
        gray = normalize.stretched(image).mean(axis=2)
    if kind == "contrast":
        gray, brighter = np.abs(gray - filters.gaussian(gray, around)), True
    gray = filters.gaussian(gray, blur) if blur else gray
    if gray.min() == gray.max():
        return np.zeros(gray.shape, bool)
    cut = filters.threshold_otsu(gray)
    return gray > cut if brighter else gray <= cut


def unsure(segmenter, maps) -> float:
    """How unsure a network is of a picture by its maps: pixels near the threshold for each pixel of outline.

    Near is within 0.3 of a probability, or half a pixel of a distance; 0 where nothing is found.
    """
    distances = segmenter.passport.get("outputs") == "values"
    inside = maps[..., 0] if distances or maps.shape[2] == 1 else 1 - maps[..., 0]
    cut = segmenter.choices.threshold or 0.5  # of several classes the most probable one is taken
    near = np.abs(inside - cut) < (0.5 if distances else 0.3)
    around = max(int(measure.perimeter(inside >= cut)), 1)  # what is large has more pixels along its outline
    return float(near.sum() / around) if (inside >= cut).any() else 0.0
