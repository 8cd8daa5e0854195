"""``python -m unetbook list | fetch | run | predict | score``: measured runs, and your images. Chapters 15, 16."""

import argparse
import importlib
import logging
import sys

from unetbook import recipes, results

DATASETS = ("dsb2018", "isbi2012", "isic2017", "usiigaci")


def main(arguments=None) -> int:
    """Run one command; return its exit code.

    0 done, 1 data missing or damaged (``predict`` and ``score``: some file; the others are done), 2 wrong usage, 130
    stopped (Ctrl-C).
    """
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (OSError, ValueError) as error:
        print(f"unetbook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = "; the same command resumes after the last finished epoch" if options.command is _run else ""
        print(f"unetbook: stopped{hint}", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m unetbook", description="Measured runs of the U-Net book")
    commands = parser.add_subparsers(required=True, metavar="list | fetch | run | predict | score")
    command = commands.add_parser("list", help="name the recipes, and what data and weights are at hand")
    command.set_defaults(command=_list)
    command = commands.add_parser("fetch", help="show where a data set lies, or how to get it")
    command.add_argument("dataset", choices=DATASETS)
    command.set_defaults(command=_fetch)
    command = commands.add_parser("run", help="train and score a recipe; a stopped run resumes")
    command.add_argument("recipe", help="a name that `list` shows")
    command.add_argument("--seeds", type=int, nargs="+", help="seeds to run (default: the recipe's own)")
    command.add_argument("--out", help="folder of the result file (default: results)")
    command.add_argument("--quick", action="store_true", help="a smoke run of seconds into runs/quick")
    command.set_defaults(command=_run)
    command = commands.add_parser("predict", help="label images, and overlays, of your pictures by a stored network")
    command.add_argument(
        "--model", required=True, help="a network that `list` shows, or a .keras file of your own (unetbook.Segmenter)"
    )
    command.add_argument("--out", required=True, help="folder to write to")
    command.add_argument(
        "--once", action="store_true", help="one position of each image, not the mean of eight: faster"
    )
    command.add_argument("--submission", metavar="CSV", help="also write all objects as run lengths")
    command.add_argument("pictures", nargs="+", help="files or folders of PNG, JPEG, BMP or TIFF pictures")
    command.set_defaults(command=_predict)
    command = commands.add_parser(
        "score", help="scores of label images against the truth, two folders of one stem each"
    )
    command.add_argument("--truth", required=True, help="folder of the true label images or masks")
    command.add_argument("--predicted", required=True, help="folder that `predict` wrote to, or any label images")
    command.add_argument("--csv", help="write the scores of each image to this file")
    command.set_defaults(command=_score)
    return parser


def _state(name):
    """Whether a recipe is measured, with all its seeds and arms, or begun, or neither; or its result is damaged."""
    try:
        seeds = recipes.result(name).get("seeds", {})
    except FileNotFoundError:
        return ""
    except (AttributeError, OSError, ValueError):
        return "damaged"
    recipe = recipes.get(name)
    arms = set(getattr(recipe, "ARMS", ()))
    whole = [seed for seed, entry in seeds.items() if arms <= set(entry.get("arms", ()))]
    return "measured" if {str(seed) for seed in recipe.SEEDS} <= set(whole) else "begun"


def _list(options) -> int:
    print("recipes: python -m unetbook run NAME")
    for name in recipes.names():
        print(f"  {name:20} {_state(name):9} {recipes.get(name).SUMMARY}")
    print("data: python -m unetbook fetch NAME")
    for name in DATASETS:
        try:
            place = importlib.import_module(f"unetbook.datasets.{name}").files()[0].parent
        except (OSError, ValueError):
            place = "not at hand"
        print(f"  {name:20} {place}")
    print("weights: python -m unetbook predict --model NAME_OR_FILE --out FOLDER PICTURES")
    from unetbook import segmenter, store  # Keras takes seconds to import

    for name, stem in segmenter.NAMES.items():
        print(f"  {name:20} {stem}.keras")

    for path in sorted((results.folder() / "weights").glob("*.keras")):
        try:
            task = store.passport(path).get("task", "")
        except (OSError, ValueError):
            task = "damaged: get it again"
        print(f"  {path}  {task}")
    return 0


def _fetch(options) -> int:
    dataset = importlib.import_module(f"unetbook.datasets.{options.dataset}")
    for path in dataset.files():
        print(path)
    return 0


def _predict(options) -> int:
    from unetbook import application, segmenter  # Keras takes seconds to import

    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns where pictures differ in size
    application.pictures(options.pictures, options.out)  # before the network is loaded: a wrong path is told at once
    network = segmenter.load(options.model)
    done = application.predict(network, options.pictures, options.out, options.once, options.submission)
    return _finished(done, f"written to {options.out}")


def _score(options) -> int:
    from unetbook import comparison

    done = comparison.score(options.truth, options.predicted, options.csv)
    names = list(next(iter(done.values.values()))) if done.values else []
    print(f"{'image':28}" + "".join(f"{name:>10}" for name in names))
    for file, row in done.values.items():
        print(f"{file.stem[:27]:28}" + "".join(_cell(value) for value in row.values()))
    if done.values:
        columns = [[row[name] for row in done.values.values()] for name in names]
        of = f"mean of {len(done.values)} of {len(done.values) + len(done.problems)}"
        print(f"{of:28}" + "".join(_cell(float(sum(column) / len(column))) for column in columns))
    return _finished(done, f"written to {options.csv}" if options.csv and done.values else "scored")


def _cell(value) -> str:
    return f"{value:10.3f}" if isinstance(value, float) else f"{value:10d}"


def _finished(done, what) -> int:
    """Say how many files were done, name those that were not, and return the exit code."""
    print(f"{len(done.values)} {what}")
    for file, problem in done.problems.items():
        print(f"unetbook: {problem if str(file) in problem else f'{file}: {problem}'}", file=sys.stderr)
    return 1 if done.problems or not done.values else 0


def _run(options) -> int:
    try:
        recipe = recipes.get(options.recipe)
    except ValueError as error:
        print(f"unetbook: {error}", file=sys.stderr)
        return 2
    from unetbook.recipes import _lab, _run  # after the name is checked: Keras takes seconds to import

    harness, show = (_lab, _show_lab) if hasattr(recipe, "ARMS") else (_run, _show)
    show(harness.run(recipe, options.seeds, options.out, options.quick))
    return 0


def _show_lab(result):
    """Print each arm's mean scores, and each difference with its 95 % interval."""
    for arm, scores in result.get("mean", {}).items():
        print(f"{arm:32}  " + "".join(f"{name} {value:.4f}  " for name, value in scores.items()))
    for pair, scores in result.get("differences", {}).items():
        for name, difference in scores.items():
            low, high = difference["low"], difference["high"]
            interval = "" if low is None else f"  [{low:+.4f}, {high:+.4f}]"
            print(f"{pair}, {name}: {difference['mean']:+.4f}{interval}  ({difference['pairs']} pairs)")


def _show(result):
    """Print the scores beside those of the baselines, and whether the target was met."""
    rows = {name: entry["scores"] for name, entry in result["baselines"].items()}
    rows |= {f"seed {seed}": entry["scores"] for seed, entry in result.get("seeds", {}).items()}
    if "mean" not in result:
        return
    rows["mean"] = result["mean"]
    print(" " * 20 + "".join(f"{name:>18}" for name in result["mean"]))
    for row, scores in rows.items():
        print(f"{row:20}" + "".join(f"{value:18.4f}" for value in scores.values()))
    quick = " (a quick run: means nothing)" if result["quick"] else ""
    for name, most in result["target"].items():
        print(f"{name} at most {most}: {'met' if result['mean'][name] <= most else 'NOT met'}{quick}")
    for name, least in result.get("least", {}).items():
        print(f"{name} at least {least}: {'met' if result['mean'][name] >= least else 'NOT met'}{quick}")


if __name__ == "__main__":
    sys.exit(main())
