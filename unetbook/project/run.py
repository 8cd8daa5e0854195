"""The whole of a training on a folder: found, split, planned, learned, judged, written, reported."""

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import NamedTuple

from unetbook import checks, normalize, progress, segmenter, splits
from unetbook.images import reading
from unetbook.project import found as finding
from unetbook.project import judge, learn, report, tables
from unetbook.project import plan as planning
from unetbook.segmenter import Segmenter

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
TRIES = 100  # splits, of which the first one is taken that leaves no part empty
FEW = 5  # validation pictures, below which those that were learned help to choose
LOOKED_THROUGH = 100  # pictures without a mask, for what to annotate next


class Judged(NamedTuple):
    """A trained network, its answers {id: labels} to the test pictures, and what these are worth.

    rows: one a test picture. scores: {score: {mean, low, high}}. baselines: {name: scores} without a network.
    """

    segmenter: Segmenter
    answers: dict
    rows: list
    scores: dict
    baselines: dict


class Trained(NamedTuple):
    """What ``train_folder`` gives: the segmenter, scores of the test part {score: {mean, low, high}}, two files.

    rows: one a test picture, a dict with its name, ``"picture"``, and its scores.
    """

    segmenter: Segmenter
    scores: dict
    network: Path
    report: Path
    rows: list


def train_folder(
    images, masks, out, *, task=None, minutes=20, steps=None, start=None, channels=None, group_by=None, names=None,
    seed=0, tell=print,
) -> Trained:  # fmt: skip
    """Train a network on annotated pictures, score it on some that it never saw, and write it with a report.

    images, masks: folders, which may be one, of pictures that pair by their names (``datasets.pairing``). out: the
    file to write, such as ``cells.keras``; the report is ``cells.html`` beside it. task: ``"objects"``, whose labels
    number objects, or ``"classes"``; told by the masks unless given. minutes: about how long, on this machine. steps:
    at least as many, in whole epochs, in place of minutes and in float32: the same on every machine. start: a network
    to start from, by name or file (``unetbook.load``). channels: indices of the channels to take. group_by: a regular
    expression that finds in each name what pictures of one group share (patient, plate, film). names: of the object,
    or of the classes but the background. seed: of the split and the training. tell: called with lines to read.

    Of five groups three are learned, on one choices are made, and one is scored, once; where fewer than five pictures
    are for choices, those that were learned help. All else follows by rules from what is found (``plan``). Stopped
    (Ctrl-C), the same call goes on after its last finished epoch; what it needs for that lies in ``cells.training/``
    beside ``out`` until it is done.

    Raises ``ValueError`` that names the file and the fix for pictures and masks that cannot be read or told, for fewer
    than five pictures, for a file ``out`` that is there, and where a training that was begun had other pictures or
    options; what ``unetbook.load`` raises.
    """
    out = Path(out)
    if out.suffix != ".keras":
        raise ValueError(f"a network's file ends in .keras: give {out.with_suffix('.keras')} instead of {out}")
    if out.exists():
        raise ValueError(f"{out} is there already: give another name, or remove it")
    checks.amount(minutes, "minutes", positive=True)
    checks.whole(seed, "seed", 0)
    if steps is not None:
        checks.whole(steps, "steps", 1)
    pictures, found = finding.read(images, masks, task, channels, group_by)
    if len(pictures) < finding.FEWEST:
        raise ValueError(
            f"{len(pictures)} annotated pictures are too few to learn from and to judge: annotate {finding.FEWEST}, or "
            "cut large ones into parts that do not overlap"
        )
    pictures, grouping = grouped(pictures, group_by)
    parts = split(pictures, seed)
    tell(tables.as_text("found", tables.rows_of_found(found)))
    plan, rows = planning.made(found)
    given = None
    if start is not None:
        given = segmenter.load(start)
        plan, rows = planning.started(plan, rows, given, start)
    rows += [grouping, *_rows_of_parts(parts)]
    tell(tables.as_text("chosen", rows))
    names = _named(names, found)
    folder = out.with_suffix(".training")
    facts = {
        "pictures": _digest(pictures), "parts": {part: [one.id for one in of] for part, of in parts.items()},
        "choices": dataclasses.asdict(plan), "minutes": minutes, "steps": steps, "start": str(start), "seed": seed,
        "names": names,
    }  # fmt: skip
    state = learn.begun(folder, facts, steps)
    if state["epochs"]:
        tell(f"a training that was stopped goes on after epoch {state['epochs']} ({folder})")
    try:
        judged = trained(parts, plan, state, folder, found, minutes=minutes, seed=seed, start=given, names=names)
    except KeyboardInterrupt:
        tell(f"stopped after epoch {state['epochs']}: the same command goes on from there")
        raise
    path = judged.segmenter.save(out)
    unsure = _unsure(judged.segmenter, found, channels)
    written = report.write(out.with_suffix(".html"), judged, parts, rows, found, state, unsure, path)
    shutil.rmtree(folder, ignore_errors=True)
    tell(tables.as_text("scored", tables.rows_of_scores(judged)))
    if unsure:
        tell(f"annotate next, as the network is least sure of these: {', '.join(tables.named(unsure))}")
    tell(f"written: {path}, and the report {written}")
    return Trained(judged.segmenter, judged.scores, path, written, judged.rows)


def trained(
    parts, plan, state, folder, found, *, minutes, seed=0, start=None, names=("object",), bar=progress.bar
) -> Judged:
    """Train by a plan, choose on validation, score on test: ``{"train": pictures, "validation": ..., "test": ...}``.

    state, folder: of ``learn.begun``. found: of the pictures. start: a ``Segmenter`` or ``None``. bar: a function as
    ``progress.bar``.
    """
    entries = judge.entries(plan, names, found)
    model = start.model if start else None
    network = learn.learned(plan, parts, state, folder, minutes, seed, model, entries, bar)
    few = len(parts["validation"]) < FEW
    known = [*parts["validation"], *parts["train"]]
    reader = judge.chosen(Segmenter(network, entries), known if few else parts["validation"], plan)
    test = parts["test"]
    answers = {one.id: reader(one.image) for one in bar(len(test), "test picture", iterable=test)}
    rows = judge.scored(list(answers.values()), test, found.task)
    others = judge.without_a_network(test, known, found)
    baselines = {
        name: judge.together(judge.scored(of, test, found.task), found.task, seed) for name, of in others.items()
    }
    scores = judge.together(rows, found.task, seed)
    told = {name: round(of["mean"], 4) for name, of in scores.items()}
    counts = {f"{part}_pictures": len(of) for part, of in parts.items()}
    passport = {**reader.passport, "scores": told, **counts, "seed": seed, "steps": state["steps"]}
    passport["minutes"] = round(state["seconds"] / 60, 1)
    return Judged(Segmenter(network, passport), answers, rows, scores, baselines)


def grouped(pictures, group_by) -> tuple[list, tuple[str, str, str]]:
    """The pictures with their groups, and a row that tells them.

    Without an expression those that continue or resemble each other are one group (``splits.same_field``).
    """
    if group_by is not None:
        groups = {one.group for one in pictures}
        return pictures, ("groups", f"{len(groups)}", f"by {group_by!r} in the names")
    fields = splits.same_field([one.image for one in pictures])
    count = len(set(fields))
    if count == len(pictures):
        return pictures, ("groups", f"{count}", "no two pictures continue or resemble each other")
    if count < len(SHARES):
        why = "all seem to show one field: on a new one the network is worse than the scores below say"
        return pictures, ("groups", f"{len(pictures)}, one a picture", why)
    pictures = [one._replace(group=f"field {field}") for one, field in zip(pictures, fields, strict=True)]
    return pictures, ("groups", f"{count}", "pictures that continue or resemble each other stay in one part")


def split(pictures, seed) -> dict[str, list]:
    """Pictures for ``"train"``, ``"validation"`` and ``"test"``, groups whole; ``ValueError`` for too few groups."""
    by_id = {one.id: one for one in pictures}
    groups = [one.group for one in pictures]
    for attempt in range(TRIES):
        try:
            parts = splits.by_group(list(by_id), tuple(SHARES.values()), seed * TRIES + attempt, groups)
        except ValueError:
            continue
        return {name: [by_id[id_] for id_ in ids] for name, ids in zip(SHARES, parts, strict=True)}
    raise ValueError(
        f"{len(set(groups))} groups cannot be split into three parts: annotate pictures of more patients, plates or "
        "films, or leave --group-by out and trust the scores less"
    )


def _rows_of_parts(parts):
    counts = {name: len(of) for name, of in parts.items()}
    shown = ", ".join(f"{count} {name}" for name, count in counts.items())
    worth = "scores have an interval over its groups"
    if len({one.group for one in parts["test"]}) == 1:
        worth = "a test part of one group has no interval: another picture may score quite differently"
    few = counts["validation"] < FEW
    chosen = "validation and train" if few else "validation"
    why = f"fewer than {FEW} validation pictures tell little" if few else "which were not learned"
    return [("parts", shown, worth), ("threshold and way", f"by {chosen}", why)]


def _named(names, found):
    wanted = 1 if found.task == "objects" else found.classes - 1
    if names is None:
        return ["object"] if wanted == 1 else [f"class {number}" for number in range(1, wanted + 1)]
    if len(names) != wanted:
        raise ValueError(f"{wanted} name(s) are needed, without that of the background, and {len(names)} are given")
    return list(names)


def _digest(pictures):
    digest = hashlib.sha256()
    for one in pictures:
        for part in (one.id.encode(), one.group.encode(), one.image.tobytes(), one.labels.tobytes()):
            digest.update(part)
    return digest.hexdigest()


def _unsure(reader, found, channels):
    """(how unsure, file, image, labels) of the images without a mask of which the network is least sure."""
    rows, files = [], found.unlabeled[:LOOKED_THROUGH]
    for file in progress.bar(len(files), "picture without a mask", iterable=files):
        try:
            image = reading.image(Path(file).read_bytes(), file)
            image = image if channels is None else normalize.picked(image, channels)
            maps = reader.maps(image, once=True)
        except (OSError, ValueError):
            continue  # nobody asked for it to be read
        row = judge.unsure(reader, maps), file, image, reader.labels(maps, image.shape)
        rows = sorted([*rows, row], key=lambda one: -one[0])[: tables.SHOWN]
    return rows
