"""Where a measured run came from: machine, versions, commit, date."""

import datetime
import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

FLAGS = ("TF_XLA_FLAGS", "XLA_FLAGS", "ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS")  # they round differently


def provenance() -> dict:
    """Hardware, backend and its flags, versions, commit (and whether the code had changed since), and date (UTC)."""
    backend = keras.backend.backend()
    return {
        "hardware": {"cpu": _cpu_model(), "cores": _cores(), **_gpu(), "devices": keras.distribution.list_devices()},
        "backend": backend,
        "flags": {name: os.environ[name] for name in FLAGS if name in os.environ},
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            backend: _version(backend),
            "numpy": np.__version__,
            "unetbook": _version("unetbook"),
        },
        **_commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _gpu() -> dict:
    """The model of the GPU that the backend computes on, in its maker's words; nothing where it has none."""
    if not any(device.startswith("gpu") for device in keras.distribution.list_devices()):
        return {}
    try:
        names = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return {"gpu": "unknown"}
    return {"gpu": ", ".join(names.stdout.split("\n")).strip(", ")}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _version(package) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


@functools.cache  # that of the code which was loaded, whatever is committed while a study runs
def _commit() -> dict:
    """The repository's commit, and whether package, studies or lock differ from it; ``None`` outside a clone."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", "unetbook", "studies", "requirements.txt") if commit else None
    return {"commit": commit, "dirty": bool(changed) if commit else None}


def _git(*arguments):
    repository = Path(__file__).parents[1]
    if not (repository / ".git").exists():
        return None
    try:
        run = subprocess.run(["git", "-C", repository, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
