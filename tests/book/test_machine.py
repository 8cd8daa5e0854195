"""A machine that lacks something is told what, and what to do."""

import ast
import subprocess
import sys

import pytest

from tools import check_machine, environment
from tools.pairs import ROOT


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_other_pythons_are_refused_by_name(version):
    problem = check_machine.python_problem(version)
    assert f"Python {version[0]}.{version[1]} is not supported" in problem
    assert "3.11 to 3.13" in problem and "PYTHON=python3.12 make book" in problem


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_pass(version):
    assert check_machine.python_problem(version) is None


def test_an_incomplete_venv_module_is_named():
    def importer(name):
        if name == "ensurepip":
            raise ImportError("No module named 'ensurepip'")

    assert "ensurepip" in check_machine.venv_problem(importer)
    assert "apt-get install python3-venv" in check_machine.venv_problem(importer)
    assert check_machine.venv_problem() is None


def test_a_missing_compiler_or_header_is_named(tmp_path):
    assert "apt-get install gcc" in check_machine.compiler_problem(lambda name: None, tmp_path)
    assert "apt-get install python3-dev" in check_machine.compiler_problem(lambda name: name, tmp_path)
    (tmp_path / "Python.h").touch()
    assert check_machine.compiler_problem(lambda name: name == "clang", tmp_path) is None


def test_a_full_disk_is_named():
    problem = check_machine.disk_problem(1_500_000_000, "/books")
    assert "1.5 GB" in problem and "/books" in problem and "4 GB" in problem
    assert check_machine.disk_problem(4_000_000_000, "/books") is None


def test_every_problem_is_reported_before_anything_is_made(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(check_machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(check_machine, "ENVIRONMENT_GB", 10**9)
    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert environment.main([".venv", "requirements.txt"]) == 1
    told = capsys.readouterr().err
    assert "C compiler" in told and "GB are free" in told
    assert not (tmp_path / ".venv").exists()


def test_the_check_can_be_read_by_old_pythons():
    for module in (check_machine, environment):
        with open(module.__file__, encoding="utf-8") as file:
            ast.parse(file.read(), feature_version=(3, 6))


def test_an_environment_is_reused_until_its_list_or_its_python_changes(tmp_path):
    stamp = tmp_path / "made-from"
    assert not environment.is_current(stamp, "numpy\n", "3.11", any_python=True)
    stamp.write_text("3.11\nnumpy\n")
    assert environment.is_current(stamp, "numpy\n", "3.11", any_python=False)
    assert not environment.is_current(stamp, "numpy\nscipy\n", "3.11", any_python=True)
    assert not environment.is_current(stamp, "numpy\n", "3.12", any_python=False)
    assert environment.is_current(stamp, "numpy\n", "3.12", any_python=True)


def test_a_failed_installation_says_so_and_is_not_taken_for_an_environment(monkeypatch, tmp_path, capfd):
    def fail(command):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(environment, "ROOT", str(tmp_path))
    monkeypatch.setattr(environment.subprocess, "check_call", fail)
    monkeypatch.setattr(check_machine, "problems", lambda folder: [])
    (tmp_path / "requirements.txt").write_text("numpy\n")
    assert environment.main([".venv", "requirements.txt"]) == 1
    assert "could not be made" in capfd.readouterr().err
    assert not (tmp_path / ".venv" / "made-from").exists()


def test_the_lock_names_no_package_server_and_pins_everything():
    for name in ("requirements.txt", "requirements-jax.txt"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert "uv pip compile" in lines[1], "the command that remakes the file"
        packages = [line for line in lines if line and not line.startswith(("#", "-"))]
        assert packages and all("==" in line for line in packages)
        assert "://" not in "".join(lines)


def test_both_locks_agree():
    book, jax = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", "requirements-jax.txt"))
    pins = dict(line.split(" ;")[0].split("==") for line in book.splitlines() if "==" in line and line[0] not in "#-")
    for line in jax.splitlines():
        if "==" in line and line[0] not in "#-":
            name, version = line.split(" ;")[0].split("==")
            assert pins.get(name, version) == version, f"{name} differs between the two locks: make lock"


def test_this_python_can_make_the_environment():
    assert check_machine.python_problem(sys.version_info[:2]) is None
