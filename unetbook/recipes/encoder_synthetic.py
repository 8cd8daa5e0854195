"""The book's own pretrained encoder: a MobileNetV2 that learned what each pixel of synthetic pictures belongs to.

It has seen cells, membranes and ellipses, recolored at random, and neither nuclei nor lesions, so that chapter 14 can
transfer it to both. Only the encoder is kept.
"""

import keras
import numpy as np

from unetbook import nets, scores, training
from unetbook.datasets import synthetic
from unetbook.nets.encoder import BACKBONES
from unetbook.recipes import _quick
from unetbook.recipes.isbi2012_unet import turn_and_shade

NAME = "encoder-synthetic"
SUMMARY = "MobileNetV2 (alpha 0.35) trained on synthetic cells, membranes and ellipses: the encoder of chapter 14"
SEEDS = (0,)
SETTINGS = {
    "pictures": "synthetic cells, membranes and ellipses, recolored",
    "training_pictures": 300,
    "test_pictures": 20,
    "size": 160,
    "filters": 8,
    "depth": 5,
    "tile": 128,
    "batch": 16,
    "steps": 150,
    "epochs": 12,
    "learning_rate": 2e-3,
    "schedule": "Adam, cosine to 0 over all steps",
    "loss": "soft-max cross-entropy",
    "augmentation": "turns by 90 degrees, flips, contrast and brightness, colors",
}
QUICK = {
    "training_pictures": 2,
    "test_pictures": 1,
    "size": 64,
    "depth": 2,
    "tile": 64,
    "batch": 2,
    "steps": 2,
    "epochs": 1,
}
ARMS = {"encoder": {"alpha": 0.35}}
PAIRS = []
KINDS = {"cell": synthetic.cells, "membrane": synthetic.membranes, "ellipse": synthetic.ellipses}
PASSPORT = {
    "task": "features for other networks: MobileNetV2 (alpha 0.35) without top, for unetbook.nets.encoder",
    "input": "three channels in -1 to 1",
    "training_data": "synthetic cells, membranes and ellipses of unetbook.datasets, 300 each",
    "license": "MIT",
}


def data(settings, seed):
    """Training and test pictures (N, H, W, 1) of all kinds with the class of each pixel: 0 nothing, 1, 2, 3 a kind."""
    kinds = [_quick.pictures(draw, settings, seed) for draw in KINDS.values()]
    parts = []
    for drawn in zip(*kinds, strict=True):
        masks = [
            labels == 0 if kind == "membrane" else labels > 0 for kind, (_, labels) in zip(KINDS, drawn, strict=True)
        ]
        classes = [number * mask for number, mask in enumerate(masks, start=1)]
        parts.append((np.concatenate([images for images, _ in drawn]), np.concatenate(classes)))
    return parts


def recolored(image, labels, rng, weights=None):
    """Turned and shaded, then in color: gray values inverted in half of the cases, each channel with its own curve.

    image: float32 (H, W, 1) in [0, 1]; labels and weights (H, W). Returns the image as (H, W, 3), and the rest.
    """
    image, *rest = turn_and_shade(image, labels, rng, weights)
    image = 1 - image if rng.integers(2) else image
    curves, light = rng.uniform(0.6, 1.6, 3), rng.uniform(0.6, 1.0, 3)
    return ((light * image**curves).astype(np.float32), *rest)


def measure(data, options, settings, seed) -> dict:
    """Train the network whole; IoU of each kind on gray test pictures, and the encoder alone as the ``model``."""
    (images, classes), (test_images, truth) = data
    training.set_seed(seed)
    filters, depth = settings["filters"], settings["depth"]
    model = nets.encoder((None, None, 3), len(KINDS) + 1, "random", filters=filters, depth=depth, **options)
    curve = _quick.train(model, images, classes, settings, seed, augment=recolored)
    found = _quick.probabilities(model, np.repeat(test_images, 3, axis=-1)).argmax(-1)
    last = model.get_layer(BACKBONES["MobileNetV2"].features[depth - 1])
    body = keras.Model(model.get_layer("expected_input").output, last.output, name="mobilenetv2")
    iou = {kind: scores.iou(truth == number, found == number) for number, kind in enumerate(KINDS, start=1)}
    return {"scores": iou, "parameters": body.count_params(), "curve": curve, "model": body}
