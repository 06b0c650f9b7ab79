"""The headline: the few figures a manager reads first, each with what it was before and what it is of.

Flow figures (won …) are of the period; stock figures (open pipeline …) stand at its day: now, or
the end of the day as of which the slice looks. Source: decisions, Dashboards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from crm_core import forecast, frames, lifecycle, periods, pipeline, targets, trends
from crm_core.access import Actor, person
from crm_core.periods import Period
from crm_core.slices import Slice, weighed

MONTHS = 12
#: the figures of which fewer are better
LESS_IS_BETTER = ("days", "overdue")
#: With what day stock figures are compared, and since when the bridge is told, where no period is chosen.
LATELY = 30


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

    @property
    def change(self) -> Decimal | None:
        """By how much it is more than before; None where it is not known or nothing."""
        return None if self.value is None or self.before is None else (self.value - self.before) or None

    @property
    def good(self) -> bool:
        """Whether the change is one for the better: more, but of `LESS_IS_BETTER` less."""
        return self.change is not None and (self.change > 0) != (self.name in LESS_IS_BETTER)


class Row(NamedTuple):
    """What a span closed: won, lost, what counts as achieved, and what was to be won (rupees; None: no target)."""

    won: pipeline.Sums
    lost: pipeline.Sums
    achieved: pipeline.Sums
    aim: Decimal | None


def figures(conn: Connection, actor: Actor, slice_: Slice, code: str = "", today: date | None = None) -> list[Figure]:
    """This function will give the headline of a slice for a period (its code; none: all time), in order.

    Change is against the period before, as long, and stock figures against its last day; without a
    period, stock figures against thirty days before.
    """
    day, slice_ = slice_.day() or today or periods.today(), weighed(conn, slice_)
    period = periods.parse(code) if code else Period(None, None)
    before = periods.comparable(period, day) if period else None
    whole = periods.comparable(period, period.after) if period and period.after else None
    then = min((before.last if before else None) or periods.days_before(day, LATELY), day)
    ends = periods.month_ends(day, MONTHS)
    months = [f"{end:%Y-%m}" for end in ends]
    spans = [period, before, *map(periods.parse, months)]
    closings, mine = trends.flows(conn, actor, slice_, spans), targets.measured(person(conn, actor), slice_)
    counted = closings if mine == slice_ else trends.flows(conn, actor, mine, spans)
    aims = targets.headline(conn, actor, slice_, [code, whole.code() if whole else "", *months])
    rows = [
        Row(row[lifecycle.WON], row[lifecycle.LOST], own[lifecycle.WON], aim)
        for row, own, (aim, _) in zip(closings, counted, aims, strict=True)
    ]
    open_part, late_part = slice_.narrowed(status=lifecycle.PIPELINE), slice_.narrowed(attention="overdue")
    every, some = (then, *ends), (then, *ends[1::2])
    stocks = forecast.stocks(conn, actor, slice_, every, some)
    is_won, is_closed = (closed(slice_, code or None, s) for s in (lifecycle.WON, (lifecycle.WON, lifecycle.LOST)))
    achieved, whose = closed(mine, code or None, lifecycle.WON), "" if mine == slice_ else " Your own."
    won, lost, why = rows[0].won, rows[0].lost, aims[0][1]
    counts = {is_closed: won.count + lost.count, is_won: won.count, achieved: rows[0].achieved.count}
    aimed_at = achieved if rows[0].aim is not None else None
    span, since = f"vs {periods.label(before.code())}" if before else "", f"vs {periods.day(then)}"
    aimed = f"vs {periods.label(whole.code())}" if whole and rows[1].aim is not None else ""

    def flow(
        name: str, label: str, kind: str, read: Callable[[Row], Any], meaning: str, measure: str = "won_value",
        since: str = span, part: Slice | None = is_won,
    ) -> Figure:  # fmt: skip
        value, earlier, *trend = (None if (found := read(row)) is None else Decimal(found) for row in rows)
        known = earlier if since else None
        return Figure(name, label, kind, value, known, since, part, counts.get(part, 0), measure, meaning, tuple(trend))

    def stock(
        name: str, label: str, kind: str, read: Callable[[forecast.Stock], Any], part: Slice | None, meaning: str,
        count: int = stocks[day].count, days: Sequence[date] = every,
    ) -> Figure:  # fmt: skip
        value, earlier, *trend = (Decimal(read(stocks[d])) for d in (day, *days))
        return Figure(name, label, kind, value, earlier, since, part, count, "value", meaning, tuple(trend))

    return [
        flow("target", "Target", "money", lambda r: r.aim, why, since=aimed, part=aimed_at),
        flow("achieved", "Achieved", "money", lambda r: r.achieved.won_value,
             f"Won value of what was won in the period.{whose}", part=achieved),
        flow("share", "Achieved %", "percent", lambda r: r.achieved.won_value * 100 / r.aim if r.aim else None,
             f"Achieved ÷ target; above 100 % it says so. {why} Compared with what was achieved by the same day of "
             "the period before, of the target of all of it.", since=span if aimed else "", part=achieved),
        flow("win", "Win %", "percent", lambda r: pipeline.rate(r.won.count, r.lost.count),
             f"Won ÷ (won + lost) of what was closed in the period: {won.count:,} won, {lost.count:,} lost. "
             "What is still open and what was rejected is left out.", measure="", part=is_closed),
        flow("average", "Average won value", "money", lambda r: r.won.won_value / r.won.count if r.won.count else None,
             "Won value ÷ count of what was won in the period."),
        flow("days", "Average days to close", "days", lambda r: Decimal(r.won.days) / r.won.count if r.won.count else None,
             "Days in India from creation to winning, of what was won in the period."),
        stock("pipeline", "Open pipeline", "money", lambda s: s.value, open_part,
              "Potential value of all that is Open or Offer Made; it takes no period."),
        stock("weighted", "Weighted pipeline", "money", lambda s: s.weighted, open_part,
              "The open pipeline, each at the rate at which the company won such deals by stage, days in it and "
              "value; it takes no period.", days=some),
        stock("overdue", "Overdue next steps", "count", lambda s: s.overdue, late_part,
              "Open opportunities whose next step lies before the day; it takes no period.", stocks[day].overdue),
    ]  # fmt: skip


def stages(conn: Connection, actor: Actor, slice_: Slice, code: str = "") -> dict[str, tuple[int, Decimal, Decimal]]:
    """This function will count each status of a slice, and sum its value and won value: of the closed what was closed in a period.

    What the slices of `closed` come to, an empty one to nothing.
    """
    found = dict.fromkeys(lifecycle.STAGE, (0, Decimal(0), Decimal(0)))
    if part := slice_.narrowed(status=lifecycle.PIPELINE) if code else slice_:
        rows = frames.rows(pipeline.totals(conn, actor, part, "status"))
        found |= {status: (count, value, won_value) for status, count, value, won_value in rows}
    if code:
        outcomes = trends.flows(conn, actor, slice_, [periods.parse(code)])[0]
        found |= {status: (sums.count, sums.value, sums.won_value) for status, sums in outcomes.items()}
    return found


def span(slice_: Slice, code: str = "", today: date | None = None) -> str:
    """This function will name the period of the bridge beside the headline: the one chosen, else the last thirty days."""
    day = slice_.day() or today or periods.today()
    return code or Period(periods.days_before(day, LATELY - 1), periods.next_day(day)).code()


def closed(slice_: Slice | None, code: str | None, status: str | tuple[str, ...]) -> Slice | None:
    """This function will give what a slice closed in a period with an outcome; all of it where no period is named."""
    return slice_ and slice_.narrowed(status=status, **({"closed": code} if code else {}))
