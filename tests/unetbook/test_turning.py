"""The plainest augmentation: eight turns that keep image, labels and weights together, and a little light."""

import numpy as np

from unetbook.augment import turn_and_shade


def test_augmentation_turns_image_and_labels_alike():
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1) / 64 + 0.375  # in [0.375, 0.61]: nothing is clipped
    labels = np.argsort(np.argsort(image.ravel())).reshape(4, 4).astype(np.int32)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(60):
        turned, turned_labels, weights = turn_and_shade(image, labels, rng, labels)
        assert np.array_equal(np.argsort(turned.ravel()), np.argsort(turned_labels.ravel()))
        assert np.array_equal(weights, turned_labels) and turned.dtype == np.float32
        seen.add(tuple(turned_labels.ravel()))
    assert len(seen) == 8


def test_light_changes_by_no_more_than_is_said_and_stays_in_range():
    rng, gray = np.random.default_rng(1), np.array([0.0, 0.25, 0.5, 1.0], np.float32)
    image, labels = np.broadcast_to(gray, (4, 4))[..., None], np.zeros((4, 4), np.uint8)
    darks, contrasts = [], []
    for _ in range(300):
        shown, same = turn_and_shade(image, labels, rng)  # without weights two come back
        black, low, middle, white = np.unique(shown.round(6))[[0, 1, 2, -1]]
        darks.append(middle - 0.5)
        contrasts.append(4 * (middle - low))
        assert 0 <= black and white <= 1 and same.dtype == np.uint8 and not same.any()
    assert -0.1 <= min(darks) < -0.09 and 0.09 < max(darks) <= 0.1
    assert 0.8 - 1e-4 <= min(contrasts) < 0.81 and 1.19 < max(contrasts) <= 1.2 + 1e-4


def test_a_seed_repeats_a_turn_and_what_came_in_is_left_as_it_was():
    image = np.random.default_rng(2).random((5, 5, 3), np.float32)
    labels, before = np.arange(25).reshape(5, 5), image.copy()
    one, other = (turn_and_shade(image, labels, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True)) and np.array_equal(image, before)
    assert one[0].shape == (5, 5, 3)
