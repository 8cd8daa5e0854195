"""Result files: numbers rounded alike, and written in one step, so that a file is never half there."""

import json

from unetbook import drafts

DIGITS = 5


def rounded(value):
    """The same value with every float, also inside dictionaries and lists, rounded to ``DIGITS`` digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def plain(value):
    """The same value as it comes back from a JSON file: tuples are lists, keys are strings."""
    return json.loads(json.dumps(value))


def read(path):
    """What stands in the file, or ``None`` where there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def write(path, value) -> None:
    """Write the file in one step."""
    drafts.put(path, lambda draft: draft.write_text(json.dumps(value, indent=1) + "\n"))
