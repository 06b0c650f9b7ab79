"""Tallies: totals of a slice from what the database keeps of each cell, and the proof of that from the standings.

No second truth: each change itself writes what is kept (`cells`), `verify` counts it again, and what
a slice asks that is not kept is counted row by row (`pipeline`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
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

from crm_core import cells, sql
from crm_core.access import Person, others_visible_to
from crm_core.cells import BESIDE, DAY, KEPT, KEYS, LEADS, MEASURES, MONTH, NOW, OF_OWNERS
from crm_core.schema import STILL, opportunity, standing, tally
from crm_core.slices import Slice

#: Whose the company's cells are; no user has this id.
COMPANY = 0
_COMPANY = tally.c.owner_id == COMPANY
#: The number of every day is larger, that of every month smaller.
_BETWEEN = 10**7
_OF_DAYS, _OF_MONTHS, _OF_NOW = tally.c.at > _BETWEEN, tally.c.at.between(1, _BETWEEN), tally.c.at == 0


def rebuild(conn: Connection) -> int:
    """This function will write all tallies anew from the standings and return how many. The owner runs it."""
    if conn.dialect.name == "postgresql":
        # Else what others change meanwhile would be counted twice, or not at all.
        conn.execute(text("LOCK TABLE tally IN SHARE ROW EXCLUSIVE MODE"))
    conn.execute(delete(tally))
    for _kept_so, told in _told():
        conn.execute(insert(tally).from_select([*KEYS, *MEASURES], told))
    return conn.scalar(select(func.count()).select_from(tally)) or 0


def verify(conn: Connection) -> str:
    """This function will name the first tally that is not what the standings say, or give ""."""
    for kept, told in _told():
        stored = select(*(tally.c[name] for name in KEYS), *((-tally.c[name]).label(name) for name in MEASURES))
        both = union_all(told, stored.where(kept)).subquery("both")
        keys = [both.c[name] for name in KEYS]
        query = select(*keys).group_by(*keys).having(cells.unequal(both)).order_by(*keys).limit(1)
        if wrong := conn.execute(query).one_or_none():
            return f"The tally {' '.join(map(str, wrong))} is not what the standings say."
    return ""


def _told() -> Iterator[tuple[ColumnElement[bool], Select[Any]]]:
    """This function will give sets of tallies, and what they must be: by the standings, or by the set before."""
    still, ended = standing.c.to_at == STILL, standing.c.to_at < STILL
    # computed once for all that leads, which a subquery would not be
    change = cells.changes(or_(still, ended), ended).cte("change")
    yield and_(_COMPANY, _OF_DAYS), cells.counted(change, [kind for kind in KEPT if kind[2] == DAY])
    for part, source, made in ((MONTH, _OF_DAYS, _OF_MONTHS), (NOW, _OF_MONTHS, _OF_NOW)):
        keys = {name: tally.c[name] for name in KEYS} | {"at": tally.c.at // part}
        larger = select(*(key.label(name) for name, key in keys.items()), *cells.summed(tally))
        larger = larger.where(_COMPANY, source).group_by(*keys.values())
        yield and_(_COMPANY, made), larger.having(cells.unequal(tally))
    yield ~_COMPANY, cells.counted(cells.changes(still, false()).cte("change"), OF_OWNERS)


@functools.lru_cache(maxsize=1024)  # it depends on nothing else, and takes longer to build than to answer
def query(asking: Person, slice_: Slice, by: tuple[str, ...] = ()) -> Select[Any] | None:
    """This function will select the keys of `by` (text), count, value, won_value and days of a slice in a person's scope.

    None where the tallies cannot tell: they know status, business unit, product and one dimension that
    leads, now or at the end of a day; now, owners and one more.
    """
    asked, day = slice_.to_params().keys() | set(by), slice_.day()
    leads = asked & LEADS.keys()
    if asked - leads - {*BESIDE, "asof"} or (slice_.asof and not day) or not _of_whole_months(slice_):
        return None
    everything = asking.may("opportunity.see_all")
    whose = _COMPANY
    if not everything or len(leads) > 1:
        known = "owner" in leads if everything else asking.may("opportunity.see_own")
        leads -= {"owner"}
        if not known or day or len(leads) > 1:
            return None
        whose = _owned(slice_) if everything else tally.c.owner_id == asking.id
    lead = min(leads, default="region")
    parts = [_kept(lead, whose, day)] + ([] if everything else [_others(asking, lead)])
    facts = union_all(*parts).subquery("facts")
    where = [_chosen(facts.c[name], name, slice_) for name in slice_.but(asof=None).to_params()]
    sums: dict[str, ColumnElement[Any]] = {}
    for name, total in zip(MEASURES, cells.summed(facts), strict=True):
        whole = func.coalesce(total, 0, type_=total.type)
        # PostgreSQL adds whole numbers up to a numeric
        sums[name] = cast(whole, BigInteger) if name in ("count", "days") else whole
    keys = [facts.c[name] for name in by]
    totals = select(*keys, *(total.label(name) for name, total in sums.items())).where(*where)
    return totals.group_by(*keys).having(sums["count"] > 0) if keys else totals


def on_days(asking: Person, slice_: Slice, days: Sequence[date]) -> Select[Any] | None:
    """This function will select by how much each month and day up to the last of some days changed a slice.

    at (202611: the month; 20261124: the day), count, value; of months that one of the days is in, their
    days as well. None where the tallies cannot tell (`query`).
    """
    part = slice_.but(asof=str(max(days)))
    if query(asking, part) is None:
        return None
    lead = min(part.to_params().keys() & LEADS.keys(), default="region")
    months = sorted({day.year * 100 + day.month for day in days})
    inside = or_(tally.c.at.between(1, months[-1]), *(tally.c.at.between(m * 100, m * 100 + 99) for m in months))
    kept = select(tally.c.at, tally.c.key.label(lead), *(tally.c[name] for name in (*BESIDE, *MEASURES)))
    facts = kept.where(tally.c.lead == lead, _COMPANY, inside).subquery("facts")
    where = [_chosen(facts.c[name], name, slice_) for name in slice_.but(asof=None).to_params()]
    return select(facts.c.at, *cells.summed(facts)[:2]).where(*where).group_by(facts.c.at)


def _owned(slice_: Slice) -> ColumnElement[bool]:
    """The own cells of the owners that a slice names, or of all."""
    named = sql.any_of(tally.c.owner_id, slice_.parsed("owner")) if slice_.owner else true()
    return and_(tally.c.owner_id > COMPANY, named)


def _kept(lead: str, whose: ColumnElement[bool], day: date | None) -> Any:
    query: Any = select(
        *([] if lead == "owner" else [cast(tally.c.owner_id, Text).label("owner")]),
        tally.c.key.label(lead),
        *(tally.c[name] for name in (*BESIDE, *MEASURES)),
    ).where(tally.c.lead == lead, whose)
    if day is None:
        return query.where(_OF_NOW)
    month = day.year * 100 + day.month
    return query.where(or_(tally.c.at.between(1, month - 1), tally.c.at.between(month * 100, month * 100 + day.day)))


def _others(asking: Person, lead: str) -> Select[Any]:
    """What a person sees beside their own, row by row: they are few, and nobody's own but another's."""
    key = LEADS[lead](opportunity)
    return select(
        cast(opportunity.c.owner_id, Text),
        key,
        *(opportunity.c[name] for name in BESIDE),
        literal(1),
        *cells.measured(opportunity).values(),
    ).where(others_visible_to(asking), key.is_not(None))


def _of_whole_months(slice_: Slice) -> bool:
    known = [*slice_.parsed("created"), *slice_.parsed("closed")]
    ends = [end for period in known for end in (period.first, period.after) if end]
    return all(end.day == 1 for end in ends)


def _chosen(column: ColumnElement[str], name: str, slice_: Slice) -> ColumnElement[bool]:
    parsed = slice_.parsed(name)
    if name not in ("created", "closed"):
        return sql.any_of(column, [str(value) for value in parsed])
    months = [tuple(end and f"{end:%Y-%m}" for end in (period.first, period.after)) for period in parsed]
    return or_(false(), *(sql.between(column, *ends) for ends in months))
