"""``python -m studies list | run NAME``: the measured runs of the book."""

import argparse
import sys

from studies import catalog
from unetbook import results


def main(arguments=None) -> int:
    """Run one command; return its exit code: 0 done, 1 data missing or damaged, 2 wrong usage, 130 stopped (Ctrl-C)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (OSError, ValueError) as error:
        print(f"studies: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("studies: stopped; the same command goes on after the last finished epoch", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m studies", description="Measured runs of the U-Net book")
    commands = parser.add_subparsers(required=True, metavar="list | run")
    command = commands.add_parser("list", help="name the studies and their arms, and which are measured")
    command.set_defaults(command=_list)
    command = commands.add_parser("run", help="train and score a study; a stopped run goes on")
    command.add_argument("study", help="a name that `list` shows")
    command.add_argument("--seeds", type=int, nargs="+", help="seeds to run (default: the study's own)")
    command.add_argument("--arms", nargs="+", help="arms to run (default: all of the study)")
    command.add_argument("--quick", action="store_true", help="a smoke run of seconds, kept apart, without meaning")
    command.add_argument("--out", help="folder of the result files (default: results, or again)")
    command.set_defaults(command=_run)
    return parser


def _list(options) -> int:
    print("python -m studies run NAME [--arms ARM ...] [--seeds SEED ...] [--quick] [--out FOLDER]")
    for study in catalog.STUDIES.values():
        print(f"{study.name:18} {_state(study):8} {study.summary}")
        if study.based_on:
            differs = study.differs(catalog.get(study.based_on))
            told = ", ".join(f"{name} {value}" for name, value in differs.items()) or "other arms"
            print(f"{'':27} based on {study.based_on}, with {told}")
        print(f"{'':27} {'; '.join(study.arms)}")
    return 0


def _state(study):
    """Whether a study is measured, with all its seeds and arms, or begun, or neither; or its result is damaged."""
    try:
        found = results.study(study.name)
        done = {(arm, seed) for arm, seed in found.entries()}
    except FileNotFoundError:
        return ""
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        return "damaged"
    wanted = {(arm, seed) for arm in study.arms for seed in study.seeds_for(arm)}
    return "measured" if wanted <= done else "begun"


def _run(options) -> int:
    try:
        study = catalog.get(options.study)
        for arm in options.arms or ():
            catalog.arm(study, arm)
    except ValueError as error:
        print(f"studies: {error}", file=sys.stderr)
        return 2
    from studies import harness  # after the names are checked: Keras takes seconds to import

    _show(harness.run(study, options.seeds, options.arms, options.quick, options.out))
    return 0


def _show(summary):
    """Print the scores of baselines and arms, each difference with its 95 % interval, and whether a target was met."""
    rows = {name: of["scores"] for name, of in summary.get("baselines", {}).items()}
    rows |= {arm: of["mean"] for arm, of in summary["arms"].items() if "mean" in of}
    width = max(map(len, rows), default=0)
    for name, scores in rows.items():
        print(f"{name:{width}}  " + "  ".join(f"{score} {value:.4f}" for score, value in scores.items()))
    for pair, scores in summary["differences"].items():
        for score, row in scores.items():
            interval = "" if row["low"] is None else f"  [{row['low']:+.4f}, {row['high']:+.4f}]"
            print(f"{pair}, {score}: {row['mean']:+.4f}{interval}  ({row['pairs']} pairs)")
    quick = " (a quick run: means nothing)" if summary["quick"] else ""
    for arm, of in summary["arms"].items():
        for word, key in (("most", "target"), ("least", "least")):
            for score, bound in of.get(key, {}).items() if "mean" in of else ():
                met = of["mean"][score] <= bound if word == "most" else of["mean"][score] >= bound
                print(f"{arm}, {score} at {word} {bound}: {'met' if met else 'NOT met'}{quick}")


if __name__ == "__main__":
    sys.exit(main())
