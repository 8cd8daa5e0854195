import keras
import numpy as np
import pytest
from keras import layers

from unetbook import geometry, losses, metrics, nets, sizes, store, tiling, training

LEVELS = (1, 2, 3, 4)


def small(**options):
    keras.utils.set_random_seed(1)
    return nets.unetpp((None, None, 1), 2, **{"filters": 2, "depth": 3, **options})


def pictures(count=2, side=32, seed=0):
    images = np.random.default_rng(seed).random((count, side, side, 1), np.float32)
    return images, (images[..., 0] > 0.5).astype(np.int32)


def run(model, images):
    outputs = model(images)
    if isinstance(outputs, dict):
        return {name: keras.ops.convert_to_numpy(head) for name, head in outputs.items()}
    return keras.ops.convert_to_numpy(outputs)


@pytest.fixture(scope="module")
def paper():
    return nets.unetpp((None, None, 1), 1)


def test_parameters_of_the_paper(paper):
    assert paper.count_params() == 9_041_700
    assert nets.unetpp((None, None, 1), 1, deep_supervision=False).count_params() == 9_041_601
    assert nets.unetpp((None, None, 3), 1).count_params() == 9_041_700 + 576
    pruned = [nets.prune(paper, level).count_params() for level in LEVELS]
    assert pruned == [100_961, 511_105, 2_204_961, 9_041_601]


def test_multiply_adds_of_the_levels():
    whole = nets.unetpp((96, 96, 1), 1)
    costs = [sizes.multiply_adds(nets.prune(whole, level)) for level in LEVELS]
    assert np.round(100 * np.array(costs) / costs[-1], 1).tolist() == [11.7, 29.8, 58.6, 100]
    plain = nets.unet((96, 96, 1), 1, filters=32, padding="same")
    assert costs[-1] / sizes.multiply_adds(plain) == pytest.approx(2.47, abs=0.005)


def test_nodes_follow_the_recursion(paper):
    """Each node's block sees exactly the nodes that equation 1 names."""
    nodes = {(i, j): paper.get_layer(f"x{i}{j}_relu_b").output for j in range(5) for i in range(5 - j)}
    assert len(nodes) == 15 and sum(layer.name.endswith("_relu_b") for layer in paper.layers) == 15
    for (i, j), node in nodes.items():
        assert node.shape[-1] == 32 * 2**i
        entering = paper.get_layer(f"x{i}{j}_conv_a").input
        if j:
            joined = paper.get_layer(f"x{i}{j}_concat")
            assert entering is joined.output
            *along, up = joined.input
            assert all(one is nodes[i, k] for k, one in enumerate(along)) and len(along) == j
            assert paper.get_layer(f"x{i}{j}_up").output is up
            assert paper.get_layer(f"x{i}{j}_up").input is nodes[i + 1, j - 1]
        elif i:
            assert paper.get_layer(f"x{i}0_pool").input is nodes[i - 1, 0]
    for level in LEVELS:
        assert paper.get_layer(f"L{level}").input is nodes[0, level]


def test_the_receptive_field_of_a_head_grows_with_its_depth(paper):
    fields = {}
    for level in LEVELS:
        pruned = nets.prune(paper, level)
        spans = (geometry.seen(pruned, o, o + 1) for o in range(320, 336))
        fields[level] = {stop - start for start, stop in spans}
    assert fields == {1: {18}, 2: {44}, 3: {92, 100}, 4: {188, 204}}
    assert geometry.of(paper) == geometry.of(nets.prune(paper, 4))  # nesting adds nothing to the plain U-Net's reach
    padded = nets.unet((None, None, 1), 1, filters=1, padding="same")
    assert geometry.of(padded) == geometry.of(paper)


@pytest.mark.backend
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_pruned_network_equals_its_head_bit_for_bit_after_training_and_from_its_own_file(
    tmp_path, normalization, eager_training
):
    model, (images, masks) = small(normalization=normalization), pictures()
    pruned = {level: nets.prune(model, level) for level in (1, 2, 3)}
    before = run(pruned[1], images)
    training.fit(model, (images, masks), epochs=2)
    assert (run(pruned[1], images) != before).any()  # the weights are shared
    whole, predicted = run(model, images), model.predict_on_batch(images)
    for level, cut in pruned.items():
        np.testing.assert_array_equal(run(cut, images), whole[f"L{level}"])
        np.testing.assert_array_equal(cut.predict_on_batch(images), predicted[f"L{level}"])
        alone = store.load(store.save(cut, tmp_path / f"L{level}.keras"))
        assert alone.count_params() == cut.count_params()
        np.testing.assert_array_equal(run(alone, images), whole[f"L{level}"])


@pytest.mark.backend
def test_pruning_computes_only_what_the_head_needs():
    model = small()
    for level in (1, 2, 3):
        names = {layer.name for layer in nets.prune(model, level).layers}
        blocks = {name[:3] for name in names if name.endswith("relu_b")}
        assert blocks == {f"x{i}{j}" for j in range(level + 1) for i in range(level + 1 - j)}
        assert {name for name in names if name.startswith("L")} == {f"L{level}"}


@pytest.mark.backend
def test_a_stored_network_keeps_its_heads(tmp_path):
    model, (images, _) = small(), pictures()
    again = store.load(store.save(model, tmp_path / "unetpp.keras"))
    expected = run(model, images)
    for name, head in run(again, images).items():
        np.testing.assert_array_equal(head, expected[name])
    np.testing.assert_array_equal(run(nets.prune(again, 2), images), expected["L2"])


@pytest.mark.backend
def test_accurate_mode_is_the_mean_of_the_heads():
    heads = run(small(), pictures()[0])
    expected = np.mean([keras.ops.convert_to_numpy(nets.probabilities(head)) for head in heads.values()], axis=0)
    found = keras.ops.convert_to_numpy(nets.probabilities(heads))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("weighted", [False, True])
def test_deep_supervision_adds_the_losses_of_the_heads(weighted, eager):
    model, (images, masks) = small(), pictures()
    weights = np.random.default_rng(3).random(masks.shape, np.float32)
    heads = run(model, images)
    shares = {"L1": 0.25, "L2": 0.5, "L3": 2.0}
    data = (images, masks, weights) if weighted else (images, masks)
    scores = metrics.IoU()
    history = training.fit(model, data, metrics=[scores], head_weights=shares, validation=(images, masks))
    each = {name: float(losses.cross_entropy(masks, head, *data[2:])) for name, head in heads.items()}
    assert history["loss"][0] == pytest.approx(sum(shares[name] * each[name] for name in each), rel=1e-4)
    for name, head in heads.items():
        assert history[f"{name}_loss"][0] == pytest.approx(each[name], rel=1e-4)
        assert history[f"{name}_iou"][0] == pytest.approx(float(metrics.IoU()(masks, head)), rel=1e-4)
        assert f"val_{name}_iou" in history


@pytest.mark.backend
def test_tiles_go_to_all_heads_as_to_one():
    """The losses of the first batch of tiles are those of the same arrays."""
    images, masks = pictures(3, 48)
    model = small()
    tiles = training.Tiles(images, masks, 16, 16, 4, steps=1, seed=0, weights=masks + 0.5)
    batch = tiles[0]
    heads = run(model, batch[0])
    expected = sum(float(losses.cross_entropy(batch[1], head, batch[2])) for head in heads.values())
    history = training.fit(model, tiles)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_one_head_is_one_tensor():
    model = small(deep_supervision=False)
    assert run(model, pictures()[0]).shape == (2, 32, 32, 2)
    with pytest.raises(ValueError, match=r"'unetpp' has no heads to prune to: build it by nets.unetpp with deep"):
        nets.prune(model, 1)
    with pytest.raises(ValueError, match=r"head_weights are for \['L1'\], and the network's heads are none"):
        training.fit(model, pictures(), head_weights={"L1": 1})


def test_errors_name_the_fix():
    model = small()
    for level in (0, 4, "L1"):
        with pytest.raises(ValueError, match=f"level must be one of 1, 2, 3, not {level!r}"):
            nets.prune(model, level)
    with pytest.raises(ValueError, match=r"the network's heads are \['L1', 'L2', 'L3'\]"):
        training.fit(model, pictures(), head_weights={"L1": 1})
    with pytest.raises(ValueError, match=r"an input of 30 pixels .* use 24 or 32"):
        nets.unetpp((30, 32, 1), 2, depth=3)
    with pytest.raises(ValueError, match="use 24 or 32"):
        model(np.zeros((1, 30, 32, 1), np.float32))
    with pytest.raises(ValueError, match=r"input_shape must be \(height, width, channels\)"):
        nets.unetpp((32, 32), 2)


@pytest.mark.backend
def test_tiles_of_a_large_image_give_every_head(tmp_path):
    model = nets.prune(small(depth=2), 2)
    image = np.random.default_rng(5).random((70, 90, 1), np.float32)
    whole = tiling.predict(model, image, tile=96)
    np.testing.assert_allclose(tiling.predict(model, image, tile=64), whole, atol=1e-5)
    heads = tiling.predict(small(depth=2), image, tile=64)
    np.testing.assert_allclose(heads["L2"], whole, atol=1e-5)
    assert heads["L1"].shape == (70, 90, 2)


def test_every_layer_has_the_papers_initial_weights(paper):
    for layer in paper.layers:
        if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)) and layer.count_params() > 50_000:
            kernel = layer.get_weights()[0]
            taps = 1 if isinstance(layer, layers.Conv2DTranspose) else 9
            assert kernel.std() == pytest.approx((2 / (taps * layer.input.shape[-1])) ** 0.5, rel=0.03), layer.name
