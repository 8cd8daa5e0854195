"""Overlap-tile prediction (Ronneberger et al. 2015, figure 2): images of any size through a network of any tile size.

Tiles step by multiples of the network's grid (the product of its poolings), so that each output pixel meets the
poolings in the phase in which it would meet them in the whole image. The result is then that of the whole image.
Chapter 05.
"""

import warnings
from typing import NamedTuple

import keras
import numpy as np

from unetbook import geometry

WISH = 572  # side of a tile when none is given, in pixels: the paper's
WHOLE_IMAGE_BYTES = 4 * 2**30  # a network that cannot be tiled exactly sees the whole image up to this much memory


class Span(NamedTuple):
    """One tile along one axis, in image pixels: the network sees [window, window + n), the result keeps [start, stop).

    ``skip`` is where the kept part starts in the network's output for that window.
    """

    window: int
    start: int
    stop: int
    skip: int


def predict(model, image, tile=None, batch_size=4, out=None, progress=False):
    """Predict an image of any size with a network that sees one tile at a time.

    model: a Keras functional model of one image input whose outputs have the image's resolution.
    image: float array (H, W, C), or (H, W) for a network of one channel; H and W from 1 pixel up. A memory map works.
    tile: side of the tile in pixels, a legal size of the network; ``None`` takes 572, or what the network and the image
        allow. Networks with instance or group normalization cannot be tiled exactly: ``None`` then takes the whole
        image where its feature maps fit into ``WHOLE_IMAGE_BYTES``, and tiles with a warning otherwise.
    batch_size: tiles a call of the network. out: float32 array (H, W, classes) to fill, for instance a memory map; a
        dict
        of arrays for a model with several heads. progress: show a progress bar.

    Returns what the model returns, logits for the networks of this book: float32 (H, W, classes), a dict of arrays for
    a dict of heads. Beyond the image the network sees its mirror image (unpadded networks) or its own padding. For a
    tile of usable output u the number of tiles is ceil(H / s) * ceil(W / s), s the largest multiple of the grid not
    above u. Raises ``ValueError`` or ``TypeError`` naming the fix. Source: sections 2 and 3, figure 2. Chapter 05.
    """
    image = _checked(image, model)
    shape = geometry.of(model)
    sides = _tile_sides(model, shape, image, tile)
    rows = plan(image.shape[0], sides[0], shape, geometry.output_size(model, sides[0]))
    columns = plan(image.shape[1], sides[1], shape, geometry.output_size(model, sides[1]))
    tiles = [(row, column) for row in rows for column in columns]
    if shape.whole_image and len(tiles) > 1:
        _warn_inexact(model, image, rows, columns, sides, shape.whole_image)

    bar = keras.utils.Progbar(len(tiles), unit_name="tile") if progress else None
    for first in range(0, len(tiles), batch_size):
        batch = tiles[first : first + batch_size]
        heads = _as_dict(_run(model, image, batch, sides))
        if out is None:
            out = {name: np.empty((*image.shape[:2], maps.shape[-1]), np.float32) for name, maps in heads.items()}
            out = out if set(out) != {None} else out[None]
        for name, into in _as_dict(out).items():
            for (row, column), maps in zip(batch, heads[name], strict=True):
                kept = maps[row.skip :, column.skip :][: row.stop - row.start, : column.stop - column.start]
                into[row.start : row.stop, column.start : column.stop] = kept
        if bar:
            bar.update(first + len(batch))
    return out


def plan(length: int, side: int, shape: geometry.Geometry, output: int) -> list[Span]:
    """Tiles of ``side`` pixels along an axis of ``length`` pixels; ``output`` is what the network returns for ``side``.

    Steps and windows stay on the grid, the last tile too: it reaches further into the mirror image instead of being
    shifted back. Chapter 05.
    """
    grid, halo = shape.grid, shape.halo
    if shape.padded and not shape.margin:
        padded_length = _up(max(length, side if side % grid == 0 else 1), grid)
        if side >= padded_length:
            return [Span(0, 0, length, 0)]
    step = (output - 2 * halo) // grid * grid
    if step < 1:
        needed = 2 * (halo + shape.margin) + grid
        raise ValueError(
            f"a tile of {side} pixels leaves no usable output: this network needs the next legal size from {needed} up"
        )
    spans = []
    for start in range(0, length, step):
        window = start - shape.margin - halo
        if shape.padded and not shape.margin:  # a tile ends at the image's edge or a halo away from what it keeps
            window = min(max(window, 0), padded_length - side)
        spans.append(Span(window, start, min(start + step, length), start - window - shape.margin))
    return spans


def mirror(indices, length: int):
    """Indices of any range mapped into [0, length) by mirroring at the first and the last pixel, as often as needed.

    The edge pixel itself is not repeated (``numpy.pad(mode="reflect")``); an axis of one pixel repeats it. Chapter 05.
    """
    indices = np.asarray(indices)
    if length == 1:
        return np.zeros_like(indices)
    folded = np.abs(indices) % (2 * (length - 1))
    return np.where(folded < length, folded, 2 * (length - 1) - folded)


def window(image, top: int, left: int, height: int, width: int):
    """The part of an image (H, W, C) that starts at (top, left), mirrored where it reaches beyond. Chapter 05.

    Only the window is held in memory, never a padded copy of the image.
    """
    if 0 <= top <= image.shape[0] - height and 0 <= left <= image.shape[1] - width:
        return image[top : top + height, left : left + width]
    rows = mirror(np.arange(top, top + height), image.shape[0])
    columns = mirror(np.arange(left, left + width), image.shape[1])
    return image[rows[:, None], columns]


def _run(model, image, tiles, sides):
    """The network's output for a list of (row, column) spans."""
    batch = np.empty((len(tiles), *sides, image.shape[2]), np.float32)
    for into, (row, column) in zip(batch, tiles, strict=True):
        into[:] = window(image, row.window, column.window, *sides)
    return model.predict_on_batch(batch)


def _tile_sides(model, shape, image, tile):
    """Height and width of the tile: as asked, or sensible; never larger than the image needs."""
    fixed = model.input_shape[1:3]
    wish = WISH if tile is None else tile
    if tile is not None:
        _check_tile(model, tile, fixed)
    if tile is None and shape.whole_image and geometry.feature_bytes(model, *image.shape[:2]) <= WHOLE_IMAGE_BYTES:
        wish = max(image.shape[:2]) + 2 * (shape.margin + shape.halo + shape.grid)
    sides = []
    for length, given in zip(image.shape[:2], fixed, strict=True):
        needed = _needed(model, length, shape)
        side = needed if needed <= wish else next(n for n in range(wish, 0, -1) if geometry.output_size(model, n))
        sides.append(given or side)
    return tuple(sides)


def _needed(model, length, shape):
    """The smallest legal side with which one tile covers an axis."""
    if shape.padded and not shape.margin:
        return geometry.legal_at_least(model, length)
    covered = _up(length, shape.grid) + 2 * (shape.margin + shape.halo)
    return geometry.legal_at_least(model, covered)


def _check_tile(model, tile, fixed):
    if any(side not in (None, tile) for side in fixed):
        raise ValueError(f"this model takes inputs of {fixed[0]} x {fixed[1]} only: leave out tile={tile}")
    if geometry.output_size(model, tile):
        return
    above = geometry.legal_at_least(model, tile)
    below = next((n for n in range(tile, 0, -1) if geometry.output_size(model, n)), None)
    choice = f"{below} or {above}" if below else f"{above} (the smallest)"
    raise ValueError(f"a tile of {tile} pixels does not fit this network: use {choice}")


def _checked(image, model):
    """The image as (H, W, C), or an error that names the fix."""
    image = image if isinstance(image, np.ndarray) else np.asarray(image)
    channels = model.input_shape[-1]
    if image.ndim == 2 and channels == 1:
        image = image[..., None]
    if image.ndim != 3:
        raise ValueError(f"one image (H, W, C) is predicted at a time, not an array of shape {image.shape}")
    if 0 in image.shape:
        raise ValueError(f"the image is empty: its shape is {image.shape}")
    if image.shape[-1] != channels:
        raise ValueError(f"the network takes {channels} channel(s), the image has {image.shape[-1]}: {image.shape}")
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(
            f"the image is {image.dtype}: scale it to floats as in training, for uint8 image.astype('float32') / 255"
        )
    for first in range(0, image.shape[0], 1024):  # in strips, so that a memory map stays on disk
        bad = np.argwhere(~np.isfinite(image[first : first + 1024]))
        if len(bad):
            row, column, channel = bad[0] + (first, 0, 0)
            raise ValueError(
                f"the image holds {image[row, column, channel]} at row {row}, column {column}, channel {channel}: "
                "replace such pixels, for instance with numpy.nan_to_num, before predicting"
            )
    return image


def _warn_inexact(model, image, rows, columns, sides, layer):
    """Say by how much two neighboring tiles disagree on the pixels around their seam."""
    axis = 0 if len(rows) > 1 else 1
    neighbors = zip((rows, columns)[axis], (rows, columns)[axis][1:], strict=False)
    spans = next(pair for pair in neighbors if pair[0].window != pair[1].window)
    pair = [(span, columns[0]) if axis == 0 else (rows[0], span) for span in spans]
    difference, spread = 0.0, 0.0
    for maps in _as_dict(_run(model, image, pair, sides)).values():
        maps = np.moveaxis(maps, axis + 1, 1)
        shift = spans[1].window - spans[0].window
        seam = spans[0].skip + spans[0].stop - spans[0].start  # in the first tile's output
        first = maps[0, seam : min(seam + 8, maps.shape[1])]
        second = maps[1, seam - shift :][: len(first)]
        difference = max(difference, float(np.abs(first - second).max(initial=0)))
        spread = max(spread, float(maps.std()))
    warnings.warn(
        f"layer {layer!r} looks at its whole input, so tiles cannot be exact: where the first two meet, their outputs "
        f"differ by up to {difference:.3g} ({difference / max(spread, 1e-12):.2g} standard deviations). "
        "Predict the whole image (a larger tile), or train with batch normalization or none.",
        stacklevel=3,
    )


def _as_dict(outputs):
    return outputs if isinstance(outputs, dict) else {None: np.asarray(outputs)}


def _up(n, grid):
    return -(-n // grid) * grid
