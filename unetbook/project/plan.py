"""What is chosen for a training, by rules, from what was found in the pictures; each with its reason."""

import dataclasses

import numpy as np

from unetbook import geometry
from unetbook.project.found import Found

TOUCHING = 0.05  # share of objects that touch another one, from which on they are told apart by training
ROUND = 0.9  # least solidity of round objects
SMALL, LARGE, IDEAL = 10, 40, 30  # pixels: objects that the network is shown as they are, and what others become
WHOLE = 0.25  # share of a picture's shorter side, from which on its object is seen at once
SIDE = 128  # pixels of the square to which such pictures are squeezed
TILES = (96, 256)  # smallest and largest side of a tile
PIXELS = 8 * 192**2  # of a batch
UNLIKE = 2.0  # times that one picture may reach higher gray values than another before all are stretched
AGREE = 0.95  # share of pictures whose ground is told right, from which on light ground is inverted
DIM = 0.5  # gray value that the brightest picture should reach
ADAM, TUNED = 2e-3, 5e-4  # highest rate from random weights, and from those of a network


@dataclasses.dataclass(frozen=True)
class Plan:
    """The choices of one training.

    target: ``"gap"``, ``"border"``, ``"distance"`` for objects, ``"classes"`` otherwise. scale: what pictures are
    multiplied by, or ``side``: the square to which they are squeezed. tile: pixels. The rest as in ``nets.unet``,
    ``targets`` and ``training.Tiles``.
    """

    target: str
    classes: int
    normalize: str
    channels: int
    scale: float = 1.0
    side: int | None = None
    border_weight: float = 1.0
    tile: int = 192
    batch: int = 8
    filters: int = 16
    depth: int = 4
    learning_rate: float = ADAM
    sigmoid: bool = False  # one channel for two classes, as some networks to start from have

    @property
    def outputs(self) -> int:
        """Channels of the network."""
        return {"gap": 2, "border": 3, "distance": 1}.get(self.target, 1 if self.sigmoid else self.classes)


def made(found: Found) -> tuple[Plan, list[tuple[str, str, str]]]:
    """The plan, and its rows (what, chosen, why)."""
    rows = []

    def row(what, chosen, why):
        rows.append((what, str(chosen), why))

    target, border_weight = _target(found, row)
    scale, side = _size(found, row)
    normalize = _normalize(found, side, row)
    tile = side or _tile(found, scale, row)
    batch = int(np.clip(round(PIXELS / tile**2), 2, 16))
    row("batch", f"{batch} tiles", f"{batch * tile**2:,} pixels a step")
    plan = Plan(target, found.classes, normalize, found.channels, scale, side, border_weight, tile, batch)
    row("network", "U-Net, 16 channels, four poolings", "two million weights, which two cores train in minutes")
    return plan, rows


def started(plan: Plan, rows, segmenter, name) -> tuple[Plan, list[tuple[str, str, str]]]:
    """The plan and the rows of a training that starts from the weights of a network; all else stays as it was chosen.

    Raises ``ValueError`` for a network of several heads, of unpadded convolutions, or of other channels.
    """
    model = segmenter.model
    if isinstance(model.output, dict):
        raise ValueError(f"{name} has several heads: start from a network with one, such as unetbook.nets.prune makes")
    if geometry.of(model).margin:
        raise ValueError(f"{name} has unpadded convolutions, and a training on a folder starts from padded ones")
    wanted = model.input_shape[-1]
    if wanted != plan.channels and (wanted != 3 or plan.channels != 1):
        raise ValueError(
            f"{name} takes {wanted} channel(s) and the pictures have {plan.channels}: choose channels, --channels 0 "
            "for instance, or start from random weights"
        )
    sigmoid = plan.target == "classes" and plan.classes == 2 and model.output_shape[-1] == 1
    plan = dataclasses.replace(plan, channels=wanted, learning_rate=TUNED, sigmoid=sigmoid)
    last, told = model.layers[-1], model.output_shape[-1]
    if told != plan.outputs and getattr(last, "kernel_size", None) != (1, 1):
        raise ValueError(
            f"{name} tells {told} channel(s) by its layer {last.name!r}, and {plan.outputs} are needed here: only a "
            "1 x 1 convolution at the end is replaced; start from another network, or from random weights"
        )
    row = ("start", f"the weights of {name}", f"with a rate of {TUNED:g} in place of {ADAM:g}")
    return plan, [row, *(one for one in rows if one[0] != "network")]


def _target(found, row):
    share = f"{found.touching:.0%} of the objects touch another one"
    if found.task == "classes":
        row("target", f"{found.classes} classes", f"{found.encoding}")
        return "classes", 1.0
    if found.touching < TOUCHING:
        row("target", "inside or not", f"{share}, fewer than {TOUCHING:.0%}")
        return "gap", 1.0
    shape = f"they cover {found.solidity:.0%} of their convex hull"
    if found.solidity < ROUND:
        row("target", "inside, border (10 times the weight) or ground", f"{share}, and {shape}, less than {ROUND:.0%}")
        return "border", 10.0
    row("target", "distance to the outside", f"{share}, and {shape}: round")
    return "distance", 1.0


def _normalize(found, side, row):
    if found.task == "objects":
        told = f"of {found.agree:.0%} of the pictures a rule tells whether objects are brighter or darker"
        if found.agree >= AGREE:
            row("normalization", "bright on dark", told)
            return "bright_on_dark"
        row("normalization", "stretched", f"{told}: fewer than {AGREE:.0%}")
        return "stretched"
    if side:
        row("normalization", "stretched", "pictures are seen at once: lamps and cameras differ, and shapes count")
        return "stretched"
    low, high = min(found.reach), max(found.reach)
    if high > UNLIKE * max(low, 1e-6) or high < DIM:
        row("normalization", "stretched", f"the brightest gray values are {low:.2f} to {high:.2f} of the range")
        return "stretched"
    row("normalization", "as it is", f"the brightest gray values are {low:.2f} to {high:.2f}: alike, and bright enough")
    return "as_it_is"


def _size(found, row):
    shorter = min(min(size) for size in found.sizes)
    told = f"the median object measures {found.diameter:.0f} pixels"
    if found.task == "classes" and found.diameter > WHOLE * shorter and shorter > SIDE:
        row("size", f"whole pictures, {SIDE} x {SIDE}", f"{told}, more than {WHOLE:.0%} of a side: it is seen at once")
        return 1.0, SIDE
    if SMALL <= found.diameter <= LARGE:
        row("size", "as it is", f"{told}, between {SMALL} and {LARGE}")
        return 1.0, None
    scale = float(np.clip(IDEAL / found.diameter, 1 / 8, 4))
    scale = float(f"{scale:.2g}")
    row("size", f"{scale:g} times", f"{told}: shown to the network at about {scale * found.diameter:.0f}")
    return scale, None


def _tile(found, scale, row):
    smallest, largest = TILES
    across = 32 * round(6 * found.diameter * scale / 32)
    longest = 32 * int(np.ceil(scale * max(max(size) for size in found.sizes) / 32))
    tile = int(np.clip(across, smallest, min(largest, max(longest, smallest))))
    row("tile", f"{tile} x {tile}", f"about six objects across, between {smallest} and {largest}")
    return tile
