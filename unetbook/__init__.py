"""The package behind the book: what its chapters share, so that it is written and tested once.

Import the room you need, for example ``from unetbook import sizes, tiling`` or ``from unetbook.nets import unet``.
"""

__version__ = "0.1.0"
