"""The whole check, part by part; a part that fails does not keep the next from running.

python -m tools.check test
python -m tools.check portability .venv-jax/bin/python [--all]
"""

import os
import subprocess
import sys
import time

from tools import kernel, portability
from tools.pairs import ROOT

# A process that has done its half of the tests takes over some of the other's: no file is too long.
TWO_AT_ONCE = ["-n", "2", "--dist", "worksteal"]
# Two at once, each with half of the cores, so that threads do not wait for one another.
HALF = str(max(1, (os.cpu_count() or 2) // 2))
SHARED = {"TF_NUM_INTRAOP_THREADS": HALF, "TF_NUM_INTEROP_THREADS": HALF, "OMP_NUM_THREADS": HALF}


def test_parts() -> list[tuple[str, list[str], dict[str, str | None]]]:
    """Return the parts of ``make test``: name, command, changes of the environment (None removes)."""
    python = [sys.executable, "-m"]
    return [
        ("format", [*python, "ruff", "format", "--check", "."], {}),
        ("lint", [*python, "ruff", "check", "."], {}),
        ("book, warnings as errors", [*python, "tools.book"], {"UNETBOOK_DATA": None}),
        ("tests, pairs and pages", [*python, "pytest", "-q", *TWO_AT_ONCE], SHARED),
        ("chapters executed again", portability.command(portability.notebooks()), SHARED),
    ]


def portability_parts(jax_python: str, every: bool = False) -> list[tuple[str, list[str], dict[str, str | None]]]:
    """Return the parts of ``make portability``; ``jax_python`` is the interpreter of the environment with JAX.

    Chapters that passed with the inputs that they have now are left out, unless ``every`` one is wanted.
    """
    chapters = [sys.executable, "-m", "tools.portability", *(["--all"] if every else [])]
    # The environment with JAX holds no book: only files with backend tests can be imported there.
    files = [file for file in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.backend" in file.read_text("utf-8")]
    backend = [jax_python, "-m", "pytest", "-q", "-m", "backend", *map(str, files)]
    # One other CPU: ``make spread`` tried both when the tolerances were set.
    cpu = kernel.other_cpu(kernel.cpu_flags())
    return [
        (f"chapters {cpu}", chapters, SHARED),
        ("package on JAX", backend, {"KERAS_BACKEND": "jax"}),
    ]


def run(parts: list[tuple[str, list[str], dict[str, str | None]]]) -> int:
    """Run every part, print what took how long, and return 1 when any failed."""
    lines, failed = [], False
    for name, command, variables in parts:
        print(f"\n=== {name}", flush=True)
        start = time.perf_counter()
        changed = {name: value for name, value in {**os.environ, **variables}.items() if value is not None}
        passed = subprocess.run(command, cwd=ROOT, env=changed).returncode == 0
        lines.append(f"{'ok    ' if passed else 'FAILED'}  {time.perf_counter() - start:6.0f} s  {name}")
        failed |= not passed
    print("\n" + "\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(run(test_parts() if sys.argv[1] == "test" else portability_parts(sys.argv[2], "--all" in sys.argv)))
