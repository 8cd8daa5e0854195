"""From a folder of your own annotated pictures to a network and a report: ``python -m unetbook train`` calls this."""

from unetbook.project.run import Trained, train_folder

__all__ = ["Trained", "train_folder"]
