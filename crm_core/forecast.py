"""The forecast: win rates learnt from the company's own closed deals, and what the open ones will likely bring.

Nobody types a percentage in. Learnt is only what was known at the end of a day, so that any past
day's forecast is what it would have been. `docs/forecast.md` tells the method.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Select, and_, case, false, func, literal, select, union_all

from crm_core import clock, courses, lifecycle, periods, pipeline, sql, tallies, trends, trigrams
from crm_core.access import Actor, person
from crm_core.courses import AGED
from crm_core.schema import course, opportunity
from crm_core.slices import AGES, Slice, group

#: What a level weighs against what is learnt below it, in deals.
WEIGHT = 20
#: The levels from the whole company to the cell, as a rate's source names them.
LEVELS = ("all", "stage", "age", "band")
SEED, DRAWS = 20_260_401, 2_000
#: How many deals, the largest, are drawn one by one for the range.
ALONE = 500
#: How many spans before tell what deals still to come bring.
FEWEST_SPANS, MOST_SPANS = 3, 12
_QUANTILES = (0.1, 0.5, 0.9)
_EVER = date(1, 1, 2)  # the first day whose midnight in India is one in UTC
_AGE_OF = {courses.first_day(age): age for age in AGES}

Cell = tuple[str, ...]  # stage, band of ages, band of values


@dataclass(frozen=True)
class Rate:
    """How likely a cell's deals win: of `deals` seen `won` won, `parent` is the rate of the level above.

    `source` is the finest level with at least WEIGHT deals, or “prior” where there is none.
    """

    deals: int
    won: int
    parent: Fraction
    source: str

    @functools.cached_property
    def rate(self) -> Decimal:
        """The rate, to four places: what is counted, and the level above with the weight of WEIGHT deals."""
        exact = (self.won + WEIGHT * self.parent) / (self.deals + WEIGHT)
        return Decimal(round(exact * 10_000)) / 10_000


class Held(NamedTuple):
    """What the open deals of a cell come to: how many, their value in rupees; counted row by row, how many are overdue."""

    deals: int
    value: Decimal
    overdue: int = 0


_NOTHING = Held(0, Decimal(0))


@dataclass(frozen=True)
class Stock:
    """What an open pipeline was at the end of a day: count, value and weighted value (rupees), how many were overdue."""

    count: int
    value: Decimal
    weighted: Decimal
    overdue: int


@dataclass(frozen=True)
class Likely:
    """What a period will likely have won in the end; amounts in Decimal rupees.

    `won` is won already, `further` expected of the `deals` that are open, `coming` of deals still to
    come, as in the `spans` before (0: too few, and none is expected); p10, p50 and p90 are of the
    whole: one in ten times it ends below p10, one in ten times above p90.
    """

    won: Decimal
    further: Decimal
    deals: int
    coming: Decimal
    spans: int
    p10: Decimal
    p50: Decimal
    p90: Decimal


def rates(conn: Connection, actor: Actor, asof: date | None = None) -> pd.DataFrame:
    """This function will give the company's win rates as known at the end of a day, or now.

    Frame: stage, age, band (codes), rate (Decimal), won, deals (counts), source (`Rate`).
    """
    person(conn, actor)
    day = asof or clock.today(conn)
    rows = [(*cell, r.rate, r.won, r.deals, r.source) for cell, r in _rates(conn, [day])[day].items()]
    return pd.DataFrame(rows, columns=["stage", "age", "band", "rate", "won", "deals", "source"], dtype=object)


def weighted(conn: Connection, actor: Actor, slice_: Slice) -> Decimal:
    """This function will weigh the open pipeline of a slice in the actor's scope by the company's rates of its day."""
    return _weighted(conn, actor, slice_, [slice_.day() or clock.today(conn)])[0]


def stocks(
    conn: Connection, actor: Actor, slice_: Slice, days: Collection[date], weighed: Collection[date]
) -> dict[date, Stock]:
    """This function will tell what the open pipeline of a slice was at the end of each day; only those `weighed` are.

    What `pipeline.series` counts as of each day, of all and of what is overdue, and what `weighted` gives: by the
    rates of each day, so that every point of a trend is the figure that was shown that day. Where the tallies do not
    know what was overdue, they do not know what is weighted either, and all of it is read at once.
    """
    asking, known = person(conn, actor), sorted(set(days))
    held, late = slice_.narrowed(status=lifecycle.PIPELINE), slice_.narrowed(attention="overdue")
    if held is None or not known or "asof" in slice_.malformed():
        return dict.fromkeys(known, Stock(0, Decimal(0), Decimal(0), 0))
    past, some = held.but(asof=str(known[0])), [day for day in known if day in weighed]
    if late and tallies.on_days(asking, late, tuple(known)) is not None:
        counted, overdue = (trends.on_days(conn, actor, part, known) for part in (held, late))
        weights = dict(zip(some, _weighted(conn, actor, past, some), strict=True))
        told = zip(known, counted, overdue, strict=True)
        return {day: Stock(*sums, weights.get(day, Decimal(0)), count) for day, sums, (count, _) in told}
    cells: dict[date, dict[Cell, Held]] = defaultdict(dict)
    for day, cell, sums in _summed(conn, actor, past, known, bool(late)):
        cells[day][cell] = sums
    rates_of = _rates(conn, some)
    return {day: _stock(cells[day], rates_of.get(day)) for day in known}


def likely(conn: Connection, actor: Actor, slice_: Slice, code: str = "") -> Likely:
    """This function will tell what a slice will likely have won in a period (its code; none: ever), as of its day.

    Counted are what is won already, the deals open on that day, and deals still to come: what such deals
    brought in each span of as many days before.
    """
    period = periods.parse(code) or periods.Period(None, None)
    day = slice_.day() or clock.today(conn)
    part = slice_.but(closed=None)
    asked = part.but(asof=str(day))
    if tallies.aged_on(person(conn, actor), asked, (day,)) is not None:
        part = asked  # past days are told from what is kept, and so is today
    won = _achieved(conn, actor, part, code)
    within = (period.last - day).days if period.last else None
    after = max(0, (period.first - day).days - 1) if period.first and period.last else 0
    held = {cell: sums for _day, cell, sums in _held(conn, actor, part, [day])}
    deals = sum(sums.deals for sums in held.values())
    if (within is not None and within <= 0) or (code and periods.parse(code) is None):
        return Likely(won, Decimal(0), deals, Decimal(0), 0, won, won, won)
    known = _rates(conn, [day])[day] if within is None else _rates_within(conn, day, after, within)
    further = _rupees(sum((sums.value * known[cell].rate for cell, sums in held.items()), Decimal(0)))
    spans = _spans_before(conn, actor, part, day, after, within) if within else []
    coming = _rupees(sum(spans, Decimal(0)) / len(spans)) if spans else Decimal(0)
    drawn = _range(held, _largest(conn, actor, part), known, spans)
    return Likely(won, further, deals, coming, len(spans), *(won + more for more in drawn))


def backtest(conn: Connection, actor: Actor, slice_: Slice, code: str, back: int = 6) -> pd.DataFrame:
    """This function will tell how the forecast did in the periods before: as of the same point in each.

    Frame, the latest last: period (code), asof (day), deals (open then), p10, p50, p90 and actual
    (won in the period, as of its last day); amounts in Decimal rupees. Back to the
    slice's first opportunity.
    """
    columns = ["period", "asof", "deals", "p10", "p50", "p90", "actual"]
    person(conn, actor)
    period, today = periods.parse(code), slice_.day() or clock.today(conn)
    into = today - period.first if period and period.first else timedelta(0)
    first = _first_day(conn, actor, slice_)
    rows: list[tuple[Any, ...]] = []
    for _ in range(back):
        period = periods.comparable(period, period.after or today) if period else None
        if period is None or period.first is None or period.last is None:
            break
        if period.last > today:
            continue
        day, span = min(period.first + into, period.last), period.code()
        if first is None or day < first:
            break
        told = likely(conn, actor, slice_.but(asof=str(day)), span)
        actual = _achieved(conn, actor, slice_.but(asof=str(period.last), closed=None), span)
        rows.append((span, day, told.deals, told.p10, told.p50, told.p90, actual))
    return pd.DataFrame(rows[::-1], columns=columns, dtype=object)


def _rates_within(conn: Connection, day: date, after: int, within: int) -> Mapping[Cell, Rate]:
    rows = conn.execute(courses.learnt(conn, day, after, within))
    return _learn(tuple(((r.status, _AGE_OF[r.first], r.band), (r.deals, r.won)) for r in rows))


def _rates(conn: Connection, days: Sequence[date]) -> dict[date, Mapping[Cell, Rate]]:
    """Days in order. What each day knows is what the one before knew, and what came in between."""
    if not days:
        return {}
    c, ends = course.c, list(map(periods.unix_day, days))
    keys = (c.status, c.first, c.band)
    # cell by cell, and day after day by itself, the key of what is kept leads from end to end of each
    query = select(*keys, func.sum(c.deals), func.sum(c.won)).where(*courses.cells(course)).group_by(*keys)
    spans = enumerate(zip((0, *ends), ends, strict=False))
    steps = [query.add_columns(literal(n)).where(c.known > before, c.known <= end) for n, (before, end) in spans]
    came: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for *row, number in conn.execute(union_all(*steps)):
        came[number].append(tuple(row))
    ended: dict[Cell, tuple[int, int]] = {}
    found = {}
    for number, day in enumerate(days):
        for status, first, band, more, wins in came[number]:
            cell = (status, _AGE_OF[first], band)
            deals, won = ended.get(cell, (0, 0))
            ended[cell] = deals + int(more), won + int(wins)
        found[day] = _learn(tuple(ended.items()))
    return found


@functools.lru_cache(maxsize=64)  # what a past day knew stays
def _learn(ended: tuple[tuple[Cell, tuple[int, int]], ...]) -> Mapping[Cell, Rate]:
    deals: Counter[Cell] = Counter()
    won: Counter[Cell] = Counter()
    for cell, (counted, wins) in ended:
        for level in range(len(LEVELS)):
            deals[cell[:level]] += counted
            won[cell[:level]] += wins
    exact: dict[Cell, Fraction] = {(): Fraction(1 + won[()], 2 + deals[()])}
    made: dict[Cell, Rate] = {}
    for cell in ((s, a, b) for s in lifecycle.PIPELINE for a in AGES for b in courses.VALUES):
        for level in range(1, len(LEVELS)):
            key = cell[:level]
            if key not in exact:
                exact[key] = (won[key] + WEIGHT * exact[key[:-1]]) / (deals[key] + WEIGHT)
        enough = [LEVELS[level] for level in range(len(LEVELS)) if deals[cell[:level]] >= WEIGHT]
        made[cell] = Rate(deals[cell], won[cell], exact[cell[:-1]], enough[-1] if enough else "prior")
    return MappingProxyType(made)


def _weighted(conn: Connection, actor: Actor, slice_: Slice, days: Sequence[date]) -> list[Decimal]:
    """The weighted pipelines of a slice at the end of these days, which are in order, each by the rates of its day."""
    person(conn, actor)
    known, sums = _rates(conn, days), dict.fromkeys(days, Decimal(0))
    for day, cell, held in _held(conn, actor, slice_, days):
        sums[day] += held.value * known[day][cell].rate
    return [_rupees(total) for total in sums.values()]


def _held(conn: Connection, actor: Actor, slice_: Slice, days: Sequence[date]) -> Iterator[tuple[date, Cell, Held]]:
    """What each cell of the open deals of a slice comes to at the end of each day: what is kept, or row by row.

    A slice that looks as of no day is asked of today alone.
    """
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    if part is None or not days or "asof" in slice_.malformed():
        return iter(())
    ledger = slice_ if slice_.asof else slice_.but(asof=str(days[0]))
    kept = tallies.aged_on(person(conn, actor), ledger, tuple(days))
    return _summed(conn, actor, part, days) if kept is None else _kept(conn.execute(kept).all(), days)


def _stock(cells: Mapping[Cell, Held], known: Mapping[Cell, Rate] | None) -> Stock:
    held = cells.values()
    value = sum((sums.value for sums in held), Decimal(0))
    weights = (sums.value * known[cell].rate for cell, sums in cells.items()) if known else ()
    weighed = _rupees(sum(weights, Decimal(0)))
    return Stock(sum(sums.deals for sums in held), value, weighed, sum(sums.overdue for sums in held))


def _summed(
    conn: Connection, actor: Actor, held: Slice, days: Sequence[date], late: bool = False
) -> Iterator[tuple[date, Cell, Held]]:
    """What each cell of open deals comes to at the end of each day, row by row; how many are overdue if asked for."""
    together = trends.stood(conn, person(conn, actor), held, days, ages=True) if held.day() else None
    if together is not None:
        asked, query = together
        keys = (asked.c.number, *_cell(held, asked))
        query = query.add_columns(*keys, *_sums(held, asked.c.day, late)).group_by(*keys)
    else:
        queries: list[Select[Any]] = []
        for number, day in enumerate(days):
            part = held.but(asof=str(day)) if held.day() else held
            keys = (literal(number), *_cell(part))
            queries.append(
                select(*keys, *_sums(part, day, late)).where(*pipeline.within(conn, actor, part)).group_by(*keys[1:])
            )
        query = select(union_all(*queries).subquery())
    for number, *cell, deals, summed, overdue in conn.execute(query):
        if number is not None:
            yield days[number], tuple(cell), Held(deals, summed, overdue)


def _kept(changes: Sequence[Any], days: Sequence[date]) -> Iterator[tuple[date, Cell, Held]]:
    """From what months and days changed: of a band of ages is what has its age, but not that of the next."""
    sums: dict[tuple[date, str, str, str], Held] = defaultdict(lambda: _NOTHING)
    spans = tallies.spans(days)
    for status, aged, band, deals, value, number in changes:
        for day in spans[number].days:
            before = sums[day, status, aged, band]
            sums[day, status, aged, band] = Held(before.deals + int(deals), before.value + value)
    ages = {AGED[age]: (age, AGED.get(after)) for age, after in zip_longest(AGES, AGES[1:])}
    for (day, status, aged, band), reached in list(sums.items()):
        age, older = ages[aged]
        gone = sums[day, status, older, band] if older else _NOTHING
        if reached.deals > gone.deals:
            yield day, (status, age, band), Held(reached.deals - gone.deals, reached.value - gone.value)


def _largest(conn: Connection, actor: Actor, part: Slice) -> list[tuple[Decimal, Cell]]:
    """The values of the largest open deals of a slice and their cells, in the order of their ids."""
    held = part.narrowed(status=lifecycle.PIPELINE)
    if held is None:
        return []
    facts = held.facts.c
    query = select(facts.id, facts.value, *_cell(held)).where(*pipeline.within(conn, actor, held))
    rows = conn.execute(query.order_by(facts.value.desc(), facts.id).limit(ALONE)).all()
    return [(value, tuple(cell)) for _id, value, *cell in sorted(rows, key=lambda row: row.id)]


def _first_day(conn: Connection, actor: Actor, part: Slice) -> date | None:
    """The day of a slice's first opportunity, or None."""
    months = pipeline.totals(conn, actor, part, "created")["created"]
    if months.empty:
        return None
    # what is kept tells the month; in it they are found by their creation, of which standings have no index
    span, facts = periods.parse(months.iloc[0]) or periods.Period(None, None), part.facts.c
    made = select(opportunity.c.id).where(sql.between(opportunity.c.created_at, *span.bounds()))
    where = (facts.id.in_(made), *pipeline.within(conn, actor, part))
    first = conn.scalar(select(func.min(facts.created_at)).where(*where))
    return periods.in_india(first).date() if first else None


def _achieved(conn: Connection, actor: Actor, part: Slice, code: str) -> Decimal:
    """What a slice won in a period (its code; none: ever): from the tallies if they know, else along an index."""
    held, period = part.narrowed(status=lifecycle.WON, **({"closed": code} if code else {})), periods.parse(code)
    if held is None:
        return Decimal(0)
    if period is None or tallies.query(person(conn, actor), held) is not None:
        return Decimal(pipeline.totals(conn, actor, held)["won_value"].iloc[0])
    span = (_EVER, period.first or periods.FIRST_DAY, period.after or periods.LAST_DAY)
    return _won(conn, actor, part, [span])[0]


def _spans_before(conn: Connection, actor: Actor, part: Slice, day: date, after: int, within: int) -> list[Decimal]:
    """What deals that came within so many days won of them after `after` days, in each span before the day.

    One after another back to the first opportunity; none where they are too few to tell anything.
    """
    first = _first_day(conn, actor, part)
    count = min(MOST_SPANS, (day - first).days // within) if first else 0
    if part.narrowed(status=lifecycle.WON) is None or count < FEWEST_SPANS:
        return []
    begun = (periods.next_day(periods.days_before(day, (number + 1) * within)) for number in range(count))
    spans = ((start, start + timedelta(days=after), start + timedelta(days=within)) for start in begun)
    return _won(conn, actor, part, list(spans))


def _won(conn: Connection, actor: Actor, part: Slice, spans: Sequence[tuple[date, date, date]]) -> list[Decimal]:
    """What deals of a slice that came from the first day of each span on won on the days from its second to its third."""
    held = part.narrowed(status=lifecycle.WON)
    if held is None:
        return [Decimal(0)] * len(spans)
    facts, instant = held.facts, held.facts.c.closed_at.type
    asked = union_all(
        *(
            select(
                literal(number).label("number"),
                *(
                    literal(periods.midnight(day), instant).label(name)
                    for name, day in zip(("start", "opens", "end"), span, strict=True)
                ),
            )
            for number, span in enumerate(spans)
        )
    ).subquery("asked")
    closed = and_(facts.c.closed_at >= asked.c.opens, facts.c.closed_at < asked.c.end)
    inside = and_(closed, facts.c.created_at >= asked.c.start, facts.c.won_value.is_not(None))
    where = pipeline.within(conn, actor, held)
    if held.day():  # a span is short beside all that was ever won
        where = [*map(trigrams.aside, where)]
    total = func.sum(facts.c.won_value, type_=facts.c.won_value.type)
    query = select(asked.c.number, total).join(facts, inside).where(*where).group_by(asked.c.number)
    found = {row[0]: Decimal(row[1]) for row in conn.execute(query)}
    return [found.get(number, Decimal(0)) for number in range(len(spans))]


def _sums(held: Slice, day: Any, late: bool) -> tuple[Any, ...]:
    value = held.facts.c.value
    overdue = Slice(attention=("overdue",)).conditions(held.facts, day) if late else [false()]
    return func.count(), func.sum(value, type_=value.type), func.count(case((and_(*overdue), 1)))


def _cell(held: Slice, day: Any = None) -> tuple[Any, ...]:
    facts = held.facts
    return facts.c.status, group("age", held, day).label("age"), courses.value_band(facts.c.value).label("band")


def _range(
    held: dict[Cell, Held], largest: list[tuple[Decimal, Cell]], known: Mapping[Cell, Rate], spans: list[Decimal]
) -> list[Decimal]:
    """Draw the rate of each cell from what is known of it, then each deal by its rate, then a span, many times over.

    The largest deals are drawn one by one; what else a cell has, many small ones, as the sum that so many of one size
    tend to.
    """
    chance = np.random.default_rng(SEED)
    weights = [(r.won + WEIGHT * r.parent, r.deals - r.won + WEIGHT * (1 - r.parent)) for r in known.values()]
    drawn = chance.beta([float(a) for a, _ in weights], [float(b) for _, b in weights], size=(DRAWS, len(weights)))
    place = {cell: number for number, cell in enumerate(known)}
    index = np.array([place[cell] for _, cell in largest], dtype=np.intp)
    paise = np.array([int(value * 100) for value, _ in largest], dtype=np.float64)
    totals = (chance.random((DRAWS, len(index))) < drawn[:, index]).astype(np.float64) @ paise
    for cell, sums in held.items():
        alone = [float(value * 100) for value, of in largest if of == cell]
        if sums.deals > len(alone):
            rest, many = float(sums.value * 100) - sum(alone), sums.deals - len(alone)
            rate = drawn[:, place[cell]]
            spread = rest * np.sqrt(rate * (1 - rate) / many)
            totals += np.clip(chance.normal(rate * rest, spread), 0, rest)
    if spans:
        totals += chance.choice(np.array([int(value * 100) for value in spans], dtype=np.float64), DRAWS)
    return [Decimal(int(q)) / 100 for q in np.quantile(totals, _QUANTILES, method="inverted_cdf")]


def _rupees(exact: Decimal) -> Decimal:
    return exact.quantize(Decimal("0.01"))
