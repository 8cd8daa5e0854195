"""What a finished segmentation is worth: per pixel, per object, along outlines, and for membranes.

NumPy arrays of whole images in, plain numbers out.

- per pixel: ``dice``, ``iou``, ``thresholded_jaccard``;
- per object: ``objects``, ``average_precision``, ``dsb_score``, ``object_errors``, ``seg``;
- along outlines: ``boundary_f``;
- electron microscopy: ``em_scores``, ``warping_error`` with its parts ``warp`` and ``is_simple``.
"""

from unetbook.scores.boundaries import boundary_f
from unetbook.scores.em import em_scores
from unetbook.scores.matching import (
    DSB_THRESHOLDS,
    ObjectErrors,
    ObjectScores,
    average_precision,
    dsb_score,
    object_errors,
    objects,
    seg,
)
from unetbook.scores.pixels import dice, iou, thresholded_jaccard
from unetbook.scores.warping import is_simple, warp, warping_error

__all__ = [
    "DSB_THRESHOLDS",
    "ObjectErrors",
    "ObjectScores",
    "average_precision",
    "boundary_f",
    "dice",
    "dsb_score",
    "em_scores",
    "iou",
    "is_simple",
    "object_errors",
    "objects",
    "seg",
    "thresholded_jaccard",
    "warp",
    "warping_error",
]
