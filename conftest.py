"""What every test run shares: chapters are executed with the settings of ``make chapters``, so that they compare."""

import contextlib
from pathlib import Path

SEVERAL = 4  # notebooks, for which importing Keras once pays
_stack = contextlib.ExitStack()


def pytest_configure(config):
    """Give nbval's kernels the environment in which the stored outputs were made, and blank what they measured."""
    if config.getoption("nbval", default=False):
        from tools import kernel, nursery  # needs nbclient, which an environment for another backend lacks

        _stack.enter_context(kernel.environment())
        starts_kernels = hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None)
        if starts_kernels and sum(str(name).endswith(".ipynb") for name in config.args) >= SEVERAL:
            _stack.enter_context(nursery.environment())
        if not config.option.nbval_sanitize_with:
            config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "nbval-sanitize.cfg")


def pytest_unconfigure(config):
    """Put the environment back."""
    _stack.close()
