"""The optimizer that the recipes of chapters 16 to 18 share."""

import keras


def falling_adam(settings) -> keras.optimizers.Optimizer:
    """Adam, its learning rate falling from the settings' to 0 along a cosine, over all steps of all epochs."""
    steps = settings["steps"] * settings["epochs"]
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(settings["learning_rate"], steps))
