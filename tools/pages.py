"""Print how long each page is beside what it may be: what a rewrite has left to do.

    python -m tools.pages

The chapters come as they stand in their Markdown, printed output as their notebooks hold it. A star marks what is over
its limit. Where the site is built and a browser is installed, the first screen of each page is measured, too.
"""

import sys

from tools import book, browser, counts, first_screen, pairs, rules

HEADS = ("words", "code", "output", "open", "private", "boxes", "take-away", "MB")


def rows() -> list[list[str]]:
    """Return one row a chapter: its name, whether it is rewritten, and its counts."""
    table = []
    for chapter in pairs.chapters():
        found = counts.of(pairs.combined(chapter))
        over = counts.over(chapter.stem, found)
        notebook = chapter.with_suffix(".ipynb")
        size = f"{notebook.stat().st_size / 1e6:.1f}" if notebook.exists() else "-"
        marked = [f"{value}{'*' if name in over else ' '}" for name, value in found._asdict().items()]
        table.append([chapter.stem, "rewritten" if chapter.stem in rules.REWRITTEN else "", *marked, size])
    return table


def main() -> int:
    """Print the table and the limits."""
    most = counts.limits("00")
    for row in [["chapter", "", *HEADS], *rows()]:
        print(f"{row[0]:36}{row[1]:10}" + "".join(f"{cell:>10}" for cell in row[2:]))
    print(f"{'at most':46}" + "".join(f"{value:>9} " for value in most))
    print(f"180 lines of code in {', '.join(counts.LONGER_CODE)}; a star is over the limit")
    if not (book.SITE / "index.html").is_file() or browser.program() is None:
        print("The first screen is measured on the built site, in a browser: make book, then make pages")
        return 0
    print()
    return first_screen.main()


if __name__ == "__main__":
    sys.exit(main())
