"""What a training on a folder found, chose and scored, as rows: for a terminal, and for the report."""

import textwrap
from pathlib import Path

NAMES = {
    "f1": ("F1 of objects (IoU 0.5)", "1 is perfect"),
    "dice": ("Dice", "1 is perfect"),
    "count_error": ("error in the count of a picture", "0 is perfect"),
    "area_error": ("error in the area of a picture", "0 is perfect"),
}
SHOWN = 3  # of the best, of the worst, and of what to annotate next
WIDTH = 96  # characters of a line in a terminal


def rows_of_found(found) -> list[tuple]:
    """What was found, (what, value, remark)."""
    heights, widths = zip(*found.sizes, strict=True)
    size = _range([f"{height} x {width}" for height, width in found.sizes]) if len(set(found.sizes)) <= 2 else (
        f"{min(heights)} to {max(heights)} x {min(widths)} to {max(widths)}"
    )  # fmt: skip
    rows = [
        ("pictures", f"{len(found.sizes)}", "with a mask"),
        ("size", size, "height x width in pixels"),
        ("gray values", f"{' and '.join(f'{bits} bits' for bits in found.bits)}, {found.channels} channel(s)", ""),
        ("masks", found.encoding, f"task: {found.task}"),
        (
            "objects" if found.task == "objects" else "pieces",
            f"{sum(found.counts)}",
            f"{_range(found.counts)} a picture",
        ),
        ("median diameter", f"{found.diameter:.1f} pixels", "of a disc of the same area"),
    ]
    if found.task == "objects":
        rows.append(("touching", f"{found.touching:.0%}", "of the objects touch another one"))
    if found.alone:
        named = ", ".join(Path(file).name for file in found.alone[:5]) + (" ..." if len(found.alone) > 5 else "")
        rows.append(("without a partner", f"{len(found.alone)}", named))
    return rows


def named(unsure) -> list[str]:
    """Names of the files of which the network is least sure, the least sure first."""
    return [Path(file).name for _, file, *_ in unsure[:SHOWN]]


def rows_of_scores(judged) -> list[tuple]:
    """Scores of the test part, (score, value with its interval, those without a network)."""
    others = ", ".join(judged.baselines)
    rows = [("score", "network", others)]
    for name, of in judged.scores.items():
        rows.append(
            (NAMES[name][0], with_interval(of), ", ".join(f"{b[name]['mean']:.3f}" for b in judged.baselines.values()))
        )
    return rows


def as_text(title, rows) -> str:
    """Rows as lines with columns, for a terminal."""
    widths = [max(len(str(row[column])) for row in rows) for column in range(2)]
    indent, lines = sum(widths) + 6, [f"{title}:"]
    for first, second, remark in rows:
        told = f"\n{' ' * indent}".join(textwrap.wrap(str(remark), max(WIDTH - indent, 36)))
        lines.append(f"  {first:{widths[0]}}  {second!s:{widths[1]}}  {told}".rstrip())
    return "\n".join(lines)


def with_interval(of) -> str:
    """A mean and, where there is one, its interval."""
    shown = f"{of['mean']:.3f}"
    return shown if of["low"] is None else f"{shown} ({of['low']:.3f} to {of['high']:.3f})"


def _range(values):
    values = list(dict.fromkeys(values))
    if all(isinstance(value, int) for value in values):
        return f"{min(values)} to {max(values)}" if len(values) > 1 else f"{values[0]}"
    return " and ".join(values)
