"""The built site, as files and in a real browser: phone and desktop, light and dark, with the network off."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

from tools import book, chapters, pairs

PAGES = [re.sub(r"\.\w+$", ".html", name) for name in pairs.toc_files()]
LOADING = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "embed": "src"}
# Sphinx's own pages have links that only make sense beside a search index; a reader meets them through the search box.
SEARCH_PAGES = ["search.html"]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
# The page is loaded in the first look and shown in the others as it stands, when a reader turns the phone or the light.
LOOKS = [("dark", 390), ("dark", 1440), ("light", 1440), ("light", 390)]


@pytest.fixture(scope="session")
def site():
    """The folder of the built site; built here where nobody has."""
    if not (book.SITE / "index.html").exists():
        without_data = {name: value for name, value in os.environ.items() if name != "UNETBOOK_DATA"}
        command = [sys.executable, "-m", "tools.book"]
        built = subprocess.run(command, cwd=pairs.ROOT, env=without_data, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
    return book.SITE


# --- as files ---------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Collects (tag, attributes) of every element of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@functools.cache
def elements(path):
    return Elements(path.read_text(encoding="utf-8")).found


@functools.cache
def names(path):
    """The places of a page that a link can lead to."""
    return {found.get("id") for _, found in elements(path)}


def is_elsewhere(address):
    return bool(urlsplit(address).netloc)


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = []
    for path in sorted(site.rglob("*.html")):
        for tag, attributes in elements(path):
            address = attributes.get(LOADING.get(tag, "href" if tag == "link" else ""), "") or ""
            if is_elsewhere(address) and attributes.get("rel") != "canonical":
                loaded.append((path.name, tag, address))
        scripts = re.findall(r"<script[^>]*>.*?</script>", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        loaded += [
            (path.name, "inline script", text[:80]) for text in scripts if re.search(r"unpkg|jsdelivr|cdnjs", text)
        ]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        addresses = re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)", text)
        loaded += [(path.name, "css", address) for pair in addresses for address in pair if is_elsewhere(address)]
    assert loaded == []


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_site_lead_somewhere(site, page):
    broken = []
    for tag, attributes in elements(site / page):
        address = attributes.get("href") or ""
        if tag != "a" or is_elsewhere(address) or address.startswith(("mailto:", "javascript:")):
            continue
        parts = urlsplit(address)
        target = ((site / page).parent / unquote(parts.path)).resolve() if parts.path else site / page
        if not target.is_file():
            broken.append(f"{address}: no such file")
        elif parts.fragment and target.suffix == ".html":
            if unquote(parts.fragment) not in names(target):
                broken.append(f"{address}: no such place on the page")
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_buttons_lead_to_the_notebook(site, page):
    notebook = page.replace(".html", ".ipynb")
    repository = chapters.repository().removeprefix("https://github.com/")
    addresses = [attributes.get("href") or "" for tag, attributes in elements(site / page) if tag == "a"]
    assert f"https://colab.research.google.com/github/{repository}/blob/main/{notebook}" in addresses
    assert f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/{notebook}" in addresses
    assert any(address.endswith(f"_sources/{notebook}") for address in addresses), "no button downloads the notebook"
    nbformat.validate(nbformat.read(site / "_sources" / notebook, as_version=4))


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def context():
    """One browser with the network off, and one profile: what a page has loaded, the next finds in the cache."""
    programs = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next((path for path in map(shutil.which, programs) if path), None)
    if program is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(programs)}); on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*FLAGS, OFFLINE])
        yield running.new_context()
        running.close()


@pytest.fixture(scope="session")
def address(site):
    """The address of a web server for the site on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


# A page that follows the system does so in an event of its own, a moment later.
SHOWN = """
async theme => {
  for (let k = 0; k < 50 && document.documentElement.dataset.theme !== theme; k++)
    await new Promise(done => setTimeout(done, 20));
  return document.documentElement.dataset.theme;
}
"""

PROBLEMS = r"""
async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const problems = [], width = document.documentElement.clientWidth;
  const article = document.querySelector('.bd-article, #search-results');
  for (const image of document.images)
    if (!image.complete || !image.naturalWidth) problems.push('broken image ' + image.src);

  const formulas = article.querySelectorAll('.math').length, drawn = article.querySelectorAll('mjx-container').length;
  if (drawn < formulas) problems.push(`${drawn} of ${formulas} formulas are rendered`);
  for (const error of document.querySelectorAll('mjx-merror, [data-mjx-error]'))
    problems.push('formula with an error: ' + error.textContent.slice(0, 60));
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    if (/\|\s*:?---/.test(node.data) && !node.parentElement.closest('pre, code, script, style'))
      problems.push('a table left as text: ' + node.data.trim().slice(0, 60));
    if (/\$[^$]+\$|\$\$|\\\(|\\\[/.test(node.data) && !node.parentElement.closest('pre, code, script, style'))
      problems.push('a formula left as text: ' + node.data.trim().slice(0, 60));
  }

  if (document.documentElement.scrollWidth > width)
    problems.push(`the page is ${document.documentElement.scrollWidth} px wide on a screen of ${width} px`);
  const scrolls = element => {
    for (let box = element; box && box !== document.body; box = box.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(box).overflowX)) {
        const {left, right} = box.getBoundingClientRect();
        if (left >= -1 && right <= width + 1) return true;
      }
    return false;
  };
  for (const element of article.querySelectorAll('p, li, h1, h2, h3, pre, table, img, svg, mjx-container')) {
    const {left, right, height} = element.getBoundingClientRect();
    if (height && (right > width + 1 || left < -1) && !scrolls(element))
      problems.push(`${element.tagName} sticks out: ${(element.alt || element.textContent).slice(0, 40)}`);
  }

  const dark = document.documentElement.dataset.theme === 'dark';
  for (const image of dark ? article.querySelectorAll('.cell_output img') : []) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0, 1, 1, 0, 0, 1, 1);
    const opaque = context.getImageData(0, 0, 1, 1).data[3] === 255;
    const ground = getComputedStyle(image).backgroundColor.match(/[\d.]+/g).map(Number);
    const light = ground.length === 3 && Math.min(...ground) > 200;
    if (!opaque && !light) problems.push('a see-through figure on a dark ground: ' + image.alt.slice(0, 40));
  }
  return problems;
}
"""


def visit(context, url, looks, mode="auto"):
    """Open a page in the first of the looks, see it in all of them, and return what is wrong, as a list of sentences.

    looks: pairs of the color scheme that the reader's system asks for and the width of the window in pixels. mode: what
    the reader chose on the page: "auto" follows the system, "light" and "dark" do not.
    """
    problems, own = [], urlsplit(url).netloc
    page = context.new_page()
    page.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.removeItem('theme');")

    def ask(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != own:
            problems.append(f"asks another host: {request.url}")

    page.on("request", ask)
    page.on("console", lambda message: problems.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("requestfailed", lambda request: problems.append(f"failed request: {request.url}"))
    page.on(
        "response", lambda answer: problems.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
    )
    for number, (scheme, width) in enumerate(looks):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if number == 0:
            page.goto(url, wait_until="load")
        theme = scheme if mode == "auto" else mode
        seen = page.evaluate(SHOWN, theme)
        found = [] if seen == theme else [f"the page is shown {seen} where the reader asked for {theme}"]
        problems += [f"{scheme}, {width} px: {problem}" for problem in found + page.evaluate(PROBLEMS)]
    page.close()
    return problems


@pytest.mark.parametrize("page", PAGES + SEARCH_PAGES)
def test_page_in_a_browser(context, address, page):
    assert visit(context, f"{address}/{page}", LOOKS) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_opened_as_a_file(context, site, page):
    """Light, as the reader chose, though the system is dark."""
    assert visit(context, (site / page).as_uri(), [("dark", 1440)], mode="light") == []


BAD_PAGE = """<!doctype html><html data-theme="light"><body><article class="bd-article">
<p style="width: 600px">wide</p><img src="nothing.png"><img src="https://elsewhere.example/x.png">
<div class="math">not rendered</div><p>left as text: $x$</p><p>| --- |</p>
<div class="cell_output"><img alt="lines" src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"></div>
<script>const dark = matchMedia('(prefers-color-scheme: dark)');
if (location.hash) dark.onchange = () => { document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light' };
else document.documentElement.dataset.theme = 'dark';
console.error('told'); throw Error('thrown')</script></article></body></html>"""


def test_a_visit_sees_what_is_wrong(context, tmp_path):
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    url = (tmp_path / "bad.html").as_uri()
    seen = "\n".join(visit(context, url, [("light", 390), ("light", 1440)]))
    everywhere = (
        "broken image",
        "0 of 1 formulas",
        "a formula left as text",
        "a table left",
        "shown dark",
        "figure on",
    )
    for look in ("light, 390 px: ", "light, 1440 px: "):
        assert all(re.search(f"{look}.*{problem}", seen) for problem in everywhere), seen
    assert re.search("390 px: .*is 6[0-9]+ px wide", seen) and "1440 px: P sticks" not in seen
    assert "light, 390 px: P sticks out: wide" in seen
    for problem in (
        "asks another host: https://elsewhere.example/x.png",
        "failed request: ",
        "console: told",
        "thrown",
    ):
        assert problem in seen
    turned = visit(context, f"{url}#turns", [("light", 1440), ("dark", 1440)])
    assert [line[:4] for line in turned if "see-through" in line] == ["dark"] and not any("shown" in x for x in turned)
