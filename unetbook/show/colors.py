"""The colors of the book: those of Okabe and Ito (2008), and how they are mixed."""

BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
GRAY = "#999999"
STYLES = ("-", "--", ":", "-.")


def rgb(color) -> tuple[float, float, float]:
    """A color such as ``"#0072B2"`` as red, green and blue in [0, 1]."""
    return tuple(int(color[k : k + 2], 16) / 255 for k in (1, 3, 5))
