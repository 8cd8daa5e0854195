"""The network in PyTorch that chapter 02 links to is that of the package. Only where torch is installed."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from unetbook import nets

FILE = Path(__file__).resolve().parents[2] / "chapters" / "code" / "unet_pytorch.py"


def test_it_computes_what_the_package_does():
    torch = pytest.importorskip("torch", reason="PyTorch is not part of the environment")
    specification = importlib.util.spec_from_file_location("unet_pytorch", FILE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert sum(parameter.numel() for parameter in module.UNet().parameters()) == 31_030_658

    ours, theirs = nets.unet((204, 236, 3), 2, filters=4), module.UNet(channels_in=3, filters=4)
    with torch.no_grad():
        layers = [layer for layer in theirs.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
        for layer, of_keras in zip(
            in_keras_order(layers, torch), [one for one in ours.layers if one.weights], strict=True
        ):
            kernel, bias = of_keras.get_weights()
            layer.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
            layer.bias.copy_(torch.tensor(bias))
        image = np.random.default_rng(0).random((1, 204, 236, 3), dtype=np.float32)
        answer = theirs(torch.tensor(image.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(answer, keras.ops.convert_to_numpy(ours(image)), atol=1e-5)


def in_keras_order(layers, torch):
    """Up-convolutions stand apart in PyTorch; in Keras each stands before the convolutions of its level."""
    enlarging = [layer for layer in layers if isinstance(layer, torch.nn.ConvTranspose2d)]
    rest = [layer for layer in layers if layer not in enlarging]
    ordered = rest[:10]
    for level, layer in enumerate(enlarging):
        ordered += [layer, *rest[10 + 2 * level : 12 + 2 * level]]
    return [*ordered, rest[-1]]
