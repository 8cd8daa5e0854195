"""Seeds, random tiles, and the one ``fit`` that chapters and studies share."""

import keras
import numpy as np

from unetbook import checks, geometry, losses, tiling

_NAMES = ("x", "y", "sample_weight")


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the backend: two runs on one machine then agree bit for bit.

    Another thread count, instruction set or backend still changes the last digits, and training enlarges them.
    """
    keras.utils.set_random_seed(seed)


class Tiles(keras.utils.PyDataset):
    """Random tiles for training: the input mirrored beyond the image, the labels of the pixels that come out.

    images: floats (N, H, W, C); labels: integers (N, H, W); weights: floats (N, H, W) or ``None``. Images of several
    sizes come as lists, of (H, W, C) and (H, W). Every image is drawn equally often, small or large; one that stands
    twice in a list, twice as often. The network sees ``tile`` x ``tile`` pixels and returns ``output`` x ``output``
    around the same center; the output always lies inside the image where that is large enough. augment: a function
    (image, labels, rng, weights=None) that returns the same.
    Batch k of epoch e depends on (seed, e, k) alone, so a stopped training resumes with the batches that it would have
    seen.
    """

    def __init__(self, images, labels, tile, output, batch_size, steps, seed, augment=None, weights=None):
        super().__init__()
        self.images, self.labels, self.weights = _checked_list(images, labels, weights)
        if output > tile or (tile - output) % 2:
            raise ValueError(f"an output of {output} pixels is not centered in a tile of {tile}: see unetbook.sizes")
        self.tile, self.output, self.batch_size, self.steps = tile, output, batch_size, steps
        self.seed, self.augment, self.epoch = seed, augment, 0

    def __len__(self):
        """Batches an epoch."""
        return self.steps

    def on_epoch_begin(self):
        """Called by Keras before the first batch of each epoch; ``fit`` sets the epoch before the first one."""
        self.epoch += 1

    def __getitem__(self, index):
        """Batch ``index`` of the current epoch: (images, labels) or (images, labels, weights)."""
        rng = np.random.default_rng((self.seed, max(self.epoch, 0), index))
        batch = [self._draw(rng) for _ in range(self.batch_size)]
        return tuple(np.stack(part) for part in zip(*batch, strict=True))

    def _draw(self, rng):
        which = rng.integers(len(self.images))
        height, width = self.labels[which].shape
        top = rng.integers(max(height - self.output, 0) + 1)
        left = rng.integers(max(width - self.output, 0) + 1)
        cut = (self.tile - self.output) // 2
        # Everything is cut at the size of the input, so that an augmentation can turn all of it together.
        corner = (top - cut, left - cut, self.tile, self.tile)
        planes = [self.images[which], self.labels[which][..., None]]
        planes += [self.weights[which][..., None]] if self.weights is not None else []
        image, *rest = (tiling.window(plane, *corner) for plane in planes)
        image, rest = image.astype(np.float32, copy=False), [plane[..., 0] for plane in rest]
        if self.augment is not None:
            image, *rest = self.augment(image, rest[0], rng, *rest[1:])
        inner = slice(cut, cut + self.output)
        return (image, *(plane[inner, inner] for plane in rest))


def fit(
    model,
    data,
    epochs=1,
    validation=None,
    optimizer=None,
    loss=None,
    metrics=None,
    initial_epoch=0,
    callbacks=(),
    batch_size=4,
    verbose=0,
    head_weights=None,
) -> dict:
    """Train a network that returns logits, by Keras' own ``fit``; return its history as a dict of lists.

    data, validation: a ``Tiles`` data set, or a tuple of arrays (images, labels) or (images, labels, weights), where
    larger labels are cropped to the network's output. optimizer: Adam at 1e-3 unless given. loss: cross-entropy on
    logits over the network's channels unless given (``unetbook.losses``). batch_size: for arrays; a ``Tiles`` data set
    has its own. A model that is already compiled keeps its optimizer, loss and metrics. ``initial_epoch`` resumes:
    epochs before it are taken as done.

    A network with a dict of heads (``nets.unetpp``) is trained by deep supervision: every head has the same labels,
    loss and metrics, and the losses are added, each times its entry in ``head_weights``, {"L1": 1.0, ...}, of 1 unless
    given. Raises ``ValueError`` for empty or non-finite data, and for weights of other heads.
    """
    output = getattr(model, "output", None)  # a Sequential model has none
    heads = list(output) if isinstance(output, dict) else []
    if head_weights is not None and set(head_weights) != set(heads):
        raise ValueError(f"head_weights are for {sorted(head_weights)}, and the network's heads are {heads or 'none'}")
    if not model.compiled:
        loss = loss or (losses.binary_cross_entropy if model.outputs[0].shape[-1] == 1 else losses.cross_entropy)
        metrics = metrics or []
        model.compile(
            optimizer=optimizer or keras.optimizers.Adam(1e-3),
            loss=dict.fromkeys(heads, loss) if heads else loss,
            loss_weights=head_weights,
            weighted_metrics={head: [_copied(metric) for metric in metrics] for head in heads} if heads else metrics,
            jit_compile=_compiles_well(),
        )
    if not model.optimizer.built:  # or Keras makes its variables in the first step, whose graph is then made twice
        model.optimizer.build(model.trainable_variables)
    callbacks = list(callbacks)
    if isinstance(data, Tiles):
        # Only here, because on JAX Keras begins an epoch of its own before, to see the shape of a batch.
        first = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: setattr(data, "epoch", initial_epoch - 1))
        callbacks.insert(0, first)
        arguments = {"x": _ForHeads(data, heads) if heads else data}
    else:
        arguments = dict(zip(_NAMES, _for_heads(_as_tuple(model, data), heads), strict=False))
    history = model.fit(
        **arguments,
        batch_size=None if isinstance(data, Tiles) else batch_size,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=not isinstance(data, Tiles),
        validation_data=validation if validation is None else _for_heads(_as_tuple(model, validation), heads),
        callbacks=callbacks,
        verbose=verbose,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


class _ForHeads(keras.utils.PyDataset):
    """Tiles whose labels and weights go to every head of a network."""

    def __init__(self, tiles, heads):
        super().__init__()
        self.tiles, self.heads = tiles, heads

    def __len__(self):
        return len(self.tiles)

    def __getitem__(self, index):
        return _for_heads(self.tiles[index], self.heads)

    def on_epoch_begin(self):
        self.tiles.on_epoch_begin()


def _for_heads(batch, heads):
    """Images, and labels (and weights) as a dict with the same array for each head; unchanged without heads."""
    images, *rest = batch
    return (images, *(dict.fromkeys(heads, plane) if heads else plane for plane in rest))


def _copied(metric):
    """A metric of its own for a head: metrics keep counts."""
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric


def _as_tuple(model, data):
    """Checked arrays, the labels (and weights) cropped to what the network returns; all tiles of ``Tiles``."""
    if isinstance(data, Tiles):
        return tuple(np.concatenate(part) for part in zip(*map(data.__getitem__, range(len(data))), strict=True))
    images, labels, weights = _checked(*data, *(None,) * (3 - len(data)))
    output = [geometry.output_size(model, side) for side in images.shape[1:3]]
    if None in output:
        raise ValueError(f"images of {images.shape[1:3]} do not fit {model.name!r}: see unetbook.sizes.legal_sizes")
    planes = [labels] if weights is None else [labels, weights]
    return (images, *(center_crop(plane, *output) for plane in planes))


def center_crop(maps, height: int, width: int):
    """The central height x width pixels of maps (N, H, W, ...): what an unpadded network returns."""
    top, left = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    return maps[:, top : top + height, left : left + width]


def _checked(images, labels, weights):
    """The arrays, or an error that names what does not fit and the fix."""
    images, labels = np.asarray(images), np.asarray(labels)
    weights = None if weights is None else np.asarray(weights)
    checks.shaped(images, "(N, H, W, C)", "images")
    checks.floats(images, "images")
    checks.integers(labels.dtype, "labels")
    for name, plane in (("labels", labels), ("weights", weights)):
        if plane is not None:
            checks.one_a_pixel(plane, images, name, "images", "(N, H, W)")
    if weights is not None and not (weights >= 0).all():
        raise ValueError("weights must be numbers of at least 0, and some are negative or NaN: see unetbook.weightmap")
    for number, image in enumerate(images):
        checks.finite(image, f"image {number}", "repair or drop it before training")
    return images, labels, weights


def _checked_list(images, labels, weights):
    """The arrays, or lists of arrays of several sizes, all checked; errors name the image."""
    if not isinstance(images, (list, tuple)):
        return _checked(images, labels, weights)
    if not len(images) == len(labels) == len(images if weights is None else weights) > 0:
        raise ValueError(f"{len(images)} images do not match {len(labels)} labels, or their weights: give one of each")
    for number, (image, plane) in enumerate(zip(images, labels, strict=True)):
        try:
            _checked(image[None], plane[None], None if weights is None else weights[number][None])
        except (ValueError, TypeError) as error:
            raise type(error)(f"image {number} of the list: {error}") from None
    return images, labels, weights


def _compiles_well():
    """Whether to compile steps with XLA: JAX needs it; on CPUs TensorFlow's own kernels are faster without it."""
    if keras.backend.backend() == "tensorflow":
        return bool(keras.distribution.list_devices("gpu"))
    return keras.backend.backend() == "jax"
