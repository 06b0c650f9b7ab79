"""What became of the opportunities of a slice: how many came how far, and how long each step took."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

import pytest
from sqlalchemy import select

from crm_core import clock, flow, lifecycle, opportunities, periods, pipeline
from crm_core.schema import transition
from crm_core.slices import Slice
from tests.conftest import ASKED, Office
from tests.test_asof import PARTS, a_busy_company


def course(office: Office, *steps: tuple[str, str], owner: str = "asha", value: str = "1,00,000") -> int:
    """This function will add an opportunity and move it, each on its day (at noon UTC, or at a given instant)."""
    home, made = office.customer(), 0
    with office.database.write() as conn:
        for day, name in steps:
            at = datetime.fromisoformat(day)
            clock.start(conn, at if at.tzinfo else at.replace(hour=12, tzinfo=UTC))
            if name == "create":
                given = {"customer_id": home, "region": "coimbatore", "business_unit": "water", "product": "pump"}
                given |= {"value": value, "owner_id": office.people[owner].user_id}
                made = opportunities.create(conn, office.kavya, given)
            else:
                asked = dict(ASKED[name]) | ({"won_value": value} if name == "win" else {})
                opportunities.move(conn, office.kavya, made, name, asked)
    return made


def test_the_flow_of_three_by_hand(office: Office) -> None:
    """One won at once, one lost and won in the end, one still open; a wait is the median of the waits."""
    course(office, ("2026-01-05", "create"), ("2026-01-09", "make_offer"), ("2026-01-19", "win"))
    course(
        office,
        ("2026-01-05", "create"),
        ("2026-01-11", "lose"),
        ("2026-02-10", "reopen"),
        ("2026-02-12", "make_offer"),
        ("2026-02-25", "win"),
        value="2,00,000",
    )
    course(office, ("2026-01-06", "create"), value="4,00,000")
    course(office, ("2026-02-06", "create"), ("2026-02-07", "reject"))
    told = office.ask(flow.flow, office.kavya, Slice(created="2026-01"))
    lakh = Decimal(100_000)
    assert [
        ("open", 3, 7 * lakh, Decimal("1")),
        ("offer_made", 2, 3 * lakh, Decimal("0.6667")),
        ("won", 2, 3 * lakh, Decimal("0.6667")),
        ("lost", 1, 2 * lakh, Decimal("0.3333")),
        ("rejected", 0, 0, 0),
    ] == list(told.stages.itertuples(index=False, name=None))
    assert [
        ("open", "offer_made", 2, Decimal("3")),
        ("open", "lost", 1, Decimal("6")),
        ("offer_made", "won", 2, Decimal("11.5")),
        ("lost", "open", 1, Decimal("30")),
    ] == list(told.moves.itertuples(index=False, name=None))


def test_the_flow_of_a_past_day_knows_nothing_later(office: Office) -> None:
    """As-of: neither the stage reached on the next day nor the move to it."""
    course(office, ("2026-03-01", "create"), ("2026-03-31T18:29:59+00:00", "make_offer"))
    course(office, ("2026-03-01", "create"), ("2026-03-31T18:30:00+00:00", "make_offer"))
    told = [office.ask(flow.flow, office.kavya, Slice(asof=day)) for day in ("2026-03-31", "2026-04-01")]
    assert [1, 2] == [int(t.stages["count"][1]) for t in told]
    assert [[1], [2]] == [list(t.moves["count"]) for t in told]


def test_the_flow_of_nothing_is_nothing(office: Office) -> None:
    """An empty selection is no error: no share of none."""
    for nothing in (Slice(region="mars"), Slice(asof="someday")):
        told = office.ask(flow.flow, office.kavya, nothing)
        assert [(0, 0, None)] * 5 == list(told.stages[["count", "value", "share"]].itertuples(index=False, name=None))
        assert told.moves.empty
    course(office, ("2026-01-05", "create"), ("2026-01-09", "make_offer"))
    assert [0, 1, 0, 0, 0] == list(office.ask(flow.flow, office.kavya, Slice(reached="offer_made")).stages["count"])


@pytest.mark.parametrize("seed", range(2))
def test_the_flow_equals_its_lists_and_a_recount(office: Office, seed: int) -> None:
    """A2, A5: for every role, any slice and any past day; medians counted once more by hand."""
    chance = random.Random(seed)
    days = a_busy_company(office, chance)
    with office.owner.read() as conn:
        history = list(conn.execute(select(transition).order_by(transition.c.opportunity_id, transition.c.seq)))
    for actor in office.people.values():
        for part in (chance.choice(PARTS), chance.choice(PARTS).but(asof=str(chance.choice(days)))):
            with office.database.read() as conn:
                told = flow.flow(conn, actor, part)
                for status, count, value, _share in told.stages.itertuples(index=False):
                    narrowed = part.narrowed(reached=status)
                    assert narrowed is not None
                    listed = pipeline.listing(conn, actor, narrowed)
                    assert (listed.count, listed.value) == (count, value)
                inside = set(pipeline.ids(conn, actor, part))
            assert waits(history, inside, part) == told.moves.values.tolist()


def waits(history: list, inside: set[int], part: Slice) -> list[list]:
    """This function will count the moves of opportunities and the median days before them, one after the other."""
    day, took = part.day(), defaultdict(list)
    for before, after in itertools.pairwise(history):
        known = day is None or after.at < periods.midnight(periods.next_day(day))
        if known and after.opportunity_id == before.opportunity_id and after.opportunity_id in inside:
            begun, ended = (periods.in_india(move.at).date() for move in (before, after))
            took[after.from_status, after.to_status].append((ended - begun).days)
    order = list(lifecycle.STAGE)
    keys = sorted(took, key=lambda key: (order.index(key[0]), order.index(key[1])))
    return [[*key, len(took[key]), Decimal(median(took[key]))] for key in keys]
