"""What the comparison of executed chapters sees: everything but the digits of a measurement under contract."""

import os
import re
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

from tools import rules
from tools.pairs import ROOT

STORED = "IoU of L1: 0.302 (text: 0.30 ± 0.05) ✓\noutput: 388 (exactly) ✓\n"
GOOD = "expect('IoU of L1', {measured}, about={about}, within={within})\nexpect('output', {output}, about=388)"
TABLE = "from IPython.display import Markdown\nMarkdown('| score |\\n|---:|\\n| {} |')"


def promises(measured="0.31", about="0.30", within="0.05", output="388", stored=STORED):
    source = "from unetbook.contract import expect\n\n" + GOOD.format(
        measured=measured, about=about, within=within, output=output
    )
    return source, [new_output("stream", name="stdout", text=stored)]


def table(shown, stored):
    data = {"text/markdown": f"| score |\n|---:|\n| {stored} |", "text/plain": "<IPython.core.display.Markdown object>"}
    return TABLE.format(shown), [new_output("execute_result", data=data, execution_count=1)]


CASES = {
    "other_digits": promises(measured="0.3287"),
    "same_table": table("0.302", "0.302"),
    "changed_constant": promises(about="0.31"),
    "changed_tolerance": promises(within="0.06"),
    "broken_promise": promises(measured="0.36"),
    "broken_exact": promises(output="384"),
    "stored_cross": promises(stored=STORED.replace(") ✓\noutput", ") ✗ the text no longer describes this run\noutput")),
    "stored_exact": promises(stored=STORED.replace("388", "384")),
    "other_name": promises(stored=STORED.replace("L1", "L2")),
    "no_promise": ("print('IoU: 0.31, 0.30')", [new_output("stream", name="stdout", text="IoU: 0.30, 0.30")]),
    "wrong_table": table("0.302", "0.303"),
}  # fmt: skip
PASS = {"other_digits", "same_table"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What nbval says of each case, a cell of one notebook, in a run with the conftest of the project."""
    folder = tmp_path_factory.mktemp("chapters")
    cells = [new_code_cell(source, outputs=outputs, execution_count=1) for source, outputs in CASES.values()]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (folder / "cases.ipynb").write_text(writes(new_notebook(cells=cells, metadata=kernel)), encoding="utf-8")
    command = f"-m pytest --nbval -p conftest -p no:cacheprovider -v --color=no --rootdir={folder} -c {os.devnull}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command.split(), folder], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    found = re.findall(r"::Cell \d+ (PASSED|FAILED)", done.stdout)
    assert len(found) == len(CASES), done.stdout + done.stderr
    return dict(zip(CASES, found, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_comparison(name, outcomes):
    assert outcomes[name] == ("PASSED" if name in PASS else "FAILED")


def test_a_stored_cross_is_found_without_running_anything():
    source, outputs = CASES["stored_cross"]
    notebook = new_notebook(cells=[new_code_cell(source, outputs=outputs, execution_count=1)])
    assert ["a broken promise" in problem for problem in rules.outputs(notebook)] == [True]
