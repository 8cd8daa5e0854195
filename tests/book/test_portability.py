"""Chapters run on an imitated CPU when what they compute changed, and only what passed is written down."""

import json
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tools import check, inputs, kernel, pairs, portability

CPU = "without oneDNN"


def write(path, source, printed="1\n"):
    output = new_output("stream", name="stdout", text=printed)
    nbformat.write(new_notebook(cells=[new_code_cell(source, outputs=[output], execution_count=1)]), path)
    path.with_suffix(".md").write_text("", encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository of two chapters, with an empty record."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "requirements.txt").write_text("numpy==2\n", encoding="utf-8")
    for name in ("01-one", "02-two"):
        write(tmp_path / f"chapters/{name}.ipynb", "print(1)")
    here = pairs.chapters
    monkeypatch.setattr(pairs, "ROOT", tmp_path)
    monkeypatch.setattr(pairs, "chapters", lambda: here(tmp_path / "chapters"))
    monkeypatch.setattr(portability, "RECORD", tmp_path / "portability.json")
    monkeypatch.setattr(portability, "REQUIREMENTS", tmp_path / "requirements.txt")
    return tmp_path


class Pretended:
    """Stands for pytest: remembers which chapters it was given, and lets some of them fail."""

    def __init__(self, *failing, cells=1):
        self.failing, self.cells, self.given, self.variables = failing, cells, [], {}

    def __call__(self, command, cwd, env):
        names = [word.removeprefix("chapters/").removesuffix(".ipynb") for word in command if word.endswith(".ipynb")]
        self.given, self.variables = names, env
        cases = [
            f'<testcase classname="chapters.{name}.ipynb" name="Cell {k}" time="{2.5 if name == "02-two" else 1}">'
            f"{'<failure/>' if name in self.failing else ''}</testcase>"
            for name in names
            for k in range(self.cells)
        ]
        report = next(word.split("=")[1] for word in command if word.startswith("--junitxml="))
        with open(report, "w", encoding="utf-8") as file:
            file.write(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
        return SimpleNamespace(returncode=int(bool(self.failing)))


def run(*failing, every=False, cells=1):
    """The exit status, and the chapters that were executed."""
    pretended = Pretended(*failing, cells=cells)
    status = portability.check(CPU, every, pretended)
    return status, sorted(pretended.given)


def test_what_passed_is_recorded_and_not_executed_again(folder, capsys):
    assert run() == (0, ["01-one", "02-two"])
    assert "2 chapters passed: commit portability.json" in capsys.readouterr().out
    record = json.loads((folder / "portability.json").read_text())
    assert list(record) == [CPU] and [entry["seconds"] for entry in record[CPU].values()] == [1, 2]
    assert run() == (0, [])
    assert "nothing to execute" in capsys.readouterr().out
    assert run(every=True) == (0, ["01-one", "02-two"])


def test_the_imitated_cpu_is_what_the_chapters_see_and_each_has_its_own_record(folder):
    for cpu in kernel.IMITATED:
        pretended = Pretended()
        assert portability.check(cpu, False, pretended) == 0
        assert len(pretended.given) == 2 and kernel.IMITATED[cpu].items() <= pretended.variables.items()
    assert list(portability.recorded()) == sorted(kernel.IMITATED)


@pytest.mark.parametrize("change", ["code", "stored text", "package", "packages", "result"])
def test_a_changed_input_executes_again(folder, monkeypatch, change):
    monkeypatch.setattr(inputs, "RESULTS", folder)
    (folder / "a-run.json").write_text("{}", encoding="utf-8")
    two = folder / "chapters/02-two.ipynb"
    write(two, "print(1)  # a-run")
    monkeypatch.setattr(inputs, "ROOT", folder)
    monkeypatch.setattr(inputs, "dependencies", lambda text: [folder / "package.py"] if "a-run" in text else [])
    (folder / "package.py").write_text("", encoding="utf-8")
    run()
    if change == "code":
        write(two, "print(1)  # a-run, more")
    elif change == "stored text":
        write(two, "print(1)  # a-run", printed="2\n")
    else:
        file = {"package": "package.py", "packages": "requirements.txt", "result": "a-run.json"}[change]
        (folder / file).write_text('{"changed": 1}', encoding="utf-8")
    assert run() == (0, ["01-one", "02-two"] if change == "packages" else ["02-two"])


def test_a_chapter_that_fails_is_not_recorded(folder):
    assert run("01-one") == (1, ["01-one", "02-two"])
    assert run("01-one") == (1, ["01-one"])
    assert run() == (0, ["01-one"]) and run() == (0, [])


def test_a_chapter_that_failed_after_it_passed_loses_nothing_but_runs_when_it_changes(folder):
    run()
    assert run("02-two", every=True) == (1, ["01-one", "02-two"])
    assert run() == (0, ["02-two"])


def test_a_chapter_whose_cells_did_not_all_run_is_not_recorded(folder):
    assert run(cells=0) == (0, ["01-one", "02-two"])
    assert run() == (0, ["01-one", "02-two"])


def test_a_chapter_that_is_no_more_leaves_the_record(folder):
    run()
    for kind in ("md", "ipynb"):
        (folder / f"chapters/01-one.{kind}").unlink()
    run(every=True)
    assert list(portability.recorded()[CPU]) == ["02-two"]


def test_the_longest_is_begun_first_and_unknown_ones_before(folder):
    run()
    write(folder / "chapters/03-new.ipynb", "print(1)")
    assert [file.stem for file in portability.in_order(portability.notebooks())] == ["03-new", "02-two", "01-one"]


def test_the_report_of_a_real_execution_is_understood(folder, monkeypatch):
    monkeypatch.setattr(portability, "AT_ONCE", [])  # two notebooks of one line
    write(folder / "chapters/02-two.ipynb", "print(1)", printed="2\n")
    assert portability.check(CPU, False) == 1
    assert list(portability.recorded()[CPU]) == ["01-one"]


def test_make_portability_executes_what_is_due_or_all():
    for every in (False, True):
        name, command, _ = check.portability_parts("python", every)[0]
        assert name.startswith("chapters without ") and command[:3] == [sys.executable, "-m", "tools.portability"]
        assert ("--all" in command) == every
