"""``python -m unetbook list | fetch | run``: the measured runs of the book from the command line. Chapter 15."""

import argparse
import importlib
import sys

from unetbook import recipes

DATASETS = ("dsb2018", "isbi2012", "isic2017", "usiigaci")


def main(arguments=None) -> int:
    """Run one command; return its exit code: 0 done, 1 data missing or damaged, 2 wrong usage, 130 stopped (Ctrl-C)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (OSError, ValueError) as error:
        print(f"unetbook: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("unetbook: stopped; the same command resumes after the last finished epoch", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m unetbook", description="Measured runs of the U-Net book")
    commands = parser.add_subparsers(required=True, metavar="list | fetch | run")
    command = commands.add_parser("list", help="name the recipes")
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
    return parser


def _list(options) -> int:
    for name in recipes.names():
        print(f"{name}  {recipes.get(name).SUMMARY}")
    return 0


def _fetch(options) -> int:
    dataset = importlib.import_module(f"unetbook.datasets.{options.dataset}")
    for path in dataset.files():
        print(path)
    return 0


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
        print(f"{arm:32}" + "".join(f"{name} {value:.4f}  " for name, value in scores.items()))
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
    for name, most in result["target"].items():
        verdict = "met" if result["mean"][name] <= most else "NOT met"
        quick = " (a quick run: means nothing)" if result["quick"] else ""
        print(f"{name} at most {most}: {verdict}{quick}")


if __name__ == "__main__":
    sys.exit(main())
