"""Splits in which each kind of picture has its share of every part. Chapters 16 and 18."""

from unetbook import training


def split(ids, kinds, groups, fractions, seed) -> dict[str, list]:
    """Ids by part, {name: fraction} of each kind, and all ids of a group in one part (``training.split``).

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
        of_kind = training.split([i for i, _ in chosen], tuple(fractions.values()), seed, [g for _, g in chosen])
        for name, members in zip(fractions, of_kind, strict=True):
            parts[name] += members
    return {name: [id_ for id_ in ids if id_ in set(members)] for name, members in parts.items()}
