"""What the measured runs found: a study, its arms, their scores, and one row an image.

A study lies in a few files of one folder. ``NAME.json`` is a summary that a person reads; tables lie beside it, each
with a header line: ``NAME.csv`` has one row an image, ``NAME-curves.csv`` one an epoch, ``NAME-kinds.csv`` one a kind
of image, and ``NAME-swept.csv`` one a threshold that was tried. The folder ``splits`` has the ids of the images, and
``weights`` the networks that were kept.
"""

import csv
import difflib
import functools
import hashlib
import json
from pathlib import Path

TABLES = {"images": "", "curves": "-curves", "kinds": "-kinds", "swept": "-swept"}  # how their files' names end
KEYS = ("arm", "seed", "reading", "image", "epoch", "kind", "part")  # columns by which rows are found
WORDS = ("arm", "reading", "image", "kind", "part")  # columns of words; all others hold numbers, true or false


def folder() -> Path:
    """The copy that an installed package carries (on Colab, say), or ``results/`` of a clone.

    The installed copy first: beside an installed package, a folder ``results`` would be somebody else's.
    """
    package = Path(__file__).parent
    installed = package / "_results"
    return installed if installed.is_dir() else package.parent / "results"


def study(name: str) -> "Study":
    """What the study ``name`` found. Raises ``FileNotFoundError`` with the closest name and the command that makes it.

    Raises ``ValueError`` for a file that was cut short.
    """
    path = folder() / f"{name}.json"
    if not path.is_file():
        summaries = {file.stem for file in folder().glob("*.json")} - {"benchmarks"}
        close = difflib.get_close_matches(name, sorted(summaries), n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise FileNotFoundError(f"{path} is not there{hint} It is made by: python -m studies run {name}")
    return Study(name, path)


def benchmark(name: str) -> dict:
    """What the benchmark ``name`` measured. Raises ``FileNotFoundError`` with the command that makes it."""
    path = folder() / "benchmarks.json"
    measured = _read(path, "python -m benchmarks") if path.is_file() else {}
    if name not in measured:
        raise FileNotFoundError(f"{path} has no {name!r}. It is made by: python -m benchmarks {name}")
    return measured[name]


def table_path(place: Path, name: str, table: str) -> Path:
    """The file of a study's table: "images", "curves", "kinds" or "swept"."""
    return place / f"{name}{TABLES[table]}.csv"


class Study:
    """One study: its summary, and rows of its tables. Made by ``results.study``.

    Seeds are integers; where a study has folds, a seed is one. A *reading* is one way to read a trained network: ""
    is the one that the study chose, and another is named by its path in an entry, as "plain", or
    "without_averaging.one_threshold". A row is {column: value} and lacks what was not measured. Baselines are asked
    for as arms are, and have no seed.
    """

    def __init__(self, name: str, path: Path):
        self.name, self.path = name, path
        self.summary: dict = _read(path, self._cure())  # all of the JSON file
        if problem := _problem(self.summary):
            raise ValueError(f"{path} was cut short or changed ({problem}). {self._cure()}")
        self.arms: list[str] = list(self.summary["arms"])
        self.settings: dict = self.summary["settings"]  # of each arm, unless its changes say otherwise
        self.pairs: list[tuple] = [tuple(pair) for pair in self.summary["pairs"]]
        self.differences: dict = self.summary["differences"]  # {"one - other": {score: mean, low, high, pairs}}
        self.baselines: dict = self.summary.get("baselines", {})  # {name: {"scores": ..., "choices": ...}}
        self._tables: dict = {}

    def __repr__(self):
        return f"<study {self.name}: {', '.join(self.arms)}>"

    def arm(self, arm: str) -> dict:
        """All that the summary has of an arm. Raises ``ValueError`` with the arms that there are."""
        if arm not in self.summary["arms"]:
            raise ValueError(f"{self.name} has no arm {arm!r}, but {', '.join(self.arms)}")
        return self.summary["arms"][arm]

    def settings_of(self, arm: str) -> dict:
        """The settings of one arm: those of the study, and its own."""
        values = self.settings | self.arm(arm)["changes"]
        as_run = self.summary.get("as_run", {}).get(arm, {}).get("settings", {})  # in the order in which it was run
        return {name: values[name] for name in as_run if name in values} | values

    def entries(self, arm: str | None = None) -> dict:
        """What each seed of an arm found, {seed: entry}; without an arm those of all, {(arm, seed): entry}."""
        if arm is None:
            return {(arm, seed): entry for arm in self.arms for seed, entry in self.entries(arm).items()}
        return {int(seed): entry for seed, entry in self.arm(arm)["seeds"].items()}

    def scores(self, arm: str, name: str, reading: str = "", seeds=None) -> list[float]:
        """One score of each seed of an arm, in their order, or of these seeds."""
        entries = self.entries(arm)
        found = [entries[seed] for seed in (entries if seeds is None else seeds)]
        for part in reading.split(".") if reading else ():
            found = [entry[part] for entry in found]
        return [entry["scores"][name] for entry in found]

    def mean(self, arm: str, reading: str = "") -> dict:
        """Mean of each score over the seeds, in the reading that the arm has: "", but "once" for gaps of dsb2018."""
        return self.arm(arm)[f"{reading}_mean".lstrip("_")]

    def std(self, arm: str, reading: str = "") -> dict:
        """Standard deviation of each score over the seeds, as ``mean`` has their mean."""
        return self.arm(arm)[f"{reading}_std".lstrip("_")]

    def machine(self, entry: dict) -> dict:
        """Where an entry was trained: hardware, backend, flags and versions."""
        return self.summary["machines"][entry["machine"]]

    def rows(self, arm: str | None = None, seed: int | None = None, reading: str | None = "") -> list[dict]:
        """One row an image: arm, seed, reading, image, scores and facts. ``None`` takes them of all.

        Raises ``ValueError`` where the study stored none, as most labs did.
        """
        return self._rows("images", arm=arm, seed=seed, reading=reading)

    def curves(self, arm: str, seed: int) -> dict[str, list[float]]:
        """Loss and what else was noted after each epoch, {name: values}."""
        rows = self._rows("curves", arm=arm, seed=seed)
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else ()) if name not in KEYS}

    def kinds(self, arm: str, seed: int | None = None, reading: str = "") -> dict[str, dict]:
        """Scores by kind of image, {kind: {"images": count, score: value}}; of a baseline without a seed."""
        rows = self._rows("kinds", arm=arm, reading=reading)
        return {row["kind"]: _values(row) for row in rows if row.get("seed") == seed}

    def swept(self, arm: str, seed: int, part: str = "test") -> list[dict]:
        """Scores of one part of the images at each threshold that was tried."""
        return [_values(row) for row in self._rows("swept", arm=arm, seed=seed, part=part)]

    @functools.cached_property
    def split(self) -> dict[str, list]:
        """Ids of the images by part. Raises ``ValueError`` where the file is not the one with which the study ran."""
        split = self.summary["split"]
        path = self.path.parent / split["file"]
        if hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() != split["sha256"]:
            raise ValueError(f"{path} is not the split of {self.name}. Get it again: git checkout {path}")
        return json.loads(path.read_text(encoding="utf-8"))

    def _rows(self, table, **wanted):
        """The rows of a table in which these columns have these values."""
        if table not in self.summary["tables"]:
            raise ValueError(f"{self.name} stored no table of {table}, but {', '.join(self.summary['tables'])}")
        if table not in self._tables:
            self._tables[table] = self._table(table)
        wanted = {name: value for name, value in wanted.items() if value is not None}
        if wanted.get("arm") not in (None, *self.baselines):
            self.arm(wanted["arm"])  # raises for an unknown one
        found = [row for row in self._tables[table] if all(row.get(name) == value for name, value in wanted.items())]
        return [dict(row) for row in found]

    def _table(self, table):
        path, count = table_path(self.path.parent, self.name, table), self.summary["tables"][table]
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there. {self._cure()}")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                header, *lines = list(csv.reader(file)) or [[]]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} was changed ({error}). {self._cure()}") from None
        for number, line in enumerate(lines, start=2):
            if len(line) != len(header):
                raise ValueError(f"{path} has {len(line)} cells in line {number}, not {len(header)}. {self._cure()}")
        if len(lines) != count:
            raise ValueError(f"{path} has {len(lines)} rows, and {self.path.name} tells of {count}. {self._cure()}")
        if not {"arm", "seed"} <= set(header) or len(set(header)) < len(header):
            raise ValueError(f"{path} has the header {','.join(header)[:99]!r}, without arm and seed. {self._cure()}")
        typed = [str if name in WORDS else _number for name in header]
        try:
            rows = [[one(cell) for one, cell in zip(typed, line, strict=True)] for line in lines]
        except ValueError as error:
            raise ValueError(f"{path} was changed ({error}). {self._cure()}") from None
        return [{name: cell for name, cell in zip(header, row, strict=True) if cell is not None} for row in rows]

    def _cure(self):
        return f"Get it again: git checkout {self.path.parent}, or make it anew: python -m studies run {self.name}"


class _Named(dict):
    """An object of a JSON file: a name that it lacks is an error that tells the file and those that it has."""

    def __init__(self, values, path):
        super().__init__(values)
        self.path = path

    def __missing__(self, name):
        raise ValueError(f"{self.path} has no {name!r} beside {', '.join(self)}"[:400])


def _read(path, cure):
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_hook=lambda values: _Named(values, path))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} was cut short or changed ({error}). {cure}") from None


def _problem(summary):
    """What is not as in the summary of a study; ``None`` for a whole one."""
    try:
        summary["differences"], summary["tables"], summary["settings"].items()
        [list(pair) for pair in summary["pairs"]]
        for arm in summary["arms"].values():
            for seed, entry in arm["seeds"].items():
                int(seed), entry.items()
    except (ValueError, TypeError, AttributeError) as error:
        return error


def _values(row):
    return {name: value for name, value in row.items() if name not in KEYS}


def _number(cell):
    """The value of a cell: an integer, a float, true or false, or ``None`` for an empty one."""
    if cell in ("", "true", "false"):
        return {"true": True, "false": False}.get(cell)
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)
