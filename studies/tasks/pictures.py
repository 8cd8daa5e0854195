"""Pictures as their files have them, and objects counted in one picture and in many."""

import numpy as np

from unetbook import scores


def raw(image) -> np.ndarray:
    """A picture (H, W, C) in [0, 1] as integers: uint8 where these are its values, otherwise the nearest uint16.

    So a study gives ``Segmenter`` what ``predict`` gives it.
    """
    for dtype in (np.uint8, np.uint16):
        most = np.float32(np.iinfo(dtype).max)
        values = np.round(image * most).astype(dtype)
        if np.array_equal(values / most, image):
            return values
    return values


def of_image(truth, found, name) -> dict:
    """Scores, floats, and counts, ints, of one image's labels (H, W); the true objects are counted under ``name``.

    ``dsb`` is the challenge's score, ``iou`` that of the foreground; ``found`` and ``matched`` count objects, matched
    at IoU 0.5; ``merged``, ``split``, ``missed`` and ``extra`` are those of ``scores.object_errors``.
    """
    at_half = scores.objects(truth, found)
    return {
        "dsb": scores.dsb_score([truth], [found]),
        "iou": scores.iou(truth > 0, found > 0),
        name: int(at_half.matched + at_half.missed),
        "found": int(at_half.matched + at_half.extra),
        "matched": int(at_half.matched),
        **scores.object_errors(truth, found)._asdict(),
    }


def together(rows, name) -> dict:
    """Means of DSB score and IoU over images; over all objects F = 2 matched / (true + found), errors for 100 true."""
    rows = list(rows)
    total = {key: sum(row[key] for row in rows) for key in (name, "found", "matched", *scores.ObjectErrors._fields)}
    both = total[name] + total["found"]
    return {
        "dsb": float(np.mean([row["dsb"] for row in rows])),
        "f": 2 * total["matched"] / both if both else 1.0,
        "iou": float(np.mean([row["iou"] for row in rows])),
        **{error: 100 * total[error] / max(total[name], 1) for error in scores.ObjectErrors._fields},
    }
