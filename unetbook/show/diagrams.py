"""Figure 1 of the U-Net paper, drawn from a live model: every number in it is read off the layers."""

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, Rectangle

from unetbook import sizes
from unetbook.show import colors


class _Box(NamedTuple):
    x: float
    level: int
    side: int
    channels: int
    copied: int  # channels that came over the skip connection


_STEP = 1.0  # from one feature map to the next, in figure units
_FALL = 1.55  # from one level to the next
_CONVOLUTION, _POOL, _UP, _SKIP, _LAST = colors.BLUE, colors.RED, colors.GREEN, "#6e6e6e", colors.PINK
# The levels, from light to dark: the deeper, the more a map tells what is there, and the less where.
_LEVELS = "#e3f0f9", "#c3ddf0", "#9dc6e4", "#74add6", "#4a92c6"


def unet_diagram(model, width=8.0):
    """Draw a model built by ``nets.unet`` with fixed input size; returns (figure, axis).

    A box is a feature map, its height grows with the map's side and its width with the number of channels; the side
    stands below it, the channels above. Its color is that of its level. Gray arrows copy, with the pixels that they cut
    from each side, red ones pool, green ones up-convolve. Beside each level stands its share of the multiply-adds and
    of the parameters.
    """
    rows = {row.layer: row for row in sizes.ledger(model)}
    depth = sum(name.endswith("_pool") for name in rows)
    if rows["images"].size_in[0] is None:
        raise ValueError("the figure shows sizes: build the model with a fixed input size, for instance (572, 572, 1)")
    figure, axis = plt.subplots(figsize=(width, 0.6 * width))

    boxes, x = [], 0.0
    arrows = []  # (from, to, color, style)

    def add(layer, level, step, color, copied=0):
        nonlocal x
        x += step
        row = rows[layer]
        boxes.append(_Box(x, level, row.size_out[0], row.channels, copied))
        if len(boxes) > 1:
            arrows.append((boxes[-2], boxes[-1], color))

    add("images", 0, 0, None)
    ends = []
    for level in range(depth):
        add(f"down{level}_conv_a", level, _STEP, _CONVOLUTION)
        add(f"down{level}_conv_b", level, _STEP, _CONVOLUTION)
        ends.append(boxes[-1])
        add(f"down{level}_pool", level + 1, 0, _POOL)
    for name in ("bottom_conv_a", "bottom_conv_b"):  # with room for four digits
        add(name, depth, 1.25 * _STEP, _CONVOLUTION)
    for level in reversed(range(depth)):
        copied = rows[f"up{level}_crop"].channels if f"up{level}_concat" in rows and f"up{level}_crop" in rows else 0
        joined = next(name for name in (f"up{level}_concat", f"up{level}_add", f"up{level}_up") if name in rows)
        add(joined, level, 0.35, _UP, copied or (ends[level].channels if joined.endswith("concat") else 0))
        if not joined.endswith("_up"):
            arrows.append((ends[level], boxes[-1], _SKIP))
        add(f"up{level}_conv_a", level, 1.2 * _STEP, _CONVOLUTION)
        add(f"up{level}_conv_b", level, _STEP, _CONVOLUTION)
    add("logits", 0, _STEP, _LAST)

    for box in boxes:
        _draw_box(axis, box)
    for start, stop, color in arrows:
        _draw_arrow(axis, start, stop, color)
    for level in range(depth):
        crop = rows.get(f"up{level}_crop")
        if crop:
            cut = (crop.size_in[0] - crop.size_out[0]) // 2
            axis.text(ends[level].x + 0.6, _middle(ends[level]) + 0.08, f"cut {cut}", fontsize=9, color=_SKIP)
    for level, (work, parameters) in enumerate(zip(*_shares(model, depth), strict=True)):
        text = f"work {_percent(work)}\nweights {_percent(parameters)}"
        axis.text(x + 0.75, -_FALL * level, text, fontsize=9, va="center", linespacing=1.3)
    _draw_legend(axis)
    axis.set(xlim=(-0.6, x + 3.2), ylim=(-_FALL * depth - 0.95, 1.25))
    axis.set_axis_off()
    figure.tight_layout()
    return figure, axis


def _shares(model, depth):
    """Multiply-adds and parameters of each level, the bottom last, as shares of all."""
    work, parameters = [0] * (depth + 1), [0] * (depth + 1)
    for layer in model.layers:
        if layer.count_params():
            number = next(filter(str.isdigit, layer.name), "0")  # the logits stand on level 0
            level = depth if layer.name.startswith("bottom") else int(number)
            work[level] += sizes.layer_multiply_adds(layer)
            parameters[level] += layer.count_params()
    return ([value / sum(values) for value in values] for values in (work, parameters))


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"


def _height(box):
    return 0.12 + 0.75 * (box.side / 572) ** 0.5 if box.side else 0.1


def _width(box):
    return 0.07 + 0.045 * box.channels.bit_length()


def _middle(box):
    return -_FALL * box.level


def _draw_box(axis, box):
    width, height = _width(box), _height(box)
    left, bottom = box.x - width / 2, _middle(box) - height / 2
    axis.add_patch(
        Rectangle((left, bottom), width, height, facecolor=_LEVELS[min(box.level, 4)], edgecolor="black", linewidth=0.8)
    )
    if box.copied:  # the white half came over the skip connection
        part = width * box.copied / box.channels
        axis.add_patch(Rectangle((left, bottom), part, height, facecolor="white", edgecolor="black", linewidth=0.8))
    axis.text(box.x, bottom + height + 0.05, str(box.channels), ha="center", va="bottom", fontsize=9)
    axis.text(box.x, bottom - 0.05, str(box.side), ha="center", va="top", fontsize=9, color="#444444")


def _draw_arrow(axis, start, stop, color):
    if start.level == stop.level:
        begin = (start.x + _width(start) / 2 + 0.03, _middle(start))
        end = (stop.x - _width(stop) / 2 - 0.03, _middle(stop))
    elif start.level < stop.level:  # down: pooling
        begin = (start.x, _middle(start) - _height(start) / 2 - 0.25)
        end = (stop.x, _middle(stop) + _height(stop) / 2 + 0.25)
    else:  # up
        begin = (start.x + 0.1, _middle(start) + _height(start) / 2 + 0.25)
        end = (stop.x, _middle(stop) - _height(stop) / 2 - 0.25)
    axis.add_patch(FancyArrowPatch(begin, end, arrowstyle="-|>", mutation_scale=9, color=color, linewidth=1.4))


def _draw_legend(axis):
    meanings = {
        "convolution 3 x 3, ReLU": _CONVOLUTION,
        "copy and crop": _SKIP,
        "max pooling 2 x 2": _POOL,
        "up-convolution 2 x 2": _UP,
        "convolution 1 x 1": _LAST,
    }
    handles = [plt.Line2D([], [], color=color, linewidth=2, label=text) for text, color in meanings.items()]
    axis.legend(handles=handles, loc="lower left", frameon=False, fontsize=9, bbox_to_anchor=(0.0, 0.0))
