import json
import re
import shutil

import keras
import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from unetbook import __main__, nets, recipes, scores, store
from unetbook.datasets import isbi2012
from unetbook.recipes import _precision, _run, isbi2012_no_elastic, isbi2012_no_weights, isbi2012_paper, isbi2012_unet
from unetbook.segmenter import Segmenter

SMALL = {"depth": 1, "filters": 4, "tile": 44}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """30 slices of 48 x 48: dark rings on gray, labels 0 on the rings."""
    rng = np.random.default_rng(0)
    labels = np.full((30, 48, 48), 255, np.uint8)
    for image in labels:
        for y, x in rng.integers(4, 44, (3, 2)):
            image[disk((y, x), 7, shape=image.shape)] = 0
            image[disk((y, x), 5, shape=image.shape)] = 255
    volume = np.clip(labels * 0.4 + 80 + rng.normal(0, 12, labels.shape), 0, 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("data") / "isbi2012"
    folder.mkdir()
    tifffile.imwrite(folder / "train-volume.tif", volume, photometric="minisblack")
    tifffile.imwrite(folder / "train-labels.tif", labels, photometric="minisblack")
    return folder.parent


@pytest.fixture
def here(pictures, tmp_path, monkeypatch):
    """An empty current folder with the pictures in reach, and networks of seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNETBOOK_DATA", str(pictures))
    monkeypatch.setattr(isbi2012_unet, "SETTINGS", isbi2012_unet.SETTINGS | isbi2012_unet.QUICK | SMALL)
    monkeypatch.setattr(isbi2012_unet, "QUICK", {})
    return tmp_path


def stop_in_epoch(monkeypatch, which):
    """Let the user press Ctrl-C while epoch ``which`` is being validated."""
    calls, validate = [], isbi2012_unet.validate

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == which:
            raise KeyboardInterrupt
        return validate(*arguments)

    monkeypatch.setattr(isbi2012_unet, "validate", interrupted)


def without_clock(entry):
    return {name: value for name, value in entry.items() if name != "seconds"}


def test_a_stopped_run_resumes_to_the_same_result(here, monkeypatch, capsys):
    command = ["run", "isbi2012-unet", "--quick", "--seeds", "3"]
    assert __main__.main(command) == 0
    whole = json.loads((here / "runs/quick/isbi2012-unet.json").read_text())
    with monkeypatch.context() as context:
        stop_in_epoch(context, 2)
        assert __main__.main(command) == 130
    assert json.loads((here / "runs/quick/isbi2012-unet/seed-3/state.json").read_text())["epochs"] == 1
    assert "resumes after the last finished epoch" in capsys.readouterr().err
    assert __main__.main(command) == 0
    assert "resumes after epoch 1" in capsys.readouterr().out
    resumed = json.loads((here / "runs/quick/isbi2012-unet.json").read_text())
    assert without_clock(resumed["seeds"]["3"]) == without_clock(whole["seeds"]["3"])
    assert not (here / "results").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_is_not_stored(here, monkeypatch, capsys):
    scale, validate = keras.Variable(1.0), isbi2012_unet.validate

    def loss(truth, logits):
        return scale * keras.losses.sparse_categorical_crossentropy(truth, logits, from_logits=True)

    def broken_from_here_on(*arguments):
        scale.assign(np.nan)
        return validate(*arguments)

    monkeypatch.setattr(isbi2012_unet, "LOSS", loss, raising=False)
    monkeypatch.setattr(isbi2012_unet, "validate", broken_from_here_on)
    assert __main__.main(["run", "isbi2012-unet", "--quick", "--seeds", "0"]) == 1
    assert "seed 0 is no longer a number in epoch 2" in capsys.readouterr().err
    folder = here / "runs/quick/isbi2012-unet/seed-0"
    assert json.loads((folder / "state.json").read_text())["epochs"] == 1
    assert [path.name for path in folder.glob("*.keras")] == ["epoch-001.keras"]


def test_the_result_file(here, monkeypatch, capsys, eager_training):
    stop_in_epoch(monkeypatch, 3)  # the first epoch of the second seed
    assert __main__.main(["run", "isbi2012-unet", "--seeds", "0", "1"]) == 130
    path = here / "results/isbi2012-unet.json"
    assert list(json.loads(path.read_text())["seeds"]) == ["0"]  # merged before the second seed was done
    assert __main__.main(["run", "isbi2012-unet"]) == 0
    printed = capsys.readouterr().out
    assert "seed 0: already in" in printed and "pixel_error at most 0.1" in printed
    result = json.loads(path.read_text())
    assert result["split"]["test"] == [24, 25, 26, 27, 28, 29]
    assert json.loads((here / "results/splits/isbi2012.json").read_text()) == result["split"]
    assert [len(file["sha256"]) for file in result["data"]] == [64, 64]
    assert set(result["baselines"]) == {"constant", "otsu", "smoothed threshold"}
    for entry in result["seeds"].values():
        assert {"parameters", "steps", "seconds", "hardware", "backend", "versions", "commit", "date"} <= set(entry)
        assert len(entry["curves"]["loss"]) == len(entry["curves"]["val_pixel_error"]) == entry["steps"] // 3
        assert set(entry["images"]) == {"24", "25", "26", "27", "28", "29"}
        per_image = [image["rand_thin"] for image in entry["images"].values()]
        assert entry["scores"]["rand_thin"] == pytest.approx(np.mean(per_image), abs=1e-5)
    errors = [entry["scores"]["pixel_error"] for entry in result["seeds"].values()]
    assert result["mean"]["pixel_error"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert result["std"]["pixel_error"] == pytest.approx(np.std(errors, ddof=1), abs=1e-5)
    assert result["target_met"] == (result["mean"]["pixel_error"] <= 0.1)


def test_other_settings_are_not_mixed(here, monkeypatch, eager_training):
    stop_in_epoch(monkeypatch, 2)
    assert __main__.main(["run", "isbi2012-unet", "--seeds", "0"]) == 130
    monkeypatch.setitem(isbi2012_unet.SETTINGS, "learning_rate", 0.5)
    with pytest.raises(ValueError, match=r"isbi2012-unet\.json holds a run with other settings"):
        _run.run(isbi2012_unet, [0])
    (here / "results/isbi2012-unet.json").unlink()
    with pytest.raises(ValueError, match="seed-0 was begun with other settings"):
        _run.run(isbi2012_unet, [0])


def test_absent_slices_are_reported(here, pictures):
    shutil.copytree(pictures, here / "fewer")
    for path in (here / "fewer/isbi2012").iterdir():
        tifffile.imwrite(path, tifffile.imread(path)[:28], photometric="minisblack")
    with pytest.raises(ValueError, match=r"lacks \[28, 29\]"):
        _run.run(isbi2012_unet, [0], root=here / "fewer")


def test_baselines_choose_the_bright_side(pictures):
    data = isbi2012.load(pictures)
    inverted = (1 - data[0], data[1])
    results = [isbi2012_unet.baselines(d, isbi2012_unet.split()) for d in (data, inverted)]
    assert [r["otsu"]["choices"]["interior_is_bright"] for r in results] == [True, False]
    assert [r["smoothed threshold"]["choices"]["interior_is_bright"] for r in results] == [True, False]
    majority = float(np.mean(data[1][24:30] == 0))
    assert results[0]["constant"]["scores"]["pixel_error"] == pytest.approx(majority)
    assert results[0]["otsu"]["scores"]["pixel_error"] < majority / 2  # easy pictures


def test_augmentation_turns_image_and_labels_alike():
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1) / 64 + 0.375  # in [0.375, 0.61]: nothing is clipped
    labels = np.argsort(np.argsort(image.ravel())).reshape(4, 4).astype(np.int32)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        turned, turned_labels, weights = isbi2012_unet.turn_and_shade(image, labels, rng, labels)
        assert np.array_equal(np.argsort(turned.ravel()), np.argsort(turned_labels.ravel()))
        assert np.array_equal(weights, turned_labels) and turned.dtype == np.float32
        seen.add(tuple(turned_labels.ravel()))
    assert len(seen) == 8


def test_split_is_contiguous_and_disjoint():
    parts = list(isbi2012_unet.split().values())
    assert [i for part in parts for i in part] == list(range(30))


def test_list_and_fetch(here, capsys, monkeypatch):
    assert __main__.main(["list"]) == 0
    assert re.search(r"\n  isbi2012-unet +(measured +)?EM membranes", capsys.readouterr().out)
    assert __main__.main(["fetch", "isbi2012"]) == 0
    assert "train-volume.tif" in capsys.readouterr().out
    monkeypatch.setenv("UNETBOOK_DATA", str(here))
    monkeypatch.setenv("XDG_CACHE_HOME", str(here))
    for command in (["fetch", "isbi2012"], ["run", "isbi2012-unet"]):
        assert __main__.main(command) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "imagej.net" in error


def test_an_unknown_recipe(here, capsys):
    assert __main__.main(["run", "isbi-unet"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "did you mean 'isbi2012-unet'?" in error
    with pytest.raises(ValueError, match=r"Known: .*isbi2012-unet"):
        recipes.get("zzz")


def test_a_folder_of_data_is_described_by_names_and_contents(tmp_path):
    (tmp_path / "set/a").mkdir(parents=True)
    (tmp_path / "set/a/1.png").write_bytes(b"one")
    (tmp_path / "set/2.png").write_bytes(b"two")
    described = _run.described(tmp_path / "set")
    assert (described["folder"], described["files"], described["bytes"]) == ("set", 2, 6)
    (tmp_path / "set/2.png").rename(tmp_path / "set/3.png")
    assert _run.described(tmp_path / "set")["sha256"] != described["sha256"]


def test_least_values_count_for_the_target(here, monkeypatch, capsys, eager_training):
    monkeypatch.setattr(isbi2012_unet, "LEAST", {"pixel_error": 0.0}, raising=False)
    monkeypatch.setattr(isbi2012_unet, "TARGET", {})
    result = _run.run(isbi2012_unet, [0])
    assert result["target_met"] and result["least"] == {"pixel_error": 0.0}
    __main__._show(result)
    assert "pixel_error at least 0.0: met" in capsys.readouterr().out
    assert not _run._merge(
        here / "x.json", {"target": {}, "least": {"f": 0.9}}, {"seeds": {"0": {"scores": {"f": 0.8}}}}
    )["target_met"]


def test_where_a_network_was_scored_stands_beside_where_it_was_trained(here, monkeypatch, eager_training):
    stop_in_epoch(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        _run.run(isbi2012_unet, [0])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # too late to work, but known
    first = _run.provenance()
    assert first["flags"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    monkeypatch.setattr(_run, "provenance", lambda: first | {"backend": "another"})
    entry = _run.run(isbi2012_unet, [0])["seeds"]["0"]
    assert entry["backend"] == first["backend"]
    assert entry["scored"] == {"backend": "another", "flags": first["flags"]}


@pytest.mark.parametrize("recipe", [isbi2012_paper, isbi2012_no_weights, isbi2012_no_elastic])
def test_the_papers_way_and_its_ablations(recipe, here, monkeypatch, eager_training):
    monkeypatch.setattr(recipe, "SETTINGS", recipe.SETTINGS | recipe.QUICK | SMALL)
    monkeypatch.setattr(recipe, "QUICK", {})
    result = _run.run(recipe, [0])
    entry = result["seeds"]["0"]
    assert set(entry["scores"]) == set(entry["without_averaging"]["scores"])
    at, known = ({row["threshold"]: row for row in entry[part]} for part in ("swept", "swept_validation"))
    for name, value in entry["scores"].items():  # each at the threshold that is best for it on validation slices
        best = min(known.values(), key=lambda row, name=name: row[name])["threshold"]
        assert entry["thresholds"][name] == best and at[best][name] == pytest.approx(value, abs=2e-5)
    one = min(known.values(), key=lambda row: row["rand_thin"] + row["pixel_error"])["threshold"]
    assert entry["choices"] == {"threshold": one}
    for name, value in entry["one_threshold"]["scores"].items():
        assert at[one][name] == pytest.approx(value, abs=2e-5)
    assert entry["maximal_f"] == isbi2012_paper.maximal_f(entry["swept"])
    assert entry["maximal_f"]["rand_2012"] <= entry["scores"]["rand_2012"] + 1e-5  # chosen on what it scores
    assert result["target"] == {"rand_thin": 0.06, "pixel_error": 0.09}
    kept = here / f"results/weights/{recipe.NAME}.keras"
    assert kept.exists() == (recipe is isbi2012_paper)


def test_ablations_leave_out_one_part_each(pictures):
    data, split = isbi2012.load(pictures), isbi2012_unet.split()
    made = {}
    for recipe in (isbi2012_paper, isbi2012_no_weights, isbi2012_no_elastic):
        settings = recipe.SETTINGS | recipe.QUICK | SMALL
        made[recipe.NAME] = recipe.batches(data, split, settings, seed=0)
        optimizer, rates = recipe.optimizer(settings), []
        for step in (0, settings["warmup"], settings["steps"] * settings["epochs"]):
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate))
        assert optimizer.momentum == 0.99 and rates == pytest.approx([0, 0.05, 0], abs=1e-6)
    weights = {name: tiles.weights for name, tiles in made.items()}
    assert weights["isbi2012-no-weights"] is None
    assert np.array_equal(weights["isbi2012-paper"], weights["isbi2012-no-elastic"])
    membrane = data[1][split["train"]] == 0
    assert weights["isbi2012-paper"][membrane].mean() > 3 * weights["isbi2012-paper"][~membrane].mean()
    assert [tiles.augment.elastic for tiles in made.values()] == [10, 10, 0]


def test_the_maximal_f_chooses_on_what_it_scores(pictures):
    _, truth = isbi2012.load(pictures)
    perfect = {number: np.where(truth[number] > 0, 0.35, 0.15).astype(np.float32) for number in (24, 25)}
    swept = isbi2012_paper.swept_scores(perfect, truth)
    assert set(isbi2012_paper.maximal_f(swept).values()) == {0}  # between 0.15 and 0.35, and not at 0.5
    at = {row["threshold"]: row for row in swept}
    assert at[0.5]["f_membrane_error"] > 0 and min(at) < 0.02 and max(at) > 0.98
    expected = np.mean([scores.warping_error(truth[n] > 0, one >= 0.5) for n, one in perfect.items()])
    assert at[0.5]["warping_error"] == pytest.approx(expected) and expected > 0


def test_validation_does_not_punish_a_network_for_where_weights_move_it(pictures, monkeypatch):
    data, split = isbi2012.load(pictures), isbi2012_unet.split()
    shy = {number: np.where(data[1][number] > 0, 0.35, 0.15).astype(np.float32) for number in split["validation"]}
    seen = iter(shy.values())
    monkeypatch.setattr(Segmenter, "maps", lambda *of, once: np.dstack([1 - (one := next(seen)), one]))
    model = nets.unet((None, None, 1), 2, filters=1, depth=1)
    found = isbi2012_paper.validate(model, data, split)
    inside = np.mean(data[1][split["validation"]])
    expected = -inside * np.log(0.35) - (1 - inside) * np.log(0.85)
    assert found == {"val_loss": pytest.approx(expected, abs=1e-6), "val_pixel_error": 0.0}


def test_bfloat16_only_to_train_and_only_where_the_processor_has_it(here, monkeypatch, eager_training):
    monkeypatch.setattr(isbi2012_unet, "SETTINGS", isbi2012_unet.SETTINGS | {"precision": "mixed_bfloat16"})
    built, build, judged, evaluate = [], isbi2012_unet.build, [], isbi2012_unet.evaluate
    monkeypatch.setattr(isbi2012_unet, "build", lambda settings: built.append(build(settings)) or built[-1])
    monkeypatch.setattr(isbi2012_unet, "evaluate", lambda *one: judged.append(one[0]) or evaluate(*one))
    monkeypatch.setattr(_precision, "_has_bfloat16", lambda: True)
    entry = _run.run(isbi2012_unet, [0])["seeds"]["0"]
    assert entry["precision"] == "mixed_bfloat16"
    trained, plain = built[:2]
    assert trained.layers[1].compute_dtype == "bfloat16" and trained.layers[1].variable_dtype == "float32"
    assert judged[0] is plain and {layer.compute_dtype for layer in plain.layers} == {"float32"}
    for one, other in zip(trained.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    kept = store.load(here / "results/weights/isbi2012-unet.keras")
    assert {layer.compute_dtype for layer in kept.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    monkeypatch.setattr(_precision, "_has_bfloat16", lambda: False)
    assert _run.run(isbi2012_unet, [1])["seeds"]["1"]["precision"] == "float32"
    assert built[-1].layers[1].compute_dtype == "float32"


def test_a_processor_says_whether_it_has_bfloat16(tmp_path, monkeypatch):
    listing = tmp_path / "cpuinfo"
    monkeypatch.setattr(_precision, "Path", lambda _: listing)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert not _precision._has_bfloat16()  # no listing: not Linux
    listing.write_text("model name\t: bf16 in the name only\nflags\t\t: fpu avx512f\n")
    assert _precision.usable("mixed_bfloat16") == "float32" and _precision.usable("float32") == "float32"
    listing.write_text("flags\t\t: fpu avx512f avx512_bf16\n")
    assert _precision.usable("mixed_bfloat16") == "mixed_bfloat16"
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["gpu:0"])
    listing.unlink()
    assert _precision._has_bfloat16()
