"""The flow: how far the opportunities of a slice came, and how long each step took them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

import pandas as pd
from sqlalchemy import Connection, func, select, true

from crm_core import lifecycle, periods, pipeline, sql
from crm_core.access import Actor
from crm_core.schema import transition
from crm_core.slices import Slice


@dataclass(frozen=True)
class Flow:
    """What became of the opportunities of a slice, as of its day.

    `stages` has the columns status, count, value (of those that ever reached it: the slice with
    `reached`) and share (of all in the slice; None where there is none). `moves` has the columns
    from_status, to_status, count (moves made) and days (the median of the days in India in the status before it).
    """

    stages: pd.DataFrame
    moves: pd.DataFrame


def flow(conn: Connection, actor: Actor, slice_: Slice) -> Flow:
    """This function will tell what became of the opportunities of a slice in the actor's scope, usually those created in a period."""
    started = pipeline.totals(conn, actor, slice_)["count"].iloc[0]
    reached = _reached(conn, actor, slice_)
    rows = []
    for status in lifecycle.STAGE:
        count, value = reached.get(status, (0, Decimal(0)))
        rows.append((status, count, value, _places(Decimal(count) / int(started), 4) if started else None))
    stages = pd.DataFrame(rows, columns=["status", "count", "value", "share"], dtype=object)
    return Flow(stages, _moves(conn, actor, slice_))


def _reached(conn: Connection, actor: Actor, slice_: Slice) -> dict[str, tuple[int, Decimal]]:
    """Count and value of what of a slice ever reached each status: what the slice by `reached` comes to, in one reading."""
    facts, made = slice_.facts, transition.alias("made")
    of = made.c
    known = of.at < periods.midnight(periods.next_day(slice_.day() or periods.today()))
    where = (*pipeline.within(conn, actor, slice_), known)
    # a reopened one may reach a status again
    once = select(of.to_status, facts.c.id, facts.c.value).join_from(facts, made, of.opportunity_id == facts.c.id)
    once = once.where(*where, *([sql.any_of(of.to_status, list(slice_.reached))] if slice_.reached else [])).distinct()
    found = once.subquery("found")
    query = select(found.c.to_status, func.count(), func.sum(found.c.value, type_=found.c.value.type))
    return {status: (int(count), value) for status, count, value in conn.execute(query.group_by(found.c.to_status))}


def _moves(conn: Connection, actor: Actor, slice_: Slice) -> pd.DataFrame:
    facts, of = slice_.facts, transition.c
    day = slice_.day()
    inside = of.opportunity_id.in_(select(facts.c.id).where(*pipeline.within(conn, actor, slice_)))
    begun = sql.india_day(of.at)
    before = func.lag(begun).over(partition_by=of.opportunity_id, order_by=of.seq)
    made = select(of.from_status, of.to_status, of.at, (begun - before).label("days")).where(inside).subquery("made")
    known = made.c.at < periods.midnight(periods.next_day(day)) if day else true()
    keys = (made.c.from_status, made.c.to_status, made.c.days)
    query = select(*keys, func.count()).where(made.c.from_status.is_not(None), known).group_by(*keys)
    waits: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for from_status, to_status, days, count in conn.execute(query):
        waits[from_status, to_status][days] = count
    order = list(lifecycle.STAGE)
    rows = [(*kind, sum(counts.values()), _median(counts)) for kind, counts in waits.items()]
    rows.sort(key=lambda row: (order.index(row[0]), order.index(row[1])))
    return pd.DataFrame(rows, columns=["from_status", "to_status", "count", "days"], dtype=object)


def _median(counts: Mapping[int, int]) -> Decimal:
    """The median of numbers, of each of which there are so many."""
    known, total = sorted(counts), sum(counts.values())
    passed = list(accumulate(counts[number] for number in known))
    both = [known[bisect_right(passed, place)] for place in ((total - 1) // 2, total // 2)]
    return Decimal(sum(both)) / 2


def _places(exact: Decimal, places: int) -> Decimal:
    return round(exact, places)
