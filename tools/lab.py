"""Open JupyterLab on the chapters, with the settings under which the tests run them.

Jupytext pairs each chapter's .md and .ipynb (pyproject.toml says how): saving one writes the other. UNETBOOK_DATA is
not passed on, since real images that are saved here would be committed with the notebook; `make book` shows them.
"""

import subprocess
import sys

from tools import kernel, pairs

if __name__ == "__main__":
    with kernel.environment(UNETBOOK_STRICT=None):
        command = [sys.executable, "-m", "jupyterlab", "--notebook-dir", pairs.ROOT, *sys.argv[1:]]
        sys.exit(subprocess.run([*command, "--LabApp.default_url=/lab/tree/chapters"]).returncode)
