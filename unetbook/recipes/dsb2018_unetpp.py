"""Nuclei of the Data Science Bowl 2018 by a U-Net++ of the U-Net's multiply-adds; its heads, pruned. Chapter 16.

Data, split, target, schedule and scores are those of ``dsb2018-unet``.
"""

import functools
import time

import keras
import numpy as np

from unetbook import choices, instances, nets, sizes
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
    """Scores of the mean of all heads, as in ``dsb2018-unet``; and ``heads``: each alone and their mean, with its cost.

    Way, threshold, depth and smallest size are chosen for each on validation images. Heads answer in one position and
    in one pass through the whole network, in which each computes what its pruned network does; parameters,
    multiply-adds and seconds are those of the pruned networks. ``unet`` is what ``dsb2018-unet`` costs, timed in turn
    with them.
    """
    reader = _nuclei_scores.segmenter(model)
    entry = _nuclei_scores.judged(lambda id_: reader.maps(data[id_].image), data, split, reader.labels)
    answers = {id_: _answers(model, data[id_].image) for part in ("validation", "test") for id_ in split[part]}
    networks = {head: nets.prune(model, int(head[1:])) for head in model.output} | {"mean": model}
    costs, heads = _costs(networks | {"unet": dsb2018_unet.build(dsb2018_unet.SETTINGS)}), {}
    for name in networks:
        one = _nuclei_scores.judged(lambda id_, name=name: answers[id_][name], data, split, reader.labels)
        heads[name] = {**one["scores"], "choices": one["choices"], **costs[name]}
    once = {"scores": {score: heads["mean"][score] for score in entry["scores"]}, "choices": heads["mean"]["choices"]}
    return entry | {"once": once, "heads": heads, "unet": costs["unet"]}


@functools.partial(choices.register, reads="heads")
def nuclei_of_heads(heads, threshold=0.5, smallest=0) -> np.ndarray:
    """The way of a network whose heads are apart: nuclei of their mean, grown back into the gap."""
    return instances.from_probabilities(_mean(heads), "regrow", threshold, smallest)


def _answers(model, image):
    """Maps (H, W, 2) by each head and by their ``"mean"``, in one position."""
    heads = _nuclei_scores.segmenter(model, nuclei_of_heads.__name__, heads="apart").maps(image, once=True)
    return heads | {"mean": _mean(heads)}


def _mean(heads):
    return sum(heads.values()) / len(heads)


def _costs(networks):
    """Parameters, and multiply-adds and seconds for one image of SIDE x SIDE, by name of network."""
    seconds = _take_turns(networks)
    return {
        name: {
            "parameters": network.count_params(),
            "multiply_adds": sizes.multiply_adds(keras.models.clone_model(network, keras.Input((SIDE, SIDE, 3)))),
            "seconds": seconds[name],
        }
        for name, network in networks.items()
    }


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
