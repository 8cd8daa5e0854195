"""Every study of the book, as data: those on real images, and the index of all. ``labs`` has those on drawn ones.

``python -m studies list`` prints it. What was named before anything was measured stands beside the study.
"""

import difflib

from studies import labs
from studies.study import ADAM, FIVE, Study, pairs

# Membranes. The paper's way in all but its size: 16 channels on the first level instead of 64, 21 slices instead of 30.
# And faster: instance normalization, which the paper does not have, lets SGD learn in a quarter of an hour at a high
# rate. Not batch normalization: with one tile a batch each tile is normalized by itself, and by a mean of many at the
# end. The paper does not tell the learning rate, its rise and fall, the strength of turns and gray values, and by what
# the loss is divided. ``unet`` is the first network of the chapter: Adam, turns by 90 degrees, every pixel alike.
ISBI2012 = Study(
    name="isbi2012",
    summary="EM membranes: the paper's way, without its weights, without elastic deformation, and a plain U-Net",
    task="membranes",
    settings={
        "network": "unet",
        "padding": "valid",
        "depth": 4,
        "filters": 16,
        "dropout": 0.5,
        "normalization": "instance",
        "tile": 572,
        "batch": 1,
        "steps": 150,
        "epochs": 10,
        "precision": "mixed_bfloat16",
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "warmup": 100,
        "schedule": "cosine",
        "loss": "weighted_cross_entropy",
        "w0": 10,
        "sigma": 5,
        "balanced": True,
        "augmentation": {"elastic": 10},
        "averaged": True,
        "thresholds": "one for each score",
    },
    arms={
        "unet": {
            "normalization": None,
            "tile": 380,
            "batch": 2,
            "steps": 120,
            "epochs": 30,
            "precision": "float32",
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "loss": "cross_entropy",
            "augmentation": "turn_and_shade",
            "averaged": False,
            "thresholds": "one",
        },
        "paper": {},
        "no-weights": {"w0": 0, "balanced": False},
        "no-elastic": {"augmentation": {"elastic": 0}},
    },
    seeds=(0, 1, 2),
    seeds_of={"unet": (0, 1)},
    quick={"filters": 2, "tile": 220, "batch": 1, "steps": 2, "epochs": 2, "warmup": 2},
    pairs=(("paper", "no-weights"), ("paper", "no-elastic"), ("paper", "unet")),
    target={"rand_thin": 0.06, "pixel_error": 0.09},
    aims="paper",
    keeps=("unet", "paper"),
)

UNET = {"network": "unet", "filters": 16, "depth": 4, "padding": "same", "normalization": "batch"}

# Nuclei. Target and weights are what did best in chapter 10: nuclei with a gap where they touch, and the border term.
DSB2018 = Study(
    name="dsb2018",
    summary="nuclei: U-Net, U-Net++ of as many multiply-adds with its heads, and gaps that are made after the turn",
    task="nuclei",
    settings={
        **UNET,
        "tile": 192,
        "batch": 8,
        "steps": 180,
        "epochs": 10,
        "precision": "mixed_bfloat16",
        **ADAM,
        "loss": "weighted_cross_entropy",
        "normalize": "bright_on_dark",
        "target": "gaps",
        "made": "once",
        "w0": 3,
        "sigma": 5,
        "augmentation": {
            "zoom": 0.3,
            "elastic": 4,
            "blur": 0.5,
            "gamma": 0.3,
            "gain": 0.1,
            "offset": 0,
            "noise": 0.005,
        },
        "left_out": "nothing",
        "scored": "test",
    },
    arms={
        "unet": {},
        "unetpp": {"network": "unetpp", "filters": 10},
        "gaps": {"made": "after each turn"},
    },
    seeds=(0, 1, 2),
    quick={"filters": 2, "depth": 2, "tile": 64, "batch": 1, "steps": 2, "epochs": 2},
    pairs=pairs(("unetpp", "gaps"), "unet"),
    least={"dsb": 0.55, "f": 0.85, "iou": 0.88},
    aims="unet",
    keeps=("unet", "unetpp"),
)
SHORT = {"steps": 450, "epochs": 1}  # a quarter of the steps

CHOICES = DSB2018.changed(
    "dsb2018-choices",
    "nuclei, short trainings: weights, look, augmentation and target, judged on validation images",
    settings={**SHORT, "scored": "validation"},
    arms={
        "as chosen": {},
        "no border weights": {"w0": 0},
        "border weights of the paper": {"w0": 10},
        "no square root": {"normalize": "bright_on_dark_linear"},
        "usual augmentation": {"augmentation": {"zoom": 0.3}},
        "border class": {"target": "border"},
    },
    quick={**DSB2018.quick, "epochs": 1},
    quick_arms=("as chosen", "no square root", "border class"),
    pairs=pairs(
        (
            "no border weights",
            "border weights of the paper",
            "no square root",
            "usual augmentation",
            "border class",
        ),
        "as chosen",
    ),
    least={},
    aims="",
    keeps=(),
    baselines=False,
)

# For each kind of image, a network that learned all others is scored on the test images of that kind; "all kinds" is
# scored beside it. Without its largest kind the training set is half as large; the last arm tells that apart.
# The stored run was read with a watershed of one pixel at most; a new one chooses among all depths, as dsb2018 does.
KINDS = (
    "fluorescence, 256 x 256",
    "fluorescence, 360 x 360",
    "fluorescence, 520 x 696",
    "fluorescence, other sizes",
    "stained",
    "gray on light",
)
UNSEEN = DSB2018.changed(
    "dsb2018-unseen",
    "nuclei on kinds of images that were left out of training, one kind at a time; short trainings",
    settings={**SHORT, "scored": "once"},
    arms={
        "all kinds": {},
        **{f"without {kind}": {"left_out": "kind", "kind": kind} for kind in KINDS},
        f"as many fewer at random, on {KINDS[0]}": {"left_out": "as many at random", "kind": KINDS[0]},
    },
    quick={**DSB2018.quick, "epochs": 1},
    quick_arms=("all kinds", "without stained"),
    pairs=(),
    least={},
    aims="",
    keeps=(),
    baselines=False,
)

# Lesions. The study that the chapter follows: 256 pixels, batch 16, Adam at a constant 1e-4, drop-out 0.3, nothing
# augmented, ten epochs of 60 % of 2,594 images, which are 970 steps. Its loss and width are not known to us. Our own
# schedule: random turns, places, sizes, gray values and colors, so that 59 images are not learned by heart; a higher
# rate that falls to 0; a loss with the Dice that is scored; smaller pictures; eight positions; one piece.
OURS = {
    "side": 192,
    "batch": 8,
    "steps": 90,
    "epochs": 20,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "loss": "bce_dice",
    "augmentation": {
        "shift": 20,
        "zoom": 0.4,
        "elastic": 4,
        "blur": 0.5,
        "gamma": 0.2,
        "gain": 0.2,
        "offset": 0.05,
        "noise": 0.01,
    },
    "color": 0.1,
    "averaged": True,
    "one_piece": True,
}
PLAIN = {"network": "unet", "padding": "same", "filters": 11, "depth": 4, "normalization": "instance", "dropout": 0.0}
ISIC2017 = Study(
    name="isic2017",
    summary="skin lesions, five folds: Improved U-Net with a study's settings and with ours, and a plain U-Net",
    task="lesions",
    settings={
        "network": "improved_unet",
        "filters": 8,
        "dropout": 0.3,
        "side": 256,
        "batch": 16,
        "steps": 97,
        "epochs": 10,
        "precision": "mixed_bfloat16",
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "schedule": "constant",
        "loss": "binary_cross_entropy",
        "augmentation": "none",
        "averaged": False,
        "one_piece": False,
    },
    arms={
        "study": {},
        "improved": OURS,
        "unet": {**OURS, **PLAIN},
    },
    seeds=FIVE,
    quick={"filters": 2, "side": 32, "batch": 2, "steps": 1, "epochs": 2},
    pairs=(("improved", "study"), ("improved", "unet")),
    least={"dice": 0.80},
    aims="improved",
    keeps=("improved",),
)

# Touching cells. Named before anything was measured: the comparison that counts is weights with no-weights, by F at IoU
# 0.5 and by merged cells, each network read as suits it best on validation pictures. The grids to choose from were
# widened once, when the test scores of the first three seeds of both were known; chapter 18 says what that changed.
# The paper's w0 and sigma, as the network sees them. Caicedo and others (2019) weighted a border class ten times.
USIIGACI = Study(
    name="usiigaci",
    summary="touching cells: gaps with and without border weights, a border class with and without a higher weight",
    task="touching",
    settings={
        **UNET,
        "side": 512,
        "tile": 256,
        "batch": 4,
        "steps": 100,
        "epochs": 10,
        "precision": "mixed_bfloat16",
        **ADAM,
        "loss": "weighted_cross_entropy",
        "target": "gaps",
        "w0": 10,
        "sigma": 5,
        "augmentation": {
            "zoom": 0.2,
            "elastic": 6,
            "blur": 0.5,
            "gamma": 0.2,
            "gain": 0.2,
            "offset": 0.05,
            "noise": 0.01,
        },
    },
    arms={
        "weights": {},
        "no-weights": {"w0": 0},
        "border": {"target": "border", "border_weight": 1},
        "border-weights": {"target": "border", "border_weight": 10},
    },
    seeds=FIVE,
    seeds_of={"border": (0, 1, 2), "border-weights": (0, 1, 2)},
    quick={"filters": 2, "depth": 2, "tile": 64, "batch": 1, "steps": 2, "epochs": 2},
    pairs=(
        ("weights", "no-weights"),
        ("border", "no-weights"),
        ("border-weights", "border"),
        ("weights", "border-weights"),
    ),
    keeps=("weights", "no-weights", "border", "border-weights"),
)

# The annotation budget: what a training on a folder makes of few pictures by its own rules, in about ten minutes on two
# cores. From random weights, and from a kept network that has seen none of the pictures, nor any of their kind.
BUDGETS = {"nuclei": ("touching", 50), "touching": ("nuclei", 38), "lesions": ("nuclei", 50)}


def _budget(task, start, most):
    counts = (2, 5, 10, 20, most)
    arms = {f"{count} pictures": {"annotated": count, "weights_of": None} for count in counts}
    arms |= {f"{count} pictures, from {start}": {"annotated": count, "weights_of": start} for count in counts}
    return Study(
        name=f"budget-{task}",
        summary=f"{task}: a training on a folder of 2 to {most} annotated pictures",
        task=f"budget_{task}",
        settings={"filters": 16, "depth": 4, "steps": 40, "epochs": 25} | ({"side": 512} if task == "touching" else {}),
        arms=arms,
        seeds=(0, 1, 2),
        seeds_of={arm: (0,) for arm, changes in arms.items() if changes["annotated"] != 10},
        quick={"filters": 2, "depth": 2, "steps": 2, "epochs": 2},
        quick_arms=("5 pictures", f"5 pictures, from {start}"),
        pairs=tuple((f"{count} pictures, from {start}", f"{count} pictures") for count in counts),
        baselines=False,
    )


STUDIES = {
    study.name: study
    for study in (
        ISBI2012,
        DSB2018,
        CHOICES,
        UNSEEN,
        ISIC2017,
        USIIGACI,
        labs.SKIPS,
        labs.UPSAMPLING,
        labs.AUGMENTATION,
        labs.LAB_LOSSES,
        labs.WEIGHT_MAPS,
        labs.TARGETS,
        labs.OPTIMIZATION,
        labs.UNETPP,
        labs.FAMILY_RATES,
        labs.FAMILY,
        labs.ENCODER,
        labs.TRANSFER,
        *(_budget(task, *of) for task, of in BUDGETS.items()),
    )
}


def get(name: str) -> Study:
    """The study of this name. Raises ``ValueError`` with the closest name and all others for an unknown one."""
    return _known(name, STUDIES, "study")


def arm(study: Study, name: str) -> str:
    """The name, if it is one of the study's arms; otherwise ``ValueError`` as for ``get``."""
    _known(name, study.arms, f"arm of {study.name}")
    return name


def _known(name, known, what):
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f": did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"there is no {what} {name!r}{hint} Known: {', '.join(known)}")
    return known[name]
