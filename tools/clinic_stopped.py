"""The clinic's last two cases, which do not run at all: a size that does not fit, and too little memory."""

import os
import subprocess
import sys

import keras

from tools.clinic_cases import TEST, TEST_MASK, fields

BUDGET = 3  # GB of memory that the last case may take


def size():
    """A picture of 100 x 92 pixels, for three poolings by plain Keras."""
    image, mask = (part[1, :100, :92] for part in fields(2, 21, side=104))
    conv = {"padding": "same", "activation": "relu"}
    maps, skips, sides, message = keras.Input(image.shape), [], [], ""
    for level in range(3):
        maps = keras.layers.Conv2D(8 * 2**level, 3, **conv)(maps)
        skips.append(maps)
        sides.append(maps.shape[1])
        maps = keras.layers.MaxPooling2D()(maps)
    sides.append(maps.shape[1])
    try:
        for skip in reversed(skips):
            maps = keras.layers.UpSampling2D()(maps)
            sides.append(maps.shape[1])
            maps = keras.layers.Concatenate()([skip, maps])
    except ValueError as error:
        message = str(error)
    facts = {"message": message, "sides": sides}
    return {"pictures": {"image": image, "truth": mask}, "curves": {"height": sides}, "facts": facts} | {
        "ylabel": "height of the maps"
    }


CHILD = """
import resource
resource.setrlimit(resource.RLIMIT_DATA, ({budget}, {budget}))
import keras, numpy as np
from unetbook import nets
model = nets.unet((None, None, 1), 1, filters=64, padding="same")
model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
model.train_on_batch(np.zeros(({batch}, {side}, {side}, 1), "float32"), np.zeros(({batch}, {side}, {side}, 1)))
print("fits")
"""


def needed(side, batch, filters=64, depth=4):
    """GB of the maps that a training step of the U-Net of 2015 keeps, 4 bytes a value: two a level, down and up."""
    levels = [2 * (filters * 2**k) * (side / 2**k) ** 2 for k in range(depth)]
    return 4 * batch * (2 * sum(levels) + 2 * (filters * 2**depth) * (side / 2**depth) ** 2) / 1e9


def memory():
    """The network of 2015, sixteen pictures of 512 x 512 a batch, on a machine with little memory."""
    said = {}
    for side, batch in ((512, 16), (128, 1)):
        code = CHILD.format(budget=BUDGET * 10**9, batch=batch, side=side)
        plain = dict(os.environ, TF_ENABLE_ONEDNN_OPTS="0")  # with oneDNN it ends without a word
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain)
        words = "fits", "OOM when allocating", "bad_alloc"  # which of the last two comes, the size decides
        lines = [line for word in words for line in (run.stdout + run.stderr).splitlines() if word in line]
        said[side] = lines[0] if lines else f"ended with status {run.returncode}"
    image, mask = TEST, TEST_MASK
    sides = [64, 128, 256, 384, 512]
    facts = {"message": said[512][:300], "small": said[128], "needed": needed(512, 16), "needed small": needed(128, 1)}
    curves = {f"{n} a batch": (sides, [needed(side, n) for side in sides]) for n in (1, 4, 16)}
    return {"pictures": {"image": image, "truth": mask}, "curves": curves, "facts": facts | {"budget": BUDGET}} | {
        "ylabel": "GB by side"
    }
