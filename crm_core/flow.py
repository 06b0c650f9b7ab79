"""The flow: how far the opportunities of a slice came, and how long each step took them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, and_, exists, func, literal_column, not_, select

from crm_core import lifecycle, periods, pipeline, sql, trigrams
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
    reached = {status: (0, Decimal(0)) for status in lifecycle.STAGE}
    waits: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for from_status, to_status, first, days, made, value in conn.execute(_made(conn, actor, slice_)):
        if first and (not slice_.reached or to_status in slice_.reached):
            count, amount = reached[to_status]
            reached[to_status] = (count + made, amount + value)
        if from_status:
            waits[from_status, to_status][days] += made
    stages = [(status, *sums, _share(sums[0], int(started))) for status, sums in reached.items()]
    moves = [(*kind, counts.total(), _median(counts)) for kind, counts in waits.items()]
    order = list(lifecycle.STAGE)
    moves.sort(key=lambda row: (order.index(row[0]), order.index(row[1])))
    return Flow(
        pd.DataFrame(stages, columns=["status", "count", "value", "share"], dtype=object),
        pd.DataFrame(moves, columns=["from_status", "to_status", "count", "days"], dtype=object),
    )


def _made(conn: Connection, actor: Actor, slice_: Slice) -> Select[Any]:
    """The moves that the opportunities of a slice made by the end of its day, by kind, days before it, and whether the first there.

    from_status (None: it began), to_status, first, days, count, value (of the opportunities, in rupees).
    """
    facts, made, before = slice_.facts, transition.alias("made"), transition.alias("before")
    of, was, until = made.c, before.c, periods.midnight(periods.next_day(slice_.day() or periods.today()))
    earlier = and_(was.opportunity_id == of.opportunity_id, was.seq < of.seq)
    last = select(was.at).where(earlier).order_by(was.seq.desc()).limit(literal_column("1"))
    days = sql.india_day(of.at) - sql.india_day(last.scalar_subquery())
    again = exists().where(earlier, was.at < until, was.to_status == of.to_status)
    keys = (of.from_status, of.to_status, not_(again).label("first"), days.label("days"))
    sums = (func.count(), func.sum(facts.c.value, type_=facts.c.value.type))
    # by the opportunities' own moves, not by all that were ever made
    known = trigrams.aside(of.at < until)
    query = select(*keys, *sums).join_from(facts, made, of.opportunity_id == facts.c.id)
    return query.where(*pipeline.within(conn, actor, slice_), known).group_by(*keys)


def _share(count: int, of: int) -> Decimal | None:
    return round(Decimal(count) / of, 4) if of else None


def _median(counts: Mapping[int, int]) -> Decimal:
    """The median of numbers, of each of which there are so many."""
    known, total = sorted(counts), sum(counts.values())
    passed = list(accumulate(counts[number] for number in known))
    both = [known[bisect_right(passed, place)] for place in ((total - 1) // 2, total // 2)]
    return Decimal(sum(both)) / 2
