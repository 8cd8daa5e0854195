"""Which pictures show one place of a dish: they belong in one part of a split. Chapter 18."""

import itertools

import numpy as np
from scipy import fft

SAME_PLACE = 40  # standard deviations of the phase correlation of two pictures; with one mirrored it reaches 22 at most


def places(images) -> list[int]:
    """A number for each picture, equal where two show one place: the numbers of the sets tell no order in time.

    Cells crawl on and a stage returns slightly off; what stays are details of the dish. Phase correlation finds them
    at any shift: the cross-correlation of two pictures with every frequency made equally strong, which peaks sharply at
    the shift by which they agree. Chapter 18.
    """
    spectra, place = [_phases(image[..., 0]) for image in images], list(range(len(images)))
    for one, other in itertools.combinations(range(len(images)), 2):
        agreement = fft.irfft2(spectra[one] * spectra[other].conj(), images[0].shape[:2])
        if agreement.max() > SAME_PLACE * agreement.std():
            place = [place[one] if number == place[other] else number for number in place]
    return place


def _phases(image):
    """Spectrum of a picture (H, W) that fades out to its edges; each frequency has length 1, or 0 if it is absent."""
    faded = (image - image.mean()) * np.outer(*(np.hanning(side) for side in image.shape))
    spectrum = fft.rfft2(faded.astype(np.float32))
    length = np.abs(spectrum)
    return np.where(length > 1e-6 * length.max(), spectrum / np.maximum(length, 1e-30), 0).astype(np.complex64)
