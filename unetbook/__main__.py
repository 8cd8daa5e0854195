"""``python -m unetbook list | fetch | predict | score``: data sets and networks at hand, and your images."""

import argparse
import importlib
import logging
import sys

from unetbook import kept, results

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
        print("unetbook: stopped", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m unetbook", description="Networks for your images")
    commands = parser.add_subparsers(required=True, metavar="list | fetch | predict | score")
    command = commands.add_parser("list", help="name the data sets and networks, and what is at hand")
    command.set_defaults(command=_list)
    command = commands.add_parser("fetch", help="show where a data set lies, or how to get it")
    command.add_argument("dataset", choices=DATASETS)
    command.set_defaults(command=_fetch)
    command = commands.add_parser("predict", help="label images, and overlays, of your pictures by a stored network")
    command.add_argument(
        "--model", required=True, help="a network that `list` shows, or a .keras file of your own (unetbook.Segmenter)"
    )
    command.add_argument("--out", required=True, help="folder to write to")
    command.add_argument(
        "--once", action="store_true", help="one position of each image, not the mean of eight: faster"
    )
    command.add_argument("--submission", metavar="CSV", help="also write all objects as run lengths")
    command.add_argument("--table", action="store_true", help="also write area, center, shape and mean of each object")
    command.add_argument("--geojson", action="store_true", help="also write outlines that QuPath opens")
    command.add_argument("--pixel-size", type=float, metavar="UM", help="of a pixel, for tables in micrometers, too")
    command.add_argument(
        "--ground", choices=("dark", "light"), help="of the pictures, where the network's look is wrong"
    )
    command.add_argument("--stretch", action="store_true", help="gray values to the full range, as of 12 bits in 16")
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


def _list(options) -> int:
    print("data: python -m unetbook fetch NAME")
    for name in DATASETS:
        try:
            place = importlib.import_module(f"unetbook.datasets.{name}").files()[0].parent
        except (OSError, ValueError):
            place = "not at hand"
        print(f"  {name:20} {place}")
    print("weights: python -m unetbook predict --model NAME_OR_FILE --out FOLDER PICTURES")
    for name, stem in kept.NAMES.items():
        print(f"  {name:20} {stem}.keras")

    for path in sorted((results.folder() / "weights").glob("*.keras")):
        try:
            task = kept.passport(path).get("task", "")
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
    more = {"table": options.table, "geojson": options.geojson, "pixel_size": options.pixel_size}
    more |= {"ground": options.ground, "stretch": options.stretch}
    done = application.predict(network, options.pictures, options.out, options.once, options.submission, **more)
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


if __name__ == "__main__":
    sys.exit(main())
