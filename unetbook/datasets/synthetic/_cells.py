"""Adherent cells that touch, under a phase-contrast microscope: kin to PhC-U373, the paper's second task."""

import math

import cv2
import numpy as np

from unetbook.datasets.synthetic import _drawing as drawing
from unetbook.labels import separate


def cells(count, size, seed):
    """Cells under phase contrast, most of which touch another one; thick ones are dark, flat ones hardly so.

    count: number of pictures; size: pixels a side, or (height, width), at least 32; seed: 0 or larger.
    Returns images float32 (N, H, W, 1) in [0, 1] and labels int32 (N, H, W): 0 = background, 1 to n = cells,
    each one 4-connected component. Labels of touching cells share a border without any background between
    them (``labels.separate`` opens a gap). Picture k depends on (seed, k) and ``size`` only. Raises
    ``TypeError`` or ``ValueError`` naming the argument.

    What makes them hard: phase contrast shows edges, not areas, so the middle of a flat cell looks like the
    background; a bright halo surrounds each cell, and debris lies between them.
    """
    return drawing.draw_all(_draw, count, size, seed)


def _draw(rng, shape):
    labels, places = _outlines(rng, shape)
    phase = _phase_delay(rng, labels, places) + _debris(rng, shape)
    # Phase contrast subtracts the surroundings of each point: hence the halo around a cell, and the shade-off
    # that leaves the middle of a large flat cell as gray as the background.
    image = 0.52 - 0.6 * (cv2.GaussianBlur(phase, (0, 0), 0.9) - 0.85 * cv2.GaussianBlur(phase, (0, 0), 8))
    image += 0.05 * drawing.noise(rng, shape, 70)  # uneven illumination
    image += 0.015 * drawing.noise(rng, shape, 3) + 0.03 * rng.standard_normal(shape, np.float32)
    return image * rng.uniform(0.9, 1.1) + rng.normal(0, 0.02), labels


def _outlines(rng, shape):
    """Labels (H, W) of cells laid down one after another, and center (y, x), radius and angle of each.

    A cell takes the largest free piece of its outline. Some are tried beside another cell, where an overlap of
    up to a quarter becomes a contact; the others lie where almost all of them is free.
    """
    labels = np.zeros(shape, np.int32)
    places = []
    wanted = rng.uniform(0.25, 0.45) * labels.size
    for _ in range(20 + labels.size // 300):
        if wanted <= 0:
            break
        radius, angle = rng.uniform(11, 25), rng.uniform(0, 2 * math.pi)
        beside = places and rng.random() < 0.22
        center = [float(rng.uniform(-10, side + 10)) for side in shape]
        if beside:
            neighbor, other, _ = places[rng.integers(len(places))]
            away, direction = 0.85 * (radius + other), rng.uniform(0, 2 * math.pi)
            center = [neighbor[0] + away * math.sin(direction), neighbor[1] + away * math.cos(direction)]
        outline = _polygon(rng, radius, angle)
        place, _, _ = drawing.window(shape, center, np.abs(outline).max() + 1)
        cell = np.zeros(labels[place].shape, np.uint8)
        if cell.size == 0:
            continue  # outside the picture
        corner = place[1].start, place[0].start
        cv2.fillPoly(cell, [np.int32(np.round(outline + center[::-1] - corner))], 1)
        whole = np.count_nonzero(cell)
        cell[labels[place] > 0] = 0
        _, pieces, statistics, _ = cv2.connectedComponentsWithStats(cell, connectivity=4)
        areas = np.append(statistics[1:, cv2.CC_STAT_AREA], 0)
        if areas.max() >= max((0.75 if beside else 0.99) * whole, 60):
            places.append((center, radius, angle))
            labels[place][pieces == 1 + areas.argmax()] = len(places)
            wanted -= areas.max()
    return labels, places


def _polygon(rng, radius, angle):
    """A lobed, elongated, slightly bent outline with up to three arms: points (64, 2), x and y from the center."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    reach = 1 + sum(rng.normal(0, 0.22 / m) * np.cos(m * turn + rng.uniform(0, 6.3)) for m in (2, 3, 4, 5))
    for _ in range(rng.integers(0, 4) if radius > 14 else 0):
        reach += rng.uniform(0.2, 0.9) * np.maximum(np.cos(turn - rng.uniform(0, 6.3)), 0) ** 16
    stretch = math.sqrt(rng.uniform(1, 2.6 if radius > 14 else 1.3))
    along, across = radius * stretch * reach * np.cos(turn), radius / stretch * reach * np.sin(turn)
    across += rng.normal(0, 0.1) * along**2 / radius
    return np.stack(drawing.rotate(across, along, angle), axis=-1)


def _phase_delay(rng, labels, places):
    """Optical thickness (H, W): 0 in the medium, largest over nuclei and granules."""
    shape = labels.shape
    depth = drawing.distance((labels > 0) & ~drawing.edges(labels))
    # Small cells are round and thick, large ones are spread out and flat.
    height = [0] + [rng.uniform(0.25, 0.7) * (17 / radius) ** 1.5 for _, radius, _ in places]
    steep = [1] + [rng.uniform(1.5, 4) for _ in places]
    phase = np.float32(height)[labels] * (1 - np.exp(-depth / np.float32(steep)[labels]))
    ruffles = np.exp(-((depth - 2) ** 2) / 2) * np.maximum(drawing.noise(rng, shape, 5), 0)
    granules = np.maximum(drawing.noise(rng, shape, 1.3) - 0.8, 0)
    granules *= np.maximum(drawing.noise(rng, shape, 6) + 0.6, 0)
    texture = 0.3 * ruffles + 0.25 * granules + 0.05 * drawing.noise(rng, shape, 2)
    phase += np.where(labels, texture, 0)
    contacts = (labels > 0) & (separate(labels) == 0)  # a groove, now deep, now hardly visible
    groove = cv2.GaussianBlur(np.float32(contacts), (0, 0), 1.3)
    phase -= 0.9 * groove * np.clip(0.85 + 0.2 * drawing.noise(rng, shape, 6), 0.2, 1)
    for number, (center, radius, angle) in enumerate(places, 1):
        place, dy, dx = drawing.window(shape, center, radius)
        nucleus = _nucleus(rng, *drawing.rotate(dy, dx, angle), radius * rng.uniform(0.35, 0.5))
        phase[place] += np.where(labels[place] == number, nucleus, 0)
    return phase


def _nucleus(rng, along, across, size):
    """An ellipse with a dark rim and one to three nucleoli, thinner than the cytoplasm around it."""
    level = np.sqrt((along / 1.3) ** 2 + across**2) / size
    nucleus = 0.15 * np.exp(-12 * (level - 1) ** 2) - 0.1 * (level < 1)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(-0.5, 0.5, 2).tolist()
        nucleus += 0.4 * np.exp(-25 * ((along / size - x) ** 2 + (across / size - y) ** 2))
    return nucleus


def _debris(rng, shape):
    """Phase delay (H, W) of specks in focus and of rings far out of focus; they belong to no cell."""
    debris = np.zeros(shape, np.float32)
    for kind, often in (("speck", 12), ("ring", 4)):
        for _ in range(rng.poisson(often * debris.size / 256**2)):
            size = rng.uniform(1, 3) if kind == "speck" else rng.uniform(4, 11)
            place, dy, dx = drawing.window(shape, rng.uniform(0, shape).tolist(), 4 * size)
            level = np.sqrt(dy**2 + dx**2) / size
            if kind == "speck":
                debris[place] += rng.uniform(0.2, 0.7) * np.exp(-(level**2) / 2)
            else:
                debris[place] += rng.uniform(-0.3, 0.3) * np.exp(-8 * (level - 1) ** 2)
    return debris
