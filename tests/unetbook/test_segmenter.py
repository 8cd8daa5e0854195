"""One object from a picture to labels: what it takes, what it refuses, and what not every network uses."""

import dataclasses
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import unetbook
from tools.pairs import ROOT
from unetbook import choices, instances, labels, normalize, resizing, results, segmenter, store
from unetbook.segmenter import Segmenter

FACTS = {"classes": ["background", "square"], "objects": True, "averaged": "eight"}
FACTS |= {"choices": {"way": "components", "threshold": 0.5, "smallest": 5}}


def painter(channels=1, heads=None):
    """A network that needs no training: a pixel is foreground where the mean of its channels exceeds 1/2."""
    images = keras.Input((None, None, channels))
    kernel = np.zeros((1, 1, channels, 2), np.float32)
    kernel[..., 1] = 40 / channels
    if not heads:
        head = keras.layers.Conv2D(2, 1, name="head")
        model = keras.Model(images, head(images))
        head.set_weights([kernel, np.array([0, -20], np.float32)])
        return model
    layers = {name: keras.layers.Conv2D(count, 1, name=name) for name, count in heads.items()}
    model = keras.Model(images, {name: layer(images) for name, layer in layers.items()})
    for name, layer in layers.items():
        weights = kernel if heads[name] == 2 else np.ones((1, 1, channels, heads[name]), np.float32)
        layer.set_weights([weights, np.array([0, -20], np.float32) if heads[name] == 2 else np.zeros(heads[name])])
    return model


@pytest.fixture
def squares():
    """A dark picture (40, 60) with three bright squares of 10, 6 and 2 pixels a side, uint8."""
    image = np.full((40, 60), 25, np.uint8)
    image[4:14, 5:15] = image[20:26, 30:36] = image[30:32, 50:52] = 230
    return image


@pytest.fixture
def own(squares):
    return Segmenter(painter(), FACTS)


def test_a_name_resolves_when_it_is_asked_for_and_nothing_is_imported_before():
    code = "import sys, unetbook; print(sorted({'keras', 'numpy', 'unetbook.segmenter'} & set(sys.modules)))"
    code += "; print('load' in dir(unetbook), hasattr(unetbook, 'nothing'))"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split("\n")[:2] == ["[]", "True False"]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "unetbook" in imported and not imported & {"keras", "numpy", "tensorflow", "unetbook.store"}
    assert unetbook.Segmenter is Segmenter and unetbook.load is segmenter.load


@pytest.mark.parametrize("name", segmenter.NAMES)
def test_each_kept_network_loads_by_its_name(name):
    kept = unetbook.load(name)
    assert kept.passport["recipe"] == segmenter.NAMES[name]
    stored = store.passport(results.folder() / "weights" / f"{segmenter.NAMES[name]}.keras")
    assert kept.passport["choices"] == {"way": kept.choices.way, **stored["choices"]}
    assert kept.finds_objects == (name in ("nuclei", "nuclei-unetpp", "touching"))


def test_files_and_their_stems_load_too_and_names_win(tmp_path, own, monkeypatch):
    path = own.save(tmp_path / "mine.keras")
    assert unetbook.load(path).choices == unetbook.load(str(path)).choices == own.choices
    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    (tmp_path / "weights").mkdir()
    own.save(tmp_path / "weights/isic2017-improved.keras")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lesions").mkdir()  # a folder of that name is not meant
    for name in ("lesions", "isic2017-improved", "mine.keras"):
        assert unetbook.load(name).choices == own.choices
    with pytest.raises(
        ValueError, match=r"no network 'lesion'; did you mean 'lesions'\? Known: nuclei, .*or a \.keras"
    ):
        unetbook.load("lesion")
    with pytest.raises(FileNotFoundError, match=r"no model file at .*other\.keras"):
        unetbook.load(tmp_path / "other.keras")


def test_files_that_do_not_do_are_named(tmp_path, own):
    path = own.save(tmp_path / "mine.keras")
    cut = tmp_path / "cut.keras"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"cut\.keras is damaged"):
        unetbook.load(cut)
    bare = tmp_path / "bare.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bare, "w") as new:
        for name in set(old.namelist()) - {"unetbook.json"}:
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match=r"bare\.keras holds no unetbook\.json"):
        unetbook.load(bare)
    with pytest.raises(ValueError, match="no passport: give one"):
        Segmenter(painter())
    with pytest.raises(ValueError, match="names no classes"):
        unetbook.load("encoder-synthetic")


def test_pictures_of_each_kind_give_the_same_labels(own, squares):
    truth = labels.connected(squares > 100)
    truth = instances.without_small(truth, 5)
    assert truth.max() == 2
    kinds = [squares, squares.astype(np.uint16) * 257, squares / np.float32(255), squares / 255, squares.tolist()]
    kinds[-1] = squares[..., None]
    kinds += [np.dstack([squares] * 3), (squares / 255).astype(np.float16)]
    for image in kinds:
        found = own(image)
        assert found.dtype == np.int32 and np.array_equal(found, truth)
    three = Segmenter(painter(3), FACTS)
    assert np.array_equal(three(squares), truth) and np.array_equal(three(np.dstack([squares] * 3)), truth)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((0, 4), np.uint8), ValueError, "at least one pixel"),
        (np.zeros((4, 0, 3), np.uint8), ValueError, "at least one pixel"),
        (np.zeros(9, np.uint8), ValueError, r"one picture \(H, W\) or \(H, W, C\).*\(9,\)"),
        (np.zeros((2, 8, 8, 1), np.uint8), ValueError, r"not \(2, 8, 8, 1\): give them one at a time"),
        (np.zeros((8, 8), np.int32), TypeError, "uint8, uint16 or floats in .* not int32: convert it"),
        (np.zeros((8, 8), bool), TypeError, "not bool"),
        (np.zeros((8, 8), complex), TypeError, "not complex128"),
        (np.full((8, 8), 200.0), ValueError, "gray values run from 200 to 200: scale them"),
        (np.full((8, 8), -0.5), ValueError, "gray values run from -0.5"),
        (np.where(np.eye(8), np.nan, 0.5), ValueError, "NaN or infinity"),
        (np.where(np.eye(8), np.inf, 0.5), ValueError, "NaN or infinity"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, r"takes 1 channel\(s\) and the image has 4.*channels=\(0,\)"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, "has 8, which come last"),
    ],
)
def test_pictures_that_do_not_do_are_told_with_the_fix(own, image, error, message):
    with pytest.raises(error, match=message):
        own(image)
    with pytest.raises(error, match=message):
        own.probabilities(image)


def test_channels_are_chosen_in_the_networks_order(own, squares):
    many = np.zeros((*squares.shape, 5), np.uint8)
    many[..., 3] = squares
    assert np.array_equal(own(many, channels=3), own(squares))
    assert np.array_equal(own(many, channels=(3,)), own(squares)) and own(many, channels=[1]).max() == 0
    weighing = painter(3)
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 1, 1] = 40  # only its second channel counts
    weighing.get_layer("head").set_weights([kernel, np.array([0, -20], np.float32)])
    three = Segmenter(weighing, FACTS)
    assert three(many, channels=(0, 3, 1)).max() == 2 and three(many, channels=(3, 0, 1)).max() == 0
    for wrong in ((5,), (-1,), (), (0.0,), ((0, 1), (2, 3))):
        with pytest.raises(ValueError, match="channels must be indices from 0 to 4"):
            own(many, channels=wrong)


def test_choices_are_frozen_and_replaced(own, squares):
    with pytest.raises(dataclasses.FrozenInstanceError):
        own.choices.threshold = 0.9
    assert own.choices == choices.Choices("components", threshold=0.5, smallest=5)
    assert own(squares).max() == 2 and own(squares, smallest=0).max() == 3 and own(squares, smallest=50).max() == 1
    other = own.replace(way="watershed", depth=np.float32(0.75), smallest=np.int64(0))
    assert other.choices == choices.Choices("watershed", threshold=0.5, smallest=0, depth=0.75)
    assert type(other.choices.smallest) is int and other(squares).max() == 3 and own.choices.smallest == 5
    back = other.replace(way="regrow")  # depth is left behind
    assert back.choices == choices.Choices("regrow", threshold=0.5, smallest=0, grow=1, smallest_seed=0)
    assert back.replace(way="regrow", grow=2, core=0.7).replace(grow=None, core=None).choices == back.choices
    classes = own.replace(way="classes")
    assert not classes.finds_objects and np.array_equal(classes(squares), (squares > 100).astype(np.int32))
    assert classes.replace(way="components", smallest=5)(squares).max() == 2


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"treshold": 0.4}, r"no choice 'treshold'; did you mean 'threshold'\?"),
        ({"way": "waterhsed"}, r"no way 'waterhsed'.*did you mean 'watershed'\?"),
        ({"way": ["watershed"]}, "no way"),
        ({"depth": 2.0}, "the way 'components' has no depth: leave it out, or take one of watershed, distance"),
        ({"way": "classes", "smallest": 4}, "the way 'classes' has no smallest"),
        ({"threshold": 0}, "threshold must be greater than 0 and at most 1, not 0"),
        ({"way": "classes", "threshold": 1.5}, "threshold must be greater than 0 and at most 1, not 1.5"),
        ({"way": "one_piece", "threshold": float("nan")}, "threshold must be greater than 0"),
        ({"threshold": "0.5"}, "threshold must be a number, not '0.5'"),
        ({"smallest": True}, "smallest must be a number, not True"),
        ({"smallest": -1}, "smallest must be a whole number"),
        ({"smallest": 2.5}, "smallest must be a whole number"),
        ({"way": "watershed", "depth": 0}, "depth must be a positive number"),
        ({"way": "regrow", "grow": 0}, "grow must be a whole number of pixels of at least 1"),
        ({"way": "regrow", "core": 2}, "threshold must be greater than 0 and at most 1, not 2"),
        ({"way": "regrow", "smallest_seed": -3}, "smallest_seed must be a whole number"),
        ({"way": "border"}, "with 3 channels"),
        ({"way": "distance"}, "'distance' reads values, this network gives probabilities; ways for it: classes"),
    ],
)
def test_choices_that_do_not_do_are_told_before_a_picture_is_read(own, squares, chosen, message):
    with pytest.raises(ValueError, match=message):
        own.replace(**chosen)
    with pytest.raises(ValueError, match=message):
        own("no picture", **chosen)
    with pytest.raises(ValueError, match=message):
        own.labels(own.maps(squares), squares.shape, **chosen)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"normalize": "pretty"}, "no normalization 'pretty'"),
        ({"averaged": "nine"}, "averaged is 'nine', and known are eight, rotations"),
        ({"classes": "nuclei"}, "classes must be a list of names"),
        ({"choices": ["watershed"]}, "choices a dict"),
        ({"choices": {"way": "regrow"}}, "lack smallest, threshold: store it again"),
        ({"choices": {"way": "regrow", "threshold": 0.5, "smallest": 0, "depth": 1}}, "'regrow' has no depth"),
        ({"objects": False, "classes": ["a", "b", "c"]}, "names 3 classes and the network tells 2"),
        ({"side": 0}, "side must be a number of pixels of at least 1, not 0"),
        ({"side": 12.5}, "side must be a number"),
        ({"diameter": "large"}, "diameter must be a number"),
        ({"side": 32, "diameter": 8.0}, "a side, a scale or a diameter"),
        ({"heads": "many"}, "heads is 'many', and known are mean, apart"),
        ({"heads": "apart"}, "this network has one: leave the entry out"),
        ({"outputs": "logits"}, "outputs must be 'probabilities' or 'values', not 'logits'"),
    ],
)
def test_a_passport_that_does_not_do_is_told_when_it_is_read(facts, message):
    with pytest.raises(ValueError, match=message):
        Segmenter(painter(), FACTS | facts)


def test_a_network_that_gives_no_maps_is_told_at_once():
    images = keras.Input((8, 8, 1))
    one = keras.layers.Conv2D(2, 1)(images)
    for output, message in (([one, one], "give its heads names"), (keras.layers.Flatten()(one), "must return maps")):
        with pytest.raises(ValueError, match=message):
            Segmenter(keras.Model(images, output), FACTS)
    with pytest.raises(ValueError, match="functional model with one image input"):
        Segmenter(keras.Model([images, keras.Input((8, 8, 1))], one), FACTS)
    sequential = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 1)])
    assert Segmenter(sequential, FACTS)(np.zeros((9, 8), np.uint8)).shape == (9, 8)


def test_three_classes_are_told_by_the_most_probable():
    images = keras.Input((None, None, 3))
    model = keras.Model(images, images * 10.0)
    facts = {"classes": ["red", "green", "blue"], "choices": {"threshold": 0.5}}  # not read, as ever
    colors = Segmenter(model, facts)
    image = np.eye(3, dtype=np.float32)[np.arange(12).reshape(3, 4) % 3]
    assert np.array_equal(colors(image), np.arange(12).reshape(3, 4) % 3) and colors.choices.threshold is None
    with pytest.raises(ValueError, match="of 3 classes the most probable is taken: leave out threshold"):
        colors(image, threshold=0.4)


def test_maps_are_computed_once_and_read_often(own, squares, monkeypatch):
    calls, predict = [], segmenter.tiling.predict
    monkeypatch.setattr(segmenter.tiling, "predict", lambda *a, **k: calls.append(1) or predict(*a, **k))
    maps = own.maps(squares)
    assert len(calls) == 8 and maps.shape == (40, 60, 2) and maps.dtype == np.float32
    assert np.array_equal(own.labels(maps, squares.shape), own(squares))
    calls.clear()
    assert [own.labels(maps, squares.shape, smallest=n).max() for n in (0, 5, 50)] == [3, 2, 1] and not calls
    assert np.allclose(own.probabilities(squares, once=True), maps, atol=1e-6) and len(calls) == 1


def test_a_side_squeezes_and_the_answer_has_the_images_size(squares):
    facts = FACTS | {"side": 32, "averaged": None, "choices": FACTS["choices"] | {"smallest": 0}}
    reader = Segmenter(painter(), facts)
    large = np.kron(squares, np.ones((3, 2), np.uint8))
    assert reader.maps(large).shape == (32, 32, 2) and reader.probabilities(large).shape == (120, 120, 2)
    expected = instances.from_probabilities(reader.maps(large), "components")
    assert np.array_equal(reader(large), resizing.stretched_labels(expected, 120, 120)) and reader(large).max() == 3
    smooth = reader.replace(way="classes")  # probabilities are stretched and then cut
    stretched = resizing.stretched(reader.maps(large), 120, 120)[..., 1]
    assert np.array_equal(smooth(large), (stretched >= 0.5).astype(np.int32))


def test_heads_apart_are_read_by_one_registered_way(squares, monkeypatch):
    monkeypatch.setattr(choices, "WAYS", dict(choices.WAYS))
    monkeypatch.setattr(segmenter, "WAYS", choices.WAYS)
    seen = []

    def sure_and_bright(heads, threshold=0.5, smallest=0):
        seen.append({head: of.shape for head, of in heads.items()})
        both = (heads["mask"][..., 1] >= threshold) & (heads["gray"][..., 0] > 0.5)
        return instances.without_small(labels.connected(both), smallest)

    choices.register(sure_and_bright, reads="heads")
    model = painter(heads={"mask": 2, "gray": 3})
    facts = FACTS | {"heads": "apart", "outputs": {"gray": "values"}}
    facts |= {"choices": {"way": "sure_and_bright", "smallest": 5}}
    for entries in ({}, {"side": 64}):
        reader = Segmenter(model, facts | entries)
        maps = reader.probabilities(squares)
        assert {head: of.shape for head, of in maps.items()} == {"gray": (40, 60, 3), "mask": (40, 60, 2)}
        found = reader(squares, smallest=20)  # pixels at the size at which the network works
        assert found.max() == 2 and found.shape == (40, 60)
    exact = Segmenter(model, facts).maps(squares)
    assert np.allclose(exact["gray"], squares[..., None] / np.float32(255), atol=1e-5)  # no sigmoid
    assert np.allclose(exact["mask"].sum(axis=2), 1, atol=1e-5)
    with pytest.raises(ValueError, match=r"'components' reads probabilities, this network gives heads; .*sure_and"):
        reader.replace(way="components")
    with pytest.raises(ValueError, match="name it in choices"):
        Segmenter(model, facts | {"objects": False, "choices": {}})
    with pytest.raises(ValueError, match="fields of Choices, and radius is none"):
        choices.register(lambda maps, radius=2: maps, name="round")


def test_heads_have_a_mean_unless_they_are_apart(squares):
    mean = Segmenter(painter(heads={"one": 2, "two": 2}), FACTS)
    assert np.allclose(mean.maps(squares), Segmenter(painter(), FACTS).maps(squares), atol=1e-6)
    assert mean(squares).max() == 2
    with pytest.raises(ValueError, match="keep the heads 'apart'"):
        Segmenter(painter(heads={"one": 2, "two": 2}), FACTS | {"outputs": "values"})


def test_distances_are_values_and_no_probabilities():
    images = keras.Input((None, None, 1))
    model = keras.Model(images, images * 20.0)
    chosen = {"way": "distance", "threshold": 0.5, "smallest": 0}
    reader = Segmenter(
        model, {"classes": ["background", "cell"], "objects": True, "outputs": "values", "choices": chosen}
    )
    objects = np.zeros((20, 40), np.int32)
    objects[4:16, 4:16], objects[4:16, 16:28] = 1, 2
    image = instances.distance_target(objects)[..., None] / 20
    assert np.allclose(reader.maps(image)[..., 0] * 1.0, image[..., 0] * 20) and reader(image).max() == 2


@pytest.mark.parametrize("times", [1, 2, 5])
def test_objects_of_another_size_are_seen_at_the_size_that_was_learned(times, monkeypatch):
    """Squares of 8 pixels were learned; the network is shown larger ones at 8 pixels, and its answer fits them."""
    truth = np.zeros((40, 56), np.int32)
    truth[8:16, 8:16], truth[20:28, 24:32], truth[4:12, 40:48] = 1, 2, 3
    large = np.kron(truth, np.ones((times, times), np.int32))
    image = np.where(large > 0, 230, 20).astype(np.uint8)
    sides, predict = [], segmenter.tiling.predict
    monkeypatch.setattr(segmenter.tiling, "predict", lambda *a, **k: sides.append(a[1].shape[:2]) or predict(*a, **k))
    diameter = float(2 * np.sqrt(64 / np.pi))
    reader = Segmenter(painter(), FACTS | {"averaged": None, "diameter": diameter})
    found = reader(image)
    assert sides == [large.shape, truth.shape]  # a first pass and a second, at the size that was learned
    assert found.shape == large.shape and found.max() == 3
    for number in (1, 2, 3):
        mine = found == np.bincount(found[large == number]).argmax()
        assert np.sum(mine & (large == number)) / np.sum(mine | (large == number)) > 0.85
    assert reader.probabilities(image).shape == (*large.shape, 2)
    sides.clear()
    assert reader(np.zeros_like(image)).max() == 0 and sides == [large.shape] * 2  # nothing to measure: as it is


def test_a_saved_segmenter_answers_alike(tmp_path, own, squares):
    measured = Segmenter(own.model, own.passport | {"scores": {"f": 1.0}, "task": "squares", "keras": "1.0"})
    assert Segmenter(own.model, measured.passport).passport == measured.passport
    other = measured.replace(way="watershed", depth=1.5, smallest=20)
    assert "scores" not in other.passport and measured.replace(smallest=5).passport["scores"] == {"f": 1.0}
    for one in (measured, other, measured.replace(way="classes", threshold=0.3), measured.replace(way="one_piece")):
        again = unetbook.load(one.save(tmp_path / "one.keras"))
        assert again.choices == one.choices and np.array_equal(again(squares), one(squares))
        assert again.passport["task"] == "squares" and again.passport["keras"] == keras.__version__
    half = unetbook.load(other.save(tmp_path / "half.keras", half=True))
    assert np.array_equal(half(squares), other(squares))
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        own.save(tmp_path / "one.h5")
    passport = own.passport
    passport["choices"]["smallest"] = 50
    assert own(squares).max() == 2  # a copy


def test_the_readme_runs(tmp_path, monkeypatch):
    """Six lines, as they stand there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(list(filter(None, block.splitlines()))) == 6
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    cell = names["labels"] == 1
    assert names["labels"].max() == 1 and 7000 < cell.sum() < 20000 and cell[374, 427]
    assert len(list(tmp_path.iterdir())) == 1


def test_normalization_takes_what_the_segmenter_takes():
    assert normalize.as_floats(np.full((2, 2), 255, np.uint8)).max() == 1
    assert normalize.as_floats(np.full((2, 2), 65535, np.uint16)).shape == (2, 2, 1)
    for rule in normalize.RULES.values():
        assert rule(np.full((4, 4, 1), 0.5, np.float32)).shape == (4, 4, 1)


def test_ground_and_stretch_go_to_the_normalization(squares, own):
    looks = Segmenter(painter(), FACTS | {"normalize": "bright_on_dark"})
    assert looks(squares).max() == 2 and looks(255 - squares).max() == 2
    assert np.array_equal(looks(squares, ground="light"), looks(255 - squares, ground="dark"))
    assert looks.described(squares) == ["taken for dark ground"]
    assert looks.described(255 - squares, ground="light") == ["light ground, inverted"]
    dim = squares.astype(np.uint16) * 16
    assert own(dim).max() == 0 and own(dim, stretch=True).max() == 2
    assert own.probabilities(dim, stretch=True)[5, 6, 1] > 0.9 and own.maps(dim, stretch=True)[0, 0, 1] < 0.1
    assert own.described(dim)[0].startswith("its values use 5 % of their range")
    with pytest.raises(ValueError, match="does not ask for the ground"):
        own(squares, ground="dark")


def test_a_network_of_probabilities_is_refused_unless_it_gives_values():
    images = keras.Input((None, None, 1))
    model = keras.Model(images, keras.layers.Conv2D(2, 1, activation="softmax")(images))
    with pytest.raises(ValueError, match="ends in a soft-max, which would be applied twice: end with logits"):
        Segmenter(model, FACTS)
    heads = {"gray": keras.layers.Conv2D(1, 1, activation="sigmoid")(images), "cell": keras.layers.Conv2D(2, 1)(images)}
    model = keras.Model(images, heads)
    facts = {"classes": ["background", "square"], "heads": "apart"}
    with pytest.raises(ValueError, match="head 'gray' of the network ends in a sigmoid"):
        Segmenter(model, facts)
    with pytest.raises(ValueError, match="registered for them"):  # the next thing that it lacks
        Segmenter(model, facts | {"outputs": {"gray": "values"}})
