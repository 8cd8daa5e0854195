"""Chapters run the same way everywhere: quick, without real data unless asked, and without noise from C++ code."""

import os
import platform

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from tools import book, kernel

SHOW_DATA = "import os\nprint(os.environ.get('UNETBOOK_DATA'), os.environ['UNETBOOK_STRICT'])"


def run(source, folder):
    notebook = new_notebook(cells=[new_code_cell(source)])
    kernel.execute(notebook, folder)
    return notebook.cells[0]


def test_cpp_noise_stays_out_and_python_warnings_stay_in(tmp_path):
    with kernel.environment():
        cell = run("import os, sys\nos.write(2, b'noise')\nprint('shown', file=sys.stderr)", tmp_path)
    assert [(output.get("name"), output.get("text")) for output in cell.outputs][:1] == [("stderr", "shown\n")]
    assert "noise" not in str(cell.outputs)
    assert "execution" not in cell.metadata


def test_a_stream_is_stored_whole_however_it_came(tmp_path):
    with kernel.environment():
        cell = run("import time\nfor k in range(3):\n    print(k, flush=True)\n    time.sleep(0.3)", tmp_path)
    assert [output.text for output in cell.outputs] == ["0\n1\n2\n"]


def test_environment_is_put_back(monkeypatch, tmp_path):
    monkeypatch.setenv("UNETBOOK_DATA", "/real")
    monkeypatch.delenv("UNETBOOK_STRICT", raising=False)
    with kernel.environment():
        assert run(SHOW_DATA, tmp_path).outputs[0].text == "None 1\n"
    assert os.environ["UNETBOOK_DATA"] == "/real" and "UNETBOOK_STRICT" not in os.environ


def test_bars_are_shown_to_a_reader_and_not_in_a_stored_page(tmp_path):
    source = "from unetbook import progress\nfor _ in progress.bar(3, 'tile', {}, iterable=range(3)): pass"
    with kernel.environment():
        assert [run(source.format(shown), tmp_path).outputs for shown in (None, True)] == [[], []]
    with kernel.environment(UNETBOOK_STRICT=None):
        shown = str(run(source.format(None), tmp_path).outputs)
    assert "widget-view" in shown and "Warning" not in shown  # the locked environment has widgets


def write(path, *cells):
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def test_book_executes_only_chapters_with_local_data(tmp_path):
    tagged = write(tmp_path / "01.ipynb", new_code_cell(SHOW_DATA, metadata={"tags": ["local-data"]}))
    plain = write(tmp_path / "02.ipynb", new_code_cell(SHOW_DATA))
    before = plain.read_bytes()
    book.show_real_data([tagged, plain], str(tmp_path))
    shown = nbformat.read(tagged, as_version=4).cells[0].outputs[0].text
    assert shown == f"{tmp_path} 1\n"
    assert plain.read_bytes() == before


def test_an_error_with_real_data_fails_the_build(tmp_path):
    broken = write(tmp_path / "01.ipynb", new_code_cell("1 / 0", metadata={"tags": ["local-data"]}))
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        book.show_real_data([broken], str(tmp_path))


def test_a_data_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SystemExit, match="which is not a folder"):
        book.show_real_data([], str(tmp_path / "nowhere"))


def test_contents_with_a_missing_chapter_name_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(book.pairs, "toc_files", lambda: ["chapters/98-nothing.ipynb"])
    with pytest.raises(SystemExit, match="make chapters ONLY=98-nothing"):
        book.copy_source(tmp_path / "source")


def test_the_imitated_cpu_computes_otherwise_than_this_one():
    """Where TensorFlow leaves oneDNN off by itself, a run with it off would only repeat the tests."""
    assert kernel.other_cpu({"avx2", "fma"}) == "without AVX512"
    assert kernel.other_cpu({"avx2", "avx512f", "avx512_vnni"}) == "without oneDNN"
    assert kernel.IMITATED["without AVX512"]["TF_ENABLE_ONEDNN_OPTS"] == "1"  # or it would imitate nothing there
    assert all(name == name.lower() for name in kernel.cpu_flags())


@pytest.mark.skipif(platform.machine() != "x86_64" or platform.system() != "Linux", reason="reads the flags of x86")
def test_tensorflow_agrees_on_when_it_uses_onednn(tmp_path):
    source = "from tensorflow.python.util import _pywrap_util_port as port\nprint(port.IsMklEnabled())"
    with kernel.environment(TF_ENABLE_ONEDNN_OPTS=None):
        cell = run(source, tmp_path)
    assert cell.outputs[-1]["text"].strip() == str(bool(kernel.cpu_flags() & kernel.FOR_NETWORKS))
