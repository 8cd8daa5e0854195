import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import unetbook
from unetbook import __main__, geometry, kept, store, tiling, training
from unetbook.nets import unet

PACKAGE = Path(unetbook.__file__).parent


@pytest.fixture(scope="module")
def trained():
    """A model with an optimizer's state and statistics of batch normalization, and an image to predict."""
    model = unet((None, None, 1), 2, filters=16, depth=2, normalization="batch", upsampling="bilinear")
    rng = np.random.default_rng(0)
    images = rng.random((2, 64, 64, 1), np.float32)
    training.fit(model, (images, rng.integers(0, 2, (2, 64, 64))), epochs=1)
    return model, images[0]


METADATA = {
    "classes": ["membrane", "interior"],
    "license": "MIT",
    "scores": {"dice": 0.9, "per slice": [0.8, 1.0], "none": None},
    "threshold": 0.5,
}


@pytest.mark.backend
def test_a_stored_model_predicts_the_same_and_brings_its_metadata(tmp_path, trained):
    model, image = trained
    path = store.save(model, tmp_path / "new" / "folder" / "unet.keras", **METADATA)
    assert path == tmp_path / "new" / "folder" / "unet.keras" and list(path.parent.iterdir()) == [path]
    loaded = store.load(str(path))
    np.testing.assert_array_equal(tiling.predict(loaded, image), tiling.predict(model, image))
    facts = {
        "unetbook": unetbook.__version__,
        "keras": keras.__version__,
        "parameters": model.count_params(),
        "geometry": geometry.of(model)._asdict(),
    }
    assert loaded.metadata == {**facts, **METADATA}
    assert type(loaded.metadata) is dict and type(loaded.metadata["scores"]) is dict
    assert type(loaded.metadata["classes"]) is list
    assert geometry.Geometry(**loaded.metadata["geometry"]) == geometry.of(loaded)


@pytest.mark.backend
def test_half_precision_halves_the_file_and_hardly_changes_the_result(tmp_path, trained):
    model, image = trained
    full = store.save(model, tmp_path / "full.keras")
    half = store.save(model, tmp_path / "half.keras", half=True)
    weights = 4 * model.count_params()
    assert full.stat().st_size < 1.2 * weights  # the optimizer would treble it
    assert half.stat().st_size < 0.6 * full.stat().st_size
    loaded = store.load(half)
    assert {str(variable.dtype) for variable in loaded.weights} == {"float32"}
    expected = tiling.predict(model, image)
    difference = np.abs(tiling.predict(loaded, image) - expected).max() / np.abs(expected).max()
    assert 0 < difference < 5e-3


def test_a_value_too_large_for_half_precision_stays_as_it_is(tmp_path):
    model = unet((None, None, 1), 2, filters=2, depth=1, normalization="batch")
    layer = model.get_layer("down0_norm_a")
    values = layer.get_weights()
    values[3] = np.full_like(values[3], 1e6)
    layer.set_weights(values)
    loaded = store.load(store.save(model, tmp_path / "unet.keras", half=True))
    np.testing.assert_array_equal(loaded.get_layer("down0_norm_a").get_weights()[3], values[3])


def test_keras_alone_reads_the_file_too(tmp_path, trained):
    model, image = trained
    path = store.save(model, tmp_path / "unet.keras")
    loaded = keras.saving.load_model(path)
    assert model.compiled and not loaded.compiled  # nothing asks for the optimizer that is left out
    np.testing.assert_array_equal(tiling.predict(loaded, image), tiling.predict(model, image))


def test_a_stored_model_can_be_stored_again(tmp_path, trained):
    model, image = trained
    once = store.load(store.save(model, tmp_path / "once.keras", license="MIT"))
    again = store.load(store.save(once, tmp_path / "again.keras", **once.metadata))
    assert again.metadata == once.metadata
    np.testing.assert_array_equal(tiling.predict(again, image), tiling.predict(model, image))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The bytes of a good file."""
    model = unet((None, None, 1), 1, filters=1, depth=1)
    return store.save(model, tmp_path_factory.mktemp("stored") / "unet.keras").read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file at .*nowhere.keras: see `python -m unetbook list`"):
        store.load(tmp_path / "nowhere.keras")


def test_a_damaged_file_is_named(tmp_path, stored):
    path = tmp_path / "unet.keras"
    inside = stored.index(b"PK\x03\x04", 10) + 300
    metadata = stored.rindex(b"unetbook.json", 0, stored.rindex(b"unetbook.json")) + 20
    damaged = [b"", b"no archive", stored[: len(stored) // 2], stored[:-1]]
    damaged += [
        stored[:at] + bytes(b ^ 0xFF for b in stored[at : at + 9]) + stored[at + 9 :] for at in (inside, metadata)
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"unet\.keras (is damaged|cannot be loaded).*get it again"):
            store.load(path)
    path.write_bytes(stored)
    assert store.load(path).count_params() > 0
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("unetbook.json", "[]")
    with pytest.raises(ValueError, match=r"unet\.keras is damaged"):
        store.passport(path)


def test_an_error_without_words_is_named_by_its_type(tmp_path, stored, monkeypatch):
    def failing(*arguments, **options):
        raise MemoryError

    (tmp_path / "unet.keras").write_bytes(stored)
    monkeypatch.setattr(store.keras.saving, "load_model", failing)
    with pytest.raises(ValueError, match=r"unet\.keras cannot be loaded \(MemoryError\)"):
        store.load(tmp_path / "unet.keras")


def test_a_file_without_metadata_is_named(tmp_path):
    path = tmp_path / "plain.keras"
    keras.saving.save_model(unet((None, None, 1), 1, filters=1, depth=1), path)
    with pytest.raises(ValueError, match=r"plain\.keras holds no unetbook\.json"):
        store.load(path)


def test_code_in_a_model_file_is_not_run(tmp_path):
    images = keras.Input((None, None, 1))
    model = keras.Model(images, keras.layers.Lambda(lambda maps: maps * 2)(images))
    path = store.save(model, tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"code\.keras cannot be loaded .* get it again from a source you trust"):
        store.load(path)


def test_what_cannot_be_stored_is_named_and_leaves_no_file(tmp_path):
    model = unet((None, None, 1), 1, filters=1, depth=1)
    with pytest.raises(ValueError, match=r"a model file ends in \.keras: use .*unet\.keras instead of .*unet\.h5"):
        store.save(model, tmp_path / "unet.h5")
    with pytest.raises(ValueError, match=r"metadata 'mean' cannot be stored: .*float32.*use numbers"):
        store.save(model, tmp_path / "unet.keras", license="MIT", mean=np.float32(1))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_half_written(tmp_path, monkeypatch, stored):
    path = tmp_path / "unet.keras"
    path.write_bytes(stored)

    def full_disk(*arguments, **options):
        raise OSError(28, "No space left on device")

    model = unet((None, None, 1), 1, filters=2, depth=1)
    for module, name in ((zipfile.ZipFile, "writestr"), (keras.saving, "save_model")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full_disk)
            with pytest.raises(OSError, match="No space left"):
                store.save(model, path)
        assert [file.name for file in tmp_path.iterdir()] == ["unet.keras"]
        assert path.read_bytes() == stored


def test_the_metadata_is_plain_json_in_the_archive(tmp_path):
    path = store.save(unet((None, None, 1), 1, filters=1, depth=1), tmp_path / "unet.keras", license="MIT")
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("unetbook.json"))["license"] == "MIT"


def rewritten(path, stored, **members):
    """The stored file with other content in some members; ``None`` takes a member out."""
    names = {"weights": "model.weights.h5", "config": "config.json", "passport": "unetbook.json"}
    changed = {names.get(name, name): content for name, content in members.items()}
    with zipfile.ZipFile(io.BytesIO(stored)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in dict.fromkeys([*old.namelist(), *changed]):
            content = changed.get(name, old.read(name) if name in old.namelist() else None)
            if content is not None:
                new.writestr(name, content)
    return path


def test_a_file_of_the_old_kind_is_told_with_the_way_to_a_new_one(tmp_path, capsys):
    model = unet((None, None, 1), 1, filters=1, depth=1)
    model.save_weights(tmp_path / "old.weights.h5")
    with pytest.raises(
        ValueError, match=r"old\.weights\.h5 is an HDF5 file \(\.h5\), and a \.keras file is needed: load it"
    ):
        store.load(tmp_path / "old.weights.h5")
    command = ["predict", "--model", str(tmp_path / "old.weights.h5"), "--out", str(tmp_path / "out"), str(tmp_path)]
    (tmp_path / "a.png").write_bytes(b"")
    assert __main__.main(command) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "unetbook.Segmenter(keras.models.load_model(file)" in error


def test_a_file_of_a_newer_keras_is_told_where_it_cannot_be_read(tmp_path, stored):
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        facts = json.loads(archive.read("unetbook.json"))
        config = archive.read("config.json").decode()
    unknown = config.replace("MaxPooling2D", "FastPooling2D")
    newer = json.dumps({**facts, "keras": "99.1.0"})
    path = rewritten(tmp_path / "new.keras", stored, config=unknown, passport=newer)
    with pytest.raises(ValueError, match=rf"written by Keras 99\.1\.0, and {keras.__version__} is installed: install"):
        store.load(path)
    assert store.load(rewritten(path, stored, passport=newer)).count_params() > 0  # what can be read is read
    for version in (facts["keras"], None, ["?"]):
        path = rewritten(path, stored, config=unknown, passport=json.dumps({**facts, "keras": version}))
        with pytest.raises(ValueError, match=r"cannot be loaded \(.*\): get it again from a source you trust"):
            store.load(path)


def test_a_missing_backend_is_told_in_one_line(tmp_path):
    if importlib.util.find_spec("torch"):
        pytest.skip("torch is installed")
    command = [sys.executable, "-m", "unetbook", "predict", "--model", "nuclei", "--out", str(tmp_path), "a.png"]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Keras computes with torch, which is not installed: install it, or name another" in done.stderr
    code = "import unetbook\ntry: unetbook.load\nexcept ModuleNotFoundError as error: print(error)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True)
    assert "name another of tensorflow, jax, torch" in done.stdout
    assert (
        str(kept.without_backend(ModuleNotFoundError("No module named 'cv2'", name="cv2"))) == "No module named 'cv2'"
    )


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


def test_pickled_arrays_and_other_members_are_refused_unread(tmp_path, stored, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickled = io.BytesIO()
    np.savez(pickled, weights=np.array([Evil()], object))
    for name in ("model.weights.npz", "../../out.py", "assets/code.py"):
        path = rewritten(tmp_path / "a.keras", stored, **{name: pickled.getvalue()})
        with pytest.raises(ValueError, match=rf"a\.keras holds '{name}', which a network has no use for"):
            store.load(path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_a_function_of_another_module_in_the_configuration_is_not_called(tmp_path, stored, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        config = json.loads(archive.read("config.json"))
    call = {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}
    gadget = {"module": "os", "class_name": "system", "config": {"command": "touch executed"}, "registered_name": None}
    for place in (call, gadget):
        changed = json.loads(json.dumps(config))
        layer = next(one for one in changed["config"]["layers"] if one["class_name"] == "Activation")
        layer["config"]["activation"] = place
        path = rewritten(tmp_path / "a.keras", stored, config=json.dumps(changed))
        with pytest.raises(ValueError, match=r"a\.keras cannot be loaded \(.*\): get it again from a source you trust"):
            store.load(path)
    changed = rewritten(tmp_path / "a.keras", stored, config=json.dumps(gadget))
    with pytest.raises(ValueError, match=r"a\.keras cannot be loaded"):
        store.load(changed)
    assert not (tmp_path / "executed").exists()


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("member", ["weights", "config", "passport"])
def test_an_archive_that_unpacks_to_more_than_a_network_is_refused_unread(tmp_path, stored, monkeypatch, member):
    monkeypatch.setattr(kept, "LARGE", 10**6)
    path = rewritten(tmp_path / "bomb.keras", stored, **{member: bytes(10**8)})
    assert path.stat().st_size < 10**6

    def refused():
        for read in (store.load, store.passport):
            with pytest.raises(
                ValueError, match=r"bomb\.keras has 0\.\d MB and says that it unpacks to \d+ GB, which no"
            ):
                read(path)

    assert peak_of(refused) < 10**7


def test_arrays_larger_than_a_network_or_in_other_files_are_refused_unread(tmp_path, stored):
    def weights(change):
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            change(file)
        return content.getvalue()

    huge = weights(lambda file: file.create_dataset("vars/0", (10**6, 10**6), np.float32, chunks=True))
    path = rewritten(tmp_path / "bomb.keras", stored, weights=huge)

    def refused():
        with pytest.raises(ValueError, match=r"bomb\.keras has 0\.0 MB and says that it unpacks to 3725 GB, which no"):
            store.load(path)

    assert peak_of(refused) < 10**8
    secret = [(str(tmp_path / "secret"), 0, 40)]
    outside = weights(lambda file: file.create_dataset("vars/0", (10,), np.float32, external=secret))
    with pytest.raises(ValueError, match=r"out\.keras cannot be loaded \(its arrays lie in other files\)"):
        store.load(rewritten(tmp_path / "out.keras", stored, weights=outside))


def test_arrays_are_never_read_with_pickles():
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"allow_pickle\s*=\s*True|import pickle|pickle\.load|safe_mode\s*=\s*False", text), file
