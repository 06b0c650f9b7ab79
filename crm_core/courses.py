"""Courses: what became of the company's stays in a stage, counted; no opportunity is named.

The counts are the company's, whoever asks. Of the stays that ended, whenever that was, the database keeps
them with each closing (`KEEP`); those of a span are counted from the standings, on PostgreSQL by a function
that row security does not bind (`walls`), made of this very select.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import literal_column as raw
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from crm_core import lifecycle, sql
from crm_core.schema import course, standing, transition

#: The bands of the value in rupees, [from, to); the last has no end.
VALUES = ("0-500000", "500000-2000000", "2000000-")
_CLOSINGS = 2**20  # more than twice the days of the calendar (periods.LAST_DAY)
COLUMNS: dict[str, TypeEngine[Any]] = {column.name: column.type for column in course.columns}
_KEYS = ("status", "first", "band", "known")


def value_band(value: ColumnElement[Decimal]) -> ColumnElement[str]:
    """This function will give the band of a value."""
    return case(*((value < Decimal(band.split("-")[1]), band) for band in VALUES[:-1]), else_=VALUES[-1])


def first_day(age: str) -> int:
    """This function will give the day with which a band of ages begins."""
    return int(age.split("-")[0])


def learnt(conn: Connection, after: int, within: int | None) -> Any:
    """This function will give the counts as something to select from, on either database (`counted`)."""
    if within is None:
        return course
    if conn.dialect.name == "postgresql":
        given = (literal(after, Integer), literal(within, Integer))
        return func.crm_learnt(*given).table_valued(*(column(c, t) for c, t in COLUMNS.items()))
    return counted(literal(after, Integer), literal(within, Integer)).subquery("learnt")


def rebuild(conn: Connection) -> int:
    """This function will write all counts that are kept anew from the standings and return how many. The owner runs it."""
    conn.execute(delete(course))
    conn.execute(insert(course).from_select(list(COLUMNS), counted(literal(0), null())))
    return conn.scalar(select(func.count()).select_from(course)) or 0


def add(conn: Connection, first: int) -> None:
    """This function will count the stays of the opportunities from an id on, all of which are new, in addition."""
    conn.execute(_added(conn.dialect.name, counted(literal(0), null(), standing.c.id >= first)))


def verify(conn: Connection) -> str:
    """This function will name the first count kept that is not what the standings say, or give ""."""
    told = counted(literal(0), null()).subquery("told")
    kept = select(*(course.c[name] if name in _KEYS else (-course.c[name]).label(name) for name in COLUMNS))
    both = union_all(select(told), kept).subquery("both")
    keys = [both.c[name] for name in _KEYS]
    unequal = or_(func.sum(both.c.deals) != 0, func.sum(both.c.won) != 0)
    wrong = conn.execute(select(*keys).group_by(*keys).having(unequal).order_by(*keys).limit(1)).one_or_none()
    return f"The course {' '.join(map(str, wrong))} is not what the standings say." if wrong else ""


def counted(
    after: ColumnElement[int],
    within: ColumnElement[Any],
    which: ColumnElement[bool] | None = None,
    version: ColumnElement[int] | None = None,
) -> Select[Any]:
    """This function will count how the stays that lived through the first day of a band of ages ended.

    status, first (that day, counted from the one of entry), band (of the value on entry), known (the
    day, since 1970 in India, by which the end was known), deals, won. `won`: the next closing was a
    win, and happened more than `after` and at most `within` days after the first day of the band;
    without `within`, whenever it happened, of those that closed. `which`: only the standings of some
    opportunities, and of these only what the closing that made a `version` ended.
    """
    stays = _stays(true() if which is None else which)
    bands = union_all(*(select(literal(first_day(age), Integer).label("first")) for age in lifecycle.AGES)).subquery()
    seen = stays.c.entered + bands.c.first
    closed = cast(stays.c.closing % _CLOSINGS // 2, Integer)
    known = case((within.is_(None), closed), else_=seen + within)
    in_time = or_(within.is_(None), and_(closed > seen + after, closed <= seen + within))
    won = case((and_(stays.c.closing % 2 == 0, in_time), 1), else_=0)
    keys = (stays.c.status, bands.c.first, stays.c.band, known)
    ended = true() if version is None else stays.c.closing // _CLOSINGS == version
    return (
        select(*keys[:3], known.label("known"), func.count().label("deals"), func.sum(won).label("won"))
        .select_from(stays.join(bands, or_(stays.c.left.is_(None), stays.c.left > seen)))
        .where(stays.c.status.in_(lifecycle.PIPELINE), known.is_not(None), ended)
        .group_by(*keys)
    )


def _stays(which: ColumnElement[bool]) -> Subquery:
    """Every status ever held: status, band, the days of entry and leaving, and the next closing as one number.

    That number is the closing's version, then its day, then 0 for a win: the least is the next, and
    one pass over the history finds it.
    """
    window: dict[str, Any] = {"partition_by": standing.c.id, "order_by": standing.c.version}
    made = and_(transition.c.opportunity_id == standing.c.id, transition.c.seq == standing.c.version)
    day = sql.india_day(standing.c.from_at)
    lost = case((standing.c.status == lifecycle.WON, 0), else_=1)
    closing = cast(standing.c.version, BigInteger) * _CLOSINGS + day * 2 + lost
    closing = case((standing.c.status.in_(lifecycle.CLOSED), closing))
    return (
        select(
            standing.c.status,
            value_band(standing.c.value).label("band"),
            day.label("entered"),
            func.lead(day).over(**window).label("left"),
            func.min(closing).over(**window, rows=(1, None)).label("closing"),
        )
        .select_from(standing.join(transition, made))
        .where(which)
        .subquery("stays")
    )


def _added(dialect: str, counts: Select[Any]) -> Any:
    # in one order, so that no two writers wait for each other's counts
    adding = _DIALECTS[dialect].insert(course).from_select(list(COLUMNS), counts.order_by(*map(raw, _KEYS)))
    more = {course.c[name]: course.c[name] + adding.excluded[name] for name in ("deals", "won")}
    return adding.on_conflict_do_update(index_elements=course.primary_key.columns, set_=more)


def _keep(dialect: str) -> str:
    closing = (standing.c.id == raw("NEW.opportunity_id", BigInteger()), raw("NEW.seq", Integer()))
    how: dict[str, Any] = {"dialect": _DIALECTS[dialect].dialect(), "compile_kwargs": {"literal_binds": True}}
    return str(_added(dialect, counted(literal(0), null(), *closing)).compile(**how))


_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
#: What the database runs after each transition, by dialect: what it closes is counted.
KEEP = {name: _keep(name) for name in _DIALECTS}
