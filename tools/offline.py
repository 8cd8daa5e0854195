"""Sphinx extension: leave out of the pages what would load code from elsewhere.

Jupyter Book brings Thebe, which runs cells on a page with a script from another host. The book offers Colab and Binder
instead, and no button starts Thebe, so its scripts are dead weight.
"""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Take Thebe's scripts out of a page's list."""

    def is_thebe(script) -> bool:
        return "thebe" in f"{getattr(script, 'filename', script)} {getattr(script, 'attributes', '')}".lower()

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
