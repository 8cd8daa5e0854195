"""Nuclei under a fluorescence microscope: the stand-in for the Data Science Bowl 2018."""

import math

import cv2
import numpy as np

from unetbook.datasets.synthetic import _drawing as drawing

SMALLEST = 30  # pixels of a nucleus


def nuclei(count, size, seed):
    """Bright nuclei on a dark ground, as in fluorescence microscopy of stained DNA.

    count: number of pictures; size: pixels a side, or (height, width), at least 32; seed: 0 or larger.
    Returns images float32 (N, H, W, 1) in [0, 1] and labels int32 (N, H, W): 0 = background, 1 to n = nuclei,
    each one 4-connected component of at least 30 pixels. Labels of touching nuclei share a border without any
    background between them (``labels.separate`` opens a gap). Picture k depends on (seed, k) and ``size``
    only. Raises ``TypeError`` or ``ValueError`` naming the argument.

    What makes them hard: some nuclei are many times brighter than others, so the haze around them is as bright
    as a dim one; nuclei out of focus lie below the labeled ones; and about three in ten touch another one.
    """
    return drawing.draw_all(_draw, count, size, seed)


def _draw(rng, shape):
    radius = 11.5 * math.exp(rng.uniform(-0.4, 0.4))  # a typical nucleus: magnification and cell type
    labels, light = _nuclei(rng, shape, radius)
    light *= _chromatin(rng, shape, radius)
    light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.8, 1.6))
    light += _haze(rng, light, radius)
    light *= np.maximum(1 + 0.3 * drawing.noise(rng, shape, 90), 0.3)  # uneven illumination
    light += rng.uniform(0.02, 0.12) * (1 + 0.3 * drawing.noise(rng, shape, 60))  # stain in the medium
    light = np.maximum(rng.uniform(0.4, 1.1) / np.quantile(light, 0.99) * light, 0)
    photons = math.exp(rng.uniform(math.log(60), math.log(600)))  # of a pixel as bright as 1
    light += np.sqrt(light / photons) * rng.standard_normal(shape, np.float32)
    return light + 0.008 * rng.standard_normal(shape, np.float32), labels


def _nuclei(rng, shape, typical):
    """Labels (H, W) of nuclei laid down one after another, and the light (H, W) that they send out.

    A nucleus takes the largest free piece of its outline. Some are tried beside another nucleus, where an
    overlap becomes a contact. The light of both adds up there, since the microscope looks through them.
    """
    labels, light = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    crowded = drawing.noise(rng, shape, 5 * typical) > rng.uniform(-1.5, 0.3)
    spread, company = rng.uniform(0.55, 1.0), rng.uniform(0, 0.12)
    wanted = rng.uniform(0.1, 0.27) * labels.size
    places = []
    for _ in range(20 + labels.size // 200):
        if wanted <= 0:
            break
        center = rng.uniform(0, shape).tolist()
        beside = places and rng.random() < company
        radius = typical * math.exp(rng.normal(0, 0.2))
        if beside:
            (y, x), other = places[rng.integers(len(places))]
            away, direction = rng.uniform(0.75, 0.95) * (radius + other), rng.uniform(0, 2 * math.pi)
            center = [y + away * math.sin(direction), x + away * math.cos(direction)]
        elif places and not crowded[int(center[0]), int(center[1])]:
            continue
        place, level = _outline(rng, shape, center, radius)
        inside, taken = level < 1, labels[place] > 0
        free = drawing.largest(inside & ~taken)
        area = np.count_nonzero(free)
        if area < max(0.7 * np.count_nonzero(inside), SMALLEST):
            continue
        if not beside and taken[level < 1.12].any():
            continue  # a gap remains around those that keep to themselves
        places.append((center, radius))
        labels[place][free] = len(places)
        wanted -= area
        depth = np.maximum(1 - level, 0) * radius
        # Smaller nuclei are more condensed, and shine the brighter for it.
        bright = math.exp(spread * max(rng.normal(), -1.6)) * typical / radius
        light[place] += bright * np.where(inside & (labels[place] > 0), 1 - 0.5 * np.exp(-depth / 2), 0)
    return labels, light


def _outline(rng, shape, center, radius):
    """Where a nucleus may lie, and its level there: below 1 inside an ellipse with dents, bent and lobed."""
    place, dy, dx = drawing.window(shape, center, 2 * radius)
    along, across = drawing.rotate(dy, dx, rng.uniform(0, math.pi))
    across = across + rng.normal(0, 0.12) * along**2 / radius
    stretch = math.sqrt(rng.uniform(1, 1.9))
    along, across = along / stretch, across * stretch
    turn = np.arctan2(across, along)
    reach = 1 + sum(rng.normal(0, 0.15 / m**1.5) * np.cos(m * turn + rng.uniform(0, 6.3)) for m in (2, 3, 4, 5))
    return place, np.hypot(along, across) / (radius * reach)


def _chromatin(rng, shape, radius):
    """Light per DNA (H, W), about 1: fine grain, and nucleoli (dark) or chromocenters (bright)."""
    spots = np.clip(drawing.noise(rng, shape, 0.17 * radius) - 0.7, 0, 1.5)
    spotted = 1 + rng.choice([-0.4, 0.2, 0.8]) * spots
    return np.maximum(spotted + 0.18 * drawing.noise(rng, shape, 1.5), 0.1)


def _haze(rng, light, radius):
    """Light (H, W) from out of focus: scattered, from cytoplasm, and from nuclei far above or below."""
    haze = rng.uniform(0.2, 0.6) * cv2.GaussianBlur(light, (0, 0), 1.2 * radius)
    cytoplasm = cv2.GaussianBlur(light, (0, 0), 0.5 * radius) * np.maximum(1 + drawing.noise(rng, light.shape, 6), 0)
    haze += rng.uniform(0, 0.3) * cytoplasm
    for _ in range(rng.poisson(rng.uniform(0, 12) * light.size / 256**2)):
        sigma = radius * rng.uniform(0.5, 1.2)
        place, dy, dx = drawing.window(light.shape, rng.uniform(0, light.shape).tolist(), 3 * sigma)
        haze[place] += rng.uniform(0.1, 0.5) * np.exp(-(dy**2 + dx**2) / (2 * sigma**2))
    return haze
