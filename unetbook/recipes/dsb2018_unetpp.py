"""Nuclei of the Data Science Bowl 2018 by a U-Net++ of the U-Net's multiply-adds; its heads, pruned. Chapter 16.

Data, split, target, schedule and scores are those of ``dsb2018-unet``.
"""

import time

import keras
import numpy as np

from unetbook import nets, sizes
from unetbook.recipes import _nuclei, _nuclei_scores, dsb2018_unet

NAME = "dsb2018-unetpp"
SUMMARY = "nuclei: U-Net++ with four heads at the U-Net's multiply-adds, each head also pruned and timed"
DATASET, LOSS = _nuclei.DATASET, _nuclei.LOSS
SEEDS = dsb2018_unet.SEEDS
SETTINGS = dsb2018_unet.SETTINGS | {"network": "U-Net++", "filters": 10}
QUICK = dsb2018_unet.QUICK
TARGET, LEAST, PASSPORT = dsb2018_unet.TARGET, dsb2018_unet.LEAST, dsb2018_unet.PASSPORT
SIDE = 256  # pixels of the image that heads are timed on

load, split, ids = _nuclei.load, _nuclei.split, _nuclei.ids
optimizer, batches, validate, baselines = (
    _nuclei.optimizer,
    _nuclei.batches,
    _nuclei_scores.validate,
    _nuclei_scores.baselines,
)


def build(settings) -> keras.Model:
    """The network: images (N, H, W, 3) to a dict of logits (N, H, W, 2), one for each head."""
    options = {name: settings[name] for name in ("filters", "depth", "normalization")}
    return nets.unetpp((None, None, 3), settings["classes"], **options)


def evaluate(model, data, split) -> dict:
    """Scores of the mean of all heads; and ``heads``: each pruned, beside that mean, in one position, with its cost.

    Threshold, way and smallest size are chosen for each on the validation images.
    """
    entry = _nuclei_scores.evaluate(model, data, split)
    networks = {head: nets.prune(model, int(head[1:])) for head in model.output} | {"mean": model}
    seconds, heads = _take_turns(networks), {}
    for name, network in networks.items():
        one = _nuclei_scores.judged(
            lambda image, network=network: _nuclei_scores.foreground(network, image), data, split
        )
        heads[name] = {
            **one["scores"],
            "choices": one["choices"],
            "parameters": network.count_params(),
            "multiply_adds": _work(network),
            "seconds": seconds[name],
        }
    return entry | {"heads": heads}


def _work(network):
    """Multiply-adds for one image of SIDE x SIDE."""
    return sizes.multiply_adds(keras.models.clone_model(network, keras.Input((SIDE, SIDE, 3))))


def _take_turns(networks, repeats=5):
    """Shortest of ``repeats`` answers to one image, in seconds; the networks take turns, after one warm-up each."""
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), np.float32)
    taken = {name: [] for name in networks}
    for _ in range(repeats + 1):
        for name, network in networks.items():
            start = time.perf_counter()
            network.predict_on_batch(image)
            taken[name].append(time.perf_counter() - start)
    return {name: min(times[1:]) for name, times in taken.items()}
