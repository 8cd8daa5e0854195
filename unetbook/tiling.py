"""Overlap-tile prediction (Ronneberger et al. 2015, figure 2): images of any size through a network of any tile size.

Tiles step by multiples of the network's grid (the product of its poolings), so that each output pixel meets the
poolings in the phase in which it would meet them in the whole image. The result is then that of the whole image.
"""

import warnings
from typing import NamedTuple

import numpy as np

from unetbook import checks, geometry
from unetbook.progress import bar

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
        dict of arrays for a model with several heads. progress: show a progress bar.

    Returns what the model returns, logits for the networks of this book: float32 (H, W, classes), a dict of arrays for
    a dict of heads. Beyond the image the network sees its mirror image (unpadded networks) or its own padding. For a
    tile of usable output u the number of tiles is ceil(H / s) * ceil(W / s), s the largest multiple of the grid not
    above u. Raises ``ValueError`` or ``TypeError`` naming the fix. Source: section 1 and figure 2.
    """
    checks.image_model(model)
    checks.whole(batch_size, "batch_size", 1)
    image = _checked(image, model)
    shape = geometry.of(model)
    sides = _tile_sides(model, shape, image, tile)
    rows = plan(image.shape[0], sides[0], shape, geometry.output_size(model, sides[0]))
    columns = plan(image.shape[1], sides[1], shape, geometry.output_size(model, sides[1]))
    tiles = [(row, column) for row in rows for column in columns]
    if shape.whole_image and len(tiles) > 1:
        _warn_inexact(model, image, rows, columns, sides, shape)

    steps = bar(len(tiles), "tile", shown=bool(progress))
    for first in range(0, len(tiles), batch_size):
        batch = tiles[first : first + batch_size]
        heads = _as_dict(_run(model, image, batch, sides))
        if out is None:
            out = {name: np.empty((*image.shape[:2], maps.shape[-1]), np.float32) for name, maps in heads.items()}
            out = out if set(out) != {None} else out[None]
        if first == 0:
            _check_out(_as_dict(out), heads, image.shape[:2])
        for name, into in _as_dict(out).items():
            for (row, column), maps in zip(batch, heads[name], strict=True):
                kept = maps[row.skip :, column.skip :][: row.stop - row.start, : column.stop - column.start]
                into[row.start : row.stop, column.start : column.stop] = kept
        steps.update(len(batch))
    steps.close()
    return out


def plan(length: int, side: int, shape: geometry.Geometry, output: int) -> list[Span]:
    """Tiles of ``side`` pixels along an axis of ``length`` pixels; ``output`` is what the network returns for ``side``.

    Steps and windows stay on the grid, the last tile too: it reaches further into the mirror image instead of being
    shifted back.
    """
    grid, margin, halo = shape.grid, shape.margin, shape.halo
    whole = side + _up(length + 2 * margin - side, grid)  # the legal size that takes the whole axis at once
    if halo and side >= whole:
        return [Span(-margin, 0, length, 0)]
    step = (output - 2 * halo) // grid * grid
    if step < 1:
        needed = 2 * (halo + margin) + grid
        raise ValueError(
            f"a tile of {side} pixels leaves no usable output: this network needs the next legal size from {needed} up"
        )
    spans = []
    for start in range(0, length, step):
        window = start - margin - halo
        if halo:  # a tile ends where the whole (mirrored) image would, or a halo away from what it keeps
            window = min(max(window, -margin), whole - margin - side)
        spans.append(Span(window, start, min(start + step, length), start - window - margin))
    return spans


def mirror(indices, length: int):
    """Indices of any range mapped into [0, length) by mirroring at the first and the last pixel, as often as needed.

    The edge pixel itself is not repeated (``numpy.pad(mode="reflect")``); an axis of one pixel repeats it.
    """
    indices = np.asarray(indices)
    if length == 1:
        return np.zeros_like(indices)
    folded = np.abs(indices) % (2 * (length - 1))
    return np.where(folded < length, folded, 2 * (length - 1) - folded)


def window(image, top: int, left: int, height: int, width: int):
    """The part of an image (H, W, C) that starts at (top, left), mirrored where it reaches beyond.

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
    # Deep networks lose much on each side: a tile keeps at least half of its side.
    wish = max(WISH, 4 * (shape.margin + shape.halo) + shape.grid) if tile is None else tile
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
    covered = length if shape.halo else _up(length, shape.grid)
    return geometry.legal_at_least(model, covered + 2 * shape.margin)


def _check_tile(model, tile, fixed):
    if any(side not in (None, tile) for side in fixed):
        raise ValueError(f"this model takes inputs of {fixed[0]} x {fixed[1]} only: leave out tile={tile}")
    if geometry.output_size(model, tile):
        return
    above = geometry.legal_at_least(model, tile)
    below = next((n for n in range(tile, 0, -1) if geometry.output_size(model, n)), None)
    choice = f"{below} or {above}" if below else f"{above} (the smallest)"
    raise ValueError(f"a tile of {tile} pixels does not fit this network: use {choice}")


def _check_out(out, heads, size):
    """Arrays to fill must be what would have been returned: NumPy would repeat or truncate values silently."""
    wanted = {name: (*size, maps.shape[-1]) for name, maps in heads.items()}
    if set(out) != set(wanted):
        raise ValueError(f"out must hold one array a head of the model: {wanted}")
    for name, into in out.items():
        if into.shape != wanted[name] or not np.issubdtype(into.dtype, np.floating):
            raise ValueError(f"out must be a float array of shape {wanted[name]}, not {into.dtype} of {into.shape}")


def _checked(image, model):
    """The image as (H, W, C), or an error that names the fix."""
    image = image if isinstance(image, np.ndarray) else np.asarray(image)
    channels = model.input_shape[-1]
    if image.ndim == 2 and channels == 1:
        image = image[..., None]
    checks.shaped(image, "one picture (H, W, C)", "the image", "give them one at a time")
    if image.shape[-1] != channels:
        raise ValueError(f"the network takes {channels} channel(s), the image has {image.shape[-1]}: {image.shape}")
    checks.floats(image, "image", "scale it as in training, for uint8 image.astype('float32') / 255")
    strip = max(1, 2**20 // (image.shape[1] * channels))
    for first in range(0, image.shape[0], strip):  # in strips, so that a memory map stays on disk
        bad = np.argwhere(~np.isfinite(image[first : first + strip]))
        if len(bad):
            row, column, channel = bad[0] + (first, 0, 0)
            raise ValueError(
                f"the image holds {image[row, column, channel]} at row {row}, column {column}, channel {channel}: "
                "replace such pixels, for instance with numpy.nan_to_num, before predicting"
            )
    return image


def _warn_inexact(model, image, rows, columns, sides, shape):
    """Say by how much two neighboring tiles disagree on the pixels around their seam."""
    axis = 0 if len(rows) > 1 else 1
    neighbors = zip((rows, columns)[axis], (rows, columns)[axis][1:], strict=False)
    one, two = next(pair for pair in neighbors if pair[0].window != pair[1].window)
    # Eight pixels in the first tile's output that both predict; the second moves back where unpadded tiles only touch.
    output = geometry.output_size(model, sides[axis])
    seam = max(min(one.skip + one.stop - one.start, output - 8), 0)
    shift = min(two.window - one.window, seam // shape.grid * shape.grid)
    spans = one, one._replace(window=one.window + shift)
    pair = [(span, columns[0]) if axis == 0 else (rows[0], span) for span in spans]
    difference, spread = 0.0, 0.0
    for maps in _as_dict(_run(model, image, pair, sides)).values():
        maps = np.moveaxis(maps, axis + 1, 1)
        first = maps[0, seam : seam + 8]
        second = maps[1, seam - shift :][: len(first)]
        difference = max(difference, float(np.abs(first - second).max(initial=0)))
        spread = max(spread, float(maps.std()))
    warnings.warn(
        f"layer {shape.whole_image!r} looks at its whole input, so tiles cannot be exact: where the first two meet, "
        f"their outputs differ by up to {difference:.3g} ({difference / max(spread, 1e-12):.2g} standard deviations). "
        "Predict the whole image (a larger tile), or train with batch normalization or none.",
        stacklevel=3,
    )


def _as_dict(outputs):
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        outputs = outputs[0]
    return outputs if isinstance(outputs, dict) else {None: np.asarray(outputs)}


def _up(n, grid):
    return -(-n // grid) * grid
