"""What a reader sees of a chapter before scrolling: a picture and a question should be there.

    python -m tools.first_screen

Prints, for every numbered chapter of the built site, where its first picture and its first question end, in pixels from
the top of the page, on a screen of 1280 x 900. Fails when a chapter of ``rules.REWRITTEN`` leaves one further down.
"""

import re
import sys
from pathlib import Path

from tools import book, browser, contents, pairs, rules

WIDTH, HEIGHT = 1280, 900

# A question ends in a mark before a blank or the end of its element; one in code or in a formula asks nothing, and
# neither does one in a closed fold. Pictures below 100 pixels are icons.
MEASURE = r"""
async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const article = document.querySelector('.bd-article') || document.body;
  const shown = element => element.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const bottom = box => Math.round(box.getBoundingClientRect().bottom + window.scrollY);
  const isPicture = image => shown(image) && Math.min(image.width, image.height) >= 100;
  const picture = [...article.querySelectorAll('img')].find(isPicture);

  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT), mark = document.createRange();
  while (texts.nextNode()) {
    const node = texts.currentNode, at = node.data.search(/\?(?=["'\u201d\u2019)\]]*(\s|$))/);
    if (at < 0 || node.parentElement.closest('pre, code, script, style, mjx-container') || !shown(node.parentElement))
      continue;
    mark.setStart(node, at);
    mark.setEnd(node, at + 1);
    return {picture: picture ? bottom(picture) : null, question: bottom(mark)};
  }
  return {picture: picture ? bottom(picture) : null, question: null};
}
"""


def first_screen(running, address: str) -> dict[str, int | None]:
    """Return where the first ``picture`` and the first ``question`` of a page end, pixels from its top, None without.

    ``running`` is a browser of Playwright.
    """
    page = running.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(address, wait_until="load")
    measured = page.evaluate(MEASURE)
    page.close()
    return measured


def below(measured: dict[str, int | None]) -> list[str]:
    """Return what a reader does not see without scrolling, as sentences; empty when all is on the first screen."""
    found = [f"it has no {what}" for what, bottom in measured.items() if bottom is None]
    return found + [
        f"its first {what} ends at {bottom} px, below the first screen of {HEIGHT}: move it up, or cut what is above"
        for what, bottom in measured.items()
        if bottom is not None and bottom > HEIGHT
    ]


def numbered(site: Path) -> list[Path]:
    """Return the pages of the chapters with a number in the built site, in order."""
    pages = [site / re.sub(r"\.ipynb$", ".html", name) for name in pairs.toc_files()]
    return [page for page in pages if contents.name_number(page.name)]


def main() -> int:
    """Print the table and return the exit status."""
    pages = numbered(book.SITE)
    absent = [page for page in pages if not page.is_file()]
    if absent:
        raise SystemExit(f"{absent[0]} is not there. Build the site first: make book")
    failed = False
    print(f"{'chapter':36} {'picture':>8} {'question':>9}   first screen: {HEIGHT} px")
    with browser.running() as running:
        for page in pages:
            measured = first_screen(running, page.as_uri())
            problems = below(measured)
            kept = page.stem in rules.REWRITTEN
            failed |= bool(problems) and kept
            verdict = "" if not problems else "FAILED" if kept else "not yet"
            shown = ["none" if bottom is None else str(bottom) for bottom in measured.values()]
            print(f"{page.stem:36} {shown[0]:>8} {shown[1]:>9}   {verdict}".rstrip())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
