"""A picture as its file shows it, and what all formats share: how it is turned, and how large a pixel is."""

from dataclasses import dataclass, replace

import numpy as np

from unetbook import memory

AGAIN = "remove it and get it again"
PRINT = 10.0  # micrometers; a coarser resolution, such as 72 or 300 dots an inch, is one of print
MICROMETERS = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "in": 25400.0}
MICROMETERS |= dict.fromkeys(("\u00b5m", "\u03bcm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0)


class Unreadable(ValueError):
    """A file that is not damaged, and cannot be read: why, and what to do, without its name."""


@dataclass(frozen=True)
class Picture:
    """A picture, or a stack of them.

    pixels: (..., H, W, C) as they are shown, of the dtype of the file; 1, 2 and 4 bits are stretched to 0 .. 255.
    axes: a letter for each axis before H, such as ``"Z"`` or ``"TZ"``; empty for one picture. pixel_size: micrometers,
    or ``None``. bits: of a value, ``2**bits - 1`` is white. step: what the stored number 1 is shown as; ``None`` where
    a palette shows numbers as colors. from_white: whether the file counts from white down; ``pixels`` do not. notes:
    what a reader should be told, in words that go on from the file's name.
    """

    pixels: np.ndarray
    axes: str = ""
    pixel_size: float | None = None
    bits: int = 8
    step: int | None = 1
    from_white: bool = False
    notes: tuple[str, ...] = ()

    @property
    def stack(self) -> tuple[int, ...]:
        """How many pictures lie along each of ``axes``; ``()`` for one."""
        return self.pixels.shape[:-3]

    def image(self, index=()) -> np.ndarray:
        """One picture as float32 (H, W, C) in [0, 1]; index: where in the stack, such as ``(3,)``."""
        pixels = self.pixels[index]
        if pixels.dtype.kind == "f":
            return pixels.astype(np.float32)
        return pixels.astype(np.float32) / np.float32(2**self.bits - 1)

    def turned(self, orientation, tag) -> "Picture":
        """The picture as the orientation 1 to 8 of TIFF and EXIF says, with a note; other numbers say nothing."""
        if orientation not in range(2, 9):
            return self
        pixels = self.pixels.swapaxes(-3, -2) if orientation >= 5 else self.pixels
        pixels = pixels[..., ::-1, :] if orientation in (2, 3, 6, 7) else pixels
        pixels = pixels[..., ::-1, :, :] if orientation in (3, 4, 7, 8) else pixels
        note = f"was turned or mirrored as its {tag} says (orientation {orientation})"
        return replace(self, pixels=np.ascontiguousarray(pixels), notes=(*self.notes, note))

    def without_alpha(self, gray_or_color) -> "Picture":
        """Without the channel behind 1 of gray or 3 of color, which must be opaque; ``Unreadable`` if it is not."""
        alpha = self.pixels[..., gray_or_color]
        if (alpha != (1 if alpha.dtype.kind == "f" else 2**self.bits - 1)).any():
            raise Unreadable(
                f"has transparent pixels (alpha from {alpha.min()} to {alpha.max()}): what is behind them is not "
                "stored; flatten the picture first"
            )
        return replace(self, pixels=np.delete(self.pixels, gray_or_color, axis=-1))


def check_fits(width, height, needed) -> None:
    """``Unreadable`` for pixels that need more bytes than are free: asked before they are decoded, a bomb or not."""
    try:
        memory.check(needed, width, height)
    except ValueError as error:
        raise Unreadable(f"is too large: {error}") from None


def size_of_pixels(x, y) -> tuple[float | None, tuple[str, ...]]:
    """The one size of pixels that are x wide and y high, in micrometers, and notes; ``None`` where there is none."""
    if not x or not y or max(x, y) > PRINT:
        return None, ()
    if abs(x - y) > 0.01 * x:
        return None, (f"has pixels of {x:.4g} x {y:.4g} um: they are taken for squares of no known size",)
    return float(f"{x:.6g}"), ()


def ramp_step(colors) -> int | None:
    """What the number 1 is shown as by a palette (n, 3) that runs from black in equal steps of gray; else ``None``."""
    levels = np.asarray(colors)[:, 0].astype(int)
    step = int(levels[1]) if levels.size > 1 else 1
    ramp = (np.asarray(colors) == levels[:, None]).all() and (levels == step * np.arange(levels.size)).all()
    return step if ramp and (step == 1 or levels[-1] == 255) else None
