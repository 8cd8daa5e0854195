"""What the file of a network says of its use, read and checked once.

Entries of a passport that are read:

- ``"classes"``: their names, the background first.
- ``"normalize"``: a name of ``normalize.RULES``; ``"averaged"``: one of ``averaging.WAYS``.
- ``"side"``: pixels of the square to which images are squeezed. Or ``"scale"``: what lengths are multiplied by, for
  images of one microscope. Or ``"diameter"``: pixels of the objects that the network learned; a first pass measures
  those of an image, and a second sees it at that size.
- ``"objects"``: whether labels number objects; ``"one_piece"``: whether the last class is one piece. ``"choices"``: the
  fields of ``choices.Choices``.
- ``"heads"``: ``"mean"``, that of a network's heads, or ``"apart"``, for a dict of maps and a way that reads it.
- ``"outputs"``: ``"probabilities"``, or ``"values"`` where logits are not to become probabilities, as distances; for
  heads apart also a dict by head.

The others are for people: task, license, data, scores.
"""

import math

from unetbook import averaging, checks, choices, doubts, normalize

NEEDED = ("way", "threshold", "smallest")  # choices of a stored network that finds objects
KNOWN = {"heads": ("mean", "apart"), "averaged": (None, *averaging.WAYS)}
KINDS = "probabilities", "values"
SIZES = {
    "side": (int, 1, "a number of pixels of at least 1"),
    "scale": ((int, float), 0, "a number above 0"),
    "diameter": ((int, float), 1, "a number of pixels of at least 1"),
}


def checked(model, facts) -> tuple[str, tuple]:
    """What kind of maps the network gives, as ``choices.register`` names it, and (head, channels) of each.

    One map has the name ``None``. Raises ``ValueError`` for an entry that cannot be used.
    """
    if not facts.get("classes"):
        raise ValueError("this network names no classes: it is a part of others, and segments nothing by itself")
    checks.image_model(model)
    if not isinstance(facts["classes"], list | tuple) or not isinstance(facts.get("choices") or {}, dict):
        raise ValueError("the passport's classes must be a list of names, and its choices a dict")
    normalize.rule(facts.get("normalize", "as_it_is"))
    for name, known in KNOWN.items():
        if facts.get(name, known[0]) not in known:
            raise ValueError(
                f"the passport's {name} is {facts[name]!r}, and known are {', '.join(filter(None, known))}"
            )
    sizes = [name for name in SIZES if facts.get(name) is not None]
    if len(sizes) > 1:
        raise ValueError(
            f"a passport has a side, a scale or a diameter, and this one has {' and '.join(sizes)}: keep one"
        )
    for name in sizes:
        kind, least, unit = SIZES[name]
        value = facts[name]
        if isinstance(value, bool) or not (isinstance(value, kind) and least <= value < math.inf and value > 0):
            raise ValueError(f"the passport's {name} must be {unit}, not {value!r}")
    output = getattr(model, "output", None)  # a sequential model has ``outputs`` alone
    heads = output if isinstance(output, dict) else {}
    apart = facts.get("heads", "mean") == "apart"
    if apart and not heads:
        raise ValueError("the passport has its heads apart, and this network has one: leave the entry out")
    told = {outputs(facts, head) for head in heads} if apart else {outputs(facts, None)}
    if not told <= set(KINDS):
        raise ValueError(f"the passport's outputs must be 'probabilities' or 'values', not {facts['outputs']!r}")
    doubts.logits(model, outputs=facts.get("outputs"))
    if heads and not apart and "values" in told:
        raise ValueError("the mean of heads is one of probabilities: for other values, keep the heads 'apart'")
    channels = {head: tensor.shape[-1] for head, tensor in heads.items()}
    if apart:
        return "heads", tuple(channels.items())
    return told.pop(), ((None, model.outputs[0].shape[-1]),)


def outputs(facts, head) -> str:
    """Whether a head's logits become probabilities, or are values as they are."""
    said = facts.get("outputs", KINDS[0])
    return said.get(head, KINDS[0]) if isinstance(said, dict) else said


def stored_choices(facts, channels) -> choices.Choices:
    """The choices of a passport; of a network that tells classes, its threshold alone is read.

    Raises ``ValueError`` for choices that are unknown, or lacking.
    """
    stored, apart = dict(facts.get("choices") or {}), channels[0][0] is not None
    if facts.get("objects"):
        lacks = set(NEEDED[:1] if apart else NEEDED) - set(stored)
        if lacks:
            raise ValueError(
                f"this network finds objects, but its choices lack {', '.join(sorted(lacks))}: store it again"
            )
        return choices.changed(None, stored)
    if apart:
        way = stored.get("way")
        if way is None:
            raise ValueError("heads apart are read by a way that is registered for them: name it in choices['way']")
        return choices.changed(None, stored)
    way = "one_piece" if facts.get("one_piece") else "classes"
    the_most_probable = way == "classes" and channels[0][1] > 2
    kept = {} if the_most_probable or "threshold" not in stored else {"threshold": stored["threshold"]}
    return choices.changed(None, {"way": way, **kept})
