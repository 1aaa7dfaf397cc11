"""Run benchmarks; each prints a table and one line of JSON.

python -m tests.benchmarks logging    W1: 10,000 rows of ten numbers in one run
python -m tests.benchmarks runs       W2: recording 1,000 runs and reading them as a table
python -m tests.benchmarks reading    W2: one run's rows as a table, and its last values by step
python -m tests.benchmarks frames     W2: data frames of runs and rows, side by side with peers
python -m tests.benchmarks sql        W2, W8: rows and runs by SQL, against DuckDB on Parquet
python -m tests.benchmarks start      W3: import, and process start to the first durable row
python -m tests.benchmarks writers    W4: eight processes write into one store
python -m tests.benchmarks crash      W5: kill -9 at random moments
python -m tests.benchmarks files      W6: adding, adding again and fetching files
python -m tests.benchmarks adding     W6: adding files, side by side with cp, sha256sum and peers
python -m tests.benchmarks cache      W6: asking again for data sets, in CPU time
python -m tests.benchmarks transfers  W6: objects of Cloud Storage, side by side with its clients
python -m tests.benchmarks series     W7: a long series, single points, many series, beside Lakota
python -m tests.benchmarks export     1,000 runs of 1,000 rows into files and back
python -m tests.benchmarks growth     W8: the same questions with 10^3 to 10^6 rows in the store
python -m tests.benchmarks painting   the page: first sight of a table and a curve, beside MLflow
python -m tests.benchmarks peers install --into DIR     what --peers DIR then measures as well
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.adding import adding
from tests.benchmarks.caching import cache
from tests.benchmarks.crash import crash
from tests.benchmarks.export import export
from tests.benchmarks.files import files
from tests.benchmarks.frames import frames
from tests.benchmarks.growth import growth
from tests.benchmarks.installing import install
from tests.benchmarks.logging_rows import logging
from tests.benchmarks.options import Options
from tests.benchmarks.painting import painting
from tests.benchmarks.reading import reading
from tests.benchmarks.runs import runs
from tests.benchmarks.series import series
from tests.benchmarks.sql import sql
from tests.benchmarks.start import start
from tests.benchmarks.transfers import transfers
from tests.benchmarks.writers import writers

BENCHMARKS: dict[str, Callable[[Options], list[str] | None]] = {
    "logging": logging,
    "runs": runs,
    "reading": reading,
    "frames": frames,
    "sql": sql,
    "series": series,
    "start": start,
    "writers": writers,
    "crash": crash,
    "files": files,
    "adding": adding,
    "cache": cache,
    "transfers": transfers,
    "export": export,
    "growth": growth,
    "painting": painting,
}


def main(arguments: list[str]) -> None:
    """Run the named benchmarks, or install the peers."""
    if arguments[:2] == ["peers", "install"]:
        parser = argparse.ArgumentParser(prog="python -m tests.benchmarks peers install")
        parser.add_argument("--into", type=Path, required=True)
        install(parser.parse_args(arguments[2:]).into.absolute())
        return
    names, options = _parse(arguments)
    failed = [f"{name}: {what}" for name in names for what in BENCHMARKS[name](options) or ()]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _parse(arguments: list[str]) -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    defaults = Options()
    add("names", nargs="+", choices=BENCHMARKS, metavar="NAME")
    add("--small", action="store_true", help="only show that it runs")
    add("--rounds", type=int, help=f"how often each system is measured ({defaults.rounds})")
    add("--peers", type=Path, help="folder that `peers install` filled")
    add("--firestore", action="store_true", help="the project on the emulators as well")
    add("--system", action="append", default=[], help="only this one; may be repeated")
    add("--moments", type=int, default=defaults.moments, help="kills (%(default)s)")
    add("--most", type=int, default=defaults.most, help="rows of the largest store (%(default)s)")
    add("--seed", type=int, default=defaults.seed, help="of random moments (%(default)s)")
    add("--verbose", action="store_true", help="show what the measured processes say")
    given = parser.parse_args(arguments)
    return given.names, Options(
        small=given.small,
        rounds=given.rounds or (1 if given.small else defaults.rounds),
        peers=given.peers.absolute() if given.peers else None,
        firestore=given.firestore,
        systems=tuple(given.system),
        moments=given.moments,
        most=given.most,
        seed=given.seed,
        quiet=not given.verbose,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
