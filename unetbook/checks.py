"""What every room refuses alike: shapes, dtypes, NaN, ranges, masks and labels. An error tells the value and the fix.

All rooms may import this one, and it imports none of them. ``name`` is what the error calls the value that is checked,
``fix`` what it says one can do. What only one room asks stays in that room. Wrong dtypes raise ``TypeError`` where one
says so, all else ``ValueError``.
"""

import math
import re
from numbers import Integral, Real

import numpy as np

IMAGE = "one image (H, W)"
STACK = "one image (H, W) or a stack (N, H, W)"
LARGEST = np.iinfo(np.int32).max  # the largest number of an object where labels are int32


def shaped(values, axes, name, fix="", *, empty=False) -> None:
    """Refuse another number of axes than ``axes`` names, such as "one image (H, W) or (H, W, C)"; and no pixel at all.

    empty: an array without any value is fine.
    """
    shape = tuple(values.shape)
    ranks = {axis.count(",") + 1 for axis in re.findall(r"\([^)]*\)", axes)}
    if len(shape) not in ranks or (0 in shape and not empty):
        wanted = axes if empty else f"{axes} with at least one pixel"
        raise ValueError(_with(f"{name} must be {wanted}, not {shape}", fix))


def same_shape(truth, predicted) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction as arrays, refused where their shapes differ."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(f"truth {truth.shape} and prediction {predicted.shape} must have the same shape")
    return truth, predicted


def one_a_pixel(values, maps, name, of, fix):
    """Refuse ``values`` that are not one for each pixel of the maps (..., H, W, C), which the error calls ``of``.

    Arrays, and tensors of any backend; a size that a graph leaves open (``None``) fits every other.
    """
    _one_a_pixel(values, values.shape, maps, name, of, fix)


def plane(values, logits, name):
    """Labels or weights (N, H, W) from (N, H, W) or (N, H, W, 1), refused where they do not match the logits."""
    has_channel = len(values.shape) == 4 and values.shape[-1] == 1
    flat = values[..., 0] if has_channel else values
    fix = "(N, H, W), cut to the network's output by training.center_crop"
    _one_a_pixel(flat, values.shape, logits, name, "logits", fix)
    return flat


def floats(values, name, fix="", error=TypeError) -> None:
    """Refuse integers and booleans, whose range is not known."""
    if not np.issubdtype(values.dtype, np.floating):
        fix = fix or f"scale to [0, 1], for uint8 {name}.astype('float32') / 255"
        raise error(f"{name} must be floats, not {values.dtype}: {fix}")


def integers(dtype, name, fix="take class indices, for instance (mask > 0.5).astype(int)", error=TypeError) -> None:
    """Refuse floats and booleans where numbers of classes or objects are meant. dtype: NumPy's, or the name of one."""
    dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name  # NumPy does not know all that backends have
    if not re.fullmatch(r"u?int\d+", dtype):
        raise error(f"{name} must be integers, not {dtype}: {fix}")


def finite(values, name, fix) -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(values).all():
        raise ValueError(f"NaN or infinity in {name}: {fix}")


def unit_range(values, name, fix, slack=0.0) -> None:
    """Refuse values outside [0, 1], and NaN; ``slack`` is what rounding may add on either side."""
    if values.size:
        low, high = float(values.min()), float(values.max())
        if not (-slack <= low and high <= 1 + slack):
            raise ValueError(f"{name} run from {low:.4g} to {high:.4g}: {fix}")


def binary(mask, name="the mask", axes=None, fix="call it image by image") -> np.ndarray:
    """A mask, boolean or 0 and 1, as booleans; of any shape, or of what ``axes`` says, also without a pixel."""
    mask = np.asarray(mask)
    if axes:
        shaped(mask, axes, name, fix, empty=True)
    if mask.dtype != bool:
        known = np.isin(mask, (0, 1))
        if not known.all():
            other = mask[~known].flat[0]
            raise ValueError(f"{name} must hold 0 and 1 only, not {other}: compare with a threshold first, as mask > 0")
    return mask.astype(bool)


def label_image(labels, name="labels", axes=IMAGE, fix="call it image by image", *, empty=True) -> np.ndarray:
    """Numbers of objects as an array of integers, (H, W) or what ``axes`` says; ``label_range`` checks their values."""
    labels = np.asarray(labels)
    shaped(labels, axes, name, fix, empty=empty)
    convert = "number the objects of a binary mask with labels.connected, or convert with labels.astype(int)"
    integers(labels.dtype, name, convert, ValueError)
    no_channel(labels, name)
    return labels


def no_channel(labels, name="labels") -> None:
    """Refuse one image (H, W, 1) where a stack (N, H, W) is meant."""
    if labels.ndim == 3 and labels.shape[2] == 1:
        raise ValueError(f"{name} of shape {labels.shape} are no stack (N, H, W): drop the last axis, {name}[..., 0]")


def label_range(low, high, name="labels", lowest=0, largest=math.inf) -> None:
    """Refuse labels whose smallest and largest, ``low`` and ``high``, are below ``lowest`` or above ``largest``."""
    if low < lowest or high > largest:
        wanted = f"at least {lowest}" if largest == math.inf else f"{lowest} to {largest}"
        known = "0 is background" + (" and -1 not annotated" if lowest < 0 else "")
        wrong = low if low < lowest else high
        raise ValueError(f"{name} must be {wanted}, where {known}, not {wrong}: renumber the objects, from 1 on")


def whole(value, name, least, fix="", *, unit="", most=None) -> None:
    """Refuse what is no whole number of at least ``least``, and at most ``most``."""
    if not isinstance(value, Integral) or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(_with(f"{name} must be a whole number{_of(unit)} of {bounds}, not {value!r}", fix))


def amount(value, name, fix="", *, unit="", positive=False) -> None:
    """Refuse what is no finite number of at least 0, or greater than 0 with ``positive``."""
    if not isinstance(value, (Real, np.bool_)) or not 0 <= value < math.inf or (positive and value == 0):
        wanted = f"a positive number{_of(unit)}" if positive else f"a number{_of(unit)} of at least 0"
        raise ValueError(_with(f"{name} must be {wanted}, not {value!r}", fix))


def threshold(value, most=1) -> float:
    """The least value of a pixel that counts, greater than 0: a probability, or what ``most`` allows."""
    if not 0 < value <= most:
        raise ValueError(f"threshold must be greater than 0 and at most {most}, not {value!r}")
    return float(value)


def image_model(model) -> None:
    """Refuse what is no Keras functional model of one image that returns maps, one or a dict of heads."""
    if not getattr(model, "outputs", None) or len(model.inputs) != 1:
        raise ValueError("the model must be a Keras functional model with one image input")
    if len(model.outputs) > 1 and not isinstance(getattr(model, "output", None), dict):
        raise ValueError("the model returns a list: give its heads names, keras.Model(images, {'name': head, ...})")
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if any(len(shape) != 4 for shape in shapes):
        raise ValueError(f"the model must return maps (N, H, W, classes), not outputs of shape {shapes}")


def _one_a_pixel(values, given, maps, name, of, fix):
    sizes = zip(values.shape, maps.shape[:-1], strict=False)
    if len(values.shape) != len(maps.shape) - 1 or any(None not in pair and pair[0] != pair[1] for pair in sizes):
        shapes = f"{name} of shape {tuple(given)} do not match {of} of shape {tuple(maps.shape)}"
        raise ValueError(f"{shapes}: give one a pixel, {fix}")


def _with(text, fix):
    return f"{text}: {fix}" if fix else text


def _of(unit):
    return unit and f" of {unit}"
