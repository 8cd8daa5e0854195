"""One object from a picture to labels: what ``predict``, a measured run and a chapter do with a picture.

    segmenter = unetbook.load("nuclei")
    labels = segmenter(image)

It owns a network and its passport (``passports``): normalization, channels, size, tiles, averaging, and how maps become
labels (``choices``). All of it is checked when a ``Segmenter`` is made.
"""

import copy
from pathlib import Path

import numpy as np

from unetbook import averaging, choices, labels, nets, normalize, passports, resizing, results, store, tiling
from unetbook.choices import WAYS, Choices
from unetbook.kept import NAMES

OF_THE_FILE = ("unetbook", "keras", "parameters", "geometry")  # what ``store.save`` writes anew
LARGEST = 8.0  # times that an image is made larger, or smaller, to the size of objects that a network knows
NEAR = 1.05  # times by which objects may differ from that size without a second pass


class Segmenter:
    """A network with all that stands between a picture and its labels.

    model: a Keras network that returns logits (N, H, W, classes), or a dict of them. passport: its entries
    (``passports``), the model's ``metadata`` unless given (``store.load``). ``choices``: how maps become labels.

    Raises ``ValueError`` that names the entry and the fix.
    """

    def __init__(self, model, passport=None):
        facts = getattr(model, "metadata", None) if passport is None else passport
        if not facts:
            raise ValueError("this network has no passport: give one, such as {'classes': ['background', 'cell']}")
        self.model, self._facts = model, copy.deepcopy(dict(facts))
        self._reads, self._channels = passports.checked(model, self._facts)
        self.choices = passports.stored_choices(self._facts, self._channels)
        self._check(self.choices)

    @property
    def passport(self) -> dict:
        """A copy of the passport, with the choices as they are."""
        way = WAYS[self.choices.way]
        said = {"objects": way.objects, "one_piece": self.choices.way == "one_piece"}
        chosen = {"way": self.choices.way, **self.choices.given()}
        return copy.deepcopy(self._facts) | said | {"choices": chosen}

    @property
    def finds_objects(self) -> bool:
        """Whether labels number objects; if not, they are classes."""
        return WAYS[self.choices.way].objects

    def __call__(
        self, image, *, once=False, progress=False, channels=None, ground=None, stretch=False, **chosen
    ) -> np.ndarray:
        """Labels of one image, int32 (H, W): objects 1 to n on 0, or classes.

        image: (H, W) or (H, W, C); uint8, uint16, or floats in [0, 1]. Gray is given to each channel of a network of
        three, and of colors a network of one sees the mean. once: one position instead of the mean of several, seven or
        eight times faster. progress: a bar of tiles. channels: indices of the image's channels, in the network's order.
        ground: "dark" or "light" where the network's normalization asks and you know better. stretch: gray values
        between their percentiles first, where it does not stretch them (``normalize.applied``). chosen: choices for
        this call. Raises ``ValueError`` or ``TypeError`` with the fix.
        """
        reader = self.replace(**chosen) if chosen else self
        look = {"channels": channels, "ground": ground, "stretch": stretch}
        maps = reader.maps(image, once=once, progress=progress, **look)
        return reader.labels(maps, np.shape(image))

    def probabilities(self, image, *, once=False, progress=False, channels=None, ground=None, stretch=False):
        """What the network says at the image's own size: float32 (H, W, classes); of heads apart a dict of them."""
        look = {"channels": channels, "ground": ground, "stretch": stretch}
        maps = self.maps(image, once=once, progress=progress, **look)
        size = np.shape(image)[:2]
        return {head: _at(of, size) for head, of in maps.items()} if isinstance(maps, dict) else _at(maps, size)

    def maps(self, image, *, once=False, progress=False, channels=None, ground=None, stretch=False):
        """What the network says at the size at which it works, which ``labels`` reads: compute once, choose often."""
        image = normalize.applied(self._rule, self._as_read(image, channels), ground, stretch)
        if self._facts.get("side"):
            image = resizing.squeezed(image, self._facts["side"])
        elif self._facts.get("scale"):
            image = resizing.scaled(image, self._facts["scale"])
        elif self._facts.get("diameter"):
            image = self._at_known_size(image, progress)
        return self._averaged(image, once, progress)

    def described(self, image, *, channels=None, ground=None, stretch=False) -> list[str]:
        """What normalization does to an image that a person should know, in words (``normalize.described``)."""
        return normalize.described(self._rule, self._as_read(image, channels), ground, stretch)

    def labels(self, maps, shape, **chosen) -> np.ndarray:
        """Labels int32 (H, W) of an image of this shape from its ``maps``, with other choices where they are given."""
        picked = self._chosen(chosen) if chosen else self.choices
        way, size = WAYS[picked.way], tuple(shape[:2])
        if way.objects or isinstance(maps, dict):
            found = way.decode(maps, **picked.given())
            return found if found.shape == size else resizing.stretched_labels(found, *size)
        return way.decode(_at(maps, size), **picked.given())

    def replace(self, **chosen) -> "Segmenter":
        """The same network with other choices; scores that were measured with the old ones leave the passport."""
        other = copy.copy(self)
        other.choices = self._chosen(chosen)
        if other.choices != self.choices:
            other._facts = {name: fact for name, fact in self._facts.items() if name != "scores"}
        return other

    def save(self, path, half=False) -> Path:
        """Write a file that ``unetbook.load`` reads; half: weights in half precision. Errors as ``store.save``."""
        facts = {name: fact for name, fact in self.passport.items() if name not in OF_THE_FILE}
        return store.save(self.model, path, half, **facts)

    def _chosen(self, chosen) -> Choices:
        picked = choices.changed(self.choices, chosen)
        self._check(picked)
        return picked

    def _check(self, picked):
        choices.check(picked, self._reads, self._channels)
        told = max(2, self._channels[0][1])
        if picked.way == "classes" and len(self._facts["classes"]) != told:
            named = len(self._facts["classes"])
            raise ValueError(f"the passport names {named} classes and the network tells {told}: name each")

    @property
    def _rule(self):
        return self._facts.get("normalize", "as_it_is")

    def _as_read(self, image, channels):
        """The image with the network's channels: float32 (H, W, C) in [0, 1]."""
        image = normalize.as_floats(image)
        if channels is not None:
            image = normalize.picked(image, channels)
        wanted, there = self.model.input_shape[-1], image.shape[2]
        if there != wanted:
            if wanted not in (1, 3) or there not in (1, 3):
                raise ValueError(
                    f"the network takes {wanted} channel(s) and the image has {there}, which come last: choose some, "
                    f"channels={tuple(range(wanted))} for instance"
                )
            image = np.repeat(image, 3, axis=2) if wanted == 3 else image.mean(axis=2, keepdims=True)
        return image

    def _averaged(self, image, once, progress):
        """The maps of a prepared image, float32 (h, w, classes) or a dict; all heads are averaged as one array."""
        apart = self._reads == "heads"

        def predict(shown):
            told = tiling.predict(self.model, shown, progress=progress)
            if apart:
                return np.concatenate([self._activated(head, told[head]) for head, _ in self._channels], axis=-1)
            return self._activated(None, told)

        averaged = None if once else self._facts.get("averaged")
        maps = averaging.WAYS[averaged](predict, image) if averaged else predict(image)
        if not apart:
            return maps
        heads, counts = zip(*self._channels, strict=True)
        return dict(zip(heads, np.split(maps, np.cumsum(counts)[:-1], axis=-1), strict=True))

    def _activated(self, head, logits):
        return logits if passports.outputs(self._facts, head) == "values" else nets.probabilities(logits)

    def _at_known_size(self, image, progress):
        """The image, rescaled so that its median object has the diameter that the network learned."""
        found = self.labels(self._averaged(image, True, progress), image.shape)
        areas = np.bincount((found if self.finds_objects else labels.connected(found > 0)).ravel())[1:]
        if not areas.any():
            return image
        seen = float(np.median(2 * np.sqrt(areas[areas > 0] / np.pi)))
        scale = min(max(self._facts["diameter"] / seen, 1 / LARGEST), LARGEST)
        return image if 1 / NEAR <= scale <= NEAR else resizing.scaled(image, scale)


def load(name_or_path) -> Segmenter:
    """A kept network by its name (``NAMES``) or that of its file, or a file of ``Segmenter.save`` or ``store.save``.

    Raises ``ValueError`` for an unknown name, with the closest, and for a file that is damaged or has no passport;
    ``FileNotFoundError`` for a path where nothing is.
    """
    weights, name, path = results.folder() / "weights", str(name_or_path), Path(name_or_path)
    kept = sorted(file.stem for file in weights.glob("*.keras"))
    if NAMES.get(name, name) in kept:
        path = weights / f"{NAMES.get(name, name)}.keras"
    elif path.suffix != ".keras" and path.name == name and not path.is_file():
        raise ValueError(f"there is no network {name!r}; {choices.closest(name, [*NAMES, *kept])}, or a .keras file")
    return Segmenter(store.load(path))


def _at(maps, size):
    """Maps (h, w, K) at another size, float32."""
    return maps if maps.shape[:2] == size else resizing.stretched(maps, *size)
