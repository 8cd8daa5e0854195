"""The pictures of a report, as text that an HTML page holds."""

import base64
import html
import io

import cv2
import numpy as np

from unetbook import normalize, resizing

LONGEST = 480  # pixels of a picture


def row(cells) -> str:
    """(name, picture) side by side, each with its name below."""
    figures = "".join(
        f'<figure><img alt="{html.escape(name)}" src="{source}"><figcaption>{html.escape(name)}</figcaption></figure>'
        for name, source in cells
    )
    return f'<div class="row">{figures}</div>'


def labels(numbered, task, like=None) -> str:
    """Labels (H, W) in color: objects as ``show.instances`` does, classes by their number."""
    from unetbook import show

    small = resizing.stretched_labels(numbered, *_fitting(numbered.shape))
    if task == "objects":
        small_like = None if like is None else resizing.stretched_labels(like, *_fitting(like.shape))
        picture = show.instances(small, small_like)
    else:
        palette = np.array([(0, 0, 0), *(show.colors.rgb(color) for color in show.objects.SIX)])
        picture = palette[np.where(small > 0, (small - 1) % 6 + 1, 0)]
    return _encoded(picture, ".png")


def photograph(image, outlined=None) -> str:
    """An image (H, W, C), stretched to be seen, with the outlines of labels where they are given."""
    from unetbook import show

    shown = normalize.stretched(image[..., :3] if image.shape[2] in (3, 4) else image[..., :1])
    height, width = _fitting(image.shape)
    shown = cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    if outlined is not None:
        shown = show.outlines(shown, resizing.stretched_labels(outlined, height, width))
    return _encoded(shown, ".jpg")


def _fitting(shape):
    shrink = min(1.0, LONGEST / max(shape[:2]))
    return tuple(max(1, round(side * shrink)) for side in shape[:2])


def _encoded(picture, ending):
    pixels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    pixels = pixels[..., ::-1] if pixels.shape[2] == 3 else pixels
    _, data = cv2.imencode(ending, np.ascontiguousarray(pixels))
    return f"data:image/{'png' if ending == '.png' else 'jpeg'};base64,{base64.b64encode(data.tobytes()).decode()}"


def curves(state) -> str:
    """Loss and validation score after each epoch."""
    import matplotlib.pyplot as plt

    from unetbook import show

    epochs = range(1, len(state["loss"]) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6))
    left.plot(epochs, state["loss"], color=show.BLUE)
    left.set(xlabel="epoch", title="training loss")
    right.plot(epochs, state["score"], color=show.ORANGE)
    right.axvline(state["best"], color=show.GRAY, linestyle=":")
    right.set(xlabel="epoch", title="validation score (kept: dotted)", ylim=(-0.02, 1.02))
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}"
