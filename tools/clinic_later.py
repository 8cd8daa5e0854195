"""The second half of the clinic's cases: answers that look wrong, or that are right here and not there."""

import functools

import cv2
import keras
import numpy as np

from tools.clinic_cases import (
    ON_LOGITS,
    SIDE,
    STEPS,
    TEST,
    TEST_MASK,
    TRAINING,
    UNIT,
    dice,
    fields,
    good,
    network,
    probability,
    story,
    together,
    train,
)
from unetbook import instances, scores, show, tiling
from unetbook.datasets import synthetic

TILE = 48  # pixels


def by_tiles(model, image, shift=0):
    """The answer for an image (H, W, 1) put together of tiles laid edge to edge, the first at -shift."""
    height, width = image.shape[:2]
    answer = np.empty((height, width))
    for top in range(-shift, height, TILE):
        for left in range(-shift, width, TILE):
            part = probability(model, tiling.window(image, top, left, TILE, TILE))
            rows, columns = slice(max(top, 0), top + TILE), slice(max(left, 0), left + TILE)
            answer[rows, columns] = part[rows.start - top : height - top, columns.start - left : width - left]
    return answer


def seams():
    """A padded network that sees tiles of 48 pixels, laid edge to edge."""
    image, mask = (part[0] for part in phase(1, 53, side=4 * TILE))
    model, curve = good_phase()
    one, other = by_tiles(model, image), by_tiles(model, image, shift=TILE // 2)
    columns = np.nonzero((one >= 0.5) != (other >= 0.5))[1]
    whole, exact = probability(model, image), tiling.predict(model, image, tile=112)[..., 0]
    facts = {"flipped": int(((one >= 0.5) != (whole >= 0.5)).sum()), "dice": dice(mask, one >= 0.5)}
    facts |= {"exact": int(((exact >= 0) != (whole >= 0.5)).sum()), "whole": dice(mask, whole >= 0.5)}
    more = {"values": {"pixels that change": columns}, "bins": list(range(0, 193, 4))}
    more["xlabel"] = "column of the picture"
    return story(image, mask, one, curves={"training": curve}, facts=facts, **more)


def decoder(way):
    """A small network without skips whose decoder is ``way``, up-convolution 3 x 3 or bilinear."""
    keras.utils.set_random_seed(0)
    conv = {"padding": "same", "activation": "relu"}
    maps = images = keras.Input((None, None, 1))
    for channels in (8, 16):
        maps = keras.layers.Conv2D(channels, 3, **conv)(maps)
        maps = keras.layers.MaxPooling2D()(maps)
    maps = keras.layers.Conv2D(32, 3, **conv)(maps)
    for channels in (16, 8):
        if way == "transpose":
            maps = keras.layers.Conv2DTranspose(channels, 3, strides=2, **conv)(maps)
        else:
            maps = keras.layers.UpSampling2D(interpolation="bilinear")(maps)
            maps = keras.layers.Conv2D(channels, 3, **conv)(maps)
    return keras.Model(images, keras.layers.Conv2D(1, 1)(maps))


def checkerboard():
    """Up-convolutions of 3 x 3 with a step of 2, which cover some pixels twice and others once."""
    image, mask = TEST, TEST_MASK
    gray, ripple = np.full((1, SIDE, SIDE, 1), 0.5, np.float32), {}
    for way in ("transpose", "bilinear"):
        model = decoder(way)
        curve = train(model, *TRAINING, steps=STEPS // 2)
        if way == "transpose":
            shown, kept = probability(model, image), curve
        inner = model.predict_on_batch(gray)[0, 24:-24, 24:-24, 0]
        ripple[way] = float(np.ptp(inner))
    columns = [shown[:, k::4].mean() for k in range(4)]
    facts = {"ripple": ripple["transpose"], "mended": ripple["bilinear"], "columns": columns}
    more = {"values": {"answer": shown.ravel()}, "bins": UNIT, "xlabel": "probability"}
    part = np.s_[16:64, 24:72]
    return story(image[part], mask[part], shown[part], curves={"training": kept}, facts=facts, **more)


def merged():
    """Touching cells from a mask of two classes, its connected pieces taken for cells."""
    images, objects = synthetic.cells(14, 128, 40)
    images, truth = np.clip(images, 0, 1), objects[13]
    model = network()
    masks = np.float32(objects[:12] > 0)[..., None]
    curve = train(model, images[:12], masks, steps=2 * STEPS, change=together)
    p = np.clip(probability(model, images[13]), 0, 1)
    found = {way: instances.from_probabilities(p, way, smallest=20) for way in ("components", "watershed")}
    errors = {way: scores.object_errors(truth, answer).merged for way, answer in found.items()}
    facts = {"iou": scores.iou(truth > 0, p >= 0.5), "true": len(np.unique(truth)) - 1}
    facts |= {"found": int(found["components"].max()), "merged": errors["components"]}
    facts |= {"mended": errors["watershed"], "found when mended": int(found["watershed"].max())}
    areas = {"truth": np.bincount(truth.ravel())[1:], "found": np.bincount(found["components"].ravel())[1:]}
    top = 500 * (1 + max(map(max, areas.values())) // 500)
    more = {"values": areas, "bins": list(range(0, top + 1, top // 20)), "xlabel": "area of an object, pixels"}
    answer = show.instances(found["components"], like=truth)
    return story(images[13], show.instances(truth), answer, curves={"training": curve}, facts=facts, **more)


def phase(count, seed, side=SIDE):
    """Cells under phase contrast: images and masks, as ``fields`` has them."""
    images, objects = synthetic.cells(count, side, seed)
    return np.clip(images, 0, 1), np.float32(objects > 0)[..., None]


@functools.cache
def good_phase():
    """A training as it should be on cells under phase contrast: the network and its curve."""
    model = network()
    return model, train(model, *phase(12, 50), steps=2 * STEPS, change=together)


def scale():
    """A picture from an objective with a quarter of the magnification."""
    image, mask = (part[0] for part in phase(1, 51, side=4 * SIDE))
    model, curve = good_phase()
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., None]
    small_mask = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST_EXACT)[..., None]
    large = cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).clip(0, 1)[..., None]
    found = probability(model, small) >= 0.5
    facts = {"dice": dice(small_mask, found), "mended": dice(mask, probability(model, large) >= 0.5)}
    more = {
        "values": {"training": phase(12, 50)[0].ravel(), "here": small.ravel()},
        "bins": UNIT,
        "xlabel": "gray value",
    }
    return story(small, small_mask, found, curves={"training": curve}, facts=facts, **more)


def contrast():
    """Dark nuclei on light ground, for a network that knows bright ones on dark ground."""
    image, mask = TEST, TEST_MASK
    model, curve, _ = good()
    found, own = probability(model, 1 - image) >= 0.5, probability(model, image) >= 0.5
    facts = {"dice": dice(mask, found), "mended": dice(mask, own)}
    values = {"training": TRAINING[0].ravel(), "here": 1 - image.ravel()}
    more = {"values": values, "bins": UNIT, "xlabel": "gray value"}
    return story(1 - image, mask, found, curves={"training": curve}, facts=facts, **more)


def over_fitting():
    """Two pictures to learn from, four hundred steps, nothing turned."""
    images, masks = phase(2, 60)
    new, new_masks = phase(8, 61)

    def run(change, images, masks):
        model, seen = network(), {}

        def watch(step):
            logits = model.predict_on_batch(new)
            seen[step] = float(ON_LOGITS(new_masks, logits))

        curve = train(model, images, masks, steps=400, rate=1e-3, change=change, watch=watch)
        each = [
            [dice(m, probability(model, i) >= 0.5) for i, m in zip(*p, strict=True)]
            for p in ((images, masks), (new, new_masks))
        ]
        return model, curve, seen, each

    model, curve, seen, each = run(None, images, masks)
    twin = run(together, *phase(24, 60))
    lowest = min(seen, key=seen.get)
    facts = {"training": np.mean(each[0]), "new": np.mean(each[1]), "lowest at": lowest, "lowest": seen[lowest]}
    facts |= {"last": list(seen.values())[-1], "mended": np.mean(twin[3][1]), "mended last": list(twin[2].values())[-1]}
    more = {"values": {"training": each[0], "new": each[1]}, "bins": UNIT[::2], "xlabel": "Dice of a picture"}
    curves = {"training": curve, "validation": (list(seen), list(seen.values()))}
    return story(new[0], new_masks[0], probability(model, new[0]) >= 0.5, curves=curves, facts=facts, **more)


def leak():
    """Tiles that overlap, cut from two pictures and then split at random."""
    images, masks = fields(2, 70, side=128)
    corners = [(k, y, x) for k in range(2) for y in range(0, 65, 16) for x in range(0, 65, 16)]
    cut = [[part[k, y : y + 64, x : x + 64] for k, y, x in corners] for part in (images, masks)]
    tiles, tile_masks = map(np.stack, cut)
    order = np.random.default_rng(0).permutation(len(tiles))
    ours, theirs = order[len(order) // 4 :], order[: len(order) // 4]
    new, new_masks = fields(8, 71)
    model, seen = network(), {}

    def watch(step):
        seen[step] = float(ON_LOGITS(tile_masks[theirs], model.predict_on_batch(tiles[theirs])))

    curve = train(model, tiles[ours], tile_masks[ours], steps=300, watch=watch, batch=8)
    each = {"validation": [dice(tile_masks[k], probability(model, tiles[k]) >= 0.5) for k in theirs]}
    each["new"] = [dice(m, probability(model, i) >= 0.5) for i, m in zip(new, new_masks, strict=True)]
    twin = network()  # one picture is held back
    apart = np.array([k for k, (picture, _, _) in enumerate(corners) if picture == 1])
    rest = np.setdiff1d(np.arange(len(tiles)), apart)
    train(twin, tiles[rest], tile_masks[rest], steps=300, batch=8)
    honest = np.mean([dice(tile_masks[k], probability(twin, tiles[k]) >= 0.5) for k in apart])
    facts = {name: np.mean(values) for name, values in each.items()} | {"mended": honest, "tiles": len(tiles)}
    curves = {"training": curve, "validation": (list(seen), list(seen.values()))}
    more = {"values": each, "bins": UNIT[::2], "xlabel": "Dice of a picture"}
    worst = int(np.argmin(each["new"]))
    found = probability(model, new[worst]) >= 0.5
    return story(new[worst], new_masks[worst], found, curves=curves, facts=facts, **more)
