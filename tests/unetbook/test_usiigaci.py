import os
import zipfile
from collections import Counter

import cv2
import numpy as np
import pytest
import tifffile

from unetbook.datasets import usiigaci

IDS = ["train/set2", "train/set10", "val/set46"]
SHAPE = (40, 44)


@pytest.fixture(autouse=True)
def no_other_data(request, monkeypatch, tmp_path):
    if "real" not in request.node.name:
        monkeypatch.delenv("UNETBOOK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def cells():
    """Ids 3 and 7 touch; 7 has a second piece of 81 pixels and a crumb of 4."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[2:14, 2:12] = 3
    ids[2:14, 12:24] = 7
    ids[30:39, 30:39] = 7
    ids[25:27, 5:7] = 7
    return ids


@pytest.fixture
def raw():
    image = np.random.default_rng(0).integers(0, 65536, SHAPE, np.uint16)
    image[0, 0] = 65535
    return image


@pytest.fixture
def root(tmp_path, raw):
    for id_ in IDS:
        folder = tmp_path / "usiigaci" / id_
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "raw.tif", raw, compression="zlib", predictor=True)
        cv2.imwrite(str(folder / "instances_ids.png"), cells())
        cv2.imwrite(str(folder / "phase.png"), cells())  # the publisher's folders hold more files
    return tmp_path


def pack(root):
    """The folders as one archive, and no folders."""
    with zipfile.ZipFile(root / "usiigaci/usiigaci.zip", "w") as archive:
        for path in sorted((root / "usiigaci").rglob("*.*")):
            if path.name != "usiigaci.zip":
                archive.write(path, path.relative_to(root / "usiigaci"))
                path.unlink()


@pytest.mark.parametrize("packed", [False, True])
def test_load_from_folders_and_archive(root, raw, packed):
    if packed:
        pack(root)
    samples = usiigaci.load(root)
    assert samples.ids == IDS  # by number: set10 after set2
    for _, image, labels in samples:
        assert image.shape == (*SHAPE, 1) and image.dtype == np.float32 and image.max() == 1
        assert np.array_equal(np.round(image[..., 0] * 65535), raw)
        assert labels.dtype == np.int32
        assert [np.count_nonzero(labels == n) for n in range(1, 4)] == [120, 144, 81] and labels.max() == 3
        assert not labels[25:27, 5:7].any()
        assert labels[2, 11] != labels[2, 12] != labels[30, 30]
    (one,) = usiigaci.load(root, ids=["val/set46"])
    assert one.id == "val/set46"


def test_missing_data_says_how_to_get_it(root, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        usiigaci.load()
    for part in ("github.com/oist/Usiigaci", "MB", "MIT", "UNETBOOK_DATA", str(tmp_path / "cache")):
        assert part in str(caught.value)
    (root / "usiigaci/val").rename(root / "val")
    with pytest.raises(FileNotFoundError, match=r"\(no usiigaci\.zip or val\)"):
        usiigaci.load(root)


def test_a_missing_file(root):
    (root / "usiigaci/val/set46/raw.tif").unlink()
    with pytest.raises(ValueError, match="usiigaci lacks an image for val/set46"):
        usiigaci.load(root)


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "train/../../x.png", "train\\x.png", "C:/x.png"])
def test_a_path_that_leaves_the_folder(root, name):
    pack(root)
    with zipfile.ZipFile(root / "usiigaci/usiigaci.zip", "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(ValueError) as caught:
        usiigaci.load(root)
    assert repr(name) in str(caught.value) and "usiigaci.zip" in str(caught.value)


def test_a_truncated_image(root):
    path = root / "usiigaci/train/set2/raw.tif"
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"train/set2/raw\.tif in .*usiigaci is (damaged|cut short).*get it again"):
            usiigaci.load(root)[0]


@pytest.mark.parametrize(
    "ids, message",
    [
        (np.zeros((40, 40), np.uint8), r"set2/instances_ids\.png in .* is 40 x 40 pixels and its image 44 x 40"),
        (np.arange(3 * 40 * 44, dtype=np.uint8).reshape(40, 44, 3), r"set2/instances_ids\.png in .*\(40, 44, 3\)"),
    ],
)
def test_ids_that_are_refused(root, ids, message):
    cv2.imwrite(str(root / "usiigaci/train/set2/instances_ids.png"), ids)
    with pytest.raises(ValueError, match=message):
        usiigaci.load(root)[0]


def test_an_image_without_any_cell(root):
    cv2.imwrite(str(root / "usiigaci/train/set2/instances_ids.png"), np.zeros(SHAPE, np.uint8))
    assert not usiigaci.load(root)[0].labels.any()


def test_kinds_are_told_by_the_median_cell():
    small = np.zeros((200, 200), np.int32)
    for number in range(3):
        small[60 * number : 60 * number + 40, :40] = 2 * number + 1  # 1,600 pixels each; numbers are left out
    large = small.copy()
    for number, top in ((1, 0), (3, 60)):
        large[top : top + 55, :55] = number  # 3,025 pixels: two of three
    assert usiigaci.kind(small) == "small cells" and usiigaci.kind(large) == "large cells"
    small[:, 50:] = 9  # one large cell of four
    assert usiigaci.kind(small) == "small cells" and usiigaci.kind(np.zeros((9, 9), np.int32)) == "small cells"
    assert 1618 < usiigaci.LARGE < 2658  # between the two kinds of the set


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the cells are not at hand: set UNETBOOK_DATA")
def test_real_data():
    try:
        samples = usiigaci.load()
    except FileNotFoundError:
        pytest.skip("the cells are not below UNETBOOK_DATA")
    assert samples.ids == [f"train/set{n}" for n in range(1, 46)] + [f"val/set{n}" for n in range(46, 51)]
    read = list(samples)
    assert sum(int(sample.labels.max()) for sample in read) == 3240
    assert Counter(usiigaci.kind(sample.labels) for sample in read) == {"large cells": 23, "small cells": 27}
    for sample in read:
        assert sample.image.shape == (1022, 1024, 1) and sample.image.max() == 1
        sizes = np.bincount(sample.labels.ravel())
        assert sizes.min() >= usiigaci.SMALLEST and len(sizes) > 30
