"""The counts of a page: what a reader meets counts, what is folded does not, and each limit can be broken."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import counts


def code(source, text=None, *tags):
    outputs = [new_output("stream", name="stdout", text=text)] if text else []
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


def page(*cells):
    end = "## Take-away\n\nOne of 3 holds. Two of 4.5 do.\n\nNext: [there](02-there.ipynb).\n\n## Sources\n\nA paper."
    return counts.of(new_notebook(cells=[*cells, new_markdown_cell(end)]))


NOTHING = page()


def more(*cells):
    """What these cells add to an empty page."""
    return {name: b - a for name, a, b in zip(counts.Counts._fields, NOTHING, page(*cells), strict=True) if a != b}


def test_an_empty_page_has_a_take_away_of_two_sentences():
    assert NOTHING.takeaway == 2 and NOTHING[1:6] == (0, 0, 0, 0, 0)


def test_words_are_those_that_are_read():
    text = "Three **plain** words, $x = y$ and `code.name` [a link](https://there.org/far/away).\n\n$$z = 1$$"
    assert more(new_markdown_cell(text)) == {"words": 7}
    assert more(new_markdown_cell("```python\nnot = 'prose'\n```")) == {}


def test_exercises_and_their_solutions_do_not_count():
    exercise = new_markdown_cell("### Exercise 1: many words\n\nHow many?\n\nSolution")
    assert more(exercise, code("answer = 42\nprint(answer)", "42\n"), new_markdown_cell("More of it.")) == {}
    assert more(exercise, new_markdown_cell("## Another section\n\nCounts.")) == {"words": 3}


def test_boxes_are_counted_and_their_words_are_not():
    box = ":::{admonition} Derivation: why\n:class: dropdown\n\nA long chain of thought.\n:::"
    assert more(new_markdown_cell(f"Open.\n\n{box}\n\nOpen.")) == {"words": 2, "boxes": 1}
    assert more(new_markdown_cell(":::{note}\nThis is read.\n:::")) == {"words": 3}


def test_a_folded_solution_of_a_case_does_not_count_and_another_fold_does():
    fold = "<details>\n<summary>{}: case 1</summary>\n\nA long chain of thought.\n\n</details>"
    assert more(new_markdown_cell(f"Guess first.\n\n{fold.format('Solution')}\n\nGo on.")) == {"words": 4}
    assert more(new_markdown_cell(fold.format("Thought")))["words"] > 5


def test_visible_code_and_output():
    source = "x = 1\n\nprint(x)"
    assert more(code(source, "1 and 2\n")) == {"code": 2, "output": 3}
    assert more(code(source, "1 and 2\n", "hide-input")) == {"output": 3}
    assert more(code(source, "1 and 2\n", "hide-cell")) == {}
    assert more(code(source, "1 and 2\n", "remove-cell")) == {}
    figure = new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure size 700x350>"})
    assert more(new_code_cell("draw()", outputs=[figure])) == {"code": 1}
    table = new_output(
        "display_data", data={"text/markdown": "| a | b |\n|---|---|\n| c | 1 |", "text/plain": "Markdown"}
    )
    assert more(new_code_cell("table()", outputs=[table])) == {"code": 1, "output": 4}


def test_checks_in_the_open_are_counted():
    line = "number: 1 (exactly) ✓\n"
    assert more(code("expect('number', 1, 1)", line))["open_checks"] == 1
    assert more(code("expect('number', 1, 1)", line, "hide-input"))["open_checks"] == 1
    assert more(code("expect('number', 1, 1)", line, "hide-cell")) == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("from unetbook.recipes import _nuclei, _files", {"_nuclei", "_files"}),
        ("from unetbook.datasets._archives import Members", {"_archives"}),
        ("import unetbook.augment._warp", {"_warp"}),
        ("show.source(instances._flood)", {"_flood"}),
        ("_ = model.fit(x)\nself._mine = cls._other\n_mine = x.__class__", set()),
        ("%pip install x\nfrom unetbook import nets", set()),
        ("scores.ObjectErrors._fields, row._asdict(), tensor._keras_history", set()),
        ("not python", set()),
    ],
)
def test_private_names_of_the_package(source, names):
    assert counts.private_names(source) == names


def test_each_limit_can_be_broken_and_allowed():
    good = counts.limits("03-x")
    assert counts.problems("03-x", good, allowed={}) == []
    for field in counts.Counts._fields:
        bad = good._replace(**{field: getattr(good, field) + 1})
        assert counts.problems("03-x", bad, allowed={}) == [
            f"{field}: {getattr(bad, field)}, at most {getattr(good, field)}"
        ]
        assert counts.problems("03-x", bad, allowed={"03-x": (field,)}) == []
        assert "take it out of OVER" in counts.problems("03-x", good, allowed={"03-x": (field,)})[0]
        rewritten = counts.problems("03-x", bad, rewritten=("03-x",), allowed={"03-x": (field,)})
        assert rewritten == ["03-x is rewritten: take it out of OVER in tools/counts.py"]
    assert counts.limits("16-nuclei").code == 180 and counts.limits("17-x").code == 130
