"""Cells: what a change of an opportunity adds to the tallies, and what it takes from them.

A standing is counted from its beginning to its end; of some kinds of cells from a later day on, which may
be yet to come: overdue from the day after its next step, and in each band of ages from its first day. The
database counts those of each change (`KEEP`); `tallies` counts them all, by the same expression.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy import literal_column as raw
from sqlalchemy.dialects import postgresql, sqlite

from crm_core import courses, lifecycle, sql
from crm_core.schema import standing, tally
from crm_core.steps import STEPS

#: What leads a cell, and how its key is read from an opportunity or a standing; a month comes before a region.
LEADS: dict[str, Callable[[FromClause], ColumnElement[str]]] = {
    "closed": lambda facts: sql.india_month(facts.c.closed_at),
    "created": lambda facts: sql.india_month(facts.c.created_at),
    "owner": lambda facts: cast(facts.c.owner_id, Text),
    "region": lambda facts: facts.c.region,
    "closed_region": lambda facts: sql.india_month(facts.c.closed_at) + facts.c.region,
    "created_region": lambda facts: sql.india_month(facts.c.created_at) + facts.c.region,
}
#: The dimensions of what leads, in the order in which they make its key.
HOLDS = {lead: tuple(lead.split("_")) for lead in LEADS}
_MONTH = len("2026-11")
_STEP = max(map(len, STEPS))
#: What leads a ledger of months and days too.
_LEDGERS = tuple(lead for lead, held in HOLDS.items() if len(held) == 1)
#: What every cell is of besides.
BESIDE = ("status", "business_unit", "product")
TOTALS = ("count", "value", "won_value", "days")
MEASURES = (*TOTALS, "seen")
KEYS = tuple(column.key for column in tally.primary_key)
#: By what the number of a day (20261124) is divided to give that of its month, of itself, and of now, which is 0.
MONTH, DAY, NOW = 100, 1, 10**8


class Kind(NamedTuple):
    """A kind of cells: what leads, whose (0: the company's, 1: each owner's own), of when, and what is their key.

    A standing counts in them from the day that is `after` days from `since` (a day of `_change`) on, not before it begins.
    """

    lead: str
    whose: int
    when: int
    key: str
    since: str = "day"
    after: int = 0


OVERDUE = "overdue"
_STAGE = "stage"
#: The kinds of cells that are kept, and those of them that no ledger adds up to.
NOW_ONLY = (
    *(Kind(lead, 1, NOW, lead) for lead in _LEDGERS if lead != "owner"),
    *(Kind(lead, 0, NOW, lead) for lead in LEADS if lead not in _LEDGERS),
)
KEPT = (
    *(Kind(lead, 0, when, lead) for lead in _LEDGERS for when in (NOW, MONTH, DAY)),
    *NOW_ONLY,
    *(Kind(OVERDUE, 0, when, "region", "next_step", 1) for when in (MONTH, DAY)),
    *(
        Kind(lead, 0, when, "band", _STAGE, courses.first_day(age))
        for age, lead in courses.AGED.items()
        for when in (MONTH, DAY)
    ),
)
#: What leads the cells of the steps of the bridge, which add up to no cell of now, and what their key holds.
MOVED: dict[str, tuple[str, ...]] = {
    "moved": ("step",),
    "moved_region": ("step", "region"),
    "moved_owner": ("step", "owner"),
}
STEPPED = tuple(Kind(lead, 0, when, lead) for lead in MOVED for when in (MONTH, DAY))


def changes(begun: ColumnElement[bool], ended: ColumnElement[bool]) -> CompoundSelect[Any]:
    """This function will tell the standings that began as counted once more, and those that ended as once less."""
    return union_all(_change(1, standing.c.from_at, begun), _change(-1, standing.c.to_at, ended))


def _change(count: int, at: ColumnElement[Any], which: ColumnElement[bool]) -> Select[Any]:
    measures, in_pipeline, day = measured(standing), standing.c.status.in_(lifecycle.PIPELINE), sql.india_day(at)
    return select(
        literal(count).label("count"),
        day.label("day"),
        sql.india_day(standing.c.to_at).label("until"),
        sql.date_number(day).label("number"),
        case((in_pipeline, sql.unix_day(standing.c.next_step_on))).label("next_step"),
        case((in_pipeline, sql.india_day(standing.c.status_at))).label(_STAGE),
        standing.c.owner_id,
        courses.value_band(standing.c.value).label("band"),
        *(key(standing).label(lead) for lead, key in LEADS.items()),
        *(standing.c[name] for name in BESIDE),
        *((m if count > 0 else -m).label(name) for name, m in measures.items()),
    ).where(which)


def stepped(begun: ColumnElement[bool]) -> Select[Any]:
    """This function will tell the steps of standings that began: each counted once, with what it changed as its value."""
    day = sql.india_day(standing.c.from_at)
    step = func.substr(standing.c.step + " " * _STEP, 1, _STEP, type_=Text())
    return select(
        literal(1).label("count"),
        day.label("day"),
        sql.date_number(day).label("number"),
        standing.c.owner_id,
        *(sum((LEADS[name](standing) for name in held[1:]), step).label(lead) for lead, held in MOVED.items()),
        *(standing.c[name] for name in BESIDE),
        standing.c.change.label("value"),
        *(literal(0).label(name) for name in ("won_value", "days")),
    ).where(begun, standing.c.step.is_not(None))


def apart(held: Sequence[str], key: ColumnElement[str]) -> dict[str, ColumnElement[str]]:
    """This function will take a key apart into the dimensions that it holds."""
    if len(held) == 1 and held[0] != "step":
        return {held[0]: key}
    wide = _STEP if held[0] == "step" else _MONTH
    first: ColumnElement[str] = func.substr(key, 1, wide, type_=Text())
    if held[0] == "step":
        first = func.rtrim(first, type_=Text())
    return dict(zip(held, (first, func.substr(key, wide + 1, type_=Text())), strict=False))


def measured(facts: FromClause) -> dict[str, ColumnElement[Any]]:
    """This function will measure an opportunity or a standing: value, won value, and the days from creation to close."""
    open_for = sql.india_day(facts.c.closed_at) - sql.india_day(facts.c.created_at)
    return {
        "value": facts.c.value,
        "won_value": func.coalesce(facts.c.won_value, 0, type_=facts.c.value.type),
        "days": func.coalesce(open_for, 0),
    }


def counted(change: FromClause, kept: Sequence[Kind]) -> Select[Any]:
    """This function will sum a few changes by each cell of these kinds that they change: a row as in `tally`."""
    # A SELECT for each kind takes PostgreSQL longer to begin than to run. Both name the columns of VALUES so.
    rows, types = ", ".join(repr(tuple(one)) for one in kept), {str: Text, int: Integer}
    columns: list[Any] = [column(f"column{n}", types[type(value)]) for n, value in enumerate(kept[0], 1)]
    table = text(f"VALUES {rows}").columns(*columns).subquery("kind")
    kind: Any = Kind(*table.c)
    since = case(*((kind.since == name, change.c[name]) for name in dict.fromkeys(one.since for one in kept)))
    key = case(*((kind.key == name, change.c[name]) for name in dict.fromkeys(one.key for one in kept)))
    keys, seen, where = _cell(change, kind, key, since)
    return _by(change, keys, keys.values(), seen).select_from(change.join(table, true())).where(where)


def counted_each(change: FromClause, kept: Collection[Kind]) -> list[Select[Any]]:
    """This function will sum the changes of whole standings, however many, as `counted` does: each kind by itself.

    A standing that ended before it would have counted is left out at once: its two changes take each other away.
    """
    counts = []
    for kind in kept:
        keys, seen, where = _cell(change, kind, change.c[kind.key], change.c[kind.since])
        lasted = true() if kind.since == "day" else change.c.until > change.c[kind.since] + kind.after
        constant = {"lead": literal(kind.lead)} | ({} if kind.whose else {"owner_id": literal(0)})
        groups = [key for name, key in keys.items() if name not in constant]
        counts.append(_by(change, keys | constant, groups, seen).where(where, lasted))
    return counts


def _cell(
    change: FromClause, kind: Any, key: ColumnElement[Any], since: ColumnElement[Any]
) -> tuple[dict[str, ColumnElement[Any]], ColumnElement[int], ColumnElement[bool]]:
    """The keys of the cell of a kind that a change is counted in, how many it lets be seen in a stage, and whether there is one."""
    first = since + kind.after
    keys = {
        "lead": kind.lead,
        "owner_id": change.c.owner_id * kind.whose,
        "at": case((first > change.c.day, sql.date_number(first)), else_=change.c.number) // kind.when,
        "key": key,
        **{name: change.c[name] for name in BESIDE},
    }
    # what ends on the day itself is not seen at its end, and what begins later never was
    seen = case((and_(kind.since == _STAGE, first >= change.c.day), change.c["count"]), else_=0)
    return keys, seen, and_(key.is_not(None), since.is_not(None))


def _by(
    change: FromClause, keys: Mapping[str, ColumnElement[Any]], groups: Iterable[Any], seen: ColumnElement[int]
) -> Select[Any]:
    sums = [*summed(change, TOTALS), func.sum(seen, type_=tally.c.seen.type).label("seen")]
    query = select(*(keys[name].label(name) for name in KEYS), *sums)
    return query.group_by(*groups).having(_any(sums))


def summed(source: FromClause, names: Sequence[str] = MEASURES) -> list[ColumnElement[Any]]:
    """This function will sum measures of cells or changes, exactly."""
    return [func.sum(source.c[name], type_=tally.c[name].type).label(name) for name in names]


def unequal(source: FromClause) -> ColumnElement[bool]:
    """This function will tell whether the measures do not all sum up to nothing."""
    return _any(summed(source))


def _any(sums: Iterable[ColumnElement[Any]]) -> ColumnElement[bool]:
    return or_(*(total != 0 for total in sums))


def added(dialect: str, counts: Select[Any]) -> Any:
    """This function will add counts, a row as in `tally` each, to the tallies that are kept."""
    adding = _DIALECTS[dialect].insert(tally).from_select([*KEYS, *MEASURES], counts)
    more = {tally.c[name]: tally.c[name] + adding.excluded[name] for name in MEASURES}
    return adding.on_conflict_do_update(index_elements=tally.primary_key.columns, set_=more)


def _keep(dialect: str, changed: FromClause, kept: Sequence[Kind]) -> str:
    # In one order, so that no two writers wait for each other's cells.
    counts = counted(changed, kept).order_by(*map(raw, KEYS))
    how: dict[str, Any] = {"dialect": _DIALECTS[dialect].dialect(), "compile_kwargs": {"literal_binds": True}}
    return str(added(dialect, counts).compile(**how))


def _kept() -> Iterable[dict[str, str]]:
    mine = standing.c.id == raw("NEW.id")
    begun, ended = (and_(mine, standing.c.version == raw(f"NEW.version{before}")) for before in ("", " - 1"))
    for changed, kept in ((changes(begun, ended), KEPT), (stepped(begun), STEPPED)):
        yield {name: _keep(name, changed.subquery("change"), kept) for name in _DIALECTS}


_DIALECTS: dict[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
#: What the database runs after each change of an opportunity, by dialect. A change that leaves its cell
#: and its amounts as they were writes nothing.
KEEP = tuple(_kept())
