"""What lies beside a training, so that a stop costs one epoch at most: a checkpoint, and what it belongs to."""

import dataclasses
import math
import time

import keras

from studies import precision, records
from studies.provenance import provenance


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """What a training depends on beside the code. A checkpoint of another one is refused, and what differs is named."""

    study: str
    seed: int
    settings: dict
    data: list
    parts: str

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


class State:
    """What is known of a training between two epochs, in ``state.json`` beside its checkpoint."""

    def __init__(self, folder, facts):
        self.folder, self.facts = folder, facts

    @classmethod
    def of(cls, folder, fingerprint, wanted):
        """The state in the folder, or a fresh one. Raises ``ValueError`` where it was begun with something else."""
        there = records.read(folder / "state.json")
        if there is None:
            fresh = {"epochs": 0, "curves": {}, "seconds": 0.0, "precision": precision.usable(wanted)}
            facts = {"fingerprint": dataclasses.asdict(fingerprint), **fresh, "came_from": provenance()}
            return cls(folder, records.plain(facts))
        differs = fingerprint.differs(there["fingerprint"])
        if differs:
            raise ValueError(f"{folder} was begun with other {'; '.join(differs)}: remove the folder to start anew")
        return cls(folder, there)


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
        # Not only a high rate does this. On processors with AMX, TensorFlow 2.21's gradient of some unpadded bfloat16
        # convolutions multiplies memory that nobody wrote by 0: exact, unless a NaN happens to lie there.
        if not math.isfinite((logs or {}).get("loss", 0)):
            raise ValueError(
                f"the loss of seed {self.seed} is no longer a number in epoch {epoch + 1}, of which {folder} has "
                "nothing: run again to repeat it, or change the learning rate of the arm if that happens again"
            )
        values = {**(logs or {}), **self.validate(self.model)}
        for name, value in values.items():
            state["curves"].setdefault(name, []).append(round(float(value), records.DIGITS))
        folder.mkdir(parents=True, exist_ok=True)
        old, new = state.get("checkpoint"), f"epoch-{epoch + 1:03d}.keras"
        self.model.save(folder / new)
        state["seconds"] += time.perf_counter() - self.began
        state.update(epochs=epoch + 1, checkpoint=new)
        records.write(folder / "state.json", state)
        if old and old != new:
            (folder / old).unlink(missing_ok=True)
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        self.bar.write(f"seed {self.seed}  epoch {epoch + 1}/{self.epochs}  {shown}  {state['seconds']:.0f} s")
