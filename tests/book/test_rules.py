"""Each rule of the chapter contract can fail: a good chapter is broken in one place, and the rule says where."""

import copy

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import rules


def code(source, text=None, image=False, **metadata):
    found = [new_output("stream", name="stdout", text=text)] if text else []
    if image:
        found.append(new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"}))
    return new_code_cell(source, outputs=found, metadata=metadata)


def good_chapter():
    words = {"Time": "20 minutes to read, 1 to run on two CPU cores"}
    head = "# Title\n\n" + "\n".join(f"- **{name}**: {words.get(name, 'words')}" for name in rules.HEAD)
    alt = {"image": {"alt": "A curve that falls from one to zero over ten steps"}}
    cells = [new_markdown_cell(head), new_markdown_cell("## Body\n\nHere $x$ and `{ref}` and `$`. $$y = 1$$")]
    cells += [code(f"expect('number {i}', {i}, {i})", text=f"number {i}\n") for i in range(8)]
    cells.append(code("plt.show()", image=True, mystnb=alt))
    for number in (1, 2):
        cells.append(new_markdown_cell(f"### Exercise {number}: do it\n\nHow?\n\nSolution"))
        cells.append(code(f"answer({number})", tags=["hide-cell"]))
    cells.append(new_markdown_cell("## Take-away\n\nGood.\n\n## Sources\n\n[paper](https://arxiv.org/abs/1505.04597)"))
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate(rules.code_cells(notebook), start=1):
        cell.execution_count = count
    return notebook


def all_problems(notebook, folder):
    checks = (rules.outputs, rules.figures, rules.portable, rules.hidden_escapes, rules.contract)
    return [problem for check in checks for problem in check(notebook)] + rules.links(notebook, folder)


def figure(notebook):
    return next(cell for cell in notebook.cells if cell.source == "plt.show()")


def in_text(old, new):
    def change(notebook):
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def add_text(text):
    return lambda notebook: notebook.cells.insert(1, new_markdown_cell(text))


def set_output(**values):
    return lambda notebook: rules.code_cells(notebook)[0].outputs.append(new_output(**values))


BREAKS = {
    "without alt text": (lambda n: figure(n).metadata.clear(), "draws a figure"),
    "alt text too short": (lambda n: figure(n).metadata.mystnb.image.update(alt="A figure"), "draws a figure"),
    "two figures in a cell": (lambda n: figure(n).outputs.append(figure(n).outputs[0]), "one figure a cell"),
    "Markdown image without alt": (add_text("![](there.png)"), "the image there.png"),
    "image in HTML": (add_text('<img src="there.png">'), "images are written as"),
    "not executed": (lambda n: rules.code_cells(n)[3].update(execution_count=None), "execution count None"),
    "executed out of order": (lambda n: rules.code_cells(n)[3].update(execution_count=9), "execution count 9"),
    "timestamps": (lambda n: rules.code_cells(n)[0].metadata.update(execution={}), "timestamps"),
    "error": (set_output(output_type="error", ename="ValueError", evalue="", traceback=[]), "error ValueError"),
    "stderr": (set_output(output_type="stream", name="stderr", text="Warning"), "on stderr"),
    "broken promise": (
        set_output(output_type="stream", name="stdout", text="IoU: 0.2 (text: 0.30 ± 0.05) ✗ the"),
        "broken promise",
    ),
    "warning": (set_output(output_type="stream", name="stdout", text="WARNING:tensorflow:5 of 6"), "warning of Tensor"),
    "inline role": (add_text("See {ref}`here`."), "inline role"),
    "backtick directive": (add_text("```{note}\nText\n```"), "colon fence"),
    "bracket formula": (add_text(r"Here \(x\)."), "use $ or $$"),
    "environment": (add_text("\\begin{align}x\\end{align}"), "outside $$"),
    "half a formula": (add_text("It costs $5."), "no partner"),
    "broken link": (add_text("[there](nowhere.ipynb)"), "nowhere.ipynb leads nowhere"),
    "link to Markdown": (add_text("[there](page.md)"), "link to the .ipynb"),
    "link to another folder's Markdown": (add_text("[there](other/page.md)"), "link to the .ipynb"),
    "link to a page that is not there": (add_text("[there](pages/nowhere.md)"), "pages/nowhere.md leads nowhere"),
    "escape by comment": (in_text("answer(1)", "# NBVAL_IGNORE_OUTPUT\n1"), "escapes by a comment"),
    "local data compared": (
        lambda n: rules.code_cells(n)[0].metadata.update(tags=["local-data"]),
        "needs nbval-ignore-output",
    ),
    "head incomplete": (in_text("**Time**", "Time"), "the head is a list"),
    "one time of two": (in_text("20 minutes to read, ", ""), "**Time** says two"),
    "no take-away": (in_text("## Take-away", "## Farewell"), "ends with ## Take-away"),
    "no source": (in_text("(https://arxiv.org/abs/1505.04597)", ""), "links to no paper"),
    "one exercise": (in_text("### Exercise 2: do it", "### More"), "1 exercises"),
    "solution not folded": (lambda n: [c.metadata.clear() for c in n.cells], "exercise 1 has a line Solution"),
    "no solution": (in_text("Solution", ""), "exercise 1 has a line Solution"),
    "exercises misnumbered": (in_text("Exercise 2:", "Exercise 3:"), "numbered from 1"),
}


def test_an_exercise_may_have_cells_to_change_before_its_solution():
    notebook = good_chapter()
    place = next(k for k, cell in enumerate(notebook.cells) if "### Exercise 1" in cell.source)
    notebook.cells[place].source = "### Exercise 1: do it\n\nHow?"
    notebook.cells.insert(place + 1, code("mine = None"))
    assert any("exercise 1 has a line Solution" in problem for problem in rules.contract(notebook))
    notebook.cells.insert(place + 2, new_markdown_cell("Solution"))
    assert rules.contract(notebook) == []


def test_a_good_chapter_has_no_problems(tmp_path):
    assert all_problems(good_chapter(), tmp_path) == []


@pytest.mark.parametrize("name", BREAKS)
def test_rule_sees(name, tmp_path):
    (tmp_path / "page.md").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "page.md").touch()
    breaks, message = BREAKS[name]
    notebook = copy.deepcopy(good_chapter())
    breaks(notebook)
    assert any(message in problem for problem in all_problems(notebook, tmp_path)), all_problems(notebook, tmp_path)


def test_escapes_are_found_by_their_tags():
    notebook = good_chapter()
    rules.code_cells(notebook)[2].metadata.tags = ["nbval-skip"]
    assert rules.escapes(notebook) == ["expect('number 2', 2, 2)"]


def test_tolerances_are_held_against_the_spread():
    notebook = good_chapter()
    cell = rules.code_cells(notebook)[0]
    cell.outputs = [new_output("stream", name="stdout", text="one: 0.51 (text: 0.50 ± 0.03) ✓\ntwo: 3 (exactly) ✓\n")]
    assert rules.promises(notebook) == [("one", 0.5, 0.03)]

    def problems(*values, name="one"):
        return rules.tolerances(notebook, [{"name": name, "values": dict(enumerate(values))}])

    assert problems(0.49, 0.51) == []
    assert "is wide" in problems(0.499, 0.501)[0]
    assert "measured from 0.49 to 0.54" in problems(0.49, 0.54)[0]
    assert "measured from 0.49 to 0.529" in problems(0.49, 0.529)[0] and problems(0.49, 0.528) == []  # a margin of 5 %
    assert "not those whose spread" in problems(0.49, 0.51, name="another")[0]
    cell.outputs[0].text = "one: 0.5 (text: 0.50 ± 0.01) ✓\n"
    assert problems(0.5, 0.5) == []  # rounding
