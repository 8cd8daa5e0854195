"""Write the result files of the first edition in the form of the second: one study with its arms, tables beside it.

    python -m tools.migrate_results

Run once. The old files, one JSON file a run with every row and curve in it, are read from git, so that it can be run
again. What is written is read back and put together as it was: every number of an old file must be found in the new
ones. ``unetbook.results`` tells what the new form is.
"""

import csv
import functools
import hashlib
import json
import re
import subprocess

from tools.pairs import ROOT
from unetbook import results, statistics

FOLDER = ROOT / "results"
WIDTH = 120  # letters of a line
DIGITS = 5  # of what is computed here, as of all else in these files
MERGED = {  # study: (task, summary, {arm: old file}, pairs)
    "isbi2012": (
        "membranes",
        "EM membranes: the paper's way, without its weights, without elastic deformation, and a plain U-Net",
        ("unet", "paper", "no-weights", "no-elastic"),
        (("paper", "no-weights"), ("paper", "no-elastic"), ("paper", "unet")),
    ),
    "dsb2018": (
        "nuclei",
        "nuclei: U-Net, U-Net++ of as many multiply-adds with its heads, and gaps that are made after the turn",
        ("unet", "unetpp", "gaps"),
        (("unetpp", "unet"),),
    ),
    "isic2017": (
        "lesions",
        "skin lesions, five folds: Improved U-Net with a study's settings and with ours, and a plain U-Net",
        ("study", "improved", "unet"),
        (("improved", "study"), ("improved", "unet")),
    ),
    "usiigaci": (
        "touching",
        "touching cells: gaps with and without border weights, a border class with and without a higher weight",
        ("weights", "no-weights", "border", "border-weights"),
        (
            ("weights", "no-weights"),
            ("border", "no-weights"),
            ("border-weights", "border"),
            ("weights", "border-weights"),
        ),
    ),
}
WITH_SPLIT = {"dsb2018-choices": "dsb2018", "dsb2018-unseen": "dsb2018"}
LABS = (
    "dsb2018-choices",
    "dsb2018-unseen",
    "encoder-synthetic",
    "lab-augmentation",
    "lab-family-rates",
    "lab-family",
    "lab-losses",
    "lab-optimization",
    "lab-skips",
    "lab-targets",
    "lab-transfer",
    "lab-unetpp",
    "lab-upsampling",
    "lab-weight-maps",
)
ONCE = ("dsb2018", "gaps")  # its scores are of one position, and those of the other arms are means of eight
MACHINE = ("hardware", "backend", "flags", "versions")
LAST = ("machine", "precision", "parameters", "steps", "seconds", "commit", "dirty", "date", "scored")
NAMES = {  # the columns by which a row is found
    "images": ("arm", "seed", "reading", "image"),
    "curves": ("arm", "seed", "epoch"),
    "kinds": ("arm", "seed", "reading", "kind"),
    "swept": ("arm", "seed", "part"),
}
PARTS = {"swept": "test", "swept_validation": "validation"}


def old(name) -> dict:
    """Return an old result file, as the last commit before the new ones holds it."""
    was = json.loads(_git("show", f"{_last_commit()}:results/{name}.json"))
    assert was["recipe"] == name
    return was


@functools.cache
def _last_commit() -> str:
    added = _git("log", "-1", "--format=%H", "--diff-filter=A", "--", "results/isbi2012.json").strip()
    return f"{added}^" if added else "HEAD"


def _git(*arguments) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout


def merged(name) -> tuple[dict, dict]:
    """Return the summary and the tables of a study that was several files, one an arm."""
    task, summary, arms, pairs = MERGED[name]
    was = {arm: old(f"{name}-{arm}") for arm in arms}
    first, *others = was.values()
    assert all(one[key] == first[key] for one in others for key in ("baselines", "data", "split"))
    tables, machines = {kind: [] for kind in NAMES}, []
    entries = {
        arm: {
            seed: _placed(_taken(_once(entry, name, arm), tables, arm, seed), machines)
            for seed, entry in one["seeds"].items()
        }
        for arm, one in was.items()
    }
    baselines = {of: _taken(entry, tables, of, "") for of, entry in first["baselines"].items()}
    settings = [one["settings"] for one in was.values()]
    shared = {key: value for key, value in settings[0].items() if all(_has(one, key, value) for one in settings)}
    return {
        "study": name,
        "summary": summary,
        "task": task,
        "quick": False,
        "settings": shared,
        "arms": {arm: _arm(one, shared, entries[arm], (name, arm) == ONCE) for arm, one in was.items()},
        "pairs": [list(pair) for pair in pairs],
        "differences": {f"{one} - {other}": _paired(entries[one], entries[other]) for one, other in pairs},
        "baselines": baselines,
        "data": first["data"],
        "split": _split(name, first["split"]),
        "machines": machines,
        "rows": True,
        "tables": {kind: len(rows) for kind, rows in tables.items() if rows},
        "as_run": {
            arm: {"recipe": one["recipe"], "summary": one["summary"], "settings": one["settings"]}
            for arm, one in was.items()
        },
    }, tables


def _has(settings, key, value):
    return key in settings and settings[key] == value and type(settings[key]) is type(value)


def _once(entry, name, arm):
    """The entry of an arm that has one position alone, with what is of it under ``once``, as other arms have it."""
    if (name, arm) != ONCE:
        return entry
    of_one = ("scores", "kinds", "images", "choices")
    assert "once" not in entry
    return {"once": {key: entry[key] for key in of_one}} | {k: v for k, v in entry.items() if k not in of_one}


def _arm(one, shared, entries, once):
    counts = {entry["parameters"] for entry in entries.values()}
    assert len(counts) == 1
    kept = {key: one[key] for key in ("target", "least", "target_met", "kept") if one.get(key, {}) != {}}
    return {
        "changes": {key: value for key, value in one["settings"].items() if key not in shared},
        "parameters": counts.pop(),
        **({"once_mean": one["mean"], "once_std": one["std"]} if once else {"mean": one["mean"], "std": one["std"]}),
        **kept,
        "seeds": entries,
    }


def _paired(one, other) -> dict:
    both = [seed for seed in one if seed in other]
    names = [name for name in one[both[0]]["scores"] if name in other[both[0]]["scores"]]
    return {
        name: _rounded(
            statistics.paired_difference(*([of[seed]["scores"][name] for seed in both] for of in (one, other)))
        )
        for name in names
    }


def _rounded(row):
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _split(name, parts) -> dict:
    path = FOLDER / "splits" / f"{name}.json"
    assert json.loads(path.read_text(encoding="utf-8")) == parts
    return {
        "file": f"splits/{name}.json",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "images": {part: len(ids) for part, ids in parts.items()},
    }


def lab(name) -> tuple[dict, dict]:
    """Return the summary and the tables of a study that was one file with arms already."""
    was = old(name)
    tables, machines, data = {kind: [] for kind in NAMES}, [], []
    arms = {}
    for arm, options in was["arms"].items():
        entries = {}
        for seed, of_seed in was["seeds"].items():
            provenance = {key: value for key, value in of_seed.items() if key != "arms"}
            entry = provenance | of_seed["arms"][arm]
            data.append(entry.pop("data", None))
            times = options.get("times", 1) * options.get("longer", 1)
            entry["steps"] = was["settings"]["steps"] * was["settings"]["epochs"] * times
            entries[seed] = _placed(_taken(entry, tables, arm, seed), machines)
        counts = {entry.get("parameters") for entry in entries.values()}
        assert len(counts) == 1
        arms[arm] = {
            "changes": options,
            **({"parameters": counts.pop()} if None not in counts else {}),
            "mean": was["mean"][arm],
            **({"std": was["std"][arm]} if "std" in was else {}),
            "seeds": entries,
        }
    assert all(one == data[0] for one in data)
    parts = WITH_SPLIT.get(name)
    return {
        "study": name,
        "summary": was["summary"],
        "task": "nuclei" if parts else "synthetic",
        "quick": False,
        "settings": was["settings"],
        "arms": arms,
        "pairs": was["pairs"],
        "differences": was["differences"],
        **({"data": data[0]} if data[0] else {}),
        **({"split": _split(parts, old(f"{parts}-unet")["split"])} if parts else {}),
        "machines": machines,
        "rows": bool(tables["images"]),
        "tables": {kind: len(rows) for kind, rows in tables.items() if rows},
        "as_run": {
            arm: {"recipe": name, "settings": was["settings"], "options": options}
            for arm, options in was["arms"].items()
        },
    }, tables


def _taken(entry, tables, arm, seed, reading=""):
    """Return an entry without rows, kinds, curves and sweeps, which go into the tables."""
    stays, keys = {}, {"arm": arm, "seed": seed}
    for name, value in entry.items():
        if name == "images":
            tables["images"] += [keys | {"reading": reading, "image": image} | row for image, row in value.items()]
        elif name == "kinds":
            tables["kinds"] += [keys | {"reading": reading, "kind": kind} | row for kind, row in value.items()]
        elif name in ("curves", "curve"):
            curves = {"loss": value} if name == "curve" else value
            rows = zip(*curves.values(), strict=True)
            tables["curves"] += [
                keys | {"epoch": epoch} | dict(zip(curves, row, strict=True)) for epoch, row in enumerate(rows, start=1)
            ]
        elif name in PARTS:
            tables["swept"] += [keys | {"part": PARTS[name]} | row for row in value]
        elif isinstance(value, dict):
            stays[name] = _taken(value, tables, arm, seed, f"{reading}.{name}".lstrip("."))
        else:
            stays[name] = value
    return stays


def _placed(entry, machines):
    """Return an entry that names its machine by its place in ``machines``, which has each once."""
    machine = {name: entry[name] for name in MACHINE if name in entry}
    entry = {name: value for name, value in entry.items() if name not in MACHINE} | {"machine": _at(machine, machines)}
    if "scored" in entry:
        other = {name: entry["scored"][name] for name in MACHINE if name in entry["scored"]}
        rest = {name: value for name, value in entry["scored"].items() if name not in MACHINE}
        entry["scored"] = ({"machine": _at(machine | other, machines)} if other else {}) | rest
    first = {name: value for name, value in entry.items() if name not in LAST}
    return first | {name: entry[name] for name in LAST if name in entry}


def _at(machine, machines):
    machine = {name: machine[name] for name in MACHINE if name in machine}
    if machine not in machines:
        machines.append(machine)
    return machines.index(machine)


def text(value, before=0, after=0, depth=0) -> str:
    """Return JSON with an indent of 1, in which every list and dictionary that fits into a line stands on one.

    before, after: letters on the line that are not of the value.
    """
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, list | dict) or not value or before + len(short) + after <= WIDTH:
        return short
    opened, closed = "[]" if isinstance(value, list) else "{}"
    keys = [""] * len(value) if isinstance(value, list) else [f"{json.dumps(k, ensure_ascii=False)}: " for k in value]
    parts = value if isinstance(value, list) else list(value.values())
    indent = " " * (depth + 1)
    lines = [
        f"{indent}{key}{text(part, len(indent + key), 1, depth + 1)}" for key, part in zip(keys, parts, strict=True)
    ]
    return "\n".join([opened, ",\n".join(lines), " " * depth + closed])


def write(name, summary, tables) -> None:
    """Write the JSON file and the tables of a study."""
    (FOLDER / f"{name}.json").write_text(text(summary) + "\n", encoding="utf-8", newline="\n")
    for kind, rows in tables.items():
        if rows:
            columns = list(dict.fromkeys([*NAMES[kind], *(column for row in rows for column in row)]))
            with results.table_path(FOLDER, name, kind).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows([_cell(row.get(column), column) for column in columns] for row in rows)


def _cell(value, column) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        assert column in results.WORDS or column == "seed", f"the column {column} holds words: {value!r}"
        return value
    return repr(value)


def check(name) -> None:
    """Put the old files together from the new ones; raises ``AssertionError`` where something is missing or differs."""
    study = results.study(name)
    arms = MERGED[name][2] if name in MERGED else [None]
    for arm in arms:
        before = old(name if arm is None else f"{name}-{arm}")
        again = _lab_again(study, before) if arm is None else _arm_again(study, arm, before)
        assert _same(again, before), f"{name}, {arm}: not everything is there"


def _same(one, other) -> bool:
    """Whether two values are equal, also in type and in the text of their numbers."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _arm_again(study, arm, before) -> dict:
    of_arm, run = study.arm(arm), study.summary["as_run"][arm]
    once = (study.name, arm) == ONCE
    baselines = {name: _entry_again(study, name, None, entry) for name, entry in study.baselines.items()}
    again = {
        "recipe": run["recipe"],
        "summary": run["summary"],
        "quick": study.summary["quick"],
        "settings": run["settings"],
        "data": study.summary["data"],
        "split": study.split,
        "target": of_arm.get("target", {}),
        "baselines": baselines,
        "mean": of_arm["once_mean" if once else "mean"],
        "std": of_arm["once_std" if once else "std"],
        "seeds": {},
        **{key: of_arm[key] for key in ("least", "target_met", "kept") if key in of_arm},
    }
    assert _same(study.settings_of(arm), run["settings"])
    for seed, entry in study.entries(arm).items():
        entry = _entry_again(study, arm, seed, entry)
        if once:
            entry |= entry.pop("once")
        again["seeds"][str(seed)] = entry
    return again


def _entry_again(study, arm, seed, entry, reading="") -> dict:
    again = {
        name: _entry_again(study, arm, seed, value, f"{reading}.{name}".lstrip("."))
        if isinstance(value, dict) and reading + name != "scored"
        else value
        for name, value in entry.items()
    }
    rows = study.rows(arm, seed, reading) if study.summary["rows"] else []
    if rows:
        again["images"] = {row["image"]: _without(row, NAMES["images"]) for row in rows}
    if "kinds" in study.summary["tables"]:
        kinds = study.kinds(arm, seed, reading)
        again |= {"kinds": kinds} if kinds else {}
    if not reading and seed is not None:
        again |= {"curves": study.curves(arm, seed)}
        if "swept" in study.summary["tables"]:
            for name, part in PARTS.items():
                again |= {name: study.swept(arm, seed, part)} if study.swept(arm, seed, part) else {}
        machine = study.summary["machines"][again.pop("machine")]
        if "machine" in again.get("scored", {}):
            other = study.summary["machines"][again["scored"]["machine"]]
            differs = {key: value for key, value in other.items() if machine.get(key) != value}
            again["scored"] = differs | {k: v for k, v in again["scored"].items() if k != "machine"}
        again |= machine
    return again


def _without(row, names) -> dict:
    return {name: value for name, value in row.items() if name not in names}


def _lab_again(study, before) -> dict:
    options = {arm: run["options"] for arm, run in study.summary["as_run"].items()}
    assert all(_same(study.arm(arm)["changes"], options[arm]) for arm in study.arms)
    again = {
        "recipe": study.name,
        "summary": study.summary["summary"],
        "quick": study.summary["quick"],
        "settings": study.settings,
        "arms": options,
        "pairs": [list(pair) for pair in study.pairs],
        "mean": {arm: study.mean(arm) for arm in study.arms},
        "differences": study.differences,
        "seeds": {},
    }
    if "std" in study.arm(study.arms[0]):
        again["std"] = {arm: study.std(arm) for arm in study.arms}
    for arm in study.arms:
        for seed, entry in study.entries(arm).items():
            entry = _entry_again(study, arm, seed, entry)
            entry["curve"] = entry.pop("curves")["loss"]
            steps = study.settings["steps"] * study.settings["epochs"]
            assert entry.pop("steps") == steps * options[arm].get("times", 1) * options[arm].get("longer", 1)
            if "data" in study.summary:
                entry["data"] = study.summary["data"]
            provenance = {key: entry.pop(key) for key in (*MACHINE, "commit", "dirty", "date") if key in entry}
            of_seed = again["seeds"].setdefault(str(seed), {"arms": {}, **provenance})  # that of the first arm
            of_seed["arms"][arm] = entry | {k: v for k, v in provenance.items() if of_seed[k] != v}
    return again


def main() -> None:
    """Write all files, check them against the old ones, and say how large they are."""
    names = [*MERGED, *LABS]
    for name in names:
        write(name, *(merged(name) if name in MERGED else lab(name)))
        check(name)
    pattern = re.compile(rf"({'|'.join(names)})(-(curves|kinds|swept))?\.(json|csv)")
    files = [file for file in sorted(FOLDER.iterdir()) if pattern.fullmatch(file.name)]
    for file in files:
        print(f"{file.stat().st_size:9,}  {file.name}")
    print(f"{sum(file.stat().st_size for file in files):9,}  together")


if __name__ == "__main__":
    main()
