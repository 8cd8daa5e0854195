"""Kernels that are born with Keras imported: while the tests execute chapters, one process imports it for all kernels.

    python -m tools.nursery SOCKET

Importing Keras and TensorFlow takes three seconds, and each chapter has a kernel of its own. The nursery imports them
once and forks a kernel whenever Jupyter asks for one; nothing of ours is imported before, and no tensor is made, so a
kernel computes what it would have computed anyway. ``environment`` lets Jupyter start its kernels here. A process
with threads cannot be forked safely; then, and where nobody counts them, kernels start as usual.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INLINE = "module://matplotlib_inline.backend_inline"  # a kernel says so, too, but Keras imports Matplotlib before

# What Jupyter starts in place of a kernel: asks for one, hands signals on to it, and ends when it ends. Without the
# site module it is there in no time.
LAUNCHER = """
import json, os, signal, socket, sys, time
place = socket.socket(socket.AF_UNIX)
for _ in range(1200):
    try:
        place.connect(sys.argv[1])
        break
    except OSError:
        time.sleep(0.05)
with place.makefile("rw") as words:
    words.write(json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]) + "\\n")
    words.flush()
    kernel = int(words.readline())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os.kill(kernel, number))
    words.read()
"""


@contextlib.contextmanager
def environment():
    """Start a nursery, and let Jupyter's kernel ``python3`` come from it; put everything back afterwards."""
    if not hasattr(os, "fork"):
        yield
        return
    folder = Path(tempfile.mkdtemp())
    place, specification = folder / "s", folder / "kernels" / "python3"
    specification.mkdir(parents=True)
    argv = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(place), "-f", "{connection_file}"]
    (specification / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
    )
    before = os.environ.get("JUPYTER_PATH")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    variables = {"OMP_NUM_THREADS": "1", **os.environ, "MPLBACKEND": INLINE}
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tools.nursery", str(place)], cwd=ROOT, env=variables, start_new_session=True, **quiet
    )
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield
    finally:
        os.environ.pop("JUPYTER_PATH")
        if before is not None:
            os.environ["JUPYTER_PATH"] = before
        nursery.terminate()
        nursery.wait()
        shutil.rmtree(folder, ignore_errors=True)


def serve(place: str) -> None:
    """Fork a kernel for each launcher that calls, until the process is ended."""
    import keras  # noqa: F401

    gc.collect()
    gc.freeze()  # kernels need not look for garbage among what is imported
    threads = "/proc/self/task"  # where Linux counts them; elsewhere nobody knows that there is one
    alone = os.path.isdir(threads) and len(os.listdir(threads)) == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries kernels that have ended
    signal.signal(signal.SIGTERM, _end)
    server = socket.socket(socket.AF_UNIX)
    server.bind(place)
    server.listen()
    while True:
        caller, _ = server.accept()
        words = caller.makefile("rw")
        argv, folder, variables = json.loads(words.readline())
        if os.fork():
            words.close()
            caller.close()
            continue
        server.close()
        words.write(f"{os.getpid()}\n")
        words.flush()
        _become_a_kernel(argv, folder, variables, alone)


def _end(*_):
    """End kernels that nobody ended, and go after them: dead ones may stay where no parent buries them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def _become_a_kernel(argv, folder, variables, alone):
    """What ``python -m ipykernel_launcher`` does, in a process that has imported Keras."""
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables | {"JPY_PARENT_PID": str(os.getppid())})
    if not alone:
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *argv])
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(ROOT))]
    sys.argv = ["ipykernel_launcher", *argv]
    from ipykernel import kernelapp

    try:
        kernelapp.launch_new_instance()
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
