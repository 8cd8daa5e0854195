"""What the studies found: the files in ``results/`` are whole and small, and are read into typed values."""

import ast
import csv
import hashlib
import json
import shutil
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import unetbook
from unetbook import results, statistics

NAMES = sorted(path.stem for path in results.folder().glob("*.json") if path.stem not in ("benchmarks", "clinic"))
every_study = pytest.mark.parametrize("name", NAMES)


def entry(score, **facts):
    return {"scores": {"f": score}, "machine": 0, "commit": "c0ffee", "date": "2026-11-29", "steps": 20, **facts}


SUMMARY = {
    "study": "tiny",
    "summary": "two arms on two pictures",
    "task": "nuclei",
    "quick": False,
    "settings": {"filters": 2, "steps": 10},
    "arms": {
        "plain": {
            "changes": {},
            "mean": {"f": 0.5},
            "std": {"f": 0.1},
            "seeds": {"0": entry(0.4, once={"scores": {"f": 0.3}}), "1": entry(0.6, once={"scores": {"f": 0.2}})},
        },
        "wide": {
            "changes": {"filters": 4},
            "once_mean": {"f": 0.9},
            "once_std": {"f": 0.0},
            "seeds": {"0": entry(0.9)},
        },
    },
    "pairs": [["wide", "plain"]],
    "differences": {"wide - plain": {"f": {"mean": 0.5, "low": None, "high": None, "pairs": 1}}},
    "baselines": {"otsu": {"scores": {"f": 0.1}, "choices": {"threshold": 0.5}}},
    "data": [],
    "split": {"file": "splits/tiny.json", "sha256": "", "images": {"train": 1, "test": 2}},
    "machines": [{"hardware": {"cores": 2}, "backend": "jax", "versions": {}}],
    "rows": True,
    "tables": {"images": 4, "curves": 3, "kinds": 3, "swept": 3},
    "as_run": {"wide": {"recipe": "tiny-wide", "settings": {"steps": 10, "filters": 4}}},
}
TABLES = {
    "tiny.csv": "arm,seed,reading,image,kind,f,cells,touches\n"
    "plain,0,,007,small,0.5,3,true\n"
    "plain,0,once,007,small,0.25,3,false\n"
    "plain,1,,007,small,1e-05,3,\n"
    'otsu,,,007,"small, gray",1.0,3,true\n',
    "tiny-curves.csv": "arm,seed,epoch,loss,val_f\nplain,0,1,0.5,0.1\nplain,0,2,0.25,0.2\nplain,1,1,0.5,0.3\n",
    "tiny-kinds.csv": "arm,seed,reading,kind,images,f\n"
    "plain,0,,small,2,0.5\nplain,0,once,small,2,0.25\notsu,,,small,2,0.125\n",
    "tiny-swept.csv": "arm,seed,part,threshold,core,f\n"
    "plain,0,test,0.5,,0.5\nplain,0,validation,0.5,0.9,0.25\nplain,1,test,0.5,,0.75\n",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of results with one small study."""
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/tiny.json").write_text('{"train": ["001"], "test": ["007", "008"]}\n')
    write(tmp_path, SUMMARY)
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text, newline="\n")
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    return tmp_path


def write(folder, summary):
    (folder / "tiny.json").write_text(json.dumps(summary))


def test_a_study_and_its_arms(folder):
    study = results.study("tiny")
    assert study.name == "tiny" and study.summary["task"] == "nuclei" and repr(study) == "<study tiny: plain, wide>"
    assert study.arms == ["plain", "wide"] and study.pairs == [("wide", "plain")]
    assert study.settings == {"filters": 2, "steps": 10} and study.settings_of("plain") == study.settings
    assert list(study.settings_of("wide").items()) == [("steps", 10), ("filters", 4)], (
        "in the order in which it was run"
    )
    assert study.differences["wide - plain"]["f"]["mean"] == 0.5
    assert study.baselines["otsu"]["choices"] == {"threshold": 0.5}
    assert study.mean("plain") == {"f": 0.5} and study.std("plain") == {"f": 0.1}
    assert study.mean("wide", "once") == {"f": 0.9} and study.std("wide", "once") == {"f": 0.0}


def test_entries_scores_and_machines(folder):
    study = results.study("tiny")
    assert list(study.entries("plain")) == [0, 1] and list(study.entries()) == [("plain", 0), ("plain", 1), ("wide", 0)]
    assert study.scores("plain", "f") == [0.4, 0.6] and study.scores("plain", "f", seeds=[1]) == [0.6]
    assert study.scores("plain", "f", "once") == [0.3, 0.2]
    assert study.machine(study.entries("wide")[0])["backend"] == "jax"


def test_rows_have_typed_values_and_lack_what_was_not_measured(folder):
    study = results.study("tiny")
    first, second = study.rows("plain")
    assert first == {
        "arm": "plain",
        "seed": 0,
        "reading": "",
        "image": "007",
        "kind": "small",
        "f": 0.5,
        "cells": 3,
        "touches": True,
    }
    assert type(first["cells"]) is int and second["f"] == 1e-05 and "touches" not in second
    assert [row["f"] for row in study.rows("plain", 0, "once")] == [0.25]
    assert [row["f"] for row in study.rows("plain", reading=None)] == [0.5, 0.25, 1e-05]
    assert len(study.rows(reading=None)) == 4 and study.rows("wide") == []
    (of_otsu,) = study.rows("otsu")
    assert of_otsu["kind"] == "small, gray" and "seed" not in of_otsu
    first["f"] = 0
    assert study.rows("plain", 0)[0]["f"] == 0.5, "a row may be changed by whoever asked for it"


def test_curves_kinds_and_what_was_swept(folder):
    study = results.study("tiny")
    assert study.curves("plain", 0) == {"loss": [0.5, 0.25], "val_f": [0.1, 0.2]}
    assert study.kinds("plain", 0) == {"small": {"images": 2, "f": 0.5}}
    assert study.kinds("plain", 0, "once")["small"]["f"] == 0.25 and study.kinds("otsu")["small"]["f"] == 0.125
    assert study.swept("plain", 0) == [{"threshold": 0.5, "f": 0.5}]
    assert study.swept("plain", 0, "validation") == [{"threshold": 0.5, "core": 0.9, "f": 0.25}]


def test_the_split_is_the_one_of_the_run(folder):
    with pytest.raises(ValueError, match=r"tiny.json is not the split of tiny. Get it again: git checkout"):
        _ = results.study("tiny").split
    path = folder / "splits/tiny.json"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write(folder, SUMMARY | {"split": SUMMARY["split"] | {"sha256": digest}})
    assert results.study("tiny").split == {"train": ["001"], "test": ["007", "008"]}
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))  # as a clone on Windows may have it
    assert results.study("tiny").split["train"] == ["001"]


def test_an_unknown_study_names_the_closest_and_the_command(folder):
    with pytest.raises(FileNotFoundError, match=r"did you mean 'tiny'\? It is made by: python -m studies run tinny"):
        results.study("tinny")
    with pytest.raises(FileNotFoundError, match=r"zzz.json is not there. It is made by: python -m studies run zzz"):
        results.study("zzz")
    with pytest.raises(ValueError, match="tiny has no arm 'plane', but plain, wide"):
        results.study("tiny").rows("plane")


def test_a_summary_that_was_cut_short_is_named(folder):
    text = (folder / "tiny.json").read_text()
    (folder / "tiny.json").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"tiny.json was cut short .* git checkout .* python -m studies run tiny"):
        results.study("tiny")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda text: text[: text.rindex("\n", 0, -1) + 1], r"has 3 rows, and tiny.json tells of 4. Get it again"),
        (lambda text: text[: text.rindex(",")], r"has 7 cells in line 5, not 8. Get it again: git checkout"),
        (lambda text: "", r"has 0 rows, and tiny.json tells of 4. Get it again"),
    ],
)
def test_a_table_that_was_cut_short_is_named(folder, cut, message):
    (folder / "tiny.csv").write_text(cut(TABLES["tiny.csv"]), newline="\n")
    with pytest.raises(ValueError, match=rf"tiny.csv {message}"):
        results.study("tiny").rows()


def test_a_table_that_is_gone_or_was_never_there(folder):
    (folder / "tiny-curves.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"tiny-curves.csv is not there. Get it again"):
        results.study("tiny").curves("plain", 0)
    write(folder, SUMMARY | {"rows": False, "tables": {"curves": 3}})
    with pytest.raises(ValueError, match="tiny stored no table of images, but curves"):
        results.study("tiny").rows("plain")


def test_benchmarks(folder):
    with pytest.raises(FileNotFoundError, match=r"has no 'augment'. It is made by: python -m benchmarks augment"):
        results.benchmark("augment")
    (folder / "benchmarks.json").write_text('{"augment": {"share": 0.1}}')
    assert results.benchmark("augment") == {"share": 0.1}


# The stored results.


@every_study
def test_every_stored_study_is_whole(name):
    study = results.study(name)
    summary = study.summary
    assert summary["study"] == name and not summary["quick"] and summary["summary"]
    assert summary["task"].removeprefix("budget_") in ("membranes", "nuclei", "lesions", "touching", "synthetic")
    assert summary["rows"] == ("images" in summary["tables"])
    measured = {arm for arm, _ in study.entries()}  # a study may only be begun
    assert measured
    for one, other in study.pairs:
        assert not {one, other} <= measured or set(study.differences[f"{one} - {other}"])
    for (arm, seed), one in study.entries().items():
        assert study.machine(one)["hardware"] and study.machine(one)["backend"] and study.machine(one)["versions"]
        assert len(one["commit"]) == 40 and one["date"][:2] == "20" and one["steps"] > 0 and one["seconds"] > 0
        assert len(study.curves(arm, seed)["loss"]) > 0
        other = one.get("scored", {}).get("machine", 0)
        assert summary["machines"][other]
    if "as_run" in summary:  # written by the harness of the first edition
        assert list(summary["as_run"]) == study.arms
        for arm, run in summary["as_run"].items():
            assert run["recipe"] and run["settings"] | run.get("options", {}) == study.settings_of(arm)


@every_study
def test_every_table_of_a_stored_study_is_whole_and_quick_to_read(name):
    study = results.study(name)
    stems = {results.table_path(results.folder(), name, table).name for table in study.summary["tables"]}
    there = {path.name for end in results.TABLES.values() for path in results.folder().glob(f"{name}{end}.csv")}
    assert stems == there
    known = {*study.arms, *study.baselines}
    for table in study.summary["tables"]:
        raw = results.table_path(results.folder(), name, table).read_bytes()
        assert b"\r" not in raw and raw.endswith(b"\n")
        rows, seconds = study._rows(table), []
        for _ in range(3):
            fresh, began = results.study(name), time.process_time()
            fresh._rows(table)
            seconds.append(time.process_time() - began)
        assert min(seconds) < 0.1, "a table takes longer to read than a reader notices"
        assert {row["arm"] for row in rows} <= known
        assert all("seed" in row or row["arm"] in study.baselines for row in rows)
    if "split" in study.summary:
        counts = {part: len(ids) for part, ids in study.split.items()}
        assert counts == study.summary["split"]["images"]
        ids = {str(id_) for part in study.split.values() for id_ in part}
        assert {row["image"] for row in (study.rows(reading=None) if study.summary["rows"] else [])} <= ids


@every_study
def test_a_stored_summary_is_small_and_lists_no_images(name):
    path, study = results.folder() / f"{name}.json", results.study(name)
    assert path.stat().st_size <= max(60_000, 20_000 * len(study.arms))
    splits = [json.loads(file.read_text()) for file in (results.folder() / "splits").glob("*.json")]
    ids = {id_ for split in splits for part in split.values() for id_ in part}
    assert not ids & set(words(study.summary)) and "images" not in (
        key for one in study.entries().values() for key in one
    )


def words(value):
    """All words in a JSON value, keys too."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from words(part)
    elif isinstance(value, str):
        yield value


def test_no_result_of_a_single_arm_is_left_behind():
    stems = {path.stem for path in results.folder().glob("*.csv")}
    assert {stem for stem in stems if stem.rpartition("-")[2] not in ("curves", "kinds", "swept")} <= set(NAMES)
    assert {"isbi2012", "dsb2018", "isic2017", "usiigaci"} <= set(NAMES) and "isbi2012-paper" not in NAMES


def test_gaps_of_one_position_stand_apart_from_means_of_eight():
    study = results.study("dsb2018")
    assert all("scores" not in one for one in study.entries("gaps").values())
    assert study.mean("gaps", "once")["dsb"] == pytest.approx(sum(study.scores("gaps", "dsb", "once")) / 3, abs=1e-5)
    assert {row["reading"] for row in study.rows("gaps", reading=None)} == {"once"}


def test_means_are_those_of_the_rows():
    """Two ways to one number: the summary's score of a seed, and the rows that it is the mean of."""
    study = results.study("isbi2012")
    for reading in ("", "one_threshold", "without_averaging.one_threshold"):
        rows = study.rows("paper", 1, reading)
        assert len(rows) == 6
        mean = sum(row["rand_thin"] for row in rows) / 6
        assert study.scores("paper", "rand_thin", reading)[1] == pytest.approx(mean, abs=1e-5)


def test_the_library_does_not_know_the_studies():
    for file in Path(unetbook.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [module for module in modules if module.split(".")[0] == "studies"], file


def test_an_installed_package_has_the_tables_too(tmp_path, monkeypatch):
    """What ``pyproject.toml`` installs is all that a chapter reads."""
    config = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = config["tool"]["setuptools"]["package-data"]["unetbook._results"]
    for pattern in patterns:
        for file in results.folder().glob(pattern):
            if file.suffix != ".keras":
                target = tmp_path / file.relative_to(results.folder())
                target.parent.mkdir(exist_ok=True)
                shutil.copy(file, target)
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    study = results.study("usiigaci")
    assert study.rows("weights", 0) and study.swept("weights", 0) and study.split["test"]


def test_a_table_opens_in_any_program(name="usiigaci"):
    with (results.folder() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results.study(name).summary["tables"]["images"]
    assert rows[0]["arm"] == "weights" and 0 < float(rows[0]["dsb"]) < 1


@every_study
def test_means_and_differences_are_those_of_the_seeds(name):
    """A number that somebody typed into a summary is found: chapters read these."""
    run = results.study(name)
    for arm in run.arms:
        for reading in {"", *([] if "once_mean" not in run.arm(arm) else ["once"])}:
            if f"{reading}_mean".lstrip("_") not in run.arm(arm):
                continue
            for score, mean in run.mean(arm, reading).items():
                each = run.scores(arm, score, reading)
                assert mean == pytest.approx(np.mean(each), abs=2e-5), (arm, score)
                if len(each) > 1:
                    assert run.std(arm, reading)[score] == pytest.approx(np.std(each, ddof=1), abs=2e-5), (arm, score)
    for pair, of in run.differences.items():
        one, other = next(pair_ for pair_ in run.pairs if " - ".join(pair_) == pair)
        shared = [seed for seed in run.entries(one) if seed in run.entries(other)]
        for score, row in of.items():
            both = ([run.entries(arm)[seed]["scores"][score] for seed in shared] for arm in (one, other))
            found = statistics.paired_difference(*both)
            assert {end: row[end] for end in found} == pytest.approx(found, abs=5e-5), (pair, score)
