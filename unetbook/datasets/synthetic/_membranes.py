"""Neural tissue as a transmission electron microscope sees a thin section: the stand-in for ISBI 2012."""

import math

import cv2
import numpy as np

from unetbook.datasets.synthetic import _drawing as drawing

MARGIN = 32  # pixels drawn around the picture, so that its edge is a cut through the tissue
REACH = 24  # pixels around an outline that a profile can fill


def membranes(count, size, seed):
    """Cell profiles between dark membranes, as in serial-section electron microscopy (about 4 nm a pixel).

    count: number of pictures; size: pixels a side, or (height, width), at least 32; seed: 0 or larger.
    Returns images float32 (N, H, W, 1) in [0, 1] and labels int32 (N, H, W): 0 = membrane, 1 to n = the
    interiors, each one 4-connected component. Picture k depends on (seed, k) and ``size`` only. Raises
    ``TypeError`` or ``ValueError`` naming the argument.

    What makes them hard: membranes cut obliquely are wide and faint, and mitochondria, vesicles and smudges
    are as dark as membranes.
    """
    return drawing.draw_all(_draw, count, size, seed)


def _draw(rng, shape):
    depth = cv2.GaussianBlur(drawing.distance(~drawing.edges(_profiles(rng, shape))), (0, 0), 1.2)
    # A membrane that the knife cut obliquely is wide, soft and faint.
    oblique = np.clip(drawing.noise(rng, shape, 8) - 1.0, 0, 1.5)
    width = 2.3 + 0.4 * drawing.noise(rng, shape, 8) + 3 * oblique
    labels = drawing.tidy(depth > width, smallest=30)
    depth = np.where(labels, depth, np.minimum(depth, width))  # what is too small becomes membrane

    contrast = np.clip(0.42 + 0.07 * drawing.noise(rng, shape, 8) - 0.08 * oblique, 0.1, 1)
    softness = 0.5 + oblique
    membrane = contrast / (1 + np.exp(np.minimum((depth - width + 0.4) / softness, 50)))
    tone = 0.64 + 0.04 * rng.standard_normal(labels.max() + 1)
    image = tone.astype(np.float32)[labels]
    image -= np.maximum(membrane, _organelles(rng, drawing.distance(labels > 0)))
    image -= 0.25 * np.clip(drawing.noise(rng, shape, 10) - 1.9, 0, 1)  # smudges of stain
    image -= 0.1 * np.maximum(drawing.noise(rng, shape, 1.4), 0)  # granular cytoplasm
    image += 0.03 * drawing.noise(rng, shape, 5)
    image += 0.04 * drawing.noise(rng, shape, 60)  # uneven section and shading
    image += 0.18 * rng.standard_normal(shape, np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    return image * rng.uniform(0.9, 1.1) + rng.normal(0, 0.03), labels


def _profiles(rng, shape):
    """Numbers (H, W) of the cell profiles that fill the picture, of tens to thousands of pixels each.

    Each pixel goes to the profile whose outline is nearest, as in a Voronoi diagram, but the sites are chains
    of ellipses: small profiles come out round, large ones wrap around them. Then all of it is bent.
    """
    bend_y, bend_x = (8 * drawing.noise(rng, shape, 20) + 1.2 * drawing.noise(rng, shape, 6) for _ in "yx")
    y, x = np.indices(shape, np.float32) + np.stack([bend_y, bend_x])
    reach = REACH + float(max(np.abs(bend_y).max(), np.abs(bend_x).max()))
    nearest = np.full(shape, REACH, np.float32)
    profiles = np.zeros(shape, np.int32)
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    for number in range(1, area // 1700):
        cy, cx = (float(rng.uniform(-MARGIN, side + MARGIN)) for side in shape)
        length = min(7 * (1 + rng.pareto(1.4)), 60)
        angle, flat = rng.uniform(0, np.pi), rng.uniform(0.4, 1)
        for _ in range(rng.integers(1, 4)):
            place, _, _ = drawing.window(shape, (cy, cx), length + reach)
            along, across = drawing.rotate(y[place] - cy, x[place] - cx, angle)
            outside = np.sqrt(along**2 + (across / flat) ** 2) - length
            closer = outside < nearest[place]
            nearest[place][closer] = outside[closer]
            profiles[place][closer] = number
            cy, cx = cy + 1.5 * length * math.sin(angle), cx + 1.5 * length * math.cos(angle)
            angle, length = angle + rng.normal(0, 0.7), 0.8 * length
    return profiles


def _organelles(rng, inside):
    """Darkness (H, W) of mitochondria, vesicles and granules; ``inside`` is the distance to the membrane."""
    shape = inside.shape
    dark = np.zeros(shape, np.float32)
    for _ in range(rng.poisson(40 * inside.size / 256**2)):
        y, x = rng.integers(0, shape)
        room = inside[y, x]
        if room > 7 and not dark[y, x]:
            _mitochondrion(rng, dark, (y, x), min(room, 28) * rng.uniform(0.6, 0.95))

    rings = np.zeros(shape, np.uint8)
    crowded = drawing.noise(rng, shape, 14)
    for _ in range(rng.poisson(330 * inside.size / 256**2)):
        y, x = rng.integers(0, shape)
        if inside[y, x] > 4 and crowded[y, x] > 0.2 and not dark[y, x]:
            radius, line = (rng.uniform(2, 3.5), 1) if rng.random() < 0.7 else (rng.uniform(0.6, 1.6), -1)
            center = (int(16 * x), int(16 * y))
            cv2.circle(rings, center, int(16 * radius), int(rng.uniform(130, 255)), line, cv2.LINE_AA, 4)
    return np.maximum(dark, 0.45 / 255 * rings)


def _mitochondrion(rng, dark, center, length):
    """Two dark lines around a gray body crossed by cristae, drawn into ``dark``."""
    place, dy, dx = drawing.window(dark.shape, center, length + 1)
    along, across = drawing.rotate(dy, dx, rng.uniform(0, np.pi))
    half_width = max(length * rng.uniform(0.45, 0.9), 4)
    across = across + 0.15 * rng.normal() * along**2 / length
    depth = (1 - np.hypot(along / length, across / half_width)) * half_width
    bend = drawing.noise(rng, depth.shape, 4)
    cristae = np.sin(2 * np.pi * along / rng.uniform(4, 6) + 1.5 * bend)
    body = 0.2 + 0.1 * cristae
    body[depth < 3.6] = 0.33
    body[depth < 2.6] = 0.1
    body[depth < 1.4] = 0.33
    body[depth < 0] = 0
    np.maximum(dark[place], body, out=dark[place])
