"""Random parts that keep what belongs together, give each kind its share, or take turns as folds."""

import numpy as np


def by_group(ids, fractions, seed: int, groups=None) -> list[list]:
    """Split ids at random into parts of about the given fractions, keeping each group whole.

    ids: list of names. fractions: numbers that sum to 1, such as (0.6, 0.2, 0.2). groups: one hashable an id (patient,
    volume, plate); ids of a group share what is to be predicted, so a split through it would leak. Each part keeps the
    order of ``ids``. Raises ``ValueError`` where fractions do not sum to 1 or a part stays empty.
    """
    ids = list(ids)
    groups = ids if groups is None else list(groups)
    if len(groups) != len(ids):
        raise ValueError(f"{len(ids)} ids but {len(groups)} groups: give one group an id")
    if abs(sum(fractions) - 1) > 1e-9 or min(fractions) <= 0:
        raise ValueError(f"fractions must be positive and sum to 1, not {tuple(fractions)}")
    members = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    order = list(members)
    np.random.default_rng(seed).shuffle(order)
    bounds = np.round(np.cumsum(fractions) * len(ids))
    parts, taken = [[] for _ in fractions], 0
    for group in order:  # a group goes where its middle falls
        middle = taken + len(members[group]) / 2
        parts[int(np.searchsorted(bounds, middle))] += members[group]
        taken += len(members[group])
    if not all(parts):
        raise ValueError(f"{len(order)} groups are too few for {len(fractions)} parts of {tuple(fractions)}")
    return [[ids[position] for position in sorted(part)] for part in parts]


def by_kind(ids, kinds, groups, fractions, seed: int) -> dict[str, list]:
    """Ids by part, {name: fraction} of each kind, and all ids of a group in one part (``by_group``).

    ids, kinds, groups: lists of one length. Raises ``ValueError`` for a group of two kinds, and for a kind that is too
    rare.
    """
    parts = {name: [] for name in fractions}
    kind_of = {}
    for group, kind in zip(groups, kinds, strict=True):
        if kind_of.setdefault(group, kind) != kind:
            raise ValueError(
                f"group {group!r} has pictures of kind {kind_of[group]!r} and of {kind!r}: it cannot stay whole"
            )
    for kind in sorted(set(kinds)):
        chosen = [(id_, group) for id_, group, its in zip(ids, groups, kinds, strict=True) if its == kind]
        of_kind = by_group([i for i, _ in chosen], tuple(fractions.values()), seed, [g for _, g in chosen])
        for name, members in zip(fractions, of_kind, strict=True):
            parts[name] += members
    return {name: [id_ for id_ in ids if id_ in set(members)] for name, members in parts.items()}


def folds(alike, seed: int, count=5) -> dict[str, list]:
    """Parts of one size, alike in what ``alike`` sorts by: "part 0", "part 1" and so on, each sorted.

    alike: ids in an order in which neighbors resemble each other, by kind and size for instance. They are taken
    ``count`` at a time, and each of these goes into a part at random. Raises ``ValueError`` for too few ids.
    """
    if len(alike) < count:
        raise ValueError(f"{len(alike)} ids are too few for {count} parts")
    rng, parts = np.random.default_rng(seed), {number: [] for number in range(count)}
    for first in range(0, len(alike), count):
        some = alike[first : first + count]
        for number, id_ in zip(rng.permutation(count).tolist(), some, strict=False):
            parts[number].append(id_)
    return {f"part {number}": sorted(part) for number, part in parts.items()}


def fold(parts, number: int) -> dict[str, list]:
    """Train, validation and test of one fold: this part is tested, the next is for choices, the others are learned.

    parts: of ``folds``. Over all folds each id is tested once. Raises ``ValueError`` for a number that is no fold.
    """
    names = list(parts)
    if number not in range(len(names)):
        raise ValueError(f"there are the folds 0 to {len(names) - 1}, and {number!r} is none")
    turned = [parts[names[(number + step) % len(names)]] for step in range(len(names))]
    return {"train": sorted(id_ for part in turned[2:] for id_ in part), "validation": turned[1], "test": turned[0]}
