"""Draw the picture of the README: a synthetic image larger than the tile, its truth, and what a small U-Net made of it.

    python -m tools.hero

About two minutes on two CPU cores. A quick run on pictures that the package draws itself, and no measured result.
"""

import matplotlib.pyplot as plt
import numpy as np

from tools.pairs import ROOT
from unetbook import show, tiling, training
from unetbook.datasets import synthetic
from unetbook.nets import probabilities, unet

PICTURE = ROOT / "_static" / "hero.png"


def main() -> None:
    """Train on 40 pictures, predict one that is larger than the tile, and save three panels."""
    training.set_seed(0)
    images, labels = synthetic.membranes(count=40, size=256, seed=1)
    image, truth = (stack[0] for stack in synthetic.membranes(count=1, size=(320, 480), seed=2))
    model = unet((None, None, 1), classes=1, filters=8, padding="same")
    tiles = training.Tiles(images, (labels > 0).astype(np.int32), tile=160, output=160, batch_size=4, steps=50, seed=0)
    training.fit(model, tiles, epochs=5)
    interior = probabilities(tiling.predict(model, image, tile=288))
    pictures = [image[..., 0], truth > 0, np.asarray(interior)[..., 0]]
    titles = ["image", "truth", "predicted by a small U-Net"]
    figure, _ = show.panels(pictures, titles, width=8.0)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
