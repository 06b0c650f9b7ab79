"""The forecast: rates learnt from closed deals, what the open ones weigh, and how well it foresaw what is past."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import select

from crm_core import clock, courses, forecast, lifecycle, opportunities, periods, pipeline, stage_limits, users
from crm_core.errors import NotAllowed
from crm_core.schema import standing, transition
from crm_core.slices import AGES, Slice
from tests.conftest import ASKED, Office
from tests.test_asof import PARTS, a_busy_company
from tests.test_flow import course

SMALL = courses.VALUES[0]
NONE = Decimal(0)


def rates(office: Office, day: str, name: str = "kavya") -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """This function will read the rates known on a day: cell → rate, won, deals, source."""
    frame = office.ask(forecast.rates, office.people[name], date.fromisoformat(day))
    return {row[:3]: row[3:] for row in frame.itertuples(index=False, name=None)}


def two_deals(office: Office) -> None:
    course(office, ("2026-01-05", "create"), ("2026-01-10", "make_offer"), ("2026-02-20", "win"))
    course(office, ("2026-01-05", "create"), ("2026-02-10", "lose"))


def test_the_rates_of_two_deals_by_hand(office: Office) -> None:
    """All: 3 of 5 stays seen won, with Beta(1,1) 4/7; each level below weighs the one above as 20 deals."""
    two_deals(office)
    known = rates(office, "2026-02-20")
    assert len(known) == len(lifecycle.PIPELINE) * len(AGES) * len(courses.VALUES)
    stage = (1 + 20 * Fraction(4, 7)) / 23
    age = (1 + 20 * stage) / 22
    assert age == Fraction(1901, 3542)
    assert known["open", "0-30", SMALL] == (Decimal("0.5334"), 1, 2, "prior")
    assert known["open", "31-60", SMALL] == (Decimal("0.4901"), 0, 1, "prior")
    assert known["open", "181-", SMALL] == (Decimal("0.5404"), 0, 0, "prior")
    assert known["offer_made", "0-30", SMALL][1:] == (1, 1, "prior")
    assert known["offer_made", "31-60", SMALL][1:] == (1, 1, "prior")
    assert known["offer_made", "61-90", SMALL][1:] == (0, 0, "prior")
    assert known["open", "0-30", courses.VALUES[1]] == (Decimal("0.5367"), 0, 0, "prior")


def test_a_company_without_a_closed_deal_has_the_prior(office: Office) -> None:
    """One half, and the frame says so; half the value is what the pipeline weighs."""
    course(office, ("2026-01-05", "create"))
    assert {(Decimal("0.5"), 0, 0, "prior")} == set(rates(office, "2026-01-31").values())
    assert Decimal(50_000) == office.ask(forecast.weighted, office.kavya, Slice(asof="2026-01-31"))


def test_the_source_is_the_finest_level_with_enough_deals(office: Office) -> None:
    """Twenty are enough: for the cell where they are of one band, else for its age, its stage, or all."""
    for number in range(20):
        course(office, ("2026-01-05", "create"), ("2026-01-20", "lose"), value="1 lakh" if number else "1 cr")
    known = rates(office, "2026-03-31")
    assert known["open", "0-30", SMALL][1:] == (0, 19, "age")
    assert known["open", "61-90", SMALL][3] == "stage"
    assert known["offer_made", "0-30", SMALL][3] == "all"
    course(office, ("2026-01-05", "create"), ("2026-01-20", "lose"))
    assert rates(office, "2026-03-31")["open", "0-30", SMALL][1:] == (0, 20, "band")


def test_what_comes_later_changes_no_past_rate_and_no_past_forecast(office: Office) -> None:
    """No look-ahead: a later win, a reopening, another value, a new deal."""
    two_deals(office)
    still = course(office, ("2026-01-12", "create"), ("2026-01-15", "make_offer"), value="7 lakh")
    slice_, day = Slice(asof="2026-02-15"), date(2026, 2, 15)

    def told() -> list[Any]:
        ask, me = office.ask, office.kavya
        return [
            rates(office, "2026-02-15"),
            ask(forecast.weighted, me, slice_),
            ask(forecast.stocks, me, Slice(), [day], [day]),
            ask(forecast.likely, me, slice_, "2026-02"),
            ask(forecast.backtest, me, slice_, "2026-02").values.tolist(),
        ]

    before = told()
    with office.database.write() as conn:
        clock.start(conn, datetime(2026, 2, 16, tzinfo=UTC))
        opportunities.edit(conn, office.kavya, still, {"value": "3 cr"})
        opportunities.move(conn, office.kavya, still, "win", dict(ASKED["win"]))
    course(office, ("2026-02-16", "create"), ("2026-02-18", "make_offer"), ("2026-02-19", "win"))
    assert before == told()
    assert rates(office, "2026-02-15") != rates(office, "2026-02-28")


def test_a_day_ends_at_midnight_in_india(office: Office) -> None:
    """18:29:59Z belongs to 31 March, 18:30:00Z to the next financial year."""
    for end in ("2026-03-31T18:29:59+00:00", "2026-03-31T18:30:00+00:00"):
        course(office, ("2026-03-01", "create"), (end, "lose"))
    assert [1, 2] == [rates(office, day)["open", "0-30", SMALL][2] for day in ("2026-03-31", "2026-04-01")]


def test_a_stay_counts_for_the_ages_that_it_lived_through(office: Office) -> None:
    """Of 31 days: the day 31 did not end with it; of 32: it did. One that left on its first day, for none."""
    course(office, ("2026-01-01", "create"), ("2026-02-01", "lose"))
    course(office, ("2026-01-01", "create"), ("2026-02-02", "lose"))
    course(office, ("2026-01-01", "create"), ("2026-01-01", "lose"))
    known = rates(office, "2026-02-28")
    assert [2, 1, 0] == [known["open", age, SMALL][2] for age in AGES[:3]]


def test_a_reopened_deal_is_two_courses(office: Office) -> None:
    """Its first stay was lost, its second won: the next closing is what counts."""
    steps = [("2026-01-01", "create"), ("2026-01-05", "lose"), ("2026-01-20", "reopen"), ("2026-01-22", "make_offer")]
    course(office, *steps, ("2026-01-25", "win"))
    assert rates(office, "2026-01-10")["open", "0-30", SMALL][1:3] == (0, 1)
    assert rates(office, "2026-01-31")["open", "0-30", SMALL][1:3] == (1, 2)


def test_the_rates_are_the_companys_for_everybody_but_who_has_left(office: Office) -> None:
    """A2: who sees one deal or none reads the same rates; somebody deactivated reads none."""
    two_deals(office)
    course(office, ("2026-01-05", "create"), ("2026-02-10", "lose"), owner="ravi")
    mine = course(office, ("2026-02-01", "create"), owner="asha")
    wanted = rates(office, "2026-02-28")
    assert wanted["open", "0-30", SMALL][1:3] == (1, 3)
    assert dict.fromkeys(office.people, wanted) == {n: rates(office, "2026-02-28", n) for n in office.people}
    of_it = Slice(asof="2026-02-28")
    assert pipeline_of(office, "asha", of_it) == [mine]
    weighed = {n: office.ask(forecast.weighted, office.people[n], of_it) for n in ("asha", "kavya", "devi", "ravi")}
    assert weighed == dict.fromkeys(("asha", "kavya", "devi"), weighed["kavya"]) | {"ravi": NONE}
    assert weighed["kavya"] == 100_000 * wanted["open", "0-30", SMALL][0]
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    for verb, args in ((forecast.rates, ()), (forecast.weighted, (Slice(),)), (forecast.stocks, (Slice(), [], []))):
        with pytest.raises(NotAllowed):
            office.ask(verb, office.ravi, *args)


def pipeline_of(office: Office, name: str, slice_: Slice) -> list[int]:
    return office.ask(pipeline.ids, office.people[name], slice_.but(status=lifecycle.PIPELINE))


# Recounted in Python


def recount(office: Office, day: date, after: int = 0, within: int | None = None) -> dict[tuple[str, ...], Fraction]:
    """This function will learn the rates once more, deal by deal: cell → rate, exactly."""
    deals, won = Counter(), Counter()
    for stays, values in histories(office):
        for number, (status, begun, entered) in enumerate(stays):
            if status in lifecycle.CLOSED:
                continue
            left = stays[number + 1][1] if number + 1 < len(stays) else date.max
            closings = [(s, at) for s, at, _ in stays[number:] if s in lifecycle.CLOSED]
            end, ended = closings[0] if closings else (None, date.max)
            for age in AGES:
                seen = entered + timedelta(days=int(age.split("-")[0]))
                known = ended if within is None else seen + timedelta(days=within)
                if begun <= seen < left and known <= day:
                    in_time = within is None or after < (ended - seen).days <= within
                    value = [value for at, value in values if at <= seen][-1]
                    band = sum(value >= at for at in (500_000, 2_000_000))
                    for key in ((), (status,), (status, age), (status, age, courses.VALUES[band])):
                        deals[key] += 1
                        won[key] += end == "won" and in_time

    def rate(key: tuple[str, ...]) -> Fraction:
        if not key:
            return Fraction(won[()] + 1, deals[()] + 2)
        return (won[key] + 20 * rate(key[:-1])) / (deals[key] + 20)

    return {(s, a, b): rate((s, a, b)) for s in lifecycle.PIPELINE for a in AGES for b in courses.VALUES}


def histories(office: Office) -> list[tuple[list[tuple[str, date, date]], list[tuple[date, Decimal]]]]:
    """This function will read each deal's statuses and its values in order, with the day in India of each.

    With a status also the day from which its ages count: another, where the clock went backwards.
    """
    made = (transition.c.opportunity_id == standing.c.id) & (transition.c.seq == standing.c.version)
    query = select(standing, transition.c.move).outerjoin(transition, made)
    found: dict[int, tuple[list[Any], list[Any]]] = {}
    with office.owner.read() as conn:
        for row in conn.execute(query.order_by(standing.c.id, standing.c.version)):
            day, (statuses, values) = periods.in_india(row.from_at).date(), found.setdefault(row.id, ([], []))
            values.append((day, row.value))
            if row.move:
                statuses.append((row.status, day, periods.in_india(row.status_at).date()))
    return list(found.values())


def rounded(exact: Fraction) -> Decimal:
    return Decimal(round(exact * 10_000)) / 10_000


@pytest.mark.parametrize("seed", range(2))
def test_everything_equals_a_recount(office: Office, seed: int) -> None:
    """On random histories: the rates, the weighted pipeline of every role, the further wins of a period."""
    chance = random.Random(seed)
    days = a_busy_company(office, chance, days=64, deals=12)
    day, end = sorted(chance.sample(days[8:], 2))
    exact = recount(office, day)
    assert {cell: rounded(rate) for cell, rate in exact.items()} == {
        cell: told[0] for cell, told in rates(office, str(day)).items()
    }
    within = (end - day).days
    later = day + timedelta(days=chance.randint(2, 9))
    for actor in office.people.values():
        part = chance.choice(PARTS[:4]).but(asof=str(day))
        held = part.narrowed(status=lifecycle.PIPELINE)
        rows = office.ask(pipeline.listing, actor, held, per_page=500).rows
        weighed = office.ask(forecast.weighted, actor, part)
        assert weighed == expected(rows, day, exact)
        assert 0 <= weighed <= sum(rows["value"], NONE)
        stock = forecast.Stock(len(rows), sum(rows["value"], NONE), weighed, sum(rows["next_step_on"] < day))
        assert {day: stock} == office.ask(forecast.stocks, actor, part.but(asof=None), [day], [day])
        told = office.ask(forecast.likely, actor, part, f"{periods.day_before(day)}..{end}")
        assert told.further == expected(rows, day, recount(office, day, 0, within))
        won = part.narrowed(status="won", closed=f"{periods.day_before(day)}..{end}")
        assert told.won == (office.ask(pipeline.listing, actor, won).won_value if won else 0)
        assert told.won <= told.p10 <= told.p50 <= told.p90 <= told.won + sum(rows["value"], NONE)
        ahead = office.ask(forecast.likely, actor, part, f"{later}..{later + timedelta(days=5)}")
        first = (later - day).days
        assert (ahead.won, ahead.further) == (0, expected(rows, day, recount(office, day, first - 1, first + 5)))


def test_a_slice_that_needs_other_attention_has_nothing_overdue(office: Office) -> None:
    """As the list that its tile would open: what needs attention is one or the other; of both, what is overdue is."""
    office.do(stage_limits.set_limits, office.kavya, {"open": "30"})
    today, home = periods.today(), office.customer()
    with office.database.write() as conn:
        clock.start(conn, datetime.now(UTC) - timedelta(days=40))
        given = {"customer_id": home, "region": "coimbatore", "business_unit": "water", "product": "pump"}
        given |= {"value": "1 lakh", "owner_id": office.asha.user_id, "next_step_on": str(today - timedelta(days=1))}
        opportunities.create(conn, office.kavya, given)
    for attention, late in (("stale", 0), (("stale", "overdue"), 1), ("overdue", 1)):
        for more in ({}, {"customer": home}):
            told = office.ask(forecast.stocks, office.kavya, Slice(attention=attention, **more), [today], [])
            assert {today: forecast.Stock(1, Decimal(100_000), NONE, late)} == told, (attention, more)


def expected(rows: Any, day: date, exact: dict[tuple[str, ...], Fraction]) -> Decimal:
    total = NONE
    for row in rows.itertuples():
        age = (day - periods.in_india(row.status_at).date()).days
        aged = AGES[sum(age > last for last in (30, 60, 90, 180))]
        band = courses.VALUES[sum(row.value >= at for at in (500_000, 2_000_000))]
        total += row.value * rounded(exact[row.status, aged, band])
    return round(total, 2)


def test_many_days_at_once_are_what_each_day_shows(office: Office) -> None:
    """A trend's point is the figure of that day, whatever the order of the days and however many."""
    days = a_busy_company(office, random.Random(5), days=40, deals=10)
    wanted = {day: office.ask(forecast.weighted, office.kavya, Slice(asof=str(day))) for day in days}
    for slice_ in (Slice(), Slice(owner=(office.asha.user_id, office.ravi.user_id))):
        told = office.ask(forecast.stocks, office.kavya, slice_, days[::-1], days[::2])
        assert {day: wanted[day] if day in days[::2] else NONE for day in days} == {
            day: stock.weighted for day, stock in told.items()
        }
    assert len(set(wanted.values())) > 5
    assert {} == office.ask(forecast.stocks, office.kavya, Slice(), [], [])
    today = office.ask(forecast.weighted, office.kavya, Slice())
    assert today == office.ask(forecast.weighted, office.kavya, Slice(asof=str(periods.today())))


# The period


def steady(office: Office, deals: int = 150) -> None:
    """This function will let a deal come every other day and end after two months or so, two of five won."""
    chance, home = random.Random(7), office.customer()
    given = {"customer_id": home, "region": "coimbatore", "business_unit": "water", "product": "pump"}
    given |= {"value": "1 lakh", "owner_id": office.asha.user_id}
    events: list[tuple[datetime, int, str]] = []
    for number in range(deals):
        begun = datetime(2025, 3, 1, 6, tzinfo=UTC) + timedelta(days=2 * number)
        ended = begun + timedelta(days=1 + chance.expovariate(1 / 60))
        last = "win" if chance.random() < 0.4 else "lose"
        events += [(begun, number, "create"), (begun + timedelta(hours=2), number, "make_offer"), (ended, number, last)]
    made: dict[int, int] = {}
    with office.database.write() as conn:
        for at, number, name in sorted(events):
            clock.start(conn, at)
            if name == "create":
                made[number] = opportunities.create(conn, office.kavya, given)
            else:
                asked = {"won_value": "1 lakh"} if name == "win" else ASKED[name]
                opportunities.move(conn, office.kavya, made[number], name, dict(asked))


def test_the_backtest_tells_how_often_the_range_held(office: Office) -> None:
    """Eight of ten should; of five months of a steady company four did, each told from that month's 10th day."""
    steady(office)
    slice_ = Slice(asof="2026-01-10")
    told = office.ask(forecast.backtest, office.kavya, slice_, "2026-01", 5)
    assert [f"2025-{month:02d}" for month in (8, 9, 10, 11, 12)] == list(told["period"])
    assert {10} == {day.day for day in told["asof"]}
    held = [row.p10 <= row.actual <= row.p90 for row in told.itertuples()]
    assert held.count(True) >= 4, told
    for row in told.itertuples():
        then = office.ask(forecast.likely, office.kavya, Slice(asof=str(row.asof)), row.period)
        assert (then.p10, then.p50, then.p90, then.deals) == (row.p10, row.p50, row.p90, row.deals)
        won = Slice(asof=str(periods.parse(row.period).last), status="won", closed=row.period)
        assert office.ask(pipeline.listing, office.kavya, won).won_value == row.actual
    now = office.ask(forecast.likely, office.kavya, slice_, "2026-01")
    assert now.won < now.p10 < now.p50 < now.p90
    assert now == office.ask(forecast.likely, office.asha, slice_, "2026-01")
    assert [] == list(office.ask(forecast.backtest, office.kavya, slice_, "2026-01", 0)["period"])


def test_the_period_before_is_as_long(office: Office) -> None:
    """A quarter before a quarter, a financial year before one, as many days before some days; none before all time."""
    course(office, ("2024-04-01", "create"))
    codes = {
        "2026-q1": "fy2025-26-q3",
        "fy2025-26": "fy2024-25",
        "2026-01-05..2026-01-14": "2025-12-26..2026-01-04",
    }
    for code, before in codes.items():
        told = office.ask(forecast.backtest, office.kavya, Slice(asof="2026-01-10"), code, 1)
        assert [before] == list(told["period"]), code
    for code in ("", "2026-01-05..", "soon"):
        assert office.ask(forecast.backtest, office.kavya, Slice(), code).empty
    years = office.ask(forecast.backtest, office.kavya, Slice(asof="2026-01-10"), "fy2025-26")
    assert ["fy2024-25"] == list(years["period"]), "nothing is foreseen before the first opportunity"


def test_deals_still_to_come_bring_what_they_brought_before(office: Office) -> None:
    """Of four spans of ten days, two won a deal that came in them; another came in one span and was won in the next."""
    for begun, ended in (("2026-01-20", "2026-02-01"), ("2026-02-01", "2026-02-05"), ("2026-02-10", "2026-02-20")):
        course(office, (begun, "create"), (begun, "make_offer"), (ended, "win"))
    course(office, ("2026-02-20", "create"), ("2026-02-20", "make_offer"), ("2026-02-25", "win"))
    won = office.ask(pipeline.totals, office.kavya, Slice(status="won"))["won_value"][0] / 4

    def told(code: str, day: str = "2026-03-01", **more: Any) -> forecast.Likely:
        return office.ask(forecast.likely, office.kavya, Slice(asof=day, **more), code)

    march = told("2026-03-02..2026-03-11")
    assert (march.coming, march.spans, march.further, march.p10, march.p90) == (won / 2, 4, 0, 0, won)
    assert (won / 2, 0) == (told("2026-03-06..2026-03-11").coming, told("2026-03-08..2026-03-11").coming)
    assert 0 == told("2026-03-02..2026-03-11", region="mars").spans
    assert 0 == told("2026-03-02..2026-03-21").spans, "two spans are too few"
    assert 0 == told("2026-03-02..2026-03-11", status="open").coming


def test_a_period_that_is_yet_to_come_counts_no_win_before_it(office: Office) -> None:
    """A deal was won on its third day: 7261 of 9261 by that, within 19 days; 2000 of 9261 from the tenth day on."""
    course(office, ("2026-01-01", "create"), ("2026-01-02", "make_offer"), ("2026-01-04", "win"))
    course(office, ("2026-03-01", "create"))
    slice_ = Slice(asof="2026-03-01", created="2026-03")
    told = [
        office.ask(forecast.likely, office.kavya, slice_, f"2026-03-{day}..2026-03-20") for day in ("01", "02", "11")
    ]
    assert [78_400, 78_400, 21_600] == [t.further for t in told]
    day = date(2026, 3, 1)
    rows = office.ask(pipeline.listing, office.kavya, slice_.narrowed(status=lifecycle.PIPELINE)).rows
    for ahead in range(1, 6):  # the second and the third day, on which stays were won, among them
        further = office.ask(forecast.likely, office.kavya, slice_, f"2026-03-{1 + ahead:02d}..2026-03-20").further
        assert further == expected(rows, day, recount(office, day, ahead - 1, 19)), ahead
        further = office.ask(forecast.likely, office.kavya, slice_, f"2026-03-01..2026-03-{1 + ahead:02d}").further
        assert further == expected(rows, day, recount(office, day, 0, ahead)), ahead


def test_a_period_that_is_over_or_none_or_empty(office: Office) -> None:
    """What is over is what was won; a broken period or an empty slice is nothing, never an error."""
    two_deals(office)
    course(office, ("2026-01-12", "create"))
    kavya, day = office.kavya, "2026-03-10"
    over = office.ask(forecast.likely, kavya, Slice(asof=day), "2026-02")
    assert (over.won, over.further, over.p10, over.p50, over.p90) == (100_000, 0, 100_000, 100_000, 100_000)
    assert office.ask(forecast.likely, kavya, Slice(asof=day), "soon").p90 == 0
    assert office.ask(forecast.likely, kavya, Slice(asof=day, region="mars"), "2026-03").p90 == 0
    assert office.ask(forecast.likely, kavya, Slice(asof=day, status="lost"), "2026-03").deals == 0
    assert office.ask(forecast.weighted, kavya, Slice(asof="someday")) == 0
    assert office.ask(forecast.weighted, kavya, Slice(asof=day, status="won")) == 0
    ever = office.ask(forecast.likely, kavya, Slice(asof=day))
    assert ever.further == office.ask(forecast.weighted, kavya, Slice(asof=day))
    assert ever.won == 100_000


def test_many_small_deals_drawn_as_their_sum_make_the_range_of_each_drawn_alone() -> None:
    """The largest stay apart: one of a crore is won whole or not at all."""
    chance = random.Random(7)
    known = {
        ("open", "0-30", band): forecast.Rate(60, won, Fraction(1, 3), "band")
        for band, won in zip(courses.VALUES, (15, 30, 45), strict=True)
    }
    deals = [(Decimal(chance.randrange(1_00_000, 9_00_000)), cell) for cell in known for _ in range(1_000)]
    deals += [(Decimal(1_00_00_000) * n, cell) for n, cell in enumerate(known, 1)]
    held = {
        cell: forecast.Held(len(values), sum(values))
        for cell in known
        if (values := [value for value, of in deals if of == cell])
    }
    largest = sorted(deals, reverse=True)[: forecast.ALONE]
    alone, summed = (forecast._range(held, few, known, []) for few in (deals, largest))
    for one, other in zip(alone, summed, strict=True):
        assert abs(one / other - 1) < Decimal("0.01")
