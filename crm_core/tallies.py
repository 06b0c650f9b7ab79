"""Tallies: totals of a slice from what the database keeps of each cell, and the proof of that from the standings.

No second truth: each change itself writes what is kept (`cells`), `verify` counts it again, and what
a slice asks that is not kept is counted row by row (`pipeline`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    cast,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    true,
    union_all,
)

from crm_core import cells, periods, sql
from crm_core.access import Person, others_visible_to
from crm_core.cells import (
    BESIDE,
    DAY,
    HOLDS,
    KEPT,
    KEYS,
    LEADS,
    MEASURES,
    MONTH,
    MOVED,
    NOW,
    NOW_ONLY,
    OVERDUE,
    STEPPED,
    TOTALS,
)
from crm_core.courses import AGED
from crm_core.periods import Period
from crm_core.schema import STILL, opportunity, standing, tally
from crm_core.slices import Slice

#: Whose the company's cells are; no user has this id.
COMPANY = 0
_COMPANY = tally.c.owner_id == COMPANY
#: What leads the kinds of cells that are kept, whose, and of when.
_KEPT = {kind[:3] for kind in KEPT}
#: The number of every day is larger, that of every month smaller.
_BETWEEN = 10**7
_OF_NOW = tally.c.at == 0


class Span(NamedTuple):
    """Months (202611) or days (20261124) from `first` to `last`, which add to what stood at the end of `days`."""

    first: int
    last: int
    days: list[date]


def rebuild(conn: Connection) -> int:
    """This function will write all tallies anew from the standings and return how many. The owner runs it."""
    if conn.dialect.name == "postgresql":
        # Else what others change meanwhile would be counted twice, or not at all.
        conn.execute(text("LOCK TABLE tally IN SHARE ROW EXCLUSIVE MODE"))
    conn.execute(delete(tally))
    for _kept_so, told in _told(tally):
        conn.execute(insert(tally).from_select([*KEYS, *MEASURES], union_all(*told)))
    return conn.scalar(select(func.count()).select_from(tally)) or 0


def add(conn: Connection, first: int) -> None:
    """This function will count the opportunities from an id on, all of which are new, in addition. The owner runs it."""
    more = Table(
        "tally_more", MetaData(), *(Column(c.name, c.type, key=c.key) for c in tally.c), prefixes=["TEMPORARY"]
    )
    more.create(conn)
    for _kept_so, told in _told(more, standing.c.id >= first):
        conn.execute(insert(more).from_select([*KEYS, *MEASURES], union_all(*told)))
    # in one order, so that two writers wait for each other's cells; the condition tells SQLite where ON belongs
    counted = select(more).where(true()).order_by(*(more.c[name] for name in KEYS))
    conn.execute(cells.added(conn.dialect.name, counted))
    more.drop(conn)


def verify(conn: Connection) -> str:
    """This function will name the first tally that is not what the standings say, or give ""."""
    for kept, told in _told(tally):
        stored = select(*(tally.c[name] for name in KEYS), *((-tally.c[name]).label(name) for name in MEASURES))
        both = union_all(*told, stored.where(kept)).subquery("both")
        keys = [both.c[name] for name in KEYS]
        query = select(*keys).group_by(*keys).having(cells.unequal(both)).order_by(*keys).limit(1)
        if wrong := conn.execute(query).one_or_none():
            return f"The tally {' '.join(map(str, wrong))} is not what the standings say."
    return ""


def _told(
    kept: Table, which: ColumnElement[bool] | None = None
) -> Iterator[tuple[ColumnElement[bool], list[Select[Any]]]]:
    """This function will give sets of tallies, and what they must be: by the standings, or by the set `kept` before.

    Of all standings, or of all those of some opportunities.
    """
    which = true() if which is None else which
    still, ended = and_(which, standing.c.to_at == STILL), and_(which, standing.c.to_at < STILL)
    # computed once for all that leads, which a subquery would not be
    change = cells.changes(or_(still, ended), ended).cte("change")
    company, at = kept.c.owner_id == COMPANY, kept.c.at
    days, months = (and_(company, part) for part in (at > _BETWEEN, at.between(1, _BETWEEN)))
    alone = or_(*(and_(kept.c.lead == one.lead, company if one.whose == 0 else ~company) for one in NOW_ONLY))
    stepped = cells.stepped(which).cte("stepped")
    by_day = ([kind for kind in kinds if kind.when == DAY] for kinds in (KEPT, STEPPED))
    yield days, [*cells.counted_each(change, next(by_day)), *cells.counted_each(stepped, next(by_day))]
    for part, source, made in ((MONTH, days, months), (NOW, months, and_(company, at == 0, ~alone))):
        keys = {name: kept.c[name] for name in KEYS} | {"at": kept.c.at // part}
        larger = select(*(key.label(name) for name, key in keys.items()), *cells.summed(kept))
        leads = [kind.lead for kind in (*KEPT, *STEPPED) if kind.when == part and kind not in NOW_ONLY]
        larger = larger.where(source, kept.c.lead.in_(leads)).group_by(*keys.values())
        yield made, [larger.having(cells.unequal(kept))]
    yield alone, cells.counted_each(cells.changes(still, false()).cte("change"), NOW_ONLY)


def query(asking: Person, slice_: Slice, by: tuple[str, ...] = ()) -> Select[Any] | None:
    """This function will select the keys of `by` (text), count, value, won_value and days of a slice in a person's scope.

    None where the tallies cannot tell: they know status, business unit, product and one dimension that leads,
    now or at the end of a day; now, owners and one more, or the region and a month; of what is overdue, or was at
    the end of a day, the region.
    """
    return _query(asking, slice_, by, _as_of(slice_))


@functools.lru_cache(maxsize=256)  # it depends on nothing else, and takes longer to build than to answer
def _query(asking: Person, slice_: Slice, by: tuple[str, ...], day: date | None) -> Select[Any] | None:
    known = _known(asking, slice_, by)
    if known is None:
        return None
    # a key begins with its month, so that only the months asked for are read
    lead = known[1][0]
    months = [_one_of(tally.c.key, lead, slice_)] if lead in ("created", "closed") and getattr(slice_, lead) else []
    parts = [_kept(*known).where(at, *months) for at in ([_OF_NOW] if day is None else map(_inside, spans([day])))]
    parts += [] if asking.may("opportunity.see_all") else [_others(asking, known[1])]
    facts = union_all(*parts).subquery("facts")
    where = _chosen(facts, slice_)
    sums: dict[str, ColumnElement[Any]] = {}
    for name, total in zip(TOTALS, cells.summed(facts, TOTALS), strict=True):
        whole = func.coalesce(total, 0, type_=total.type)
        # PostgreSQL adds whole numbers up to a numeric
        sums[name] = cast(whole, BigInteger) if name in ("count", "days") else whole
    keys = [facts.c[name] for name in by]
    totals = select(*keys, *(total.label(name) for name, total in sums.items())).where(*where)
    return totals.group_by(*keys).having(sums["count"] > 0) if keys else totals


@functools.lru_cache(maxsize=256)  # as above
def on_days(asking: Person, slice_: Slice, days: tuple[date, ...]) -> CompoundSelect[Any] | None:
    """This function will select by how much each of the `spans` of days changed a slice.

    Number of the span, count, value. None where the tallies cannot tell (`query`).
    """
    known = _known(asking, slice_.but(asof=str(max(days))))
    if known is None:
        return None
    parts = []
    for number, span in enumerate(spans(days)):
        facts = _kept(*known).where(_inside(span)).subquery("facts")
        sums = (func.coalesce(total, 0, type_=total.type) for total in cells.summed(facts, TOTALS[:2]))
        parts.append(select(literal(number), *sums).where(*_chosen(facts, slice_)))
    return union_all(*parts)


@functools.lru_cache(maxsize=256)  # as above
def aged_on(asking: Person, slice_: Slice, days: tuple[date, ...]) -> CompoundSelect[Any] | None:
    """This function will select by how much each of the `spans` of days changed the aged pipeline of a slice.

    status, lead (those of a band of ages or of a later one: `AGED`), band (of values), count, value, number of the span.
    None where the tallies cannot tell: they know status, business unit and product, of the company's past days.
    """
    asked = slice_.but(asof=None).to_params().keys()
    if asked - set(BESIDE) or not slice_.day() or not asking.may("opportunity.see_all"):
        return None
    keys = (tally.c.status, tally.c.lead, tally.c.key)
    where = (tally.c.lead.in_(AGED.values()), _COMPANY, *_chosen(tally, slice_))
    changed = select(*keys, *cells.summed(tally, TOTALS[:2])).where(*where).group_by(*keys)
    return union_all(*(changed.where(_inside(s)).add_columns(literal(n)) for n, s in enumerate(spans(days))))


def moved(asking: Person, slice_: Slice, span: Period) -> Select[Any] | None:
    """This function will count the steps of a slice's pipeline in a span of days: step, count, change (rupees).

    They are the steps of the whole company's pipeline, each in the part in which it left the opportunity. None where
    the tallies cannot tell: they know business unit, product, and the region or the owner.
    """
    wanted = {"step", *slice_.to_params()} - {"business_unit", "product"}
    lead = next((lead for lead, held in MOVED.items() if set(held) == wanted), None)
    if lead is None or not asking.may("opportunity.see_all"):
        return None
    facts = _kept(lead, MOVED[lead], _COMPANY).where(_during(span)).subquery("facts")
    count, change = cells.summed(facts, TOTALS[:2])
    return select(facts.c.step, count, change.label("change")).where(*_chosen(facts, slice_)).group_by(facts.c.step)


def _during(span: Period) -> ColumnElement[bool]:
    """The months and the days that a span is made of."""
    whole, days = periods.in_months(span)
    ends = [(_day(part.first), _day(part.after)) for part in days if part.first and part.after]
    if whole:
        ends.append((_month(whole.first) if whole.first else 1, _month(whole.after) if whole.after else _BETWEEN))
    return or_(false(), *(and_(tally.c.at >= first, tally.c.at < after) for first, after in ends))


def spans(days: Sequence[date]) -> list[Span]:
    """This function will give the months and days that add up to what stood at the end of each of these days.

    These are the months that have ended by then, and the days of the month that has not. SQLite reads a span
    from end to end by its key, but goes through all that is kept for several joined in one clause.
    """
    known = sorted(set(days))
    ends = sorted({_whole(day) for day in known})
    found = [
        Span(before + 1, whole, [day for day in known if whole <= _whole(day)])
        for before, whole in zip((0, *ends), ends, strict=False)
    ]
    for month, group in groupby((day for day in known if _whole(day) < _month(day)), key=_month):
        running = list(group)
        begins = (month * 100, *map(_day, running))
        found += [
            Span(before + 1, _day(last), running[place:])
            for place, (before, last) in enumerate(zip(begins, running, strict=False))
        ]
    return found


def _inside(span: Span) -> ColumnElement[bool]:
    return tally.c.at.between(span.first, span.last)


def _month(day: date) -> int:
    return day.year * 100 + day.month


def _day(day: date) -> int:
    return _month(day) * 100 + day.day


def _whole(day: date) -> int:
    """A month that has ended with the day, and every month before has; no month may have this number."""
    return _month(day) - (periods.next_day(day).day > 1)


def _known(
    asking: Person, slice_: Slice, by: Sequence[str] = ()
) -> tuple[str, Sequence[str], ColumnElement[bool]] | None:
    """What leads the cells that know a slice, the dimensions of their key, and whose they are; None where none do."""
    late, day = slice_.attention == (OVERDUE,), _as_of(slice_)
    asked = slice_.but(asof=None, attention=None if late else slice_.attention).to_params().keys() | set(by)
    wanted = asked - set(BESIDE)
    if (slice_.asof and not day) or not _of_whole_months(slice_):
        return None
    everything = asking.may("opportunity.see_all")
    if late:
        return (OVERDUE, ("region",), _COMPANY) if everything and day and wanted <= {"region"} else None
    whose = _COMPANY
    if not everything or ("owner" in wanted and len(wanted) > 1):
        if day or not (everything or asking.may("opportunity.see_own")):
            return None
        wanted -= {"owner"}
        whose = _owned(slice_) if everything else tally.c.owner_id == asking.id
    kind = (0 if whose is _COMPANY else 1, DAY if day else NOW)
    known = (lead for lead, held in HOLDS.items() if set(held) == (wanted or {"region"}))
    lead = next((lead for lead in known if (lead, *kind) in _KEPT), None)
    return (lead, HOLDS[lead], whose) if lead else None


def _as_of(slice_: Slice) -> date | None:
    """The day at whose end the cells are read; None for those of now, which know nothing that the days alone change."""
    late = slice_.attention == (OVERDUE,) and not slice_.asof
    return periods.today() if late else slice_.day()


def _owned(slice_: Slice) -> ColumnElement[bool]:
    """The own cells of the owners that a slice names, or of all."""
    if not slice_.owner:
        return tally.c.owner_id > COMPANY
    return sql.any_of(tally.c.owner_id, [owner for owner in slice_.parsed("owner") if owner > COMPANY])


def _kept(lead: str, held: Sequence[str], whose: ColumnElement[bool]) -> Any:
    return select(
        *([] if "owner" in held else [cast(tally.c.owner_id, Text).label("owner")]),
        *(part.label(name) for name, part in cells.apart(held, tally.c.key).items()),
        *(tally.c[name] for name in (*BESIDE, *TOTALS)),
    ).where(tally.c.lead == lead, whose)


def _others(asking: Person, held: Sequence[str]) -> Any:
    """What a person sees beside their own, row by row: they are few, and nobody's own but another's."""
    keys = [LEADS[name](opportunity) for name in held]
    return select(
        cast(opportunity.c.owner_id, Text),
        *keys,
        *(opportunity.c[name] for name in BESIDE),
        literal(1),
        *cells.measured(opportunity).values(),
    ).where(others_visible_to(asking), *(key.is_not(None) for key in keys))


def _of_whole_months(slice_: Slice) -> bool:
    known = [*slice_.parsed("created"), *slice_.parsed("closed")]
    ends = [end for period in known for end in (period.first, period.after) if end]
    return all(end.day == 1 for end in ends)


def _chosen(facts: FromClause, slice_: Slice) -> list[ColumnElement[bool]]:
    names = slice_.but(asof=None, attention=None).to_params()
    return [_one_of(facts.c[name], name, slice_) for name in names]


def _one_of(column: ColumnElement[str], name: str, slice_: Slice) -> ColumnElement[bool]:
    parsed = slice_.parsed(name)
    if name not in ("created", "closed"):
        return sql.any_of(column, [str(value) for value in parsed])
    months = [tuple(end and f"{end:%Y-%m}" for end in (period.first, period.after)) for period in parsed]
    return or_(false(), *(sql.between(column, *ends) for ends in months))
