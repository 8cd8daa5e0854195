"""A folder of annotated pictures: what is found, what is chosen by rules, and a training from end to end."""

import dataclasses
import re
import shutil
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import unetbook
from unetbook import __main__, nets, project, scores
from unetbook.datasets import synthetic
from unetbook.project import found as finding
from unetbook.project import judge, learn, plan, run

SMALL = {"filters": 2, "depth": 2, "tile": 64, "batch": 2}
CELLS = synthetic.cells(8, 96, seed=3)


def write(folder, images, masks, names=None):
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        name = names[number] if names else f"cell{number}.png"
        cv2.imwrite(str(folder / "images" / name), np.round(255 * image).astype(np.uint8))
        cv2.imwrite(str(folder / "masks" / name), mask)
    return folder / "images", folder / "masks"


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Two folders: six drawn pictures, numbered cells, and one picture without a mask."""
    images, objects = CELLS
    places = write(tmp_path_factory.mktemp("cells"), images[:7], objects[:7].astype(np.uint16))
    (places[1] / "cell6.png").unlink()
    return places


@pytest.fixture
def small(monkeypatch):
    """Networks and tiles of a test."""
    made = plan.made

    def smaller(found):
        chosen, rows = made(found)
        return dataclasses.replace(chosen, **SMALL), rows

    monkeypatch.setattr(plan, "made", smaller)
    monkeypatch.setattr(learn, "EPOCHS", 4)


def test_what_is_found(cells):
    pictures, found = finding.read(*cells)
    assert (len(pictures), found.task, found.encoding) == (6, "objects", "numbers of objects")
    assert found.sizes == [(96, 96)] * 6 and found.bits == [8] and found.channels == 1
    assert found.counts == [len(np.unique(one)) - 1 for one in CELLS[1][:6]]
    areas = np.concatenate([np.bincount(one.ravel())[1:] for one in CELLS[1][:6]])
    assert found.diameter == pytest.approx(np.median(2 * np.sqrt(areas[areas > 0] / np.pi)))
    assert [file.rsplit("/")[-1] for file in found.alone] == ["cell6.png"] and found.unlabeled == found.alone


NUMBERS = [np.array([[0, 1, 1], [0, 0, 0], [2, 2, n]], np.uint8) for n in (0, 0, 3, 3)]
CLASSES = [np.array([[0, 1, 0], [1, 0, 2], [0, 2, 1]], np.uint8)] * 4
PIECES = [np.array([[255, 0, 255], [0, 0, 0], [255, 0, 0]], np.uint8)] * 4
SPOT = [np.array([[0, 0, 0], [0, 255, 255], [0, 255, 0]], np.uint8)] * 4
GRAY = [np.array([[0, 127, 0], [127, 0, 255], [0, 255, 127]], np.uint8)] * 4


@pytest.mark.parametrize(
    ("masks", "asked", "task", "encoding", "classes", "top"),
    [
        (NUMBERS, None, "objects", "numbers of objects", 2, 3),
        (CLASSES, "classes", "classes", "numbers of classes", 3, 2),
        (CLASSES, "objects", "objects", "numbers of objects", 2, 2),
        (PIECES, "objects", "objects", "masks of 0 and 255, each piece an object", 2, 3),
        (PIECES, "classes", "classes", "masks of 0 and 255", 2, 1),
        (SPOT, None, "classes", "masks of 0 and 255", 2, 1),
        (GRAY, "classes", "classes", "0 is class 0, 127 is class 1, 255 is class 2", 3, 2),
    ],
)
def test_encodings_of_masks(tmp_path, masks, asked, task, encoding, classes, top):
    places = write(tmp_path, np.full((4, 3, 3), 0.5), masks)
    pictures, found = finding.read(*places, task=asked)
    assert (found.task, found.encoding, found.classes) == (task, encoding, classes)
    assert max(one.labels.max() for one in pictures) == top


def test_files_of_few_bits_palettes_and_one_rule_for_all(tmp_path):
    images, masks = write(tmp_path, np.full((3, 3, 3), 0.5), GRAY[:3])
    for number, stored in enumerate((((0, 1, 2),) * 3, ((0, 1, 0),) * 3, ((0, 1, 1),) * 3)):
        picture = Image.fromarray(np.array(stored, np.uint8), "P")
        picture.putpalette([0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255])
        picture.save(masks / f"cell{number}.png", bits=2)
    pictures, found = finding.read(images, masks, task="classes")
    assert found.encoding == "numbers of classes" and found.classes == 3
    assert [one.labels[0].tolist() for one in pictures] == [[0, 1, 2], [0, 1, 0], [0, 1, 1]]


def test_a_number_in_two_pieces_is_one_object_whatever_is_beside_it(tmp_path):
    alone = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], np.uint8)
    beside = np.array([[1, 0, 1], [0, 0, 0], [2, 2, 3]], np.uint8)
    images, masks = write(tmp_path, np.full((2, 3, 3), 0.5), [alone, beside])
    assert [one.labels.max() for one in finding.read(images, masks, task="objects")[0]] == [1, 3]


def test_one_folder_by_two_names(tmp_path, monkeypatch):
    images, masks = write(tmp_path, np.full((2, 3, 3), 0.5), NUMBERS[1:3])
    for file in masks.iterdir():
        file.rename(images / f"{file.stem}_mask.png")
    monkeypatch.chdir(tmp_path)
    assert len(finding.read("images", images)[0]) == 2


def test_a_class_keeps_its_number_where_another_is_missing(tmp_path):
    masks = [GRAY[0], np.where(GRAY[0] == 127, 0, GRAY[0]).astype(np.uint8)]
    pictures, _ = finding.read(*write(tmp_path, np.full((2, 3, 3), 0.5), masks), task="classes")
    assert np.unique(pictures[1].labels).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("masks", "told"),
    [
        (CLASSES, "hold the values 0, 1, 2, which may number objects or name classes: say which, --task"),
        (PIECES, "0 and 255 alone, in 3 pieces a picture: say whether"),
        ([np.zeros((3, 3), np.uint8)] * 2, "marks anything"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path, masks, told):
    with pytest.raises(ValueError, match=told):
        finding.read(*write(tmp_path, np.full((len(masks), 3, 3), 0.5), masks))


def test_pictures_that_do_not_go_together(tmp_path):
    images, masks = write(tmp_path, np.full((2, 3, 3), 0.5), NUMBERS[1:3])
    cv2.imwrite(str(images / "cell1.png"), np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ValueError, match=r"cell1\.png has 3 channel\(s\) and .*cell0\.png has 1: .*--channels 0"):
        finding.read(images, masks)
    assert finding.read(images, masks, channels=[0])[1].channels == 1
    cv2.imwrite(str(masks / "cell1.png"), np.full((3, 3, 3), (0, 9, 0), np.uint8))
    with pytest.raises(ValueError, match=r"cell1\.png has colors"):
        finding.read(images, masks, channels=[0])


FOUND = finding.described([finding.Picture("a", CELLS[0][0], CELLS[1][0], "a")], "objects")._replace(
    touching=0.2, solidity=0.95, diameter=20.0, agree=1.0, sizes=[(512, 600)] * 5
)


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, {"target": "distance", "normalize": "bright_on_dark", "scale": 1, "tile": 128, "outputs": 1}),
        ({"touching": 0.01}, {"target": "gap", "outputs": 2}),
        ({"touching": 0.5, "solidity": 0.8}, {"target": "border", "border_weight": 10, "outputs": 3}),
        ({"agree": 0.9}, {"normalize": "stretched"}),
        ({"diameter": 300.0}, {"scale": 0.12}),
        ({"diameter": 75.0}, {"scale": 0.4, "tile": 192}),
        ({"diameter": 3.0}, {"scale": 4}),
        ({"task": "classes", "classes": 4, "reach": [0.9, 0.8]}, {"normalize": "as_it_is", "outputs": 4}),
        ({"task": "classes", "reach": [0.9, 0.3]}, {"normalize": "stretched", "side": None}),
        ({"task": "classes", "reach": [0.1, 0.1]}, {"normalize": "stretched"}),
        ({"task": "classes", "diameter": 200.0}, {"side": 128, "tile": 128, "batch": 16, "normalize": "stretched"}),
    ],
)  # fmt: skip
def test_rules(changes, chosen):
    made, rows = plan.made(FOUND._replace(**changes))
    assert {name: getattr(made, name) for name in chosen} == chosen
    assert all(len(row) == 3 and all(isinstance(cell, str) for cell in row) for row in rows)


def test_a_split_keeps_groups_whole():
    pictures = [finding.Picture(str(n), None, None, str(n // 3)) for n in range(15)]
    for seed in range(5):
        parts = run.split(pictures, seed)
        groups = [{one.group for one in of} for of in parts.values()]
        ids = [one.id for of in parts.values() for one in of]
        assert all(groups) and sum(map(len, groups)) == 5 and sorted(ids) == sorted(one.id for one in pictures)
    with pytest.raises(ValueError, match="2 groups cannot be split into three parts"):
        run.split([one._replace(group=str(number % 2)) for number, one in enumerate(pictures)], 0)


def test_groups_are_found_in_names_or_in_pictures(tmp_path):
    names = [f"p{n // 2}-s{n}.png" for n in range(4)]
    places = write(tmp_path, CELLS[0][:4], CELLS[1][:4].astype(np.uint16), names)
    assert [one.group for one in finding.read(*places, group_by=r"^(p\d)")[0]] == ["p0", "p0", "p1", "p1"]
    with pytest.raises(ValueError, match="'patient' is not found in 'p0-s0'"):
        finding.read(*places, group_by="patient")
    with pytest.raises(ValueError, match=r"--group-by '\(p' is no regular expression"):
        finding.read(*places, group_by="(p")
    pictures, _ = finding.read(*places)
    assert run.grouped(pictures, None)[1][1] == "4"
    again, row = run.grouped([*pictures, pictures[0]._replace(id="copy", group="copy")], None)
    assert row[1] == "4" and again[0].group == again[-1].group


@pytest.mark.backend
def test_from_a_folder_to_a_report(cells, small, tmp_path, capsys):
    out = tmp_path / "cells.keras"
    arguments = ["--images", str(cells[0]), "--masks", str(cells[1]), "--out", str(out), "--minutes", "0.001"]
    assert __main__.main(["train", *arguments, "--names", "cell"]) == 0
    told = capsys.readouterr().out
    assert all(part in told for part in ("found:", "numbers of objects", "chosen:", "4 train, 1 validation, 1 test"))
    network = unetbook.load(out)
    passport = network.passport
    assert passport["classes"] == ["background", "cell"] and network.finds_objects and passport["test_pictures"] == 1
    assert passport["normalize"] == "bright_on_dark" and set(passport["scores"]) == {
        "f1", "dice", "count_error", "area_error",
    }  # fmt: skip
    assert network(CELLS[0][7]).shape == (96, 96)
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "http" not in page and "cell6.png" in page and page.count("<h2>") == 7
    assert all(re.search(r'alt="[^"]+"', image) for image in re.findall("<img[^>]*>", page))
    assert f"{passport['scores']['f1']:.3f}" in page and re.search(r"validation: cell\d; test: cell\d\. ", page)
    assert "One group is no proof" in page
    assert not out.with_suffix(".training").exists()
    assert __main__.main(["train", *arguments]) == 1 and "is there already" in capsys.readouterr().err


def test_a_stopped_training_goes_on_to_the_same_network(cells, small, tmp_path, monkeypatch):
    whole = project.train_folder(*cells, tmp_path / "whole.keras", minutes=0.001, tell=str)
    out, end = tmp_path / "stopped.keras", learn._Learner.on_epoch_end

    def stop(self, epoch, logs=None):
        end(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learn._Learner, "on_epoch_end", stop)
        with pytest.raises(KeyboardInterrupt):
            project.train_folder(*cells, out, minutes=0.001, tell=str)
    assert not out.exists()
    with pytest.raises(ValueError, match=r"stopped\.training holds a training that was begun with other parts, seed"):
        project.train_folder(*cells, out, minutes=0.001, seed=1, tell=str)
    told = []
    again = project.train_folder(*cells, out, minutes=0.001, tell=told.append)
    assert any("goes on after epoch 2" in line for line in told)
    for one, other in zip(whole.segmenter.model.get_weights(), again.segmenter.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.scores == whole.scores and [row["picture"] for row in again.rows] == [
        row["picture"] for row in whole.rows
    ]


def test_as_many_steps_as_asked_for(cells, small, tmp_path, monkeypatch, capsys):
    """In whole epochs, in float32, without a clock; a stopped training of other steps is not gone on with."""
    monkeypatch.setattr(learn, "_affordable", None)
    monkeypatch.setattr(learn.precision, "usable", None)
    learned, end = [], learn._Learner.on_train_batch_end
    monkeypatch.setattr(
        learn._Learner, "on_train_batch_end", lambda *call, **logs: (learned.append(1), end(*call, **logs))
    )
    out, folders = tmp_path / "x.keras", ["--images", str(cells[0]), "--masks", str(cells[1])]
    assert __main__.main(["train", *folders, "--out", str(out), "--steps", "7"]) == 0
    told = capsys.readouterr().out
    assert len(learned) == 10 and "10 steps" in out.with_suffix(".html").read_text(encoding="utf-8")
    assert unetbook.load(out).passport["steps"] == 10 and "annotate next" in told and "cell6.png" in told
    state = learn.begun(tmp_path / "run", {"steps": 7}, 7)
    (tmp_path / "run").mkdir()
    learn.write_state(tmp_path / "run", state)
    with pytest.raises(ValueError, match="begun with other steps"):
        learn.begun(tmp_path / "run", {"steps": 8}, 8)


def test_the_commands_of_the_readme(cells, small, tmp_path, monkeypatch, capsys):
    """As they are written there, one after the other; but a few steps of training in place of minutes."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split("### With your own images")[1]
    commands = [line.split("unetbook ")[1] for line in text.splitlines() if line.startswith("    python -m unetbook")]
    assert [line.split()[0] for line in commands] == ["train", "predict", "predict", "score", "export"]
    for place in cells:
        shutil.copytree(place, tmp_path / place.name)
    images, objects = CELLS
    for place in write(tmp_path / "more", images[6:], objects[6:].astype(np.uint16)):
        place.rename(tmp_path / {"images": "new", "masks": "new_masks"}[place.name])
    monkeypatch.chdir(tmp_path)
    for line in commands:
        assert __main__.main(line.replace("--minutes 20", "--steps 5").split()) == 0, capsys.readouterr().err
    there = {file.name for file in (tmp_path / "found").iterdir()}
    endings = ("_labels.png", "_overlay.png", "_table.csv", ".geojson", "_rois.zip")
    assert there == {f"cell{number}{ending}" for number in (0, 1) for ending in endings}
    assert all((tmp_path / name).is_file() for name in ("cells.keras", "cells.html", "scores.csv", "cells.onnx"))


@pytest.mark.parametrize(("few", "on"), [(5, 5), (1, 1)])
def test_the_best_epoch_of_the_second_half_is_kept_and_test_pictures_are_seen_once(
    few, on, cells, small, tmp_path, monkeypatch
):
    scores_told, weights, chosen_on, end, choose = (
        iter((0.9, 0.1, 0.4, 0.3)),
        [],
        [],
        learn._Learner.on_epoch_end,
        judge.chosen,
    )

    def noted(self, epoch, logs=None):
        end(self, epoch, logs)
        weights.append(self.model.get_weights())

    def spied(reader, pictures, plan):
        chosen_on.extend(one.id for one in pictures)
        return choose(reader, pictures, plan)

    def validated(reader, pictures):
        seen.extend(one.id for one in pictures)
        return next(scores_told)

    def drawn(pictures, *more):
        seen.extend(one.id for one in pictures)
        return batches(pictures, *more)

    seen, batches = [], learn.batches
    monkeypatch.setattr(judge, "after_an_epoch", validated)
    monkeypatch.setattr(learn, "batches", drawn)
    monkeypatch.setattr(learn._Learner, "on_epoch_end", noted)
    monkeypatch.setattr(judge, "chosen", spied)
    monkeypatch.setattr(run, "FEW", few)
    trained = project.train_folder(*cells, tmp_path / "best.keras", steps=20, tell=str)
    kept = trained.segmenter.model.get_weights()
    assert all(map(np.array_equal, kept, weights[2])) and not all(map(np.array_equal, kept, weights[-1]))
    tested = {row["picture"] for row in trained.rows}
    assert len(chosen_on) == on and len(tested) == 1 and not tested & {*chosen_on, *seen} and len(set(seen)) == 5


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"target": "distance"}, None),
        ({"target": "border", "border_weight": 10.0, "scale": 0.5}, None),
        ({"target": "classes", "side": 64}, None),
        ({"target": "gap"}, "one"),
    ],
    ids=str,
)
def test_every_target_is_learned_and_read(changes, start, tmp_path):
    """A few steps of each target, with the pictures' scale or in a square, and from another network's weights."""
    task = "classes" if changes["target"] == "classes" else "objects"
    numbered = CELLS[1] if task == "objects" else (CELLS[1] > 0).astype(np.int32)
    pictures = [
        finding.Picture(str(n), image, known, str(n))
        for n, (image, known) in enumerate(zip(CELLS[0][:4], numbered[:4], strict=True))
    ]
    found = finding.described(pictures, task)
    chosen = dataclasses.replace(plan.Plan("gap", 2, "bright_on_dark", 1, **SMALL), **changes)
    given = None
    if start:
        other = learn.network(dataclasses.replace(chosen, target="classes", classes=3))
        given = unetbook.Segmenter(other, {"classes": ["a", "b", "c"]})
        tuned, rows = plan.started(chosen, [("network", "", "")], given, start)
        assert tuned.learning_rate == plan.TUNED and [row[0] for row in rows] == ["start"]
        network = learn.network(tuned, other)
        np.testing.assert_array_equal(network.get_weights()[0], other.get_weights()[0])
        assert network.output_shape[-1] == 2
    parts = {"train": pictures[:2], "validation": pictures[2:3], "test": pictures[3:]}
    state = learn.begun(tmp_path / "run", {}) | {"steps": 4, "each": 2}
    judged = run.trained(parts, chosen, state, tmp_path / "run", found, minutes=1, start=given)
    answer = judged.answers["3"]
    assert answer.shape == (96, 96) and answer.dtype == np.int32
    assert np.array_equal(judged.segmenter(pictures[3].image), answer)
    assert ("f1" in judged.scores) == (task == "objects") and len(judged.baselines) == 1
    assert len(state["loss"]) == 2 and state["loss"][1] < 2 * state["loss"][0]


def test_pieces_of_one_object_in_a_tile_are_no_mask():
    """A weight map warns of a mask that nobody numbered, and a tile may hold pieces of object 1 alone."""
    known = np.zeros((64, 64), np.int32)
    known[4:20, 4:20] = known[40:60, 40:60] = 1
    chosen = plan.Plan("gap", 2, "stretched", 1, **SMALL)
    drawn = learn.batches([finding.Picture("a", CELLS[0][0][:64, :64], known, "a")], chosen, 2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, classes, weights = drawn[0]
    assert images.shape == (2, 64, 64, 1) and set(np.unique(classes)) == {0, 1} and (weights == 1).all()


def test_a_network_whose_end_cannot_be_replaced_is_refused():
    given = unetbook.Segmenter(nets.improved_unet((None, None, 1), 2, filters=2), {"classes": ["a", "b"]})
    chosen = plan.Plan("border", 2, "stretched", 1)
    with pytest.raises(ValueError, match=r"mine tells 2 channel\(s\) by its layer .*, and 3 are needed here"):
        plan.started(chosen, [], given, "mine")


def test_nan_is_told_with_what_to_do(cells, small, tmp_path, monkeypatch):
    monkeypatch.setattr(learn, "_loss", lambda plan: lambda labels, logits: keras.ops.mean(logits) * np.nan)
    with pytest.raises(ValueError, match=r"no longer a number in epoch 1: .* another --seed"):
        project.train_folder(*cells, tmp_path / "nan.keras", steps=5, tell=str)


def test_pictures_without_a_mask_are_read_by_the_channels_that_they_have(cells, tmp_path):
    reader = unetbook.Segmenter(learn.network(plan.Plan("gap", 2, "stretched", 1, **SMALL)), {"classes": ["a", "b"]})
    found = finding.read(*cells)[1]
    assert len(run._unsure(reader, found, [0])) == 1 and run._unsure(reader, found, [2]) == []


def test_perfect_answers_score_perfectly_and_intervals_hold_the_mean():
    pictures = [finding.Picture(str(n), CELLS[0][n], CELLS[1][n], str(n // 2)) for n in range(6)]
    rows = judge.scored([one.labels for one in pictures], pictures, "objects")
    scored = judge.together(rows, "objects")
    assert [of["mean"] for of in scored.values()] == [1, 1, 0, 0]
    half = [one.labels * (number > 2) for number, one in enumerate(pictures)]
    empty = judge.together(judge.scored(half, pictures, "objects"), "objects")
    assert all(of["low"] <= of["mean"] <= of["high"] and of["low"] < of["high"] for of in empty.values())
    assert judge.together(rows[:2], "objects")["f1"] == {"mean": 1.0, "low": None, "high": None}  # one group


def test_the_baseline_finds_what_is_easy():
    pictures = [
        finding.Picture(str(n), (CELLS[1][n, ..., None] > 0) * np.float32(0.6), CELLS[1][n], "") for n in range(3)
    ]
    for invert in (False, True):
        shown = [one._replace(image=1 - one.image) if invert else one for one in pictures]
        answers = judge.without_a_network(shown, shown, finding.described(shown, "objects"))
        (found,) = answers.values()
        assert all(scores.dice(one.labels > 0, answer > 0) > 0.99 for one, answer in zip(shown, found, strict=True))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"out": "x.h5"}, r"ends in \.keras: give x\.keras instead"),
        ({"minutes": 0}, "minutes must be a positive number"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"names": ["a", "b"]}, r"1 name\(s\) are needed"),
        ({"start": "nucleus"}, "did you mean 'nuclei'"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_wrong_options(cells, tmp_path, options, told):
    with pytest.raises(ValueError, match=told):
        project.train_folder(*cells, **({"out": tmp_path / "x.keras"} | options), tell=str)
    assert not list(tmp_path.iterdir())


def test_too_few_pictures(cells, tmp_path):
    for place in cells:
        shutil.copytree(place, tmp_path / place.name)
    for name in ("cell0.png", "cell1.png"):
        (tmp_path / "masks" / name).unlink()
    with pytest.raises(ValueError, match="4 annotated pictures are too few to learn from and to judge: annotate 5"):
        project.train_folder(tmp_path / "images", tmp_path / "masks", tmp_path / "x.keras", tell=str)


def test_what_does_about_as_well_is_no_reason_to_leave_the_plainest():
    offered = [0.5, 0.9, 0.1]
    for worth, picked in (((0.80, 0.809, 0.7), 0.5), ((0.80, 0.82, 0.7), 0.9), ((0.80, 0.812, 0.82), 0.9)):
        assert judge._plainest(offered, dict(zip(offered, worth, strict=True)).get) == picked
