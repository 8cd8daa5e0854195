"""A stored network on a reader's own files, and label images scored against the truth."""

import csv
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import roifile
import tifffile

from unetbook import (
    __main__,
    application,
    comparison,
    images,
    labels,
    naming,
    normalize,
    outputs,
    results,
    scores,
    store,
    submission,
)
from unetbook import segmenter as segmenters
from unetbook.datasets import synthetic
from unetbook.segmenter import Segmenter


def painter(channels=3):
    """A network that needs no training: a pixel is a nucleus where its normalized channels exceed 1/2 in the mean."""
    inputs = keras.Input((None, None, channels))
    logits = keras.layers.Conv2D(2, 1, name="head")(inputs)
    model = keras.Model(inputs, logits)
    kernel = np.zeros((1, 1, channels, 2), np.float32)
    kernel[..., 1] = 40 / channels
    model.get_layer("head").set_weights([kernel, np.array([0, -20], np.float32)])
    return model


def passport(**changes):
    choices = {"way": "components", "threshold": 0.5, "smallest": 5}
    facts = {"normalize": "bright_on_dark", "objects": True, "averaged": "eight", "choices": choices, "task": "squares"}
    return {"classes": ["background", "square"], **facts, **changes}


@pytest.fixture
def model_file(tmp_path):
    return store.save(painter(), tmp_path / "painter.keras", **passport())


@pytest.fixture
def place(tmp_path):
    """Four pictures of squares: gray, color on light, 16 bits, and one damaged; their truth in another folder."""
    truth = np.zeros((40, 50), np.int32)
    truth[3:13, 4:14], truth[20:32, 30:44] = 1, 2
    (tmp_path / "in").mkdir()
    (tmp_path / "truth").mkdir()
    shown = np.where(truth > 0, 200, 20).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "in/gray.png"), shown)
    cv2.imwrite(str(tmp_path / "in/color.png"), np.dstack([255 - shown] * 3))
    tifffile.imwrite(tmp_path / "in/deep.tif", (shown.astype(np.uint16) * 16))
    (tmp_path / "in/broken.png").write_bytes((tmp_path / "in/gray.png").read_bytes()[:60])
    for name in ("gray", "color", "deep", "broken"):
        cv2.imwrite(str(tmp_path / f"truth/{name}_mask.png"), truth.astype(np.uint16))
    return tmp_path, truth


def test_predict_writes_what_it_can_and_names_what_it_cannot(place, model_file, capsys):
    folder, truth = place
    command = ["predict", "--model", str(model_file), "--out", str(folder / "out")]
    assert __main__.main([*command, "--submission", str(folder / "s.csv"), str(folder / "in")]) == 1
    printed = capsys.readouterr()
    assert "[4/4]" in printed.out and "gray.png: 2 objects" in printed.out and "3 written to" in printed.out
    assert "broken.png" in printed.err and "gray.png" not in printed.err
    written = {path.name for path in (folder / "out").iterdir()}
    assert written == {f"{name}_{what}.png" for name in ("gray", "color", "deep") for what in ("labels", "overlay")}
    for name in ("gray", "color", "deep"):
        found = cv2.imread(str(folder / f"out/{name}_labels.png"), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16 and np.array_equal(found, truth)
        overlay = cv2.imread(str(folder / f"out/{name}_overlay.png"))
        assert overlay.shape == (40, 50, 3) and tuple(overlay[3, 4]) == outputs.OUTLINE[::-1]
    back = submission.read(folder / "s.csv", dict.fromkeys(("gray", "color", "deep"), truth.shape))
    assert all(np.array_equal(found, truth) for found in back.values())


def test_scores_of_folders(place, model_file, capsys):
    folder, _ = place
    out, table = str(folder / "out"), folder / "new/scores.csv"
    __main__.main(["predict", "--model", str(model_file), "--out", out, str(folder / "in")])
    capsys.readouterr()
    status = __main__.main(["score", "--truth", str(folder / "truth"), "--predicted", out, "--csv", str(table)])
    printed = capsys.readouterr()
    assert status == 1 and "broken_mask.png" in printed.err and "no answer" in printed.err
    with table.open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["image"] for row in rows] == ["broken_mask.png", "color_mask.png", "deep_mask.png", "gray_mask.png"]
    assert "mean of 3 of 4" in printed.out and rows.pop(0)["dsb"] == ""
    assert all(float(row["dsb"]) == float(row["dice"]) == 1 and row["matched"] == "2" for row in rows)
    assert printed.out.count("1.000") == 4 * 4  # three images and their mean
    (folder / "truth/broken_mask.png").unlink()
    assert __main__.main(["score", "--truth", str(folder / "truth"), "--predicted", out]) == 0


def test_the_row_of_an_image_is_that_of_scores():
    _, truth = synthetic.nuclei(1, 96, seed=4)
    found = labels.connected(truth[0] > 0)
    row = comparison.row(truth[0], found)
    assert row["iou"] == 1 and row["dsb"] == scores.dsb_score(truth, [found])
    errors = scores.object_errors(truth[0], found)
    assert (row["merged"], row["split"], row["missed"], row["extra"]) == errors
    assert row["f"] == scores.objects(truth[0], found).f


def test_a_mask_of_two_values_is_no_single_object(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[2:6, 2:6] = mask[10:16, 10:16] = 255
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), mask)
    with pytest.warns(UserWarning, match="4-connected components are its objects"):
        done = comparison.score(tmp_path / "truth", tmp_path / "found")
    assert next(iter(done.values.values()))["matched"] == 2


def test_gray_and_color_reach_networks_of_three_and_one_channel():
    image = np.zeros((12, 12, 1), np.float32)
    image[4:8, 4:8] = 0.8
    for channels, shown in ((3, image), (1, np.repeat(image, 3, axis=2))):
        found = Segmenter(painter(channels), passport())(shown)
        assert np.array_equal(found > 0, image[..., 0] > 0)


def test_once_sees_one_position_and_the_mean_eight(monkeypatch):
    segmenter, seen = Segmenter(painter(), passport()), []
    image = np.random.default_rng(0).random((10, 14, 3)).astype(np.float32)
    predict = segmenters.tiling.predict
    monkeypatch.setattr(segmenters.tiling, "predict", lambda *a, **k: seen.append(a[1].shape) or predict(*a, **k))
    segmenter(image, once=True)
    assert seen == [(10, 14, 3)]
    segmenter(image)
    assert len(seen) == 9 and set(seen) == {(10, 14, 3), (14, 10, 3)}


def test_a_network_without_objects_gives_classes():
    segmenter = Segmenter(painter(), {"classes": ["background", "light"]})
    image = np.zeros((6, 6, 3), np.float32)
    image[:3] = 1
    assert np.array_equal(segmenter(image), (image[..., 0] > 0).astype(np.int32))


def test_classes_are_told_by_their_share(place, tmp_path, capsys):
    folder, truth = place
    path = store.save(painter(), tmp_path / "classes.keras", **passport(objects=False))
    assert (
        __main__.main(["predict", "--model", str(path), "--out", str(folder / "out"), str(folder / "in/gray.png")]) == 0
    )
    assert f"square {np.mean(truth > 0):.1%}" in capsys.readouterr().out


def test_a_table_and_outlines_of_each_picture(place, model_file, tmp_path, capsys):
    folder, truth = place
    out, command = folder / "out", ["predict", "--model", str(model_file), "--out", str(folder / "out"), "--table"]
    assert __main__.main([*command, "--geojson", "--pixel-size", "0.5", str(folder / "in/gray.png")]) == 0
    with (out / "gray_table.csv").open(newline="") as file:
        rows = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    assert [row["area"] for row in rows] == np.bincount(truth.ravel())[1:].tolist()
    assert [row["area_um2"] for row in rows] == [row["area"] / 4 for row in rows]
    assert [row["mean"] for row in rows] == pytest.approx([200 / 255] * 2, abs=1e-4)
    features = json.loads((out / "gray.geojson").read_text())["features"]
    assert [feature["properties"]["classification"]["name"] for feature in features] == ["square", "square"]
    assert __main__.main([*command, "--pixel-size", "0", str(folder / "in/gray.png")]) == 1
    assert "a pixel has a size above 0 in micrometers, not 0.0" in capsys.readouterr().err
    classes = store.save(painter(), tmp_path / "classes.keras", **passport(objects=False))
    command[2] = str(classes)
    assert __main__.main([*command, "--geojson", str(folder / "in/gray.png")]) == 0
    (feature,) = json.loads((out / "gray.geojson").read_text())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon" and feature["properties"]["classification"]["name"] == "square"


def test_regions_for_imagej_of_each_picture(place, model_file, tmp_path):
    folder, _ = place
    command = ["predict", "--out", str(folder / "out"), "--rois", str(folder / "in/gray.png"), "--model"]
    assert __main__.main([*command, str(model_file)]) == 0
    assert [roi.name for roi in roifile.roiread(folder / "out/gray_rois.zip")] == ["1", "2"]
    classes = store.save(painter(), tmp_path / "classes.keras", **passport(objects=False))
    assert __main__.main([*command, str(classes)]) == 0
    assert [roi.name for roi in roifile.roiread(folder / "out/gray_rois.zip")] == ["square"]
    (folder / "in/gray.png").write_bytes(b"damaged")
    assert __main__.main([*command, str(classes)]) == 1
    assert not (folder / "out/gray_rois.zip").exists()


def test_an_encoder_segments_nothing(place, tmp_path, capsys):
    folder, _ = place
    path = store.save(painter(), tmp_path / "encoder.keras", task="features")
    assert __main__.main(["predict", "--model", str(path), "--out", str(folder / "out"), str(folder / "in")]) == 1
    assert "names no classes" in capsys.readouterr().err and not (folder / "out").exists()


def test_overlays_outline_each_object_and_keep_the_rest():
    image = np.full((10, 10, 1), 0.5, np.float32)
    image[0, 0], image[9, 9] = 0, 1
    found = np.zeros((10, 10), np.int32)
    found[2:6, 2:6], found[2:6, 6:9] = 1, 2
    shown = outputs.overlay(image, found)
    orange = np.all(np.isclose(shown, np.array(outputs.OUTLINE) / 255), axis=2)
    assert orange[2:6, 5].all() and orange[2:6, 6].all() and not orange[3:5, 3:5].any() and not orange[found == 0].any()


def test_many_objects_are_written_as_32_bits_and_the_other_file_goes(tmp_path):
    many, few = np.arange(300 * 300, dtype=np.int32).reshape(300, 300), np.eye(3, dtype=np.int32)
    images.write_labels(tmp_path, "x", many)
    assert [path.name for path in tmp_path.iterdir()] == ["x_labels.tif"]
    assert np.array_equal(tifffile.imread(tmp_path / "x_labels.tif"), many)
    images.write_labels(tmp_path, "x", few)
    assert [path.name for path in tmp_path.iterdir()] == ["x_labels.png"]


def test_results_never_stand_among_the_pictures(place, model_file, capsys):
    folder, _ = place
    mine = folder / "in/gray_labels.png"
    mine.write_bytes(b"my own")
    for out in (folder / "in", folder / "in/../in"):
        command = ["predict", "--model", str(model_file), "--out", str(out), str(folder / "in/gray.png")]
        assert __main__.main(command) == 1
        assert "give another folder" in capsys.readouterr().err
    assert mine.read_bytes() == b"my own" and not (folder / "in/gray_overlay.png").exists()


def test_what_cannot_be_submitted_is_told_before_the_first_picture(place, tmp_path, model_file, capsys):
    folder, _ = place
    command = ["predict", "--out", str(tmp_path / "out"), "--submission", str(tmp_path / "s.csv")]
    classes = store.save(painter(), tmp_path / "classes.keras", **passport(objects=False))
    assert __main__.main([*command, "--model", str(classes), str(folder / "in")]) == 1
    assert "no objects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choices": {"way": "regrow"}}, "lack smallest, threshold"),
        ({"averaged": "nine"}, "averaged is 'nine', and known are eight, rotations"),
        ({"normalize": "pretty"}, "no normalization 'pretty'"),
    ],
)
def test_a_passport_that_does_not_do_is_told_at_once(place, tmp_path, capsys, changes, message):
    folder, _ = place
    path = store.save(painter(), tmp_path / "model.keras", **passport(**changes))
    assert __main__.main(["predict", "--model", str(path), "--out", str(tmp_path / "out"), str(folder / "in")]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_whatever_happens_to_one_picture_the_others_are_done(place, model_file, tmp_path, monkeypatch, capsys):
    folder, _ = place
    answer = Segmenter.__call__

    def failing(segmenter, image, **options):
        if image.shape[2] == 3:
            raise RuntimeError("out of memory on the device")
        return answer(segmenter, image, **options)

    monkeypatch.setattr(Segmenter, "__call__", failing)
    (folder / "in/broken.png").unlink()
    out = str(tmp_path / "out")
    assert __main__.main(["predict", "--model", str(model_file), "--out", out, str(folder / "in")]) == 1
    printed = capsys.readouterr()
    assert "2 written" in printed.out and "color.png: RuntimeError: out of memory on the device" in printed.err


def test_a_picture_that_memory_cannot_hold_is_refused_with_its_need(monkeypatch):
    painter_segmenter, black = Segmenter(painter(), passport()), images.Picture(np.zeros((16, 16, 3), np.uint8))
    monkeypatch.setattr(application, "BYTES_A_PIXEL", 2**50)
    with pytest.raises(ValueError, match="cut the picture into parts"):
        application.labeled(painter_segmenter, black)
    monkeypatch.setattr(application, "BYTES_A_PIXEL", 1)
    assert application.labeled(painter_segmenter, black)[0].shape == (16, 16)


def test_the_stored_threshold_counts_for_two_classes():
    model, image = painter(), np.full((4, 4, 3), 0.52, np.float32)  # probability 0.69
    for threshold, found in ((0.6, 1), (0.8, 0)):
        segmenter = Segmenter(model, {"classes": ["a", "b"], "choices": {"threshold": threshold}})
        assert (segmenter(image) == found).all()


def test_score_refuses_what_would_lie(tmp_path):
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    objects = np.zeros((20, 20), np.uint8)
    objects[2:6, 2:6], objects[10:16, 10:16] = 1, 2
    for name in ("truth/a.png", "found/a_labels.png", "found/a_overlay.png", "found/alone_labels.png"):
        cv2.imwrite(str(tmp_path / name), objects)
    done = comparison.score(tmp_path / "truth", tmp_path / "found")
    assert [file.name for file in done.values] == ["a.png"]
    assert {file.name: "no truth" in problem for file, problem in done.problems.items()} == {"alone_labels.png": True}
    cv2.imwrite(str(tmp_path / "truth/j.jpg"), objects * 100)
    cv2.imwrite(str(tmp_path / "found/j_labels.png"), objects)
    done = comparison.score(tmp_path / "truth", tmp_path / "found")
    assert "is a JPEG" in done.problems[tmp_path / "truth/j.jpg"]
    cv2.imwrite(str(tmp_path / "truth/a_mask.png"), objects)
    done = comparison.score(tmp_path / "truth", tmp_path / "found")  # what is ambiguous does not stop the others
    assert all("have one stem" in done.problems[tmp_path / "truth" / name] for name in ("a.png", "a_mask.png"))


def test_a_stem_that_ends_like_a_mask_keeps_its_answer(tmp_path):
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    objects = np.eye(5, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "truth/x_mask.png"), objects)
    cv2.imwrite(str(tmp_path / "found/x_mask_labels.png"), objects)
    with pytest.warns(UserWarning, match="4-connected"):
        assert len(comparison.score(tmp_path / "truth", tmp_path / "found").values) == 1


def test_wrong_paths_are_told_before_the_network_is_loaded(place, tmp_path, capsys):
    folder, _ = place
    command = ["predict", "--model", str(tmp_path / "none.keras"), "--out", str(tmp_path / "out")]
    assert __main__.main([*command, str(folder / "nothing.png")]) == 1
    assert "no file or folder" in capsys.readouterr().err
    assert __main__.main([*command, str(folder / "in")]) == 1
    assert "no model file at" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_normalization_did_is_told_and_can_be_corrected(place, model_file, tmp_path, capsys):
    folder, _ = place
    command = ["predict", "--out", str(tmp_path / "out"), str(folder / "in/gray.png"), "--model"]
    assert __main__.main([*command, str(model_file)]) == 0
    assert "gray.png: 2 objects; taken for dark ground\n" in capsys.readouterr().out
    assert __main__.main([*command, str(model_file), "--ground", "light"]) == 0
    assert "gray.png: 1 objects; light ground, inverted\n" in capsys.readouterr().out
    plain = store.save(painter(), tmp_path / "plain.keras", **passport(normalize="as_it_is"))
    command[3] = str(folder / "in/deep.tif")
    assert __main__.main([*command, str(plain)]) == 0
    assert "0 objects; its values use 4 % of their range: stretch them (--stretch)\n" in capsys.readouterr().out
    assert __main__.main([*command, str(plain), "--stretch"]) == 0
    assert "2 objects; stretched from 0.00488 to 0.0488\n" in capsys.readouterr().out
    assert __main__.main([*command, str(plain), "--ground", "dark"]) == 1
    assert "'as_it_is' does not ask for the ground" in capsys.readouterr().err


def test_one_wrong_path_does_not_stop_the_others(place, model_file, tmp_path, capsys):
    folder, _ = place
    (folder / "only folders/inside").mkdir(parents=True)
    same = folder / "in/../in/gray.png"
    paths = [folder / "in/gray.png", folder / "none.png", folder / "only folders", same]
    command = ["predict", "--model", str(model_file), "--out", str(tmp_path / "out"), *map(str, paths)]
    assert __main__.main(command) == 1
    printed = capsys.readouterr()
    assert "[1/1]" in printed.out and "1 written" in printed.out
    assert "no file or folder" in printed.err and "only folders holds no pictures" in printed.err


def test_pictures_of_all_sorts(tmp_path, model_file, capsys):
    (tmp_path / "in").mkdir()
    square = np.zeros((30, 40), np.uint8)
    square[5:15, 5:15] = 200
    opaque = np.dstack([square] * 3 + [np.full_like(square, 255)])
    cv2.imwrite(str(tmp_path / "in/rgba.png"), opaque)
    cv2.imwrite(str(tmp_path / "in/rgba of 16 bits.png"), opaque.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "in/pixel.png"), square[:1, :1])
    cv2.imwrite(str(tmp_path / "in/row.png"), square[10:11])
    wrong = {"nothing.png": b"", "words.png": b"no picture", "words.txt": b"no picture"}
    for name, content in wrong.items():
        (tmp_path / "in" / name).write_bytes(content)
    opaque[..., 3] = 100
    cv2.imwrite(str(tmp_path / "in/glass.png"), opaque)
    with tifffile.TiffWriter(tmp_path / "in/sizes.tif") as writer:
        for pixels in (square, square[:-1]):
            writer.write(pixels)
    nan = square / np.float32(255)
    nan[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "in/nan.tif", nan)
    out = tmp_path / "out"
    assert __main__.main(["predict", "--model", str(model_file), "--out", str(out), str(tmp_path / "in")]) == 1
    printed = capsys.readouterr()
    done = {"rgba": 1, "rgba of 16 bits": 1, "pixel": 0, "row": 1}
    assert f"{len(done)} written" in printed.out
    for name, objects in done.items():
        assert cv2.imread(str(out / f"{name}_labels.png"), cv2.IMREAD_UNCHANGED).max() == objects
    assert {path.name for path in out.iterdir()} == {f"{n}_{what}.png" for n in done for what in ("labels", "overlay")}
    for name in ("nothing.png", "words.png", "glass.png", "sizes.tif", "nan.tif"):
        assert name in printed.err


@pytest.mark.parametrize("large", [1, 10**6])
def test_a_large_picture_has_a_progress_bar(place, model_file, monkeypatch, capsys, large):
    folder, _ = place
    monkeypatch.setattr(application, "LARGE", large)
    command = [
        "predict",
        "--once",
        "--model",
        str(model_file),
        "--out",
        str(folder / "out"),
        str(folder / "in/gray.png"),
    ]
    assert __main__.main(command) == 0
    assert ("tile/s" in capsys.readouterr().err) == (large == 1)


def test_of_a_picture_that_fails_no_old_answer_stays(place, model_file, capsys):
    folder, _ = place
    command = ["predict", "--model", str(model_file), "--out", str(folder / "out"), str(folder / "in/gray.png")]
    assert __main__.main(command) == 0
    (folder / "in/gray.png").write_bytes(b"overwritten")
    assert __main__.main(command) == 1
    assert not list((folder / "out").iterdir())


def test_targets_that_cannot_be_written_are_told_first_and_lose_nothing(place, model_file, capsys):
    folder, _ = place
    command = ["predict", "--model", str(model_file), str(folder / "in"), "--out"]
    assert __main__.main([*command, str(folder / "in/gray.png")]) == 1
    assert "is a file: give a folder" in capsys.readouterr().err
    assert __main__.main([*command, str(folder / "out"), "--submission", str(folder)]) == 1
    assert "is a folder: give a file" in capsys.readouterr().err and not (folder / "out").exists()
    below_a_file = str(folder / "in/gray.png/s.csv")
    assert __main__.main([*command, str(folder / "out"), "--submission", below_a_file]) == 1
    printed = capsys.readouterr()
    assert "3 written" in printed.out and "s.csv cannot be written" in printed.err and "broken.png" in printed.err
    score = ["score", "--truth", str(folder / "truth"), "--predicted", str(folder / "out"), "--csv"]
    assert __main__.main([*score, str(folder)]) == 1
    assert "is a folder: give a file" in capsys.readouterr().err
    assert __main__.main([*score, below_a_file]) == 1
    printed = capsys.readouterr()
    assert "mean of 3 of" in printed.out and "s.csv cannot be written" in printed.err


def test_score_names_the_file_that_is_wrong(place):
    folder, truth = place
    (folder / "out").mkdir()
    cv2.imwrite(str(folder / "out/gray_labels.png"), np.dstack([truth.astype(np.uint8), truth, truth * 2]))
    done = comparison.score(folder / "truth", folder / "out")
    assert done.problems[folder / "truth/gray_mask.png"].startswith(f"{folder / 'out/gray_labels.png'}: numbers of")


def test_results_never_stand_beside_a_link(place, model_file, capsys):
    folder, _ = place
    (folder / "links").mkdir()
    (folder / "links/gray.png").symlink_to(folder / "in/gray.png")
    out = str(folder / "links")
    assert __main__.main(["predict", "--model", str(model_file), "--out", out, str(folder / "links/gray.png")]) == 1
    assert "give another folder" in capsys.readouterr().err and len(list((folder / "links").iterdir())) == 1


def test_a_link_of_another_name_is_a_picture_of_its_own(place, tmp_path):
    folder, _ = place
    (folder / "links").mkdir()
    (folder / "links/other.png").symlink_to(folder / "in/gray.png")
    given = [folder / "in/gray.png", folder / "links/other.png", folder / "in/../in/gray.png"]
    assert application.pictures(given, tmp_path / "out") == (
        dict(zip(given, map(Path, ("gray", "other")), strict=False)),
        {},
    )


def test_a_file_that_holds_code_is_refused(place, tmp_path, capsys):
    folder, _ = place
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda maps: maps[..., :2])(inputs))
    path = store.save(model, tmp_path / "code.keras", **passport())
    assert __main__.main(["predict", "--model", str(path), "--out", str(tmp_path / "out"), str(folder / "in")]) == 1
    assert "cannot be loaded" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_list_names_data_and_weights(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("UNETBOOK_DATA", str(tmp_path))
    assert __main__.main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "nuclei               dsb2018-unet.keras" in printed
    assert "isic2017             not at hand" in printed
    assert "isbi2012-unet.keras  interior of cells" in printed


def test_list_goes_on_after_a_damaged_file(monkeypatch, tmp_path, capsys):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/a.keras").write_bytes(b"none")
    store.save(painter(), tmp_path / "weights/b.keras", **passport())
    (tmp_path / "weights/c.keras").mkdir()
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    assert __main__.main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "a.keras  damaged" in printed and "b.keras  squares" in printed and "c.keras  damaged" in printed


def test_fetch_tells_where_data_lie_that_are_at_hand(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("UNETBOOK_DATA", str(tmp_path))
    (tmp_path / "isbi2012").mkdir()
    for name in ("train-volume.tif", "train-labels.tif"):
        (tmp_path / "isbi2012" / name).write_bytes(b"")
    assert __main__.main(["fetch", "isbi2012"]) == 0
    assert "train-volume.tif" in capsys.readouterr().out


def test_every_kept_network_names_a_known_normalization():
    for path in (results.folder() / "weights").glob("*.keras"):
        facts = store.passport(path)
        if "classes" in facts:  # an encoder has none, and is told how by its user
            normalize.rule(facts["normalize"])


def not_labels():
    """Files that people have in place of label images, by what they are."""
    objects = synthetic.cells(1, 128, seed=1)[1][0]
    mask = np.where(objects > 0, 255, 0).astype(np.uint8)
    floats = objects.astype(np.float32)
    return {
        "soft edges": cv2.GaussianBlur(mask, (0, 0), 0.7),
        "a mask made larger": cv2.resize(mask, (200, 200)),
        "labels made larger": np.rint(cv2.resize(floats, (200, 200))).astype(np.uint8),
        "labels made smaller": np.rint(cv2.resize(floats, (100, 100))).astype(np.uint8),
        "probabilities": cv2.GaussianBlur(mask, (0, 0), 3),
        "a JPEG of old": cv2.imdecode(cv2.imencode(".jpg", mask)[1], cv2.IMREAD_GRAYSCALE),
    }


@pytest.mark.parametrize("kind", not_labels())
def test_numbers_in_crumbs_are_refused(kind, tmp_path):
    for part in ("truth", "found"):
        (tmp_path / part).mkdir()
        cv2.imwrite(str(tmp_path / part / "a.png"), not_labels()[kind])
    done = comparison.score(tmp_path / "truth", tmp_path / "found")
    (problem,) = done.problems.values()
    assert re.search(r"a\.png has \d+ numbers in \d+ pieces, most of at most 4 pixels: a mask with soft edges", problem)


def test_classes_and_inverted_masks_are_told_and_objects_are_not_doubted(tmp_path):
    objects = np.pad(synthetic.cells(1, 240, seed=1)[1][0], 8).astype(np.uint8)
    crumbs = objects.copy()
    for number in np.unique(objects[objects > 0])[::5]:  # one in five has crumbs, as of cells drawn by hand
        crumbs[tuple(np.argwhere(objects == 0)[number * 7])] = number
    spots = np.zeros((64, 64), np.uint8)
    spots[::8, ::8] = np.arange(1, 65).reshape(8, 8)
    told = {
        "objects": (objects, None),
        "crumbs": (crumbs, None),
        "spots": (spots, None),
        "classes": (np.where(objects > 0, 1 + objects % 2, 0).astype(np.uint8), "are they classes?"),
        "inverted": (np.where(objects > 0, 0, 255).astype(np.uint8), "is it inverted?"),
    }
    for name, (image, warning) in told.items():
        for part in ("truth", "found"):
            (tmp_path / name / part).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / name / part / "a.png"), image)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            done = comparison.score(tmp_path / name / "truth", tmp_path / name / "found")
        assert not done.problems and next(iter(done.values.values()))["f"] == 1
        said = [str(one.message) for one in caught]
        assert any(warning in one for one in said) if warning else not said, name


def squares(*counts):
    """Pictures of one square, in a stack of that shape: a slice's place in the stack is how far it moved."""
    pixels = np.zeros((*counts, 24, 32), np.uint8)
    for place, index in enumerate(np.ndindex(counts)):
        pixels[index][3 : 9 + place, 4 + place : 14] = 200
    return pixels


def run(model, out, *pictures, options=()):
    return __main__.main(["predict", "--once", "--model", str(model), "--out", str(out), *options, *map(str, pictures)])


@pytest.mark.parametrize("axes, options", [("ZYX", {"imagej": True}), ("TZYX", {"ome": True}), ("QYX", {})])
def test_a_stack_is_labeled_slice_by_slice(axes, options, model_file, tmp_path, capsys):
    pixels = squares(*(3, 2)[: len(axes) - 2])
    (tmp_path / "in").mkdir()
    told = {"unit": "um"} if options.get("imagej") else {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    kind = {"resolution": (2, 2)} if options.get("imagej") else {}
    metadata = {"axes": axes} | (told if options else {})
    tifffile.imwrite(tmp_path / "in/a.tif", pixels, photometric="minisblack", metadata=metadata, **options, **kind)
    out = tmp_path / "out"
    assert run(model_file, out, tmp_path / "in/a.tif", options=["--table", "--geojson"]) == 0
    printed, leading = capsys.readouterr().out, axes[:-2]
    number = int(np.prod(pixels.shape[:-2]))
    assert f"a.tif: {number} objects in {number} slices along {leading}, each labeled by itself; the overlay" in printed
    with tifffile.TiffFile(out / "a_labels.tif") as file:
        assert file.series[0].axes == axes and np.array_equal(file.asarray(), pixels > 0)
        assert (file.is_imagej, file.is_ome) == (bool(options), False)
    again = images.read(out / "a_labels.tif")
    assert again.pixel_size == (0.5 if options else None)
    with (out / "a_table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = [tuple(int(row[axis]) for axis in leading) for row in rows]
    assert places == list(np.ndindex(pixels.shape[:-2]))
    assert [int(row["area"]) for row in rows] == [np.count_nonzero(pixels[place]) for place in places]
    assert ("area_um2" in rows[0]) == bool(options) == ("a pixel is 0.5 um, as it says" in printed)
    features = json.loads((out / "a.geojson").read_text())["features"]
    planes = [(feature["geometry"]["plane"]["t"], feature["geometry"]["plane"]["z"]) for feature in features]
    assert planes == [(place[0], place[1]) if leading == "TZ" else (0, place[0]) for place in places]
    assert len({feature["id"] for feature in features}) == number
    middle = pixels[tuple(count // 2 for count in pixels.shape[:-2])]
    overlay = cv2.imread(str(out / "a_overlay.png"))
    assert tuple(overlay[3, np.flatnonzero(middle[3])[0]]) == outputs.OUTLINE[::-1]
    assert run(model_file, out, tmp_path / "in/a.tif", options=["--submission", str(tmp_path / "s.csv")]) == 1
    assert "is a stack, and a submission holds single pictures" in capsys.readouterr().err


def test_what_was_done_to_the_slices_of_a_stack_is_counted(model_file, tmp_path, capsys):
    pixels = squares(3)
    pixels[1] = 255 - pixels[1]
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    for options, told in (
        ([], "; taken for dark ground in 2 of 3 slices; taken for light ground, inverted in 1 of 3 slices\n"),
        (["--ground", "dark"], "; dark ground\n"),
    ):
        assert run(model_file, tmp_path / "out", tmp_path / "in/a.tif", options=options) == 0
        assert told in capsys.readouterr().out


def test_channels_of_a_picture_go_to_those_of_the_network(model_file, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    pixels = np.zeros((5, 24, 32), np.uint8)
    pixels[2] = squares()
    tifffile.imwrite(tmp_path / "in/five.tif", pixels, photometric="minisblack", metadata={"axes": "CYX"})
    five, out = store.save(painter(5), tmp_path / "five.keras", **passport()), tmp_path / "out"
    assert run(model_file, out, tmp_path / "in") == 1
    assert "five.tif has 5 channel(s) and the network takes 3: choose some, in its order, for instance " + (
        "--channels 0,1,2"
    ) in capsys.readouterr().err and not list(out.iterdir())
    for options in (["--channels", "2,2,2"], ["--channels", "2"]):
        assert run(model_file, out, tmp_path / "in", options=options) == 0
        assert np.array_equal(cv2.imread(str(out / "five_labels.png"), cv2.IMREAD_UNCHANGED), pixels[2] > 0)
        assert cv2.imread(str(out / "five_overlay.png"))[3, 4].tolist() == list(outputs.OUTLINE[::-1])
    pixels[:] = squares()
    tifffile.imwrite(tmp_path / "in/five.tif", pixels, photometric="minisblack", metadata={"axes": "CYX"})
    assert run(five, out, tmp_path / "in", options=["--table"]) == 0
    assert np.array_equal(cv2.imread(str(out / "five_labels.png"), cv2.IMREAD_UNCHANGED), pixels[2] > 0)
    assert "mean_5" in (out / "five_table.csv").read_text()
    assert run(model_file, out, tmp_path / "in", options=["--channels", "7"]) == 1
    assert "channels must be indices from 0 to 4" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(model_file, out, tmp_path / "in", options=["--channels", "red"])
    assert "'red' is no list of channels, such as 2 or 2,0,1" in capsys.readouterr().err
    tifffile.imwrite(tmp_path / "in/five.tif", pixels, photometric="minisblack", metadata=None)
    assert run(five, out, tmp_path / "in") == 1
    assert "if its 5 slices are channels, save it with the axes CYX" in capsys.readouterr().err


def test_the_size_of_a_pixel_is_that_of_the_file_or_of_the_option(model_file, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", squares(), resolution=(20000, 20000), resolutionunit="CENTIMETER")
    for options, size in ((["--table"], 0.5), (["--table", "--pixel-size", "0.25"], 0.25)):
        assert run(model_file, tmp_path / "out", tmp_path / "in/a.tif", options=options) == 0
        (row,) = csv.DictReader((tmp_path / "out/a_table.csv").open())
        assert float(row["area_um2"]) == float(row["area"]) * size**2
        assert images.read(tmp_path / "out/a_labels.png").pixel_size == size
        assert ("a pixel is 0.5 um, as it says" in capsys.readouterr().out) == (size == 0.5)


def test_what_was_turned_is_told(model_file, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", squares(), extratags=[(274, "H", 1, 6, True)])
    assert run(model_file, tmp_path / "out", tmp_path / "in/a.tif") == 0
    assert "a.tif: 1 objects; it was turned or mirrored as its TIFF orientation tag says" in capsys.readouterr().out
    found = cv2.imread(str(tmp_path / "out/a_labels.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, np.rot90(squares() > 0, -1))


def test_no_name_stops_a_run_and_score_finds_the_answers(model_file, tmp_path, capsys):
    long = "\u00fc" * 110 + "abcdefghijklmnopqrstuvwxyz"  # 246 bytes
    names = [
        "a.png",
        "a.tif",
        "sub/deep/a.png",
        "c.ome.tif",
        f"{long}.png",
        "caf\udce9.png",
        "Mu\u0308ller.png",
        "b, x.png",
    ]
    for place in ("in", "truth"):
        for name in names:
            file = tmp_path / place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".tif":
                tifffile.imwrite(file, squares())
            else:
                shown = squares() if place == "in" else squares() // 200
                file.write_bytes(cv2.imencode(".png", shown)[1].tobytes())
    out = tmp_path / "out"
    assert run(model_file, out, tmp_path / "in", options=["--table"]) == 0
    printed = capsys.readouterr().out
    written = sorted(file.relative_to(out).as_posix() for file in out.rglob("*_labels.png"))
    short = next(name for name in written if name.startswith("\u00fc"))
    others = ["a.png", "a.tif", "sub/deep/a", "c", "caf%E9", "Mu\u0308ller", "b, x"]
    assert written == sorted([short, *(f"{name}_labels.png" for name in others)])
    assert len(short.encode()) < 240 and re.fullmatch(r"\u00fc+\w*-[0-9a-f]{8}_labels\.png", short)
    assert (
        printed.count("its results are called") == 4
        and "caf%E9.png: 1 objects; its results are called caf%E9" in printed
    )
    (tmp_path / "truth/a.tif").unlink()
    assert __main__.main(["score", "--truth", str(tmp_path / "truth"), "--predicted", str(out)]) == 1
    printed = capsys.readouterr()
    assert "mean of 7 of 8" in printed.out and "a.tif_labels.png: no truth" in printed.err


def test_a_name_that_no_submission_can_hold_stops_no_other(model_file, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a,b.png", "c.png"):
        cv2.imwrite(str(tmp_path / "in" / name), squares())
    submitted = ["--submission", str(tmp_path / "s.csv")]
    assert run(model_file, tmp_path / "out", tmp_path / "in", options=submitted) == 1
    assert "'a,b' cannot stand in a submission as an image id: rename the image" in capsys.readouterr().err
    assert set(submission.read(tmp_path / "s.csv", {"c": (24, 32)})) == {"c"}


def test_names_in_a_submission_are_stems_where_these_differ(model_file, tmp_path, capsys):
    for name in ("x/images/x.png", "y/images/y.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "in" / name), squares())
    submitted = ["--submission", str(tmp_path / "s.csv")]
    assert run(model_file, tmp_path / "out", tmp_path / "in", options=submitted) == 0
    assert set(submission.read(tmp_path / "s.csv", dict.fromkeys(("x", "y"), (24, 32)))) == {"x", "y"}
    cv2.imwrite(str(tmp_path / "in/x.png"), squares())
    assert run(model_file, tmp_path / "out", tmp_path / "in", options=submitted) == 0
    assert "\nx/images/x," in (tmp_path / "s.csv").read_text()


def test_results_of_earlier_runs_are_no_pictures(model_file, tmp_path, capsys):
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.png", "sub/b_overlay.png", "sub/c_labels.png"):
        cv2.imwrite(str(tmp_path / "in" / name), squares())
    for out in ("in/out", "in/sub/other", "in/out"):
        assert run(model_file, tmp_path / out, tmp_path / "in") == 0
        assert "3 written" in capsys.readouterr().out
    assert run(model_file, tmp_path, tmp_path / "in/a.png", tmp_path / "in/sub") == 0
    (tmp_path / "p/in").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "p/in/a.png"), squares())
    assert run(model_file, tmp_path / "p", tmp_path / "p") == 1
    assert "give another folder for the results" in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_stops_no_run(model_file, tmp_path, capsys):
    for name in ("a.png", "sub/b.png", "c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), squares())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").write_bytes(b"mine")
    assert run(model_file, tmp_path / "out", tmp_path / "in") == 1
    printed = capsys.readouterr()
    assert "2 written" in printed.out and "sub" in printed.err and (tmp_path / "out/sub").read_bytes() == b"mine"


def test_names_of_results():
    files = ["1/a.png", "2/A.png", "3/a.tif", "1/b.png", "4/b.png.tif", "5/b.tif", "6/c.png"]
    names = naming.of_results({Path(file): Path() for file in files})
    called = [name.as_posix() for name in names.values()]
    assert list(map(str, names)) == files and len({name.casefold() for name in called}) == len(files)
    assert called[0] == "a.png" and called[2] == "a.tif"  # whole names where stems are the same
    assert called[4:] == ["b.png", "b.tif", "c"]
    assert all(re.fullmatch(pattern, name) for pattern, name in (("A-[0-9a-f]{8}", called[1]), ("b-.{8}", called[3])))
    apart = {Path("x/a.png"): Path("x"), Path("y/a.png"): Path("y")}
    assert list(naming.of_results(apart).values()) == [Path("x/a"), Path("y/a")]
    assert naming.short("a" * naming.LONGEST) == "a" * naming.LONGEST
    assert naming.short("a" * 300) != naming.short("a" * 301) and len(naming.short("a" * 300)) == naming.LONGEST
    assert naming.printable("caf\udce9 \udcff") == "caf%E9 %FF"


def test_stacks_are_scored_slice_by_slice(model_file, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in/a.tif", squares(3), imagej=True, metadata={"axes": "ZYX"})
    assert run(model_file, tmp_path / "out", tmp_path / "in") == 0
    truth = (squares(3) > 0).astype(np.uint16)
    truth[2] = 0
    truth[1, 20:22, 20:30] = 2
    images.write_labels(tmp_path / "truth", "a", truth, "Z")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an empty slice is nothing to doubt
        done = comparison.score(tmp_path / "truth", tmp_path / "out")
    (row,) = done.values.values()
    slices = [comparison.row(true, found // 200) for true, found in zip(truth, squares(3), strict=True)]
    assert (row["matched"], row["missed"], row["extra"]) == (2, 1, 1)
    assert row["dice"] == pytest.approx(np.mean([one["dice"] for one in slices]))
    images.write_labels(tmp_path / "truth", "a", truth[:2], "Z")
    (problem,) = comparison.score(tmp_path / "truth", tmp_path / "out").problems.values()
    assert "a_labels.tif is 3 x 32 x 24 pixels and its truth 2 x 32 x 24: labels must have the size" in problem


def test_a_warning_on_the_command_line_is_one_line(tmp_path):
    for place in ("truth", "found"):
        (tmp_path / place).mkdir()
        cv2.imwrite(
            str(tmp_path / place / "a.png"), np.kron(np.eye(2, dtype=np.uint8) * 255, np.ones((8, 8), np.uint8))
        )
    command = [
        sys.executable,
        "-m",
        "unetbook",
        "score",
        "--truth",
        tmp_path / "truth",
        "--predicted",
        tmp_path / "found",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    assert len(told) == 2 and all(re.fullmatch(r"unetbook: .*a\.png holds 0 and 255 alone: .*", line) for line in told)
