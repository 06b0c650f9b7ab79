"""Measures the core, the writers and the app beside their floors: `python -m tests.bench`."""

from __future__ import annotations

import argparse
import fcntl
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from sqlalchemy import event

from crm_core.database import open_database
from crm_core.errors import Unavailable
from tests.bench import browser, operations, places, server, writers
from tests.bench.floors import Floor
from tests.bench.measure import measure
from tests.bench.report import KINDS, Report
from tests.conftest import served as served_postgresql

ROOT = Path(__file__).resolve().parents[2]
LEAST = 10_000


def main(given: Sequence[str] | None = None) -> int:
    """This function will measure what is asked for and write it down after each part."""
    options = _options(given)
    report = Report(" ".join(["python -m tests.bench", *_measuring(given or sys.argv[1:])]))
    options.cache.mkdir(parents=True, exist_ok=True)
    with _alone(options.cache), _servers(options, report) as addresses:
        for count in options.n:
            for kind, address in addresses.items():
                _say(f"{KINDS[kind]}, {count:,} opportunities")
                with places.copied(options.cache, kind, count, address) as place:
                    _measure(place, count, options, report)
    _say(f"Wrote {options.out}.")
    return 0


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--n", type=_counts, default=[10_000, 100_000], help="opportunities: 10000,100000,1000000")
    parser.add_argument("--on", type=_kinds, default=list(KINDS), help="sqlite,postgresql")
    parser.add_argument(
        "--only", type=_words, default=[], help="parts of names of operations, or writers, server, browser"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "BENCHMARKS.md", help="where to write; plots: docs beside it"
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="for each operation; 2 for numbers to keep")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "crm-bench", help="built databases")
    return parser.parse_args(given)


def _measuring(given: Sequence[str]) -> list[str]:
    """What of a command line says what is measured, and not where anything lies."""
    return [
        word for before, word in zip(["", *given], given, strict=False) if not {before, word} & {"--cache", "--out"}
    ]


def _measure(place: places.Place, count: int, options: argparse.Namespace, report: Report) -> None:
    drawings = options.out.parent / "docs" if options.out.name == "BENCHMARKS.md" else options.out.parent
    drawings.mkdir(exist_ok=True)

    def keep() -> None:
        report.write(options.out, drawings)

    _operations(place, count, options, report)
    keep()
    if place.kind == "postgresql" and _wanted(options, "writers"):
        done = writers.written(place, max(2.0, 2 * options.seconds))
        report.writers[count] = done, writers.holds(place)
        _say("  writers: " + ", ".join(f"{one.name} {one.each_second:,.0f}/s" for one in done))
        keep()
    if place.kind == "sqlite" and _wanted(options, "server"):
        served = report.server[count] = server.measured(place, options.seconds)
        _say("  server: " + ", ".join(f"{run.page.name} {run.wall.median:.3g} ms" for run in served.runs))
        keep()
    if place.kind == "sqlite" and _wanted(options, "browser"):
        seen = report.browser[count] = browser.measured(place, options.seconds)
        _say("  browser: " + ", ".join(f"{one.name} {one.took.median:.4g} ms" for one, _beside in seen.loaded))
        keep()


def _operations(place: places.Place, count: int, options: argparse.Namespace, report: Report) -> None:
    database, floor = open_database(place.app), Floor(place.bare(), place.kind)
    said = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    for operation in operations.Bench(place, database, floor).operations():
        if not _wanted(options, operation.name):
            continue
        said.clear()
        calls = itertools.count()
        counting = replace(operation, core=lambda n, core=operation.core, calls=calls: (next(calls), core(n))[1])
        try:
            sides = measure(counting, options.seconds)
        except Unavailable as why:  # what takes longer than the program allows itself is a finding too
            report.refused.setdefault((place.kind, count), {})[operation.name] = str(why)
            _say(f"  {operation.name}: {why}")
            continue
        report.operations.setdefault((place.kind, count), {})[operation.name] = sides
        every = round(len(said) / next(calls))
        report.statements.setdefault((place.kind, count), {})[operation.name] = every
        _say(f"  {operation.name}: " + ", ".join(f"{side} {took.median:.3g} ms" for side, took in sides.items()))
    floor.conn.close()
    database.dispose()


def _wanted(options: argparse.Namespace, name: str) -> bool:
    return not options.only or any(word in name for word in options.only)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Two at once would measure each other."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _servers(options: argparse.Namespace, report: Report) -> Iterator[dict[str, str]]:
    """The kinds to measure, each with the address of its server: none for SQLite."""
    addresses = dict.fromkeys(options.on, "")
    if "postgresql" not in addresses:
        yield addresses
        return
    home = options.cache / "postgresql"
    home.mkdir(exist_ok=True)
    with served_postgresql(home) as address:
        with psycopg.connect(address) as conn:
            report.postgresql = str(conn.execute("SHOW server_version").fetchone()[0]).split()[0]
        yield addresses | {"postgresql": address}


def _counts(given: str) -> list[int]:
    counts = [int(count) for count in given.split(",")]
    if min(counts) < LEAST:
        raise argparse.ArgumentTypeError(f"from {LEAST:,} on, so that every round finds records of its own")
    return counts


def _kinds(given: str) -> list[str]:
    kinds = given.split(",")
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(KINDS)}")
    return kinds


def _words(given: str) -> list[str]:
    return given.split(",")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
