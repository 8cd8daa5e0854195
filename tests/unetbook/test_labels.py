import os
import re
import warnings
import zipfile
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from unetbook import labels

BLACK, RED, BLUE = (0, 0, 0), (255, 0, 0), (0, 0, 255)


@pytest.fixture
def blobs():
    return np.random.default_rng(0).random((40, 57)) < 0.55


@pytest.mark.parametrize("connectivity, structure", [(4, 1), (8, 2)])
def test_connected_agrees_with_scipy(blobs, connectivity, structure):
    ours = labels.connected(blobs, connectivity)
    theirs, count = ndimage.label(blobs, ndimage.generate_binary_structure(2, structure))
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert ours.dtype == np.int32 and ours.shape == blobs.shape
    assert ours.max() == count > 5
    assert pairs.shape[1] == count + 1  # a one-to-one renumbering, background included


def test_connected_by_hand():
    corner = np.array([[1, 0], [0, 1]])
    assert labels.connected(corner).max() == 2
    assert labels.connected(corner, 8).max() == 1
    assert labels.connected(np.zeros((3, 3), bool)).max() == 0


@pytest.mark.parametrize(
    "mask, message", [(np.zeros((2, 3, 3)), "image by image"), (np.eye(3) * 255, "not 255.0: .*threshold")]
)
def test_connected_refuses(mask, message):
    with pytest.raises(ValueError, match=message):
        labels.connected(mask)


def test_connected_refuses_connectivity():
    with pytest.raises(ValueError, match="4 or 8, not 6"):
        labels.connected(np.zeros((3, 3), bool), 6)


def separate_slowly(picture):
    result = picture.copy()
    height, width = picture.shape
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width and 0 not in (picture[y, x], picture[v, u]):
                    if picture[y, x] != picture[v, u]:
                        result[y, x] = 0
    return result


def test_separate_agrees_with_the_plain_loop():
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 4, (3, 9, 11)).astype(np.int32)
    stack = coarse.repeat(3, axis=1).repeat(3, axis=2)
    separated = labels.separate(stack)
    assert separated.dtype == np.int32
    for ours, picture in zip(separated, stack, strict=True):
        assert np.array_equal(ours, separate_slowly(picture))
    assert not np.array_equal(separated, stack)
    assert np.array_equal(labels.separate(separated), separated)  # no contact is left


def test_separate_keeps_what_does_not_touch():
    apart = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 3, 0]], np.int32)  # 3 meets 2 at a corner only
    assert np.array_equal(labels.separate(apart), apart)
    assert labels.separate(np.array([[1, 1, 1, 2, 2, 2]])).tolist() == [[1, 1, 0, 0, 2, 2]]


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros((4, 4)), "integers, not float64: .*labels.connected"),
        (np.zeros((4, 4), bool), "integers, not bool"),
        (np.zeros(4, int), r"one image \(H, W\).*, not \(4,\)"),
        (np.array([[0, -3]]), "not -3: renumber"),
        (np.zeros((4, 4, 1), int), r"\(4, 4, 1\)"),
        (np.array([[0, 2**31]]), "not 2147483648"),
    ],
)
@pytest.mark.parametrize("function", [labels.separate, labels.relabel, labels.rle_rows])
def test_labels_are_refused(function, bad, message):
    with pytest.raises(ValueError, match=message):
        function(bad)


def test_separate_keeps_what_nobody_annotated():
    unknown = np.array([[1, 1, 2, 2, -1, 3], [1, 1, 2, 2, -1, 3]])
    assert labels.separate(unknown).tolist() == [[1, 0, 0, 2, -1, 3]] * 2
    with pytest.raises(ValueError, match=r"drop the last axis, labels\[..., 0\]"):
        labels.separate(unknown[..., None] * 0)


def test_an_image_without_pixels_has_no_components():
    for shape in ((0, 5), (5, 0), (0, 0)):
        for found in (labels.connected(np.zeros(shape, bool)), labels.relabel(np.zeros(shape, int))):
            assert found.shape == shape and found.dtype == np.int32


def test_one_image_only_where_a_stack_would_mix():
    for function in (labels.relabel, labels.rle_rows):
        with pytest.raises(ValueError, match="image by image"):
            function(np.zeros((2, 3, 3), int))


def flood_slowly(picture):
    """Number the pieces by filling each from its first pixel, neighbor by neighbor."""
    result, count = np.zeros(picture.shape, int), 0
    for start in zip(*np.nonzero(picture), strict=True):
        if result[start]:
            continue
        count += 1
        stack = [start]
        while stack:
            y, x = stack.pop()
            if 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]:
                if picture[y, x] == picture[start] and not result[y, x]:
                    result[y, x] = count
                    stack += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_relabel_agrees_with_the_plain_fill(dtype):
    picture = np.random.default_rng(2).integers(0, 4, (30, 43)).astype(dtype) * 50
    ours, theirs = labels.relabel(picture), flood_slowly(picture)
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert ours.dtype == np.int32 and ours.max() == theirs.max() > 100
    assert pairs.shape[1] == theirs.max() + 1  # one to one, background included
    assert np.array_equal(labels.relabel(ours), ours)


def test_relabel_by_hand():
    split = np.array([[7, 0, 7], [0, 7, 0], [9, 9, 7]])  # corners do not join, other labels do not either
    relabeled = labels.relabel(split)
    assert np.array_equal(relabeled > 0, split > 0) and relabeled[2, 0] == relabeled[2, 1]
    assert sorted(np.bincount(relabeled.ravel())) == [1, 1, 1, 1, 2, 3]
    assert labels.relabel(np.zeros((2, 3), int)).tolist() == [[0] * 3] * 2


# ---------------------------------------------------------------- what a mask encodes


def gray(*values, dtype=np.uint8):
    return np.array([values, values[::-1]], dtype)


def rgb(*colors, dtype=np.uint8):
    return np.array([colors, colors], dtype)


def with_alpha(picture, alpha):
    return np.dstack([picture, np.full(picture.shape[:2], alpha, picture.dtype)])


@pytest.mark.parametrize(
    "mask, classes, row",
    [
        (gray(False, True, dtype=bool), None, [0, 1]),
        (gray(0, 1), None, [0, 1]),
        (gray(0, 255), None, [0, 1]),
        (gray(0, 255, dtype=np.int64), None, [0, 1]),
        (gray(0, 255, dtype=np.uint16), None, [0, 1]),
        (gray(0, 65535, dtype=np.uint16), None, [0, 1]),
        (gray(0, 0), None, [0, 0]),
        (gray(255, 255), None, [1, 1]),
        (gray(1, 1), None, [1, 1]),
        (gray(0, 255)[..., None], None, [0, 1]),
        (rgb(BLACK, (255, 255, 255)), None, [0, 1]),
        (with_alpha(rgb(BLACK, (255, 255, 255)), 255), None, [0, 1]),
        (with_alpha(rgb(BLACK, (65535,) * 3, dtype=np.uint16), 65535), None, [0, 1]),
        (gray(0, 1), 2, [0, 1]),
        (gray(False, True, dtype=bool), 2, [0, 1]),
        (gray(2, 0, 1), 3, [2, 0, 1]),
        (gray(2, 0, 1), np.int64(5), [2, 0, 1]),
        (rgb((2, 2, 2), BLACK), 3, [2, 0]),
        (gray(255, 0, 128), [0, 128, 255], [2, 0, 1]),
        (rgb((255, 255, 255), BLACK), [0, 255], [1, 0]),
        (rgb(BLUE, BLACK, RED), [BLACK, RED, BLUE], [2, 0, 1]),
        (rgb(BLUE, BLACK, RED), np.array([BLACK, RED, BLUE], np.uint8), [2, 0, 1]),
        (rgb(BLUE, BLACK, RED), {BLACK: 0, RED: 1, BLUE: 1}, [1, 0, 1]),
        (with_alpha(rgb(BLUE, RED), 255), [RED, BLUE], [1, 0]),
        (rgb(BLACK, (255, 255, 255)), [BLACK, (255, 255, 255)], [0, 1]),
    ],
)
def test_as_labels(mask, classes, row):
    before = mask.copy()
    result = labels.as_labels(mask, classes)
    assert result.dtype == np.int32 and result.shape == mask.shape[:2]
    assert result[0].tolist() == row
    result[:] = 9
    assert np.array_equal(mask, before)


@pytest.mark.parametrize(
    "mask, classes, message",
    [
        (gray(0, 1, 2), None, r"holds 0/1 or 0/255, this one 0, 1, 2: .*classes=3.*labels already"),
        (gray(0, 128, 255), None, r"0, 128, 255: .*classes=\[0, 128, 255\]"),
        (gray(0, 254, 255), None, r"0, 254, 255: JPEG.*PNG.*mask > 127"),
        (gray(0, 1, 255), None, r"0, 1, 255: JPEG.*classes=\[0, 1, 255\]"),
        (gray(0, 65535, dtype=np.int32), None, r"0, 65535: .*classes=\[0, 65535\]"),
        (gray(0, 255, 65535, dtype=np.uint16), None, "0, 255, 65535"),
        (np.arange(256).reshape(16, 16), None, r"0, 1, 2, 3, 4, 5 \.\.\. 254, 255 \(256 values\).*gray picture.*127"),
        (gray(0.0, 1.0, dtype=float), None, r"float64 and holds 0.0, 1.0: threshold.*round\(\)"),
        (gray(0, 1 / 255, dtype=np.float32), 2, "float32 and holds 0.0, 0.0039"),
        (gray(0.0, np.nan, dtype=float), None, "holds 0.0, nan"),
        (gray(0, -1, dtype=int), 3, "holds -1, 0: .*weight 0"),
        (gray(0, 1, 2), 2, r"class indices 0 to 1, the mask holds 0, 1, 2: .*classes=3"),
        (gray(0, 255), 2, "class indices 0 to 1, the mask holds 0, 255: leave classes out"),
        (gray(0, 255), 256, "class indices 0 to 255, the mask holds 0, 255: leave classes out"),
        (gray(0, 1, 255), 2, "holds 0, 1, 255: if 255 marks"),
        (gray(0, 1), 1, "at least 2, not 1"),
        (rgb(BLACK, RED, RED), None, r"\(255, 0, 0\) in 4 pixels, \(0, 0, 0\) in 2 pixels: .*classes=\[\(0, 0, 0\)"),
        (rgb(BLACK, RED), 2, r"\(255, 0, 0\) in 2 pixels"),
        (rgb(BLACK, RED), [0, 255], r"\(255, 0, 0\) in 2 pixels"),
        (rgb(BLACK, BLUE, RED), [BLACK, RED], r"2 of 6 pixels .* \(0, 0, 255\) in 2 pixels: .*PNG.*BGR"),
        (gray(0, 7, 255), [0, 255], r"2 of 6 pixels .* \(7,\) in 2 pixels"),
        (gray(0, 1), [BLACK, RED], "one channel with 0, 1: .*as RGB.*classes=2"),
        (rgb(BLACK, RED), [BLACK, RED, BLACK], "stands twice"),
        (rgb(BLACK, RED), [BLACK, 255], "classes is a number, a list"),
        (rgb(BLACK, RED), [BLACK, (1.0, 0, 0)], "classes is a number, a list"),
        (rgb(BLACK, RED), {BLACK: 0, RED: -1}, "classes is a number, a list"),
        (rgb(BLACK, RED), {BLACK: 0, RED: "red"}, "classes is a number, a list"),
        (gray(0, 1), [], "classes is a number, a list"),
        (gray(0, 1), 2.0, "classes is a number, a list"),
        (gray(0, 1), "rgb", "classes is a number, a list"),
        (with_alpha(rgb(BLACK, RED), 128), [BLACK, RED], r"fourth channel.*holds 128: .*mask\[\.\.\., :3\]"),
        (with_alpha(rgb(BLACK, RED, dtype=int), 65535), [BLACK, RED], "fourth channel.*65535"),
        (np.zeros((2, 2, 4), np.uint8), None, "argmax"),
        (np.zeros((2, 2, 2), np.uint8), None, r"1, 3 or 4 channels, not \(2, 2, 2\).*argmax"),
        (np.zeros((5, 4, 4, 1), np.uint8), None, r"not \(5, 4, 4, 1\): take a stack image by image"),
        (np.zeros((0, 4), np.uint8), None, r"not \(0, 4\)"),
    ],
)
def test_as_labels_refuses(mask, classes, message):
    with pytest.raises(ValueError, match=message):
        labels.as_labels(mask, classes)


def test_a_palette_gives_back_random_class_indices():
    rng = np.random.default_rng(4)
    indices = rng.integers(0, 12, (31, 40))
    colors = rng.permutation(256)[:36].reshape(12, 3).astype(np.uint8)
    assert np.array_equal(labels.as_labels(colors[indices], colors), indices)
    with pytest.raises(ValueError, match=f"{np.count_nonzero(indices == 11)} of 1240 pixels"):
        labels.as_labels(colors[indices], colors[:11])


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_masks_that_went_through_jpeg(quality):
    mask = cv2.circle(np.zeros((96, 96), np.uint8), (40, 50), 22, 255, cv2.FILLED)
    colors = mask[..., None] * np.array([1, 0, 0], np.uint8)

    def compressed(picture):
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)

    with pytest.raises(ValueError, match="JPEG leaves such values near 0 and 255: save masks as PNG"):
        labels.as_labels(compressed(mask))
    with pytest.raises(ValueError, match=r"are in no class of the palette.*save masks as PNG"):
        labels.as_labels(compressed(colors), [BLACK, RED])
    restored = labels.as_labels(compressed(mask) > 127)  # the fix that the message names
    assert np.count_nonzero(restored != (mask > 0)) < 0.02 * np.count_nonzero(mask)


# ---------------------------------------------------------------- one mask an object


def owners_slowly(masks):
    """Pixel by pixel: the smallest of the masks that hold it, the first of equal ones."""
    areas = [int(mask.sum()) for mask in masks]
    result, shared = np.zeros(masks[0].shape, int), 0
    for place in np.ndindex(result.shape):
        claims = sorted((areas[k], k) for k, mask in enumerate(masks) if mask[place])
        result[place] = claims[0][1] + 1 if claims else 0
        shared += len(claims) > 1
    return result, shared


@pytest.mark.parametrize("seed", range(5))
def test_instances_agree_with_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(9):
        top, left, height, width = rng.integers(0, 14), rng.integers(0, 17), *rng.integers(2, 6, 2)
        masks.append(np.zeros((20, 23), bool))
        masks[-1][top : top + height, left : left + width] = True
    expected, shared = owners_slowly(masks)
    with pytest.warns(UserWarning) as caught:
        result = labels.instances(masks)
    assert result.dtype == np.int32 and np.array_equal(result, expected)
    message = str(caught.pop().message)
    assert shared > 0 and message.startswith(f"{shared} pixels lie in several masks")
    lost = {int(k) for k in re.findall(r"masks\[(\d+)\] keeps no pixel", message)}
    assert lost == set(range(9)) - {k - 1 for k in expected.ravel()}


def test_instances_without_overlap_say_nothing_in_any_encoding():
    truth = np.array([[1, 1, 0, 2], [3, 0, 4, 2]])
    masks = [truth == 1, (truth == 2) * np.uint8(255), (truth == 3).astype(int), (truth == 4)[..., None]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(labels.instances(mask for mask in masks), truth)
        assert np.array_equal(labels.instances(np.stack(masks[:1])), truth == 1)


def test_instances_report_overlap_by_hand():
    large, small, same = np.zeros((3, 1, 6), bool)
    large[0, :5], small[0, 4:], same[0, 4:] = True, True, True
    with pytest.warns(UserWarning, match=r"^2 pixels .*\(masks 0 and 1, 1 and 2\); masks\[2\] keeps no pixel: others"):
        assert labels.instances([large, small, same]).tolist() == [[1, 1, 1, 1, 2, 2]]
    with pytest.warns(UserWarning, match=r"^1 pixel lies in several masks and went to the smallest \(masks 0 and 1\)$"):
        assert labels.instances([large, small]).tolist() == [[1, 1, 1, 1, 2, 2]]
    with pytest.warns(UserWarning, match=r"^masks\[1\] is empty$"):
        assert labels.instances([large, np.zeros((1, 6), bool), small & ~large]).tolist() == [[1, 1, 1, 1, 1, 3]]
    with pytest.warns(UserWarning, match=r"masks 0 and 1, .*0 and 5, 3 more\)"):
        labels.instances([np.ones((1, 9), bool), *np.eye(9, dtype=bool)[:8, None]])


@pytest.mark.parametrize(
    "masks, message",
    [
        ([], r"numpy\.zeros\(shape"),
        ([np.ones((2, 3), bool), np.ones((3, 2), bool)], r"masks\[1\] has the size \(3, 2\), masks\[0\] \(2, 3\)"),
        ([gray(0, 1), gray(0, 7)], r"masks\[1\] must be the binary mask of one object: .* 0, 7"),
        ([gray(0, 0.5, dtype=float)], r"masks\[0\] must be .*float64"),
        (np.ones((4, 4), int), r"masks\[0\] must be .*one image \(H, W\)"),
    ],
)
def test_instances_refuse(masks, message):
    with pytest.raises(ValueError, match=message):
        labels.instances(masks)


# ---------------------------------------------------------------- run lengths


def rows_slowly(picture):
    """Walk down each column, pixel after pixel: the row of each label that occurs, in ascending order."""
    runs, number, before = {}, 0, 0
    for column in picture.T.tolist():
        for k in column:
            number += 1
            if k and k != before:
                runs.setdefault(k, []).append([number, 0])
            if k:
                runs[k][-1][1] += 1
            before = k
    return {k: " ".join(f"{start} {length}" for start, length in runs[k]) for k in sorted(runs)}


def test_run_lengths_by_hand():
    mask = np.array([[0, 1, 1], [1, 1, 0]])
    assert labels.rle_encode(mask) == "2 4"  # pixel 2 is the second row of the first column; the run goes on
    assert labels.rle_decode("2 4", (2, 3)).tolist() == mask.astype(bool).tolist()
    assert labels.rle_decode("1 3 10 5", (5, 3)).ravel("F").nonzero()[0].tolist() == [0, 1, 2, 9, 10, 11, 12, 13]
    assert labels.rle_encode(np.zeros((2, 3), bool)) == ""
    assert labels.rle_encode(np.ones((2, 3), bool)) == "1 6"
    picture = np.array([[5, 5, 0], [2, 5, 2]])
    assert labels.rle_rows(picture) == ["2 1 6 1", "1 1 3 2"]  # label 2 before label 5
    assert labels.rle_rows(np.zeros((2, 3), int)) == labels.rle_rows(np.zeros((0, 3), int)) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("density", [0.02, 0.3, 1.0])
def test_run_lengths_agree_with_the_plain_loop(density, dtype):
    rng = np.random.default_rng(5)
    picture = rng.integers(1, 40, (11, 9)).repeat(3, axis=0).repeat(2, axis=1) * 5
    picture = np.where(rng.random(picture.shape) < density, picture, 0).astype(dtype)
    expected = rows_slowly(picture)
    assert labels.rle_rows(picture) == list(expected.values()) and len(expected) > 5
    for k, row in expected.items():
        assert labels.rle_encode(picture == k) == row
        decoded = labels.rle_decode(row, picture.shape)
        assert decoded.dtype == bool and np.array_equal(decoded, picture == k)


@pytest.mark.parametrize(
    "text, shape, message",
    [
        ("1 3 10", (5, 3), "3 numbers: one is missing"),
        ("0 3", (5, 3), "hold '0'.*count from 1"),
        ("1 0", (5, 3), "hold '0'"),
        ("1 -2", (5, 3), "hold '-2'"),
        ("1 2.0", (5, 3), "hold '2.0': .*whole numbers"),
        ("9 2 1 3", (5, 3), "'1 3' begins before pixel 11.*sort"),
        ("1 3 3 2", (5, 3), "'3 2' begins before pixel 4.*merge"),
        ("15 2", (5, 3), r"'15 2' ends at pixel 16, .*\(5, 3\) has 15.*\(height, width\)"),
        (float("nan"), (5, 3), "a string, not nan: pass ''"),
        ("1 3", (5, 3, 1), r"\(height, width\).*not \(5, 3, 1\)"),
        ("1 3", 15, r"\(height, width\).*not 15"),
        ("1 3", (5, 0), r"from 1 up, not \(5, 0\)"),
        ("1 3", (5.0, 3), r"not \(5.0, 3\)"),
    ],
)
def test_rle_decode_refuses(text, shape, message):
    with pytest.raises(ValueError, match=message):
        labels.rle_decode(text, shape)


def test_rle_decode_takes_what_is_legal():
    assert labels.rle_decode("", (2, 3)).tolist() == [[False] * 3] * 2
    assert labels.rle_decode(" 1 2  3 1 6 1\n", (2, 3)).ravel("F").tolist() == [True, True, True, False, False, True]
    assert labels.connected(labels.rle_decode("1 1 3 1", (1, 3))).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("bad, message", [(np.eye(3) * 255, "threshold"), (np.zeros((1, 3, 3)), "image by image")])
def test_rle_encode_refuses(bad, message):
    with pytest.raises(ValueError, match=message):
        labels.rle_encode(bad)


def test_run_lengths_of_all_real_nuclei_agree_with_the_plain_loop():
    """Each mask by itself, and the label images that they make."""
    folder = os.environ.get("UNETBOOK_DATA")
    archive = Path(folder or "", "dsb2018", "stage1_train.zip")
    if not folder or not archive.is_file():
        pytest.skip("the nuclei of the Data Science Bowl are not at hand: set UNETBOOK_DATA")
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if "/masks/" in name and name.endswith(".png"))
        images = [list(group) for _, group in groupby(names, key=os.path.dirname)]
        assert len(names) > 28_000 and len(images) > 660
        for image in images:
            data = [np.frombuffer(opened.read(name), np.uint8) for name in image]
            masks = [cv2.imdecode(each, cv2.IMREAD_GRAYSCALE) > 0 for each in data]
            expected = {}
            for picture in without_overlap(masks):
                rows = rows_slowly(picture)
                assert labels.rle_rows(picture) == list(rows.values()), os.path.dirname(image[0])
                expected |= rows
            for k, (name, mask) in enumerate(zip(image, masks, strict=True), start=1):
                assert labels.rle_encode(mask) == expected[k], name
                assert np.array_equal(labels.rle_decode(expected[k], mask.shape), mask), name


def without_overlap(masks):
    """Label images in which mask k is k + 1, whole: one, and another where masks overlap."""
    pictures = []
    for number, mask in enumerate(masks, start=1):
        free = next((picture for picture in pictures if not picture[mask].any()), None)
        if free is None:
            pictures.append(free := np.zeros(mask.shape, np.int32))
        free[mask] = number
    return pictures
