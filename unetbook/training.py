"""Seeds, random tiles, and the one ``fit`` that chapters and studies share."""

import keras
import numpy as np

from unetbook import doubts, geometry, losses, tiling

_NAMES = ("x", "y", "sample_weight")


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the backend: two runs on one machine then agree bit for bit.

    Another thread count, instruction set or backend still changes the last digits, and training enlarges them.
    """
    keras.utils.set_random_seed(seed)


class Tiles(keras.utils.PyDataset):
    """Random tiles for training: the input mirrored beyond the image, the labels of the pixels that come out.

    images: floats (N, H, W, C) in [0, 1], or with ``any_range`` of any; labels: integers (N, H, W); weights: floats
    (N, H, W) or ``None``. Labels and weights may have a last axis of 1. Images of several sizes come as lists, of
    (H, W, C) and (H, W). Every image is drawn equally often, small or large; one that stands twice in a list, twice as
    often. The network sees ``tile`` x ``tile`` pixels and returns ``output`` x ``output`` around the same center; the
    output always lies inside the image where that is large enough. augment: a function (image, labels, rng,
    weights=None) that returns the same. ignore: a label, such as 255 or -1, of pixels that do not count: before they
    are augmented they become class 0 with weight 0, so that there are weights in each batch (``fit``).
    Batch k of epoch e depends on (seed, e, k) alone, so a stopped training resumes with the batches that it would have
    seen.
    """

    def __init__(
        self,
        images,
        labels,
        tile,
        output,
        batch_size,
        steps,
        seed,
        augment=None,
        weights=None,
        *,
        ignore=None,
        any_range=False,
    ):
        super().__init__()
        doubts.ignored(ignore)
        self.images, self.labels, self.weights = doubts.lists(images, labels, weights, any_range)
        if output > tile or (tile - output) % 2:
            raise ValueError(f"an output of {output} pixels is not centered in a tile of {tile}: see unetbook.sizes")
        self.tile, self.output, self.batch_size, self.steps = tile, output, batch_size, steps
        self.seed, self.augment, self.epoch, self.ignore = seed, augment, 0, ignore

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
        if self.ignore is not None:
            rest = doubts.without(rest[0], rest[1] if rest[1:] else None, self.ignore)
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
    *,
    ignore=None,
    any_range=False,
) -> dict:
    """Train a network that returns logits, by Keras' own ``fit``; return its history as a dict of lists.

    data, validation: a ``Tiles`` data set, or a tuple of arrays (images, labels) or (images, labels, weights), where
    larger labels are cropped to the network's output. optimizer: Adam at 1e-3 unless given. loss: cross-entropy on
    logits over the network's channels unless given (``unetbook.losses``). batch_size: for arrays; a ``Tiles`` data set
    has its own. A model that is already compiled keeps its optimizer, loss and metrics. ``initial_epoch`` resumes:
    epochs before it are taken as done.

    A network with a dict of heads (``nets.unetpp``) is trained by deep supervision: every head has the same labels,
    loss and metrics, and the losses are added, each times its entry in ``head_weights``, {"L1": 1.0, ...}, of 1 unless
    given.

    ignore: a label of pixels that do not count, in arrays, of validation, too; ``Tiles`` have their own. They get class
    0 and weight 0. The loss is then the mean over the others, unless a loss is given: its reduction says by what the
    sum is divided (``unetbook.losses``), by default by all pixels, the ignored ones, too. any_range: images in arrays
    need not lie in [0, 1].

    Raises ``ValueError`` for empty or non-finite data, images beyond [0, 1], labels that are no classes of the network
    (unless the loss is none of ``unetbook.losses``), a network that ends in a sigmoid or soft-max, and for weights of
    other heads.
    """
    doubts.ignored(ignore)
    of_tiles = [given.ignore for given in (data, validation) if isinstance(given, Tiles)]
    if ignore is not None and of_tiles:
        raise ValueError("Tiles have an option ignore of their own: give it there")
    loss = model.loss if model.compiled else loss
    doubts.logits(model, loss)
    output = getattr(model, "output", None)  # a Sequential model has none
    heads = list(output) if isinstance(output, dict) else []
    if head_weights is not None and set(head_weights) != set(heads):
        raise ValueError(f"head_weights are for {sorted(head_weights)}, and the network's heads are {heads or 'none'}")
    if not model.compiled:
        kind = losses.BinaryCrossEntropy if model.outputs[0].shape[-1] == 1 else losses.CrossEntropy
        weighed = ignore is not None or any(label is not None for label in of_tiles)
        loss = loss or (kind(reduction="mean_with_sample_weight") if weighed else kind())
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
        doubts.tiles(data, model, loss)
        arguments = {"x": _ForHeads(data, heads) if heads else data}
    else:
        arguments = dict(zip(_NAMES, _for_heads(_as_tuple(model, data, loss, ignore, any_range), heads), strict=False))
    if validation is not None:
        validation = _for_heads(_as_tuple(model, validation, loss, ignore, any_range), heads)
    history = model.fit(
        **arguments,
        batch_size=None if isinstance(data, Tiles) else batch_size,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=not isinstance(data, Tiles),
        validation_data=validation,
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


def _as_tuple(model, data, loss, ignore, any_range):
    """Checked arrays, the labels (and weights) cropped to what the network returns; all tiles of ``Tiles``."""
    if isinstance(data, Tiles):
        parts = zip(*map(data.__getitem__, range(len(data))), strict=True)
        images, labels, *weights = (np.concatenate(part) for part in parts)
        doubts.classes(labels, model, loss)
        return images, labels, *weights
    images, labels, weights = doubts.arrays(*data, *(None,) * (3 - len(data)), any_range)
    doubts.classes(labels, model, loss, ignore)
    if ignore is not None:
        labels, weights = doubts.without(labels, weights, ignore)
    output = [geometry.output_size(model, side) for side in images.shape[1:3]]
    if None in output:
        raise ValueError(f"images of {images.shape[1:3]} do not fit {model.name!r}: see unetbook.sizes.legal_sizes")
    planes = [labels] if weights is None else [labels, weights]
    return (images, *(center_crop(plane, *output) for plane in planes))


def center_crop(maps, height: int, width: int):
    """The central height x width pixels of maps (N, H, W, ...): what an unpadded network returns."""
    top, left = (maps.shape[1] - height) // 2, (maps.shape[2] - width) // 2
    return maps[:, top : top + height, left : left + width]


def _compiles_well():
    """Whether to compile steps with XLA: JAX needs it; on CPUs TensorFlow's own kernels are faster without it."""
    if keras.backend.backend() == "tensorflow":
        return bool(keras.distribution.list_devices("gpu"))
    return keras.backend.backend() == "jax"
