"""One random draw for image, labels and weights: flips, rotation, shift, zoom, elastic deformation, gray values.

Geometric changes are written as coordinates: for each pixel of the result, the place of the input that it shows. Places
add up and turn, so that any number of changes becomes one map, and the image is interpolated once. Images are
interpolated bicubically: bilinear interpolation takes a tenth to a third of the fine contrast away, which images at
test time still have. Labels and weights are never interpolated: a pixel takes both from the nearest pixel of the input.
Beyond its borders the input is continued by its mirror image, where an object may appear a second time under its
number.
"""

from unetbook.augment.augmenter import Augmenter
from unetbook.augment.deformation import displacement, elastic
from unetbook.augment.turning import turn_and_shade

__all__ = ["Augmenter", "displacement", "elastic", "turn_and_shade"]
