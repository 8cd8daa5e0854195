"""How a chapter is run, by ``make chapters``, by ``make book`` with real data and by the tests."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient

# IPython's kernel captures what C++ code writes to stderr, and TensorFlow greets there in words that differ from
# machine to machine. With this off, Python's own stderr is still captured. It is a setting and not an argument of the
# kernel, since nbval passes none.
SETTINGS = "c.IPKernelApp.capture_fd_output = False\n"


def write_settings(folder: Path) -> None:
    """Make ``folder`` an IPython folder (the value of IPYTHONDIR) whose kernels leave C++ code's stderr alone."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(SETTINGS, encoding="utf-8")


@contextmanager
def environment(**changes: str | None):
    """Set what a chapter's kernel sees, then put it back: quick scale, no real data, quiet C++ code.

    ``changes`` are environment variables that the caller wants otherwise; None removes one.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_settings(Path(folder))
        wanted = {"UNETBOOK_SCALE": "quick", "UNETBOOK_DATA": None, "IPYTHONDIR": folder, **changes}
        before = {name: os.environ.get(name) for name in wanted}
        _set(wanted)
        try:
            yield
        finally:
            _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def execute(notebook: nbformat.NotebookNode, folder: Path, timeout: int = 900) -> None:
    """Run a notebook in place, with ``folder`` as its working directory; raises ``CellExecutionError``.

    ``timeout`` is in seconds for one cell. Times are not stored, so that two runs give the same file.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryFile() as noise:  # TensorFlow's greeting
        client.execute(stderr=noise)
