"""Every setting that a study may have, with its type; and who read it.

A setting is a value that code reads, never a sentence. An unknown name or a value of another type is refused when the
catalog is imported; one that no arm reads is an error when the study has run.
"""

import dataclasses
import difflib
from typing import Literal, get_args, get_origin, get_type_hints

UNSET = type("Unset", (), {"__repr__": lambda self: "UNSET"})()

Network = Literal["unet", "unetpp", "improved_unet", "encoder"]
Loss = Literal["cross_entropy", "weighted_cross_entropy", "binary_cross_entropy", "dice", "bce_dice", "squared_error"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is built, from which pictures, how it is trained and how it is read. Each is ``UNSET`` unless given."""

    # The network: each option goes to its function in unetbook.nets, under its own name.
    network: Network = UNSET
    filters: int = UNSET
    depth: int = UNSET
    padding: Literal["valid", "same"] = UNSET
    skip: Literal["concat", "add", "none"] = UNSET
    upsampling: Literal["transpose", "nearest", "bilinear"] = UNSET
    activation: str = UNSET
    normalization: str | None = UNSET
    dropout: float = UNSET
    deep_supervision: bool = UNSET
    alpha: float = UNSET  # width of an encoder
    start: Literal["random", "frozen", "fine-tuned"] = UNSET  # an encoder's weights
    weights_of: str | None = UNSET  # a kept network that a training on a folder starts from

    # The pictures.
    pictures: tuple[str, ...] = UNSET  # functions of unetbook.datasets.synthetic
    objects: int = UNSET  # in a picture
    size: int = UNSET  # pixels of a side
    training_pictures: int = UNSET
    learned_pictures: int = UNSET  # the first of these
    test_pictures: int = UNSET
    annotated: int = UNSET  # pictures that are drawn, to learn from and to choose on
    side: int = UNSET  # pixels of the square that real pictures are squeezed to
    normalize: str = UNSET  # a rule of unetbook.normalize
    left_out: Literal["nothing", "kind", "as many at random"] = UNSET  # of training and validation
    kind: str = UNSET  # of picture, that is left out

    # What is learned.
    target: Literal["mask", "classes", "gaps", "border", "distance"] = UNSET
    made: Literal["once", "after each turn"] = UNSET  # when the target is made: gaps that are turned may close
    w0: float = UNSET  # of the border term of equation 2
    sigma: float = UNSET  # pixels
    balanced: bool = UNSET  # class weights
    border_weight: float = UNSET  # of pixels of a border class
    distance_up_to: int = UNSET  # pixels

    # The training.
    augmentation: dict | Literal["none", "turn_and_shade", "recolored"] = UNSET  # options of unetbook.augment.Augmenter
    color: float = UNSET  # each channel times 1 - color to 1 + color
    tile: int = UNSET  # pixels
    batch: int = UNSET
    steps: int = UNSET  # an epoch
    epochs: int = UNSET
    precision: Literal["float32", "mixed_bfloat16"] = UNSET
    loss: Loss = UNSET
    optimizer: Literal["adam", "sgd"] = UNSET  # SGD with momentum 0.99
    learning_rate: float = UNSET
    schedule: Literal["constant", "cosine"] = UNSET  # the cosine falls to 0 over all steps
    warmup: int = UNSET  # steps in which the rate rises from 0

    # How the network is read. These do not change the training, so arms that differ in nothing else share it.
    head: Literal["L1", "L2", "L3", "L4", "mean"] = UNSET  # of a U-Net++
    way: str = UNSET  # to objects, of unetbook.instances
    averaged: bool = UNSET  # over several positions
    one_piece: bool = UNSET
    thresholds: Literal["one", "one for each score"] = UNSET
    scored: Literal["outline", "mask", "errors", "objects", "classes", "test", "validation", "once"] = UNSET
    boundary_tolerance: int = UNSET  # pixels

    # Settings that another study found best: names of its arms, of which the one with the best mean is taken.
    best_in: str = UNSET
    best_of: tuple[str, ...] = UNSET


READING = ("head", "way", "averaged", "one_piece", "thresholds", "scored", "boundary_tolerance")
NETWORK = ("filters", "depth", "padding", "skip", "upsampling", "activation", "normalization", "dropout")
NETWORK += ("deep_supervision", "alpha")
TYPES = get_type_hints(Settings)


def checked(values: dict, where: str) -> dict:
    """The values, or ``ValueError`` that names an unknown setting, with the closest, or a value of another type."""
    for name, value in values.items():
        if name not in TYPES:
            close = difflib.get_close_matches(name, TYPES, n=1, cutoff=0.5)
            hint = f": did you mean {close[0]!r}?" if close else f". Known: {', '.join(TYPES)}"
            raise ValueError(f"{where} has the setting {name!r}, which there is not{hint}")
        if not _is_a(value, TYPES[name]):
            raise ValueError(f"{where} has {name} = {value!r}, which is not {_name(TYPES[name])}")
    return values


class MissingSettingError(AttributeError, ValueError):
    """A setting that the code reads and the arm does not have."""


class Read:
    """The settings of one arm, ``settings.tile``, which remember what was read.

    values: {name: value}. A setting that the arm does not have raises ``MissingSettingError``, which names the arm;
    ``get`` has a default.
    """

    def __init__(self, values: dict, where="a study"):
        self._values, self._where, self._names = dict(values), where, set()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self._names.add(name)
        if name not in self._values:
            raise MissingSettingError(f"{self._where} needs the setting {name!r}: give it in studies/catalog.py")
        return self._values[name]

    def get(self, name, default=None):
        """The setting, or ``default`` where the arm does not have it."""
        self._names.add(name)
        return self._values.get(name, default)

    def options(self, names) -> dict:
        """Those of these settings that the arm has."""
        return {name: getattr(self, name) for name in names if name in self._values}

    def all(self) -> dict:
        """A copy of the values."""
        return dict(self._values)

    def asked(self) -> set[str]:
        """The names that were asked for."""
        return set(self._names)

    def also(self, names) -> None:
        """Count these as read: an earlier call did."""
        self._names |= set(names)

    def unread(self) -> set[str]:
        """The settings that nothing has read."""
        return set(self._values) - self._names


def _is_a(value, kind):
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(one, get_args(kind)[0]) for one in value)
    if get_args(kind):  # a union
        return any(_is_a(value, one) for one in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def _name(kind):
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    if get_args(kind) and get_origin(kind) is not tuple:
        return " or ".join(map(_name, get_args(kind)))
    return getattr(kind, "__name__", str(kind)) if not get_args(kind) else str(kind)
