"""What a training doubts: input that Keras takes without a word, and that teaches nothing, or NaN.

Labels that are no classes of the network, images of another range than [0, 1], and networks that return probabilities
where losses and ``Segmenter`` want logits. Each is refused with the value that was found and the fix.
"""

from numbers import Integral

import numpy as np

from unetbook import augment, checks, losses

DRAWN = 2  # batches whose labels are looked at where an augmentation of one's own makes them
PROBABLE = ("sigmoid", "hard_sigmoid", "softmax", "Sigmoid", "HardSigmoid", "Softmax")  # functions, and operations
SAME = ("Identity", "Dropout", "SpatialDropout2D", "Average", "linear")  # after which probabilities still are some


def arrays(images, labels, weights, any_range=False) -> tuple:
    """The arrays of a training, labels and weights as (N, H, W), or an error that names what does not fit and the fix.

    images: floats (N, H, W, C) in [0, 1], or with ``any_range`` of any; labels: integers (N, H, W) or (N, H, W, 1);
    weights: numbers of at least 0 of the labels' shape, or ``None``.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    weights = None if weights is None else np.asarray(weights)
    checks.shaped(images, "(N, H, W, C)", "images")
    checks.floats(images, "images")
    checks.integers(labels.dtype, "labels")
    labels, weights = flat(labels, 4), flat(weights, 4)
    for name, plane in (("labels", labels), ("weights", weights)):
        if plane is not None:
            checks.one_a_pixel(plane, images, name, "images", "(N, H, W)")
    if weights is not None and not (weights >= 0).all():
        raise ValueError("weights must be numbers of at least 0, and some are negative or NaN: see unetbook.weightmap")
    for number, image in enumerate(images):
        checks.finite(image, f"image {number}", "repair or drop it before training")
        if not any_range:
            fix = "divide by what white is, as by 255 for 8 bits, or give any_range=True, as for standardized images"
            checks.unit_range(image, f"values of image {number}", f"images are in [0, 1]; {fix}", 1e-3)
    return images, labels, weights


def lists(images, labels, weights, any_range=False) -> tuple:
    """``arrays``, or lists of arrays of several sizes, (H, W, C) and (H, W), all checked; errors name the image."""
    if not isinstance(images, (list, tuple)):
        return arrays(images, labels, weights, any_range)
    if not len(images) == len(labels) == len(images if weights is None else weights) > 0:
        raise ValueError(f"{len(images)} images do not match {len(labels)} labels, or their weights: give one of each")
    for number, (image, plane) in enumerate(zip(images, labels, strict=True)):
        try:
            arrays(image[None], plane[None], None if weights is None else weights[number][None], any_range)
        except (ValueError, TypeError) as error:
            raise type(error)(f"image {number} of the list: {error}") from None
    labels = [flat(plane, 3) for plane in labels]
    return images, labels, None if weights is None else [flat(plane, 3) for plane in weights]


def flat(planes, axes):
    """Labels or weights without a last axis of one channel, where they have as many axes as images; or ``None``."""
    return planes[..., 0] if planes is not None and planes.ndim == axes and planes.shape[-1] == 1 else planes


def without(labels, weights, ignore) -> tuple:
    """Labels and weights in which pixels of the label ``ignore`` have class 0 and weight 0; float32 weights."""
    out = labels == ignore
    weights = np.float32(1) if weights is None else np.asarray(weights, np.float32)
    return np.where(out, labels.dtype.type(0), labels), np.where(out, np.float32(0), weights)


def ignored(ignore) -> None:
    """Refuse what is no label to be ignored, an integer or ``None``."""
    if ignore is not None and (not isinstance(ignore, Integral) or isinstance(ignore, bool)):
        raise ValueError(f"ignore must be the label of pixels that do not count, such as 255 or -1, not {ignore!r}")


def classes(labels, model, loss, ignore=None, of="") -> None:
    """Refuse labels (N, H, W), or a list of (H, W), that are no classes of the network, where the loss takes classes.

    loss: of ``fit``, ``None`` or a dict by head, too; what other losses make of labels is not known. The label
    ``ignore`` may stand anywhere. of: what the error says after the number of an image.
    """
    outputs = getattr(model, "outputs", None)
    if not outputs or not takes_classes(loss):
        return
    told = min(max(2, tensor.shape[-1]) for tensor in outputs)
    for number, plane in enumerate(labels):
        if plane.min(initial=0) >= 0 and plane.max(initial=0) < told:
            continue
        found = np.unique(plane)
        wrong = [int(value) for value in found if not 0 <= value < told and value != ignore]
        if wrong:
            known = "0 and 1" if told == 2 else f"0 to {told - 1}"
            raise ValueError(
                f"labels of image {number}{of} hold {wrong[-1]}, and the network tells {told} classes, {known}: "
                f"{_cure(found, wrong)}"
            )


def tiles(drawn, model, loss) -> None:
    """``classes`` for ``training.Tiles``; where a function of one's own may make classes of labels, of some batches."""
    try:
        classes(drawn.labels, model, loss, drawn.ignore)
    except ValueError:
        change = drawn.augment
        if change is None or change is augment.turn_and_shade or isinstance(change, augment.Augmenter):
            raise
        for number in range(min(len(drawn), DRAWN)):
            classes(drawn[number][1], model, loss, of=f" of batch {number}, as augment returns them,")


def takes_classes(loss) -> bool:
    """Whether a loss of ``fit`` takes labels 0 to classes - 1 and logits, as ``None`` and ``unetbook.losses`` do."""
    several = loss.values() if isinstance(loss, dict) else loss if isinstance(loss, list | tuple) else [loss]
    return any(one is None or losses.takes_classes(one) for one in several)


def _cure(found, wrong):
    """What makes classes of these labels."""
    if len(found) == 2 and found[0] == 0:
        return f"for a mask of 0 and {wrong[0]}, (mask > {wrong[0] // 2}).astype(int)"
    if len(wrong) == 1 and wrong[0] in (-1, 255):
        return f"if {wrong[0]} means pixels that nobody annotated, give ignore={wrong[0]}"
    return "if labels number objects, take (labels.separate(objects) > 0).astype(int); pixels not annotated: ignore="


def logits(model, loss=None, outputs=None) -> None:
    """Refuse a network that ends in a sigmoid or soft-max, which losses on logits and ``Segmenter`` apply themselves.

    loss: of a training, ``None`` for one on logits; others may want probabilities. outputs: of a passport; heads that
    give "values" may end as they like.
    """
    if not takes_classes(loss) and not getattr(loss, "from_logits", False):
        return
    output = getattr(model, "output", None)  # a Sequential model has none
    heads = (
        output if isinstance(output, dict) else dict.fromkeys([None], (getattr(model, "outputs", None) or [None])[0])
    )
    for head, tensor in heads.items():
        said = outputs.get(head) if isinstance(outputs, dict) else outputs
        last = None if said == "values" else activation(tensor)
        if last:
            where = f"head {head!r} of the network" if head else f"the network {model.name!r}"
            raise ValueError(
                f"{where} ends in a {last.replace('softmax', 'soft-max')}, which would be applied twice: end with "
                "logits, such as Conv2D(classes, 1, activation=None); unetbook.nets.probabilities makes probabilities"
            )


def activation(tensor) -> str | None:
    """The sigmoid or soft-max, by its name, of which an output of a Keras model comes; ``None`` for another end."""
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    op = history.operation
    if hasattr(op, "layers") and getattr(op, "outputs", None):  # a model inside the model
        return activation(op.outputs[history.tensor_index])
    function = getattr(getattr(op, "activation", None), "__name__", None)
    for name in (function, type(op).__name__):
        if name in PROBABLE:
            return name.lower()
    if (function in SAME and type(op).__name__ == "Activation") or type(op).__name__ in SAME:
        earlier = op._inbound_nodes[history.node_index].input_tensors
        return activation(earlier[0])
    return None
