"""Courses: what became of the company's stays in a stage, counted; no opportunity is named.

The counts are the company's, whoever asks, and the database keeps them with each closing (`KEEP`): how the stays
that it ended did, and how many days after they were seen those were won. How many were seen on a day at all, the
tallies keep (`cells`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    Subquery,
    Table,
    and_,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import literal_column as raw
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from crm_core import lifecycle, sql
from crm_core.schema import course, standing, tally, win

#: The bands of the value in rupees, [from, to); the last has no end.
VALUES = ("0-500000", "500000-2000000", "2000000-")
_CLOSINGS = 2**20  # more than twice the days of the calendar (periods.LAST_DAY)
#: By what the number of a day (20261124) is divided to give that of itself, and of its month.
_DAY, _MONTH = 1, 100


def value_band(value: ColumnElement[Decimal]) -> ColumnElement[str]:
    """This function will give the band of a value."""
    return case(*((value < Decimal(band.split("-")[1]), band) for band in VALUES[:-1]), else_=VALUES[-1])


def first_day(age: str) -> int:
    """This function will give the day with which a band of ages begins."""
    return int(age.split("-")[0])


#: What leads the tallies of those in the pipeline that have been in their stage for so many days, by the band of ages.
AGED = {age: f"aged_{first_day(age)}" for age in lifecycle.AGES}
#: What is learnt of a cell: how many stays were seen, and how many of them were won.
LEARNT: dict[str, TypeEngine[Any]] = {c.name: c.type for c in course.columns if c is not course.c.known}


def cells(kept: FromClause) -> list[ColumnElement[bool]]:
    """This function will name all cells of stage, age and value, which lead the keys of what is kept."""
    firsts = [first_day(age) for age in lifecycle.AGES]
    return [kept.c.status.in_(lifecycle.PIPELINE), kept.c.first.in_(firsts), kept.c.band.in_(VALUES)]


def learnt(conn: Connection, day: date, after: int, within: int) -> Select[Any]:
    """This function will count the stays that were seen `within` days before the end of a day, or earlier.

    status, first (day of the stay on which it was seen), band (of the value on that day), deals, won: more than
    `after` and at most `within` days after it was seen, by the next closing.
    """
    last = day - timedelta(days=within) if within < day.toordinal() else date.min
    given = (literal(number, Integer) for number in (last.year * 10_000 + last.month * 100 + last.day, after, within))
    if conn.dialect.name == "postgresql":
        counts: Any = func.crm_learnt(*given).table_valued(*(column(c, t) for c, t in LEARNT.items()))
        return select(*counts.c)
    return seen_until(*given)


def seen_until(last: ColumnElement[int], after: ColumnElement[int], within: ColumnElement[int]) -> Select[Any]:
    """This function will count what `learnt` does, of the stays that were seen until a day, by its number (20261124).

    What is kept of the months before, and of the days of its own.
    """
    first = case(*((tally.c.lead == lead, first_day(age)) for age, lead in AGED.items()))
    aged = (tally.c.lead.in_(AGED.values()), tally.c.owner_id == 0)
    parts = []
    for begin, end in ((raw("1", Integer()), last // _MONTH - 1), (last // _MONTH * _MONTH, last)):
        cell = (tally.c.status, first.label("first"), tally.c.key.label("band"))
        seen = select(*cell, func.sum(tally.c.seen).label("deals"), raw("0", BigInteger()).label("won"))
        parts.append(seen.where(*aged, tally.c.at.between(begin, end)).group_by(*cell))
        of_wins = (win.c.status, win.c.first, win.c.band)
        won = select(*of_wins, raw("0", BigInteger()), func.sum(win.c.deals))
        in_time = (win.c.seen.between(begin, end), win.c.days > after, win.c.days <= within)
        parts.append(won.where(*cells(win), *in_time).group_by(*of_wins))
    both = union_all(*parts).subquery("both")
    keys = (both.c.status, both.c.first, both.c.band)
    sums = (cast(func.sum(both.c[name]), BigInteger).label(name) for name in ("deals", "won"))
    return select(*keys, *sums).group_by(*keys)


def rebuild(conn: Connection) -> int:
    """This function will write all counts that are kept anew from the standings and return how many. The owner runs it."""
    written = 0
    for kept, counts in _told(_seen()):
        conn.execute(delete(kept))
        conn.execute(insert(kept).from_select(kept.columns.keys(), counts))
        written += conn.scalar(select(func.count()).select_from(kept)) or 0
    return written


def add(conn: Connection, first: int) -> None:
    """This function will count the stays of the opportunities from an id on, all of which are new, in addition."""
    for kept, counts in _told(_seen(standing.c.id >= first)):
        conn.execute(_added(conn.dialect.name, kept, counts))


def verify(conn: Connection) -> str:
    """This function will name the first count kept that is not what the standings say, or give ""."""
    for kept, counts in _told(_seen()):
        names, measures = kept.primary_key.columns.keys(), _measures(kept)
        stored = select(*(kept.c[name] for name in names), *((-kept.c[name]).label(name) for name in measures))
        both = union_all(select(counts.subquery("told")), stored).subquery("both")
        keys = [both.c[name] for name in names]
        unequal = or_(*(func.sum(both.c[name]) != 0 for name in measures))
        wrong = conn.execute(select(*keys).group_by(*keys).having(unequal).order_by(*keys).limit(1)).one_or_none()
        if wrong:
            return f"The {kept.name} {' '.join(map(str, wrong))} is not what the standings say."
    return ""


def _told(seen: Subquery) -> Iterator[tuple[Table, Select[Any]]]:
    """What is kept, and what it must be of these stays."""
    keys = (seen.c.status, seen.c.first, seen.c.band)
    closed, won = cast(seen.c.closing % _CLOSINGS // 2, Integer), seen.c.closing % 2 == 0
    counted = (func.count().label("deals"), func.sum(case((won, 1), else_=0)).label("won"))
    yield course, select(*keys, closed.label("known"), *counted).group_by(*keys, closed)
    part = union_all(*(select(literal(n, Integer).label("part")) for n in (_DAY, _MONTH))).subquery("part")
    day, days = sql.date_number(seen.c.day) // part.c.part, closed - seen.c.day
    of_wins = select(*keys, day.label("seen"), days.label("days"), counted[0])
    yield win, of_wins.select_from(seen.join(part, true())).where(won).group_by(*keys, day, days)


def _seen(which: ColumnElement[bool] | None = None, version: ColumnElement[int] | None = None) -> Subquery:
    """Every stay that a closing ended, on the first day of each band of ages that it lived through: seen at its end.

    status, first, band, day, and the next closing as one number: its version, then its day, then 0 for a
    win: the least is the next, and one pass over the history finds it. `which`: only the standings of some
    opportunities, and of these only what the closing that made a `version` ended.
    """
    window: dict[str, Any] = {"partition_by": standing.c.id, "order_by": standing.c.version}
    begun, ended = sql.india_day(standing.c.from_at), sql.india_day(standing.c.to_at)
    lost = case((standing.c.status == lifecycle.WON, 0), else_=1)
    closing = cast(standing.c.version, BigInteger) * _CLOSINGS + begun * 2 + lost
    closing = case((standing.c.status.in_(lifecycle.CLOSED), closing))
    stood = (
        select(
            standing.c.status,
            value_band(standing.c.value).label("band"),
            begun.label("begun"),
            ended.label("ended"),
            sql.india_day(standing.c.status_at).label("entered"),
            func.min(closing).over(**window, rows=(1, None)).label("closing"),
        )
        .where(true() if which is None else which)
        .subquery("stood")
    )
    bands = union_all(*(select(literal(first_day(age), Integer).label("first")) for age in lifecycle.AGES)).subquery()
    day = stood.c.entered + bands.c.first
    there = and_(stood.c.begun <= day, day < stood.c.ended)
    by = stood.c.closing.is_not(None) if version is None else stood.c.closing // _CLOSINGS == version
    return (
        select(stood.c.status, bands.c.first, stood.c.band, day.label("day"), stood.c.closing)
        .select_from(stood.join(bands, there))
        .where(stood.c.status.in_(lifecycle.PIPELINE), by)
        .subquery("seen")
    )


def _measures(kept: Table) -> list[str]:
    return [column.key for column in kept.columns if not column.primary_key]


def _added(dialect: str, kept: Table, counts: Select[Any]) -> Any:
    # in one order, so that no two writers wait for each other's counts
    ordered = counts.order_by(*map(raw, kept.primary_key.columns.keys()))
    adding = _DIALECTS[dialect].insert(kept).from_select(kept.columns.keys(), ordered)
    more = {kept.c[name]: kept.c[name] + adding.excluded[name] for name in _measures(kept)}
    return adding.on_conflict_do_update(index_elements=kept.primary_key.columns, set_=more)


def _keep() -> Iterator[dict[str, str]]:
    closing = (standing.c.id == raw("NEW.opportunity_id", BigInteger()), raw("NEW.seq", Integer()))
    for kept, counts in _told(_seen(*closing)):
        yield {name: _written(name, kept, counts) for name in _DIALECTS}


def _written(dialect: str, kept: Table, counts: Select[Any]) -> str:
    how: dict[str, Any] = {"dialect": _DIALECTS[dialect].dialect(), "compile_kwargs": {"literal_binds": True}}
    return str(_added(dialect, kept, counts).compile(**how))


_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
#: What the database runs after each transition, by dialect: what it closes is counted.
KEEP = tuple(_keep())
