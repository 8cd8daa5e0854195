"""From probability to objects: five ways to turn the prediction of a network into numbered objects.

Each way takes the prediction of one image and returns int32 labels (H, W) in which every object is one 4-connected
component, 1 to n, on 0 = background. Three need a target of their own in training: ``labels.separate(labels) > 0`` for
``regrow``, ``border_target`` for ``border``, ``distance_target`` for ``distance``. A way called by its own name takes
and returns what ``from_probabilities`` does, with the same errors.
"""

import cv2
import numpy as np
from scipy import ndimage
from skimage import morphology, segmentation

from unetbook import checks, labels

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))  # a pixel and its 4 neighbors
SWEEPS = 200  # further than a level goes in an object; a serpentine needs as many as it is long


def from_probabilities(prediction, way="components", threshold=0.5, smallest=0, **options) -> np.ndarray:
    """Turn the prediction of one image into objects, by any way: the same call for each.

    prediction: floats of one image; probabilities, as ``nets.probabilities`` makes them of logits, or a distance map.
    way, with the prediction it reads and the options that it takes beside ``threshold``:

    - ``"components"``: foreground (H, W), (H, W, 1), or soft-max (H, W, 2) with the background first.
    - ``"watershed"``: the same; ``depth``, 1 px.
    - ``"border"``: soft-max (H, W, 3) of background, interior, border; ``core``, ``None``, and ``smallest_seed``, 0.
    - ``"regrow"``: foreground of a network that learned objects with a gap between them; ``grow``, 1 px, ``core``,
      ``None``, and ``smallest_seed``, 0.
    - ``"distance"``: distances (H, W) or (H, W, 1) in pixels, as the network returns them; ``depth``, 2 px, below
      which nothing is an object: of probabilities, at most 1, none is left.

    threshold: the least value of an object's pixel, a probability, for a distance pixels. smallest: objects of fewer
    pixels become background. Returns int32 (H, W), all 0 where there is no object. Raises ``ValueError`` for an
    unknown way, another shape, NaN, integers, values outside [0, 1] (distances excepted), a soft-max that does not sum
    to 1; ``TypeError`` for an option that the way does not have.
    """
    if way not in WAYS:
        raise ValueError(f"way must be one of {', '.join(WAYS)}, not {way!r}")
    checks.whole(smallest, "smallest", 0, "0 keeps every object", unit="pixels")
    return without_small(WAYS[way](prediction, threshold, **options), smallest)


def without_small(objects, smallest) -> np.ndarray:
    """Make objects of fewer than ``smallest`` pixels background and close the numbering: int32 (H, W)."""
    kept = np.bincount(objects.ravel()) >= smallest
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.int32)[objects]


def one_piece(probability, threshold=0.5) -> np.ndarray:
    """The foreground where it is known to be one object without holes, such as a lesion: boolean (H, W).

    probability: floats (H, W) in [0, 1]. Of the 4-connected components that reach the threshold, the one with the
    largest sum of probability, its holes filled; all ``False`` where nothing does. Errors as in ``from_probabilities``.
    """
    pieces = components(probability, threshold)
    if not pieces.any():
        return pieces > 0
    weight = np.bincount(pieces.ravel(), np.asarray(probability, float).ravel())
    weight[0] = 0
    return ndimage.binary_fill_holes(pieces == weight.argmax())


def components(prediction, threshold=0.5) -> np.ndarray:
    """The 4-connected components of the foreground: objects that touch become one."""
    return labels.connected(_foreground(prediction, threshold))


def watershed(prediction, threshold=0.5, depth=1.0) -> np.ndarray:
    """Cut the foreground at its necks: a watershed on the distance to the background.

    The shape alone decides: round objects that overlap a little come apart, a waist in one object cuts it too. What
    ``depth`` means, ``distance`` says; with 1 px each component keeps at least one object.
    """
    mask = _foreground(prediction, threshold)
    return _flood(_depths(mask), mask, depth)


def border(prediction, threshold=0.5, core=None, smallest_seed=0) -> np.ndarray:
    """Objects from three classes, background, interior and border, which ``border_target`` makes.

    Seeds are the components of the pixels where interior is the most probable class, or, with ``core``, where its
    probability is at least that; they grow through the foreground, interior and border together, and meet where border
    is most probable. Foreground without a seed is dropped. smallest_seed: fewer pixels of interior, such as the waist
    of a thin object leaves between two widths of border, are no seed.
    """
    classes = _probabilities(prediction, (3,))
    mask = _reaches(classes[..., 1] + classes[..., 2], threshold)
    inside = classes.argmax(axis=-1) == 1 if core is None else _reaches(classes[..., 1], core)
    return segmentation.watershed(classes[..., 2], _seeds(inside & mask, smallest_seed), mask=mask)


def regrow(prediction, threshold=0.5, grow=1, core=None, smallest_seed=0) -> np.ndarray:
    """Objects that were learned with a gap between them (``labels.separate``): components, grown back into the gap.

    A morphological closing tells what is gap: it fills what is at most 2 ``grow`` pixels wide and leaves other
    outlines where they are. The gap of ``labels.separate`` is two pixels wide, so ``grow=1`` undoes it; background as
    narrow between objects that never touched is filled too. Each object takes the pixels that it reaches first.
    With ``core`` two thresholds part what one does at once: objects are seeded by components of pixels of at least
    ``core``, reach as far as ``threshold`` says, and meet where the probability is least; what has no seed is dropped.
    smallest_seed: components of fewer pixels are no seed.
    """
    checks.whole(grow, "grow", 1, "'components' grows none", unit="pixels")
    probability = _probabilities(prediction, (1, 2))[..., -1]
    mask = _reaches(probability, threshold)
    padded = np.pad(mask, grow, mode="edge").astype(np.uint8)  # a gap goes on beyond the image
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _CROSS, iterations=int(grow))[grow:-grow, grow:-grow]
    sure = mask if core is None else mask & _reaches(probability, core)
    landscape = np.zeros(mask.shape, np.uint8) if core is None else -probability
    return segmentation.watershed(landscape, _seeds(sure, smallest_seed), mask=closed > 0)


def distance(prediction, threshold=0.5, depth=2.0) -> np.ndarray:
    """Objects from a predicted distance map, which ``distance_target`` makes: a watershed whose hills are objects.

    The outermost pixels of an object are at distance 1 and the background at 0, hence the ``threshold`` of half a
    pixel. A hill is an object where it is at least ``depth`` pixels high and rises by more than ``depth`` above every
    pass to a higher one (an h-maximum): less depth splits more. What is flatter than ``depth`` is dropped.
    """
    distances = _channels(prediction, (1,))[..., 0]
    return _flood(distances, _reaches(distances, threshold, most=np.inf), depth)


WAYS = {way.__name__: way for way in (components, watershed, border, regrow, distance)}


def border_target(objects) -> np.ndarray:
    """Classes to train the way ``border`` (Caicedo et al. 2019, Cytometry A): 0 background, 1 interior, 2 border.

    Border are the pixels of an object with a 4-neighbor outside of it, background or another object: a line one pixel
    wide along the background, two where objects touch. The edge of the image makes no border. objects: integer labels
    (H, W). Returns int32 (H, W). Raises ``ValueError`` for other labels.
    """
    objects = _relabeled(objects)
    padded = np.pad(objects, 1, mode="edge")
    neighbors = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    outline = np.any([neighbor != objects for neighbor in neighbors], axis=0)
    return np.where(objects == 0, 0, np.where(outline, 2, 1)).astype(np.int32)


def distance_target(objects) -> np.ndarray:
    """The map for training the way ``distance``: how far each pixel is from the outside of its own object, in pixels.

    From the pixel's center to that of the nearest pixel outside of its object, be it background, another object or
    beyond the image: at least 1 in an object, 0 in the background. Objects that touch have a valley between them, which
    the distance to the background alone has not. Pieces of one label count as objects. objects: integer labels (H, W).
    Returns float32 (H, W). Raises ``ValueError`` for other labels.
    """
    objects = _relabeled(objects)
    target = np.zeros(objects.shape, np.float32)
    for number, box in enumerate(ndimage.find_objects(objects), start=1):
        inside = objects[box] == number
        target[box][inside] = _depths(inside)[inside]
    return target


def _seeds(mask, smallest_seed):
    """4-connected components of at least that many pixels."""
    checks.whole(smallest_seed, "smallest_seed", 0, "0 keeps every seed", unit="pixels")
    seeds = labels.connected(mask)
    return without_small(seeds, smallest_seed) if smallest_seed else seeds


def _relabeled(objects):
    """Pieces numbered 1 to n; ``ValueError`` also for an image without pixels."""
    objects = labels.relabel(objects)
    checks.shaped(objects, checks.IMAGE, "labels")
    return objects


def _flood(landscape, mask, depth):
    """Split the mask by a watershed from the landscape's h-maxima, h = depth; each becomes an object."""
    checks.amount(depth, "depth", unit="pixels", positive=True)
    landscape = np.where(mask, landscape, -np.inf).astype(np.float32)
    lowered = _reconstruct(landscape - np.float32(depth), landscape)  # hills that rise by depth or less are now flat
    tops = lowered > _reconstruct(lowered - np.float32(1e-3), lowered)
    return segmentation.watershed(-landscape, labels.connected(tops & (lowered >= 0)), mask=mask)


def _reconstruct(level, landscape):
    """Grayscale reconstruction: each pixel rises to its highest neighbor, never above the landscape, until at rest.

    A sweep takes each level one pixel further, and objects need few. Where it has a long way, as along a winding
    corridor, scikit-image takes over, which is slower for objects and does not mind the way.
    """
    for _ in range(SWEEPS):
        higher = np.minimum(cv2.dilate(level, _CROSS), landscape)
        if np.array_equal(higher, level):
            return level
        level = higher
    return morphology.reconstruction(level, landscape, footprint=_CROSS)


def _depths(mask):
    """The distance of each pixel to the nearest one outside of the mask; what lies beyond the array is outside."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def _foreground(prediction, threshold):
    return _reaches(_probabilities(prediction, (1, 2))[..., -1], threshold)


def _reaches(values, threshold, most=1):
    return values >= checks.threshold(threshold, most)


def _probabilities(prediction, channels):
    values = _channels(prediction, channels)
    fix = "use nets.probabilities on logits, which makes them lie in [0, 1]"
    checks.unit_range(values, "probabilities", fix, 1e-4)  # rounding, as blurring or averaging leaves it, is no harm
    if values.shape[2] > 1 and np.abs(values.sum(axis=2) - 1).max() > 0.01:
        raise ValueError("the classes must sum to 1 in each pixel: use nets.probabilities on logits")
    return values


def _channels(prediction, channels):
    """The prediction as float32 (H, W, channels), finite, with a number of channels that the way reads."""
    values = np.asarray(prediction)
    fix = "use nets.probabilities on logits; the objects of a mask are labels.connected(mask)"
    checks.floats(values, "the prediction", fix, ValueError)
    shape, values = values.shape, values[..., None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[2] not in channels or not values.size:
        raise ValueError(
            f"this way reads one image (H, W, channels) with {' or '.join(map(str, channels))} channels, not {shape}: "
            "three classes go to way 'border', other ways read one or two; call it image by image"
        )
    checks.finite(values, "the prediction", "look for the first layer or input that has them")
    return values.astype(np.float32)
