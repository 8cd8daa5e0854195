"""Execute on an imitated CPU the chapters whose inputs changed since they last passed there.

    python -m tools.portability [--all]

What passed stands in ``tools/portability.json``, which is committed: for each imitated CPU and chapter the fingerprint
with which all its cells passed, and the seconds that they took. It lies here and not in ``results/``: a chapter that
speaks of a result file depends on it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tools import inputs, kernel, pairs

RECORD = pairs.ROOT / "tools" / "portability.json"
REQUIREMENTS = pairs.ROOT / "requirements.txt"
# The cells of one notebook share a kernel, and a notebook that takes long is begun early: see in_order.
AT_ONCE = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


def fingerprint(notebook: Path, cpu: str) -> str:
    """Return a fingerprint of what decides whether a chapter passes on an imitated CPU.

    Its inputs (``tools.inputs``), the stored texts that it is compared with, the packages, and how the CPU is imitated.
    """
    read = pairs.read(notebook)
    outputs = [output for cell in read.cells for output in cell.get("outputs", [])]
    shown = [
        {kind: text for kind, text in output.get("data", {}).items() if "image/" not in kind} for output in outputs
    ]
    texts = [[output.get("text"), data] for output, data in zip(outputs, shown, strict=True)]
    packages = REQUIREMENTS.read_text(encoding="utf-8")
    return pairs.digest(json.dumps([inputs.fingerprint(read), texts, packages, kernel.IMITATED[cpu]]))


def recorded() -> dict[str, dict[str, dict]]:
    """Return the record: {imitated CPU: {chapter: {"passed": fingerprint, "seconds": seconds}}}."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def notebooks() -> list[Path]:
    """Return the executed half of every chapter that has one; the tests of pairs tell where it is missing."""
    executed = [chapter.with_suffix(".ipynb") for chapter in pairs.chapters()]
    return [notebook for notebook in executed if notebook.exists()]


def due(cpu: str) -> list[Path]:
    """Return the chapters that did not pass on this CPU with the inputs that they have now."""
    passed = {name: entry["passed"] for name, entry in recorded().get(cpu, {}).items()}
    return [notebook for notebook in notebooks() if passed.get(notebook.stem) != fingerprint(notebook, cpu)]


def in_order(files: list[Path]) -> list[Path]:
    """Return notebooks with the longest first, so that two workers end at about the same time; unknown ones lead."""
    seconds = {}
    for chapters in recorded().values():
        seconds |= {name: entry["seconds"] for name, entry in chapters.items()}
    return sorted(files, key=lambda file: -seconds.get(file.stem, float("inf")))


def command(files: list[Path]) -> list[str]:
    """Return the command that executes notebooks again and compares their outputs."""
    names = [file.relative_to(pairs.ROOT).as_posix() for file in in_order(files)]
    return [sys.executable, "-m", "pytest", "-q", "--nbval", *names, *AT_ONCE]


def passed(report: Path, files: list[Path]) -> dict[str, float]:
    """Return the chapters of a JUnit report all of whose code cells ran, none with a failure, and their seconds."""
    cells = {}
    for case in ElementTree.parse(report).iter("testcase"):
        chapter = re.sub(r".*\bchapters\.|\.ipynb$", "", case.get("classname"))
        fine = case.find("failure") is None and case.find("error") is None
        cells.setdefault(chapter, {})[case.get("name")] = (fine, float(case.get("time")))
    found = {}
    for file in files:
        of = list(cells.get(file.stem, {}).values())
        if len(of) == sum(cell.cell_type == "code" for cell in pairs.read(file).cells) and all(fine for fine, _ in of):
            found[file.stem] = round(sum(seconds for _, seconds in of))
    return found


def record(cpu: str, news: dict[str, float], fingerprints: dict[str, str]) -> None:
    """Write down which of the executed chapters passed; those that failed, and those that are no more, are dropped."""
    entries, there = recorded(), {notebook.stem for notebook in notebooks()}
    before = {name: entry for name, entry in entries.get(cpu, {}).items() if name in there - set(fingerprints)}
    now = {name: {"passed": fingerprints[name], "seconds": seconds} for name, seconds in news.items()}
    entries[cpu] = dict(sorted((before | now).items()))
    RECORD.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n", encoding="utf-8")


def check(cpu: str, every: bool, execute=subprocess.run) -> int:
    """Execute what is due on this CPU, or every chapter, record what passed, and return the exit status.

    execute: what runs the command; the tests give another.
    """
    files = notebooks() if every else due(cpu)
    if not files:
        print(f"Every chapter passed {cpu} with the inputs that it has now: nothing to execute. To execute all: ALL=1")
        return 0
    print(f"{len(files)} of {len(notebooks())} chapters are executed {cpu}", flush=True)
    fingerprints = {
        file.stem: fingerprint(file, cpu) for file in files
    }  # before: what is edited meanwhile is not what ran
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        variables = {**os.environ, **kernel.IMITATED[cpu]}
        done = execute([*command(files), f"--junitxml={report}"], cwd=pairs.ROOT, env=variables)
        news = passed(report, files) if report.exists() else {}
    record(cpu, news, fingerprints)
    if news:
        print(f"{len(news)} chapters passed: commit {RECORD.relative_to(pairs.ROOT).as_posix()}")
    return int(done.returncode != 0)


def main() -> int:
    """Check the chapters on the CPU that computes least like this one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="execute every chapter, whether its inputs changed or not")
    return check(kernel.other_cpu(kernel.cpu_flags()), parser.parse_args().all)


if __name__ == "__main__":
    sys.exit(main())
