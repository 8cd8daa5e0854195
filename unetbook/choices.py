"""From what a network says to labels, by name: the ways, their choices, and what is refused before a picture is read.

A way is a function of the maps of one image that returns int32 labels (H, W). Its keyword arguments are its choices;
what they mean stands in ``Choices``. ``register`` adds a way, also one that reads several maps at once.
"""

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from unetbook import checks, instances


@dataclasses.dataclass(frozen=True)
class Choices:
    """What is chosen when maps become labels; ``None`` where the way has no such choice, or leaves it to the maps.

    way: a name of ``WAYS``. threshold: least value of a pixel, a probability in (0, 1]; of distances in pixels.
    smallest: pixels, at the size at which the network works; smaller objects become background. depth, core, grow,
    smallest_seed: as in ``instances``.
    """

    way: str
    threshold: float | None = None
    smallest: int | None = None
    depth: float | None = None
    core: float | None = None
    grow: int | None = None
    smallest_seed: int | None = None

    def given(self) -> dict:
        """The choices that are not ``None``, without the way: what the way is called with."""
        named = dataclasses.asdict(self)
        return {name: value for name, value in named.items() if name != "way" and value is not None}


class Way(NamedTuple):
    """A way: its function, its options with their defaults, what maps it reads, and whether it numbers objects."""

    decode: Callable
    defaults: dict
    reads: str
    objects: bool


WAYS: dict[str, Way] = {}
OPTIONS = [field.name for field in dataclasses.fields(Choices) if field.name != "way"]


def register(decode, reads="probabilities", objects=True, name=None, defaults=None):
    """Add a way; returns ``decode``, so that it may be used as a decorator.

    decode: function (maps, **options) -> int32 labels (H, W). reads: ``"probabilities"`` or ``"values"``, one array
    (H, W, classes), or ``"heads"``, a dict of arrays. objects: whether the labels number objects; if not, they are
    classes. defaults: the options; those of the function's signature unless given. Raises ``ValueError`` for an option
    that ``Choices`` does not have.
    """
    if defaults is None:
        _, *options = inspect.signature(decode).parameters.values()
        defaults = {option.name: option.default for option in options}
    unknown = set(defaults) - set(OPTIONS)
    if unknown:
        raise ValueError(f"options of a way are fields of Choices, and {', '.join(sorted(unknown))} is none: add it")
    WAYS[name or decode.__name__] = Way(decode, defaults, reads, objects)
    return decode


def classes(maps, threshold=None) -> np.ndarray:
    """The most probable class; of two classes, or one channel, the last where it reaches the threshold, 0.5 unless set.

    maps: probabilities (H, W, classes). Returns int32 (H, W). Raises ``ValueError`` for a threshold of more classes.
    """
    if maps.shape[2] <= 2:
        return (maps[..., -1] >= checks.threshold(0.5 if threshold is None else threshold)).astype(np.int32)
    if threshold is not None:
        raise ValueError(f"of {maps.shape[2]} classes the most probable is taken: leave out threshold={threshold!r}")
    return maps.argmax(axis=2).astype(np.int32)


def one_piece(maps, threshold=0.5) -> np.ndarray:
    """The last class as one piece without holes (``instances.one_piece``): int32 (H, W), 0 and 1."""
    return instances.one_piece(maps[..., -1], threshold).astype(np.int32)


def _of_instances(way):
    """One of the ways of ``instances``, with the option ``smallest`` that all of them have."""
    _, *options = inspect.signature(instances.WAYS[way]).parameters.values()
    defaults = {option.name: option.default for option in options} | {"smallest": 0}
    register(
        functools.partial(instances.from_probabilities, way=way),
        reads="values" if way == "distance" else "probabilities",
        name=way,
        defaults=defaults,
    )


register(classes, objects=False)
register(one_piece, objects=False)
for _way in instances.WAYS:
    _of_instances(_way)


def closest(name, known) -> str:
    """`` did you mean ...?`` with the known name that is most like this one, and all of them."""
    like = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    return (f"did you mean {like[0]!r}? " if like else "") + f"Known: {', '.join(known)}"


def changed(before: Choices | None, given: dict) -> Choices:
    """These choices with others in their place; an option that a new way does not have is left behind.

    ``None`` takes the default of the way. Raises ``ValueError`` for an unknown choice or way, naming the closest, and
    for a choice that the way does not have, naming the ways that do.
    """
    for name in given:
        if name not in ("way", *OPTIONS):
            raise ValueError(f"there is no choice {name!r}; {closest(name, ['way', *OPTIONS])}")
    name = given.get("way", before.way if before else None)
    if not isinstance(name, str) or name not in WAYS:
        raise ValueError(f"there is no way {name!r} from maps to labels; {closest(name, list(WAYS))}")
    defaults = WAYS[name].defaults
    options = before.given() if before else {}
    options = {option: value for option, value in options.items() if option in defaults}
    for option, value in given.items():
        if option == "way":
            continue
        value = value.item() if isinstance(value, np.generic) else value
        if value is not None and option not in defaults:
            having = [way for way, one in WAYS.items() if option in one.defaults]
            raise ValueError(f"the way {name!r} has no {option}: leave it out, or take one of {', '.join(having)}")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{option} must be a number, not {value!r}")
        options[option] = value
    options = {option: value for option, value in options.items() if value is not None}
    return Choices(name, **{**defaults, **options})


@functools.lru_cache(maxsize=4096)
def check(choices: Choices, reads: str, channels: tuple) -> None:
    """``ValueError`` where the way cannot read these maps, or does not take these values.

    reads: what the network's maps are, as in ``register``; channels: (head, number of channels) of each. The way is run
    once on a picture of background, so that what it refuses is told before a network is run.
    """
    way = WAYS[choices.way]
    if way.reads != reads:
        having = ", ".join(name for name, one in WAYS.items() if one.reads == reads) or "none yet: register one"
        raise ValueError(
            f"the way {choices.way!r} reads {way.reads}, this network gives {reads}; ways for it: {having}"
        )
    empty = {head: np.zeros((4, 4, count), np.float32) for head, count in channels}
    for one in empty.values():
        one[..., 0] = one.shape[2] > 1 and reads != "values"
    try:
        way.decode(empty if reads == "heads" else next(iter(empty.values())), **choices.given())
    except ValueError as error:
        raise ValueError(str(error).replace("(4, 4, ", "(H, W, ")) from None
