"""``python -m benchmarks [NAME ...]``: run all benchmarks, or those named, and write ``results/benchmarks.json``.

Some minutes on two cores, on a machine with nothing else to do. A ratio below 0.7 of the promised one, or a share above
its bound, ends with status 1.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import augment, average_precision, family, pruning, run_lengths, tiling, timing, weight_map
from studies.provenance import provenance

BENCHMARKS = {
    "tiling": tiling.run,
    "weight_map": weight_map.run,
    "augment": augment.run,
    "run_lengths": run_lengths.run,
    "average_precision": average_precision.run,
    "pruning": pruning.run,
    "family": family.run,
}
FILE = Path(__file__).parents[1] / "results" / "benchmarks.json"
SLACK = 0.7  # machines differ: a promise counts as broken below this share of it


def broken(result, name="") -> list[str]:
    """Promises that a result breaks: ``faster`` against ``promised``, the median ``share`` against ``at_most``."""
    if not isinstance(result, dict):
        return []
    problems = [problem for key, part in result.items() for problem in broken(part, f"{name} {key}".strip())]
    if "promised" in result and result["faster"]["of minima"] < SLACK * result["promised"]:
        problems.append(f"{name}: {result['faster']['of minima']:g} times as fast, promised {result['promised']}")
    if "at_most" in result and result["share"]["median"] > result["at_most"]:
        problems.append(f"{name}: a share of {result['share']['median']:.1%}, at most {result['at_most']:.0%} promised")
    return problems


def main() -> int:
    """Run, print and store; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    problems = []
    for name in names:
        print(f"{name} ...", flush=True)
        result = {**BENCHMARKS[name](), **provenance()}
        print(json.dumps(result, indent=1), flush=True)
        problems += broken(result, name)
        stored = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps({"repeats": timing.REPEATS, **stored, name: result}, indent=1) + "\n")
    print("\n".join(problems) or f"all promises are kept; written: results/{FILE.name}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
