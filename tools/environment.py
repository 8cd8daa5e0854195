"""Make an environment from a lock file, or reuse the one that was made from it.

    python -m tools.environment .venv requirements.txt [--any-python]

``--any-python`` reuses an environment that another supported Python made. Like ``check_machine`` this runs on
Python 3.6 too, to say that it is too old.
"""

import os
import subprocess
import sys

from tools import check_machine

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def is_current(stamp, wanted, version, any_python):
    """Tell whether the environment whose stamp file is ``stamp`` was finished and made from ``wanted``."""
    if not os.path.isfile(stamp):
        return False
    with open(stamp) as file:
        made_by, _, made_from = file.read().partition("\n")
    return made_from == wanted and (any_python or made_by == version)


def python_of(environment):
    """Return the interpreter inside an environment."""
    folder = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return os.path.join(environment, *folder)


def make(environment, requirements, wanted, version):
    """Make the environment anew; the stamp is written last, so an interrupted call starts over."""
    name = os.path.basename(environment)
    print(f"Making {name} from {requirements} with Python {version}. This takes a few minutes, once.")
    sys.stdout.flush()
    subprocess.check_call([sys.executable, "-m", "venv", "--clear", environment])
    pip = [python_of(environment), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.check_call([*pip, "-r", os.path.join(ROOT, requirements)])
    subprocess.check_call([*pip, "--no-deps", "-e", ROOT])
    with open(os.path.join(environment, "made-from"), "w") as stamp:
        stamp.write(version + "\n" + wanted)


def main(arguments):
    """Return the exit status: 0 when the environment stands, 1 when this machine cannot make it."""
    any_python = "--any-python" in arguments
    name, requirements = [argument for argument in arguments if argument != "--any-python"]
    environment = os.path.join(ROOT, name)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with open(os.path.join(ROOT, requirements)) as lock:
        wanted = lock.read()
    if is_current(os.path.join(environment, "made-from"), wanted, version, any_python):
        return 0
    problems = check_machine.problems(ROOT)
    for problem in problems:
        sys.stderr.write(problem + "\n")
    if problems:
        return 1
    try:
        make(environment, requirements, wanted, version)
    except subprocess.CalledProcessError:
        sys.stderr.write(
            "The environment could not be made: the message above names the cause. Nothing else was run.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
