"""What a page is drawn with: pictures, instances, curves, diagrams and tables, in one style.

``from unetbook import show`` sets the style (``unetbook.mplstyle``) for all figures that follow. Figures keep a white
ground, so that a dark page shows them as they were drawn. Colors are those of Okabe and Ito (2008), which people tell
apart without color vision; what matters is also told by position, line style or brightness.
"""

from pathlib import Path

import matplotlib.pyplot as plt

from unetbook.show.colors import BLACK, BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY, STYLES, YELLOW
from unetbook.show.curves import curves, differences
from unetbook.show.diagrams import unet_diagram
from unetbook.show.objects import instances
from unetbook.show.pictures import difference, errors, outlines, panels
from unetbook.show.tables import source, table

STYLE = Path(__file__).with_name("unetbook.mplstyle")
plt.style.use(STYLE)

__all__ = [
    "BLACK", "BLUE", "GRAY", "GREEN", "ORANGE", "PINK", "RED", "SKY", "STYLE", "STYLES", "YELLOW",
    "curves", "difference", "differences", "errors", "instances", "outlines", "panels", "source", "table",
    "unet_diagram",
]  # fmt: skip
