import io
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetbook.datasets import folder

SHAPE = (24, 32)


@pytest.fixture
def two(tmp_path):
    """Two empty folders."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return tmp_path / "images", tmp_path / "masks"


def gray(dtype=np.uint8):
    rows, columns = np.indices(SHAPE)
    return (rows * 8 + columns).astype(dtype) * (np.iinfo(dtype).max // 255)


def disc():
    y, x = np.indices(SHAPE)
    return ((y - 11) ** 2 + (x - 14) ** 2 <= 36).astype(np.uint8) * 255


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


def lzw(pixels):
    """A TIFF as OpenCV and many other programs write it."""
    return cv2.imencode(".tif", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


COLOR = np.stack([gray(np.uint16), gray(np.uint16) // 2, gray(np.uint16) // 3], axis=-1)
TIFFS = {
    "LZW gray": (lzw(gray(np.uint16)), gray(np.uint16)),
    "LZW color": (lzw(COLOR), COLOR),
    "deflate with predictor": (tiff(COLOR, photometric="rgb", compression="zlib", predictor=True), COLOR),
    "planes": (tiff(np.moveaxis(COLOR, 2, 0), photometric="rgb"), COLOR),
    "one channel": (tiff(gray(np.uint16)[..., None]), gray(np.uint16)),
    "one slice": (tiff(gray(np.uint16)[None], imagej=True), gray(np.uint16)),
    "big-endian": (tiff(gray(np.uint16), byteorder=">"), gray(np.uint16)),
    "BigTIFF": (tiff(gray(np.uint16), bigtiff=True), gray(np.uint16)),
}


@pytest.mark.parametrize("name", TIFFS)
def test_kinds_of_tiff(two, name):
    content, pixels = TIFFS[name]
    (two[0] / "a.tif").write_bytes(content)
    write(two[1] / "a.png", disc())
    assert np.allclose(folder.load(*two)[0].image, pixels.reshape(*SHAPE, -1) / 65535, atol=1e-7)


BAD_TIFFS = {
    "stack": (
        tiff(np.stack([gray()] * 5), photometric="minisblack"),
        r"holds several pictures, of shape \(5, 24, 32\)",
    ),
    "float": (tiff(gray().astype(np.float32)), "holds float32"),
    "signed": (tiff(gray().astype(np.int16)), "holds int16"),
    "counted from white": (tiff(gray(), photometric="miniswhite"), "stores its pixels as MINISWHITE"),
    "palette": (tiff(gray(), colormap=np.zeros((3, 256), np.uint16)), "stores its pixels as PALETTE"),
    "five channels": (tiff(np.zeros((*SHAPE, 5), np.uint8), photometric="rgb"), "has 5 channels"),
}


@pytest.mark.parametrize("name", BAD_TIFFS)
def test_tiffs_that_are_refused(two, name):
    content, message = BAD_TIFFS[name]
    (two[0] / "a.tif").write_bytes(content)
    write(two[1] / "a.png", disc())
    with pytest.raises(ValueError, match=rf"images/a\.tif {message}"):
        folder.load(*two)


@pytest.mark.parametrize("content", [tiff(gray()), lzw(gray()), tiff(gray(), compression="zlib")])
def test_a_truncated_tiff(two, content, capfd):
    write(two[1] / "a.png", disc())
    for length in range(1, len(content) * 3 // 4, 53):
        (two[0] / "a.tif").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"images/a\.tif is (damaged|cut short)"):
            folder.load(*two)
    capfd.readouterr()


def test_a_truncated_tiff_whose_pixels_come_last(two, capfd):
    """As other programs than OpenCV write LZW: the strip is copied to the end, and its offset changed."""
    content = lzw(gray())
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        (offset,), (size,), at = page.dataoffsets, page.databytecounts, page.tags["StripOffsets"].valueoffset
    moved = content[:at] + len(content).to_bytes(4, "little") + content[at + 4 :] + content[offset : offset + size]
    (two[0] / "a.tif").write_bytes(moved)
    write(two[1] / "a.png", disc())
    assert np.array_equal(np.round(folder.load(*two)[0].image[..., 0] * 255), gray())
    for length in (len(moved) - 1, len(content) + 1):
        (two[0] / "a.tif").write_bytes(moved[:length])
        with pytest.raises(ValueError, match=r"images/a\.tif is damaged or cut short"):
            folder.load(*two)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_truncated_file(two, suffix, capfd):
    pair(two, gray(), disc(), f"a{suffix}", "a.png")
    whole = (two[0] / f"a{suffix}").read_bytes()
    for length in [*range(0, len(whole), 53), len(whole) - 1]:
        (two[0] / f"a{suffix}").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=rf"images/a{suffix} is (damaged|cut short)"):
            folder.load(*two)
    capfd.readouterr()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_alpha_channel(two, suffix, dtype):
    color = np.stack([gray(dtype), gray(dtype) // 2, gray(dtype) // 4], axis=-1)
    alpha = np.full((*SHAPE, 1), np.iinfo(dtype).max, dtype)
    opaque_mask = np.concatenate([np.repeat(disc()[..., None], 3, axis=2), np.full((*SHAPE, 1), 255, np.uint8)], axis=2)
    pair(two, np.concatenate([color, alpha], axis=2), opaque_mask, f"a{suffix}", "a.png")
    _, image, labels = folder.load(*two)[0]
    assert np.allclose(image, color / np.iinfo(dtype).max, atol=1e-6) and np.array_equal(labels, disc() // 255)
    alpha[3, 4] = 7
    pair(two, np.concatenate([color, alpha], axis=2), opaque_mask, f"a{suffix}", "a.png")
    with pytest.raises(ValueError, match=rf"images/a{suffix} has transparent pixels \(alpha from 7 to"):
        folder.load(*two)


def chunk(name, content):
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def with_chunk(png, name, content):
    """A PNG with one chunk more behind the first, which ends at byte 33."""
    return png[:33] + chunk(name, content) + png[33:]


def few_bits(numbers, bits, palette=None):
    """A gray PNG of 1, 2, 4 or 8 bits a pixel, or one with a palette, whose pixels store these numbers."""
    height, width = numbers.shape
    rows = np.packbits(np.unpackbits(numbers[..., None], axis=2)[..., -bits:].reshape(height, -1), axis=1)
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([bits, 0 if palette is None else 3, 0, 0, 0])
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    png += chunk(b"IDAT", zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())) + chunk(b"IEND", b"")
    return png if palette is None else with_chunk(png, b"PLTE", np.array(palette, np.uint8).tobytes())


def bmp(numbers, palette):
    picture = Image.fromarray(numbers).convert("P")
    picture.putpalette(np.array(palette, np.uint8).tobytes())
    file = io.BytesIO()
    picture.save(file, "BMP")
    return file.getvalue()


THREE = (np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 3).astype(np.uint8)
SWAPPED = [(0, 0, 0), (2, 2, 2), (1, 1, 1)]
EQUAL = [(0, 0, 0), (1, 1, 1), (1, 1, 1)]


CHANGED = {
    "swapped": ("a.png", few_bits(THREE, 8, SWAPPED), r"has a palette, .*numpy\.array\(PIL\.Image\.open\(path\)\)"),
    "equal": ("a.png", few_bits(THREE, 2, EQUAL), "has a palette, .*list the colors"),
    "BMP": ("a.bmp", bmp(THREE, SWAPPED), "has a palette"),
    "4 bits": ("a.png", few_bits(THREE, 4), r"has 4 bit\(s\) a pixel, and 1 is read as 17"),
    "2 bits": ("a.png", few_bits(THREE, 2), r"has 2 bit\(s\) a pixel, .* as 85: divide .* by 85, save 8 bits"),
    "1 bit": ("a.png", few_bits(THREE % 2, 1), r"has 1 bit\(s\) a pixel, and 1 is read as 255"),
}


@pytest.mark.parametrize("options", [{"classes": 3}, {"instances": True}])
@pytest.mark.parametrize("kind", CHANGED)
def test_numbers_that_reading_would_change(two, options, kind):
    name, content, message = CHANGED[kind]
    write(two[0] / "a.png", gray())
    (two[1] / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"masks/{name} {message}"):
        folder.load(*two, **options)[0]


@pytest.mark.parametrize("options", [{"classes": 3}, {"instances": True}])
@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
def test_a_palette_whose_colors_are_its_numbers(two, options, name):
    ramp = [(level, level, level) for level in range(256)]
    write(two[0] / "a.png", gray())
    (two[1] / name).write_bytes(few_bits(THREE, 8, ramp) if name == "a.png" else bmp(THREE, ramp))
    assert np.array_equal(folder.load(*two, **options)[0].labels, THREE)


def test_a_palette_gives_its_colors(two):
    colors = [(0, 0, 0), (255, 0, 0), (0, 0, 255)]
    for folder_ in two:
        (folder_ / "a.png").write_bytes(few_bits(THREE, 8, colors))
    _, image, labels = folder.load(*two, classes=colors)[0]
    assert np.array_equal(image, np.array(colors)[THREE] / 255) and np.array_equal(labels, THREE)
    for content in (few_bits(THREE % 2, 1), few_bits(THREE % 2, 8, [(0, 0, 0), (255, 255, 255)])):
        (two[1] / "a.png").write_bytes(content)
        assert np.array_equal(folder.load(*two)[0].labels, THREE % 2)


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("side", ["images", "masks"])
def test_a_gray_level_that_is_transparent(two, bits, side):
    pair(two, gray(), disc())
    content = few_bits(THREE, bits) if bits < 16 else cv2.imencode(".png", THREE.astype(np.uint16))[1].tobytes()
    file = two[0].parent / side / "a.png"
    classes = [0, 1, 2, 85, 170] if side == "masks" else None
    file.write_bytes(with_chunk(content, b"tRNS", bytes([0, 3])))
    assert folder.load(*two, classes)[0].image.shape == (*SHAPE, 1)  # no pixel has the level 3
    file.write_bytes(with_chunk(content, b"tRNS", bytes([0, 1])))
    with pytest.raises(ValueError, match=rf"{side}/a\.png has transparent pixels \(alpha from 0 to "):
        folder.load(*two, classes)[0]


def test_a_jpeg_in_cmyk(two):
    write(two[1] / "a.png", disc())
    Image.new("CMYK", SHAPE[::-1], (0, 20, 40, 10)).save(two[0] / "a.jpg")
    with pytest.raises(ValueError, match=r"images/a\.jpg is a JPEG in CMYK.*: convert it to RGB"):
        folder.load(*two)


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
    with pytest.raises(ValueError, match=r"masks/a\.jpg: .*values.*JPEG changes values, save masks as PNG"):
        folder.load(*two)[0]
    for options in ({"instances": True}, {"classes": 256}):  # every value would pass
        with pytest.raises(ValueError, match=r"masks/a\.jpg: JPEG changes values"):
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
