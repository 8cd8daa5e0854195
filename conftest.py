"""What every test run shares: chapters are executed with the settings of ``make chapters``, so that they compare."""

import contextlib

_stack = contextlib.ExitStack()


def pytest_configure(config):
    """Give nbval's kernels the environment in which the stored outputs were made."""
    if config.getoption("nbval", default=False):
        from tools import kernel  # needs nbclient, which an environment for another backend lacks

        _stack.enter_context(kernel.environment())


def pytest_unconfigure(config):
    """Put the environment back."""
    _stack.close()
