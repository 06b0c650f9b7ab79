"""The flow: how far the opportunities of a slice came, and how long each step took them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

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
    from_status, to_status, count (moves made) and days (the median time in the status before it).
    """

    stages: pd.DataFrame
    moves: pd.DataFrame


def flow(conn: Connection, actor: Actor, slice_: Slice) -> Flow:
    """This function will tell what became of the opportunities of a slice in the actor's scope, usually those created in a period."""
    started = pipeline.totals(conn, actor, slice_)["count"].iloc[0]
    rows = []
    for status in lifecycle.STAGE:
        part = slice_.narrowed(reached=status)
        count, value = pipeline.totals(conn, actor, part)[["count", "value"]].iloc[0] if part else (0, Decimal(0))
        rows.append((status, count, value, _places(Decimal(int(count)) / int(started), 4) if started else None))
    stages = pd.DataFrame(rows, columns=["status", "count", "value", "share"], dtype=object)
    return Flow(stages, _moves(conn, actor, slice_))


def _moves(conn: Connection, actor: Actor, slice_: Slice) -> pd.DataFrame:
    facts, of = slice_.facts, transition.c
    day = slice_.day()
    inside = of.opportunity_id.in_(select(facts.c.id).where(*pipeline.within(conn, actor, slice_)))
    at = sql.unix_seconds(of.at)
    before = func.lag(at).over(partition_by=of.opportunity_id, order_by=of.seq)
    took = (at - before).label("took")
    made = select(of.from_status, of.to_status, of.at, took).where(inside).subquery("made")
    known = made.c.at < periods.midnight(periods.next_day(day)) if day else true()
    kind = (made.c.from_status, made.c.to_status)
    ranked = (
        select(
            *kind,
            made.c.took,
            func.row_number().over(partition_by=kind, order_by=made.c.took).label("place"),
            func.count().over(partition_by=kind).label("count"),
        )
        .where(made.c.from_status.is_not(None), known)
        .subquery("ranked")
    )
    keys = (ranked.c.from_status, ranked.c.to_status, ranked.c.count)
    middle = ranked.c.place.in_([(ranked.c.count + 1) // 2, (ranked.c.count + 2) // 2])
    query = select(*keys, func.sum(ranked.c.took), func.count()).where(middle).group_by(*keys)
    order = list(lifecycle.STAGE)
    rows = sorted(conn.execute(query), key=lambda row: (order.index(row[0]), order.index(row[1])))
    told = [(*row[:3], _places(Decimal(int(row[3])) / row[4] / 86_400, 2)) for row in rows]
    return pd.DataFrame(told, columns=["from_status", "to_status", "count", "days"], dtype=object)


def _places(exact: Decimal, places: int) -> Decimal:
    return round(exact, places)
