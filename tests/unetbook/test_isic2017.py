import os
import zipfile

import cv2
import numpy as np
import pytest

from unetbook.datasets import isic2017

IMAGES, MASKS = "ISIC-2017_Validation_Data", "ISIC-2017_Validation_Part1_GroundTruth"
SHAPES = {"ISIC_0000002": (24, 32), "ISIC_0000010": (32, 24)}


@pytest.fixture(autouse=True)
def no_other_data(request, monkeypatch, tmp_path):
    if "real" not in request.node.name:
        monkeypatch.delenv("UNETBOOK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def encoded(pixels, suffix):
    return cv2.imencode(suffix, pixels.astype(np.uint8))[1].tobytes()


def lesion(shape):
    mask = np.zeros(shape, np.uint8)
    mask[5:15, 4:20] = 255
    return mask


@pytest.fixture
def members():
    """Red images with a mask each, and what else the published archives hold."""
    found = {f"{IMAGES}/{IMAGES}_metadata.csv": b"image_id,age_approximate,sex"}
    for id_, shape in SHAPES.items():
        found[f"{IMAGES}/{id_}.jpg"] = encoded(np.full((*shape, 3), (0, 0, 200)), ".jpg")
        found[f"{IMAGES}/{id_}_superpixels.png"] = encoded(np.zeros((3, 3)), ".png")
        found[f"{MASKS}/{id_}_segmentation.png"] = encoded(lesion(shape), ".png")
    return found


def write(root, members, unpacked=()):
    """One archive a folder, or the folder itself where it is named in ``unpacked``."""
    for folder in (IMAGES, MASKS):
        mine = {name: content for name, content in members.items() if name.startswith(f"{folder}/")}
        (root / "isic2017" / folder if folder in unpacked else root / "isic2017").mkdir(parents=True, exist_ok=True)
        if folder in unpacked:
            for name, content in mine.items():
                (root / "isic2017" / name).write_bytes(content)
        else:
            with zipfile.ZipFile(root / "isic2017" / f"{folder}.zip", "w") as archive:
                for name, content in mine.items():
                    archive.writestr(name, content)
    return root


@pytest.mark.parametrize("unpacked", [(), (IMAGES,), (IMAGES, MASKS)])
def test_load_from_archives_and_folders(tmp_path, members, unpacked):
    samples = isic2017.load(write(tmp_path, members, unpacked))
    assert samples.ids == list(SHAPES)
    for id_, image, labels in samples:
        assert image.shape == (*SHAPES[id_], 3) and image.dtype == np.float32
        assert np.allclose(image, np.array([200, 0, 0]) / 255, atol=3 / 255)
        assert labels.dtype == np.int32 and np.array_equal(labels, lesion(SHAPES[id_]) // 255)
    (one,) = isic2017.load(tmp_path, ids=["ISIC_0000010"])
    assert one.id == "ISIC_0000010"
    with pytest.raises(ValueError, match="lacks ISIC_0000003"):
        isic2017.load(tmp_path, ids=["ISIC_0000003"])


def test_missing_data_says_how_to_get_it(tmp_path, members):
    with pytest.raises(FileNotFoundError) as caught:
        isic2017.load()
    for part in ("challenge.isic-archive.com", "GB", "CC0", "UNETBOOK_DATA", str(tmp_path / "cache")):
        assert part in str(caught.value)
    (write(tmp_path, members) / "isic2017" / f"{MASKS}.zip").unlink()
    with pytest.raises(FileNotFoundError, match=rf"\(no {MASKS}\.zip or {MASKS}\)"):
        isic2017.load(tmp_path)


@pytest.mark.parametrize(
    "absent, what", [(f"{IMAGES}/{{}}.jpg", "an image"), (f"{MASKS}/{{}}_segmentation.png", "a mask")]
)
def test_a_missing_member(tmp_path, members, absent, what):
    del members[absent.format("ISIC_0000010")]
    write(tmp_path, members)
    with pytest.raises(ValueError, match=rf"{IMAGES}\.zip with {MASKS}\.zip lacks {what} for ISIC_0000010"):
        isic2017.load(tmp_path)


@pytest.mark.parametrize("folder", [IMAGES, MASKS])
@pytest.mark.parametrize("name", ["{}/../../aa.png", "{}/aa\\b.png"])
def test_a_path_that_leaves_the_folder(tmp_path, members, folder, name):
    name = name.format(folder)
    write(tmp_path, members | {name: b""})
    with pytest.raises(ValueError) as caught:
        isic2017.load(tmp_path)
    assert repr(name) in str(caught.value) and f"{folder}.zip" in str(caught.value)


def test_two_masks_of_one_image(tmp_path, members):
    mask = members[f"{MASKS}/ISIC_0000010_segmentation.png"]
    write(tmp_path, members | {f"{MASKS}/again/ISIC_0000010_segmentation.png": mask})
    with pytest.raises(ValueError, match=r"ISIC_0000010_segmentation\.png and .*again.*both for ISIC_0000010"):
        isic2017.load(tmp_path)


def test_a_jpeg_that_breaks_off(tmp_path, members, capfd):
    name = f"{IMAGES}/ISIC_0000002.jpg"
    for length in range(1, len(members[name]), 29):
        write(tmp_path, members | {name: members[name][:length]})
        with pytest.raises(ValueError, match=r"ISIC_0000002\.jpg in .* is (cut short|damaged)"):
            isic2017.load(tmp_path)[0]
    write(tmp_path, members | {name: members[name][:-2]})  # all pixels are there, the end marker is not
    with pytest.raises(ValueError, match="cut short"):
        isic2017.load(tmp_path)[0]
    capfd.readouterr()


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.zeros((32, 24)), r"0000002_segmentation\.png in .* is 24 x 32 pixels and its image 32 x 24"),
        (lesion((24, 32)) // 2, r"0000002_segmentation\.png in .*zip: .*0, 127"),
    ],
)
def test_masks_that_are_refused(tmp_path, members, mask, message):
    write(tmp_path, members | {f"{MASKS}/ISIC_0000002_segmentation.png": encoded(mask, ".png")})
    with pytest.raises(ValueError, match=message):
        isic2017.load(tmp_path)[0]


def test_an_image_without_any_lesion(tmp_path, members):
    write(tmp_path, members | {f"{MASKS}/ISIC_0000002_segmentation.png": encoded(np.zeros((24, 32)), ".png")})
    assert not isic2017.load(tmp_path)[0].labels.any()


def test_kinds_are_told_by_the_ids():
    found = [isic2017.kind(f"ISIC_{number:07}") for number in (1769, 8025, 9995, 12099, 14428, 14568)]
    assert found == [isic2017.KINDS[k][1] for k in (0, 0, 1, 2, 2, 3)]
    assert [name for _, name in isic2017.KINDS] == ["colored stickers", "fills the picture", "ruler", "two lamps"]


@pytest.mark.skipif("UNETBOOK_DATA" not in os.environ, reason="the lesions are not at hand: set UNETBOOK_DATA")
def test_real_data():
    """98 pairs lie at hand in the size of the screen; the archives of the publisher hold 150."""
    try:
        samples = isic2017.load()
    except FileNotFoundError:
        pytest.skip("the lesions are not below UNETBOOK_DATA")
    assert len(samples) in (98, 150)
    read = list(samples[::10])
    for sample in read:
        assert sample.image.shape == (*sample.labels.shape, 3) and set(np.unique(sample.labels)) <= {0, 1}
        skin = sample.image[sample.labels == 0].mean(axis=0)
        assert skin[0] > skin[2]  # red is not blue
    assert len({sample.labels.shape for sample in read}) > 1
