"""Who can move what where: the table of legal moves by hand, and every other cell refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from sqlalchemy.exc import DBAPIError

from crm_core import clock, opportunities, pipeline, settings, users
from crm_core.errors import Invalid, NotAllowed, NotFound, Refusal
from crm_core.slices import Slice
from tests.conftest import ASKED, Office

LEGAL = {
    ("open", "make_offer"): "offer_made",
    ("open", "lose"): "lost",
    ("open", "reject"): "rejected",
    ("offer_made", "win"): "won",
    ("offer_made", "lose"): "lost",
    ("offer_made", "reject"): "rejected",
    ("won", "reopen"): "open",
    ("lost", "reopen"): "open",
    ("rejected", "reopen"): "open",
}
STATUSES = ("open", "offer_made", "won", "lost", "rejected")
MOVES = ("make_offer", "win", "lose", "reject", "reopen")
#: person → what they may do with an opportunity of asha
MAY = {
    "asha": {"make_offer", "win", "lose", "reject"},
    "kavya": set(MOVES),
    "meena": set(MOVES),
    "ravi": None,
    "arun": None,
    "devi": set(),
}
REASONED = ("", " ", "\u00a0", "\u200b", None)


def expected(status: str, move: str, person: str) -> str | type[Refusal]:
    may = MAY[person]
    if may is None:
        return NotFound
    if move not in may:
        return NotAllowed
    return LEGAL.get((status, move), Invalid)


def status_of(office: Office, made: int) -> str:
    return str(office.ask(opportunities.get, office.kavya, made).status)


@pytest.mark.parametrize("status", STATUSES)
def test_every_move_by_every_person_is_what_the_table_says(office: Office, status: str) -> None:
    """B1, B7, B8: status × move × role × owner or other, cell by cell."""
    seen, wanted = {}, {}
    for move, person in product(MOVES, MAY):
        made = office.at(status)
        before = office.count("transition")
        try:
            office.do(opportunities.move, office.people[person], made, move, dict(ASKED[move]))
            seen[move, person] = status_of(office, made)
        except Refusal as why:
            seen[move, person] = type(why)
            assert (status, before) == (status_of(office, made), office.count("transition"))
        wanted[move, person] = expected(status, move, person)
    assert wanted == seen


@pytest.mark.parametrize("status", STATUSES)
def test_the_database_refuses_every_status_written_past_the_program(office: Office, status: str) -> None:
    """B1, B13: raw UPDATE, status × status and words that are none, with and without a new version."""
    made = office.at(status)
    for other in (*STATUSES, "Won", "WON ", "offer made", ""):
        for more in ("", ", version = version + 1"):
            if other != status:
                with pytest.raises((Refusal, DBAPIError)):
                    office.sql(f"UPDATE opportunity SET status = '{other}'{more} WHERE id = {made}")
    assert status == status_of(office, made)


@pytest.mark.parametrize(("status", "target"), list(product(STATUSES, STATUSES)))
def test_the_database_refuses_illegal_history_rows(office: Office, status: str, target: str) -> None:
    """B1: a raw transition counts only where the table has it."""
    made = office.at(status)
    won, reason, note = "NULL", "NULL", "'x'"
    if target == "won":
        won = "100"
    if target in ("lost", "rejected"):
        reason = "'price'" if target == "lost" else "'no_budget'"
    name = {"offer_made": "make_offer", "won": "win", "lost": "lose", "rejected": "reject", "open": "reopen"}[target]
    version = office.ask(opportunities.get, office.kavya, made).version
    statement = (
        "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id, "
        f"won_value_paise, reason, note) SELECT {made}, {version + 1}, '{name}', '{status}', '{target}', "
        f"status_at, status_at, {office.kavya.user_id}, {won}, {reason}, {note} FROM opportunity WHERE id = {made}"
    )
    if LEGAL.get((status, name)) == target:
        office.sql(statement)
        assert target == status_of(office, made)
    else:
        with pytest.raises((Refusal, DBAPIError)):
            office.sql(statement)
        assert status == status_of(office, made)


@pytest.mark.parametrize("value", [None, "", "-1", "NaN", 10**14, float("nan"), True])
def test_winning_needs_an_amount(office: Office, value: object) -> None:
    """B3: the message names the field."""
    made = office.at("offer_made")
    with pytest.raises(Invalid) as refused:
        office.do(opportunities.move, office.asha, made, "win", {"won_value": value})
    assert ["won_value"] == [m.field for m in refused.value.messages]


def test_an_opportunity_can_be_won_at_zero(office: Office) -> None:
    """B3: zero is an amount."""
    made = office.at("offer_made")
    office.do(opportunities.move, office.asha, made, "win", {"won_value": "0"})
    assert Decimal(0) == office.ask(opportunities.get, office.asha, made).won_value


@pytest.mark.parametrize("move", ["lose", "reject"])
@pytest.mark.parametrize("reason", [*REASONED, "Price", "mars", "no_budget price"])
def test_losing_and_rejecting_need_a_listed_reason(office: Office, move: str, reason: str | None) -> None:
    """B4."""
    made = office.opportunity()
    with pytest.raises(Invalid) as refused:
        office.do(opportunities.move, office.asha, made, move, {"reason": reason})
    assert ["reason"] == [m.field for m in refused.value.messages]


@pytest.mark.parametrize("note", REASONED)
def test_reopening_needs_words(office: Office, note: str | None) -> None:
    """B4."""
    made = office.at("lost")
    with pytest.raises(Invalid):
        office.do(opportunities.move, office.kavya, made, "reopen", {"note": note})


@pytest.mark.parametrize(
    ("status", "move", "values"),
    [
        ("offer_made", "win", {"won_value": "1", "reason": "price"}),
        ("open", "lose", {"reason": "price", "won_value": "1"}),
    ],
)
def test_no_outcome_carries_the_field_of_another(office: Office, status: str, move: str, values: dict) -> None:
    """B5: by the program, then past it."""
    made = office.at(status)
    with pytest.raises(Invalid):
        office.do(opportunities.move, office.asha, made, move, values)
    for column in ("won_value_paise = 5", "reason = 'price'"):
        with pytest.raises(Refusal):
            office.sql(f"UPDATE opportunity SET {column}, version = version + 1 WHERE id = {made}")


def test_winning_again_counts_the_last_value_only(office: Office) -> None:
    """B9: both values stay in the history."""
    made = office.at("won")
    office.move(made, "reopen", "make_offer")
    assert office.ask(opportunities.get, office.asha, made).won_value is None
    office.do(opportunities.move, office.asha, made, "win", {"won_value": "50,000"})
    assert Decimal(50000) == office.ask(pipeline.totals, office.kavya, Slice()).won_value[0]
    said = [c.after for e in office.ask(opportunities.history, office.asha, made) for c in e.changes]
    assert {"₹50,000", "₹90,000"} <= set(said)


@pytest.mark.parametrize("change", ["status = 'won'", "version = 7", "won_value_paise = 1", "reason = 'price'"])
def test_no_opportunity_is_born_grown_up(office: Office, change: str) -> None:
    """B10."""
    made = office.opportunity()
    name, _, value = change.partition(" = ")
    columns = {"status": "'open'", "version": "1", "won_value_paise": "NULL", "reason": "NULL"} | {name: value}
    copied = "customer_id, region, business_unit, product, value_paise, owner_id, created_at, created_by_id, status_at"
    with pytest.raises(Refusal):
        office.sql(
            f"INSERT INTO opportunity ({', '.join(columns)}, {copied}) "
            f"SELECT {', '.join(columns.values())}, {copied} FROM opportunity WHERE id = {made}"
        )


@pytest.mark.parametrize("table", ["opportunity", "transition", "audit", "customer", "app_user"])
def test_nothing_with_a_history_is_deleted(office: Office, table: str) -> None:
    """B12."""
    office.opportunity()
    with pytest.raises(Refusal):
        office.sql(f"DELETE FROM {table}")
    if table in ("transition", "audit"):
        with pytest.raises(Refusal):
            office.sql(f"UPDATE {table} SET at = recorded_at")


def test_an_offer_is_linked_only_where_it_belongs(office: Office) -> None:
    """B14: missing, of another customer, linked already, on a lost opportunity."""
    home, other = office.customer(), office.customer("Bharat Dyes")
    mine, theirs = office.offer(home, "Q-1"), office.offer(other, "Q-2")
    first = office.at("offer_made", customer_id=home)
    second = office.at("offer_made", customer_id=home)
    lost = office.at("lost", customer_id=home)
    office.do(opportunities.link_offer, office.asha, first, mine)
    for made, offer in ((second, 999_999), (second, theirs), (second, mine)):
        with pytest.raises(Invalid):
            office.do(opportunities.link_offer, office.asha, made, offer)
        with pytest.raises((Refusal, DBAPIError)):
            office.sql(f"UPDATE opportunity SET offer_id = {offer}, version = version + 1 WHERE id = {made}")
    free = office.offer(home, "Q-3")
    with pytest.raises(Invalid):
        office.do(opportunities.link_offer, office.kavya, lost, free)


def test_a_closed_opportunity_is_read_only_but_for_what_a_manager_may(office: Office) -> None:
    """Decisions: reassign, and link the offer of a won one."""
    home = office.customer()
    for status in ("won", "lost", "rejected"):
        made = office.at(status, customer_id=home)
        row = office.ask(opportunities.get, office.kavya, made)
        offer = office.offer(home, status)
        for name in ("asha", "kavya"):
            with pytest.raises(Invalid, match="read-only; reopen it first"):
                office.do(opportunities.edit, office.people[name], made, {"title": "x"})
            assert not office.ask(opportunities.editable, office.people[name], row)
            assert (status == "won" and name == "kavya") == office.ask(opportunities.can_link, office.people[name], row)
        with pytest.raises(NotAllowed):
            office.do(opportunities.link_offer, office.asha, made, offer)
        if status == "won":
            office.do(opportunities.link_offer, office.kavya, made, offer)
        assert 1 == office.do(opportunities.reassign, office.kavya, made, office.ravi.user_id)
        assert 0 == office.do(opportunities.reassign, office.kavya, made, office.ravi.user_id)


@pytest.mark.parametrize("move", ["delete", "Win", "", "create", "contact"])
def test_a_move_that_is_none_is_refused_with_those_there_are(office: Office, move: str) -> None:
    """B13."""
    made = office.opportunity()
    with pytest.raises(Invalid, match="choose one of make_offer, win, lose, reject, reopen"):
        office.do(opportunities.move, office.kavya, made, move)


def test_history_keeps_its_order_when_the_clock_jumps(office: Office) -> None:
    """B15, G15: a day ahead and back again; the order of the moves is theirs, not the clock's."""
    made = office.opportunity()
    asked = (("make_offer", {}), ("win", {"won_value": "1"}), ("reopen", {"note": "They called"}), ("make_offer", {}))
    for (name, values), hours in zip(asked, (24, -2, 24, 0), strict=True):
        with office.database.write() as conn:
            clock.start(conn, datetime.now(UTC) + timedelta(hours=hours))
            opportunities.move(conn, office.kavya, made, name, values)
    said = [e.action for e in office.ask(opportunities.history, office.asha, made)]
    assert ["made the offer", "reopened it", "marked it won", "made the offer", "created it"] == said
    kept = office.sql(f"SELECT seq, to_status FROM transition WHERE opportunity_id = {made} ORDER BY seq")
    assert [(1, "open"), (2, "offer_made"), (3, "won"), (4, "open"), (5, "offer_made")] == [tuple(r) for r in kept]
    assert "offer_made" == status_of(office, made)


def test_a_retired_region_stays_readable_but_takes_nothing_new(office: Office) -> None:
    """B16."""
    made = office.opportunity(region="outer_chennai")
    office.do(settings.retire, office.meena, "region", "outer_chennai")
    assert "Outer Chennai" == office.ask(opportunities.get, office.asha, made).region_label
    office.do(opportunities.edit, office.asha, made, {"region": "outer_chennai", "title": "Still theirs"})
    with pytest.raises(Invalid):
        office.opportunity(region="outer_chennai")


def test_the_deals_of_somebody_who_left_go_to_another(office: Office) -> None:
    """B17."""
    made = office.opportunity()
    office.do(users.deactivate, office.meena, office.asha.user_id)
    assert 1 == office.ask(pipeline.listing, office.kavya, Slice()).count
    office.do(opportunities.reassign, office.kavya, made, office.ravi.user_id)
    assert "Ravi" == office.ask(opportunities.get, office.ravi, made).owner
