"""What a task has where it needs nothing of its own."""


def ids(data) -> list:
    """The pictures that the data have, {id: picture}."""
    return list(data)


def parts(data, split, settings, seed) -> dict:
    """The split itself: seeds share it."""
    return split


def side(settings) -> int:
    """Pixels of a tile."""
    return settings.tile


def answering(model, settings):
    """The whole network."""
    return model
