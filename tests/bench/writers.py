"""Twenty at once on PostgreSQL: what the server carries, with everything on, and whether all of it holds afterwards."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from crm_core import courses, fields, opportunities, standings, tallies
from crm_core import demo_words as words
from crm_core.access import Actor
from crm_core.database import Database, open_database, unhurry
from crm_core.errors import Conflict, Invalid
from tests.bench import floors
from tests.bench.floors import Floor
from tests.bench.operations import Cast, cast
from tests.bench.places import Place

WRITERS = 20
#: For so many seconds the writers connect and write without being counted.
GATHERING = 2.0
WORK = [(fields.to_code(unit), product) for unit, (products, _titles) in words.WORK.items() for product in products]


@dataclass(frozen=True)
class Written:
    """How many transactions a second were committed by whom, and how many were refused as outdated."""

    name: str
    each_second: float
    refused: int


def written(place: Place, seconds: float) -> list[Written]:
    """This function will let twenty writers at a database for so many seconds, in each of four ways."""
    database = open_database(place.app)
    those, made = cast(database), []
    for name, kind, work in (
        ("the core, 20 processes", "processes", partial(_core, those)),
        ("the core, 20 threads of one process", "threads", partial(_core, those)),
        ("bare rows, 20 processes", "processes", partial(_bare, place, those, False)),
        ("bare rows and rollups, 20 processes", "processes", partial(_bare, place, those, True)),
    ):
        database.dispose()  # each process is to connect for itself
        pool = ThreadPoolExecutor(WRITERS, "", _inherit, (database,))
        if kind == "processes":
            pool = ProcessPoolExecutor(WRITERS, multiprocessing.get_context("fork"), _inherit, (database,))
        made.append(_together(name, pool, work, seconds))
    database.dispose()
    return made


def _together(name: str, pool: Executor, work: Callable[..., tuple[int, int]], seconds: float) -> Written:
    start = time.time() + GATHERING
    with pool:
        tasks = [pool.submit(work, number, start, start + seconds) for number in range(WRITERS)]
        done, refused = (sum(column) for column in zip(*(task.result() for task in tasks), strict=True))
    return Written(name, done / seconds, refused)


def holds(place: Place) -> dict[str, str]:
    """This function will prove what is kept beside the records by a recount: what is wrong by its name, or ""."""
    database = open_database(place.owner, owner=True)
    found = {}
    for kept in (standings, tallies, courses):
        with database.read() as conn:
            unhurry(conn)
            found[kept.__name__.rpartition(".")[2]] = kept.verify(conn)
    database.dispose()
    return found


_inherited: list[Database] = []


def _inherit(database: Database) -> None:
    _inherited[:] = [database]


def _core(those: Cast, number: int, start: float, end: float) -> tuple[int, int]:
    """One writer: creates, moves, edits and gives away whatever comes; returns what was committed and refused in time."""
    [database], chance, done, refused = _inherited, random.Random(number), 0, 0

    def create() -> None:
        unit, product = chance.choice(WORK)
        given = {"customer_id": those.customer, "region": chance.choice(those.regions), "value": "4,50,000"}
        given |= {"business_unit": unit, "product": product}
        database.submit(opportunities.create, Actor(chance.choice(those.owners)), given)

    def change(verb: Callable[..., Any], *given: Any) -> None:
        database.submit(verb, those.manager, chance.choice(those.open), *given)

    acts: tuple[Callable[[], None], ...] = (
        create,
        lambda: change(opportunities.move, "make_offer"),
        lambda: change(opportunities.edit, {"value": chance.randint(1, 9999) * 1000}),
        lambda: change(opportunities.reassign, chance.choice(those.owners)),
    )
    while (begun := time.time()) < end:
        act = chance.choices(acts, (30, 30, 30, 10))[0]
        try:
            act()
            done += begun >= start
        except (Conflict, Invalid):
            refused += begun >= start
    return done, refused


def _bare(place: Place, those: Cast, rolled: bool, number: int, start: float, end: float) -> tuple[int, int]:
    """The same with one bare row each, in a transaction of one statement; `rolled` keeps the rollups in it too."""
    floor, chance = Floor(place.bare(), place.kind), random.Random(number)
    done, fresh = 0, iter(range(10**10 * (number + 1) + 10**9 * rolled, 10**12))
    at = datetime(2026, 11, 2, tzinfo=UTC)
    while (begun := time.time()) < end:
        region, owner, (unit, product) = chance.choice(those.regions), chance.choice(those.owners), chance.choice(WORK)
        cell = {"status": "open", "bu": unit, "product": product, "region": region, "owner": owner}
        act = chance.choices(("create", "move", "edit"), (30, 30, 40))[0]
        cell["month"] = "2026-11" if act == "create" else f"2026-{chance.randint(1, 10):02}"
        sql: str
        given: tuple[Any, ...]
        if act == "create":
            sql, given = floors.ADDING, (region, owner, at, those.customer, next(fresh))
            cells = [(cell, 1, 45_000_000)]
        elif act == "move":
            sql, given = floors.MOVING, (chance.choice(those.open),)
            cells = [(cell, -1, -1000), ({**cell, "status": "offer_made"}, 1, 1000)]
        else:
            sql, given = floors.EDITING, (chance.randint(1, 10**6), chance.choice(those.open))
            cells = [(cell, 0, 1000)]
        floor.write(sql, given, cells if rolled else ())
        done += begun >= start
    floor.conn.close()
    return done, 0
