"""Pigmented skin lesions under a dermatoscope: the stand-in for ISIC 2017."""

import math

import cv2
import numpy as np

from unetbook.datasets.synthetic import _drawing as drawing

# Optical density of one unit of each pigment in red, green and blue. Melanin is brown near the surface, and
# gray-blue where it lies deep in the skin.
MELANIN, DEEP, BLOOD = np.float32([[0.3, 0.7, 1.0], [0.9, 0.75, 0.6], [0.06, 0.5, 0.45]])
AREA = 0.02, 0.6  # smallest and largest share of the picture


def lesions(count, size, seed):
    """Skin with one pigmented lesion, as in dermoscopy: in color, with hairs and dark corners.

    count: number of pictures; size: pixels a side, or (height, width), at least 32; seed: 0 or larger.
    Returns images float32 (N, H, W, 3), RGB in [0, 1], and labels int32 (N, H, W): 0 = skin, 1 = the lesion,
    one 4-connected component without holes that covers 2 to 60 % of the picture, whatever its size. Its
    outline is where the pigment has half of its density. Picture k depends on (seed, k) and ``size`` only.
    Raises ``TypeError`` or ``ValueError`` naming the argument.

    What makes them hard: exposure, light and skin differ from picture to picture, so no level of gray fits
    all; hairs, freckles, a ruler and the dark corners are as dark as a lesion; and many lesions fade out.
    """
    return drawing.draw_all(_draw, count, size, seed, channels=3)


def _draw(rng, shape):
    unit = min(shape) / 256  # everything grows with the picture
    lens = _lens(rng, shape)
    lesion = _outline(rng, lens > 0.5)
    melanin, blood = _skin(rng, shape, unit)
    profile = _profile(rng, lesion, unit)
    amount = math.exp(rng.uniform(math.log(0.2), math.log(1.7)))
    melanin += amount * profile * _structure(rng, shape, unit)
    deep = 0.25 * amount * profile * np.clip(drawing.noise(rng, shape, 12 * unit) - 0.7, 0, 1.5)
    blood += rng.uniform(-0.1, 0.25) * profile
    pigments = (melanin, MELANIN), (deep, DEEP), (blood, BLOOD)
    density = sum(amount[..., None] * color for amount, color in pigments)
    image = np.float32([0.87, 0.81, 0.77]) * np.exp(-density)  # Beer-Lambert law
    _gel(rng, image, unit)
    _hairs(rng, image, unit)
    if rng.random() < 0.25:
        _ruler(rng, image, unit)
    image *= _light(rng, shape) * lens[..., None]
    image = cv2.GaussianBlur(image, (0, 0), 0.5 + 0.3 * unit)
    return image + 0.012 * rng.standard_normal(image.shape, np.float32), lesion.astype(np.int32)


def _outline(rng, visible):
    """The lesion (H, W), boolean: an ellipse with an uneven border, of a wanted area, cut where the lens ends."""
    shape = visible.shape
    while True:
        area = 0.025 * 16 ** rng.beta(1, 1.5) * visible.size
        radius = math.sqrt(area / math.pi)
        y, x = (rng.normal(0.5, 0.08) * side for side in shape)
        _, dy, dx = drawing.window(shape, (y, x), sum(shape))
        along, across = drawing.rotate(dy, dx, rng.uniform(0, math.pi))
        stretch = math.sqrt(rng.uniform(1, 1.9))
        level = np.hypot(along / stretch, across * stretch) / radius
        for part, rough in ((0.6, 0.2), (0.25, 0.12), (0.08, 0.08)):
            level += rng.uniform(0, rough) * drawing.noise(rng, shape, part * radius)
        level[~visible] = np.inf
        mask = drawing.largest(level <= np.quantile(level, area / level.size))
        mask = ~drawing.largest(~mask) & visible  # without holes; a corner that it cuts off is none
        if AREA[0] <= mask.mean() <= AREA[1]:
            return mask


def _profile(rng, lesion, unit):
    """Share of the lesion's pigment (H, W): 0.5 on the outline, which is sharp here and soft there."""
    depth = drawing.distance(lesion) - drawing.distance(~lesion)
    soft = math.exp(rng.uniform(0, 1.6)) * unit * np.exp(0.5 * drawing.noise(rng, lesion.shape, 25 * unit))
    return 1 / (1 + np.exp(-np.clip(depth / soft, -30, 30)))


def _skin(rng, shape, unit):
    """Melanin and blood (H, W) of the skin around the lesion: its tone, freckles and mottling."""
    freckles = np.clip(drawing.noise(rng, shape, 5 * unit) - rng.uniform(1.3, 3), 0, 1)
    melanin = rng.gamma(1.5, 0.12) + rng.uniform(0, 0.7) * freckles
    melanin += 0.04 * drawing.noise(rng, shape, 1.5 * unit) + 0.05 * drawing.noise(rng, shape, 30 * unit)
    blood = rng.uniform(0.02, 0.28) + rng.uniform(0.02, 0.08) * drawing.noise(rng, shape, 10 * unit)
    blood += rng.uniform(0, 0.06) * drawing.noise(rng, shape, 3 * unit)
    return melanin, blood


def _structure(rng, shape, unit):
    """Pigment inside the lesion (H, W), about 1: blotches, the meshes of a pigment network, dots and globules."""
    network = np.exp(-((drawing.noise(rng, shape, rng.uniform(2, 3.5) * unit) / 0.4) ** 2))
    dots = np.clip(drawing.noise(rng, shape, rng.uniform(1.2, 3) * unit) - 1.2, 0, 1)
    structure = 1 + rng.uniform(0.05, 0.4) * drawing.noise(rng, shape, rng.uniform(8, 25) * unit)
    structure += rng.uniform(0, 0.5) * (network - 0.35) + rng.uniform(0, 0.8) * dots
    return np.maximum(structure, 0.2)


def _gel(rng, image, unit):
    """Brighten the picture in place: reflections on the skin, and air bubbles in the gel."""
    shape = image.shape[:2]
    shine = np.clip(drawing.noise(rng, shape, 1.2 * unit) - 1.6, 0, 1)
    shine *= np.clip(drawing.noise(rng, shape, 20 * unit) - rng.uniform(1, 3), 0, 1)
    for _ in range(rng.poisson(0.8)):
        radius = rng.uniform(2, 8) * unit
        place, dy, dx = drawing.window(shape, rng.uniform(0, shape).tolist(), 2 * radius)
        ring = (np.hypot(dy, dx) - radius) / unit
        shine[place] += rng.uniform(0.1, 0.3) * np.exp(-(ring**2)) * (1 + 0.7 * dx / radius)
    image += np.minimum(shine, 0.5)[..., None]


def _hairs(rng, image, unit):
    """Cover the picture in place with hairs, curved lines of varying thickness: none, a few or many."""
    height, width = image.shape[:2]
    color = np.float32([0.25, 0.17, 0.12]) * rng.uniform(0.3, 1.8)
    cover = np.zeros((height, width), np.uint8)
    step = np.linspace(0, 1, 24)[:, None]
    comb = rng.uniform(0, 2 * math.pi)  # the direction in which most of them lie
    for _ in range(rng.poisson(rng.choice([0, 5, 20]))):
        angle, length = comb + rng.normal(0, 0.7), rng.uniform(40, 220) * unit
        middle = rng.uniform(0, (width, height))
        start, end = middle - 0.5 * length * _toward(angle), middle + 0.5 * length * _toward(angle + 0.7)
        middle += rng.normal(0, 0.12 * length, 2)
        path = (1 - step) ** 2 * start + 2 * step * (1 - step) * middle + step**2 * end  # a Bézier curve
        thick = rng.uniform(0.4, 1.8) * unit
        line = np.zeros_like(cover)
        points = [np.int32(np.round(16 * path))]
        cv2.polylines(line, points, False, 255 * min(thick, 1.0), max(round(thick), 1), cv2.LINE_AA, 4)
        np.maximum(cover, line, out=cover)
    share = np.float32(0.9 / 255) * cover[..., None]
    image += share * (color - image)


def _ruler(rng, image, unit):
    """Draw the ticks of a ruler in place, all along one line."""
    start, angle = rng.uniform(0.2, 0.8, 2) * image.shape[1::-1], rng.uniform(-0.6, 0.6)
    along, across = _toward(angle), _toward(angle + math.pi / 2)
    start[1] = rng.choice([0.12, 0.88]) * image.shape[0]
    for tick in range(-10, 11):
        foot = start + 5 * unit * tick * along
        head = foot + (8 if tick % 5 == 0 else 5) * unit * across
        points = [np.int32(np.round(16 * end)).tolist() for end in (foot, head)]
        cv2.line(image, *points, (0.2, 0.2, 0.2), max(round(unit), 1), cv2.LINE_AA, 4)


def _toward(angle):
    return np.array([math.cos(angle), math.sin(angle)])


def _lens(rng, shape):
    """Share of the light (H, W) that passes the round lens: in half of the pictures it leaves dark corners."""
    edge, soft = rng.uniform(1.05, 1.3) if rng.random() < 0.5 else 9, rng.uniform(0.01, 0.06)
    return 1 / (1 + np.exp((_from_center(rng, shape) - edge) / soft))


def _light(rng, shape):
    """Light (H, W, 3) on the skin: its strength, color and gradient."""
    light = 1 - rng.uniform(0, 0.3) * _from_center(rng, shape) ** 2
    light += 0.07 * drawing.noise(rng, shape, 0.4 * min(shape))
    return light[..., None] * np.float32(rng.uniform(0.75, 1.25) * rng.normal(1, 0.05, 3))


def _from_center(rng, shape):
    """Distance (H, W) from about the middle of the picture, 1 at the edges of a square one."""
    half = math.hypot(*shape) / math.sqrt(8)
    y, x = (np.arange(side, dtype=np.float32) / half - side / (2 * half) + rng.normal(0, 0.06) for side in shape)
    return np.hypot(y[:, None], x)
