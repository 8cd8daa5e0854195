"""Kernels from the nursery are kernels: their folder, variables and interrupts are their own, and Keras is there."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tools import kernel, nursery

ASKS = """
import json, os, sys
import matplotlib
print(json.dumps({
    "keras": "keras" in sys.modules, "ours": "unetbook" in sys.modules, "folder": os.getcwd(), "path": sys.path,
    "told": os.environ.get("TOLD"), "backend": matplotlib.get_backend(), "threads": len(os.listdir("/proc/self/task")),
}))
"""


def answer(client, source):
    """What a cell prints, or the name of its error."""
    said = []
    reply = client.execute_interactive(source, output_hook=lambda message: said.append(message["content"]), timeout=60)
    content = reply["content"]
    return "".join(one.get("text", "") for one in said) if content["status"] == "ok" else content["ename"]


def ended(number, seconds=20):
    """Whether a process ends in this time; one that is dead and not yet buried has ended."""
    state = Path(f"/proc/{number}/stat")
    for _ in range(seconds * 10):
        try:
            if state.read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc")
def test_two_kernels(tmp_path, monkeypatch):
    monkeypatch.setenv("TOLD", "to both")
    with kernel.environment(), nursery.environment():
        (first, one), (second, other) = (start_new_kernel(cwd=str(tmp_path)) for _ in range(2))
        try:
            known = json.loads(answer(one, ASKS))
            assert known["keras"] and not known["ours"] and known["told"] == "to both"
            assert known["folder"] == str(tmp_path) and str(nursery.ROOT) not in known["path"]
            assert known["backend"] == "module://matplotlib_inline.backend_inline" or "inline" in known["backend"]
            answer(one, "mine = 1; import keras; keras.ops.sum(keras.ops.ones((3, 3)))")
            assert answer(other, "mine") == "NameError"
            waiting = other.execute("import time\nprint('begun', flush=True)\ntime.sleep(60)")
            while other.get_iopub_msg(timeout=20)["content"].get("text") != "begun\n":
                pass
            second.interrupt_kernel()
            reply = other.get_shell_msg(timeout=20)
            assert reply["parent_header"]["msg_id"] == waiting and reply["content"]["ename"] == "KeyboardInterrupt"
            numbers = [int(answer(client, "import os\nprint(os.getpid())")) for client in (one, other)]
            first.shutdown_kernel()
            assert not first.is_alive()
        finally:
            for client, manager in ((one, first), (other, second)):
                client.stop_channels()
                manager.shutdown_kernel(now=True)
    assert "JUPYTER_PATH" not in os.environ or "kernels" not in os.environ["JUPYTER_PATH"]
    assert all(ended(number) for number in numbers)
