"""A browser without a window, for looking at built pages: Debian's Chromium, or Chrome."""

import contextlib
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
ABSENT = f"no browser is installed (looked for {', '.join(NAMES)}); on Debian: apt-get install chromium"


def program() -> str | None:
    """Return the path of the browser, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextlib.contextmanager
def running(*flags: str):
    """Yield a running browser of Playwright, started with these flags, too; ``SystemExit`` where none is installed."""
    if program() is None:
        raise SystemExit(ABSENT)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=[*FLAGS, *flags])
        yield browser
        browser.close()
