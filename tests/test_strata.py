"""A split in which each kind has its share of every part."""

import pytest

from unetbook.recipes import _strata

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def test_each_kind_has_its_share_and_groups_stay_whole():
    ids = list(range(30))
    kinds = ["rare" if number % 3 == 0 else "common" for number in ids]
    groups = [number if number > 6 else number % 3 for number in ids]
    parts = _strata.split(ids, kinds, groups, FRACTIONS, 0)
    assert sorted(number for part in parts.values() for number in part) == ids
    assert all(part == sorted(part) for part in parts.values())
    rare = [sum(kinds[number] == "rare" for number in part) for part in parts.values()]
    assert rare == pytest.approx([6, 2, 2], abs=1)  # a group of three cannot be cut
    assert sum({0, 3, 6} <= set(part) for part in parts.values()) == 1


def test_a_group_of_two_kinds_and_a_kind_that_is_too_rare():
    with pytest.raises(ValueError, match="group 7 has pictures of kind 'a' and of 'b'"):
        _strata.split([0, 1], ["a", "b"], [7, 7], FRACTIONS, 0)
    with pytest.raises(ValueError, match="1 groups are too few for 3 parts"):
        _strata.split(list(range(9)), ["a"] * 8 + ["b"], list(range(9)), FRACTIONS, 0)
