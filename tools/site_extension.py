"""Sphinx extension: leave out of the pages what would load code from elsewhere, or lead nowhere; name what is folded.

Jupyter Book brings Thebe, which runs cells on a page with a script from another host. The book offers Colab and Binder
instead, and no button starts Thebe, so its scripts are dead weight. And while the repository's address is the
placeholder, the buttons for Colab, Binder and the repository would lead nowhere. The build copies this file alone, and
Sphinx imports it by its bare name: it imports nothing of ours.

Jupyter Book gives every script in ``_static`` to every page. MathJax lies there, too, and Sphinx gives it to the pages
that have formulas: it is taken out of the other list.

In Jupyter, a solution is a folded cell below the word Solution; on a page, the fold itself is called so.
"""

import re

PLACEHOLDER = "OWNER"  # stands in _config.yml for the owner of the repository until there is one
BUTTONS = ("use_repository_button", "use_source_button", "use_edit_page_button", "use_issues_button")
SOLUTION = re.compile(
    r"<p>Solution</p>(\s*<div class=\"cell[^>]*>\s*<details[^>]*>\s*<summary[^>]*>\s*)"
    r"(<p class=\"collapsed[^>]*>)[^<]*(</p>\s*<p class=\"expanded[^>]*>)[^<]*(</p>)"
)


def is_placeholder(address: str) -> bool:
    """Tell whether a repository's address is missing or still has the placeholder for its owner."""
    return not address or PLACEHOLDER in address.split("/")


def without_dead_buttons(options: dict) -> dict:
    """Return the theme's options, without those for buttons where these would lead to a placeholder."""
    if not is_placeholder(options.get("repository_url", "")):
        return options
    return {**options, "repository_url": "", "launch_buttons": {}, **dict.fromkeys(BUTTONS, False)}


def drop_dead_buttons(app, config):
    """Set the theme's options before the theme reads them."""
    config.html_theme_options = without_dead_buttons(config.html_theme_options)


def load_mathjax_once(app, config):
    """Leave MathJax to Sphinx, which loads it where there are formulas, before Sphinx reads the list of scripts."""
    config.html_js_files = [script for script in config.html_js_files if script != config.mathjax_path]


def drop_thebe(app, pagename, templatename, context, doctree):
    """Take Thebe's scripts out of a page's list."""

    def is_thebe(script) -> bool:
        return "thebe" in f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', '')}".lower()

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]


def named_solutions(body: str) -> str:
    """Return the body of a page on which the fold below the word Solution has that name, and the word is gone."""
    return SOLUTION.sub(r"\1\2Solution\3Solution\4", body)


def name_solutions(app, pagename, templatename, context, doctree):
    """Name the folds of solutions on a page."""
    if "body" in context:
        context["body"] = named_solutions(context["body"])


def setup(app):
    """Register with Sphinx."""
    app.connect("config-inited", drop_dead_buttons)
    app.connect("config-inited", load_mathjax_once)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", name_solutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
