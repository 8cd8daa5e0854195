"""The plainest augmentation: turns by 90 degrees and mirror images, which need no interpolation, and a little light."""

import numpy as np


def turn_and_shade(image, labels, rng, weights=None):
    """One of the eight turns and mirror images of a square, then contrast by up to 20 % and brightness by up to 0.1.

    image: float32 (H, W, C) in [0, 1]; labels, weights: (H, W), turned alike. Returns what came in.
    """
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    planes = [image, labels] + ([] if weights is None else [weights])
    planes = [np.rot90(plane[:, ::-1] if flip else plane, turns) for plane in planes]
    contrast, brightness = rng.uniform(0.8, 1.2), rng.uniform(-0.1, 0.1)
    planes[0] = np.clip((planes[0] - 0.5) * contrast + 0.5 + brightness, 0, 1).astype(np.float32)
    return tuple(planes)
