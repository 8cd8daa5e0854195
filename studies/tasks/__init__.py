"""The tasks: pictures, split, target, and how a network is scored. Each module has what ``studies.harness`` asks for.

- ``DATASET``: the module of ``unetbook.datasets`` that real pictures come from, or ``None``.
- ``load(settings, seed, root) -> data``; of a real task the seed changes nothing.
- ``split(data) -> {part: ids}`` and ``ids(data)``, of a real task; ``parts(data, split, settings, seed)``: the train,
  validation and test part of one training, such as a fold.
- ``build(data, settings) -> network`` and ``batches(data, parts, settings, seed) -> training.Tiles``.
- ``validate(model, data, parts, settings) -> {name: value}`` after each epoch, with a ``val_loss``; or ``None``.
- ``evaluate(model, data, parts, settings) -> entry``: ``"scores"``, other facts, and tables of rows under ``"tables"``:
  ``"images"``, ``"kinds"``, ``"swept"``.
- ``baselines(data, split, settings) -> {name: entry}``, of a real task: the same without a network.
- ``answering(model, settings) -> network``: the part that is kept and counted, such as a head; or the model.
- ``side(settings)``: pixels of the picture that multiply-adds are counted for. ``FOLDS``: whether each seed is a fold.
- ``passport(settings)``: entries of the kept file.

``usual`` has those that most tasks share.
"""
