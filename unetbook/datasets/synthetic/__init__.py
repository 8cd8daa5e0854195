"""Pictures that the package draws itself from a seed, with exact instance labels.

They run offline and stand in for real images in chapters, tests and labs; each kind imitates one kind of
picture closely enough that a threshold with connected components fails where it fails on the real thing.
No pixel of a real image is in them.
"""

from unetbook.datasets.synthetic._cells import cells
from unetbook.datasets.synthetic._ellipses import ellipses
from unetbook.datasets.synthetic._lesions import lesions
from unetbook.datasets.synthetic._membranes import membranes
from unetbook.datasets.synthetic._nuclei import nuclei

__all__ = ["cells", "ellipses", "lesions", "membranes", "nuclei"]
