"""A U-Net whose contracting path is a classification network trained elsewhere."""

import warnings
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers, ops

from unetbook import checks
from unetbook.nets.blocks import convolution, double_convolution, image_input, join, upsample


class Backbone(NamedTuple):
    """How a network of ``keras.applications`` expects its input, and its last layer of use at strides 2, 4, ... 32."""

    expects: str
    features: tuple[str, ...]


BACKBONES = {
    "MobileNetV2": Backbone(
        "-1 to 1",
        ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu"),
    ),
    "ResNet50": Backbone(
        "BGR minus mean",
        ("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"),
    ),
    "ResNet50V2": Backbone(
        "-1 to 1",
        ("conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"),
    ),
    "DenseNet121": Backbone("standardized", ("conv1_relu", "pool2_relu", "pool3_relu", "pool4_relu", "relu")),
    "EfficientNetV2B0": Backbone(
        "0 to 255",
        (
            "block1a_project_activation",
            "block2b_add",
            "block4a_expand_activation",
            "block6a_expand_activation",
            "top_activation",
        ),
    ),
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]


@keras.saving.register_keras_serializable("unetbook")
class ExpectedInput(layers.Layer):
    """Images as an encoder was trained on: (N, H, W, 1 or 3) in [0, 1] to (N, H, W, 3). Gray is repeated.

    expects: '-1 to 1'; 'standardized' by mean and standard deviation of ImageNet; 'BGR minus mean', of 0 to 255, the
    channels reversed; or '0 to 255' for networks that scale their input themselves. The same as ``preprocess_input`` of
    ``keras.applications`` does with 0 to 255.
    """

    pointwise = True  # for unetbook.geometry: no pixel sees another

    def __init__(self, expects, **kwargs):
        super().__init__(**kwargs)
        self.expects = expects

    def call(self, images):
        """Images (N, H, W, 1 or 3) to (N, H, W, 3)."""
        if images.shape[-1] == 1:
            images = ops.repeat(images, 3, axis=-1)
        if self.expects == "-1 to 1":
            return 2 * images - 1
        if self.expects == "standardized":
            return (images - ops.cast(IMAGENET_MEAN, images.dtype)) / ops.cast(IMAGENET_STD, images.dtype)
        if self.expects == "BGR minus mean":
            return 255 * ops.flip(images, axis=-1) - ops.cast((103.939, 116.779, 123.68), images.dtype)
        return 255 * images

    def compute_output_shape(self, input_shape):
        """Three channels."""
        return (*input_shape[:-1], 3)

    def get_config(self):
        """What is expected, so that a saved model scales as before."""
        return {**super().get_config(), "expects": self.expects}


def encoder(
    input_shape, classes, weights, backbone="MobileNetV2", filters=16, depth=5, frozen=False, **options
) -> keras.Model:
    """Build a U-Net on a pretrained encoder, which maps images to logits.

    The contracting path is a network of ``keras.applications`` without its last layers for classification. Its features
    at strides 2 to 2^depth are the skips and the bottom; the skip at full size is the picture. The expansive path is
    the U-Net's, with padding and batch normalization, and starts from random weights.

    input_shape: (height, width, 1 or 3), multiples of 2^depth; height and width may be ``None``. Images are in [0, 1];
        the network scales them as its encoder expects (``ExpectedInput``), and repeats gray.
    classes: channels of the logits. filters: channels at full size, doubled on each level. depth: 1 to 5.
    weights: the path of a file; 'imagenet' for the usual download; or 'random', to train from nothing. A .keras file
        holds the backbone, as ``results/weights/encoder-synthetic.keras`` does (``alpha=0.35``), or any network on it;
        a file of weights alone (.weights.h5, .h5) those of the backbone without top.
    backbone: one of ``BACKBONES``. options: further arguments of that network, such as ``alpha=0.35``.
    frozen: the encoder keeps its weights and its statistics of batch normalization; only the expansive path learns.

    Images (N, H, W, C) float32 in, logits (N, H, W, classes) out. Batch normalization of an encoder that is not frozen
    gets momentum 0.9, because the usual 0.999 lags behind in short trainings. Raises ``ValueError`` naming the fix for
    an option or a size that does not fit and for weights of another network, ``FileNotFoundError`` without the file,
    and ``ConnectionError`` where the download fails.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, not {backbone!r}")
    expects, names = BACKBONES[backbone]
    checks.whole(depth, "depth", 1, most=len(names))
    if len(input_shape) == 3 and input_shape[2] not in (1, 3):
        raise ValueError(f"a pretrained encoder takes images of 1 or 3 channels, not {input_shape[2]}")
    images, maps = image_input(input_shape, depth, "same")
    picture = ExpectedInput(expects, name="expected_input")(maps)
    body = _body(backbone, picture, names[depth - 1], weights, options)
    features = [picture, *(body.get_layer(name).output for name in names[:depth])]

    maps = features[-1]
    for level in reversed(range(depth)):
        width = filters * 2**level
        maps = upsample(maps, width, "transpose", "same", f"up{level}")
        maps = join(features[level], maps, "concat", 0, f"up{level}")
        maps = double_convolution(maps, width, "same", "relu", "batch", f"up{level}")
    logits = convolution(maps, classes, kernel=1, name="logits")

    for layer in body.layers:
        layer.trainable = not frozen
        if isinstance(layer, layers.BatchNormalization) and not frozen:
            layer.momentum = 0.9
    return keras.Model(images, logits, name=f"unet_on_{backbone.lower()}")


def _body(backbone, picture, last, weights, options):
    """The classification network up to its layer ``last``, applied to a tensor (N, H, W, 3), with its weights."""
    build = getattr(keras.applications, backbone)
    if weights == "imagenet":
        try:
            whole = build(include_top=False, weights="imagenet", input_tensor=picture, **options)
        except (ValueError, TypeError):  # an option that does not fit
            raise
        except Exception as error:
            raise ConnectionError(
                f"the ImageNet weights of {backbone} could not be downloaded ({_first_line(error)}): try again where "
                "the network is open, give the path of a file, or choose 'random' to train from nothing"
            ) from None
    else:
        whole = build(include_top=False, weights=None, input_tensor=picture, **options)
    body = keras.Model(whole.input, whole.get_layer(last).output)
    if weights not in ("imagenet", "random"):
        _read(weights, body, whole, f"{backbone} with {options}" if options else backbone)
    return body


def _read(path, body, whole, name):
    """Fill ``body`` with the weights of a file: of a model by the names of its layers, of weights alone by order."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no file of weights at {path}: give the path of one for {name}, 'imagenet' to download, or 'random'"
        )
    try:
        if path.suffix == ".keras":
            source = keras.saving.load_model(path, compile=False, safe_mode=True)
            for layer in body.layers:
                if layer.weights:
                    layer.set_weights(source.get_layer(layer.name).get_weights())
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Skipping")  # Keras would leave random weights there
                whole.load_weights(path)
    except Exception as error:  # Keras raises many kinds
        raise ValueError(f"{path} holds no weights of {name} without its top: {_first_line(error)}") from None


def _first_line(error):
    return str(error).strip().partition("\n")[0]
