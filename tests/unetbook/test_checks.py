"""What every room refuses alike: for each check values that pass and values that do not, with the error's text."""

import types

import numpy as np
import pytest

from unetbook import checks

FIX = "do so"
LABELS, LOGITS = np.ones((2, 4, 5), int), np.zeros((2, 4, 5, 3), np.float32)


def shape(*sides):
    """What is left of a tensor whose shape alone is asked for, with ``None`` where a graph leaves a side open."""
    return types.SimpleNamespace(shape=sides)


def model(*shapes, heads=None, inputs=1):
    return types.SimpleNamespace(
        inputs=[None] * inputs, outputs=[shape(*one) for one in shapes], output=heads or [*shapes]
    )


PASS = {
    "an image": lambda: checks.shaped(np.ones((2, 3)), "one image (H, W) or (H, W, C)", "it"),
    "an image of channels": lambda: checks.shaped(np.ones((2, 3, 1)), "one image (H, W) or (H, W, C)", "it"),
    "an empty image where it may be": lambda: checks.shaped(np.ones((0, 3)), checks.IMAGE, "it", empty=True),
    "one a pixel": lambda: checks.one_a_pixel(LABELS, LOGITS, "labels", "logits", FIX),
    "open sides": lambda: checks.plane(shape(None, None, 5), shape(2, 4, 5, 3), "labels"),
    "halves": lambda: checks.floats(np.zeros(2, np.float16), "it"),
    "bytes": lambda: checks.integers(np.uint8, "it"),
    "the other byte order": lambda: checks.integers(np.dtype(">i4"), "it"),
    "a backend's own": lambda: checks.integers("int32", "it"),
    "finite": lambda: checks.finite(np.zeros(3), "it", FIX),
    "rounding": lambda: checks.unit_range(np.array([-0.01, 1.01]), "it", FIX, 0.02),
    "no values": lambda: checks.unit_range(np.zeros((0, 3)), "it", FIX),
    "labels": lambda: checks.label_range(0, 2**40),
    "not annotated": lambda: checks.label_range(-1, 3, lowest=-1, largest=3),
    "a count": lambda: checks.whole(np.int64(2), "it", 2, most=2),
    "an amount": lambda: checks.amount(np.float32(0.5), "it", positive=True),
    "nothing": lambda: checks.amount(0, "it"),
    "a threshold": lambda: checks.threshold(np.float32(1)),
    "a model": lambda: checks.image_model(model((None, 8, 8, 2))),
    "a model of heads": lambda: checks.image_model(model((1, 8, 8, 2), (1, 8, 8, 2), heads={"a": 1, "b": 2})),
}

REFUSE = {
    "a stack": (
        lambda: checks.shaped(np.ones((2, 3, 4)), checks.IMAGE, "it", FIX, empty=True),
        r"^it must be one image \(H, W\), not \(2, 3, 4\): do so$",
    ),
    "no pixel": (
        lambda: checks.shaped(np.ones((0, 4)), checks.IMAGE, "it"),
        r"^it must be one image \(H, W\) with at least one pixel, not \(0, 4\)$",
    ),
    "two shapes": (
        lambda: checks.same_shape(np.ones((2, 3)), np.ones((3, 2))),
        r"truth \(2, 3\) and prediction \(3, 2\) must have the same shape",
    ),
    "of another size": (
        lambda: checks.one_a_pixel(LABELS[:, 1:], LOGITS, "labels", "images", FIX),
        r"^labels of shape \(2, 3, 5\) do not match images of shape \(2, 4, 5, 3\): give one a pixel, do so$",
    ),
    "with a channel": (
        lambda: checks.one_a_pixel(LABELS[..., None], LOGITS, "labels", "images", FIX),
        r"labels of shape \(2, 4, 5, 1\) do not match",
    ),
    "a plane of another size": (
        lambda: checks.plane(LABELS[:, 1:, :, None], LOGITS, "weights"),
        r"weights of shape \(2, 3, 5, 1\) do not match logits of .* by training.center_crop",
    ),
    "one-hot": (
        lambda: checks.plane(np.ones((2, 4, 5, 3)), LOGITS, "labels"),
        r"labels of shape \(2, 4, 5, 3\) do not",
    ),
    "wrong where a graph tells": (
        lambda: checks.plane(shape(None, 4, 6), shape(2, 4, 5, 3), "labels"),
        r"labels of shape \(None, 4, 6\) do not match logits",
    ),
    "infinity": (lambda: checks.finite(np.array([1, np.inf]), "image 3", FIX), "^NaN or infinity in image 3: do so$"),
    "NaN": (lambda: checks.finite(np.array([np.nan]), "image 3", FIX), "NaN or infinity in image 3"),
    "logits": (lambda: checks.unit_range(np.array([-2, 0.5]), "they", FIX), "^they run from -2 to 0.5: do so$"),
    "beyond rounding": (lambda: checks.unit_range(np.array([1.03]), "they", FIX, 0.02), "run from 1.03 to 1.03"),
    "NaN in a range": (lambda: checks.unit_range(np.array([0, np.nan]), "they", FIX), "run from nan to nan"),
    "0/255": (lambda: checks.binary(np.eye(3) * 255), "the mask must hold 0 and 1 only, not 255.0: .*mask > 0"),
    "NaN in a mask": (lambda: checks.binary(np.array([0, np.nan]), "truth"), "truth must hold 0 and 1 only, not nan"),
    "masks": (
        lambda: checks.binary(LABELS, axes=checks.IMAGE),
        r"the mask must be .*, not \(2, 4, 5\): .*image by image",
    ),
    "float labels": (lambda: checks.label_image(np.eye(3)), "labels must be integers, not float64: .*labels.connected"),
    "labels of a stack": (lambda: checks.label_image(LABELS, fix=FIX), r"labels must be .*, not \(2, 4, 5\): do so"),
    "an image for a stack": (
        lambda: checks.label_image(LABELS[..., :1], axes=checks.STACK),
        r"\(2, 4, 1\) are no stack \(N, H, W\): drop the last axis, labels\[..., 0\]",
    ),
    "below 0": (
        lambda: checks.label_range(-1, 5),
        "labels must be at least 0, where 0 is background, not -1: renumber",
    ),
    "below -1": (lambda: checks.label_range(-2, 5, lowest=-1), "at least -1, .* and -1 not annotated, not -2"),
    "too large": (lambda: checks.label_range(0, 9, "ids", largest=8), "ids must be 0 to 8, .*, not 9"),
    "half": (lambda: checks.whole(2.5, "it", 1, FIX), "^it must be a whole number of at least 1, not 2.5: do so$"),
    "too few": (
        lambda: checks.whole(0, "it", 1, unit="pixels"),
        "^it must be a whole number of pixels of at least 1, not 0$",
    ),
    "too many": (lambda: checks.whole(6, "it", 1, most=5), "^it must be a whole number of 1 to 5, not 6$"),
    "negative": (lambda: checks.amount(-1, "it", FIX), "^it must be a number of at least 0, not -1: do so$"),
    "not positive": (
        lambda: checks.amount(0, "it", unit="pixels", positive=True),
        "it must be a positive number of pixels",
    ),
    "endless": (lambda: checks.amount(np.inf, "it"), "not inf"),
    "no number": (lambda: checks.amount("10", "it"), "not '10'"),
    "NaN as an amount": (lambda: checks.amount(np.nan, "it", positive=True), "not nan"),
    "128": (lambda: checks.threshold(128), "threshold must be greater than 0 and at most 1, not 128"),
    "no threshold": (lambda: checks.threshold(0, np.inf), "greater than 0 and at most inf, not 0"),
    "no network": (lambda: checks.image_model(object()), "a Keras functional model with one image input"),
    "two inputs": (lambda: checks.image_model(model((1, 8, 8, 2), inputs=2)), "with one image input"),
    "a list of heads": (lambda: checks.image_model(model((1, 8, 8, 2), (1, 8, 8, 2))), "a list: give its heads names"),
    "no maps": (lambda: checks.image_model(model((None, 10))), r"not outputs of shape \[\(None, 10\)\]"),
}

WRONG_DTYPES = {
    "uint8 for floats": (
        lambda error: checks.floats(np.zeros(2, np.uint8), "image", error=error),
        r"^image must be floats, not uint8: scale to \[0, 1\], for uint8 image.astype\('float32'\) / 255$",
    ),
    "bool for floats": (lambda error: checks.floats(np.zeros(2, bool), "it", FIX, error), "floats, not bool: do so"),
    "floats for integers": (
        lambda error: checks.integers(np.float32, "labels", error=error),
        r"^labels must be integers, not float32: .*\(mask > 0.5\).astype\(int\)$",
    ),
    "bool for integers": (lambda error: checks.integers(np.bool_, "it", FIX, error), "not bool: do so"),
    "a backend's floats": (lambda error: checks.integers("bfloat16", "it", FIX, error), "not bfloat16: do so"),
}


@pytest.mark.parametrize("passes", PASS.values(), ids=PASS)
def test_what_fits_passes(passes):
    passes()


@pytest.mark.parametrize(("refuses", "message"), REFUSE.values(), ids=REFUSE)
def test_what_does_not_fit_is_refused_with_value_and_fix(refuses, message):
    with pytest.raises(ValueError, match=message):
        refuses()


@pytest.mark.parametrize("error", [TypeError, ValueError])
@pytest.mark.parametrize(("refuses", "message"), WRONG_DTYPES.values(), ids=WRONG_DTYPES)
def test_wrong_dtypes_raise_what_is_asked_for(refuses, message, error):
    with pytest.raises(error, match=message):
        refuses(error)


def test_what_is_checked_comes_back():
    assert checks.binary([[0, 1], [1, 1]]).tolist() == [[False, True], [True, True]]
    assert checks.binary(np.zeros((0, 3), int), axes=checks.IMAGE).shape == (0, 3)
    assert checks.label_image([[0, 3]]).tolist() == [[0, 3]] and checks.threshold(1.5, np.inf) == 1.5
    assert checks.label_image(LABELS, axes=checks.STACK).shape == LABELS.shape
    assert all(np.array_equal(one, [1, 2]) for one in checks.same_shape([1, 2], [1, 2]))


@pytest.mark.backend
def test_a_plane_of_tensors_loses_its_channel():
    from keras import ops

    labels = ops.convert_to_tensor(np.arange(40).reshape(2, 4, 5, 1))
    plane = checks.plane(labels, ops.convert_to_tensor(LOGITS), "labels")
    assert np.array_equal(ops.convert_to_numpy(plane), np.arange(40).reshape(2, 4, 5))
    assert checks.plane(plane, LOGITS, "labels") is plane
