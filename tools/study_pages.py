"""Write the pages that tell how a study was checked, from its results: every number that a chapter has no room for.

    python -m tools.study_pages

A page is ``chapters/pages/check-NAME.md``. Nobody edits it: ``tests/book/test_study_pages.py`` compares it with them.
"""

import statistics

import numpy as np

from tools.pairs import PAGES
from unetbook import results
from unetbook.statistics import interval_text, leaves_out_zero, paired_difference

SCORES = {"dsb": "DSB score", "f": "F1 at IoU 0.5", "iou": "IoU of the foreground"}
ERRORS = {"merged": "merged", "split": "split", "missed": "missed", "extra": "extra"}
ALL = SCORES | ERRORS
DIGITS = dict.fromkeys(SCORES, 3) | dict.fromkeys(ERRORS, 1)


def table(header, rows) -> str:
    """Return a table in Markdown: words to the left, the rest to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [header, rule, *rows])


def cells(scores, names=ALL) -> list[str]:
    """Return scores as cells: shares with three decimals, errors of 100 nuclei with one."""
    return [f"{scores[name]:.{DIGITS[name]}f}" for name in names]


def mean(entries, names=ALL) -> dict:
    """Return the mean of each score over seeds."""
    return {name: statistics.fmean(entry[name] for entry in entries) for name in names}


def difference(name, after, before) -> dict:
    """Return the paired difference of a score over seeds, with its interval."""
    return paired_difference([one[name] for one in after], [one[name] for one in before])


def compared(before, after, names=ALL) -> str:
    """Return a table of two lists of scores, one entry a seed, with their difference and what the seeds say of it."""
    rows = []
    for name in names:
        row, means = difference(name, after, before), (cells(mean(part, [name]), [name])[0] for part in (before, after))
        verdict = "differs" if leaves_out_zero(row) else "undecided"
        rows.append((ALL[name], *means, interval_text(row, DIGITS[name]), verdict))
    return table(["score", "before", "after", "difference, 95 % interval of the seeds", "verdict"], rows)


def settings(study, arm) -> str:
    """Return the settings of an arm, one a line."""
    return "\n".join(f"- {name}: `{value}`" for name, value in study.settings_of(arm).items())


def runs(study, arm) -> str:
    """Return a table of the runs of an arm: steps, minutes, hardware, date and commit of each seed."""
    rows = []
    for seed, entry in study.entries(arm).items():
        hardware = study.machine(entry)["hardware"]
        machine = hardware.get("gpu") or "{cores} cores, {cpu}".format(**hardware)
        row = seed, entry["steps"], f"{entry['seconds'] / 60:.0f}", machine, entry["precision"], entry["date"]
        rows.append((*row, entry["commit"][:10]))
    return table(["seed", "steps", "minutes", "machine", "precision", "date", "commit"], rows)


def of(study, arm, *path) -> list:
    """Return what stands at this path of each seed's entry."""
    entries = list(study.entries(arm).values())
    for name in path:
        entries = [entry[name] for entry in entries]
    return entries


def nuclei() -> str:
    """Return the page of the nuclei, from the files of the studies ``dsb2018``, ``-choices`` and ``-unseen``."""
    study, tried, unseen = (results.study(name) for name in ("dsb2018", "dsb2018-choices", "dsb2018-unseen"))
    once, eight = of(study, "unet", "once", "scores"), of(study, "unet", "scores")
    parts = [
        "# Check: nuclei",
        "Everything that was measured for [chapter 16](../16-nuclei.ipynb), written by code from the files "
        "`results/dsb2018*`. Errors are counts for 100 true nuclei. Three seeds are few: a verdict is *differs* "
        "where the 95 % interval of Student's t for the paired differences leaves out 0, and *undecided* elsewhere. "
        "`python -m studies run dsb2018 --arms unet` repeats the first run, and so on.",
        *_data(study),
        "## Settings and runs of the U-Net",
        settings(study, "unet"),
        runs(study, "unet"),
        "Validation chose for each seed: " + "; ".join(f"`{one}`" for one in of(study, "unet", "choices")) + ".",
        *_test_images(study),
        *_kinds(study),
        *_nested(study),
        *_tried(tried),
        *_unseen(unseen),
        "## Two faults of our own",
        "The depth of the watershed, left at one pixel (before) and chosen on validation images (after):",
        compared(of(study, "unet", "depth_1", "scores"), eight),
        "Gaps between nuclei, cut before the tile is turned (before) and after it (after); one position:",
        compared(once, of(study, "gaps", "once", "scores")),
        runs(study, "gaps"),
        "## Eight positions or one",
        "One position (before) and the mean of eight, turned and mirrored (after):",
        compared(once, eight),
    ]
    return "\n\n".join(parts) + "\n"


def _data(study):
    file, images = study.summary["data"][0], study.summary["split"]["images"]
    yield "## Data and split"
    yield (
        f"`{file['file']}`, {file['bytes']:,} bytes, SHA-256 `{file['sha256']}`: {images['train']} training, "
        f"{images['validation']} validation and {images['test']} test images. Fields are found by their cuts: "
        "the last row of one image continues in the first row of another, in its values and in its details, or two "
        "thumbnails are alike. A first rule, which compared raw edges alone, had left neighbors of test images in "
        "training; it was replaced before the runs below. The rules for polarity and for fields were checked by eye on "
        "the whole set. A first trial with other settings had been scored on the test images before these settings "
        "were chosen."
    )


def _test_images(study):
    unet, entries = study.arm("unet"), study.entries("unet")
    each = np.mean([[row["dsb"] for row in study.rows("unet", seed)] for seed in entries], axis=0)
    drawn = np.random.default_rng(0).choice(each, (10_000, len(each))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    cost = entries[unet["kept"]["seed"]]["scores"]["dsb"] - unet["kept"]["scores"]["dsb"]
    rows = [(f"U-Net, seed {seed}", *cells(entry["scores"])) for seed, entry in entries.items()]
    rows += [("U-Net, mean", *cells(unet["mean"])), ("U-Net, standard deviation", *cells(unet["std"]))]
    rows += [(name, *cells(entry["scores"])) for name, entry in study.baselines.items()]
    yield "## Scores on the test images"
    yield table(["test images", *ALL.values()], rows)
    yield (
        'A line "truth, ..." is what the truth itself scores, taken that way ([chapter 06](../06-metrics.ipynb)). '
        "Targets set before any run: "
        + ", ".join(f"{ALL[name]} {bound:.2f}" for name, bound in unet["least"].items())
        + f". With other images, drawn from these with replacement, 95 % of 10,000 means of the DSB score lie between "
        f"{low:.3f} and {high:.3f}; images of one field are alike, so the true interval is wider. The kept file has "
        f"weights of 16 bits, which changes the DSB score by {-cost:+.4f}."
    )


def _of_kind(study, arm, kind):
    return [study.kinds(arm, seed)[kind] for seed in study.entries(arm)]


def _kinds(study):
    otsu = study.kinds("otsu, objects as chosen")
    header = "images", *ALL.values()
    yield "## By kind of image"
    rows = [(kind, entry["images"], *cells(mean(_of_kind(study, "unet", kind)))) for kind, entry in otsu.items()]
    yield table(["U-Net, mean of the seeds", *header], rows)
    yield table(
        ["Otsu, objects as chosen", *header],
        [(kind, entry["images"], *cells(entry)) for kind, entry in otsu.items()],
    )


def _nested(study):
    once, budget = of(study, "unet", "once", "scores"), of(study, "unetpp", "unet")
    heads = {head: of(study, "unetpp", "heads", head) for head in of(study, "unetpp", "heads")[0]}
    rows = []
    for head, entries in heads.items():
        work = entries[0]["multiply_adds"] / budget[0]["multiply_adds"]
        time = statistics.median(one["seconds"] / two["seconds"] for one, two in zip(entries, budget, strict=True))
        costs = f"{entries[0]['parameters']:,}", f"{work:.2f}", f"{time:.1f}"
        rows.append((f"U-Net++, {head}", *cells(mean(entries, SCORES), SCORES), *costs))
    rows.append(("U-Net", *cells(mean(once, SCORES), SCORES), f"{budget[0]['parameters']:,}", "1.00", "1.0"))
    yield "## U-Net++ with the same multiply-adds"
    yield (
        "The same split, steps, loss and schedule; four heads, all trained. One position, mean of the seeds; work and "
        "time with the U-Net as 1."
    )
    yield table(["network", *SCORES.values(), "parameters", "multiply-adds", "time"], rows)
    yield "U-Net (before) and head L4 (after):"
    yield compared(once, heads["L4"], SCORES)
    yield "Head L4 (before) and head L3 (after), the first step of pruning:"
    yield compared(heads["L4"], heads["L3"], SCORES)
    yield "U-Net (before) and the mean of the heads (after), both averaged over eight positions:"
    yield compared(of(study, "unet", "scores"), of(study, "unetpp", "scores"), SCORES)
    yield runs(study, "unetpp")


def _tried(tried):
    yield "## What was tried"
    yield (
        "A quarter of the steps, scored on the *validation* images. Each row changes one thing; *border class* changes "
        "the target, its weights and the way to nuclei."
    )
    rows = [(arm, *cells(tried.mean(arm))) for arm in tried.arms]
    yield table(["validation images, mean of the seeds", *ALL.values()], rows)
    rows = [
        (pair, interval_text(row["dsb"]), interval_text(row["merged"], 1)) for pair, row in tried.differences.items()
    ]
    yield table(["difference, 95 % interval of the seeds", "DSB score", "merged"], rows)


def _unseen(unseen):
    scores, errors = [], []
    for arm in unseen.arms:
        kind = unseen.arm(arm)["changes"].get("kind")
        if kind is None:
            continue
        counts = of(unseen, arm, "counts")[0]
        seen, not_seen = _of_kind(unseen, "all kinds", kind), of(unseen, arm, "scores")
        pair = cells(mean(seen), ["dsb"]) + cells(mean(not_seen), ["dsb"])
        lost = interval_text(difference("dsb", not_seen, seen))
        scores.append((arm, counts["train"], counts["test"], *pair, lost))
        both = zip(*(cells(mean(part), ERRORS) for part in (seen, not_seen)), strict=True)
        errors.append((arm, *(" / ".join(one) for one in both)))
    header = "left out", "training images", "test images", "DSB score, seen", "DSB score, not seen"
    yield "## A kind that was left out"
    yield (
        "A quarter of the steps, one position: a network that learned all kinds, and one without the kind on which "
        "both are scored. The last row leaves out as many images, at random, as the largest kind has."
    )
    yield table([*header, "difference, 95 % interval of the seeds"], scores)
    yield table(["errors, seen / not seen", *ERRORS], errors)


STUDIES = {"nuclei": nuclei}


def main() -> None:
    """Write all pages."""
    for name, page in STUDIES.items():
        path = PAGES / f"check-{name}.md"
        path.write_text(page(), encoding="utf-8", newline="\n")
        print(path)


if __name__ == "__main__":
    main()
