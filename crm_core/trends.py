"""Trends: what a slice came to at the end of each of many days or in each of many periods, and what moved it between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Date, FromClause, Select, and_, literal, or_, select, union_all

from crm_core import bridge, frames, lifecycle, periods, pipeline, sql, steps, tallies, trigrams
from crm_core.access import Actor, Person, person, visible_to
from crm_core.schema import opportunity, standing
from crm_core.slices import Slice, since, weighed

#: Up to how many days or spans are each found by themselves; for more, all that a slice ever was is read once.
FEW = 2


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
        days = [(number, sign, *map(periods.unix_day, _ends(span))) for number, sign, span in left]
        read = [span for *_, span in left] if known is not None else [_whole([span for *_, span in left])]
        for day, status, *sums in conn.execute(_closed_in(asking, part, read, found=known is None)):
            for number, sign, first, after in days:
                if first <= day < after:
                    found[number][status] += pipeline.Sums(*(sign * amount for amount in sums))
    return found


def _closed_in(asking: Person, part: Slice, spans: Sequence[periods.Period], found: bool) -> Select[Any]:
    """What a slice closed in spans, row by row: day (since 1970), status, count, value, won value, days.

    From what is `found` of the slice, or of the spans, which are short beside all that ever closed.
    """
    facts, where = part.facts, pipeline.clauses(asking, part)
    inside = or_(*(sql.between(facts.c.closed_at, *map(periods.midnight, _ends(span))) for span in spans))
    keys = (sql.india_day(facts.c.closed_at).label("day"), facts.c.status)
    query = select(*keys, *pipeline.sums(facts, days=True)).group_by(*keys)
    return query.where(trigrams.aside(inside), *where) if found else query.where(inside, *map(trigrams.aside, where))


def _ends(span: periods.Period) -> tuple[date, date]:
    return span.first or periods.FIRST_DAY, span.after or periods.LAST_DAY


def _whole(spans: Sequence[periods.Period]) -> periods.Period:
    firsts, afters = zip(*map(_ends, spans), strict=True)
    return periods.Period(min(firsts), max(afters))


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
    conn: Connection, asking: Person, slice_: Slice, days: Sequence[date], ages: bool = False
) -> tuple[FromClause, Select[Any]] | None:
    """This function will select from `standing` what of a slice in a person's scope stood at the end of each day.

    With it the days: number (from 0; of some rows None, which stood on none), day, with `ages` what `since` gives. None for a slice by
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
                *(literal(at, instant).label(band) for band, at in (since(day) if ages else {}).items()),
            )
            for number, day in enumerate(days)
        )
    ).subquery("asked")
    held = weighed(conn, slice_.but(asof=None))
    of_the_day = {name: getattr(held, name) for name in ("attention", "age")}
    then = [standing.c.from_at < asked.c.ended, standing.c.to_at >= asked.c.ended]
    then += Slice(**of_the_day).conditions(standing, asked.c.day)
    part, where = held.but(**dict.fromkeys(of_the_day)), [pipeline.scope(asking, standing)]
    # all that it ever was is read once for all days, but where few days are soon found, each by itself
    if asking.may("opportunity.see_all") and pipeline.led(held) and not held.customer and len(days) <= FEW:
        return asked, select().select_from(asked.join(standing, and_(*then))).where(*where, *part.conditions(standing))
    where += pipeline.conditions(asking, part, standing, scanned=True)
    first, last = (periods.midnight(periods.next_day(day)) for day in (min(days), max(days)))
    ever = map(trigrams.aside, (standing.c.from_at < last, standing.c.to_at >= first))
    return asked, select().select_from(standing.outerjoin(asked, and_(*then))).where(*where, *ever)


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
    own = None if asking.may("opportunity.see_all") else select(opportunity.c.id).where(visible_to(asking))
    made = bridge.steps(part, own)
    query = bridge.counted(made).where(pipeline.scope(asking, made)) if kept is None else bridge.of_kept(part, kept)
    return {row.step: tuple(row) for row in conn.execute(query)}


def _added(changes: Sequence[tuple[int, Decimal]]) -> tuple[int, Decimal]:
    return sum(count for count, _ in changes), sum((value for _, value in changes), Decimal(0))
