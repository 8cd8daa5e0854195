"""Make the eighteen failed runs of the clinic once more, small enough to look at, and keep them in one file.

    python -m tools.clinic [--only NAME ...]

Writes ``results/clinic.json``, about five minutes on two cores. Each case of ``tools.clinic_cases``, ``clinic_later``
and ``clinic_stopped`` is a training, or a prediction, that really fails, by plain Keras where the package refuses the
fault; most have a twin in which one thing is mended, and its score beside that of the failure.
``unetbook.show.clinic`` reads and draws the file.
"""

import argparse
import base64
import json
import sys
import time

import cv2
import numpy as np

from tools import clinic_cases as first
from tools import clinic_later as later
from tools import clinic_stopped as stopped
from tools import pairs

FILE = pairs.ROOT / "results" / "clinic.json"
MANY = 300  # points of a curve that are kept
CASES = {
    case.__name__.replace("_", " "): case
    for case in (
        first.saved_as_0_and_1, first.one_class, first.divided_twice, first.nan, first.masks_of_255, first.flat,
        first.double_sigmoid, first.rgb_masks, first.out_of_step, later.seams, later.checkerboard, later.merged,
        later.scale, later.contrast, later.over_fitting, later.leak, stopped.size, stopped.memory,
    )
}  # fmt: skip


def png(picture) -> str:
    """A picture, (H, W) or (H, W, 3) in [0, 1] or 8 bits, as the text of a PNG file; NaN becomes black."""
    pixels = np.nan_to_num(np.squeeze(picture))
    if pixels.dtype != np.uint8:
        pixels = np.uint8(255 * np.clip(pixels, 0, 1) + 0.5)
    pixels = pixels[..., ::-1] if pixels.ndim == 3 else pixels  # OpenCV writes BGR
    return base64.b64encode(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]).decode()


def plain(value):
    """What JSON can hold: numbers with five digits, NaN as ``null``."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def kept(case: dict) -> dict:
    """A case as it is stored: pictures as PNG, curves as [step, value]."""
    pictures = {name: png(picture) for name, picture in case["pictures"].items()}
    curves = {}
    for name, line in case.get("curves", {}).items():
        x, y = line if isinstance(line, tuple) else (range(1, len(line) + 1), line)
        every = -(-len(y) // MANY)
        curves[name] = plain([list(x)[::every], list(y)[::every]])
    counts = {name: np.histogram(values, case["bins"])[0] for name, values in case.get("values", {}).items()}
    rest = {name: case[name] for name in ("bins", "xlabel", "ylabel", "facts") if name in case}
    return {"pictures": pictures, "curves": curves, **plain({"counts": counts, **rest})}


def make(names=None) -> dict[str, dict]:
    """Run the cases, all or those named, and return them as they are stored, in order."""
    made = {}
    for name, case in CASES.items():
        if names is None or name in names:
            start = time.perf_counter()
            made[name] = kept(case())
            print(f"{name}: {time.perf_counter() - start:.0f} s, {made[name]['facts']}", flush=True)
    return made


def main() -> int:
    """Run the cases and write the file; cases that were not asked for stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), help="some cases")
    made = make(parser.parse_args().only)
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    cases = {name: made.get(name, before.get(name)) for name in CASES}
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items() if case]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{FILE.name}: {len(lines)} cases, {FILE.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
