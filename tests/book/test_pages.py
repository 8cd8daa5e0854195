"""The built site, as files and in a real browser: phone and desktop, light and dark, with the network off."""

import functools
import http.server
import re
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import bs4
import nbformat
import pytest

from tools import browser as browsers
from tools import chapters, contents, first_screen, pairs, rules, site_extension

PAGES = [re.sub(r"\.\w+$", ".html", name) for name in pairs.toc_files()]
NOTEBOOKS = [name.replace(".ipynb", ".html") for name in pairs.toc_files() if name.endswith(".ipynb")]
LOADING = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "embed": "src"}
# Sphinx's own pages have links that only make sense beside a search index; a reader meets them through the search box.
SEARCH_PAGES = ["search.html"]
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
# The page is loaded in the first look and shown in the others as it stands, when a reader turns the phone or the light.
LOOKS = [("dark", 390), ("dark", 1440), ("light", 1440), ("light", 390)]


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


def test_buttons_lead_to_the_repository_or_are_not_there(site):
    """With a placeholder for an address there are none, on any page; test_site.py sees them with a real one."""
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


def test_folds_of_solutions_are_named(site):
    """The theme's folds are found by their shape: another version of it would leave the word where it stood."""
    texts = {page: (site / page).read_text(encoding="utf-8") for page in NOTEBOOKS}
    assert [page for page, text in texts.items() if "<p>Solution</p>" in text] == []
    assert sum(text.count('collapsed admonition-title">Solution</p>') for text in texts.values()) > len(NOTEBOOKS)


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
    """One browser for all pages, with the network off."""
    if browsers.program() is None:
        pytest.skip(browsers.ABSENT)
    with browsers.running(OFFLINE) as running:
        yield running


@pytest.fixture(scope="session")
def address(site):
    """The address of a web server for the site on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/favicon.ico":  # the browser asks for it by itself, whatever the page names
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


# A page that follows the system does so in an event of its own, a moment later, and what moves then comes to rest.
SETTLED = """
async ([theme, width]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const there = () => document.documentElement.dataset.theme === theme && innerWidth === width;
  for (const start = Date.now(); !there() && Date.now() < start + 1000;) await frame();
  await frame();
  for (const moving of document.getAnimations())
    if (moving.effect.getComputedTiming().endTime < Infinity) moving.finish();
  await frame();
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


class Reader:
    """One tab for many pages: what one page has loaded, the next finds in the cache.

    mode: what the reader chose on the page: "auto" follows the system, "light" and "dark" do not.
    """

    def __init__(self, browser, mode):
        self.mode, self.problems, self.own = mode, [], ""
        self.tab = browser.new_context().new_page()
        self.tab.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.removeItem('theme');")
        self.tab.on("request", self._asks)
        self.tab.on("console", lambda message: self._note(message.type == "error", f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self._note(True, f"script error: {error}"))
        self.tab.on("requestfailed", lambda request: self._note(True, f"failed request: {request.url}"))
        self.tab.on("response", lambda answer: self._note(answer.status >= 400, f"{answer.status}: {answer.url}"))

    def _note(self, wrong, sentence):
        if wrong:
            self.problems.append(sentence)

    def _asks(self, request):
        parts = urlsplit(request.url)
        elsewhere = parts.scheme not in ("data", "blob") and parts.netloc != self.own
        self._note(elsewhere, f"asks another host: {request.url}")

    def visit(self, url, looks):
        """Open a page in the first look, see it in all of them, and return what is wrong, as a list of sentences.

        looks: pairs of the color scheme that the reader's system asks for and the width of the window in pixels.
        """
        self.problems, self.own = [], urlsplit(url).netloc
        for number, (scheme, width) in enumerate(looks):
            self.tab.emulate_media(color_scheme=scheme)
            self.tab.set_viewport_size({"width": width, "height": 900})
            if number == 0:
                self.tab.goto(url, wait_until="load")
            theme = scheme if self.mode == "auto" else self.mode
            seen = self.tab.evaluate(SETTLED, [theme, width])
            found = [] if seen == theme else [f"the page is shown {seen} where the reader asked for {theme}"]
            self.problems += [f"{scheme}, {width} px: {problem}" for problem in found + self.tab.evaluate(PROBLEMS)]
        return self.problems


@pytest.fixture(scope="session")
def reader(browser):
    return Reader(browser, "auto")


@pytest.fixture(scope="session")
def reader_who_wants_light(browser):
    return Reader(browser, "light")


@pytest.mark.parametrize("page", PAGES + SEARCH_PAGES)
def test_page_in_a_browser(reader, address, page):
    assert reader.visit(f"{address}/{page}", LOOKS) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_opened_as_a_file(reader_who_wants_light, site, page):
    assert reader_who_wants_light.visit((site / page).as_uri(), [("dark", 1440)]) == []


BAD_PAGE = """<!doctype html><html data-theme="light"><body><article class="bd-article">
<p style="width: 600px">wide</p><img src="nothing.png"><img src="https://elsewhere.example/x.png">
<div class="math">not rendered</div><p>left as text: $x$</p><p>| --- |</p>
<div class="cell_output"><img alt="lines" src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"></div>
<script>const dark = matchMedia('(prefers-color-scheme: dark)');
if (location.search) dark.onchange = () => { document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light' };
else document.documentElement.dataset.theme = 'dark';
console.error('told'); throw Error('thrown')</script></article></body></html>"""


def test_a_reader_sees_what_is_wrong(browser, tmp_path):
    reader = Reader(browser, "auto")
    (tmp_path / "bad.html").write_text(BAD_PAGE)
    url = (tmp_path / "bad.html").as_uri()
    seen = "\n".join(reader.visit(url, [("light", 390), ("light", 1440)]))
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
    turned = reader.visit(f"{url}?turns", [("light", 1440), ("dark", 1440)])
    assert [line[:4] for line in turned if "see-through" in line] == ["dark"] and not any("shown" in x for x in turned)


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
    expected = [name for name in rules.REWRITTEN if contents.name_number(name)]  # the primer may begin as it likes
    assert [page.stem for page in pages] == expected, "rules.REWRITTEN names chapters, in order"
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
