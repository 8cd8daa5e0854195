"""What lies beside a training, so that a stop costs one epoch at most: a checkpoint, and what it belongs to."""

import dataclasses
import math
import time

import keras
import numpy as np

from studies import locks, records
from studies.provenance import provenance
from unetbook import precision


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What a training depends on beside the code. A checkpoint of another one is refused, and what differs is named."""

    study: str
    seed: int
    settings: dict
    data: list
    parts: str  # SHA-256 of what is learned from and validated on
    encoder: str  # SHA-256 of the weights that the training starts from

    def differs(self, other: dict) -> list[str]:
        """What is other in the fingerprint of a checkpoint, in words."""
        mine = records.plain(dataclasses.asdict(self))
        names = [name for name in mine if name != "settings" and other.get(name) != mine[name]]
        told, wanted = other.get("settings", {}), mine["settings"]
        return names + [
            f"{name} {told.get(name)!r}, now {wanted.get(name)!r}"
            for name in sorted({*told, *wanted})
            if told.get(name) != wanted.get(name)
        ]


class Diverged(ValueError):
    """A training whose loss, scores or weights are no longer numbers."""


class State:
    """What is known of a training between two epochs, in ``state.json`` beside its checkpoint."""

    def __init__(self, folder, facts):
        self.folder, self.facts = folder, facts

    @classmethod
    def of(cls, folder, fingerprint, wanted):
        """The state in the folder, or a fresh one. Raises ``ValueError`` where it was begun with something else."""
        there = records.read(folder / "state.json", f"remove {folder} to start anew")
        if there is None:
            fresh = {"epochs": 0, "curves": {}, "seconds": 0.0, "read": [], "continued": []}
            fresh |= {"precision": precision.usable(wanted), "came_from": provenance()}
            facts = {"fingerprint": dataclasses.asdict(fingerprint), **fresh}
            return cls(folder, records.plain(facts))
        differs = fingerprint.differs(there["fingerprint"])
        if differs:
            raise ValueError(f"{folder} was begun with other {'; '.join(differs)}: remove the folder to start anew")
        return cls(folder, there)

    def goes_on(self, now: dict) -> None:
        """Note what is another machine, backend or commit than when the training began, before it goes on."""
        other = {name: value for name, value in now.items() if self.facts["came_from"][name] != value}
        if other:
            self.facts["continued"].append({"epoch": self.facts["epochs"], **other})


class Checkpoint(keras.callbacks.Callback):
    """After each epoch: validate, tell, store model and optimizer, so that a stop costs one epoch at most."""

    def __init__(self, state, seed, epochs, validate, bar):
        super().__init__()
        self.state, self.seed, self.epochs, self.validate, self.bar = state, seed, epochs, validate, bar

    def on_epoch_begin(self, epoch, logs=None):
        """Give drop-out an epoch's own random numbers: a resumed run then drops what it would have dropped."""
        self.began = time.perf_counter()
        for number, layer in enumerate(self.model.layers):
            if hasattr(layer, "seed_generator"):
                layer.seed_generator.state.assign([self.seed * 1000 + epoch, number])

    def on_train_batch_end(self, batch, logs=None):
        """One step more."""
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        """Write the checkpoint first and the state that names it last, so that neither is ever half there."""
        state, folder = self.state.facts, self.state.folder
        values = {**(logs or {}), **self.validate(self.model)}
        # Not only a high rate does this. On processors with AMX, TensorFlow 2.21's gradient of some unpadded bfloat16
        # convolutions multiplies memory that nobody wrote by 0: exact, unless a NaN happens to lie there.
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if broken or not all(np.isfinite(weights).all() for weights in self.model.get_weights()):
            raise Diverged(
                f"the {', '.join(broken) or 'weights'} of seed {self.seed} are no longer numbers in epoch {epoch + 1}, "
                f"of which {folder} has nothing: run again to repeat it, or change the learning rate of the arm"
            )
        for name, value in values.items():
            state["curves"].setdefault(name, []).append(round(float(value), records.DIGITS))
        folder.mkdir(parents=True, exist_ok=True)
        old, new = state.get("checkpoint"), f"epoch-{epoch + 1:03d}.keras"
        self.model.save(folder / new)
        locks.to_disk(folder / new)
        state["seconds"] += time.perf_counter() - self.began
        state.update(epochs=epoch + 1, checkpoint=new)
        records.write(folder / "state.json", state)
        if old and old != new:
            (folder / old).unlink(missing_ok=True)
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        self.bar.write(f"seed {self.seed}  epoch {epoch + 1}/{self.epochs}  {shown}  {state['seconds']:.0f} s")
