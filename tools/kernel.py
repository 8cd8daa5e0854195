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

# Other CPUs, imitated: oneDNN's kernels for AVX2, and TensorFlow's own without oneDNN.
IMITATED = {
    "without AVX512": {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
# TensorFlow uses oneDNN by itself only where the processor has one of these.
FOR_NETWORKS = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def other_cpu(flags: set[str]) -> str:
    """Return the imitated CPU that computes least like a CPU with these flags (of /proc/cpuinfo) does by itself."""
    return "without oneDNN" if flags & FOR_NETWORKS else "without AVX512"


def cpu_flags() -> set[str]:
    """Return the flags of this machine's CPU; where Linux does not name them, those of one that uses oneDNN."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return FOR_NETWORKS
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), FOR_NETWORKS)


def write_settings(folder: Path) -> None:
    """Make ``folder`` an IPython folder (the value of IPYTHONDIR) whose kernels leave C++ code's stderr alone."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(SETTINGS, encoding="utf-8")


@contextmanager
def environment(**changes: str | None):
    """Set what a chapter's kernel sees, then put it back: broken promises raise, no data, quiet C++ code.

    ``changes`` are environment variables that the caller wants otherwise; None removes one.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_settings(Path(folder))
        fixed = {"UNETBOOK_STRICT": "1", "UNETBOOK_DATA": None, "IPYTHONDIR": folder}
        wanted = fixed | changes
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

    ``timeout`` is in seconds for one cell. Neither times nor the places where a busy machine broke a stream in two are
    stored, so that two runs give the same file.
    """
    client = NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryFile() as noise:  # TensorFlow's greeting
        client.execute(stderr=noise)
