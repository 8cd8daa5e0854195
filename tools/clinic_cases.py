"""The first half of the clinic's cases: what each does wrong, on drawn pictures, with a small network, in seconds.

Each function returns {"pictures": {title: picture}, "curves": {name: losses}, "values": {name: numbers}, "bins": edges
of their histogram, "xlabel": what they are, "facts": {name: number or text}}. Facts are what the text says.
"""

import functools

import cv2
import keras
import numpy as np

from unetbook import augment, instances, labels, losses, nets, scores
from unetbook.datasets import synthetic

SIDE, STEPS, BATCH = 96, 150, 4
ON_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


def fields(count, seed, side=SIDE):
    """Drawn nuclei: images (N, side, side, 1) in [0, 1] and their masks of 0 and 1, floats of the same shape."""
    images, objects = synthetic.nuclei(count, side, seed)
    return np.clip(images, 0, 1), np.float32(objects > 0)[..., None]


def network(normalization=None, **options):
    """A U-Net of one class with three poolings; the same first weights each time."""
    keras.utils.set_random_seed(0)
    options = {"filters": 8, "depth": 3, "padding": "same", **options}
    return nets.unet((None, None, 1), 1, normalization=normalization, **options)


def train(model, images, masks, steps=STEPS, rate=2e-3, loss=ON_LOGITS, change=None, watch=None, batch=BATCH):
    """Plain Keras, step by step: the loss of each. change: of a pair (image, mask, rng); watch: called every tenth."""
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, jit_compile=False)  # XLA is slow on CPUs
    rng, curve = np.random.default_rng(0), []
    for step in range(steps):
        chosen = rng.integers(len(images), size=batch)
        pairs = [(images[k], masks[k]) for k in chosen]
        pairs = [change(*pair, rng) for pair in pairs] if change else pairs
        x, y = (np.stack(part) for part in zip(*pairs, strict=True))
        model.reset_metrics()
        curve.append(float(model.train_on_batch(x, y)))
        if watch and step % 10 == 9:
            watch(step + 1)
    return curve


def probability(model, image):
    """The sigmoid of what a network answers for one image (H, W, 1): (H, W)."""
    return 1 / (1 + np.exp(-np.float64(model.predict_on_batch(image[None])[0, ..., 0])))


def dice(mask, found):
    """Dice of a mask (H, W, 1) of 0 and 1 and a boolean answer (H, W)."""
    return scores.dice(mask[..., 0] > 0, found)


def story(image, mask, answer, **more):
    """The pictures that most cases show, and what else they have."""
    return {"pictures": {"image": image, "truth": mask, "answer": answer}, **more}


TRAINING, (TEST, TEST_MASK) = fields(12, 20), (part[1] for part in fields(2, 21))
UNIT = [k / 40 for k in range(41)]  # edges of a histogram of probabilities or gray values


@functools.cache  # many cases need the same one
def good():
    """A training as it should be: the network, its curve, and Dice of the test picture."""
    model = network()
    curve = train(model, *TRAINING)
    return model, curve, dice(TEST_MASK, probability(model, TEST) >= 0.5)


def saved_as_0_and_1():
    """A good answer, written to a file of 8 bits as 0 and 1."""
    model, curve, _ = good()
    found = probability(model, TEST) >= 0.5
    file = np.uint8(found)
    facts = {"dice": dice(TEST_MASK, found), "largest": file.max(), "black": float((file == 0).mean())}
    more = {"values": {"file": file.ravel()}, "bins": list(range(0, 257, 5)), "xlabel": "values in the file"}
    return story(TEST, TEST_MASK, file, curves={"training": curve}, facts=facts, **more)


def rare():
    """Pictures of one faint spot of 37 pixels each, which is 0.4 % of them."""
    rng, images, masks = np.random.default_rng(3), [], []
    for _ in range(13):
        y, x = rng.integers(8, SIDE - 8, 2)
        away = np.hypot(*(np.indices((SIDE, SIDE)) - np.array([y, x])[:, None, None]))
        images.append(0.3 + 0.4 * (away <= 3.5) + rng.normal(0, 0.14, away.shape))
        masks.append(away <= 3.5)
    return np.float32(np.clip(images, 0, 1))[..., None], np.float32(masks)[..., None]


def one_class():
    """Rare pixels and cross-entropy: to say background everywhere is hard to beat."""
    images, masks = rare()
    both = {}
    for name, loss in {"broken": ON_LOGITS, "mended": losses.bce_dice}.items():
        model = network()
        both[name] = train(model, images[:12], np.int32(masks[:12]), loss=loss), probability(model, images[12])
    curve, p = both["broken"]
    found, facts = p >= 0.5, {"share": masks.mean(), "highest": p.max()}
    facts |= {"dice": dice(masks[12], found), "accuracy": float((found == masks[12, ..., 0]).mean())}
    facts |= {"mended": dice(masks[12], both["mended"][1] >= 0.5)}
    more = {"values": {"answer": p.ravel()}, "bins": UNIT, "xlabel": "probability"}
    return story(images[12], masks[12], found, curves={"training": curve}, facts=facts, **more)


def divided_twice():
    """Masks of 0 and 255 that the reader of the files divides by 255, and the training once more."""
    images, masks = TRAINING
    twice = 255 * masks / 255 / 255
    model = network()
    curve = train(model, images, twice)
    p = probability(model, TEST)
    facts = {"largest": twice.max(), "highest": p.max(), "dice": dice(TEST_MASK, p >= 0.5), "mended": good()[2]}
    more = {"values": {"masks": twice.ravel()}, "bins": UNIT, "xlabel": "values of the masks"}
    return story(TEST, TEST_MASK, p >= 0.5, curves={"training": curve}, facts=facts, **more)


def masks_of_255():
    """Masks of 0 and 255 where 0 and 1 are wanted."""
    model = network()
    curve = train(model, TRAINING[0], 255 * TRAINING[1], rate=3e-4, steps=100)
    found = probability(model, TEST) >= 0.5
    facts = {"first": curve[0], "last": curve[-1], "dice": dice(TEST_MASK, found), "mended": good()[2]}
    more = {"values": {"masks": 255 * TRAINING[1].ravel()}, "bins": list(range(0, 257, 5))}
    more["xlabel"] = "values of the masks"
    return story(TEST, TEST_MASK, found, curves={"training": curve}, facts=facts, **more)


def by_hand(labels, logits):
    """Cross-entropy as in a text book: where a probability is 1 in 32 bits, the logarithm of 0 is taken."""
    p = keras.ops.sigmoid(logits)
    return -keras.ops.mean(labels * keras.ops.log(p) + (1 - labels) * keras.ops.log(1 - p))


def nan():
    """A loss written by hand, which takes the logarithm of a probability."""
    model = network()
    curve = train(model, *TRAINING, loss=by_hand, steps=60)
    step = int(np.argmax(np.isnan(curve)))
    twin = network()  # the same up to the last step that has a loss
    train(twin, *TRAINING, loss=by_hand, steps=step)
    logits = twin.predict_on_batch(TRAINING[0])
    answer = model.predict_on_batch(TEST[None])[0, ..., 0]
    facts = {"step": step + 1, "finite": float(np.isfinite(answer).mean()), "largest": logits.max()}
    facts |= {"before": curve[step - 1], "mended": good()[2]}
    more = {"values": {"logits": logits.ravel()}, "bins": np.linspace(-30, 30, 41)}
    more["xlabel"] = f"logits, step {step}"
    return story(TEST, TEST_MASK, answer, curves={"training": curve}, facts=facts, **more)


def flat():
    """A learning rate fifty times too high: after the first steps no unit ever answers again."""
    model = network()
    curve = train(model, *TRAINING, rate=0.1)
    p = probability(model, TEST)
    share = TRAINING[1].mean()
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    facts = {"last": float(np.mean(curve[-50:])), "constant": constant, "range": float(np.ptp(p)), "share": share}
    facts |= {
        "answer": float(p.mean()),
        "highest": max(curve),
        "mended": good()[2],
    }
    more = {"values": {"answer": p.ravel()}, "bins": UNIT, "xlabel": "probability"}
    return story(TEST, TEST_MASK, p, curves={"training": np.minimum(curve, 3)}, facts=facts, **more)


def double_sigmoid():
    """A network that ends in a sigmoid, and a loss and a reader that apply one more."""
    inner = network()
    model = keras.Model(inner.input, keras.layers.Activation("sigmoid")(inner.output))
    # Keras' own loss sees the sigmoid, warns and takes what came before it; other losses do not.
    curve = train(model, TRAINING[0], np.int32(TRAINING[1]), loss=losses.binary_cross_entropy)
    p = probability(model, TEST)  # the second one
    facts = {"lowest": p.min(), "highest": p.max(), "last": curve[-1], "dice": dice(TEST_MASK, p >= 0.5)}
    facts["mended"] = good()[2]
    more = {"values": {"answer": p.ravel()}, "bins": UNIT, "xlabel": "probability"}
    return story(TEST, TEST_MASK, p >= 0.5, curves={"training": curve}, facts=facts, **more)


def colored(objects):
    """Label images (N, H, W) as a program for annotation saves them: nuclei red, rims of 3 pixels green, in RGB."""
    colors = np.uint8([[0, 0, 0], [255, 0, 0], [0, 255, 0]])
    deep = np.stack([instances.distance_target(one) for one in objects])
    return colors[np.where(deep > 3, 1, np.where(deep > 0, 2, 0))]


def rgb_masks():
    """Masks of three colors, read as gray and cut at 127."""
    _, objects = synthetic.nuclei(12, SIDE, 20)
    files = colored(objects)
    gray = np.stack([cv2.cvtColor(file, cv2.COLOR_RGB2GRAY) for file in files])
    model = network()
    curve = train(model, TRAINING[0], np.float32(gray > 127)[..., None])
    found = probability(model, TEST) >= 0.5
    palette = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 1}
    same = all((labels.as_labels(file, palette) == (one > 0)).all() for file, one in zip(files, objects, strict=True))
    facts = {"values": sorted(map(int, np.unique(gray))), "dice": dice(TEST_MASK, found), "palette": same}
    facts["mended"] = good()[2]
    more = {"values": {"masks": gray.ravel()}, "bins": list(range(0, 257, 5)), "xlabel": "values of the masks as gray"}
    return story(TEST, TEST_MASK, found, curves={"training": curve}, facts=facts, **more)


def turned(image, mask, rng):
    """Turn and mirror image and mask, each by a draw of its own."""
    pair = []
    for part in (image, mask):
        part = np.rot90(part, rng.integers(4))
        pair.append(part[::-1] if rng.integers(2) else part)
    return pair


def together(image, mask, rng):
    """The same by one draw for both."""
    image, mask = augment.turn_and_shade(image, mask[..., 0], rng)
    return image, mask[..., None]


def contrast(change):
    """Mean gray value of the nuclei minus that of the ground, over 100 pairs as the training sees them."""
    rng, images, masks = np.random.default_rng(1), *TRAINING
    pairs = [change(images[k % 12], masks[k % 12], rng) for k in range(100)]
    return float(np.mean([image[mask > 0].mean() - image[mask == 0].mean() for image, mask in pairs]))


def out_of_step():
    """Image and mask are turned by two draws."""
    model = network()
    curve = train(model, *TRAINING, change=turned)
    p = probability(model, TEST)
    facts = {"contrast": contrast(turned), "contrast in step": contrast(together), "dice": dice(TEST_MASK, p >= 0.5)}
    twin = network()
    train(twin, *TRAINING, change=together)
    facts["mended"] = dice(TEST_MASK, probability(twin, TEST) >= 0.5)
    more = {"values": {"answer": p.ravel()}, "bins": UNIT, "xlabel": "probability"}
    return story(TEST, TEST_MASK, p, curves={"training": curve}, facts=facts, **more)
