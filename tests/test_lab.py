"""Labs: arms in pairs, merged one by one, resumed, and never mixed with other settings."""

import json
import types

import numpy as np
import pytest
from scipy import stats

from unetbook import recipes
from unetbook.recipes import _lab


def lab_of(measure, **changes):
    """A lab without a network: ``measure`` gives the score of an arm."""
    names = {
        "NAME": "lab-test",
        "SUMMARY": "none",
        "SEEDS": (0, 1, 2, 3, 4),
        "SETTINGS": {"steps": 3},
        "QUICK": {"steps": 1},
        "ARMS": {"with": {"bonus": 0.1}, "without": {"bonus": 0.0}},
        "PAIRS": [("with", "without")],
        "data": lambda settings, seed: np.random.default_rng(seed).normal(),
        "measure": measure,
    }
    return types.SimpleNamespace(**(names | changes))


def score(data, options, settings, seed):
    noise = np.random.default_rng((seed, int(options["bonus"] > 0))).normal(0, 0.01)
    return {"scores": {"f": data + options["bonus"] + noise}, "steps": settings["steps"]}


def test_differences_are_taken_in_pairs(tmp_path):
    result = _lab.run(lab_of(score), out=tmp_path)
    stored = json.loads((tmp_path / "lab-test.json").read_text())
    assert stored == json.loads(json.dumps(result))
    pairs = [[seed["arms"][arm]["scores"]["f"] for arm in ("with", "without")] for seed in stored["seeds"].values()]
    differences = np.subtract(*np.transpose(pairs))
    reference = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    found = stored["differences"]["with - without"]["f"]
    assert found["mean"] == pytest.approx(differences.mean(), abs=1e-4)
    assert (found["low"], found["high"]) == pytest.approx((reference.low, reference.high), abs=1e-4)
    assert found["pairs"] == 5 and found["high"] - found["low"] < np.std(pairs)  # the seeds' own spread cancels
    assert stored["std"]["with"]["f"] == pytest.approx(np.std([pair[0] for pair in pairs], ddof=1), abs=1e-4)
    assert {"seconds", "steps", "scores"} == set(stored["seeds"]["0"]["arms"]["with"])
    assert {"hardware", "backend", "versions", "commit", "date"} <= set(stored["seeds"]["0"])


def test_a_stopped_lab_goes_on_where_it_was(tmp_path):
    calls = []

    def stopping(data, options, settings, seed):
        calls.append((seed, options["bonus"]))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(data, options, settings, seed)

    with pytest.raises(KeyboardInterrupt):
        _lab.run(lab_of(stopping), out=tmp_path)
    assert "without" not in json.loads((tmp_path / "lab-test.json").read_text())["seeds"]["1"]["arms"]
    result = _lab.run(lab_of(stopping), out=tmp_path)
    assert len(calls) == 2 * 5 + 1 and calls[3] == calls[4]  # only the stopped arm ran twice
    assert result["differences"]["with - without"]["f"]["pairs"] == 5
    assert result == _lab.run(lab_of(stopping), out=tmp_path) and len(calls) == 11


def test_an_arm_trained_at_another_commit_says_so(tmp_path, monkeypatch):
    def stopping(data, options, settings, seed):
        if options["bonus"] == 0:
            raise KeyboardInterrupt
        return score(data, options, settings, seed)

    first, second = ({"hardware": {"devices": ("cpu:0",)}, "commit": commit} for commit in ("a1", "b2"))
    monkeypatch.setattr(_lab, "provenance", lambda: first)
    with pytest.raises(KeyboardInterrupt):
        _lab.run(lab_of(stopping), [0], out=tmp_path)
    monkeypatch.setattr(_lab, "provenance", lambda: second)
    of_seed = _lab.run(lab_of(score), [0], out=tmp_path)["seeds"]["0"]
    assert of_seed["commit"] == "a1" and "commit" not in of_seed["arms"]["with"]
    assert of_seed["arms"]["without"]["commit"] == "b2" and "hardware" not in of_seed["arms"]["without"]


def test_other_settings_or_arms_are_not_mixed(tmp_path):
    _lab.run(lab_of(score), [0], out=tmp_path)
    for changes in ({"SETTINGS": {"steps": 4}}, {"ARMS": {"with": {"bonus": 0.2}, "without": {"bonus": 0.0}}}):
        with pytest.raises(ValueError, match=r"lab-test\.json holds a run with other settings or arms"):
            _lab.run(lab_of(score, **changes), [1], out=tmp_path)


def test_one_pair_has_no_interval():
    assert recipes.paired_difference([2], [1]) == {"mean": 1, "low": None, "high": None, "pairs": 1}
    with pytest.raises(ValueError):
        recipes.paired_difference([1, 2], [1])


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("lab-")])
def test_a_quick_run_of_each_lab(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab = recipes.get(name)
    assert lab.NAME == name and len(lab.SEEDS) >= 5
    result = _lab.run(lab, [0], quick=True)
    assert set(result["mean"]) == set(lab.ARMS)
    assert all(np.isfinite(value) for scores in result["mean"].values() for value in scores.values())
    assert {arm for pair in lab.PAIRS for arm in pair} <= set(lab.ARMS)
    assert not (tmp_path / "results").exists()


def test_a_stored_result_is_found_or_the_command_is_named():
    assert recipes.result("isbi2012-unet")["recipe"] == "isbi2012-unet"
    with pytest.raises(FileNotFoundError, match="python -m unetbook run lab-none"):
        recipes.result("lab-none")
