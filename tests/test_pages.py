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

import bs4
import nbformat
import pytest

from tools import book, chapters, contents, first_screen, pairs, rules, site_extension

PAGES = [re.sub(r"\.\w+$", ".html", name) for name in pairs.toc_files()]
NOTEBOOKS = [name.replace(".ipynb", ".html") for name in pairs.toc_files() if name.endswith(".ipynb")]
LOADING = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "embed": "src"}
# Sphinx's own pages have links that only make sense beside a search index; a reader meets them through the search box.
SEARCH_PAGES = ["search.html"]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


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
            names = {found.get("id") for _, found in elements(target)}
            if unquote(parts.fragment) not in names:
                broken.append(f"{address}: no such place on the page")
    assert broken == []


def test_buttons_lead_to_the_repository_or_are_not_there(site):
    """With a placeholder for an address there are none, on any page; tests/test_site.py sees them with a real one."""
    address = chapters.repository()
    repository, buttons = address.removeprefix("https://github.com/"), {}
    for path in sorted(site.rglob("*.html")):
        found = [attributes.get("href") or "" for tag, attributes in elements(path) if tag == "a"]
        buttons[path.relative_to(site).as_posix()] = [link for link in found if repository in link]
    if site_extension.is_placeholder(address):
        assert {page: found for page, found in buttons.items() if found} == {}
    else:
        assert all(len(buttons[page]) >= 2 for page in NOTEBOOKS), buttons


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_notebook_can_be_downloaded(site, page):
    notebook = page.replace(".html", ".ipynb")
    addresses = [attributes.get("href") or "" for tag, attributes in elements(site / page) if tag == "a"]
    assert any(address.endswith(f"_sources/{notebook}") for address in addresses), "no button downloads the notebook"
    nbformat.validate(nbformat.read(site / "_sources" / notebook, as_version=4))


def test_numbers_in_the_contents_are_those_of_the_files(site):
    """In the side bar, in the title of a page, and in the links to the pages before and after it."""
    wanted = {}
    for name, page in zip(pairs.toc_files(), PAGES, strict=True):
        number = contents.name_number(name)
        wanted[(site / page).resolve()] = f"{number}. " if number else ""
    for page in wanted:
        text = page.read_text(encoding="utf-8")
        pieces = (r'<nav class="bd-links.*?</nav>', r'<div class="prev-next-area">.*?</footer>', r"<article.*?</h1>")
        found = [re.search(piece, text, flags=re.DOTALL)[0] for piece in pieces]  # a whole page takes a second to parse
        soup = bs4.BeautifulSoup("".join(found), "html.parser")
        assert re.match(r"(\d+\. )?", soup.h1.get_text())[0] == wanted[page], page.name
        found = {}
        for link in soup.select("nav.bd-links a[href], .prev-next-area a[href]"):
            target = (page.parent / urlsplit(link["href"]).path).resolve() if link["href"] != "#" else page
            title = link.select_one(".prev-next-title") or link
            found[target] = re.match(r"(\d+\. )?", title.get_text().strip())[0]
            assert found[target] == wanted[target], f"{page.name}: {link}"
        assert set(found) == set(wanted), f"{page.name} does not list all pages"


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next((path for path in map(shutil.which, names) if path), None)
    if program is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(names)}); on Debian: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
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


def visit(browser, url, width=1440, theme="light"):
    """Open a page with the network off and return what is wrong with it, as a list of sentences."""
    problems, own = [], urlsplit(url).netloc
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');")

    def fetch(route):
        if urlsplit(route.request.url).netloc == own:
            route.continue_()
        else:
            problems.append(f"asks another host: {route.request.url}")
            route.abort()

    context.route(lambda address: not address.startswith(("data:", "blob:")), fetch)
    page = context.new_page()
    page.on("console", lambda message: problems.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("requestfailed", lambda request: problems.append(f"failed request: {request.url}"))
    page.on(
        "response", lambda answer: problems.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None
    )
    page.goto(url, wait_until="load")
    shown = page.evaluate("document.documentElement.dataset.theme")
    if shown != theme:
        problems.append(f"the page is shown {shown} where the reader asked for {theme}")
    problems += page.evaluate(PROBLEMS)
    context.close()
    return problems


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("page", PAGES + SEARCH_PAGES)
def test_page_in_a_browser(browser, address, page, width, theme):
    assert visit(browser, f"{address}/{page}", width, theme) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_opened_as_a_file(browser, site, page):
    assert visit(browser, (site / page).as_uri()) == []


def test_contents_open_on_a_phone(browser, site):
    """The theme's script takes the first button of its kind on the page: the one that readers see must be that one."""
    tab = browser.new_page(viewport={"width": 390, "height": 900})
    tab.goto((site / PAGES[1]).as_uri(), wait_until="load")
    link = tab.locator("nav.bd-links a[href]").last
    assert link.bounding_box()["x"] < 0, "the contents are open before anybody asks"
    tab.locator(".primary-toggle >> visible=true").click()
    link.click(timeout=5000)
    tab.wait_for_url("**/" + PAGES[-1].rsplit("/", 1)[-1], timeout=5000)
    tab.close()


# --- the first screen -------------------------------------------------------------------------------------------------


def test_rewritten_chapters_begin_with_a_picture_and_a_question(browser, site):
    pages = [page for page in first_screen.numbered(site) if page.stem in rules.REWRITTEN]
    assert [page.stem for page in pages] == list(rules.REWRITTEN), "rules.REWRITTEN names chapters, in order"
    found = {page.stem: first_screen.below(first_screen.first_screen(browser, page.as_uri())) for page in pages}
    assert {name: problems for name, problems in found.items() if problems} == {}


PICTURE = "<svg xmlns='http://www.w3.org/2000/svg' width='300' height='200'/>"


def first_screen_of(browser, folder, *parts):
    page = folder / "page.html"
    page.write_text(f"<!doctype html><body style='margin:0'><article class='bd-article'>{''.join(parts)}</article>")
    return first_screen.first_screen(browser, page.as_uri())


def test_first_screen_is_measured(browser, tmp_path):
    (tmp_path / "picture.svg").write_text(PICTURE)
    image = "<img src='picture.svg' style='display:block'>"
    icon, space = "<img src='picture.svg' width='16' height='16'>", "<div style='height:800px'></div>"
    question = "<p style='margin:0;line-height:40px'>It is gray. <em>Why</em>? Look.</p>"

    seen = first_screen_of(browser, tmp_path, image, question)
    assert seen["picture"] == 200 and 200 < seen["question"] <= 240 and first_screen.below(seen) == []
    late = first_screen_of(browser, tmp_path, question, space, image)
    assert late["picture"] == 1040 and late["question"] <= 40
    assert [problem[:34] for problem in first_screen.below(late)] == ["its first picture ends at 1040 px,"]
    hidden = f"<details><summary>More</summary>{question}{image}</details>"
    in_code = "<p>See <code>a ? b</code> and page?x=1.</p><pre>Why?</pre>"
    none = first_screen_of(browser, tmp_path, hidden, in_code, icon)
    assert first_screen.below(none) == ["it has no picture", "it has no question"]
    late = first_screen_of(browser, tmp_path, hidden, in_code, icon, image, space, question)
    assert "its first question ends at 1" in first_screen.below(late)[0] and len(first_screen.below(late)) == 1
