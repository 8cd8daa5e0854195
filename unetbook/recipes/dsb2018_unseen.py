"""How the U-Net of ``dsb2018-unet`` does on microscopes that it has not seen: one kind of image left out of training.

For each kind, a network is trained on the training images of all others and scored on the test images of that kind.
The way to objects is chosen on the validation images of the kinds that it knows. Beside it stands what
``dsb2018-unet``, which has seen all kinds, scores on the same images: its entry ``kinds``. Chapter 16.
"""

from unetbook import training
from unetbook.recipes import _nuclei, dsb2018_unet
from unetbook.recipes._run import described

NAME = "dsb2018-unseen"
SUMMARY = "nuclei on kinds of images that were left out of training, one kind at a time"
SEEDS = (0,)
SETTINGS = dsb2018_unet.SETTINGS
QUICK = dsb2018_unet.QUICK
KINDS = (
    *(f"fluorescence, {height} x {width}" for height, width in _nuclei.USUAL_SIZES),
    "fluorescence, other sizes",
    "stained",
    "bright-field",
)
ARMS = {f"without {kind}": {"left_out": kind} for kind in KINDS}
PAIRS = []


def data(settings, seed) -> dict:
    """The pictures; the split is that of ``dsb2018-unet``, made from the data again."""
    return _nuclei.load()


def measure(data, options, settings, seed) -> dict:
    """Train without one kind; the scores of its test images."""
    kind = options["left_out"]
    parts = {name: set(ids) for name, ids in _nuclei.split(data).items()}
    of_kind = {id_ for id_, picture in data.items() if picture.kind == kind}
    split = {name: sorted(ids & of_kind if name == "test" else ids - of_kind) for name, ids in parts.items()}
    if not split["test"]:
        raise ValueError(f"the data hold no test image of kind {kind!r}: get the whole data set")
    training.set_seed(seed)
    model = dsb2018_unet.build(settings)
    history = training.fit(
        model,
        _nuclei.batches(data, split, settings, seed),
        epochs=settings["epochs"],
        optimizer=_nuclei.optimizer(settings),
        loss=_nuclei.LOSS,
    )
    entry = _nuclei.evaluate(model, data, split)
    return {
        **{name: entry[name] for name in ("scores", "images", "choices")},
        "curve": history["loss"],
        "data": [described(path) for path in _nuclei.DATASET.files()],
    }
