"""The eighteen failed runs of the clinic, as they are kept in ``results/clinic.json``, and how one looks at them."""

import base64
import json

import cv2
import matplotlib.pyplot as plt
import numpy as np

from unetbook import results
from unetbook.show import colors
from unetbook.show.pictures import frame

COLORS = (colors.BLUE, colors.ORANGE, colors.GREEN)


def cases() -> dict[str, dict]:
    """All failed runs by name, in order.

    Each has "pictures" {title: (H, W) or (H, W, 3), 8 bits}, "curves" {name: (steps, values)} with NaN where there was
    no value, "counts" {name: numbers of a histogram}, its "bins" and "xlabel", and "facts" {name: what was measured}.
    Raises ``FileNotFoundError`` with the command that makes the file.
    """
    path = results.folder() / "clinic.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. It is made by: python -m tools.clinic")
    found = json.loads(path.read_text(encoding="utf-8"))
    for case in found.values():
        case["pictures"] = {name: _picture(text) for name, text in case["pictures"].items()}
        case["curves"] = {name: (x, np.array(y, float)) for name, (x, y) in case["curves"].items()}
    return found


def rows(chosen: dict[str, dict]):
    """Draw cases, {title: case}, one below another: pictures, curve, histogram. Returns (figure, axes)."""
    figure, axes = plt.subplots(len(chosen), 5, figsize=(8, 1.75 * len(chosen)), width_ratios=(1, 1, 1, 1.35, 1.35))
    axes = np.reshape(axes, (len(chosen), 5))
    for row, (title, case) in zip(axes, chosen.items(), strict=True):
        for axis, (name, picture) in zip(row, case["pictures"].items(), strict=False):
            axis.imshow(picture, vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(name)
            frame(axis)
        if "answer" not in case["pictures"]:
            frame(row[2])
            row[2].set_title("answer")
            row[2].text(0.5, 0.5, "none", ha="center", va="center", transform=row[2].transAxes)
        row[0].set_ylabel(title, fontweight="bold")
        _curves(row[3], case)
        _histogram(row[4], case)
    figure.tight_layout(w_pad=0.6)
    return figure, axes


def _picture(text):
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def _curves(axis, case):
    for (name, (x, y)), color, style in zip(case["curves"].items(), COLORS, colors.STYLES, strict=False):
        axis.plot(x, y, style, color=color, label=name, linewidth=1.2)
    least = min(np.nanmin(y) for _, y in case["curves"].values())
    if least < -100:  # what falls without end
        axis.set_yscale("symlog", linthresh=1)
        axis.set_yticks([0, -1e4, -1e8, -1e12])
    elif least >= 0:
        axis.set_ylim(bottom=0)
    axis.set_title(case.get("ylabel", "loss by step"))
    axis.spines[["top", "right"]].set_visible(False)
    if len(case["curves"]) > 1:
        axis.legend(frameon=False, fontsize=8, handlelength=1.2)


def _histogram(axis, case):
    if not case["counts"]:
        axis.set_axis_off()
        return
    for (name, counts), color, style in zip(case["counts"].items(), COLORS, colors.STYLES, strict=False):
        share = np.array(counts) / max(sum(counts), 1)
        axis.stairs(share, case["bins"], color=color, linestyle=style, label=name, linewidth=1.2)
    axis.set(title=case["xlabel"], yticks=[])
    axis.spines[["top", "right"]].set_visible(False)
    if len(case["counts"]) > 1:
        axis.set_ylim(top=1.5 * axis.get_ylim()[1])  # room for names
        axis.legend(loc="upper right", frameon=False, fontsize=8, handlelength=1.2)
