"""``python -m benchmarks``: run every benchmark and write ``results/benchmarks.json``. Some minutes on two cores."""

import json
import sys
from pathlib import Path

from benchmarks import tiling, timing
from unetbook.recipes._provenance import provenance

BENCHMARKS = {"tiling": tiling.run}
FILE = Path(__file__).parents[1] / "results" / "benchmarks.json"


def main() -> int:
    """Run, print and store all; 1 where a promised bound is broken."""
    results = {}
    for name, run in BENCHMARKS.items():
        print(f"{name} ...", flush=True)
        results[name] = run()
        print(json.dumps(results[name], indent=1), flush=True)
    FILE.write_text(json.dumps({"repeats": timing.REPEATS, **results, **provenance()}, indent=1) + "\n")
    share = results["tiling"]["outside_the_network"]
    if share["share"]["median"] > share["at_most"]:
        print(f"planning and stitching cost more than {share['at_most']:.0%} of the time in the network")
        return 1
    print(f"written: {FILE.relative_to(Path.cwd()) if FILE.is_relative_to(Path.cwd()) else FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
