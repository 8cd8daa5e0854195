"""One HTML file that tells a colleague what a training on a folder found, chose, learned, and what it is worth."""

import datetime
import html
from pathlib import Path

import keras

import unetbook
from unetbook import drafts
from unetbook.project import drawn, tables
from unetbook.project.tables import NAMES, SHOWN, with_interval

MOST_NAMED = 30  # pictures of a part
STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #5a5a5a; --line: #d0d0d0; --paper: #ffffff; --card: #f5f5f2 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a8a8a8; --line: #444; --paper: #16181a; --card: #202326 } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 62rem; padding: 1.5rem 1.2rem 4rem }
h1 { font-size: 1.7rem; margin: 0 0 .3rem } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
p, li { max-width: 44rem } .soft { color: var(--soft); font-size: .92rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; min-width: 28rem }
th, td { text-align: left; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.whole { white-space: nowrap }
.row { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .6rem; margin: .2rem 0 1rem }
figure { margin: 0 } img { width: 100%; display: block; border: 1px solid var(--line); background: #fff }
img.curve { max-width: 44rem } figcaption { font-size: .85rem; color: var(--soft); overflow-wrap: anywhere }
.lead { font-size: 1.12rem; background: var(--card); padding: .8rem 1rem; border-radius: .4rem; max-width: none }
pre { background: var(--card); padding: .7rem 1rem; overflow-x: auto; border-radius: .4rem; font-size: .88rem }
@media (max-width: 34rem) { .row { grid-template-columns: 1fr } }
"""


def write(path, judged, parts, rows, found, state, unsure, network) -> Path:
    """Write the report, which needs no other file and no network connection; it appears when it is complete."""
    every = [one for of in parts.values() for one in of]
    sections = [
        f"<h1>{html.escape(network.stem)}: a network from {len(every)} annotated pictures</h1>",
        f'<p class="soft">{datetime.date.today():%d %B %Y}, unetbook {unetbook.__version__}, Keras {keras.__version__} '
        f"on {keras.backend.backend()}, {state['steps']} steps in {max(1, round(state['seconds'] / 60))} min</p>",
        f'<p class="lead">{_summary(judged, parts)}</p>',
        "<h2>What it is worth</h2>",
        _scores(judged),
        f'<p class="soft">{_on_intervals(judged)}</p>',
        "<h2>Best and worst test pictures</h2>",
        _pictures(judged, parts["test"], found),
        "<h2>What to annotate next</h2>",
        _next(judged, parts, unsure, found),
        "<h2>What was found</h2>",
        _table(tables.rows_of_found(found)),
        "<h2>What was chosen, and why</h2>",
        _table(rows),
        f'<p class="soft">{html.escape(_members(parts))}</p>',
        "<h2>How it learned</h2>",
        f'<img class="curve" alt="Training loss and validation score after each epoch" src="{drawn.curves(state)}">',
        f'<p class="soft">The weights after epoch {state["best"]} of {state["epochs"]} did best on the validation '
        "pictures, of those of the second half, and were kept.</p>",
        "<h2>How to use it</h2>",
        f"<pre>python -m unetbook predict --model {html.escape(network.name)} --out found/ --table --geojson new/\n"
        f"python -m unetbook score --truth new_masks/ --predicted found/</pre>",
        '<p class="soft">Score pictures that it did not learn: those above were.</p>',
        f'<p class="soft">Read by {html.escape(_choices(judged))}. For research, not for clinical use.</p>',
    ]
    page = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(network.stem)}</title><style>{STYLE}</style>\n<body>\n"
    ) + "\n".join([*sections, "</body></html>\n"])
    drafts.put(path, lambda draft: draft.write_text(page, encoding="utf-8"))
    return Path(path)


def _summary(judged, parts):
    first = next(iter(judged.scores))
    name, _ = NAMES[first]
    count = len(parts["test"])
    objects = sum(row.get("true_count", 0) for row in judged.rows)
    holding = f" with {objects} object{'s' * (objects > 1)}" if objects else ""
    where = f"On {count} test picture{'s' * (count > 1)}{holding}, which it never saw,"
    told = f"{where} {name} is <b>{with_interval(judged.scores[first])}</b>"
    for other, scores in judged.baselines.items():
        told += f"; {html.escape(other)} reaches {scores[first]['mean']:.3f} there"
    wrong = "count_error" if "count_error" in judged.scores else "area_error"
    what = "number of objects" if wrong == "count_error" else "area"
    told += f". The {what} of a picture is off by {judged.scores[wrong]['mean']:.0%} on average."
    return told if judged.scores[first]["low"] is not None else f"{told} <b>One group is no proof</b>: see below."


def _on_intervals(judged):
    if next(iter(judged.scores.values()))["low"] is None:
        return (
            "The test part is one picture, or one group: there is no interval, and another picture may score quite "
            "differently. Annotate two more before you rely on it."
        )
    return (
        "In brackets: where 95 % of the means lie when the test pictures are drawn again (bootstrap over groups). With "
        "fewer than about ten groups such intervals are too narrow."
    )


def _scores(judged):
    head = "".join(f'<th class="n">{html.escape(name)}</th>' for name in ("network", *judged.baselines))
    body = ""
    for name, of in judged.scores.items():
        title, remark = NAMES[name]
        cells = "".join(
            f'<td class="n">{_cell(one)}</td>' for one in (of, *(b[name] for b in judged.baselines.values()))
        )
        body += f'<tr><td>{title}<br><span class="soft">{remark}</span></td>{cells}</tr>'
    return f'<div class="scroll"><table><tr><th>test part</th>{head}</tr>{body}</table></div>'


def _cell(of):
    """A score, and its interval on a line of its own where there is no room beside it."""
    mean, *interval = with_interval(of).split(" ", 1)
    return " ".join([mean, *(f'<span class="whole">{part}</span>' for part in interval)])


def _pictures(judged, test, found):
    key = "f1" if found.task == "objects" else "dice"
    order = sorted(judged.rows, key=lambda row: -row[key])
    by_id, kept = {one.id: one for one in test}, order if len(order) <= 2 * SHOWN else order[:SHOWN] + order[-SHOWN:]
    blocks = []
    for row in kept:
        one = by_id[row["picture"]]
        answer = judged.answers[one.id]
        told = f"{one.id}: {NAMES[key][0]} {row[key]:.3f}"
        if found.task == "objects":
            told += (
                f", {row['found_count']} found of {row['true_count']}; {row['merged']} merged, {row['split']} split, "
                f"{row['missed']} missed, {row['extra']} extra"
            )
        truth, given = drawn.labels(one.labels, found.task), drawn.labels(answer, found.task, one.labels)
        cells = [("picture", drawn.photograph(one.image)), ("truth", truth), ("network", given)]
        blocks.append(f"<p>{html.escape(told)}</p>" + drawn.row(cells))
    note = "Objects that match a true one have its color; gray ones match none." if found.task == "objects" else ""
    return f'<p class="soft">{note}</p>' + "".join(blocks)


def _next(judged, parts, unsure, found):
    advice = []
    if found.task == "objects":
        total = {name: sum(row[name] for row in judged.rows) for name in ("merged", "split", "missed", "extra")}
        worst = max(total, key=total.get)
        true = max(sum(row["true_count"] for row in judged.rows), 1)
        says = {
            "merged": "Most errors are objects that were merged: annotate pictures in which objects touch.",
            "split": "Most errors are objects that were split: annotate large and uneven ones, each with one number.",
            "missed": "Most errors are objects that were missed: annotate pictures with dim, small or rare ones.",
            "extra": "Most errors are objects that are none: annotate pictures with debris and empty ground, unmarked.",
        }
        if total[worst]:
            advice.append(f"{says[worst]} ({total[worst]} of {true} objects of the test part.)")
    if len({one.group for one in parts["test"]}) < 3:
        advice.append(
            "Annotate for the test part, too: it has fewer than three groups, and every score hangs on these."
        )
    if len({one.group for one in parts["train"]}) < 10:
        advice.append("More pictures of other patients, plates or days teach more than more of the same.")
    text = "<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in advice) + "</ul>"
    if unsure:
        pictures = [drawn.photograph(image, labels) for *_, image, labels in unsure[:SHOWN]]
        shown = list(zip(tables.named(unsure), pictures, strict=True))
        text += "<p>Of the pictures without a mask the network is least sure of these, so they teach it most:</p>"
        text += drawn.row(shown)
    return text


def _members(parts):
    """Which pictures are in the parts that were not learned."""
    named = [
        f"{part}: {', '.join(one.id for one in parts[part][:MOST_NAMED])}" + " ..." * (len(parts[part]) > MOST_NAMED)
        for part in ("validation", "test")
    ]
    return f"{'; '.join(named)}. The others were learned."


def _table(rows):
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{body}</table></div>'


def _choices(judged):
    picked = judged.segmenter.choices
    return ", ".join([f"the way {picked.way!r}", *(f"{name} {value}" for name, value in picked.given().items())])
