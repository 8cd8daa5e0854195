import os
import warnings
import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest

from unetbook.datasets import _archives, dsb2018

SHAPES = {"aa": (20, 24), "bb": (16, 32), "cc": (20, 24)}


def png(pixels):
    """Pixels in the order red, green, blue, alpha as the bytes of a PNG file."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return cv2.imencode(".png", pixels)[1].tobytes()


def disc(shape, *center):
    y, x = np.indices(shape)
    return ((y - center[0]) ** 2 + (x - center[1]) ** 2 <= 9).astype(np.uint8) * 255


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return {id_: rng.integers(0, 256, (*shape, 3), np.uint8) for id_, shape in SHAPES.items()}


@pytest.fixture
def members(images):
    """Name and content of each file as Kaggle lays them out: RGBA images, two nuclei each."""
    found = {}
    for id_, image in images.items():
        opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
        found[f"{id_}/images/{id_}.png"] = png(np.concatenate([image, opaque], axis=2))
        for number, center in enumerate([(5, 5), (10, 17)]):
            found[f"{id_}/masks/{number}.png"] = png(disc(image.shape[:2], *center))
    return found


@pytest.fixture(autouse=True)
def no_other_data(request, monkeypatch, tmp_path):
    if "real" not in request.node.name:
        monkeypatch.delenv("UNETBOOK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pack(root, members, prefix="stage1_train/"):
    (root / "dsb2018").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "dsb2018/stage1_train.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(prefix + name, content)
    return root


def unpack(root, members):
    for name, content in members.items():
        path = root / "dsb2018/stage1_train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@pytest.mark.parametrize("write", [pack, unpack, lambda root, members: pack(root, members, prefix="")])
def test_load_from_archive_and_folder(tmp_path, members, images, write):
    write(tmp_path, members | {"__MACOSX/aa/images/._aa.png": b"not a picture", "notes.txt": b""})
    samples = dsb2018.load(tmp_path)
    assert samples.ids == ["aa", "bb", "cc"] and len(samples) == 3
    for (id_, image, labels), expected in zip(samples, images.values(), strict=True):
        assert image.dtype == np.float32 and np.array_equal(np.round(image * 255), images[id_])
        assert labels.dtype == np.int32 and labels.shape == expected.shape[:2]
        assert np.array_equal(labels == 1, disc(labels.shape, 5, 5) > 0)
        assert np.array_equal(labels == 2, disc(labels.shape, 10, 17) > 0)


def test_ids_select_and_order_and_a_slice_stays_unread(tmp_path, members):
    members["cc/images/cc.png"] = b"\x89PNG damaged"
    pack(tmp_path, members)
    assert [sample.id for sample in dsb2018.load(tmp_path, ids=["bb", "aa"])] == ["bb", "aa"]
    part = dsb2018.load(tmp_path)[1:]
    assert part.ids == ["bb", "cc"] and part[0].id == "bb"
    with pytest.raises(ValueError, match=r"cc\.png in .*stage1_train\.zip is cut short"):
        part[1]
    with pytest.raises(ValueError, match=r"stage1_train\.zip lacks dd, ee; it holds 3 pictures"):
        dsb2018.load(tmp_path, ids=["ee", "aa", "dd"])


def test_missing_data_says_how_to_get_it(tmp_path, members):
    with pytest.raises(FileNotFoundError) as caught:
        dsb2018.load()
    parts = ("bbbc.broadinstitute.org", "MB", "CC0", "UNETBOOK_DATA", "no stage1_train.zip or stage1_train", "cache")
    for part in parts:
        assert part in str(caught.value)
    pack(tmp_path / "cache/unetbook", members)
    assert dsb2018.files() == [tmp_path / "cache/unetbook/dsb2018/stage1_train.zip"]


def test_an_empty_folder(tmp_path):
    (tmp_path / "dsb2018/stage1_train").mkdir(parents=True)
    with pytest.raises(ValueError, match="stage1_train holds no pictures"):
        dsb2018.load(tmp_path)


@pytest.mark.parametrize("name", ["../aa.png", "/aa.png", "aa/../../b.png", "aa\\b.png", "C:/aa.png"])
def test_a_path_that_leaves_the_folder(tmp_path, members, name):
    pack(tmp_path, members | {name: b""}, prefix="")
    with pytest.raises(ValueError) as caught:
        dsb2018.load(tmp_path)
    assert repr(name) in str(caught.value) and "stage1_train.zip" in str(caught.value)


def test_a_truncated_archive(tmp_path, members):
    path = pack(tmp_path, members) / "dsb2018/stage1_train.zip"
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 211), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"stage1_train\.zip is damaged, cut short.*get it again"):
            dsb2018.load(tmp_path)


def test_a_member_that_changed(tmp_path, members):
    path = pack(tmp_path, members) / "dsb2018/stage1_train.zip"
    content = bytearray(path.read_bytes())
    content[content.index(members["bb/masks/1.png"]) + 50] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"image bb: .*masks/1\.png in .*stage1_train\.zip is damaged.*get it again"):
        list(dsb2018.load(tmp_path))
    assert [path.name for path in (tmp_path / "dsb2018").iterdir()] == ["stage1_train.zip"]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("write", [pack, unpack])
@pytest.mark.parametrize("name", ["bb/images/bb.png", "bb/masks/0.png"])
def test_a_truncated_picture_wherever_it_breaks_off(tmp_path, members, write, name, capfd):
    for length in range(0, len(members[name]), max(len(members[name]) // 12, 1)):
        write(tmp_path, members | {name: members[name][:length]})
        with pytest.raises(ValueError, match=rf"{name}.* in .*stage1_train.* is (cut short|damaged).*get it again"):
            dsb2018.load(tmp_path)[1]
    assert len(capfd.readouterr().err.splitlines()) <= 1  # OpenCV complains of an empty buffer at most


@pytest.mark.parametrize(
    "absent, message",
    [(["bb/images/bb.png"], "lacks an image for bb"), (["bb/masks/0.png", "bb/masks/1.png"], "lacks a mask for bb")],
)
def test_a_missing_member(tmp_path, members, absent, message):
    for name in absent:
        del members[name]
    pack(tmp_path, members)
    with pytest.raises(ValueError, match=rf"stage1_train\.zip {message}"):
        dsb2018.load(tmp_path)


def test_two_images_of_one_id(tmp_path, members):
    pack(tmp_path, members | {"aa/images/other.png": members["aa/images/aa.png"]})
    with pytest.raises(ValueError, match=r"aa/images/aa\.png and .*aa/images/other\.png, both for aa"):
        dsb2018.load(tmp_path)


BAD_PICTURES = {
    "transparent": (
        "aa/images/aa.png",
        np.full((20, 24, 4), 254),
        r"aa\.png in .* transparent pixels \(alpha from 254",
    ),
    "gray": ("aa/images/aa.png", np.zeros((20, 24)), r"aa\.png in .* has 1 channel\(s\) and 3 were expected"),
    "other size": ("aa/masks/1.png", np.zeros((24, 20)), r"masks/1\.png in .* is 20 x 24 pixels and its image 24 x 20"),
    "gray levels": ("aa/masks/1.png", np.full((20, 24), 99), r"image aa: masks\[1\].*99"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_pictures_that_are_refused(tmp_path, members, name):
    member, pixels, message = BAD_PICTURES[name]
    pack(tmp_path, members | {member: png(pixels.astype(np.uint8))})
    with pytest.raises(ValueError, match=message):
        dsb2018.load(tmp_path)[0]


def test_overlapping_masks_are_reported_with_the_image(tmp_path, members):
    members["bb/masks/1.png"] = png(disc((16, 32), 5, 8))
    pack(tmp_path, members)
    both = np.count_nonzero(disc((16, 32), 5, 8) & disc((16, 32), 5, 5))
    with pytest.warns(UserWarning, match=rf"image bb: {both} pixels lie in several masks"):
        labels = dsb2018.load(tmp_path)[1].labels
    assert both > 0 and np.count_nonzero(labels) == 2 * np.count_nonzero(disc((16, 32), 5, 5)) - both


def test_an_image_without_any_nucleus(tmp_path, members):
    del members["aa/masks/1.png"]
    pack(tmp_path, members | {"aa/masks/0.png": png(np.zeros((20, 24), np.uint8))})
    with pytest.warns(UserWarning, match="image aa: .*is empty"):
        assert not dsb2018.load(tmp_path)[0].labels.any()


def test_kinds_are_told_by_color_ground_and_size():
    dark = np.full((64, 64, 3), 0.1, np.float32)
    light = 1 - dark
    light[:8, :8] = 0.2
    usual = [np.full((*size, 3), 0.1, np.float32) for size in dsb2018.USUAL_SIZES]
    found = [dsb2018.kind(image) for image in [*usual, dark, light * [0.95, 0.8, 0.9], light]]
    assert tuple(found) == dsb2018.KINDS and len(set(found)) == 6
    assert found[:4] == [f"fluorescence, {of}" for of in ("256 x 256", "360 x 360", "520 x 696", "other sizes")]
    assert found[4:] == ["stained", "gray on light"]
    assert dsb2018.kind(usual[0][:, :200]) == dsb2018.kind(usual[2].swapaxes(0, 1)) == "fluorescence, other sizes"
    assert dsb2018.kind(dark * [1.0, 0.9, 1.0]) == "fluorescence, other sizes"  # a shade of color is none
    assert dsb2018.kind(dark * [1.0, 0.6, 1.0]) == "stained"


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the nuclei are not at hand: set UNETBOOK_DATA")
def test_real_data():
    """All images and nuclei are counted by their names; every 24th image is read."""
    try:
        samples = dsb2018.load()
    except FileNotFoundError:
        pytest.skip("the nuclei are not below UNETBOOK_DATA")
    assert len(samples) == 664
    assert len(_archives.Members(*dsb2018.files()).matches(dsb2018.MASK)) == 28986
    overlapping = "175dbb364bfefc9537931144861c9b6e08934df3992782c669c6fe4234319dfc"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = list(samples[::24])
        dsb2018.load(ids=[overlapping])[0]
    assert [overlapping in str(warning.message) for warning in caught] == [True]
    for sample in read:
        assert sample.image.shape == (*sample.labels.shape, 3) and 0 <= sample.image.min() < sample.image.max() <= 1
        numbers = np.unique(sample.labels)
        assert np.array_equal(numbers, np.arange(numbers[-1] + 1)) and numbers[-1] >= 1
    assert len(Counter(sample.labels.shape for sample in read)) >= 4
