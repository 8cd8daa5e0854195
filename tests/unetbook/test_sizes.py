import itertools

import keras
import numpy as np
import pytest

from unetbook import sizes
from unetbook.nets import unet


def walk(n, depth):
    """Figure 1 by brute force: the side of the output and the crops of the skips, or ``None`` where a size fails."""
    skips, crops = [], []
    for _ in range(depth):
        n -= 4
        if n < 2 or n % 2:
            return None
        skips.append(n)
        n //= 2
    n -= 4
    for skip in reversed(skips):
        n *= 2
        if (skip - n) % 2:
            return None
        crops.append((skip - n) // 2)
        n -= 4
    return (n, crops[::-1]) if n > 0 else None


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_legal_sizes_outputs_and_crops_equal_the_walk(depth):
    legal = [n for n in range(1, 900) if walk(n, depth)]
    assert sizes.legal_sizes(1, 899, depth) == legal
    assert sizes.smallest_input(depth) == legal[0]
    for n in legal:
        output, crops = walk(n, depth)
        assert sizes.output_size(n, depth) == output == n - 2 * sizes.margin(depth)
        assert [sizes.skip_crop(level, depth) for level in range(depth)] == crops


def test_the_numbers_of_figure_1():
    assert sizes.output_size(572) == 388
    assert sizes.margin() == 92
    assert sizes.legal_sizes(0, 240) == [188, 204, 220, 236]
    assert [sizes.skip_crop(level) for level in range(4)] == [88, 40, 16, 4]
    assert sizes.receptive_field() == (188, 204)
    walked = sizes.steps(572)
    after_two = [b.size_out for a, b in itertools.pairwise(walked) if a.name == b.name]
    assert after_two == [568, 280, 136, 64, 28, 52, 100, 196, 388]
    assert [step.size_out for step in walked if step.name == "up-convolution 2x2"] == [56, 104, 200, 392]
    assert walked[-1] == ("convolution 1x1", 0, 388, 388)


def test_the_receptive_field_follows_the_phase():
    for position in range(388):
        start, stop = sizes.seen_interval(position)
        assert stop - start == (188 if position % 16 < 4 else 204)
    assert sizes.seen_interval(0) == (0, 188) and sizes.seen_interval(387) == (384, 572)


@pytest.mark.parametrize(
    ("n", "depth", "padding", "choice", "rule"),
    [
        (570, 4, "valid", "556 or 572", "188 + 16 k"),
        (573, 4, "valid", "572 or 588", "188 + 16 k"),
        (100, 4, "valid", "188 (the smallest)", "188 + 16 k"),
        (-3, 4, "valid", "188 (the smallest)", "188 + 16 k"),
        (46, 2, "valid", "44 or 48", "44 + 4 k"),
        (250, 4, "same", "240 or 256", "16 + 16 k"),
        (3, 3, "same", "8 (the smallest)", "8 + 8 k"),
    ],
)
def test_an_illegal_size_names_the_nearest_legal_ones(n, depth, padding, choice, rule):
    with pytest.raises(ValueError) as error:
        sizes.check_input_size(n, depth, padding)
    assert f"an input of {n} pixels" in str(error.value)
    assert f"use {choice}. Legal sizes are {rule}." in str(error.value)


def test_output_size_and_steps_refuse_what_cannot_work():
    for function in (sizes.output_size, sizes.steps):
        with pytest.raises(ValueError, match="556 or 572"):
            function(571)
    for bad in (0, -1, 2.5, "4"):
        with pytest.raises(ValueError, match="depth must be a whole number of at least 1"):
            sizes.margin(bad)
    with pytest.raises(ValueError, match="level must lie in 0 to 3, not 4"):
        sizes.skip_crop(4)
    with pytest.raises(ValueError, match="padding must be 'valid' or 'same', not 'full'"):
        sizes.check_input_size(572, 4, "full")


def test_the_ledger_of_the_live_model_equals_the_hand_formula():
    model = unet((572, 572, 1), 2)
    rows = sizes.ledger(model)
    assert sum(row.parameters for row in rows) == model.count_params() == 31_030_658
    assert all(row.size_in[0] == row.size_in[1] and row.size_out[0] == row.size_out[1] for row in rows)
    kernels = {layer.name: getattr(layer, "kernel_size", None) for layer in model.layers}
    names = {
        ("Conv2D", (3, 3)): "convolution 3x3",
        ("Conv2D", (1, 1)): "convolution 1x1",
        ("Conv2DTranspose", (2, 2)): "up-convolution 2x2",
        ("MaxPooling2D", None): "max pooling 2x2",
        ("Cropping2D", None): "crop of the skip",
    }
    live = [
        (names[row.kind, kernels[row.layer]], row.size_in[0], row.size_out[0])
        for row in rows
        if (row.kind, kernels[row.layer]) in names
    ]
    hand = [(step.name, step.size_in, step.size_out) for step in sizes.steps(572)]
    assert sorted(live) == sorted(hand)  # Keras lists the crops of the skips where it likes
    without_crops = [[row for row in table if row[0] != "crop of the skip"] for table in (live, hand)]
    assert without_crops[0] == without_crops[1]
    channels = {row.layer: row.channels for row in rows}
    assert [channels[f"up{level}_concat"] for level in range(4)] == [128, 256, 512, 1024]


def test_the_ledger_leaves_an_open_side_open():
    rows = sizes.ledger(unet((None, 60, 3), 2, filters=2, depth=2))
    assert rows[0].size_in == (None, 60)
    assert rows[-1].size_out == (None, 20) and rows[-1].channels == 2


def test_a_one_pixel_probe_of_a_live_network_sees_188_or_204_pixels():
    height, width, output = 220, 188, 36
    model = unet((height, width, 1), 1, filters=1)
    rng = np.random.default_rng(0)
    for layer in model.layers:  # positive weights: no ReLU hides a path, and a pooling passes every impulse on
        layer.set_weights(
            [np.abs(rng.normal(size=w.shape)) + 0.01 if w.ndim > 1 else np.zeros(w.shape) for w in layer.get_weights()]
        )
    reached = np.zeros((height, output), bool)  # input row, output row
    for first in range(0, height, 20):
        images = np.zeros((20, height, width, 1), np.float32)
        images[np.arange(20), first + np.arange(20)] = 1  # image k: one bright row
        reached[first : first + 20] = keras.ops.convert_to_numpy(model.predict_on_batch(images))[:, :, 0, 0] > 0
    for position in range(output):
        seen = np.flatnonzero(reached[:, position])
        assert (seen[0], seen[-1] + 1) == sizes.seen_interval(position)
        assert len(seen) == (188 if position % 16 < 4 else 204)


def test_multiply_adds_by_hand():
    images = keras.Input((6, 8, 3))
    maps = keras.layers.Conv2D(5, 3)(images)  # 4 x 6 out, 3 x 3 x 3 x 5 each
    maps = keras.layers.BatchNormalization()(maps)
    maps = keras.layers.Conv2DTranspose(2, 2, strides=2)(maps)  # 4 x 6 in, 2 x 2 x 5 x 2 each
    maps = keras.layers.Conv2D(1, 1)(maps)  # 8 x 12 out, 2 each
    assert sizes.multiply_adds(keras.Model(images, maps)) == 24 * 135 + 24 * 40 + 96 * 2
    with pytest.raises(ValueError, match="is open: build the model for one size"):
        sizes.multiply_adds(unet((None, None, 1), 1, filters=1))
