"""Trends: what a slice came to at the end of each of many days or in each of many periods, and what moved it between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Date, FromClause, Select, and_, literal, select, union_all

from crm_core import bridge, frames, lifecycle, periods, pipeline, steps, tallies, trigrams
from crm_core.access import Actor, Person, person
from crm_core.schema import standing
from crm_core.slices import Slice, weighed


@dataclass(frozen=True)
class Movement:
    """What moved a slice's open pipeline in a period; amounts in Decimal rupees.

    `part` is the slice of the steps, whose lists are those of its `moved`; `opening` and `closing` are the slices
    of the two days, None where the period has no beginning.
    `steps` has the columns step (code), count (opportunities), change (signed); opening_value and
    the changes add up to closing_value.
    """

    part: Slice
    opening: Slice | None
    closing: Slice
    opening_value: Decimal
    closing_value: Decimal
    steps: pd.DataFrame


def flows(
    conn: Connection, actor: Actor, slice_: Slice | None, spans: Sequence[periods.Period | None]
) -> list[dict[str, pipeline.Sums]]:
    """This function will count and sum what a slice in the actor's scope closed in each period, by outcome, in their order.

    What `pipeline.series` gives of each period and outcome, but in one reading; None is an empty slice or no period, and has nothing.
    """
    asking, part = person(conn, actor), slice_ and weighed(conn, slice_).narrowed(status=lifecycle.CLOSED)
    found = [dict.fromkeys(lifecycle.CLOSED, pipeline.NOTHING) for _ in spans]
    if part is None:
        return found
    left = [(number, 1, span) for number, span in enumerate(spans) if span]
    if (known := tallies.query(asking, part, ("closed", "status"))) is not None:
        near = [(number, *periods.near_months(span)) for number, _sign, span in left]
        left = [(number, sign, span) for number, _whole, days in near for sign, span in days]
        rows = conn.execute(known).all()
        months = {code: month for code in {row.closed for row in rows} if (month := periods.parse(code))}
        of = {code: [n for n, whole, _ in near if whole and whole.overlap(month)] for code, month in months.items()}
        for code, status, *sums in rows:
            for number in of.get(code, ()):
                found[number][status] += pipeline.Sums(*sums)
    if left:
        for place, status, *sums in conn.execute(_closed_in(asking, part, [span for *_, span in left])):
            number, sign, _span = left[place]
            found[number][status] += pipeline.Sums(*(sign * amount for amount in sums))
    return found


def _closed_in(asking: Person, part: Slice, spans: Sequence[periods.Period]) -> Select[Any]:
    """What a slice closed in spans, row by row: number of the span, status, count, value, won value, days."""
    facts, first, last = part.facts, periods.midnight(periods.FIRST_DAY), periods.midnight(periods.LAST_DAY)
    asked = union_all(
        *(
            select(
                literal(number).label("number"),
                literal(start or first, facts.c.closed_at.type).label("start"),
                literal(end or last, facts.c.closed_at.type).label("end"),
            )
            for number, (start, end) in enumerate(span.bounds() for span in spans)
        )
    ).subquery("asked")
    inside = and_(facts.c.closed_at >= asked.c.start, facts.c.closed_at < asked.c.end)
    keys = (asked.c.number, facts.c.status)
    # a span is short beside all that ever closed
    where = map(trigrams.aside, pipeline.clauses(asking, part))
    query = select(*keys, *pipeline.sums(facts, days=True)).join(facts, inside).where(*where)
    return query.group_by(*keys)


def on_days(conn: Connection, actor: Actor, slice_: Slice, days: Sequence[date]) -> list[tuple[int, Decimal]]:
    """This function will count a slice in the actor's scope, and sum its value, at the end of each day, in their order.

    What `pipeline.series` gives as of each day, but for one reading of the tallies or the standings; a slice by
    `reached`, `moved` or `during` is asked of `pipeline.series`.
    """
    asking = person(conn, actor)
    if "asof" in slice_.malformed():
        return [(0, Decimal(0))] * len(days)
    known = tallies.on_days(asking, slice_, tuple(days)) if days else None
    if known is not None:
        added = {number: (count, value) for number, count, value in conn.execute(known)}
        spans = tallies.spans(days)
        return [_added([added[n] for n, span in enumerate(spans) if day in span.days]) for day in days]
    together = stood(conn, asking, slice_, days)
    if together is None:
        return [(r.count, r.value) for r in pipeline.series(conn, actor, [slice_.but(asof=str(day)) for day in days])]
    asked, query = together
    rows = conn.execute(query.add_columns(asked.c.number, *pipeline.sums(standing)[:2]).group_by(asked.c.number))
    found = {number: (int(count), Decimal(value)) for number, count, value in rows}
    return [found.get(number, (0, Decimal(0))) for number in range(len(days))]


def stood(
    conn: Connection, asking: Person, slice_: Slice, days: Sequence[date]
) -> tuple[FromClause, Select[Any]] | None:
    """This function will select from `standing` what of a slice in a person's scope stood at the end of each day.

    With it the days: number (from 0; of some rows None, which stood on none), day. None for a slice by
    `reached`, `moved` or `during`, which is asked day by day.
    """
    if slice_.reached or slice_.moved or slice_.during:
        return None
    instant = standing.c.from_at.type
    asked = union_all(
        *(
            select(
                literal(number).label("number"),
                literal(day, Date).label("day"),
                literal(periods.midnight(periods.next_day(day)), instant).label("ended"),
            )
            for number, day in enumerate(days)
        )
    ).subquery("asked")
    held = weighed(conn, slice_.but(asof=None)).conditions(standing, asked.c.day)
    then = and_(standing.c.from_at < asked.c.ended, standing.c.to_at >= asked.c.ended, *held)
    # own records are few, and read once for all days; those of everybody are found day by day
    own = not asking.may("opportunity.see_all")
    both = standing.outerjoin(asked, then) if own else asked.join(standing, then)
    return asked, select().select_from(both).where(pipeline.scope(asking, standing))


def movement(conn: Connection, actor: Actor, slice_: Slice, code: str = "") -> Movement:
    """This function will tell what moved the open pipeline of a slice in a period (its code; none: ever).

    A step's list is the slice with `moved` and `during`: its count and `change` equal the step's. The
    period ends at the end of the day as of which the slice looks, or now.
    """
    asking, period = person(conn, actor), periods.parse(code) if code else periods.Period(None, None)
    part = slice_.but(moved=None, during=code or None, **dict.fromkeys(bridge.BESIDE))
    last = min((day for day in (period and period.last, part.day()) if day), default=None)
    closing = part.but(during=None, asof=last and str(last)).narrowed(status=lifecycle.PIPELINE)
    # a period that begins after the day has not brought anything yet
    end = periods.next_day(last) if last else None
    first = min(filter(None, (period.first, end))) if period and period.first else None
    found = _steps(conn, asking, part, period and periods.Period(first, end))
    ordered = [found[step] for step in steps.STEPS if step in found]
    told = frames.framed(ordered, frames.columns("step", "count", "change"))
    if closing is None or period is None or "asof" in part.malformed():
        return Movement(part, None, part, Decimal(0), Decimal(0), told)
    opening = closing.but(asof=str(periods.day_before(first))) if first and first > periods.FIRST_DAY else None
    ends = {end: day for end in (opening, closing) if end and (day := end.day())}
    sums = on_days(conn, actor, closing, list(ends.values())) if ends else []
    worth = dict(zip(ends, (value for _count, value in sums), strict=True))
    after = worth[closing] if closing in ends else pipeline.series(conn, actor, [closing])[0].value
    return Movement(part, opening, closing, worth[opening] if opening else Decimal(0), after, told)


def _steps(conn: Connection, asking: Person, part: Slice, span: periods.Period | None) -> dict[str, tuple[Any, ...]]:
    """Step, count and change by step, of what is kept of all steps if that knows them, else row by row."""
    kept = tallies.moved(asking, part.but(during=None, asof=None), span) if span and not part.malformed() else None
    made = bridge.steps(part)
    query = bridge.counted(made).where(pipeline.scope(asking, made)) if kept is None else bridge.of_kept(part, kept)
    return {row.step: tuple(row) for row in conn.execute(query)}


def _added(changes: Sequence[tuple[int, Decimal]]) -> tuple[int, Decimal]:
    return sum(count for count, _ in changes), sum((value for _, value in changes), Decimal(0))
