"""What the tests share: trainings that need no compilation, and the built site.

Tests run in any order, alone, and spread over several processes, so a shared fixture is either cheap enough to be made
once a process or made by one of them for all. ``eager`` and ``eager_training`` let TensorFlow compute without graphs:
making the graph of a training is what takes long where there are two steps. Use them where a test is about something
else than how Keras compiles; results differ in the last digits. Chapters are executed with graphs, too.
``site`` is the folder of the built site: ``make test`` builds it before, and otherwise the first process that needs it
does, while the others wait. What only one file needs stands there: pictures on disk and networks as fixtures of that
module, the browser in ``test_pages.py``.
"""

import contextlib
import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish():
    """Keep the garbage collector from looking at all that was imported, a million objects, again and again."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def _without_graphs():
    import keras

    if keras.backend.backend() != "tensorflow":  # other backends have no such switch, and their tests are few
        yield
        return
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(False)


@pytest.fixture
def eager():
    """TensorFlow makes no graphs in this test: for trainings of a few steps, and a few predictions."""
    with _without_graphs():
        yield


@pytest.fixture
def eager_training(monkeypatch):
    """Networks are trained without graphs and predict with them: for trainings of a few steps, and many predictions."""
    import keras

    make = keras.Model.make_train_function

    def without_graph(model, force=False):
        model.run_eagerly = True
        make(model, force)
        model.run_eagerly = False

    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(keras.Model, "make_train_function", without_graph)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site; built here where nobody has, by one process for all."""
    from tools import book  # an environment for another backend cannot build it

    if not (book.SITE / "index.html").exists():
        shared = tmp_path_factory.getbasetemp()
        shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
        _once(shared / "site", _build)
    return book.SITE


def _build() -> str:
    without_data = {name: value for name, value in os.environ.items() if name != "UNETBOOK_DATA"}
    built = subprocess.run(
        [sys.executable, "-m", "tools.book"], cwd=ROOT, env=without_data, capture_output=True, text=True
    )
    return built.stderr if built.returncode else ""


def _once(folder: Path, work) -> None:
    """Let one of several processes do ``work``, which returns what went wrong, and fail in all of them if it did."""
    try:
        folder.mkdir()
    except FileExistsError:
        while not (folder / "done").exists():
            time.sleep(0.2)
    else:
        (folder / "doing").write_text(work(), encoding="utf-8")
        (folder / "doing").rename(folder / "done")
    problem = (folder / "done").read_text(encoding="utf-8")
    assert not problem, problem
