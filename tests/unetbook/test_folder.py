import cv2
import numpy as np
import pytest
import tifffile
from sample_pictures import SHAPE, disc, gray

from unetbook.datasets import folder


@pytest.fixture
def two(tmp_path):
    """Two empty folders."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return tmp_path / "images", tmp_path / "masks"


def write(path, pixels):
    """Write pixels in the order red, green, blue, alpha."""
    pixels = np.asarray(pixels)
    if path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    else:
        swapped = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
        cv2.imwrite(str(path), swapped)


def pair(two, image, mask, image_name="a.png", mask_name="a.png"):
    write(two[0] / image_name, image)
    write(two[1] / mask_name, mask)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("color", [False, True])
def test_formats_without_loss(two, suffix, color):
    image = np.stack([gray(), gray() // 2, gray() // 3], axis=-1) if color else gray()
    pair(two, image, disc(), f"a{suffix}", f"a{suffix}")
    samples = folder.load(*two)
    assert samples.ids == ["a"] and len(samples) == 1
    id_, read, labels = samples[0]
    assert id_ == "a" and read.dtype == np.float32 and labels.dtype == np.int32
    assert np.array_equal(np.round(read * 255), image.reshape(*SHAPE, -1))
    assert np.array_equal(labels, disc() // 255)


def test_a_jpeg_image(two):
    image = np.full((*SHAPE, 3), (200, 100, 20), np.uint8)
    pair(two, image, disc(), "a.jpg", "a.png")
    assert np.allclose(folder.load(*two)[0].image, image / 255, atol=4 / 255)


def test_16_bits_beside_8(two):
    for name, dtype in (("a.png", np.uint8), ("b.png", np.uint16), ("c.tif", np.uint16)):
        pair(two, gray(dtype), disc(), name, name)
    read = [sample.image for sample in folder.load(*two)]
    for image in read:
        assert np.allclose(image[..., 0], gray() / 255, atol=1e-6)


def test_a_damaged_file_and_a_stack_are_named(two):
    pair(two, gray(), disc())
    (two[0] / "a.png").write_bytes((two[0] / "a.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"images/a\.png is cut short"):
        folder.load(*two)
    (two[0] / "a.png").unlink()
    tifffile.imwrite(two[0] / "a.tif", np.stack([gray()] * 5), photometric="minisblack")
    with pytest.raises(ValueError, match=r"images/a\.tif holds several pictures, of shape \(5, 24, 32\)"):
        folder.load(*two)


def test_pictures_of_five_channels(two):
    channels = np.stack([gray()] * 5)
    tifffile.imwrite(two[0] / "a.tif", channels, photometric="minisblack", metadata={"axes": "CYX"})
    write(two[1] / "a.png", disc())
    assert folder.load(*two)[0].image.shape == (*SHAPE, 5)


def test_a_turn_is_made_in_image_and_mask_and_told(two):
    for place, pixels in zip(two, (gray(), disc()), strict=True):
        for name, options in (("a", {}), ("b", {"compression": "lzw"})):
            tag = [(274, "H", 1, 3, True)]
            tifffile.imwrite(place / f"{name}.tif", pixels, photometric="minisblack", extratags=tag, **options)
    with pytest.warns(UserWarning, match=r"(images|masks)/[ab]\.tif was turned or mirrored as its TIFF orientation"):
        samples = list(folder.load(*two))
    for _, image, labels in samples:
        assert np.array_equal(np.round(image[..., 0] * 255), gray()[::-1, ::-1])
        assert np.array_equal(labels, disc()[::-1, ::-1] > 0)


@pytest.mark.parametrize("options", [{}, {"classes": 2}, {"instances": True}, {"classes": [(0, 0, 0), (255, 0, 0)]}])
def test_masks_of_black_and_one_color(two, options):
    lit = disc() > 0
    pair(two, gray(), np.stack([disc(), *[0 * disc()] * 2], axis=-1))
    if not options:
        with pytest.warns(UserWarning, match=r"masks/a\.png has two colors: black is read as background"):
            assert np.array_equal(folder.load(*two)[0].labels, lit)
    elif options.get("classes") == 2 or "instances" in options:
        with pytest.raises(ValueError, match=r"masks/a\.png: .*has colors"):
            folder.load(*two, **options)[0]
    else:
        assert np.array_equal(folder.load(*two, **options)[0].labels, lit)


def test_floats_of_whole_numbers_are_labels(two):
    numbers = disc().astype(np.float32) / 255 * 7
    pair(two, gray(), numbers, "a.png", "a.tif")
    assert np.array_equal(folder.load(*two, instances=True)[0].labels, numbers)


def test_the_ending_of_ome_is_no_part_of_the_stem(two):
    pair(two, gray(), disc(), "a.ome.tif", "a_mask.png")
    pair(two, gray(), disc(), "b.png", "b_mask.ome.tif")
    assert folder.load(*two).ids == ["a", "b"]


def test_accents_of_one_character_or_two(two):
    pair(two, gray(), disc(), "M\u00fcnchen.png", "Mu\u0308nchen_mask.png")
    assert folder.load(*two).ids == ["M\u00fcnchen"]


def test_pictures_below_a_folder(tmp_path):
    for name in (
        "b.png",
        "a.tif",
        "z/c.png",
        "y/x/d.jpg",
        ".hidden/e.png",
        "__MACOSX/f.png",
        "out/g.png",
        "y/notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    found = folder.pictures_below(tmp_path, but=[tmp_path / "z/../out"])
    assert [file.relative_to(tmp_path).as_posix() for file in found] == ["a.tif", "b.png", "y/x/d.jpg", "z/c.png"]
    with pytest.raises(ValueError, match="holds no pictures"):
        folder.pictures_below(tmp_path / "empty")


@pytest.mark.parametrize(
    "name",
    ["a", "a_mask", "a_masks", "a-mask", "a_label", "a-labels", "a_segmentation", "a_gt", "a_Mask", "a-GT", "a_Labels"],
)
def test_pairs_by_stem(two, name):
    pair(two, gray(), disc(), "a.jpg", f"{name}.tif")
    assert folder.load(*two).ids == ["a"]


def test_files_without_a_partner_are_named(two):
    for name in ("b.png", "a.png"):
        pair(two, gray(), disc(), name, name)
    write(two[0] / "c.png", gray())
    write(two[1] / "a_2.png", disc())
    (two[0] / "notes.txt").write_text("not a picture")
    (two[1] / "._a.png").write_bytes(b"what macOS leaves")
    with pytest.warns(UserWarning) as caught:
        assert folder.load(*two).ids == ["a", "b"]
    assert len(caught) == 1 and caught[0].filename == __file__
    message = str(caught[0].message)
    assert "left out" in message and "images/c.png" in message and "masks/a_2.png" in message
    assert "notes" not in message and "._a" not in message


def test_nothing_pairs(two):
    pair(two, gray(), disc(), "a.png", "b.png")
    with pytest.raises(ValueError, match=r"b\.png and a\.png are the first\): give a mask the stem of its image"):
        folder.load(*two)


@pytest.mark.parametrize("other", ["a_mask.png", "a.tif"])
def test_two_masks_of_one_image(two, other):
    pair(two, gray(), disc())
    write(two[1] / other, disc())
    with pytest.raises(ValueError, match=r"images/a\.png pairs with two masks, .*masks/a.* and .*masks/a.*: keep one"):
        folder.load(*two)


@pytest.mark.parametrize("other, mask", [("a.jpg", "a.png"), ("a_gt.png", "a_gt.png")])
def test_two_images_of_one_mask(two, other, mask):
    pair(two, gray(), disc(), "a.png", mask)
    write(two[0] / other, gray())
    with pytest.raises(ValueError, match=rf"masks/{mask} pairs with two images, .*images/a.* and .*images/a"):
        folder.load(*two)


def test_folders_that_do_not_do(two, tmp_path):
    write(two[0] / "a.png", gray())
    with pytest.raises(ValueError, match=r"masks holds no pictures \(\.png, .*\.tiff\)"):
        folder.load(*two)
    (two[1] / "a.npy").touch()
    with pytest.raises(ValueError, match=r"masks holds no pictures .*, only a\.npy"):
        folder.load(*two)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*elsewhere"):
        folder.load(two[0], tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError, match=r"a\.png is a file"):
        folder.load(two[0] / "a.png", two[1])
    with pytest.raises(ValueError, match="given for images and masks: put them into two folders"):
        folder.load(two[0], two[0] / "../images")


def test_gray_and_color_are_not_mixed(two):
    pair(two, gray(), disc())
    pair(two, np.stack([gray()] * 3, axis=-1), disc(), "b.png", "b.png")
    samples = folder.load(*two)
    assert samples[0].image.shape == (*SHAPE, 1)
    with pytest.raises(ValueError, match=r"b\.png has 3 channel\(s\) and .*a\.png has 1: save all images in gray"):
        samples[1]


def test_a_mask_of_another_size(two):
    pair(two, gray(), disc().T)
    with pytest.raises(ValueError, match=r"masks/a\.png is 24 x 32 pixels and its image 32 x 24"):
        folder.load(*two)[0]


def test_masks_with_the_grays_of_jpeg(two):
    three = disc()
    three[:, :3] = 3  # near black
    pair(two, gray(), three)
    with pytest.raises(ValueError, match=r"masks/a\.png: .*0, 3, 255.*JPEG"):
        folder.load(*two)[0]
    (two[1] / "a.png").unlink()
    cv2.imwrite(str(two[1] / "a.jpg"), disc(), [cv2.IMWRITE_JPEG_QUALITY, 60])
    with pytest.warns(UserWarning, match=r"masks/a\.jpg is a JPEG, .*cut at half"):
        assert np.array_equal(folder.load(*two)[0].labels, disc() > 0)
    for options in ({"instances": True}, {"classes": 256}, {"classes": [0, 255]}):  # every value would pass
        with pytest.raises(ValueError, match=r"masks/a\.jpg is a JPEG, which changes values"):
            folder.load(*two, **options)[0]


def test_an_image_without_any_object(two):
    pair(two, gray(), np.zeros(SHAPE, np.uint8))
    assert not folder.load(*two)[0].labels.any()
    assert not folder.load(*two, instances=True)[0].labels.any()


def test_classes(two):
    indices = (np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 3).astype(np.uint8)
    pair(two, gray(), indices)
    assert np.array_equal(folder.load(*two, classes=3)[0].labels, indices)
    with pytest.raises(ValueError, match=r"masks/a\.png: .*0, 1, 2"):
        folder.load(*two)[0]
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
    pair(two, gray(), colors[indices])
    assert np.array_equal(folder.load(*two, classes=colors.tolist())[0].labels, indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_of_objects_stay_as_they_are(two, dtype):
    numbers = np.zeros(SHAPE, dtype)
    numbers[2:5, 3:9], numbers[8:12, 3:9], numbers[8:12, 9:20] = 1, 40, np.iinfo(dtype).max
    pair(two, gray(), numbers)
    labels = folder.load(*two, instances=True)[0].labels
    assert labels.dtype == np.int32 and np.array_equal(labels, numbers)
    with pytest.raises(ValueError, match="not both"):
        folder.load(*two, classes=2, instances=True)
    with pytest.raises(ValueError, match="instances is True or False, not 'no'"):
        folder.load(*two, instances="no")


def test_numbers_of_objects_in_color(two):
    pair(two, gray(), np.stack([disc(), gray(), disc()], axis=-1))
    with pytest.raises(ValueError, match=r"masks/a\.png: .*this mask has colors"):
        folder.load(*two, instances=True)[0]
