"""One loop over (seed, arm): merged one by one, resumed, paired, and never mixed with other settings."""

import csv
import dataclasses
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy import stats

from studies import __main__, catalog, harness, keep, labs, records
from studies.study import Study
from studies.tasks import synthetic
from unetbook import precision, results, store

TINY = Study(
    name="lab-test",
    summary="ellipses by a network of no account",
    task="synthetic",
    settings={
        "network": "unet",
        "padding": "same",
        "filters": 1,
        "depth": 1,
        "dropout": 0.2,
        "pictures": ("ellipses",),
        "objects": 3,
        "training_pictures": 2,
        "test_pictures": 2,
        "size": 48,
        "tile": 32,
        "batch": 1,
        "steps": 1,
        "epochs": 2,
        "optimizer": "adam",
        "learning_rate": 1e-2,
        "schedule": "cosine",
        "loss": "cross_entropy",
        "target": "mask",
        "augmentation": "none",
        "scored": "mask",
    },
    arms={"one": {}, "other": {"activation": "elu"}},
    seeds=(0, 1, 2),
    quick={"epochs": 1},
    pairs=(("one", "other"),),
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, eager_training):
    """An empty current folder, checkpoints beside it, and trainings without graphs."""
    monkeypatch.setenv("UNETBOOK_RUNS", str(tmp_path / "runs"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.fixture
def listed(monkeypatch):
    """The tiny study is one of the catalog."""
    monkeypatch.setitem(catalog.STUDIES, TINY.name, TINY)


def stop_in_epoch(monkeypatch, which, error=KeyboardInterrupt):
    """Let the user press Ctrl-C while epoch ``which`` is being validated."""
    calls = []

    def validate(model, data, parts, settings):
        calls.append(1)
        if len(calls) == which:
            raise error
        return {"val_loss": 1.0}

    monkeypatch.setattr(synthetic, "validate", validate)
    return calls


def without_clock(summary):
    entries = {(arm, seed): dict(e) for arm, of in summary["arms"].items() for seed, e in of["seeds"].items()}
    for entry in entries.values():
        entry.pop("seconds")
    return entries


def read(place, name=TINY.name):
    return json.loads((place / f"{name}.json").read_text())


def table(place, name="lab-test.csv"):
    with (place / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_files_are_those_that_results_reads(here, monkeypatch):
    summary = harness.run(TINY)
    place = here / "here/results"
    assert read(place) == json.loads(json.dumps(summary)) and not (here / "here/runs").exists()
    monkeypatch.setattr(results, "folder", lambda: place)
    found = results.study("lab-test")
    assert found.arms == ["one", "other"] and set(found.entries("one")) == {0, 1, 2}
    each = found.scores("one", "dice")
    assert found.mean("one")["dice"] == pytest.approx(np.mean(each), abs=1e-5)
    assert found.std("one")["dice"] == pytest.approx(np.std(each, ddof=1), abs=1e-5)
    reference = stats.ttest_rel(each, found.scores("other", "dice")).confidence_interval(0.95)
    row = found.differences["one - other"]["dice"]
    assert (row["low"], row["high"]) == pytest.approx((reference.low, reference.high), abs=1e-4) and row["pairs"] == 3
    rows = found.rows("other", 2)
    assert [row["image"] for row in rows] == ["0", "1"]
    assert found.scores("other", "dice")[2] == pytest.approx(np.mean([row["dice"] for row in rows]), abs=1e-5)
    assert len(found.curves("one", 1)["loss"]) == 2
    entry = found.entries("one")[0]
    assert {"parameters", "multiply_adds", "steps", "seconds", "commit", "dirty", "date"} <= set(entry)
    assert entry["steps"] == 2 and set(found.machine(entry)) == {"hardware", "backend", "flags", "versions"}
    assert "as_run" not in found.summary and found.settings_of("other")["activation"] == "elu"


@pytest.mark.backend
def test_only_what_is_missing_is_run(here, capsys):
    harness.run(TINY, seeds=[1], arms=["other"])
    place = here / "here/results"
    assert list(read(place)["arms"]["other"]["seeds"]) == ["1"] and not read(place)["arms"]["one"]["seeds"]
    first = table(place)
    again = harness.run(TINY, seeds=[1], arms=["other"])
    assert "1 of 1 are already in" in capsys.readouterr().out and again["differences"] == {}
    harness.run(TINY, seeds=[1])
    assert [row for row in table(place) if row["arm"] == "other"] == first and len(table(place)) == 4
    assert read(place)["differences"]["one - other"]["dice"]["low"] is None  # one pair has no interval


def test_a_stopped_run_goes_on_to_the_same_result(here, monkeypatch, capsys, listed):
    stop_in_epoch(monkeypatch, 0)
    whole = harness.run(TINY, seeds=[0], out=here / "whole")
    for path in (here / "runs/lab-test").rglob("state.json"):
        path.unlink()
    stop_in_epoch(monkeypatch, 4)  # the second epoch of the second arm
    command = ["run", "lab-test", "--seeds", "0"]
    assert __main__.main(command) == 130
    assert "goes on after the last finished epoch" in capsys.readouterr().err
    assert list(read(here / "here/results")["arms"]["one"]["seeds"]) == ["0"]  # merged before the stop
    assert json.loads((here / "runs/lab-test/other/seed-0/state.json").read_text())["epochs"] == 1
    assert __main__.main(command) == 0
    printed = capsys.readouterr()
    assert "goes on after epoch 1" in printed.out + printed.err
    assert without_clock(read(here / "here/results")) == without_clock(whole)


def test_a_loss_that_is_no_number_stops_the_run_and_is_not_stored(here, monkeypatch, capsys, listed):
    from studies import training as arms

    scale = keras.Variable(1.0)

    def loss(truth, logits):
        return scale * keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)

    def validate(*of):
        scale.assign(np.nan)
        return {}

    monkeypatch.setattr(arms, "LOSSES", {"cross_entropy": lambda: loss})
    monkeypatch.setattr(synthetic, "validate", validate)
    assert __main__.main(["run", "lab-test", "--seeds", "0", "--arms", "one"]) == 1
    assert "one, the loss of seed 0 are no longer numbers in epoch 2" in capsys.readouterr().err
    folder = here / "runs/lab-test/one/seed-0"
    assert json.loads((folder / "state.json").read_text())["epochs"] == 1
    assert [path.name for path in folder.glob("*.keras")] == ["epoch-001.keras"]
    assert not (here / "here/results/lab-test.json").exists()


def test_weights_that_are_no_numbers_stop_one_seed_and_the_others_go_on(here, monkeypatch, capsys, listed):
    """After the last step nothing else tells: the mean loss of the epoch is one of before."""
    broken = []

    def validate(model, data, parts, settings):
        if len(broken) < 1:
            broken.append(1)
            model.set_weights([weights * np.nan for weights in model.get_weights()])
        return {}

    monkeypatch.setattr(synthetic, "validate", validate)
    assert __main__.main(["run", "lab-test", "--seeds", "0", "1", "--arms", "one"]) == 1
    assert "one, the weights of seed 0 are no longer numbers in epoch 1" in capsys.readouterr().err
    assert list(read(here / "here/results")["arms"]["one"]["seeds"]) == ["1"]


def test_other_settings_are_not_mixed(here, monkeypatch):
    stop_in_epoch(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        harness.run(TINY, seeds=[0])
    other = dataclasses.replace(TINY, settings={**TINY.settings, "learning_rate": 0.5})
    with pytest.raises(ValueError, match=r"one/seed-0 was begun with other learning_rate 0\.01, now 0\.5: remove the"):
        harness.run(other, seeds=[0])
    stop_in_epoch(monkeypatch, 0)
    harness.run(TINY, seeds=[0])
    before = (here / "here/results/lab-test.json").read_bytes()
    with pytest.raises(ValueError, match=r"lab-test\.json holds a run with other settings: move it away, or"):
        harness.run(other, seeds=[1])
    arms = dataclasses.replace(TINY, arms={"one": {}, "other": {"activation": "tanh"}})
    with pytest.raises(ValueError, match="a run with other arms"):
        harness.run(arms, seeds=[1])
    assert (here / "here/results/lab-test.json").read_bytes() == before
    joined = dataclasses.replace(TINY, arms={**TINY.arms, "third": {"activation": "tanh"}}, pairs=(("third", "one"),))
    summary = harness.run(joined, seeds=[0], arms=["third"])
    assert list(summary["differences"]) == ["third - one"] and list(summary["arms"]) == ["one", "other", "third"]


def test_what_was_carried_over_is_never_added_to(here, capsys):
    harness.run(TINY, seeds=[0])
    path = here / "here/results/lab-test.json"
    path.write_text(json.dumps(read(path.parent) | {"as_run": {}}))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="carried over from before this harness and is never added to: choose another"):
        harness.run(TINY, seeds=[1], out="results")
    assert list(harness.run(TINY, seeds=[1])["arms"]["one"]["seeds"]) == ["1"]
    assert "stays as it is: this run is written to again/" in capsys.readouterr().out
    assert path.read_bytes() == before and (here / "here/again/lab-test.csv").exists()


def test_a_result_file_that_was_cut_short_is_named_and_kept(here, listed, capsys):
    harness.run(TINY, seeds=[0])
    path = here / "here/results/lab-test.json"
    path.write_text(path.read_text()[:300])
    assert __main__.main(["run", "lab-test", "--seeds", "1"]) == 1
    assert "lab-test.json was cut short or changed" in capsys.readouterr().err and len(path.read_text()) == 300


def test_a_setting_that_nothing_reads_is_an_error(here):
    settings = {**TINY.settings, "sigma": 5}
    with pytest.raises(ValueError, match=r"nothing reads sigma in lab-test: take it out of .* measured is stored"):
        harness.run(dataclasses.replace(TINY, settings=settings), seeds=[0])
    assert read(here / "here/results")["arms"]["other"]["seeds"]["0"]
    with pytest.raises(ValueError, match="nothing reads sigma"):  # also where arms go on after their last epoch
        harness.run(dataclasses.replace(TINY, settings=settings), seeds=[0], out=here / "once more")
    one = dataclasses.replace(TINY, name="lab-of-one", arms={"one": {"warmup": 3}, "other": {}})
    with pytest.raises(ValueError, match="nothing reads warmup of arm 'one' in lab-of-one"):
        harness.run(one, seeds=[0], arms=["one"])


def test_a_setting_that_the_code_needs_is_named(here):
    settings = {name: value for name, value in TINY.settings.items() if name != "target"}
    with pytest.raises(ValueError, match="arm 'one' of lab-test needs the setting 'target'"):
        harness.run(dataclasses.replace(TINY, settings=settings), seeds=[0])
    settings = {**TINY.settings, "augmentation": {"elastik": 3}}
    with pytest.raises(ValueError, match=r"has an option that Augmenter has not .*elastik.*: .*elastic"):
        harness.run(dataclasses.replace(TINY, settings=settings), seeds=[0])


def test_arms_that_are_only_read_otherwise_are_trained_once(here):
    study = dataclasses.replace(
        TINY,
        arms={"mask": {}, "errors": {"scored": "errors"}},
        pairs=(),
        settings={**TINY.settings, "epochs": 1},
        quick={},
    )
    summary = harness.run(study, seeds=[0])
    assert [path.name for path in (here / "runs/lab-test").iterdir()] == ["mask"]
    mask, errors = (summary["arms"][arm]["seeds"]["0"]["scores"] for arm in ("mask", "errors"))
    assert set(errors) > set(mask) and all(errors[name] == mask[name] for name in mask)


def test_the_best_of_another_study_is_taken(here, monkeypatch):
    means = {arm: {"dice": 0.5} for arm in labs.FAMILY_RATES.arms}
    means["nuclei, U-Net, 0.002"] = {"dice": 0.6}
    means["nuclei, U-Net, instance, 0.008"] = {"dice": 0.7}
    means["lesions, U-Net, batch, 0.0005"] = {"dice": 0.9}
    arms = {arm: {"mean": of} for arm, of in means.items()}
    found = types.SimpleNamespace(mean=means.__getitem__, arm=arms.__getitem__)
    monkeypatch.setattr(results, "study", lambda name: found)
    assert harness._best(labs.FAMILY, "nuclei, U-Net") == "nuclei, U-Net, 0.002"
    best = harness._best(labs.FAMILY, "nuclei, U-Net, tuned")
    assert best == "nuclei, U-Net, instance, 0.008"
    run = harness._Run(labs.FAMILY, False, here, None)
    values = run.values["nuclei, U-Net, tuned"]
    assert (values["learning_rate"], values["normalization"], values["steps"]) == (8e-3, "instance", 20)
    del arms["lesions, U-Net, 0.002"]["mean"]
    with pytest.raises(ValueError, match="lab-family takes what did best in lab-family-rates, which is only begun"):
        harness._Run(labs.FAMILY, False, here, None)


def test_where_a_network_was_scored_stands_beside_where_it_was_trained(here, monkeypatch):
    stop_in_epoch(monkeypatch, 2)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # too late to work, but known
    with pytest.raises(KeyboardInterrupt):
        harness.run(TINY, seeds=[0], arms=["one"])
    first = harness.provenance()
    assert first["flags"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    monkeypatch.setattr(harness, "provenance", lambda: first | {"backend": "another"})
    summary = harness.run(TINY, seeds=[0], arms=["one"])
    entry = summary["arms"]["one"]["seeds"]["0"]
    assert summary["machines"][entry["machine"]]["backend"] == first["backend"]
    assert entry["continued"] == [{"epoch": 1, "backend": "another"}] and entry["scored"] == {"backend": "another"}


def test_a_quick_run_with_a_folder_of_its_own_spares_what_lies_there(here):
    harness.run(TINY, [0], ["one"], out=here / "mine")
    before = {path.name: path.read_bytes() for path in (here / "mine").glob("lab-test*")}
    harness.run(TINY, quick=True, out=here / "mine")
    assert {path.name: path.read_bytes() for path in (here / "mine").glob("lab-test*")} == before
    assert read(here / "mine/quick")["quick"]


MERGE = """
import json, sys
from pathlib import Path
from studies import records

for seed in range(12):
    tables = {"images": [{"image": 0, "f": seed / 10}]}
    entry = {"scores": {"f": seed / 10}, "machine": {"cpu": sys.argv[3]}, "tables": tables}
    records.merge(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], seed, entry)
"""


def test_processes_merge_into_one_file_one_at_a_time(here):
    head = {"study": "lab-test", "arms": {"one": {}, "other": {}}, "aims": {}, "best": {}, "pairs": [], "summary": ""}
    start = [sys.executable, "-c", MERGE, str(here), json.dumps(head)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    both = [subprocess.Popen([*start, arm], env=environment) for arm in ("one", "other")]
    assert [process.wait() for process in both] == [0, 0]
    summary = read(here)
    assert {arm: len(of["seeds"]) for arm, of in summary["arms"].items()} == {"one": 12, "other": 12}
    assert summary["tables"]["images"] == 24 == len(table(here)) and len(summary["machines"]) == 2
    assert list(summary["arms"]["one"]["seeds"]) == [str(seed) for seed in range(12)]


def test_rows_that_the_summary_does_not_know_go(here):
    harness.run(TINY, [0, 1], ["one"])
    (here / "here/results/lab-test.json").unlink()  # moved away without its tables
    harness.run(TINY, [0], ["one"])
    assert len(table(here / "here/results")) == 2


def test_the_seed_that_validates_best_is_kept_and_only_if_its_training_lies_here(here, monkeypatch, capsys):
    study = dataclasses.replace(TINY, keeps=("one",))
    losses, seeds, drawn = {0: 0.5, 1: 0.2, 2: 0.9}, [], synthetic.load
    monkeypatch.setattr(synthetic, "passport", lambda settings: {"license": "MIT"})
    monkeypatch.setattr(
        synthetic, "load", lambda settings, seed, root=None: seeds.append(seed) or drawn(settings, seed)
    )
    monkeypatch.setattr(synthetic, "validate", lambda *of: {"val_loss": losses[seeds[-1]]})
    kept = here / "here/results/weights/lab-test-one.keras"
    for seed, best in ((0, 0), (2, 0), (1, 1)):
        summary = harness.run(study, [seed], ["one"])
        assert summary["arms"]["one"]["kept"]["seed"] == best == store.load(kept).metadata["seed"]
    kept.unlink()
    for path in (here / "runs/lab-test/one/seed-1").iterdir():
        path.unlink()
    harness.run(study, [0], ["one"])
    assert "the checkpoint of seed 1, the one to keep, does not lie in" in capsys.readouterr().out and not kept.exists()


def test_a_target_that_no_score_has_is_named(here):
    study = dataclasses.replace(TINY, aims="one", least={"dize": 0.5})
    with pytest.raises(ValueError, match=r"the target of 'one' names \['dize'\], of dice, f"):
        harness.run(study, [0], ["one"])


def test_a_target_is_met_or_not(here, capsys):
    aimed = dataclasses.replace(TINY, aims="one", least={"dice": 0.0}, target={"f": -1.0})
    summary = harness.run(aimed, [0], ["one"])
    assert summary["arms"]["one"]["target_met"] is False and summary["arms"]["one"]["least"] == {"dice": 0.0}
    __main__._show(summary)
    printed = capsys.readouterr().out
    assert "one, dice at least 0.0: met" in printed and "one, f at most -1.0: NOT met" in printed


def test_data_that_are_missing_are_told_in_one_line(here, monkeypatch, capsys):
    monkeypatch.setenv("UNETBOOK_DATA", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    assert __main__.main(["run", "isbi2012"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "imagej.net" in error


def test_a_quick_run_leaves_the_results_alone(here, listed, capsys):
    assert __main__.main(["run", "lab-test", "--quick"]) == 0
    place = here / "runs/quick"
    assert read(place)["quick"] and list(read(place)["arms"]["one"]["seeds"]) == ["0"]
    assert read(place)["arms"]["one"]["seeds"]["0"]["steps"] == 1
    assert not (here / "here/results").exists() and not (place / "lab-test").exists()  # nor checkpoints
    assert "one - other, dice:" in capsys.readouterr().out


def test_wrong_usage_is_told_before_keras_is_loaded(here, capsys, listed):
    assert __main__.main(["run", "lab-tests"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "did you mean 'lab-test'?" in error
    assert __main__.main(["run", "lab-test", "--arms", "ones"]) == 2
    assert "no arm of lab-test 'ones': did you mean 'one'?" in capsys.readouterr().err


def test_checkpoints_lie_in_a_cache_folder(monkeypatch, here):
    assert harness.runs_folder() == here / "runs"
    monkeypatch.delenv("UNETBOOK_RUNS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    assert harness.runs_folder() == here / "cache/unetbook/runs"


def test_a_network_that_is_given_away_is_kept(here, monkeypatch):
    small = {**labs.ENCODER.quick, "training_pictures": 1}
    study = dataclasses.replace(labs.ENCODER, settings={**labs.ENCODER.settings, **small})
    summary = harness.run(study, out=here / "out")
    kept = store.load(here / "out/weights/encoder-synthetic.keras")
    entry = summary["arms"]["encoder"]
    assert kept.metadata["license"] == "MIT" and kept.metadata["seed"] == 0 and kept.metadata["arm"] == "encoder"
    assert kept.metadata["scores"] == entry["seeds"]["0"]["scores"] == entry["kept"]["scores"]
    assert kept.count_params() == entry["seeds"]["0"]["parameters"]
    monkeypatch.setattr(keep, "LARGEST_BYTES", 100)
    with pytest.raises(ValueError, match="more than 100: keep a narrower network"):
        harness.run(study, out=here / "other")
    assert not list((here / "other").rglob("*.keras"))


LABS = [study for study in catalog.STUDIES.values() if study.task == "synthetic"]


@pytest.mark.parametrize("study", LABS, ids=lambda study: study.name)
def test_a_quick_run_of_each_lab(study, here, eager):
    summary = harness.run(study, quick=True)
    tried = {arm for arm, of in summary["arms"].items() if of["seeds"]}
    assert tried == set(study.quick_arms or study.arms)
    for arm in tried:
        (entry,) = summary["arms"][arm]["seeds"].values()
        assert all(np.isfinite(value) for value in entry["scores"].values()) and entry["multiply_adds"] > 0
        assert entry["steps"] == study.values(arm, True)["steps"] * study.values(arm, True)["epochs"]
    stems = {study.stem(arm) for arm in study.keeps}
    assert {path.stem for path in (here / "runs/quick/weights").glob("*")} == stems
    assert not (here / "here/results").exists()


def test_a_folder_of_data_is_described_by_names_and_contents(tmp_path):
    (tmp_path / "set/a").mkdir(parents=True)
    (tmp_path / "set/a/1.png").write_bytes(b"one")
    (tmp_path / "set/2.png").write_bytes(b"two")
    described = records.described(tmp_path / "set")
    assert (described["folder"], described["files"], described["bytes"]) == ("set", 2, 6)
    (tmp_path / "set/2.png").rename(tmp_path / "set/3.png")
    assert records.described(tmp_path / "set")["sha256"] != described["sha256"]


def test_a_summary_is_short_and_read_back():
    value = {"a": [1, 2.5, None], "b": {f"name {n}": {"scores": {"dice": n}} for n in range(40)}, "c": []}
    told = records.text(value)
    assert json.loads(told) == value and max(map(len, told.splitlines())) <= 120
    assert ' "a": [1, 2.5, null],' in told.splitlines()


def test_bfloat16_only_to_train_and_only_where_the_processor_has_it(here, monkeypatch):
    study = dataclasses.replace(TINY, settings={**TINY.settings, "precision": "mixed_bfloat16"})
    built, build, judged, evaluate = [], synthetic.build, [], synthetic.evaluate
    monkeypatch.setattr(synthetic, "build", lambda *of: built.append(build(*of)) or built[-1])
    monkeypatch.setattr(synthetic, "evaluate", lambda *one: judged.append(one[0]) or evaluate(*one))
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: True)
    entry = harness.run(study, [0], ["one"])["arms"]["one"]["seeds"]["0"]
    assert entry["precision"] == "mixed_bfloat16"
    trained, plain = built
    assert trained.layers[1].compute_dtype == "bfloat16" and trained.layers[1].variable_dtype == "float32"
    assert judged[0] is plain and {layer.compute_dtype for layer in plain.layers} == {"float32"}
    for one, other in zip(trained.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert keras.config.dtype_policy().name == "float32"
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: False)
    entry = harness.run(study, [1], ["one"])["arms"]["one"]["seeds"]["1"]
    assert entry["precision"] == "float32" and built[-1].layers[1].compute_dtype == "float32"


def test_a_processor_says_whether_it_has_bfloat16(tmp_path, monkeypatch):
    listing = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "Path", lambda _: listing)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert not precision._has_bfloat16()  # no listing: not Linux
    listing.write_text("model name\t: bf16 in the name only\nflags\t\t: fpu avx512f\n")
    assert precision.usable("mixed_bfloat16") == "float32" and precision.usable("float32") == "float32"
    listing.write_text("flags\t\t: fpu avx512f avx512_bf16\n")
    assert precision.usable("mixed_bfloat16") == "mixed_bfloat16"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    listing.unlink()
    assert precision._has_bfloat16()
