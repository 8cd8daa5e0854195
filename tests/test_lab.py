"""Labs: arms in pairs, merged one by one, resumed, and never mixed with other settings."""

import json
import types

import keras
import numpy as np
import pytest
from scipy import stats

from unetbook import recipes, sizes, store
from unetbook.recipes import _keep, _lab, encoder_synthetic, lab_family, lab_family_rates, lab_unetpp


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


def test_an_interval_is_told_with_its_signs():
    row = {"mean": 0.01, "low": -0.002, "high": 0.0224, "pairs": 5}
    assert recipes.interval_text(row) == "+0.010 (-0.002 to +0.022)" and not recipes.leaves_out_zero(row)
    assert recipes.interval_text(row, digits=1) == "+0.0 (-0.0 to +0.0)"
    assert recipes.leaves_out_zero(row | {"low": 0.002}) and recipes.leaves_out_zero(row | {"high": -0.001})
    alone = recipes.paired_difference([2], [1])
    assert recipes.interval_text(alone) == "+1.000 (no interval)" and not recipes.leaves_out_zero(alone)


FEW = {  # what the arms that are tried have in their names, where the others only repeat them on other pictures
    "lab-augmentation": ", long",
    "lab-family": "nuclei",
    "lab-family-rates": "lesions, U-Net, ",
    "lab-losses": ", 20",
    "lab-optimization": "0.001",
    "lab-skips": "fine",
    "lab-transfer": "near, 5,",
    "lab-unetpp": "coarse, L",
    "lab-upsampling": "fine",
}

KEPT = {"encoder-synthetic"}  # in the form of a lab; dsb2018-unseen, on real data, has its tests in test_nuclei


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("lab-") or name in KEPT])
def test_a_quick_run_of_each_lab(name, tmp_path, monkeypatch, eager):
    monkeypatch.chdir(tmp_path)
    lab = recipes.get(name)
    few = FEW.get(name, "")
    monkeypatch.setattr(lab, "ARMS", {arm: options for arm, options in lab.ARMS.items() if few in arm})
    monkeypatch.setattr(lab, "PAIRS", [pair for pair in lab.PAIRS if set(pair) <= set(lab.ARMS)])
    monkeypatch.setitem(lab.QUICK, "steps", 1)
    assert lab.NAME == name and (len(lab.SEEDS) >= 5 or not lab.PAIRS)  # without pairs it claims nothing
    if lab is lab_family:  # it takes its rates from another lab's result
        rates = {"mean": {arm: {"dice": 0.5} for arm in lab_family_rates.ARMS}}
        monkeypatch.setattr(recipes, "result", lambda name: rates)
    result = _lab.run(lab, lab.SEEDS[:1], quick=True)
    assert set(result["mean"]) == set(lab.ARMS)
    assert all(np.isfinite(value) for scores in result["mean"].values() for value in scores.values())
    assert {arm for pair in lab.PAIRS for arm in pair} <= set(lab.ARMS)
    assert (tmp_path / "runs/quick/weights" / f"{name}.keras").exists() == hasattr(lab, "PASSPORT")
    assert not (tmp_path / "results").exists()


def test_a_stored_result_is_found_or_the_command_is_named():
    assert recipes.result("isbi2012-unet")["recipe"] == "isbi2012-unet"
    with pytest.raises(FileNotFoundError, match="python -m unetbook run lab-none"):
        recipes.result("lab-none")


def test_a_network_that_is_given_away_is_kept(tmp_path, monkeypatch):
    def measure(data, options, settings, seed):
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
        return {**score(data, options, settings, seed), "model": keras.Model(model.inputs, model.outputs)}

    lab = lab_of(measure, ARMS={"one": {"bonus": 0.5}}, PAIRS=[], PASSPORT={"license": "MIT"})
    result = _lab.run(lab, [3], out=tmp_path)
    kept = store.load(tmp_path / "weights" / "lab-test.keras")
    assert "model" not in result["seeds"]["3"]["arms"]["one"]
    assert kept.metadata["license"] == "MIT" and kept.metadata["seed"] == 3
    assert kept.metadata["scores"] == result["seeds"]["3"]["arms"]["one"]["scores"]
    monkeypatch.setattr(_keep, "LARGEST_BYTES", 100)
    with pytest.raises(ValueError, match="more than 100: keep a narrower network"):
        _lab.run(lab, [4], out=tmp_path / "other")
    assert not list((tmp_path / "other").rglob("*.keras"))


@pytest.mark.parametrize("head", lab_unetpp.HEADS)
def test_unets_cost_about_what_the_heads_cost(head):
    """Chapter 12 compares each head with a U-Net of as many multiply-adds."""
    cost = [
        lab_unetpp.multiply_adds(options.get("head"), options, lab_unetpp.SETTINGS, channels=1)
        for options in (lab_unetpp.ARMS[f"fine, {head}"], lab_unetpp.ARMS[f"fine, U-Net as {head}"])
    ]
    assert 0.85 < cost[1] / cost[0] < 1.1


def test_the_family_has_an_equal_budget():
    cost = {
        name: sizes.multiply_adds(lab_family_rates.network(name, (64, 64, 1))) for name in lab_family_rates.NETWORKS
    }
    assert max(cost.values()) / cost["U-Net"] < 1.05 and min(cost.values()) / cost["U-Net"] > 0.95


def test_the_family_takes_the_best_rate_that_was_measured(monkeypatch):
    mean = {arm: {"dice": 0.5} for arm in lab_family_rates.ARMS}
    mean["nuclei, U-Net, 0.002"] = {"dice": 0.6}
    mean["nuclei, U-Net, instance, 0.008"] = {"dice": 0.7}
    mean["lesions, U-Net, batch, 0.0005"] = {"dice": 0.9}
    monkeypatch.setattr(recipes, "result", lambda name: {"mean": mean})
    candidates = lab_family.CANDIDATES
    assert lab_family.tuned("nuclei", candidates["U-Net"]) == {"network": "U-Net", "learning_rate": 2e-3}
    tuned = lab_family.tuned("nuclei", candidates["U-Net, tuned"])
    assert tuned == {"network": "U-Net, instance", "learning_rate": 8e-3}
    assert not set(lab_family.SEEDS) & set(lab_family_rates.SEEDS)  # other pictures


def test_all_heads_of_a_task_are_one_training(monkeypatch):
    settings = lab_unetpp.SETTINGS | lab_unetpp.QUICK
    data, calls = lab_unetpp.data(settings, 0), []
    monkeypatch.setattr(lab_unetpp._quick, "train", lambda *arguments: calls.append(1) or [0.5])
    found = [lab_unetpp.measure(data, lab_unetpp.ARMS[f"fine, {head}"], settings, 0) for head in ("L1", "L4", "mean")]
    assert len(calls) == 1 and found[0]["parameters"] < found[1]["parameters"] < found[2]["parameters"]
    lab_unetpp.measure(data, lab_unetpp.ARMS["fine, alone"], settings, 0)
    assert len(calls) == 2


def test_the_encoder_sees_every_kind_in_color():
    settings = encoder_synthetic.SETTINGS | encoder_synthetic.QUICK
    (images, classes), _ = encoder_synthetic.data(settings, 0)
    assert images.shape[-1] == 1 and classes.shape == images.shape[:3] and images.shape[0] == 6
    assert [set(np.unique(part)) for part in (classes[:2], classes[2:4], classes[4:])] == [{0, 1}, {0, 2}, {0, 3}]
    rng = np.random.default_rng(0)
    colored, labels = encoder_synthetic.recolored(images[0], classes[0], rng)
    assert colored.shape == (64, 64, 3) and colored.dtype == np.float32 and labels.shape == (64, 64)
    assert 0 <= colored.min() and colored.max() <= 1 and np.any(colored[..., 0] != colored[..., 1])
