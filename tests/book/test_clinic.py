"""The clinic: eighteen failed runs lie in one small file, a reader draws them, and the script makes one again."""

import base64

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tools import clinic as script
from unetbook import results
from unetbook.show import clinic

CASES = clinic.cases()


def test_all_eighteen_cases_are_kept_small_in_the_order_of_the_script():
    assert len(CASES) == 18 and list(CASES) == list(script.CASES)
    assert script.FILE.stat().st_size < 400_000


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_what_a_reader_diagnoses_from(name):
    case = CASES[name]
    without_answer = name in ("size", "memory")
    assert list(case["pictures"]) == ["image", "truth"] + ["answer"] * (not without_answer)
    assert all(picture.dtype == np.uint8 and picture.shape[0] >= 48 for picture in case["pictures"].values())
    assert all(len(x) == len(y) > 1 for x, y in case["curves"].values()) and case["curves"] and case["facts"]
    assert bool(case["counts"]) != without_answer
    assert all(sum(counts) > 0 and len(counts) == len(case["bins"]) - 1 for counts in case["counts"].values())


def test_failures_are_failures_and_twins_are_mended():
    for name, case in CASES.items():
        facts = case["facts"]
        if "dice" in facts and "mended" in facts:
            assert facts["dice"] < facts["mended"] - 0.2 and facts["mended"] > 0.8, name
    last = CASES["nan"]["curves"]["training"][1]
    assert np.isnan(last[-1]) and np.isfinite(last[0])
    assert CASES["masks of 255"]["curves"]["training"][1][-1] < 0
    assert CASES["saved as 0 and 1"]["pictures"]["answer"].max() == 1


def test_cases_are_drawn():
    chosen = {f"case {k}": case for k, case in enumerate(CASES.values()) if k in (4, 15, 17)}
    _, axes = clinic.rows(chosen)
    assert axes.shape == (3, 5) and axes[0, 3].get_yscale() == "symlog" and axes[2, 2].get_title() == "answer"
    plt.close("all")


def test_a_missing_file_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m tools\.clinic"):
        clinic.cases()


def test_the_script_makes_a_case_again():
    again = script.make(["size"])["size"]
    assert again["facts"] == CASES["size"]["facts"]
    assert again["curves"]["height"][1] == CASES["size"]["curves"]["height"][1].tolist()


def test_the_script_trains_a_case_again():
    """Another machine rounds otherwise, so that the step may move; the fault does not."""
    again = script.make(["nan"])["nan"]
    assert np.isnan(np.array(again["curves"]["training"][1], float)[-1])
    assert abs(again["facts"]["step"] - CASES["nan"]["facts"]["step"]) < 15 and again["facts"]["largest"] > 16


def test_pictures_and_numbers_are_kept_as_they_are():
    color = np.uint8([[[255, 0, 0], [0, 0, 7]], [[0, 9, 0], [1, 2, 3]]])
    back = cv2.imdecode(np.frombuffer(base64.b64decode(script.png(color)), np.uint8), cv2.IMREAD_COLOR)
    assert (back[..., ::-1] == color).all()
    assert script.plain({"a": np.float32(np.nan), "b": [1 / 3]}) == {"a": None, "b": [0.33333]}
