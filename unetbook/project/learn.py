"""Trains one network in the minutes given; stopped at any time, it goes on after its last finished epoch."""

import json
import math
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from unetbook import drafts, labels, losses, nets, normalize, precision, resizing, targets, training
from unetbook.augment import Augmenter
from unetbook.project import judge
from unetbook.segmenter import Segmenter

LEARNING = 0.8  # share of the minutes for steps; validation, choices and scores take the rest
EPOCHS = 30
EACH = 5  # fewest steps of an epoch, which ends with a look at validation pictures and a checkpoint
WARM, TIMED = 2, 4  # steps that are thrown away, and that are timed
FEWEST = 20  # steps
LOOKED_AT = 6  # validation pictures after each epoch
SHADES = {"blur": 0.5, "gamma": 0.3, "gain": 0.1, "offset": 0.0, "noise": 0.005}
OF_WHOLE = {"shift": 16, "gamma": 0.5, "gain": 0.5, "offset": 0.15, "noise": 0.03, "blur": 1.0}


def network(plan, start=None) -> keras.Model:
    """A fresh network of the plan; with ``start``, a model, that one, with a new head where its channels differ."""
    if start is None:
        shape = (None, None, plan.channels)
        return nets.unet(shape, plan.outputs, plan.filters, plan.depth, "same", normalization="batch")
    policy = keras.config.dtype_policy().name

    def computing(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    model = keras.models.clone_model(start, clone_function=computing)
    model.set_weights(start.get_weights())
    if model.output_shape[-1] == plan.outputs:
        return model
    logits = keras.layers.Conv2D(plan.outputs, 1, name="logits_of_yours")(model.layers[-1].input)
    return keras.Model(model.inputs, logits, name=model.name)


def batches(pictures, plan, steps, seed) -> training.Tiles:
    """Random tiles of pictures, turned and deformed, and the target made of what comes out."""
    normal = normalize.rule(plan.normalize)
    images, labeled = [], []
    for one in pictures:
        image, known = normal(one.image), one.labels
        if plan.side:
            image = resizing.squeezed(image, plan.side)
            known = resizing.stretched_labels(known, plan.side, plan.side)
        elif plan.scale != 1:
            image = resizing.scaled(image, plan.scale)
            known = resizing.stretched_labels(known, *image.shape[:2])
        images.append(np.repeat(image, plan.channels, axis=2) if image.shape[2] == 1 else image)
        labeled.append(known)
    elastic = 4.0 if plan.tile >= 128 else 2.0
    change = Augmenter(zoom=0.4 if plan.side else 0.3, elastic=elastic, **(OF_WHOLE if plan.side else SHADES))

    def augment(image, known, rng):
        image, known = change(image, known, rng)
        return image, *_target(known, plan)

    return training.Tiles(images, labeled, plan.tile, plan.tile, plan.batch, steps, seed, augment)


def _target(known, plan):
    """What is learned in place of labels (H, W), integers of that shape, and the weight of each pixel."""
    if plan.target == "border":
        return targets.with_border(known, plan.border_weight)
    if plan.target == "gap":
        known = labels.separate(known) > 0
    learned = targets.with_distances(known) if plan.target == "distance" else known.astype(np.int32)
    return learned, np.ones(known.shape, np.float32)


class _Learner(keras.callbacks.Callback):
    """After each epoch: judge, keep the best, and write all that is needed to go on."""

    def __init__(self, state, folder, validate, bar):
        super().__init__()
        self.state, self.folder, self.validate, self.bar = state, folder, validate, bar

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss) or not all(np.isfinite(one).all() for one in self.model.get_weights()):
            raise ValueError(
                f"the loss is no longer a number in epoch {epoch + 1}: are labels right, and images neither black nor "
                "cut? Run again with another --seed"
            )
        score = self.validate(self.model)
        state, name = self.state, f"epoch-{epoch + 1:03d}.keras"
        old = state.get("checkpoint")
        self.model.save(self.folder / name)
        later = state["score"][state["half"] :]  # at high rates a good score on few pictures is luck
        if score >= max(later, default=-1):  # of equals the one that has learned longer
            state["best"] = epoch + 1
            shutil.copyfile(self.folder / name, self.folder / "best.draft")
            (self.folder / "best.draft").replace(self.folder / "best.keras")
        state["loss"].append(loss)
        state["score"].append(score)
        state["seconds"] += time.perf_counter() - self.began
        state.update(epochs=epoch + 1, checkpoint=name)
        write_state(self.folder, state)
        if old and old != name:
            (self.folder / old).unlink(missing_ok=True)
        self.bar.set_postfix(loss=f"{loss:.3f}", validation=f"{score:.3f}")


def write_state(folder, state) -> None:
    """Write what is known of a training between two epochs; it appears when it is complete."""
    drafts.put(folder / "state.json", lambda draft: draft.write_text(json.dumps(state, indent=1), encoding="utf-8"))


def begun(folder, facts, steps=None) -> dict:
    """The state of a training in this folder, or a fresh one; ``ValueError`` where it was begun with other facts.

    steps: as many, computed in float32 on every machine; unless given, ``learned`` finds what the minutes allow.
    """
    path = Path(folder) / "state.json"
    if not path.exists():
        fresh = {"facts": facts, "epochs": 0, "loss": [], "score": [], "seconds": 0.0, "steps": steps or 0}
        return fresh | ({"precision": "float32"} if steps else {})
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name in facts if state["facts"].get(name) != facts[name]]
    except (ValueError, KeyError, AttributeError):
        raise ValueError(f"{path} is damaged: remove {folder} to begin anew") from None
    if other:
        raise ValueError(
            f"{folder} holds a training that was begun with other {', '.join(other)}: run the command as then to go "
            f"on, or remove the folder to begin anew"
        )
    return state


def learned(plan, parts, state, folder, minutes, seed, start, entries, bar) -> keras.Model:
    """The network with the best validation score of the second half of the epochs, in float32.

    plan, parts: ``{"train": pictures, "validation": pictures}``. state: of ``begun``, filled on the way. minutes: from
    the beginning, for what begins now. start: a model or ``None``. entries: of the passport. bar: as ``progress.bar``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    training.set_seed(seed)
    if "precision" not in state:
        state["precision"] = precision.usable("mixed_bfloat16")
    policy = state["precision"]
    with precision.policy(policy):
        model = network(plan, start)
    if not state["steps"]:
        state["steps"] = _affordable(model, parts["train"], plan, minutes, seed)
        write_state(folder, state)
        training.set_seed(seed)  # as if nothing had been timed
        with precision.policy(policy):
            model = network(plan, start)
    each = state.setdefault("each", max(EACH, math.ceil(state["steps"] / EPOCHS)))
    epochs = math.ceil(state["steps"] / each)
    state["half"] = epochs // 2
    state["steps"] = epochs * each  # whole epochs, and the rate falls to 0 at their end
    with precision.policy("float32"):
        plain = network(plan, start)
    reader = Segmenter(plain, entries)
    looked_at = parts["validation"][:LOOKED_AT]
    looked_at = (
        looked_at
        if plan.side
        else [
            one._replace(image=judge.central(one.image, judge.CROP), labels=judge.central(one.labels, judge.CROP))
            for one in looked_at
        ]
    )

    def validate(model):
        plain.set_weights(model.get_weights())
        return judge.after_an_epoch(reader, looked_at)

    done = state["epochs"]
    if done:
        model = keras.models.load_model(folder / state["checkpoint"])
    if done < epochs:
        rate = keras.optimizers.schedules.CosineDecay(plan.learning_rate, state["steps"])
        with bar(state["steps"], "step") as shown:
            shown.update(done * state["each"])
            training.fit(
                model,
                batches(parts["train"], plan, state["each"], seed),
                epochs=epochs,
                initial_epoch=done,
                optimizer=keras.optimizers.Adam(rate),
                loss=_loss(plan),
                callbacks=[_Learner(state, folder, validate, shown)],
            )
    plain.set_weights(keras.models.load_model(folder / "best.keras", compile=False).get_weights())
    return plain


def _loss(plan):
    if plan.target == "distance":
        return targets.squared_error
    kind = losses.BinaryCrossEntropy if plan.outputs == 1 else losses.CrossEntropy
    return kind(reduction="mean_with_sample_weight")


def _affordable(model, pictures, plan, minutes, seed):
    """Steps that the minutes allow, from the time that a few take."""
    probe = batches(pictures, plan, WARM + TIMED, seed)
    clock = _Clock()
    training.fit(model, probe, optimizer=keras.optimizers.Adam(1e-6), loss=_loss(plan), callbacks=[clock])
    step = float(np.median(np.diff(clock.times)[WARM - 1 :]))
    return max(FEWEST, int(60 * minutes * LEARNING / step))


class _Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())
