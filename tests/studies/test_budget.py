"""The annotation budget: draws that nest, fixed test pictures, and a whole quick run of each task."""

import dataclasses

import cv2
import numpy as np
import pytest
import tifffile

from studies import catalog
from studies.settings import Read
from studies.tasks import budget, budget_lesions, budget_touching
from unetbook.datasets import synthetic, usiigaci

POOL = [str(number) for number in range(40)]


def drawn(annotated, seed):
    return budget.drawn(POOL, ["t1", "t0"], Read({"annotated": annotated}), seed)


def test_draws_nest_and_leave_the_test_pictures_alone():
    for seed in range(3):
        sets = [drawn(count, seed) for count in (2, 5, 10, 20)]
        known = [{*parts["train"], *parts["validation"]} for parts in sets]
        assert [len(one) for one in known] == [2, 5, 10, 20] and known[0] < known[1] < known[2] < known[3]
        assert [len(parts["validation"]) for parts in sets] == [1, 1, 2, 5]
        assert all(parts["test"] == ["t0", "t1"] for parts in sets)
    assert drawn(10, 0) == drawn(10, 0) != drawn(10, 1)
    with pytest.raises(ValueError, match="50 pictures are to be drawn, and there are 40"):
        drawn(50, 0)


def test_lesions_are_tested_on_one_part():
    split = {f"part {number}": [f"{number}{letter}" for letter in "abcd"] for number in range(5)}
    parts = budget_lesions.parts({}, split, Read({"annotated": 10}), 0)
    assert parts["test"] == split["part 0"] and not {*parts["train"], *parts["validation"]} & set(split["part 0"])


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Ten pictures of touching cells in the authors' layout."""
    images, numbered = synthetic.cells(10, 96, seed=8)
    for number, (image, objects) in enumerate(zip(images[..., 0], numbered, strict=True), start=1):
        place = tmp_path / "data" / "usiigaci" / ("train" if number < 9 else "val") / f"set{number}"
        place.mkdir(parents=True)
        tifffile.imwrite(place / "raw.tif", np.round(65535 * image.clip(0, 1)).astype(np.uint16))
        cv2.imwrite(str(place / "instances_ids.png"), objects.astype(np.uint8))
    monkeypatch.setattr(usiigaci, "LARGE", 10_000)  # ten pictures are too few for a split of two kinds
    return tmp_path / "data"


def test_a_quick_run_scores_both_ways_and_keeps_rows_and_curves(cells, quick_run):
    arms = ("2 pictures", "5 pictures")  # the kept networks lie elsewhere in a test
    study = dataclasses.replace(catalog.get("budget-touching"), quick_arms=arms)
    found = quick_run(study, cells)
    for arm in study.quick_arms:
        (entry,) = found.entries(arm).values()
        assert set(entry["scores"]) == set(entry["otsu"]["scores"]) == {"f1", "dice", "count_error", "area_error"}
        assert entry["steps"] == 4 and entry["plan"]["target"] in ("gap", "border", "distance")
        rows = found.rows(arm, 0)
        assert sorted(row["image"] for row in rows) == sorted(budget_touching.parts(
            {}, found.split, Read(study.values(arm)), 0)["test"])  # fmt: skip
        assert {name: len(values) for name, values in found.curves(arm, 0).items()} == {"loss": 2, "val_score": 2}
