"""Splits: groups stay whole, kinds have their share, folds take turns; which images show one field or one film."""

import numpy as np
import pytest
from scipy import ndimage

from unetbook import splits
from unetbook.datasets import synthetic

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


# Groups and kinds


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_ids_in_order(seed):
    ids = [f"slice{number:02d}" for number in range(40)]
    groups = [number // 3 % 9 for number in range(40)]
    parts = splits.by_group(ids, (0.6, 0.2, 0.2), seed, groups)
    assert sorted(name for part in parts for name in part) == ids
    homes = [{groups[ids.index(name)] for name in part} for part in parts]
    assert sum(len(home) for home in homes) == len(set().union(*homes)) == 9
    assert all(part == sorted(part) for part in parts)
    assert all(abs(len(part) - 40 * share) <= 5 for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True))


def test_without_groups_a_split_is_exact_and_seeded():
    parts, again, other = (splits.by_group(range(50), (0.6, 0.2, 0.2), seed) for seed in (1, 1, 2))
    assert [len(part) for part in parts] == [30, 10, 10]
    assert parts == again != other


def test_a_split_that_cannot_work_is_refused():
    for fractions in ((0.6, 0.3), (1.2, -0.2), ()):
        with pytest.raises(ValueError, match="fractions must be positive and sum to 1"):
            splits.by_group("abc", fractions, seed=0)
    with pytest.raises(ValueError, match="3 ids but 2 groups"):
        splits.by_group("abc", (0.5, 0.5), seed=0, groups=[1, 2])
    with pytest.raises(ValueError, match="1 groups are too few for 2 parts"):
        splits.by_group("abc", (0.5, 0.5), seed=0, groups=[1, 1, 1])


def test_each_kind_has_its_share_and_groups_stay_whole():
    ids = list(range(30))
    kinds = ["rare" if number % 3 == 0 else "common" for number in ids]
    groups = [number if number > 6 else number % 3 for number in ids]
    parts = splits.by_kind(ids, kinds, groups, FRACTIONS, 0)
    assert sorted(number for part in parts.values() for number in part) == ids
    assert all(part == sorted(part) for part in parts.values())
    rare = [sum(kinds[number] == "rare" for number in part) for part in parts.values()]
    assert rare == pytest.approx([6, 2, 2], abs=1)  # a group of three cannot be cut
    assert sum({0, 3, 6} <= set(part) for part in parts.values()) == 1


def test_a_group_of_two_kinds_and_a_kind_that_is_too_rare():
    with pytest.raises(ValueError, match="group 7 has pictures of kind 'a' and of 'b'"):
        splits.by_kind([0, 1], ["a", "b"], [7, 7], FRACTIONS, 0)
    with pytest.raises(ValueError, match="1 groups are too few for 3 parts"):
        splits.by_kind(list(range(9)), ["a"] * 8 + ["b"], list(range(9)), FRACTIONS, 0)


# Folds


@pytest.mark.parametrize("count", [3, 5])
def test_each_id_is_tested_in_one_fold_and_learned_from_in_all_but_two(count):
    ids = [f"{number:02}" for number in range(4 * count)]
    parts = splits.folds(ids, 7, count)
    assert list(parts) == [f"part {number}" for number in range(count)]
    assert parts == splits.folds(ids, 7, count) != splits.folds(ids, 8, count)
    folds = [splits.fold(parts, number) for number in range(count)]
    for number, fold in enumerate(folds):
        assert sorted(id_ for part in fold.values() for id_ in part) == ids  # in one part each
        assert [len(part) for part in fold.values()] == [4 * (count - 2), 4, 4]
        assert all(part == sorted(part) for part in fold.values())
        assert fold["test"] == parts[f"part {number}"] == folds[number - 1]["validation"]
    assert sorted(id_ for fold in folds for id_ in fold["test"]) == ids
    learned = [id_ for fold in folds for id_ in fold["train"]]
    assert all(learned.count(id_) == count - 2 for id_ in ids)


def test_of_neighbors_that_are_alike_each_part_has_one():
    alike = list(range(12, 0, -1))
    parts = splits.folds(alike, 3, 4)
    for first in range(0, 12, 4):
        assert all(len(set(alike[first : first + 4]) & set(part)) == 1 for part in parts.values())
    assert sorted(map(len, splits.folds(range(14), 3, 4).values())) == [3, 3, 4, 4]  # a rest goes somewhere
    with pytest.raises(ValueError, match="3 ids are too few for 4 parts"):
        splits.folds("abc", 0, 4)


# Fields


@pytest.mark.parametrize("noise", [0, 0.01])
def test_tiles_of_one_photograph_are_one_field(noise):
    rng = np.random.default_rng(1)
    whole = [ndimage.gaussian_filter(rng.random((512, 512)), 3) for _ in range(3)]
    whole = [0.1 + 0.5 * (one - one.min()) / np.ptp(one) + rng.normal(0, noise, one.shape) for one in whole]
    tiles = [w[top : top + 256, left : left + 256, None] for w in whole for top in (0, 256) for left in (0, 256)]
    order = rng.permutation(len(tiles))
    found, truth = np.array(splits.same_field([tiles[k] for k in order])), order // 4
    assert len(set(found)) == 3 and all(len(set(found[truth == k])) == 1 for k in range(3))


def test_dim_noise_at_the_margins_joins_nothing():
    rng = np.random.default_rng(4)
    images = [0.01 + rng.normal(0, 0.002, (256, 256, 1)) for _ in range(20)]
    for image in images:  # nuclei in the middle, none at the margins
        top, left = rng.integers(20, 200, 2)
        image[top : top + 30, left : left + 30] += ndimage.gaussian_filter(rng.random((30, 30, 1)), 3)
    assert len(set(splits.same_field(images))) >= 18


def test_two_photographs_of_one_place_are_one_field():
    rng = np.random.default_rng(2)
    images = list(np.clip(synthetic.nuclei(4, 64, seed=2)[0], 0, 1))
    again = np.clip(images[1] * 0.8 + rng.normal(0, 0.01, images[1].shape), 0, 1)
    assert splits.same_field([*images, again]) == [0, 1, 2, 3, 1]


def test_images_without_contrast_or_of_other_sizes_are_fields_of_their_own():
    blank = np.zeros((32, 32, 1))
    assert splits.same_field([blank, blank, np.zeros((32, 40, 1)), np.full((32, 32, 1), 0.5)]) == [0, 1, 2, 3]


# Films


def crawled(cells, step, rng):
    """The label image with each cell moved by some pixels of its own, and all of them by 9 down and 14 left."""
    later = np.zeros_like(cells)
    for cell in np.unique(cells[cells > 0]):
        down, right = np.rint(rng.normal(0, step, 2)).astype(int)
        later[np.roll(cells == cell, (9 + down, right - 14), (0, 1))] = cell
    return later


def test_frames_of_one_film_are_told_by_where_their_cells_lie():
    rng = np.random.default_rng(0)
    cells = list(synthetic.cells(6, 192, seed=8)[1])
    assert splits.films(cells) == list(range(6))
    frame, next_one, far = (crawled(cells[3], step, rng) for step in (2, 4, 60))
    assert splits.films([*cells, frame, next_one]) == [0, 1, 2, 3, 4, 5, 3, 3]
    assert splits.films([*cells, far]) == list(range(7))
    empty = np.zeros_like(cells[0])
    assert splits.films([*cells, empty, empty]) == list(range(8))


def test_frames_of_one_film_agree_by_more_than_the_margin():
    cells = list(synthetic.cells(6, 192, seed=8)[1])
    by_chance = max(splits.agreements(cells, [one[:, ::-1] for one in cells]).values())
    of_film = [cells[3], crawled(cells[3], 2, np.random.default_rng(0))]
    assert splits.MARGIN * by_chance < splits.agreements(of_film, of_film)[0, 1] < 1


def test_agreement_is_the_correlation_of_masks_at_the_best_shift():
    cells = synthetic.cells(2, 64, seed=8)[1]
    window = np.outer(np.hanning(64), np.hanning(64))
    one, other = (((mask := of > 0) - mask.mean()) * window for of in cells)
    by_hand = [np.sum(one * np.roll(other, (down, right), (0, 1))) for down in range(64) for right in range(64)]
    expected = max(by_hand) / np.linalg.norm(one) / np.linalg.norm(other)
    found = splits.agreements(list(cells), list(cells))
    assert list(found) == [(0, 1)] and found[0, 1] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("number", [-1, 5, 2.5])
def test_a_number_that_is_no_fold_does_not_start_from_the_front_again(number):
    with pytest.raises(ValueError, match=f"there are the folds 0 to 4, and {number} is none"):
        splits.fold(splits.folds(list(range(10)), seed=0), number)
