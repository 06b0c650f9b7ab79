"""Any past day stands as it stood, and what moved between two days adds up, to the paisa."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from crm_core import clock, headline, lifecycle, opportunities, periods, pipeline, standings, steps, trends
from crm_core.database import Database
from crm_core.slices import Slice
from tests.conftest import ASKED, Office

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

BEGUN = datetime(2026, 3, 30, 12, 0, tzinfo=UTC)
#: the last and the first second of India's financial years among ordinary instants
MINUTES = (18 * 60 + 29, 18 * 60 + 30, 9 * 60, 23 * 60)
PARTS = (
    Slice(),
    Slice(region="coimbatore"),
    Slice(owner=("3", "4"), product="pump"),
    Slice(business_unit="water", created="fy2025-26"),
    Slice(status="offer_made"),
    Slice(q="amman"),
    Slice(region="mars"),
)


def a_busy_company(office: Office, chance: random.Random, days: int = 18, deals: int = 6) -> list[date]:
    """This function will let a few deals live through some weeks of work and give the days of it, in India."""
    home, made, worked = office.customer(), [], []
    for number in range(days):
        at = BEGUN.replace(hour=0) + timedelta(days=number // 2 * 3, minutes=chance.choice(MINUTES))
        worked.append(periods.in_india(at).date())
        with office.database.write() as conn:
            clock.start(conn, at)
            for _ in range(3):
                one_change(conn, office, chance, home, made, deals)
    return worked


def one_change(conn: Any, office: Office, chance: random.Random, home: int, made: list[int], deals: int) -> None:
    """This function will make, edit, move or reassign one of the deals, whatever is legal."""
    if len(made) < deals and chance.random() < 0.4:
        given = {"customer_id": home, "region": chance.choice(["coimbatore", "outer_chennai"]), "value": "1 lakh"}
        given |= {"business_unit": chance.choice(["water", "process"]), "product": chance.choice(["pump", "valve"])}
        owner = office.people[chance.choice(["asha", "ravi"])].user_id
        made.append(opportunities.create(conn, office.kavya, given | {"owner_id": owner}))
    elif made:
        row = opportunities.get(conn, office.kavya, chance.choice(made))
        moves = [t.name for t in opportunities.moves(conn, office.kavya, row)]
        act = chance.choice(["edit", "edit", "reassign", *moves])
        if act == "edit" and not lifecycle.STAGE[row.status].closed:
            change = {"value": chance.choice(["2 lakh", "50,000", "1 cr"]), "next_step_on": "2026-04-20"}
            change |= {"region": chance.choice(["coimbatore", "outer_chennai"])}
            opportunities.edit(conn, office.kavya, row.id, change)
        elif act == "reassign":
            owner = office.people[chance.choice(["asha", "ravi"])].user_id
            opportunities.reassign(conn, office.kavya, row.id, owner)
        elif act in moves:
            opportunities.move(conn, office.kavya, row.id, act, dict(ASKED[act]))


def figures(conn: Any, actor: Any, slice_: Slice | None) -> tuple[Any, ...]:
    if slice_ is None:
        return (0, 0, 0)
    listed = pipeline.listing(conn, actor, slice_, per_page=500)
    assert (listed.count, listed.value) == (len(listed.rows), sum(listed.rows["value"], Decimal(0)))
    return (listed.count, listed.value, listed.won_value)


@pytest.mark.parametrize("seed", [1])
def test_a_past_day_stands_as_it_stood_and_the_bridge_adds_up(office: Office, seed: int) -> None:
    """As-of and bridge of random histories, for every role, at the turns of the day and of the financial year."""
    chance = random.Random(seed)
    days = a_busy_company(office, chance)
    with office.owner.read() as conn:
        assert standings.verify(conn) == ""
    for actor in office.people.values():
        with office.database.read() as conn:
            for part in PARTS:
                today = part.but(asof=str(periods.today()))
                assert figures(conn, actor, today) == figures(conn, actor, part)
                first, last = sorted(chance.sample(days, 2))
                check_bridge(conn, actor, part, first, last)
                check_groups(conn, actor, part.but(asof=str(last)))


def check_groups(conn: Any, actor: Any, part: Slice) -> None:
    for by in ("status", "region", "owner", "age", "created", "closed", "reason", "product"):
        for row in pipeline.totals(conn, actor, part, by).itertuples(index=False):
            assert tuple(row)[1:] == figures(conn, actor, part.narrowed(**{by: row[0]})), (by, row)


def check_bridge(conn: Any, actor: Any, part: Slice, first: date, last: date) -> None:
    moved = trends.movement(conn, actor, part, f"{first}..{last}")
    assert moved.opening_value + sum(moved.steps["change"], Decimal(0)) == moved.closing_value
    before, after = (
        part.but(asof=str(day)).narrowed(status=lifecycle.PIPELINE) for day in (first - timedelta(days=1), last)
    )
    assert (moved.opening_value, moved.closing_value) == (
        figures(conn, actor, before)[1],
        figures(conn, actor, after)[1],
    )
    for step, count, change in moved.steps.itertuples(index=False):
        listed = pipeline.listing(conn, actor, part.but(moved=step, during=f"{first}..{last}"), per_page=500)
        assert (listed.count, listed.change) == (count, change)
        assert sum(listed.rows["change"], Decimal(0)) == change


def test_every_kind_of_step_is_met(office: Office) -> None:
    """The random companies are busy enough to try each of them."""
    met = set()
    for seed in range(2):
        a_busy_company(office, random.Random(seed), days=40)
        moved = office.ask(trends.movement, office.kavya, Slice(region="coimbatore"))
        met |= set(moved.steps["step"])
    assert set(steps.STEPS) == met


def test_the_standings_are_the_state_after_each_change(database: Database, office: Office) -> None:
    """Facts of the day: what the record was when the day ended, whatever came later."""
    made = office.opportunity()
    told = []
    for number, value in enumerate(("1,000", "2,000", "3,000")):
        with database.write() as conn:
            clock.start(conn, datetime(2027, 3, 31, 18, 29 + number, 59, tzinfo=UTC))
            opportunities.edit(conn, office.kavya, made, {"value": value})
        with office.database.read() as conn:
            told.append(pipeline.listing(conn, office.kavya, Slice()).value)
    then = [office.ask(pipeline.listing, office.kavya, Slice(asof=day)).value for day in ("2027-03-31", "2027-04-01")]
    assert [told[0], told[2]] == then


def test_a_clock_that_goes_backwards_leaves_no_gap(database: Database, office: Office) -> None:
    """B15, G15: the order of the changes decides, and every instant has one standing."""
    made = office.opportunity()
    for at in (datetime(2027, 1, 5, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC), datetime(2027, 1, 3, tzinfo=UTC)):
        with database.write() as conn:
            clock.start(conn, at)
            opportunities.edit(conn, office.kavya, made, {"title": str(at.day)})
    with office.owner.read() as conn:
        assert standings.verify(conn) == ""
    titles = [
        list(office.ask(pipeline.listing, office.kavya, Slice(asof=f"2027-01-0{day}")).rows["title"])
        for day in (1, 4, 5)
    ]
    assert [[None], [None], ["3"]] == titles


def test_a_standing_that_lies_is_found(office: Office) -> None:
    """The history proves what is kept beside it; rebuilding mends it."""
    made = office.at("won")
    office.sql(f"UPDATE standing SET value_paise = 5 WHERE id = {made} AND version = 2")
    with office.owner.write() as conn:
        assert f"Opportunity {made}, version 2" in standings.verify(conn)
        standings.rebuild(conn)
        assert standings.verify(conn) == ""


def test_a_day_that_is_none_matches_nothing_and_is_named(office: Office) -> None:
    """E-12, A3: a stale or broken link never shows more than it names."""
    office.opportunity()
    for asof in (("2026-02-30",), ("yesterday",), ("2026-11-01", "2026-11-02")):
        slice_ = Slice(asof=asof)
        assert office.ask(pipeline.listing, office.kavya, slice_).count == 0
        assert {"asof": list(asof)} == slice_.malformed()
        told = office.ask(headline.figures, office.kavya, slice_, "2026-11")
        assert [] == [figure.name for figure in told if figure.value or figure.before or figure.count]
        moved = office.ask(trends.movement, office.kavya, slice_, "2026-11")
        assert (0, 0, True) == (moved.opening_value, moved.closing_value, moved.steps.empty)


def test_a_period_that_begins_after_the_day_has_moved_nothing_yet(office: Office) -> None:
    """The bridge begins and ends on the day; nothing is compared with what came later. The first day has none before it."""
    made = office.opportunity(value="5 lakh")
    day = periods.in_india(office.ask(opportunities.get, office.kavya, made).created_at).date()
    later = periods.Period(day + timedelta(days=40), day + timedelta(days=50)).code()
    for asof, value in ((day, 500_000), (periods.FIRST_DAY, 0)):
        slice_ = Slice(asof=str(asof))
        for code in (later, "1990-01"):
            moved = office.ask(trends.movement, office.kavya, slice_, code)
            change = moved.steps["change"].sum() if len(moved.steps) else 0
            assert moved.closing_value == moved.opening_value + change, (asof, code)
            told = {f.name: f for f in office.ask(headline.figures, office.kavya, slice_, later)}
            assert (value, value) == (told["pipeline"].value, told["pipeline"].before)


def test_a_step_opens_what_it_counts_whatever_narrows_the_tiles(office: Office) -> None:
    """A bridge knows neither “Needs attention” nor “Reached”: its links do not either."""
    office.opportunity(value="5 lakh")
    office.opportunity(value="7 lakh", next_step="Call", next_step_on="2020-01-01")
    for slice_ in (Slice(attention="overdue"), Slice(reached="won"), Slice(age="181-")):
        moved = office.ask(trends.movement, office.kavya, slice_, headline.span(slice_))
        assert ["new"] == list(moved.steps["step"])
        listed = office.ask(pipeline.listing, office.kavya, moved.part.but(moved="new"))
        assert (2, 1_200_000) == (listed.count, listed.change)
