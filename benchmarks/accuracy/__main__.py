"""`python -m benchmarks.accuracy`: measure what is missing, then write docs/results.md, its figures, README's table."""

import argparse
import sys
from pathlib import Path

from benchmarks.accuracy.measure import measure_all
from benchmarks.accuracy.plan import PHOTOGRAPHS, SETS
from benchmarks.accuracy.results_file import ResultsFile
from benchmarks.accuracy.strangers import measure_demo, measure_strangers, photographs
from edge_app.errors import EdgeAppError

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    """Run; returns 0, or 2 for wrong arguments or data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the measuring data sets (zips)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings"), help="folder that keeps embeddings")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of results.json, results.md and figures/")
    parser.add_argument("--sets", nargs="+", choices=[one.name for one in SETS], help="only these data sets")
    parser.add_argument("--only-baselines", action="store_true", help="only what does not depend on CoLaNET")
    parser.add_argument("--only-write", action="store_true", help="measure nothing; write the page and its figures")
    args = parser.parse_args()
    sets = [one for one in SETS if args.sets is None or one.name in args.sets]
    ledger = ResultsFile(args.docs / "results.json")
    try:
        if not args.only_write:
            measured = measure_all(args.data, args.cache, ledger, sets, conventional_only=args.only_baselines)
            # strangers to a data set are the pictures of all others, so all sets must have been measured
            if args.sets is None and not args.only_baselines:
                measure_strangers(measured, photographs(args.data / PHOTOGRAPHS, args.cache))
                measure_demo(ledger)
                ledger.forget_unasked()
        if not args.only_baselines:
            from benchmarks.accuracy.page import write_page
            from benchmarks.accuracy.pictures import draw_all

            write_page(ledger, args.docs / "results.md")
            # a trial run into another folder leaves the repository's pages alone
            if args.docs == DOCS:
                write_page(ledger, DOCS.parent / "README.md")
                write_page(ledger, DOCS / "demo.md")
            draw_all(ledger, args.data, args.cache, args.docs / "figures")
    except EdgeAppError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
