"""``python -m unetbook list | fetch | train | predict | score | export``: data, networks, and your own images."""

import argparse
import importlib
import logging
import re
import sys
import warnings

from unetbook import kept, results

DATASETS = ("dsb2018", "isbi2012", "isic2017", "usiigaci")


def main(arguments=None) -> int:
    """Run one command; return its exit code.

    0 done, 1 data missing or damaged (``predict`` and ``score``: some file; the others are done), 2 wrong usage, 130
    stopped (Ctrl-C).
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files that a terminal cannot show never stop a run
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (OSError, ValueError) as error:
        print(f"unetbook: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"unetbook: {kept.without_backend(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("unetbook: stopped", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="python -m unetbook", description="Networks for your images")
    commands = parser.add_subparsers(required=True, metavar="list | fetch | train | predict | score | export")
    command = commands.add_parser("list", help="name the data sets and networks, and what is at hand")
    command.set_defaults(command=_list)
    command = commands.add_parser("fetch", help="download a data set, where it is not at hand")
    command.add_argument("dataset", choices=DATASETS)
    command.set_defaults(command=_fetch)
    command = commands.add_parser("train", help="train a network on your annotated pictures, with a report")
    command.add_argument("--images", required=True, help="folder of pictures")
    command.add_argument("--masks", required=True, help="folder of their masks or label images; it may be the same one")
    command.add_argument("--out", required=True, metavar="FILE.keras", help="network to write; FILE.html is its report")
    command.add_argument(
        "--task", choices=("objects", "classes"), help="what labels number; told by the masks if left out"
    )
    command.add_argument("--minutes", type=float, default=20, help="about how long to train (20)")
    command.add_argument("--steps", type=int, help="of the training, in place of minutes: the same on every machine")
    command.add_argument(
        "--start", metavar="NETWORK", help="a network to start from: a name that `list` shows, or a file"
    )
    command.add_argument("--channels", type=_channels, metavar="0,2", help="channels of the pictures to take, from 0")
    command.add_argument(
        "--group-by", metavar="REGEX", help="finds in a name what stays in one part, such as a patient"
    )
    command.add_argument("--names", type=lambda text: text.split(","), help="of the object, or of the classes: a,b")
    command.add_argument("--seed", type=int, default=0, help="of the split and the training (0)")
    command.set_defaults(command=_train)
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
    command.add_argument("--rois", action="store_true", help="also write a zip of outlines for ImageJ's ROI Manager")
    command.add_argument("--pixel-size", type=float, metavar="UM", help="micrometers, in place of what the files say")
    command.add_argument(
        "--channels",
        type=_channels,
        metavar="N,N",
        help="of the pictures, from 0, as the network wants them: 2 or 2,0,1",
    )
    command.add_argument(
        "--ground", choices=("dark", "light"), help="of the pictures, where what is taken for it is wrong"
    )
    command.add_argument("--stretch", action="store_true", help="gray values to the full range, as of 12 bits in 16")
    command.add_argument("pictures", nargs="+", help="PNG, JPEG, BMP or TIFF pictures, stacks, or folders of them")
    command.set_defaults(command=_predict)
    command = commands.add_parser(
        "score", help="scores of label images against the truth, two folders of one stem each"
    )
    command.add_argument("--truth", required=True, help="folder of the true label images or masks")
    command.add_argument("--predicted", required=True, help="folder that `predict` wrote to, or any label images")
    command.add_argument("--csv", help="write the scores of each image to this file")
    command.set_defaults(command=_score)
    command = commands.add_parser("export", help="write a stored network for programs without Keras, as ONNX")
    command.add_argument("--model", required=True, help="a network that `list` shows, or a .keras file of your own")
    command.add_argument("--onnx", required=True, metavar="FILE", help="file to write, .onnx")
    command.add_argument("--half", action="store_true", help="kernels in half precision: half the file")
    command.add_argument("--layout", choices=("NHWC", "NCHW"), default="NHWC", help="channels last (usual), or first")
    command.set_defaults(command=_export)
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
    from unetbook.datasets import fetching

    for path in fetching.fetch(options.dataset):
        print(path)
    return 0


def _predict(options) -> int:
    from unetbook import application, segmenter  # Keras takes seconds to import

    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns where pictures differ in size
    application.pictures(options.pictures, options.out)  # before the network is loaded: a wrong path is told at once
    network = segmenter.load(options.model)
    more = {"table": options.table, "geojson": options.geojson, "rois": options.rois, "pixel_size": options.pixel_size}
    more |= {"channels": options.channels, "ground": options.ground, "stretch": options.stretch}
    done = application.predict(network, options.pictures, options.out, options.once, options.submission, **more)
    return _finished(done, f"written to {options.out}")


def _channels(text) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of channels, such as 2 or 2,0,1")
    return tuple(map(int, text.split(",")))


def _train(options) -> int:
    from unetbook import project

    logging.getLogger("tensorflow").setLevel("ERROR")
    named = ("task", "minutes", "steps", "start", "channels", "group_by", "names", "seed")
    given = {name: getattr(options, name) for name in named}
    project.train_folder(options.images, options.masks, options.out, **given, tell=lambda text: print(text, flush=True))
    return 0


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


def _export(options) -> int:
    from unetbook import export, segmenter

    path = export.to_onnx(segmenter.load(options.model), options.onnx, options.layout, options.half)
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB, {options.layout}: its metadata say what to do with an image")
    return 0


def _cell(value) -> str:
    return f"{value:10.3f}" if isinstance(value, float) else f"{value:10d}"


def _finished(done, what) -> int:
    """Say how many files were done, name those that were not, and return the exit code."""
    print(f"{len(done.values)} {what}")
    for file, problem in done.problems.items():
        print(f"unetbook: {problem if str(file) in problem else f'{file}: {problem}'}", file=sys.stderr)
    return 1 if done.problems or not done.values else 0


def _in_one_line(message, *where, **more) -> str:
    """A warning without the line of code that gave it, which says nothing to who typed a command."""
    return f"unetbook: {message}\n"


if __name__ == "__main__":
    warnings.formatwarning = _in_one_line
    sys.exit(main())
