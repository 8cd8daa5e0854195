"""Integer labels: what a mask encodes, which pixels make an object, and objects as run lengths.

Labels are int32, 0 is the background. ``masks`` reads the encodings of a mask, ``objects`` numbers and separates
objects, ``run_lengths`` writes and reads them as the Data Science Bowl does.
"""

from unetbook.labels.masks import as_labels
from unetbook.labels.objects import connected, instances, relabel, separate
from unetbook.labels.run_lengths import rle_decode, rle_encode, rle_rows

__all__ = ["as_labels", "connected", "instances", "relabel", "rle_decode", "rle_encode", "rle_rows", "separate"]
