"""Tables of measured numbers, and the package's own code, as a notebook shows them."""

import inspect
import textwrap


def table(header, rows):
    """Show a table in a notebook: a header of words, rows of words and numbers, which are shown with three decimals."""
    from IPython.display import Markdown, display

    def line(cells):
        return "| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"

    rule = "|---" + "|---:" * (len(header) - 1) + "|"
    display(Markdown("\n".join([line(header), rule, *map(line, rows)])))


def source(*functions):
    """Show the package's own code of functions or classes, highlighted, in a notebook that is about to use it."""
    from IPython.display import Markdown, display

    code = "\n\n".join(textwrap.dedent(inspect.getsource(function)).rstrip() for function in functions)
    display(Markdown(f"```python\n{code}\n```"))
