"""The table of contents: whether it lists every chapter and page once, and gives each chapter the number of its file.

``_toc.yml`` numbers a part with ``numbered: 1`` (``true`` would number sections, too), and numbers run on across parts.
"""

import re
from collections import Counter
from pathlib import Path

import yaml

from tools.pairs import ROOT


def read(root: Path = ROOT) -> dict:
    """Return ``_toc.yml`` as it is written."""
    return yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))


def numbers(toc: dict) -> list[tuple[str, int | None]]:
    """Return (file, number in the contents or None) of every entry, in order; the first is the root."""
    found, last = [(toc["root"], None)], 0
    for part in toc.get("parts", []):
        for entry in part["chapters"]:
            last += bool(part.get("numbered"))
            found.append((entry["file"], last if part.get("numbered") else None))
    return found


def name_number(file: str) -> int | None:
    """Return the number in a chapter's name, ``chapters/07-name.ipynb``; None without one, and for 00, the primer."""
    found = re.match(r"(\d\d)-", Path(file).name)
    return int(found[1]) or None if found else None


def problems(toc: dict, chapters: list[str], pages: list[str]) -> list[str]:
    """Return what is wrong with the contents of a book with these notebooks and pages without code (paths in it)."""
    entries = numbers(toc)
    times = Counter(file for file, _ in entries)
    found = [f"{file} is not listed" for file in [*chapters, *pages] if not times[file]]
    found += [f"{file} is listed {count} times" for file, count in times.items() if count > 1]
    for file, number in entries:
        if file not in chapters and file not in pages:
            found.append(f"{file} is listed, and is neither a chapter's .ipynb nor a page chapters/pages/name.md")
        elif number != name_number(file):
            found.append(f"{file} has the number {number} in the contents, and its name says {name_number(file)}")
    for part in toc.get("parts", []):
        if str(part.get("numbered", 1)) != "1":  # True == 1, and would number sections
            found.append(f"the part {part['caption']!r} has numbered: {part['numbered']}; chapters alone: numbered: 1")
    return found
