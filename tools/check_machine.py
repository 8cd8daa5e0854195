"""Say what this machine lacks before the environment is made. Runs on Python 3.6 too, so that an old one can say so."""

import os
import shutil
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
ENVIRONMENT_GB = 4  # the installed packages take 2.8 GB, and pip needs room to unpack them


def python_problem(version):
    """Return what to do about a Python outside the supported range, or None. ``version`` is (major, minor)."""
    if OLDEST <= tuple(version) <= NEWEST:
        return None
    return (
        f"Python {version[0]}.{version[1]} is not supported: the locked packages need 3.{OLDEST[1]} to 3.{NEWEST[1]}. "
        "Install one and name it, for example: PYTHON=python3.12 make book"
    )


def venv_problem(importer=__import__):
    """Return what to do when Python cannot make environments, or None."""
    try:
        importer("venv")
        importer("ensurepip")
    except ImportError as error:
        return f"Python's venv module is incomplete ({error}). On Debian and Ubuntu: apt-get install python3-venv"
    return None


def compiler_problem(which, include, platform=sys.platform):
    """Return what to do when elasticdeform cannot be compiled, or None.

    ``which`` finds a program by name, ``include`` is the folder that should hold Python.h.
    """
    if platform == "win32":  # Windows keeps its compiler off the PATH: pip finds it, or says so itself
        return None
    if not any(which(name) for name in ("cc", "gcc", "clang")):
        return (
            "No C compiler (cc, gcc or clang) was found, and elasticdeform is built from source. "
            "On Debian and Ubuntu: apt-get install gcc libc6-dev"
        )
    if not os.path.isfile(os.path.join(include, "Python.h")):
        return (
            f"Python.h is not in {include}, and elasticdeform is built from source. "
            "On Debian and Ubuntu: apt-get install python3-dev"
        )
    return None


def disk_problem(free_bytes, folder):
    """Return what to do when the disk that holds ``folder`` is too full, or None."""
    free = free_bytes / 1e9
    if free >= ENVIRONMENT_GB:
        return None
    return (
        f"Only {free:.1f} GB are free on the disk of {folder}, and the environment needs about {ENVIRONMENT_GB} GB. "
        "Free some space, or move the repository to another disk."
    )


def problems(folder):
    """Return every problem of this machine as a list of sentences; ``folder`` will hold the environment."""
    wrong_python = python_problem(sys.version_info[:2])
    if wrong_python:
        return [wrong_python]  # the other answers would be about the wrong Python
    import sysconfig

    found = [
        venv_problem(),
        compiler_problem(shutil.which, sysconfig.get_paths()["include"]),
        disk_problem(shutil.disk_usage(folder).free, folder),
    ]
    return [problem for problem in found if problem]
