"""Files of all kinds: read pixel by pixel as they were written, or refused with the true reason."""

import io
import warnings
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from sample_pictures import SHAPE, disc, gray

from unetbook import images, memory
from unetbook.images import picture as pictures
from unetbook.images import reading


def tiff(pixels, **options):
    file = io.BytesIO()
    kind = "palette" if "colormap" in options else "rgb" if pixels.shape[-1] == 3 else "minisblack"
    options = {"photometric": kind} | options
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def encoded(ending, pixels):
    """PNG, JPEG or BMP of pixels in the order red, green, blue, alpha."""
    swapped = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return cv2.imencode(ending, swapped)[1].tobytes()


def opencv_tiff(pixels):
    """LZW as OpenCV and many other programs write it."""
    return encoded(".tif", pixels)


def quietly(read, *arguments, **options):
    """What is read, and nothing is told."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(*arguments, "file", **options)


COLOR = np.stack([gray(np.uint16), gray(np.uint16) // 2, gray(np.uint16) // 3], axis=-1)
COLOR8 = (COLOR >> 8).astype(np.uint8)
EXACT = (None, "lzw", "packbits", "zlib", "zstd", "lzma", "jpeg2000", "jpegxl", "png", "lerc")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("color", [False, True])
def test_formats_without_loss(ending, color):
    pixels = COLOR8 if color else gray()
    read = quietly(images.image, encoded(ending, pixels))
    assert read.dtype == np.float32 and np.array_equal(np.round(read * 255), pixels.reshape(*SHAPE, -1))


def test_a_jpeg():
    pixels = np.full((*SHAPE, 3), (200, 100, 20), np.uint8)
    assert np.allclose(quietly(images.image, encoded(".jpg", pixels)), pixels / 255, atol=4 / 255)


@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("compression", EXACT)
def test_every_compression_of_a_tiff(compression, planes, tile):
    stored = COLOR if planes == "contig" else np.ascontiguousarray(np.moveaxis(COLOR, 2, 0))
    data = tiff(stored, photometric="rgb", planarconfig=planes, compression=compression, tile=tile, rowsperstrip=7)
    assert np.array_equal(np.round(quietly(images.image, data) * 65535), COLOR)
    if planes == "contig":
        read = quietly(images.image, tiff(gray(), compression=compression, tile=tile))
        assert np.array_equal(np.round(read[..., 0] * 255), gray())


@pytest.mark.parametrize("options", [{}, {"subsampling": (2, 2)}, {"tile": (16, 16)}], ids=str)
def test_jpeg_in_a_tiff_is_rgb_again(options):
    pixels = np.full((32, 48, 3), (200, 100, 20), np.uint8)
    read = quietly(images.image, tiff(pixels, compression="jpeg", **options))
    assert np.allclose(read, pixels / 255, atol=4 / 255)
    pixels[:] = (20, 200, 90)
    assert np.allclose(quietly(images.image, tiff(pixels, compression="webp")), pixels / 255, atol=6 / 255)


KINDS = {
    "LZW gray": (opencv_tiff(gray(np.uint16)), gray(np.uint16)),
    "LZW color": (opencv_tiff(COLOR), COLOR),
    "deflate with predictor": (tiff(COLOR, compression="zlib", predictor=True), COLOR),
    "LZW with predictor": (tiff(COLOR, compression="lzw", predictor=True), COLOR),
    "one channel": (tiff(gray(np.uint16)[..., None]), gray(np.uint16)),
    "one slice": (tiff(gray(np.uint16)[None], imagej=True), gray(np.uint16)),
    "floats": (tiff((gray() / 255).astype(np.float32)), gray(np.uint16)),
    "big-endian": (tiff(COLOR, byteorder=">"), COLOR),
    "big-endian LZW": (tiff(COLOR, byteorder=">", compression="lzw"), COLOR),
    "BigTIFF": (tiff(COLOR, bigtiff=True), COLOR),
    "4 bits": (tiff(gray() >> 4, bitspersample=4), (gray() >> 4).astype(np.uint16) * 17 * 257),
    "opaque alpha of gray": (
        tiff(np.dstack([gray(), gray() | 255]), planarconfig="contig", extrasamples=["unassalpha"]),
        gray(np.uint16),
    ),
    "a palette that is a ramp": (tiff(gray(), colormap=np.stack([np.arange(256) * 257] * 3)), gray(np.uint16)),
    "a palette turned round": (tiff(gray(), colormap=np.stack([np.arange(256)[::-1] * 257] * 3)), ~gray(np.uint16)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_tiff(kind):
    data, pixels = KINDS[kind]
    read = quietly(images.image, data)
    assert read.shape == (*SHAPE, pixels.size // gray().size)
    assert np.allclose(read, pixels.reshape(read.shape) / 65535, atol=1e-7)


def test_a_palette_gives_its_colors():
    numbers = (np.arange(gray().size).reshape(SHAPE) % 3).astype(np.uint8)
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)])
    table = np.zeros((3, 256), np.uint16)
    table[:, :3] = colors.T * 257
    data = tiff(numbers, colormap=table)
    assert np.array_equal(quietly(images.image, data), colors[numbers] / np.float32(255))
    assert np.array_equal(quietly(images.mask, data), colors[numbers])
    with pytest.raises(ValueError, match="file has a palette"):
        images.mask(data, "file", numbers=True)


TOLD = {
    "12 bits": (tiff(gray(np.uint16) >> 4, bitspersample=12), (gray(np.uint16) >> 4) / 4095, "12 bits a pixel"),
    "from white": (tiff(gray(), photometric="miniswhite"), 1 - gray() / 255, "counts from white: it is read as it is"),
    "16 bits from white": (tiff(gray(np.uint16), photometric="miniswhite"), 1 - gray(np.uint16) / 65535, "from white"),
    "1 bit from white": (tiff(disc() > 0, photometric="miniswhite"), disc() == 0, "counts from white"),
}


@pytest.mark.parametrize("kind", TOLD)
def test_what_is_read_and_told(kind):
    data, pixels, note = TOLD[kind]
    with pytest.warns(UserWarning, match=f"^file .*{note}"):
        assert np.allclose(images.image(data, "file")[..., 0], pixels, atol=1e-6)


def of_pages(*pages):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for pixels, options in pages:
            writer.write(np.ascontiguousarray(pixels), photometric="rgb", metadata=None, **options)
    return file.getvalue()


LARGER = {
    "levels inside": (
        of_pages((COLOR, {"subifds": 1}), (COLOR[::2, ::2], {"subfiletype": 1})),
        "is a pyramid of 2 levels: the largest is read",
    ),
    "levels as pages": (
        of_pages((COLOR, {}), (COLOR[::2, ::2], {"subfiletype": 1}), (COLOR[::4, ::4], {"subfiletype": 1})),
        "is a pyramid of 3 levels",
    ),
    "a thumbnail behind": (
        of_pages((COLOR, {}), (COLOR[:5, :9], {})),
        r"a smaller picture, \(5, 9, 3\), which is left",
    ),
    "a thumbnail before": (of_pages((COLOR[:5, :9], {}), (COLOR, {})), "a smaller picture"),
}


@pytest.mark.parametrize("kind", LARGER)
def test_of_pictures_of_several_sizes_the_largest_is_read(kind):
    data, note = LARGER[kind]
    with pytest.warns(UserWarning, match=note):
        assert np.array_equal(np.round(images.image(data, "file") * 65535), COLOR)


REFUSED = {
    "several pictures": (of_pages((COLOR, {}), (COLOR[:-1], {})), "holds 2 pictures or stacks, of shapes .*save each"),
    "stack": (tiff(np.stack([gray()] * 5)), r"holds several pictures, of shape \(5, 24, 32\) along QYX: save one"),
    "large floats": (tiff(gray().astype(np.float32)), "holds float32 from 0 to 215, .*divide them by the value"),
    "NaN": (tiff(np.full(SHAPE, np.nan, np.float32)), "holds float32 from nan to nan"),
    "signed": (tiff(gray().astype(np.int16)), "holds int16 from 0 to 215, and 8 or 16 bits"),
    "32 bits": (tiff(gray().astype(np.uint32)), "holds uint32"),
    "complex": (tiff(gray().astype(np.complex64)), "holds complex64"),
    "print": (
        tiff(np.zeros((*SHAPE, 4), np.uint8), photometric="separated"),
        "stores its pixels as CMYK, .*: save it",
    ),
    "Lab": (tiff(COLOR8, photometric="cielab"), "stores its pixels as CIELAB"),
    "YCbCr without JPEG": (tiff(COLOR8, photometric="ycbcr"), "stores its pixels as YCbCr, without"),
    "transparent": (tiff(np.dstack([COLOR8, gray()])[..., :4], photometric="rgb"), "has transparent pixels"),
    "nothing": (b"", "is cut short"),
    "words": (b"no picture at all", "is no PNG, JPEG, BMP or TIFF, whatever its name says"),
    "GIF": (b"GIF89a" + bytes(40), "is no PNG, JPEG"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_the_true_reason(kind, capfd):
    data, reason = REFUSED[kind]
    with pytest.raises(ValueError, match=f"^file {reason}") as caught:
        images.image(data, "file")
    assert "damaged" not in str(caught.value) and capfd.readouterr() == ("", "")


def with_tag(data, name, value, index=0):
    """A TIFF whose tag, of one number or the number ``index``, is another."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag = file.pages[0].tags[name]
        size = {3: 2, 4: 4}[int(tag.dtype)]
        at = tag.valueoffset + index * size
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def test_a_compression_that_nobody_reads_is_not_called_damage():
    with pytest.raises(ValueError, match=r"^file is compressed as SGILOG, which cannot be read: save it"):
        images.image(with_tag(tiff(gray()), "Compression", 34676), "file")


@pytest.mark.parametrize("compression", [*EXACT[1:], "jpeg", "webp"])
@pytest.mark.parametrize("damage", ["half of a strip", "zeros at its end", "no strip", "beyond the file", "cut"])
def test_a_damaged_strip_never_becomes_pixels(compression, damage):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    data = tiff(pixels, compression=compression, rowsperstrip=16)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        start, size = (of[1] for of in (file.pages[0].dataoffsets, file.pages[0].databytecounts))
    half = start + size // 2
    damaged = {
        "half of a strip": with_tag(data, "StripByteCounts", size // 2, 1),
        "zeros at its end": data[:half] + bytes(start + size - half) + data[start + size :],
        "no strip": with_tag(data, "StripByteCounts", 0, 1),
        "beyond the file": with_tag(data, "StripOffsets", len(data), 1),
        "cut": data[:-5],
    }[damage]
    assert damaged != data
    with pytest.raises(ValueError, match=r"^file is damaged or cut short .*: remove it and get it again"):
        images.image(damaged, "file")


@pytest.mark.parametrize("data", [tiff(gray()), opencv_tiff(gray()), tiff(gray(), compression="zlib")])
def test_a_truncated_tiff(data):
    for length in range(4, len(data) * 3 // 4, 53):
        with pytest.raises(ValueError, match=r"^file is damaged or cut short"):
            images.image(data[:length], "file")


def test_a_truncated_stack():
    data = tiff(np.stack([gray()] * 5), compression="zlib", metadata=None)
    for length in range(len(data) // 2, len(data), 97):
        with pytest.raises(ValueError, match=r"^file is damaged or cut short"):
            reading.picture(data[:length], "file")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_a_truncated_file(ending, capfd):
    whole = encoded(ending, gray())
    for length in [*range(0, len(whole), 53), len(whole) - 1]:
        with pytest.raises(ValueError, match=r"^file is (damaged|cut short)"):
            images.image(whole[:length], "file")
    capfd.readouterr()


def test_a_png_whose_check_sum_is_wrong(capfd):
    whole = encoded(".png", gray())
    for at in range(41, len(whole) - 20, 11):
        changed = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        with pytest.raises(ValueError, match=r"^file is (damaged|cut short)"):
            images.image(changed, "file")
    capfd.readouterr()


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_alpha_channel(ending, dtype):
    color = np.stack([gray(dtype), gray(dtype) // 2, gray(dtype) // 4], axis=-1)
    alpha = np.full((*SHAPE, 1), np.iinfo(dtype).max, dtype)
    write = (lambda pixels: tiff(pixels, photometric="rgb")) if ending == ".tif" else (lambda p: encoded(ending, p))
    read = quietly(images.image, write(np.concatenate([color, alpha], axis=2)))
    assert np.allclose(read, color / np.iinfo(dtype).max, atol=1e-6)
    alpha[3, 4] = 7
    with pytest.raises(ValueError, match=r"file has transparent pixels \(alpha from 7 to"):
        images.image(write(np.concatenate([color, alpha], axis=2)), "file")


def test_a_fourth_channel_of_no_stated_meaning():
    write = dict(photometric="rgb", extrasamples=["unspecified"])
    assert quietly(images.image, tiff(np.dstack([COLOR8, gray() | 255]), **write)).shape == (*SHAPE, 3)
    assert quietly(images.image, tiff(np.dstack([COLOR8, gray()]), **write)).shape == (*SHAPE, 4)


def test_gray_with_opaque_alpha_is_gray():
    file = io.BytesIO()
    Image.fromarray(np.dstack([gray(), gray() | 255]), "LA").save(file, "PNG")
    assert np.array_equal(np.round(quietly(images.image, file.getvalue()) * 255), gray()[..., None])


# The number that each orientation puts into the corner of [[1, 2], [3, 4]], and into the corner on its right.
ORIENTATIONS = {
    1: [[1, 2], [3, 4]],
    2: [[2, 1], [4, 3]],
    3: [[4, 3], [2, 1]],
    4: [[3, 4], [1, 2]],
    5: [[1, 3], [2, 4]],
    6: [[3, 1], [4, 2]],
    7: [[4, 2], [3, 1]],
    8: [[2, 4], [1, 3]],
}


def exif(orientation, order="big"):
    start = b"MM\0*" if order == "big" else b"II*\0"
    entries = [(270, 2, 4, b"abc\0"), (274, 3, 1, orientation.to_bytes(2, order) + b"\0\0")]
    fields = b"".join(
        tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + value
        for tag, kind, count, value in entries
    )
    return start + (8).to_bytes(4, order) + len(entries).to_bytes(2, order) + fields + bytes(4)


def turned_file(kind, pixels, orientation):
    if kind.startswith("tiff"):
        compression = kind.removeprefix("tiff") or None
        return tiff(pixels, compression=compression, extratags=[(274, "H", 1, orientation, True)])
    if kind == "png":
        return with_chunk(encoded(".png", pixels), b"eXIf", exif(orientation))
    content = b"Exif\0\0" + exif(orientation, "little")
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2) + content + jpeg[2:]


@pytest.mark.parametrize("kind", ["tiff", "tifflzw", "png", "jpg"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_one_rule_of_orientation_for_all_formats_images_and_masks(kind, orientation):
    quarters = np.array([[1, 2], [3, 4]], np.uint8).repeat(8, 0).repeat(16, 1)
    shown = np.array(ORIENTATIONS[orientation], np.uint8).repeat(*((8, 0) if orientation < 5 else (16, 0)))
    shown = shown.repeat(16 if orientation < 5 else 8, 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = images.image(turned_file(kind, quarters * 60, orientation), "file")
        mask = images.mask(turned_file(kind, quarters, orientation), "file", numbers=True) if kind != "jpg" else shown
    assert np.array_equal(np.round(read[..., 0] * 255 / 60), shown) and np.array_equal(mask, shown)
    told = [str(one.message) for one in caught]
    assert len(told) == (0 if orientation == 1 else 1 + (kind != "jpg"))
    assert all(f"turned or mirrored as its {'TIFF' if 'tiff' in kind else 'EXIF'}" in one for one in told)


def test_orientation_as_pillow_has_it():
    from PIL import ImageOps

    for orientation in ORIENTATIONS:
        data = turned_file("png", gray(), orientation)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert np.array_equal(np.round(reading.picture(data, "file").image()[..., 0] * 255), expected)


def test_a_mask_that_lacks_the_turn_of_its_image():
    with pytest.warns(UserWarning, match="turned"):
        image = images.image(turned_file("jpg", gray(), 6), "photo")
    with pytest.raises(
        ValueError, match=r"is 32 x 24 pixels and its image 24 x 32.*one of them was turned, and the other"
    ):
        images.mask(encoded(".png", disc()), "file", like=image)
    with pytest.raises(ValueError, match=r"is 32 x 24 pixels and its image 9 x 9.*nearest neighbor"):
        images.mask(encoded(".png", disc()), "file", like=image[:9, :9])


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


def ramp(count, step=1):
    return [(step * level,) * 3 for level in range(count)]


def colormap(palette):
    table = np.zeros((3, 256), np.uint16)
    table[:, : len(palette)] = np.array(palette).T * 257
    return {"colormap": table}


THREE = (np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 3).astype(np.uint8)
SWAPPED = [(0, 0, 0), (2, 2, 2), (1, 1, 1)]
NUMBERS = {
    "2 bits": (few_bits(THREE, 2), THREE),
    "4 bits": (few_bits(THREE, 4), THREE),
    "1 bit": (few_bits(THREE % 2, 1), THREE % 2),
    "palette of 256 grays": (few_bits(THREE, 8, ramp(256)), THREE),
    "palette of 4 bits": (few_bits(THREE, 4, ramp(16, 17)), THREE),
    "palette of the numbers": (few_bits(THREE, 2, ramp(3)), THREE),
    "black and white": (few_bits(THREE % 2, 8, [(0, 0, 0), (255, 255, 255)]), THREE % 2),
    "BMP": (bmp(THREE, ramp(256)), THREE),
    "TIFF of 1 bit": (tiff(THREE == 1), THREE == 1),
    "TIFF of 4 bits": (tiff(THREE, bitspersample=4), THREE),
    "TIFF with a ramp": (tiff(THREE, **colormap(ramp(256))), THREE),
    "floats": (tiff(THREE.astype(np.float32)), THREE),
    "large floats": (tiff(THREE.astype(np.float64) * 70000), THREE * np.int32(70000)),
    "32 bits": (tiff(THREE.astype(np.int32) * 70000), THREE.astype(int) * 70000),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_those_that_are_stored(kind):
    data, numbers = NUMBERS[kind]
    read = quietly(images.mask, data, numbers=True)
    assert read.dtype.kind in "bui" and np.array_equal(read, numbers)


@pytest.mark.parametrize(
    "data",
    [
        few_bits(THREE, 8, SWAPPED),
        few_bits(THREE, 2, [(0, 0, 0), (1, 1, 1), (1, 1, 1)]),
        bmp(THREE, SWAPPED),
        tiff(THREE, **colormap([(0, 0, 0), (255, 0, 0), (0, 0, 255)])),
    ],
)
def test_a_palette_that_is_no_ramp_is_ambiguous(data):
    with pytest.raises(
        ValueError, match=r"file has a palette, .*numpy\.array\(PIL\.Image\.open\(path\)\).*list the colors"
    ):
        images.mask(data, "file", numbers=True)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
def test_masks_that_count_from_white_keep_their_numbers(dtype):
    stored = (THREE == 1) if dtype is bool else THREE.astype(dtype)
    for numbers in (True, False):
        with pytest.warns(UserWarning, match="counts from white, and its numbers are read as they are stored"):
            read = images.mask(tiff(stored, photometric="miniswhite"), "file", numbers=numbers)
        assert np.array_equal(read, stored * (255 if dtype is bool and not numbers else 1))


def test_floats_that_are_no_numbers_of_objects():
    for pixels in (gray() / np.float32(255), -THREE.astype(np.float32), np.full(SHAPE, np.inf, np.float32)):
        with pytest.raises(ValueError, match=r"file holds float32 from .*not whole numbers from 0 up.*threshold"):
            images.mask(tiff(pixels), "file", numbers=True)


@pytest.mark.parametrize("numbers", [True, False])
def test_a_mask_of_black_and_one_color_is_told(numbers):
    lit = disc() > 0
    red = np.where(lit[..., None], np.array([255, 0, 9], np.uint8), np.uint8(0))
    palette = few_bits(lit.astype(np.uint8), 8, [(0, 0, 0), (255, 0, 9)])
    for data in (encoded(".png", red), tiff(red), palette):
        with pytest.warns(
            UserWarning, match=r"file has two colors: black is read as background, \(255, 0, 9\) as object"
        ):
            assert np.array_equal(images.mask(data, "file", numbers=numbers, binary=True), lit)
    assert np.array_equal(quietly(images.mask, encoded(".png", red)), red)  # colors may be classes
    red[0, 0] = 7
    assert quietly(images.mask, encoded(".png", red), binary=True).ndim == 3


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_mask_of_jpeg_is_cut_at_half_and_told(quality):
    data = cv2.imencode(".jpg", disc(), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    with pytest.warns(UserWarning, match="file is a JPEG, which changes values: it is cut at half; save masks as PNG"):
        assert np.array_equal(images.mask(data, "file", binary=True), disc() > 0)
    with pytest.raises(ValueError, match="file is a JPEG, which changes values: save masks as PNG or TIFF"):
        images.mask(data, "file", numbers=True)
    three = disc() // 2 + np.roll(disc(), 16, axis=1) // 4
    with pytest.raises(ValueError, match="file is a JPEG"):
        images.mask(encoded(".jpg", three), "file", binary=True)


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("read", [images.image, images.mask])
def test_a_gray_level_that_is_transparent(bits, read):
    data = few_bits(THREE, bits) if bits < 16 else encoded(".png", THREE.astype(np.uint16))
    assert quietly(read, with_chunk(data, b"tRNS", bytes([0, 3]))).shape[:2] == SHAPE  # no pixel has the level 3
    with pytest.raises(ValueError, match=r"file has transparent pixels \(alpha from 0 to "):
        read(with_chunk(data, b"tRNS", bytes([0, 1])), "file")


def test_a_jpeg_in_cmyk():
    file = io.BytesIO()
    Image.new("CMYK", SHAPE[::-1], (0, 20, 40, 10)).save(file, "JPEG")
    with pytest.raises(ValueError, match=r"file is a JPEG in CMYK.*: convert it to RGB"):
        images.image(file.getvalue(), "file")


def stack(*counts, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, (*counts, *SHAPE)).astype(dtype)


STACKS = {  # the axes that are written, how, and the leading axes that are read
    "ZYX": (stack(3), {}, "Z", 1),
    "TYX": (stack(3, dtype=np.uint16), {}, "T", 1),
    "CZYX": (stack(2, 3), {"ome": True}, "Z", 2),
    "CYX": (stack(5), {}, "", 5),
    "TZCYX": (stack(2, 3, 4), {"imagej": True}, "TZ", 4),
    "ZCYX": (stack(3, 2, dtype=np.uint16), {"ome": True, "compression": "zlib"}, "Z", 2),
    "ZYXS": (np.moveaxis(stack(3, 3), 1, -1), {"imagej": True, "photometric": "rgb"}, "Z", 3),
    "YXS": (np.moveaxis(stack(5), 0, -1), {"planarconfig": "contig"}, "", 5),
}


@pytest.mark.parametrize("axes", STACKS)
def test_stacks_and_channels(axes, tmp_path):
    pixels, options, leading, channels = STACKS[axes]
    (tmp_path / "a.tif").write_bytes(tiff(pixels, metadata={"axes": axes}, **options))
    picture = images.read(tmp_path / "a.tif")
    assert picture.axes == leading and picture.pixels.shape[-3:] == (*SHAPE, channels) and not picture.notes
    order = [axes.index(axis) for axis in (*leading, "Y", "X", *(set("CS") & set(axes)))]
    assert np.array_equal(picture.pixels, pixels.transpose(order).reshape(picture.pixels.shape))
    last = tuple(count - 1 for count in picture.stack)
    assert picture.image(last).dtype == np.float32
    assert np.array_equal(picture.image(last), picture.pixels[last] / np.float32(np.iinfo(pixels.dtype).max))


def test_pages_without_a_name_are_read_as_slices_and_told():
    picture = reading.picture(tiff(stack(3), metadata=None), "file")
    assert picture.axes == "I" and "does not say what its 3 pages are" in picture.notes[0]


def test_one_file_of_an_ome_set_is_not_filled_with_zeros(tmp_path):
    data = tiff(stack(2), ome=True, metadata={"axes": "ZYX"})
    apart = data.replace(b'SizeZ="2"', b'SizeZ="9"')
    assert apart != data
    with pytest.raises(ValueError, match="is one file of a set"):
        reading.picture(apart, "file")


SIZES = {
    "OME": (dict(ome=True, metadata={"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}), 0.65),
    "OME in nm": (
        dict(
            ome=True,
            metadata={f"PhysicalSize{axis}": 65 for axis in "XY"} | {f"PhysicalSize{a}Unit": "nm" for a in "XY"},
        ),
        0.065,
    ),
    "ImageJ": (dict(imagej=True, resolution=(1 / 0.65,) * 2, metadata={"unit": "um"}), 0.65),
    "ImageJ in mm": (dict(imagej=True, resolution=(2000, 2000), metadata={"unit": "mm"}), 0.5),
    "ImageJ in pixels": (dict(imagej=True, resolution=(1, 1), metadata={"unit": "pixel"}), None),
    "ImageJ's own spelling": (dict(imagej=True, resolution=(2, 2), metadata={"unit": "\\u00B5m"}), 0.5),
    "centimeters": (dict(resolution=(20000, 20000), resolutionunit="CENTIMETER"), 0.5),
    "inches": (dict(resolution=(50800, 50800), resolutionunit="INCH"), 0.5),
    "print": (dict(resolution=(300, 300), resolutionunit="INCH"), None),
    "no unit": (dict(resolution=(2, 2), resolutionunit="NONE"), None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("kind", SIZES)
def test_the_size_of_a_pixel(kind):
    options, size = SIZES[kind]
    found = reading.picture(tiff(gray(), **options), "file").pixel_size
    assert found == (size if size is None else pytest.approx(size, rel=1e-5))


def test_pixels_that_are_no_squares_are_told():
    picture = reading.picture(tiff(gray(), resolution=(20000, 30000), resolutionunit="CENTIMETER"), "file")
    assert picture.pixel_size is None and "pixels of 0.5 x 0.3333 um" in picture.notes[0]


@pytest.mark.parametrize("size", [None, 0.65, 0.1])
@pytest.mark.parametrize("many", [False, True], ids=["16 bits", "32 bits"])
@pytest.mark.parametrize("axes", ["", "Z", "T", "TZ", "ZT", "I"])
def test_labels_are_read_again_with_their_axes_and_size(tmp_path, axes, many, size):
    found = stack(*(2, 3)[: len(axes)], dtype=np.int32) * (1000 if many else 1)
    path = images.write_labels(tmp_path, "a", found, axes, size)
    assert path.suffix == (".tif" if axes or many else ".png") and len(list(tmp_path.iterdir())) == 1
    again = reading._decoded(path.read_bytes(), path)
    assert again.axes == axes and again.pixel_size == size
    assert np.array_equal(again.pixels[..., 0], found) and again.pixels.dtype == (np.uint32 if many else np.uint16)


def test_imagej_and_ome_open_stacks_of_labels(tmp_path):
    with tifffile.TiffFile(images.write_labels(tmp_path, "a", stack(2, 3), "TZ", 0.65)) as file:
        assert file.imagej_metadata["frames"] == 2 and file.imagej_metadata["slices"] == 3
        assert file.imagej_metadata["unit"] == "um"
    with tifffile.TiffFile(images.write_labels(tmp_path, "a", stack(2, 3, dtype=int) * 1000, "TZ", 0.65)) as file:
        assert file.is_ome and 'PhysicalSizeX="0.65"' in file.ome_metadata


def test_the_size_in_a_png_is_whole_pixels_a_meter(tmp_path):
    images.write_png(tmp_path / "a.png", gray(), 0.65)
    assert Image.open(tmp_path / "a.png").info["dpi"][0] == pytest.approx(25400 / 0.65, rel=1e-4)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED), gray())


def test_ramps_of_gray():
    assert pictures.ramp_step(ramp(256)) == pictures.ramp_step(ramp(3)) == 1
    assert pictures.ramp_step(ramp(16, 17)) == 17 and pictures.ramp_step(ramp(2, 255)) == 255
    assert pictures.ramp_step(ramp(3, 17)) is None and pictures.ramp_step(SWAPPED) is None
    assert pictures.ramp_step([(0, 0, 0), (1, 1, 2)]) is None


@pytest.mark.parametrize("kind", ["tif", "stack.tif", "png", "jpg", "bmp", "old.bmp"])
def test_what_does_not_fit_into_memory_is_refused_before_it_is_decoded(kind, monkeypatch):
    pixels = np.zeros((600, 900), np.uint8)
    data = tiff(np.repeat(pixels[None], 9, 0) if kind[0] == "s" else pixels, compression="zlib")
    if "tif" not in kind:
        data = encoded(f".{kind[-3:]}", pixels)
    if kind == "old.bmp":  # the first version: a header of 12 bytes, and sizes of two
        data = b"".join(
            [b"BM", (26 + 8).to_bytes(4, "little"), bytes(4), (26).to_bytes(4, "little"), (12).to_bytes(4, "little")]
            + [each.to_bytes(2, "little") for each in (900, 600, 1, 1)]
            + [bytes(8)]
        )

    def decoded(*_):
        raise AssertionError("decoded")

    with monkeypatch.context() as patch:
        patch.setattr(memory, "free", lambda: 10**6)
        patch.setattr(cv2, "imdecode", decoded)
        patch.setattr(tifffile.TiffPageSeries, "asarray", decoded)
        with pytest.raises(ValueError, match=f"bomb.{kind} is too large: 900 x 600 pixels need about 0 GB of memory"):
            reading.picture(data, f"bomb.{kind}")
    if kind not in ("old.bmp", "stack.tif"):
        assert images.image(data, "small").shape == (600, 900, 1)
