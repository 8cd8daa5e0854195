"""What a result is written as: labels, an overlay, a table of objects, and outlines for QuPath and ImageJ."""

import csv
import json

import numpy as np
from skimage import measure, segmentation

from unetbook import checks, drafts, labels, normalize

OUTLINE = (230, 159, 0)  # orange, RGB
ONLY_SHORT = 60000  # pixels; ImageJ keeps a simple outline in 16 bits


def overlay(image, found) -> np.ndarray:
    """The image (H, W, 1 or 3), stretched to be seen, each object outlined in orange: (H, W, 3) in [0, 1]."""
    shown = normalize.stretched(image)
    shown = np.repeat(shown, 3, axis=2) if shown.shape[2] == 1 else shown
    shown[segmentation.find_boundaries(found, mode="inner")] = np.array(OUTLINE) / 255
    return shown


def visible(image, channels=None) -> np.ndarray:
    """An image (H, W, C) as one can look at it, (H, W, 1 or 3): the channels chosen, or the mean of all."""
    chosen = image if channels is None else normalize.picked(image, channels)
    return chosen if chosen.shape[2] in (1, 3) else chosen.mean(axis=2, keepdims=True)


def table(found, image=None, pixel_size=None) -> list[dict]:
    """One row an object, by its number.

    found: integers (H, W), 0 for the background. image: floats (H, W, C) in [0, 1]. pixel_size: micrometers.

    ``area`` in pixels; ``x`` and ``y`` of the center, the middle of the first pixel being 0; ``diameter`` of the disc
    of that area; ``circularity``, 4 pi area / perimeter^2, 1 for a disc and at most that, the perimeter after Crofton,
    whose steps of a digital outline do not add up; ``mean`` gray of each channel, a share of the range of the file's
    bits. With a pixel size area, center and diameter once more, in micrometers. Raises ``ValueError`` for other labels,
    for an image of another size and for a pixel size that is not above 0.
    """
    found = _numbered(found)
    if image is not None and np.shape(image)[:2] != found.shape:
        raise ValueError(f"an image of {np.shape(image)[:2]} pixels does not fit labels of {found.shape}")
    check_pixel_size(pixel_size)
    rows = []
    for one in measure.regionprops(found, None if image is None else np.asarray(image)):
        y, x = map(float, one.centroid)
        area, around = int(one.area), float(one.perimeter_crofton)
        row = {"label": int(one.label), "area": area, "x": x, "y": y, "diameter": float(one.equivalent_diameter_area)}
        row["circularity"] = min(1.0, 4 * np.pi * area / around**2) if around else 1.0
        if image is not None:
            means = np.atleast_1d(one.intensity_mean)
            row |= {f"mean_{n}" if len(means) > 1 else "mean": float(mean) for n, mean in enumerate(means, start=1)}
        if pixel_size is not None:
            row |= {f"{name}_um": pixel_size * row[name] for name in ("x", "y", "diameter")}
            row["area_um2"] = pixel_size**2 * area
        rows.append(row)
    return rows


def check_pixel_size(micrometers) -> None:
    """``ValueError`` for a size that no pixel has; ``None`` is none."""
    if micrometers is not None and not 0 < micrometers < np.inf:
        raise ValueError(f"a pixel has a size above 0 in micrometers, not {micrometers!r}")


def outlines(found) -> dict[int, list[list[np.ndarray]]]:
    """The outlines of each object, {number: pieces}; a piece is its outer ring, then those of its holes.

    found: integers (H, W). A ring is (N, 2), x and y of its corners, the first once more at the end; the corner of the
    image is 0, so that the middle of the first pixel is 0.5. It runs midway between pixels of the piece and others,
    which gives the piece back exactly: the middle of a pixel lies inside of it or not. Pieces are 4-connected.
    """
    found, every = _numbered(found), {}
    for one in measure.regionprops(found):
        top, left = one.bbox[:2]
        pieces = labels.connected(one.image)
        every[int(one.label)] = [_rings(pieces == piece, left, top) for piece in range(1, pieces.max() + 1)]
    return every


def _numbered(found):
    found = checks.label_image(found, "labels")
    if found.size:
        checks.label_range(found.min(), found.max())
    return found


def _rings(mask, left, top):
    """The outer ring of a 4-connected mask, then those of its holes."""
    rings = measure.find_contours(np.pad(mask, 1).astype(np.uint8), 0.5, fully_connected="low")
    rings = [ring[:, ::-1] + (left - 0.5, top - 0.5) for ring in rings]  # the padding takes one pixel off
    return sorted(rings, key=lambda ring: -abs(_signed_area(ring)))


def _signed_area(ring):
    x, y = ring[:-1].T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def geojson(found, name="object") -> dict:
    """The objects as a GeoJSON collection that QuPath opens: polygons in pixels, detections of the class ``name``.

    name: one for all objects, or {number: name} where labels are classes.
    Outer rings run against the clock where y points up and holes with it, as RFC 7946 asks; here y points down.
    """
    features = []
    for number, pieces in outlines(found).items():
        polygons = [[_turned(ring, outer=not place) for place, ring in enumerate(piece)] for piece in pieces]
        single = len(polygons) == 1
        geometry = {"type": "Polygon" if single else "MultiPolygon", "coordinates": polygons[0] if single else polygons}
        called = {"name": name if isinstance(name, str) else name[number]}
        properties = {"objectType": "detection", "classification": called, "name": str(number)}
        features.append({"type": "Feature", "id": number, "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _turned(ring, outer):
    """The ring as a list, with a signed area above 0 for an outer one and below for a hole."""
    return (ring if (_signed_area(ring) > 0) == outer else ring[::-1]).tolist()


def write_table(path, rows) -> None:
    """Write the rows of ``table`` as CSV; without an object, an empty file with a header."""

    def fill(draft):
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["label"])
            writer.writeheader()
            writer.writerows(rows)

    drafts.put(path, fill)


def write_geojson(path, found, name="object", axes="") -> None:
    """Write ``geojson``, one object a line; of a stack (..., H, W) each slice's, on the plane that ``axes`` tells."""
    features = []
    for index in np.ndindex(found.shape[:-2]):
        slices = geojson(found[index], name)["features"]
        for feature in slices if axes else ():
            at = dict(zip(axes, index, strict=True))
            planes = {"c": -1, "z": next((at[axis] for axis in axes if axis != "T"), 0), "t": at.get("T", 0)}
            feature["geometry"]["plane"] = planes  # as QuPath writes it
            feature["id"] = "-".join(map(str, (*index, feature["id"])))
        features += slices
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
    content = f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n'
    drafts.put(path, lambda draft: draft.write_text(content, encoding="utf-8", newline="\n"))


def write_rois(path, found, names=None, axes="") -> None:
    """Write the objects as ImageJ regions of interest, a zip for its ROI Manager, each named by its number.

    found: integers (H, W), or a stack (..., H, W), whose regions are named by slice and number, the slices counted from
    1, and stand on the slice that ``axes`` tells. names: {number: name}, where labels are classes. Outlines run along
    the edges of pixels, as ImageJ's wand draws them, so that a region holds the pixels of its object and no other. An
    object of several pieces, or with holes, is one composite region.
    """
    import roifile

    def region(number, pieces):
        rings = [_along_edges(ring) for piece in pieces for ring in piece]
        if len(rings) == 1 and rings[0].max() < ONLY_SHORT:
            roi = roifile.ImagejRoi.frompoints(rings[0])
            roi.roitype = roifile.ROI_TYPE.TRACED
            roi.right, roi.bottom = roi.right - 1, roi.bottom - 1  # edges, not pixels, are what it counts
        else:  # points as 32-bit floats, each behind a 0 (move there) or a 1 (a line there), and a 4 (close)
            paths = [np.insert(np.insert(ring, 0, 1, axis=1).ravel(), 3 * len(ring), 4) for ring in rings]
            for one in paths:
                one[0] = 0
            (left, top), (right, bottom) = (edge(np.concatenate(rings), axis=0).tolist() for edge in (np.min, np.max))
            roi = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, left=left, top=top, right=right, bottom=bottom)
            roi.multi_coordinates = np.concatenate(paths).astype(np.float32)
            roi.shape_roi_size = len(roi.multi_coordinates)
        roi.name = str(number) if names is None else names[number]
        return roi

    found, regions = np.asarray(found), {}
    for index in np.ndindex(found.shape[:-2]):
        for number, pieces in outlines(found[index]).items():
            one = region(number, pieces)
            if axes:
                at = dict(zip(axes, index, strict=True))
                one.t_position = at.pop("T", -1) + 1  # counted from 1; 0 is every slice
                one.z_position = next(iter(at.values()), -1) + 1
            name = "-".join(f"{place:04d}" for place in (*(one + 1 for one in index), number)) if axes else str(number)
            regions[name] = one
    drafts.put(path, lambda draft: roifile.roiwrite(draft, regions.values(), name=regions.keys(), mode="w"))


def _along_edges(ring):
    """A ring of ``outlines``, which cuts corners, along the edges of pixels: integers (N, 2), each corner once."""
    here, there = ring[:-1], ring[1:]  # the middles of edges; two that follow each other share the corner between them
    corners = np.where(here % 1 == 0, here, np.where(there % 1 == 0, there, (here + there) / 2)).astype(np.int32)
    before, after = corners - np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0) - corners
    return corners[(before != after).any(axis=1)]
