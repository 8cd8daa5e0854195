"""Which pictures may be frames of one film: they belong in one part of a split."""

import itertools

import numpy as np
from scipy import fft

MARGIN = 1.2  # times the best agreement of any two pictures, one of them mirrored


def films(cells) -> list[int]:
    """A number for each label image (H, W) of one size, equal where two may be frames of one film.

    From frame to frame cells crawl a little, and a stage returns slightly off: the cells of two frames lie alike after
    some shift. How much cells agree by chance is told by pictures of which one is mirrored, for those cannot be frames
    of one film. Frames between which cells have crawled by more than about a third of their width are not found.
    """
    control = agreements(cells, [one[:, ::-1] for one in cells])
    by_chance, film = max(control.values(), default=0), list(range(len(cells)))
    for (one, other), agreement in agreements(cells, cells).items():
        if agreement > MARGIN * by_chance:
            film = [film[one] if number == film[other] else number for number in film]
    return film


def agreements(cells, others) -> dict[tuple[int, int], float]:
    """Correlation at the best shift of each two masks, at most 1: the one of ``cells``, the later of ``others``."""
    first, second = ([_spectrum(one > 0) for one in of] for of in (cells, others))
    shape = cells[0].shape
    return {
        (one, other): float(fft.irfft2(first[one] * second[other].conj(), shape).max())
        for one, other in itertools.combinations(range(len(cells)), 2)
    }


def _spectrum(mask):
    """Spectrum of a mask (H, W) that fades out to its edges, with mean 0 and sum of squares 1; of a flat one, 0."""
    faded = (mask - mask.mean(dtype=float)) * np.outer(*(np.hanning(side) for side in mask.shape))
    return fft.rfft2((faded / max(np.linalg.norm(faded), 1e-9)).astype(np.float32))
