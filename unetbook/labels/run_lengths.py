"""Run lengths as the Data Science Bowl 2018 writes them: "start length start length ...".

Pixels are counted from 1, down the first column, then down the next. A run may go on from the end of a column to the
start of the next one.
"""

import operator

import numpy as np

from unetbook import checks
from unetbook.labels.objects import numbered


def rle_encode(mask) -> str:
    """Write the pixels of one binary mask as run lengths, column by column from 1.

    mask: (H, W), boolean or 0 and 1; an empty mask gives an empty string. Raises ``ValueError`` for another shape or
    other values. ``rle_rows`` writes all objects of an image at once.
    """
    pixels = checks.binary(mask, axes=checks.IMAGE).ravel(order="F")
    fenced = np.concatenate([[False], pixels, [False]])  # so that each run has a start and an end
    changes = np.flatnonzero(fenced[1:] != fenced[:-1]) + 1
    starts, ends = changes[::2], changes[1::2]
    return " ".join(f"{start} {end - start}" for start, end in zip(starts, ends, strict=True))


def rle_rows(labels) -> list[str]:
    """Write each object of a label image as run lengths: the rows of a submission.

    labels: integers from 0 up, (H, W). Returns the strings in ascending order of the labels that occur, each equal to
    ``rle_encode(labels == k)``; none without objects. Raises ``ValueError`` for another shape, floats or negative
    labels.

    Why one pass suffices: a run of any object is a stretch of equal labels, so one difference over the flattened image
    finds the runs of all objects. A stable sort by label then gathers those of each object and keeps their order.
    """
    pixels = numbered(labels).ravel(order="F")
    if not pixels.any():
        return []
    starts = np.append(0, np.flatnonzero(pixels[1:] != pixels[:-1]) + 1)
    lengths = np.diff(starts, append=pixels.size)
    owners = pixels[starts]
    order = np.argsort(owners, kind="stable")
    order = order[np.count_nonzero(owners == 0) :]  # the background comes first, and has no row
    numbers = list(map(str, np.stack([starts + 1, lengths], axis=1)[order].ravel().tolist()))
    firsts = np.flatnonzero(np.diff(owners[order], prepend=0)).tolist()
    return [
        " ".join(numbers[2 * first : 2 * last]) for first, last in zip(firsts, [*firsts[1:], len(order)], strict=True)
    ]


def rle_decode(text, shape) -> np.ndarray:
    """Read the run lengths of one mask.

    text: "start length ...", as ``rle_encode`` writes it; empty for an empty mask. shape: (height, width). Returns a
    boolean mask (H, W). Raises ``ValueError`` for another shape and for runs that are not pairs of whole numbers from
    1 up, do not ascend, overlap, or leave the image.
    """
    height, width = _size(shape)
    pixels = np.zeros(height * width, bool)
    free = 0  # pixels before this one are taken, or left behind
    for start, length in _runs(text):
        first, last = start - 1, start - 1 + length
        if first < free:
            raise ValueError(
                f"the run '{start} {length}' begins before pixel {free + 1}, where the run before it ends: sort the "
                "runs by their start, and merge those that overlap"
            )
        if last > pixels.size:
            raise ValueError(
                f"the run '{start} {length}' ends at pixel {last}, but a mask of shape {(height, width)} has "
                f"{pixels.size}: shape is (height, width), and pixels count from 1"
            )
        pixels[first:last] = True
        free = last
    return np.ascontiguousarray(pixels.reshape((height, width), order="F"))


def _size(shape):
    try:
        height, width = map(operator.index, shape)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise ValueError(f"shape must be (height, width), two whole numbers from 1 up, not {shape!r}")
    return height, width


def _runs(text):
    """Pairs (start, length) of positive integers."""
    if not isinstance(text, str):
        raise ValueError(f"run lengths are a string, not {text!r}: pass '' for a mask without any pixel")
    words = text.split()
    wrong = [word for word in words if not word.isdecimal() or int(word) < 1]
    if wrong:
        raise ValueError(f"run lengths hold {wrong[0]!r}: starts and lengths are whole numbers, and both count from 1")
    if len(words) % 2:
        raise ValueError(
            f"run lengths are pairs of start and length, but there are {len(words)} numbers: one is missing"
        )
    numbers = list(map(int, words))
    return zip(numbers[::2], numbers[1::2], strict=True)
