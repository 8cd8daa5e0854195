import numpy as np
import pytest
import tifffile

from unetbook.datasets import isbi2012

SHAPE = (5, 24, 20)


@pytest.fixture(autouse=True)
def no_other_data(monkeypatch, tmp_path):
    monkeypatch.delenv("UNETBOOK_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def stacks():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, SHAPE, np.uint8), (rng.random(SHAPE) < 0.8).astype(np.uint8) * 255


@pytest.fixture
def root(tmp_path, stacks):
    write(tmp_path / "data", *stacks)
    return tmp_path / "data"


def write(root, volume, labels):
    (root / "isbi2012").mkdir(parents=True, exist_ok=True)
    for name, stack in zip(("train-volume.tif", "train-labels.tif"), (volume, labels), strict=True):
        tifffile.imwrite(root / "isbi2012" / name, stack, compression="zlib", photometric="minisblack")


def test_load(root, stacks):
    images, labels = isbi2012.load(root)
    assert images.shape == (*SHAPE, 1) and images.dtype == np.float32
    assert labels.shape == SHAPE and labels.dtype == np.int32
    assert np.array_equal(np.round(images[..., 0] * 255), stacks[0])
    assert np.array_equal(labels * 255, stacks[1])


def test_load_test(root, stacks):
    tifffile.imwrite(root / "isbi2012" / "test-volume.tif", stacks[0], photometric="minisblack")
    assert np.array_equal(isbi2012.load_test(root), isbi2012.load(root)[0])


def test_looks_in_the_variable_then_in_the_cache(root, stacks, monkeypatch, tmp_path):
    write(tmp_path / "cache" / "unetbook", 255 - stacks[0], stacks[1])
    assert isbi2012.files()[0].is_relative_to(tmp_path / "cache")
    monkeypatch.setenv("UNETBOOK_DATA", str(tmp_path / "nowhere"))
    assert isbi2012.files()[0].is_relative_to(tmp_path / "cache")
    monkeypatch.setenv("UNETBOOK_DATA", str(root))
    assert isbi2012.files()[0].is_relative_to(root)


def test_missing_data_says_how_to_get_it(root, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        isbi2012.load()
    for part in ("imagej.net", "MB", "cite", "UNETBOOK_DATA", str(tmp_path / "cache")):
        assert part in str(caught.value)
    (root / "isbi2012" / "train-labels.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"no train-labels\.tif"):
        isbi2012.load(root)
    with pytest.raises(FileNotFoundError, match=r"no test-volume\.tif"):
        isbi2012.load_test(root)


def test_a_named_folder_is_not_replaced_by_another(root, tmp_path, monkeypatch):
    monkeypatch.setenv("UNETBOOK_DATA", str(root))
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        isbi2012.load(tmp_path / "elsewhere")


def test_a_file_in_place_of_the_folder(root):
    with pytest.raises(NotADirectoryError, match=r"train-volume\.tif is a file"):
        isbi2012.load(root / "isbi2012" / "train-volume.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_truncated_wherever_it_breaks_off(root, stacks, compression):
    path = root / "isbi2012" / "train-volume.tif"
    tifffile.imwrite(path, stacks[0], compression=compression, photometric="minisblack", metadata=None)
    isbi2012.load(root)  # whole, it is fine
    whole = path.read_bytes()
    pixels_end = whole.rindex(stacks[0][-1].tobytes()) + stacks[0][-1].size if compression is None else len(whole)
    lengths = [length for length in range(0, len(whole), 97) if length < pixels_end] + [pixels_end - 1]
    for length in lengths:  # tags that follow the last pixel may be lost
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"train-volume\.tif is damaged or cut short.*get it again"):
            isbi2012.load(root)


@pytest.mark.parametrize("shape", [(4, 24, 20), (5, 20, 24)])
def test_volume_and_labels_of_different_size(root, stacks, shape):
    write(root, stacks[0], np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=rf"train-labels\.tif has shape \({shape[0]}.*train-volume\.tif \(5, 24, 20\)"):
        isbi2012.load(root)


def test_other_label_values(root, stacks):
    write(root, stacks[0], stacks[1] // 255)
    with pytest.raises(ValueError, match=r"train-labels\.tif holds the values \[1\]"):
        isbi2012.load(root)


def test_wrong_dtype(root, stacks):
    write(root, stacks[0].astype(np.uint16), stacks[1])
    with pytest.raises(ValueError, match=r"train-volume\.tif holds uint16"):
        isbi2012.load(root)


def test_a_single_picture_is_no_stack(root, stacks):
    write(root, stacks[0][0], stacks[1])
    with pytest.raises(ValueError, match=r"train-volume\.tif has shape \(24, 20\)"):
        isbi2012.load(root)
