"""What a result is written as, read again: each object by hand, and outlines that give every pixel back."""

import csv
import itertools
import json

import numpy as np
import pytest
import roifile
from skimage.draw import disk, polygon2mask

from unetbook import labels, outputs
from unetbook.datasets import synthetic


def two_objects():
    found = np.zeros((40, 60), np.int32)
    found[disk((20, 20), 12)] = 1
    found[5, 40:58] = 7  # a line
    return found


def test_the_table_by_hand():
    found = two_objects()
    image = np.zeros((40, 60, 2), np.float32)
    image[..., 0], image[..., 1] = 0.25, np.linspace(0, 1, 60, dtype=np.float32)
    round_one, line = outputs.table(found, image, pixel_size=0.5)
    assert round_one["label"] == 1 and round_one["area"] == np.count_nonzero(found == 1)
    assert (round_one["x"], round_one["y"]) == pytest.approx((20, 20), abs=1e-6)
    assert round_one["diameter"] == pytest.approx(2 * np.sqrt(round_one["area"] / np.pi))
    assert 0.9 < round_one["circularity"] <= 1 and line["circularity"] < 0.3
    assert line["label"] == 7 and line["area"] == 18 and (line["x"], line["y"]) == (48.5, 5)
    assert line["mean_1"] == 0.25 and line["mean_2"] == pytest.approx(image[5, 40:58, 1].mean())
    assert line["area_um2"] == 18 * 0.25 and line["x_um"] == 48.5 / 2 and line["diameter_um"] == line["diameter"] / 2
    assert "area_um2" not in outputs.table(found)[0] and "mean" in outputs.table(found, image[..., :1])[0]
    assert outputs.table(np.zeros((5, 5), int)) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros((4, 4), np.float32),), "labels must be integers"),
        ((np.zeros((4, 4), int), np.zeros((4, 5, 1))), r"an image of \(4, 5\) pixels does not fit labels of \(4, 4\)"),
        ((np.zeros((4, 4), int), None, 0), "a pixel has a size above 0 in micrometers, not 0"),
        ((np.full((4, 4), -1),), "-1"),
    ],
)
def test_the_table_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        outputs.table(*arguments)


def inside(rings, shape):
    """Pixels whose middle lies in an odd number of these rings, by counting crossings to the left of it."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    crossed = np.zeros(shape, int)
    for ring in rings:
        for (x0, y0), (x1, y1) in itertools.pairwise(ring):
            between = (min(y0, y1) <= y) & (y < max(y0, y1))
            if y0 != y1:
                crossed += between & (x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x)
    return crossed % 2 == 1


def drawn_again(collection, shape):
    again = np.zeros(shape, np.int32)
    for feature in collection["features"]:
        geometry = feature["geometry"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        for rings in polygons:
            again[inside(rings, shape)] = int(feature["properties"]["name"])
    return again


def labeled(kind):
    if kind == "cells":
        return synthetic.cells(1, 64, seed=3)[1][0]
    if kind == "noise":
        return np.random.default_rng(0).integers(0, 3, (24, 30))  # pieces that touch by corners, and at the border
    found = np.zeros((20, 20), int)
    found[2:18, 2:18] = 4
    found[4:8, 4:8] = found[8:11, 8:11] = found[13, 13] = 0  # two of the holes meet in a corner
    found[5, 5] = 2
    return found


@pytest.mark.parametrize("kind", ["cells", "noise", "holes"])
def test_outlines_give_every_pixel_back(kind):
    found = labeled(kind)
    collection = outputs.geojson(found)
    assert np.array_equal(drawn_again(collection, found.shape), found)
    for feature in collection["features"]:
        geometry = feature["geometry"]
        for rings in geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]:
            turns = [np.sign(outputs._signed_area(np.array(ring))) for ring in rings]
            assert turns[0] == 1 and set(turns[1:]) <= {-1} and all(ring[0] == ring[-1] for ring in rings)
    pieces = sum(map(len, outputs.outlines(found).values()))
    assert pieces == sum(labels.connected(found == number).max() for number in np.unique(found[found > 0]))


def rasterized(roi, shape):
    """The pixels of an ImageJ region, by roifile and skimage: those whose middle lies in an odd number of its rings."""
    inside = np.zeros(shape, bool)
    for x, y in (ring.T for ring in roi.coordinates(multi=True)):
        inside ^= polygon2mask(shape, np.stack([y, x], axis=1) - 0.5)
    return inside


@pytest.mark.parametrize("kind", ["cells", "noise", "holes"])
def test_regions_for_imagej_hold_the_pixels_of_their_objects(kind, tmp_path):
    found = labeled(kind)
    outputs.write_rois(tmp_path / "a_rois.zip", found)
    assert [path.name for path in tmp_path.iterdir()] == ["a_rois.zip"]
    again = np.zeros_like(found)
    for roi in roifile.roiread(tmp_path / "a_rois.zip"):
        pixels = rasterized(roi, found.shape)
        assert np.array_equal(pixels, found == int(roi.name))
        again[pixels] = int(roi.name)
        rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
        assert (roi.top, roi.bottom, roi.left, roi.right) == (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
        simple = labels.connected(pixels).max() == 1 and len(outputs.outlines(pixels.astype(int))[1][0]) == 1
        assert roi.composite != simple and (roi.roitype == roifile.ROI_TYPE.TRACED) == simple
    assert np.array_equal(again, found)


def test_a_square_has_the_corners_that_one_draws_by_hand(tmp_path):
    found = np.zeros((8, 9), int)
    found[2:4, 5:8] = 3
    outputs.write_rois(tmp_path / "a.zip", found, {3: "a/b"})
    (roi,) = roifile.roiread(tmp_path / "a.zip")
    assert roi.name == "a/b" and sorted(map(tuple, roi.coordinates())) == [(5, 2), (5, 4), (8, 2), (8, 4)]
    outputs.write_rois(tmp_path / "a.zip", 0 * found)
    assert roifile.roiread(tmp_path / "a.zip") == []


def test_regions_far_from_the_corner_keep_their_place(tmp_path):
    for width in (40_000, 61_000):
        found = np.zeros((3, width), np.uint8)
        found[1, -5:-1] = 1
        outputs.write_rois(tmp_path / "a.zip", found)
        (roi,) = roifile.roiread(tmp_path / "a.zip")
        assert np.max(roi.coordinates(), axis=0).tolist() == [width - 1, 2]


def test_files_are_read_again(tmp_path):
    found = two_objects()
    outputs.write_geojson(tmp_path / "a.geojson", found, "Zelle")
    collection = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection == outputs.geojson(found, "Zelle") and len(collection["features"]) == 2
    assert collection["features"][1]["properties"]["classification"] == {"name": "Zelle"}
    outputs.write_geojson(tmp_path / "none.geojson", np.zeros((4, 4), int))
    assert json.loads((tmp_path / "none.geojson").read_text())["features"] == []
    rows = outputs.table(found, pixel_size=0.65)
    outputs.write_table(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open(newline="") as file:
        again = [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    assert again == [pytest.approx(row) for row in rows]
    outputs.write_table(tmp_path / "none.csv", [])
    assert (tmp_path / "none.csv").read_text().strip() == "label"
