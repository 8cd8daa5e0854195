"""The harness of labs: several arms, each trained for every seed on the same data and batches, compared in pairs.

A lab asks whether one choice is better than another. Two networks of one seed cannot tell: the draw of the weights
alone moves a score as much as many a choice does. So each seed draws the pictures, the initial weights and the batches
once for all arms, and what is reported is the *difference* between two arms: its mean over the seeds and its 95 %
interval.
"""

import itertools
import statistics
import time
from pathlib import Path

from unetbook.recipes import _json, paired_difference
from unetbook.recipes._keep import keep
from unetbook.recipes._provenance import provenance

RUNS = Path("runs")


def run(lab, seeds=None, out=None, quick=False) -> dict:
    """Run a lab for all its seeds, or those given, and return what stands in ``<out>/<lab>.json`` afterwards.

    out: folder of the result, ``results`` unless given; a quick run, of seconds and without meaning, writes to
    ``runs/quick``. Each arm of each seed is merged into the file when it is done, and not run again; a stopped run
    loses the arm that it was training. A seed names the commit and machine of its first arm; an arm that was trained
    later with another one names what differs. Raises ``ValueError`` where the file stems from other settings or arms.
    Chapters 03, 04 and 07 to 14.
    """
    out = Path(out) if out else (RUNS / "quick" if quick else Path("results"))
    settings = lab.SETTINGS | (lab.QUICK if quick else {})
    head = {
        "recipe": lab.NAME,
        "summary": lab.SUMMARY,
        "quick": quick,
        "settings": settings,
        "arms": lab.ARMS,
        "pairs": lab.PAIRS,
    }
    path = out / f"{lab.NAME}.json"
    if quick:
        path.unlink(missing_ok=True)
    result = _merge(path, head)
    for seed in lab.SEEDS if seeds is None else seeds:
        missing = [arm for arm in lab.ARMS if arm not in result["seeds"].get(str(seed), {}).get("arms", {})]
        if not missing:
            print(f"seed {seed}: already in {path}")
            continue
        data = lab.data(settings, seed)
        for arm in missing:
            came_from, start = provenance(), time.perf_counter()
            entry = _json.rounded(lab.measure(data, lab.ARMS[arm], settings, seed))
            if "model" in entry:  # only a lab with a passport gives its network away
                facts = {"recipe": lab.NAME, "seed": seed, "commit": came_from["commit"], "date": came_from["date"]}
                keep(lab, entry.pop("model"), out, **facts, scores=entry["scores"])
            entry["seconds"] = round(time.perf_counter() - start, 1)
            result = _merge(path, head, seed, arm, entry, came_from)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in entry["scores"].items())
            print(f"seed {seed}  {arm}: {shown}  ({entry['seconds']:.0f} s)", flush=True)
    return result


def _merge(path, head, seed=None, arm=None, entry=None, came_from=None):
    """Add one arm of one seed to the file, and summarize what is there."""
    result = _json.read(path) or {}
    if result and any(result.get(name) != value for name, value in _json.plain(head).items() if name != "summary"):
        raise ValueError(f"{path} holds a run with other settings or arms: move it away, or choose another --out")
    result = {**head, "seeds": result.get("seeds", {})}
    if entry:
        of_seed = result["seeds"].setdefault(str(seed), {"arms": {}, **came_from})
        differs = {name: value for name, value in _json.plain(came_from).items() if of_seed.get(name) != value}
        of_seed["arms"][arm] = entry | differs
    result |= _summary(result)
    if entry:
        _json.write(path, result)
    return result


def _summary(result) -> dict:
    """Mean and standard deviation of each arm, and the paired differences, over the seeds that have every arm."""
    whole = [seed["arms"] for seed in result["seeds"].values() if set(seed["arms"]) == set(result["arms"])]
    if not whole:
        return {}
    names = list(whole[0][next(iter(result["arms"]))]["scores"])
    column = {
        (arm, name): [arms[arm]["scores"][name] for arms in whole]
        for arm, name in itertools.product(result["arms"], names)
    }
    summary = {
        "mean": {arm: {name: statistics.fmean(column[arm, name]) for name in names} for arm in result["arms"]},
        "differences": {
            f"{one} - {other}": {name: paired_difference(column[one, name], column[other, name]) for name in names}
            for one, other in result["pairs"]
        },
    }
    if len(whole) > 1:
        summary["std"] = {arm: {name: statistics.stdev(column[arm, name]) for name in names} for arm in result["arms"]}
    return _json.rounded(summary)
