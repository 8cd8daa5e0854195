"""The files of a study in ``results/``: a summary that a person reads, and tables. ``unetbook.results`` reads them.

Every file is written in one step, tables before the summary that counts their rows: a stop in between leaves what the
summary tells of, and the next merge puts the rest in order. One process merges at a time.
"""

import csv
import hashlib
import io
import itertools
import json
import statistics
from pathlib import Path

from studies import locks
from unetbook import drafts, results
from unetbook.statistics import paired_difference

DIGITS = 5
WIDTH = 120  # characters: what fits into a line stands in one
READ = {"images": ("reading", "image"), "kinds": ("reading", "kind")}  # columns that come first
HEAD = ("study", "task", "quick", "settings", "arms", "best", "data", "split")


def rounded(value):
    """The same value with every float, also inside dictionaries and lists, rounded to ``DIGITS`` digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def plain(value):
    """The same value as it comes back from a JSON file: tuples are lists, keys are strings."""
    return json.loads(json.dumps(value))


def text(value, indent=0) -> str:
    """JSON of one space a level, in which what fits into a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner, pad = indent + 1, " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{pad}{json.dumps(name)}: {text(part, inner)}" for name, part in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{' ' * indent}}}"
    return "[\n" + ",\n".join(pad + text(part, inner) for part in value) + f"\n{' ' * indent}]"


def read(path: Path, fix="get it again (git checkout), or move it away to start anew") -> dict | None:
    """The JSON file, or ``None`` where there is none. Raises ``ValueError`` with the fix where it was cut short."""
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} was cut short or changed ({error}): {fix}") from None


def write(path: Path, value) -> None:
    """Write a JSON file in one step."""
    _put_text(path, text(value) + "\n")


def _put_text(path, content):
    def fill(draft):
        draft.write_text(content, encoding="utf-8", newline="\n")
        locks.to_disk(draft)

    drafts.put(path, fill)


def merge(out: Path, head: dict, arm=None, seed=None, entry=None, baselines=None, **facts) -> dict:
    """Add one (arm, seed), or the baselines, to the files of a study, and return its summary.

    head: what the study is; facts: of the arm, ``kept`` for instance. A file of another study, of other settings, data
    or split, and one that was carried over from before this harness, is refused with ``ValueError``; arms and pairs may
    join.
    """
    with locks.alone(out / f".{head['study']}.lock"):
        return _merged(out, head, arm, seed, entry, baselines, facts)


def _merged(out, head, arm, seed, entry, baselines, facts):
    path = out / f"{head['study']}.json"
    summary = _checked(path, head)
    if baselines is not None:
        bare = {name: {part: of[part] for part in of if part != "tables"} for name, of in baselines.items()}
        summary["baselines"] = rounded(bare)
        for name, of in baselines.items():
            _put(out, summary, name, None, of.get("tables", {}))
    if entry is not None:
        of = summary["arms"][arm]
        absent = {*of.get("target", {}), *of.get("least", {})} - set(entry["scores"])
        if absent:
            raise ValueError(f"the target of {arm!r} names {sorted(absent)}, of {', '.join(entry['scores'])}")
        tables = entry.pop("tables", {})
        of["seeds"][str(seed)] = _with_machine(summary, rounded(entry))
        of["seeds"] = {str(one): of["seeds"][str(one)] for one in sorted(map(int, of["seeds"]))}
        _put(out, summary, arm, seed, tables)
    if facts:
        summary["arms"][arm] |= rounded(facts)
    _summarize(summary)
    if entry is not None or baselines is not None or facts:
        write(path, summary)
    return summary


def _checked(path, head):
    """The summary at ``path``, or an empty one; ``ValueError`` where it is of something else."""
    wanted, there = plain(head), read(path)
    aims = wanted.pop("aims")
    fresh = {arm: {"changes": of, **aims.get(arm, {}), "seeds": {}} for arm, of in wanted["arms"].items()}
    if there is None:
        return wanted | {"arms": fresh, "differences": {}, "machines": [], "rows": True, "tables": {}}
    if "as_run" in there:
        raise ValueError(
            f"{path} was carried over from before this harness and is never added to: choose another --out, or move "
            "its files away to run the whole study anew"
        )
    known = {name: there.get(name) for name in HEAD} | {"arms": {a: of["changes"] for a, of in there["arms"].items()}}
    mine = wanted | {name: {a: wanted[name][a] for a in known[name] if a in wanted[name]} for name in ("arms", "best")}
    differ = [name for name in HEAD if known[name] != mine.get(name)]
    if differ:
        raise ValueError(f"{path} holds a run with other {', '.join(differ)}: move it away, or choose another --out")
    arms = {arm: {**of, **there["arms"].get(arm, {}), **aims.get(arm, {})} for arm, of in fresh.items()}
    return there | {"summary": wanted["summary"], "pairs": wanted["pairs"], "best": wanted["best"], "arms": arms}


def _with_machine(summary, entry):
    """The entry with its machine as an index into the summary's list, in which each stands once."""
    machine = plain(entry.pop("machine"))
    if machine not in summary["machines"]:
        summary["machines"].append(machine)
    return {**entry, "machine": summary["machines"].index(machine)}


def _summarize(summary):
    """Mean and standard deviation of each arm over its seeds, and the paired differences over those that both have."""
    scores = {
        arm: {seed: entry["scores"] for seed, entry in of["seeds"].items()} for arm, of in summary["arms"].items()
    }
    for arm, of in summary["arms"].items():
        rows = list(scores[arm].values())
        if not rows:
            continue
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        of["mean"] = rounded({name: statistics.fmean(column) for name, column in columns.items()})
        of["std"] = rounded({n: statistics.stdev(c) if len(c) > 1 else None for n, c in columns.items()})
        if "target" in of:
            met = [of["mean"][name] <= most for name, most in of["target"].items()]
            of["target_met"] = all(met + [of["mean"][name] >= least for name, least in of["least"].items()])
    summary["differences"] = {}
    for one, other in summary["pairs"]:
        shared = [seed for seed in scores[one] if seed in scores[other]]
        if shared:
            names = [name for name in scores[one][shared[0]] if name in scores[other][shared[0]]]
            summary["differences"][f"{one} - {other}"] = {
                name: rounded(paired_difference(*([scores[arm][s][name] for s in shared] for arm in (one, other))))
                for name in names
            }


def _put(out, summary, arm, seed, tables):
    """Replace the rows of one (arm, seed) in its tables, and count them. Rows that the summary does not know go."""
    known = {(name, seed) for name, of in summary["arms"].items() for seed in of["seeds"]}
    known |= {(name, "") for name in summary.get("baselines", {})}
    for table, news in tables.items():
        path = results.table_path(out, summary["study"], table)
        news_of = arm, "" if seed is None else str(seed)
        rows = [row for row in rows_of(path) if (row["arm"], row["seed"]) in known - {news_of}]
        rows += [{"arm": arm, "seed": "" if seed is None else str(seed), **_cells(row)} for row in news]
        columns = dict.fromkeys(itertools.chain(("arm", "seed", *READ.get(table, ())), *rows))
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _put_text(path, text.getvalue())
        summary["tables"][table] = len(rows)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a table as text, without empty cells but for the seed; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: cell for name, cell in row.items() if cell or name == "seed"} for row in csv.DictReader(file)]


def _cells(row):
    """Cells as text: floats rounded, booleans in JSON's words."""
    words = {True: "true", False: "false"}
    return {
        name: words[cell] if isinstance(cell, bool) else str(rounded(cell)) for name, cell in row.items() if cell != ""
    }


def described(path: Path) -> dict:
    """Name, bytes and SHA-256 of a file; of a folder that of its files' names and sums, in order."""
    if path.is_file():
        return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return {
        "folder": path.name,
        "files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": hashlib.sha256(listing.encode()).hexdigest(),
    }


def sha256(path: Path) -> str:
    """The sum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
