"""The headline: the few figures a manager reads first, each with what it was before and what it is of.

Flow figures (won …) are of the period; stock figures (open pipeline …) stand at its day: now, or
the end of the day as of which the slice looks. Source: decisions, Dashboards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from crm_core import lifecycle, periods, pipeline
from crm_core.access import Actor
from crm_core.periods import Period
from crm_core.slices import Slice

MONTHS = 12


@dataclass(frozen=True)
class Figure:
    """One figure: what it is now and was `before` (None: not known), in rupees, percent, days or a count (`kind`).

    `part` are the opportunities it is of, `measure` the sum of theirs that it is, if any; `trend` its
    values of the last twelve months, oldest first.
    """

    name: str
    label: str
    kind: str
    value: Decimal | None
    before: Decimal | None
    since: str
    part: Slice | None
    count: int
    measure: str
    meaning: str
    trend: tuple[Decimal | None, ...] = ()


def figures(conn: Connection, actor: Actor, slice_: Slice, code: str = "", today: date | None = None) -> list[Figure]:
    """This function will give the headline of a slice for a period (its code; none: all time), in order.

    Change is against the period before, as long, and stock figures against its last day; without a
    period, stock figures against thirty days before.
    """
    day = slice_.day() or today or periods.today()
    period = periods.parse(code) if code else Period(None, None)
    before = periods.comparable(period, day) if period else None
    then = (before.last if before else None) or periods.days_before(day, 30)
    earlier = slice_.but(asof=str(then))
    ends = periods.month_ends(day, MONTHS)
    months = [f"{end:%Y-%m}" for end in ends]
    flows: list[tuple[Slice, str | None]] = [(slice_, code or None), (slice_, before.code() if before else "none")]
    flows += [(slice_, month) for month in months]
    stocks = [slice_, earlier, *(slice_.but(asof=str(end)) for end in ends)]
    won = pipeline.series(conn, actor, [closed(part, span, lifecycle.WON) for part, span in flows])
    lost = pipeline.series(conn, actor, [closed(part, span, lifecycle.LOST) for part, span in flows])
    held = pipeline.series(conn, actor, [part.narrowed(status=lifecycle.PIPELINE) for part in stocks])
    late = pipeline.series(conn, actor, [part.narrowed(attention="overdue") for part in stocks])
    both = list(zip(won, lost, strict=True))
    span = f"vs {periods.label(before.code())}" if before else ""
    since = f"vs {periods.day(then)}"

    def figure(
        name: str, label: str, kind: str, of: list[Any], read: Callable[[Any], Any], since: str, part: Slice | None,
        measure: str, meaning: str, count: int,
    ) -> Figure:  # fmt: skip
        values = [None if (found := read(row)) is None else Decimal(found) for row in of]
        known = values[1] if since else None
        return Figure(name, label, kind, values[0], known, since, part, count, measure, meaning, tuple(values[2:]))

    is_won, is_closed = (
        closed(slice_, code or None, status) for status in (lifecycle.WON, (lifecycle.WON, lifecycle.LOST))
    )
    return [
        figure(
            "achieved", "Won", "money", won, lambda r: r.won_value, span, is_won, "won_value",
            "Won value of what was won in the period.", won[0].count,
        ),
        figure(
            "win", "Win %", "percent", both, lambda r: pipeline.rate(r[0].count, r[1].count), span, is_closed, "",
            f"Won ÷ (won + lost) of what was closed in the period: {won[0].count:,} won, {lost[0].count:,} lost. "
            "What is still open and what was rejected is left out.", won[0].count + lost[0].count,
        ),
        figure(
            "average", "Average won value", "money", won, lambda r: r.won_value / r.count if r.count else None, span,
            is_won, "won_value", "Won value ÷ count of what was won in the period.", won[0].count,
        ),
        figure(
            "days", "Average days to close", "days", won, lambda r: Decimal(r.days) / r.count if r.count else None, span,
            is_won, "won_value", "Days in India from creation to winning, of what was won in the period.", won[0].count,
        ),
        figure(
            "pipeline", "Open pipeline", "money", held, lambda r: r.value, since,
            slice_.narrowed(status=lifecycle.PIPELINE), "value",
            "Potential value of all that is Open or Offer Made; it takes no period.", held[0].count,
        ),
        figure(
            "overdue", "Overdue next steps", "count", late, lambda r: r.count, since, slice_.narrowed(attention="overdue"),
            "value", "Open opportunities whose next step lies before the day; it takes no period.", late[0].count,
        ),
    ]  # fmt: skip


def closed(slice_: Slice, code: str | None, status: str | tuple[str, ...]) -> Slice | None:
    """This function will give what a slice closed in a period with an outcome; all of it where no period is named."""
    if code == "none":
        return None
    return slice_.narrowed(status=status, **({"closed": code} if code else {}))
