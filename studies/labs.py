"""The labs: on drawn pictures, whether one choice is better than another.

Two networks of one seed cannot tell: the draw of the weights alone moves a score as much as many a choice does. So each
seed draws the pictures, the initial weights and the batches once for all arms. And the encoder that the book trained.
"""

from studies.study import ADAM, FIVE, Study, pairs

SMALL = {"network": "unet", "padding": "same", "normalization": "batch", "filters": 8, "depth": 3}

# Thin lines and large areas are the two tasks of most of them.
TASKS = {"fine": {"pictures": ("membranes",)}, "coarse": {"pictures": ("lesions",)}}


def on_both(arms, tasks=TASKS):
    """Each arm on each task."""
    return {f"{task}, {arm}": {**of, **changes} for task, of in tasks.items() for arm, changes in arms.items()}


BOTH = ("fine, ", "coarse, ")
# Added maps halve the channels that the decoder reads. "add, wide" has about as many weights as the concatenation.
SKIPS = Study(
    name="lab-skips",
    summary="skips concatenated, added (also as wide) or none, on membranes (thin lines) and on lesions (large areas)",
    task="synthetic",
    settings={
        "network": "unet",
        "padding": "same",
        "normalization": "batch",
        "training_pictures": 20,
        "test_pictures": 12,
        "size": 160,
        "depth": 4,
        "tile": 96,
        "batch": 4,
        "steps": 30,
        "epochs": 10,
        **ADAM,
        "loss": "cross_entropy",
        "target": "mask",
        "augmentation": "none",
        "scored": "outline",
        "boundary_tolerance": 1,
    },
    arms=on_both(
        {
            "concat": {"skip": "concat", "filters": 16},
            "add": {"skip": "add", "filters": 16},
            "add, wide": {"skip": "add", "filters": 17},
            "none": {"skip": "none", "filters": 16},
        }
    ),
    seeds=FIVE,
    quick={
        "training_pictures": 2,
        "test_pictures": 1,
        "size": 64,
        "depth": 1,
        "filters": 2,
        "tile": 64,
        "steps": 1,
        "epochs": 1,
    },
    quick_arms=("fine, concat", "fine, add", "coarse, none"),
    pairs=pairs(("add", "add, wide", "none"), "concat", BOTH),
)

UPSAMPLING = SKIPS.changed(
    "lab-upsampling",
    "up-convolution, nearest or bilinear up-sampling, on membranes (thin lines) and on lesions (large areas)",
    settings={"filters": 16},
    arms=on_both({way: {"upsampling": way} for way in ("transpose", "nearest", "bilinear")}),
    quick_arms=("fine, nearest", "coarse, bilinear"),
    pairs=pairs(("nearest", "bilinear"), "transpose", BOTH),
)

# One training with deep supervision gives all heads and their mean; "alone" is the deepest head trained without the
# others. Each U-Net is as wide as makes it cost about what the head costs for which it is named; a test counts that.
HEADS = ("L1", "L2", "L3", "L4")
UNETPP = SKIPS.changed(
    "lab-unetpp",
    "heads L1 to L4 of a U-Net++, their mean, and U-Nets of as many multiply-adds, on membranes and lesions",
    arms=on_both(
        {
            **{head: {"network": "unetpp", "filters": 8, "head": head} for head in (*HEADS, "mean")},
            "alone": {"network": "unetpp", "filters": 8, "deep_supervision": False},
            **{f"U-Net as {head}": {"filters": filters} for head, filters in zip(HEADS, (4, 7, 10, 13), strict=True)},
        }
    ),
    quick={**SKIPS.quick, "depth": 2},
    quick_arms=("coarse, L1", "coarse, mean", "coarse, alone", "coarse, U-Net as L1"),
    pairs=tuple(
        (f"{task}, {one}", f"{task}, {other}")
        for task in TASKS
        for one, other in (
            *((head, f"U-Net as {head}") for head in HEADS),
            *((head, "L4") for head in HEADS[:3]),
            ("mean", "L4"),
            ("L4", "alone"),
        )
    ),
)

# About as many multiply-adds as the plain U-Net's; a test counts them. Seeds that lab-family does not use.
NETWORKS = {
    "U-Net": {"network": "unet", "filters": 16, "padding": "same", "depth": 4},
    "U-Net, batch": {"network": "unet", "filters": 16, "padding": "same", "depth": 4, "normalization": "batch"},
    "U-Net, instance": {"network": "unet", "filters": 16, "padding": "same", "depth": 4, "normalization": "instance"},
    "U-Net++": {"network": "unetpp", "filters": 10, "depth": 4, "normalization": "batch", "deep_supervision": False},
    "Improved U-Net": {"network": "improved_unet", "filters": 12},
}
RATES = (5e-4, 2e-3, 8e-3)
FAMILY_TASKS = {"nuclei": {"pictures": ("nuclei",)}, "lesions": {"pictures": ("lesions",)}}
WITHOUT = ("network", "padding", "normalization", "depth", "learning_rate")  # each arm has its own
FAMILY_RATES = Study(
    name="lab-family-rates",
    summary="learning rates of U-Net, U-Net++ and Improved U-Net at equal cost, on pictures of their own",
    task="synthetic",
    settings={**{name: value for name, value in SKIPS.settings.items() if name not in WITHOUT}, "steps": 20},
    arms=on_both(
        {
            f"{name}, {rate:g}": {**network, "learning_rate": rate}
            for name, network in NETWORKS.items()
            for rate in RATES
        },
        FAMILY_TASKS,
    ),
    seeds=(100, 101),
    quick=SKIPS.quick,
    quick_arms=tuple(f"lesions, {name}, 0.002" for name in ("U-Net, batch", "U-Net++", "Improved U-Net")),
    based_on="lab-skips",
)

CANDIDATES = {
    "U-Net": ("U-Net",),
    "U-Net, tuned": ("U-Net", "U-Net, batch", "U-Net, instance"),
    "U-Net++": ("U-Net++",),
    "Improved U-Net": ("Improved U-Net",),
}
FAMILY = FAMILY_RATES.changed(
    "lab-family",
    "U-Net, tuned U-Net, U-Net++ and Improved U-Net at equal steps and multiply-adds, on nuclei and on lesions",
    settings={"best_in": "lab-family-rates"},
    arms={
        f"{task}, {name}": {"best_of": tuple(f"{task}, {one}, {rate:g}" for one in of for rate in RATES)}
        for task in FAMILY_TASKS
        for name, of in CANDIDATES.items()
    },
    seeds=FIVE,
    quick_arms=("nuclei, U-Net, tuned", "nuclei, U-Net++"),
    pairs=pairs(("U-Net", "U-Net++", "Improved U-Net"), "U-Net, tuned", ("nuclei, ", "lesions, ")),
)

# The number of ellipses changes and not their size: each is as hard to tell from a disc as before.
LOSSES = {"cross-entropy": "binary_cross_entropy", "Dice": "dice", "sum": "bce_dice"}
OBJECTS = (20, 10, 3, 1)
LAB_LOSSES = Study(
    name="lab-losses",
    summary="cross-entropy, Dice, 0.5 cross-entropy + Dice, with 20, 10, 3 and 1 objects in a picture",
    task="synthetic",
    settings={
        **SMALL,
        "pictures": ("ellipses",),
        "training_pictures": 40,
        "test_pictures": 40,
        "size": 128,
        "tile": 128,
        "batch": 4,
        "steps": 20,
        "epochs": 10,
        **ADAM,
        "target": "mask",
        "augmentation": "none",
        "scored": "mask",
    },
    arms={
        f"{name}, {objects}": {"loss": loss, "objects": objects} for objects in OBJECTS for name, loss in LOSSES.items()
    },
    seeds=FIVE,
    quick={"training_pictures": 4, "test_pictures": 2, "filters": 2, "depth": 1, "steps": 1, "epochs": 1},
    quick_arms=tuple(f"{name}, 20" for name in LOSSES),
    pairs=tuple((f"{name}, {n}", f"cross-entropy, {n}") for n in OBJECTS for name in ("Dice", "sum")),
)

WEIGHT_MAPS = Study(
    name="lab-weight-maps",
    summary="touching cells with and without weights: none, class balance, border term, both",
    task="synthetic",
    settings={
        **SMALL,
        "pictures": ("cells",),
        "training_pictures": 40,
        "test_pictures": 20,
        "size": 192,
        "tile": 128,
        "batch": 4,
        "steps": 40,
        "epochs": 10,
        **ADAM,
        "loss": "weighted_cross_entropy",
        "target": "gaps",
        "made": "once",
        "augmentation": "none",
        "scored": "errors",
    },
    arms={
        "no weights": {"balanced": False, "w0": 0},
        "class balance": {"balanced": True, "w0": 0},
        "border term": {"balanced": False, "w0": 10, "sigma": 5},
        "both": {"balanced": True, "w0": 10, "sigma": 5},
    },
    seeds=FIVE,
    quick={
        "training_pictures": 2,
        "test_pictures": 1,
        "size": 64,
        "filters": 2,
        "depth": 1,
        "tile": 64,
        "steps": 1,
        "epochs": 1,
    },
    quick_arms=("no weights", "both"),
    pairs=pairs(("class balance", "border term", "both"), "no weights"),
)

# The ways back to objects are those of unetbook.instances with their defaults; nothing is chosen on test pictures.
TARGETS = WEIGHT_MAPS.changed(
    "lab-targets",
    "touching cells by mask, mask with a gap, that with watershed or weight map, border class, distance map",
    settings={"loss": "cross_entropy", "scored": "objects"},
    arms={
        "mask": {"target": "mask", "way": "components"},
        "mask with a gap": {"way": "regrow"},
        "gap and watershed": {"way": "watershed"},
        "gap and weight map": {"way": "regrow", "loss": "weighted_cross_entropy", "w0": 10, "sigma": 5},
        "border class": {"target": "border", "way": "border"},
        "distance map": {"target": "distance", "way": "distance", "distance_up_to": 8, "loss": "squared_error"},
    },
    quick_arms=("mask", "gap and weight map", "border class", "distance map"),
    pairs=pairs(("mask", "gap and watershed", "gap and weight map", "border class", "distance map"), "mask with a gap"),
)

# Targets are made tile by tile, after a tile was turned and bent: a gap of two pixels does not survive that whole. The
# paper deforms tiles of about 512 pixels by 10. Tiles of 128 pixels take 5, so that nothing folds over: relative to the
# tile twice as strong. With 5 pictures also in a training three times as long, which has time to learn them by heart.
GRAY = {"blur": 0, "gamma": 0, "gain": 0, "offset": 0, "noise": 0}  # gray values stay as they are
RIGID = {"flip": True, "rotation": 180, "zoom": 0, "elastic": 0, **GRAY}
AUGMENTATIONS = {"none": "none", "rigid": RIGID, "elastic": RIGID | {"elastic": 5}}
AUGMENTATION = WEIGHT_MAPS.changed(
    "lab-augmentation",
    "5, 10 and 20 training pictures: none, flips and turns, elastic deformation on top; with 5 for longer, too",
    settings={
        "training_pictures": 20,
        "size": 160,
        "steps": 30,
        "loss": "cross_entropy",
        "made": "after each turn",
        "scored": "mask",
    },
    arms={
        **{
            f"{count} {kind}": {"learned_pictures": count, "augmentation": augmentation}
            for count in (5, 10, 20)
            for kind, augmentation in AUGMENTATIONS.items()
        },
        **{
            f"5 {kind}, long": {"learned_pictures": 5, "augmentation": augmentation, "epochs": 30}
            for kind, augmentation in AUGMENTATIONS.items()
        },
    },
    quick={**WEIGHT_MAPS.quick, "learned_pictures": 2},
    quick_arms=("5 none, long", "5 elastic, long"),
    pairs=tuple(
        (f"{count} {one}{long}", f"{count} {other}{long}")
        for count, long in ((5, ""), (10, ""), (20, ""), (5, ", long"))
        for one, other in (("rigid", "none"), ("elastic", "rigid"))
    ),
)

# All arms see the same number of pixels in each step: one tile of 256 x 256, as the paper prefers one large tile, or
# four of 128 x 128. The paper gives no learning rate, so each optimizer runs at three. SGD also gets four times the
# steps, beside an Adam that gets as many, and batch normalization, since it is slow to begin.
ONE_TILE, SGD = {"tile": 256, "batch": 1}, {"optimizer": "sgd", "tile": 256, "batch": 1}
OPTIMIZATION = WEIGHT_MAPS.changed(
    "lab-optimization",
    "SGD with momentum 0.99 on one large tile or Adam on a batch; ReLU, ELU, tanh; batch normalization",
    settings={
        "normalization": None,
        "training_pictures": 24,
        "test_pictures": 12,
        "size": 256,
        "steps": 30,
        "learning_rate": 1e-3,
        "loss": "cross_entropy",
        "activation": "relu",
        "scored": "mask",
    },
    arms={
        "Adam 0.0001": {"learning_rate": 1e-4},
        "Adam 0.001": {},
        "Adam 0.01": {"learning_rate": 1e-2},
        "SGD 0.0001": {**SGD, "learning_rate": 1e-4},
        "SGD 0.001": SGD,
        "SGD 0.01": {**SGD, "learning_rate": 1e-2},
        "Adam, one tile": ONE_TILE,
        "ELU": {"activation": "elu"},
        "tanh": {"activation": "tanh"},
        "batch normalization": {"normalization": "batch"},
        "SGD 0.001, batch normalization": {**SGD, "normalization": "batch"},
        "Adam 0.001, long": {"epochs": 40},
        "SGD 0.001, long": {**SGD, "epochs": 40},
        "SGD 0.01, long": {**SGD, "learning_rate": 1e-2, "epochs": 40},
    },
    quick_arms=("Adam 0.001", "SGD 0.001, batch normalization", "tanh"),
    pairs=(
        *pairs(
            (
                "Adam 0.0001",
                "Adam 0.01",
                "SGD 0.0001",
                "SGD 0.001",
                "SGD 0.01",
                "Adam, one tile",
                "ELU",
                "tanh",
                "batch normalization",
            ),
            "Adam 0.001",
        ),
        ("SGD 0.001, batch normalization", "batch normalization"),
        ("SGD 0.001, long", "Adam 0.001, long"),
        ("SGD 0.01, long", "Adam 0.001, long"),
    ),
)

# The book's own pretrained encoder. It sees cells, membranes and ellipses, recolored at random, and neither nuclei nor
# lesions, so that chapter 14 can transfer it to both. Only the encoder is kept.
ENCODER = Study(
    name="encoder-synthetic",
    summary="MobileNetV2 (alpha 0.35) trained on synthetic cells, membranes and ellipses: an encoder for other tasks",
    task="synthetic",
    settings={
        "network": "encoder",
        "start": "random",
        "alpha": 0.35,
        "filters": 8,
        "depth": 5,
        "pictures": ("cells", "membranes", "ellipses"),
        "training_pictures": 300,
        "test_pictures": 20,
        "size": 160,
        "tile": 128,
        "batch": 16,
        "steps": 150,
        "epochs": 12,
        **ADAM,
        "loss": "cross_entropy",
        "target": "classes",
        "augmentation": "recolored",
        "scored": "classes",
    },
    arms={"encoder": {}},
    seeds=(0,),
    quick={
        "training_pictures": 2,
        "test_pictures": 1,
        "size": 64,
        "depth": 2,
        "tile": 64,
        "batch": 2,
        "steps": 1,
        "epochs": 1,
    },
    keeps=("encoder",),
)

# Nuclei are close to what the encoder saw, lesions far from it. Beside it the same network from random weights, and the
# book's plain U-Net.
STARTS = {
    **{
        start: {"network": "encoder", "start": start, "alpha": 0.35, "filters": 8, "depth": 5}
        for start in ("frozen", "fine-tuned", "random")
    },
    "U-Net": {"network": "unet", "padding": "same", "normalization": "batch", "filters": 16, "depth": 4},
}
WITHOUT = ("network", "padding", "normalization", "depth")
TRANSFER = Study(
    name="lab-transfer",
    summary="encoder frozen, fine-tuned or from random weights, and a U-Net, with 5, 20 and 100 nuclei or lesions",
    task="synthetic",
    settings={
        **{name: value for name, value in SKIPS.settings.items() if name not in WITHOUT},
        "training_pictures": 100,
        "test_pictures": 20,
        "size": 96,
        "steps": 20,
    },
    based_on="lab-skips",
    arms={
        f"{task}, {count}, {start}": {"pictures": (draw,), "learned_pictures": count, **network}
        for task, draw in (("near", "nuclei"), ("far", "lesions"))
        for count in (5, 20, 100)
        for start, network in STARTS.items()
    },
    seeds=FIVE,
    quick={
        "training_pictures": 5,
        "learned_pictures": 5,
        "test_pictures": 1,
        "size": 64,
        "depth": 2,
        "tile": 64,
        "batch": 2,
        "steps": 1,
        "epochs": 1,
    },
    quick_arms=("near, 5, frozen", "near, 5, random", "near, 5, U-Net"),
    pairs=tuple(
        (f"{task}, {count}, {one}", f"{task}, {count}, {other}")
        for task in ("near", "far")
        for count in (5, 20, 100)
        for one, other in (
            ("frozen", "random"),
            ("fine-tuned", "random"),
            ("fine-tuned", "frozen"),
            ("frozen", "U-Net"),
            ("fine-tuned", "U-Net"),
            ("random", "U-Net"),
        )
    ),
)
