"""Pictures, stacks and masks from PNG, JPEG, BMP and TIFF files, and stacks of labels into them.

One rule for each question, whatever the format:

- **Values**: the full range of the stored integers becomes [0, 1]: 8 bits are divided by 255, 16 by 65535, and 12 by
  4095 where the file says that it has 12. Nothing is stretched: values of 12 bits in a file of 16 stay in [0, 1/16].
- **What is shown counts**: palettes give their colors, black is 0 also where a file counts from white, and a picture is
  turned as its TIFF or EXIF orientation says, images and masks alike. In a mask that counts from white, stored numbers
  count: ImageJ and tifffile write objects so.
- **Told**: what a reader might not expect is a note, which ``image`` and ``mask`` give as a warning.
- **Refused**: what cannot be read right is a ``ValueError`` that names the file and the fix.
"""

from unetbook.images.picture import AGAIN, Picture
from unetbook.images.reading import image, mask, read
from unetbook.images.writing import write_labels, write_png

__all__ = ["AGAIN", "Picture", "image", "mask", "read", "write_labels", "write_png"]
