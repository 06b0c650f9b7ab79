"""What was measured, as a page to read: BENCHMARKS.md and its two plots."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import peers, plots
from tests.bench.browser import Drawn, Seen
from tests.bench.measure import Taken
from tests.bench.server import CLIENTS, Served
from tests.bench.writers import Written

KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PACKAGES = ("sqlalchemy", "psycopg", "pandas", "streamlit")
GROWING = ("dashboard: all", "list: status", "dashboard: as of a past day", "open one", "create")
PLOTS = {"growth": "bench-growth.svg", "peers": "bench-peers.svg"}
READING = """Times are medians of rounds taken in turns: one call of the core, then one of each floor, on the same rows in the same
database. They are of the core as the app calls it, as its own role, with row security, in a transaction of its own. A
**floor** is the least bare SQL that answers the same question on the driver's own connection: *indexes* on a second,
narrow table with a covering index for each question, *rollups* on cells that the writing transaction keeps (of a write:
with the rollups kept). “×” is how many times as long the core took. Before anything is timed, the answers of core and
floors are compared. “SQL” counts the core's statements. On SQLite a third of the file is the floors', which `start` checks
too. A ratio carries from one machine to another; a time does not."""


@dataclass
class Report:
    """Everything measured so far, by kind of database and number of opportunities."""

    command: str
    postgresql: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    operations: dict[tuple[str, int], dict[str, dict[str, Taken]]] = field(default_factory=dict)
    writers: dict[int, tuple[list[Written], dict[str, str]]] = field(default_factory=dict)
    server: dict[int, Served] = field(default_factory=dict)
    browser: dict[int, Seen] = field(default_factory=dict)
    refused: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    statements: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def write(self, out: Path, drawings: Path) -> None:
        """This function will write the page, and the plots beside it."""
        parts = ["# Benchmarks", self._about(), READING]
        growing = {f"{name}, {KINDS[kind]}": self._points(kind, name) for name in GROWING for kind in KINDS}
        if any(growing.values()):
            title = "The core's time by the number of opportunities"
            (drawings / PLOTS["growth"]).write_text(plots.lines(title, growing))
            parts += ["## Growth", self._picture(out, drawings, "growth", title), self._growth()]
        if self._beside_others(drawings):
            title = "The dashboard beside others"
            parts += ["## Beside others", OTHERS, self._picture(out, drawings, "peers", title), self._peers()]
        for kind, count in dict.fromkeys((*self.operations, *self.refused)):
            found, refused = self.operations.get((kind, count), {}), self.refused.get((kind, count), {})
            said = self.statements.get((kind, count), {})
            parts += [f"## {KINDS[kind]}, {count:,} opportunities", _operations(found, refused, said)]
        for count, (written, proofs) in self.writers.items():
            parts += [f"## Twenty writers on PostgreSQL, {count:,} opportunities", _written(written, proofs)]
        for count, served in self.server.items():
            parts += [f"## The app on SQLite, {count:,} opportunities", _server(served)]
        for count, seen in self.browser.items():
            parts += [f"## The app in Chromium on SQLite, {count:,} opportunities", _seen(seen)]
        out.write_text("\n\n".join(parts) + "\n")

    def _about(self) -> str:
        model = next(
            (
                line.partition(":")[2].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")
            ),
            platform.machine(),
        )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        return (
            f"Written by `{self.command}` on {datetime.now(UTC):%d %B %Y}, {datetime.now(UTC):%H:%M} UTC, on {os.cpu_count()} cores "
            f"({model}) with {memory:.0f} GB, Linux {platform.release().partition('-')[0]}; load before it: {self.load:.1f}. "
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version} (WAL, synchronous=FULL)"
            + (f", PostgreSQL {self.postgresql} (its defaults, fsync on)" if self.postgresql else "")
            + f", {packages}."
        )

    def _points(self, kind: str, name: str, side: str = "core") -> plots.Points:
        return [
            (count, found[name][side].median)
            for (of, count), found in self.operations.items()
            if of == kind and name in found
        ]

    def _growth(self) -> str:
        counts = sorted({count for _kind, count in self.operations})
        names = dict.fromkeys(name for found in self.operations.values() for name in found)
        rows = []
        for name in names:
            row = [name]
            for kind in KINDS:
                for count in counts:
                    took = self.operations.get((kind, count), {}).get(name)
                    row.append(_ms(took["core"].median) if took else "")
            rows.append(row)
        heads = [f"{KINDS[kind]} {count:,}" for kind in KINDS for count in counts]
        return "The core, median ms.\n\n" + _table(["operation", *heads], rows)

    def _beside_others(self, drawings: Path) -> bool:
        ours = {f"this, {KINDS[kind]}": self._points(kind, peers.DASHBOARD) for kind in KINDS}
        if not any(ours.values()):
            return False
        theirs = {name: list(zip(peers.SIZES, of[peers.DASHBOARD], strict=True)) for name, of in peers.PEERS.items()}
        bare = {
            f"floor, {side}, SQLite": self._points("sqlite", peers.DASHBOARD, side) for side in ("indexes", "rollups")
        }
        title = "Dashboard: counts and values by status, region, owner and month"
        (drawings / PLOTS["peers"]).write_text(plots.lines(title, {**ours, **theirs, **bare}, frozenset(ours)))
        return True

    def _peers(self) -> str:
        rows = []
        for kind, label in KINDS.items():
            row = [f"**this, {label}**"]
            for name in peers.COMPARED:
                by_count = dict(self._points(kind, name))
                row.append(" / ".join(_ms(by_count[n]) if n in by_count else "–" for n in peers.SIZES))
            rows.append(row)
        for other, of in peers.PEERS.items():
            rows.append([other, *(" / ".join(f"{v:,g}" for v in of.get(name, ())) or "–" for name in peers.COMPARED)])
        return "Server time, ms, at 10,000 / 100,000 / 1,000,000 opportunities.\n\n" + _table(
            ["", *peers.COMPARED], rows
        )

    def _picture(self, out: Path, drawings: Path, name: str, said: str) -> str:
        return f"![{said}]({os.path.relpath(drawings / PLOTS[name], out.parent)})"


OTHERS = """Theirs were measured before, once, on a machine of two cores, of the same rows; they are of whole requests in the server,
ours of the core alone: what a page of Streamlit adds is told below. What one process of Streamlit cannot beat: the full
page loads of Django and Datasette, and the requests a second of Django and Odoo."""


def _operations(found: dict[str, dict[str, Taken]], refused: dict[str, str], said: dict[str, int]) -> str:
    rows = []
    for name, sides in found.items():
        core = sides["core"]
        row = [name, _ms(core.median), _ms(core.p95)]
        for side in ("indexes", "rollups"):
            floor = sides.get(side)
            row += [_ms(floor.median), _ms(floor.p95), f"{core.median / floor.median:,.1f}"] if floor else [""] * 3
        rows.append([*row, str(said[name] or ""), str(core.rounds)])
    heads = ["ms", "core", "p95", "indexes", "p95", "×", "rollups", "p95", "×", "SQL", "rounds"]
    rows += [[name, why, *[""] * (len(heads) - 2)] for name, why in refused.items()]
    return _table(heads, rows)


def _written(written: Iterable[Written], proofs: dict[str, str]) -> str:
    rows = [[one.name, f"{one.each_second:,.0f}", f"{one.refused:,}"] for one in written]
    proven = ", ".join(f"{name}: {wrong or 'every one is what the history says'}" for name, wrong in proofs.items())
    return _table(["", "transactions/s", "refused, outdated"], rows) + f"\n\nA recount afterwards – {proven}."


def _server(served: Served) -> str:
    rows = [
        [run.page.name, *map(_ms, (run.wall.median, run.wall.p95, run.processor.median)), f"{run.kilobytes:.0f}"]
        for run in served.runs
    ]
    crowd = [
        [one.page.name, f"{one.each_second:,.1f}", str(one.failed), *map(_ms, (one.wall.median, one.wall.p95))]
        for one in served.loads
    ]
    held = ", ".join(f"{when} {much:,.0f} MB" for when, much in served.memory.items())
    rows += [[name, why, *[""] * 3] for name, why in served.failed.items()]
    return "\n\n".join(
        (
            "Full reruns of `uvicorn app:app` over its websocket, as a manager, taken in turns. A page asks the database only "
            "what was not asked since somebody saved something; “something was saved”: just before each run, and twice a "
            "second below.",
            _table(["page", "wall ms", "p95", "processor ms", "KB sent"], rows),
            f"{CLIENTS} clients at once, each asking again as soon as it is answered; they share the two cores with the server.",
            _table(["page", "runs/s", "failed", "wall ms", "p95"], crowd),
            f"Memory of the app: {held}; {served.idle:,.0f} KB more for each session that is open and idle. A process "
            f"answers {_ms(served.up.median)} ms after it was started, and then draws its first page "
            f"({served.first.page.name}) in {_ms(served.first.wall.median)} ms.",
        )
    )


def _seen(seen: Seen) -> str:
    def row(drawn: Drawn, beside: Drawn) -> list[str]:
        took, other = drawn.took, beside.took.median
        return [
            drawn.name,
            *map(_ms, (took.median, took.p95)),
            str(drawn.parts),
            _ms(other),
            f"{took.median / other:.2f}",
        ]

    return "\n\n".join(
        (
            "A link in a new tab of a browser that has been here before (cold: that has not), as a manager, until the script is "
            "through, every chart is drawn and nothing is a placeholder; in turns. “×” is beside the last of them, which asks no database.",
            _table(["page", "ms", "p95", "parts", "still", "×"], [row(*pair) for pair in seen.loaded]),
            "In one open tab, from the click, key or Back on, beside pages that show as much, by a part of Streamlit for each, and ask no database.",
            _table(["step", "ms", "p95", "parts", "still", "×"], [row(*pair) for pair in seen.steps]),
        )
    )


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ms(took: float) -> str:
    return f"{took:,.0f}" if took >= 100 else f"{took:.3g}"
