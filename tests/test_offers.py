"""Offers: whose they are, what is taken in, and who may change one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm_core import clock, customers, offers, opportunities
from crm_core.errors import Invalid, NotAllowed, NotFound
from tests.conftest import Office


def given(customer_id: int, **values: Any) -> dict[str, Any]:
    return {"number": "Q-7", "customer_id": customer_id, "amount": "1 lakh"} | values


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"number": ""}, "number"),
        ({"number": "Q-1"}, "number"),
        ({"amount": "-1"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"customer_id": None}, "customer_id"),
        ({"offered_on": "yesterday"}, "offered_on"),
        ({"offered_on": datetime(2026, 1, 1, tzinfo=UTC)}, "offered_on"),
        ({"offered_on": "1899-01-01"}, "offered_on"),
        ({"status": "lost"}, "status"),
        ({"document_url": "javascript:alert(1)"}, "document_url"),
        ({"document_url": "https://user@files.in/q"}, "document_url"),
        ({"document_url": "https://files.in/" + "x" * 500}, "document_url"),
    ],
)
def test_what_cannot_be_offered_is_named(office: Office, change: dict, field: str) -> None:
    """D5, D9: each with its field."""
    home = office.customer()
    office.offer(home, "Q-1")
    with pytest.raises(Invalid) as refused:
        office.do(offers.create, office.kavya, given(home) | change)
    assert [field] == [m.field for m in refused.value.messages]
    assert 1 == office.count("offer")


def test_an_offer_is_a_draft_of_today_in_india_unless_told(office: Office) -> None:
    """At 20:00 UTC it is tomorrow here."""
    home = office.customer()
    with office.database.write() as conn:
        clock.start(conn, datetime(2026, 3, 31, 20, tzinfo=UTC))
        made = offers.create(conn, office.kavya, given(home))
    row = office.ask(offers.get, office.kavya, made)
    assert ("2026-04-01", "draft", Decimal(100_000)) == (str(row.offered_on), row.status, row.amount)


def test_an_engineer_offers_only_to_customers_of_their_deals(office: Office) -> None:
    """Whoever sees only their own."""
    mine, theirs = office.customer(), office.customer("Bharat Dyes")
    office.opportunity("asha", customer_id=mine)
    office.opportunity("ravi", customer_id=theirs)
    assert office.do(offers.create, office.asha, given(mine))
    with pytest.raises(Invalid, match="one of your opportunities"):
        office.do(offers.create, office.asha, given(theirs, number="Q-8"))
    assert office.do(offers.create, office.kavya, given(office.customer("Vel Mills"), number="Q-9"))


def test_an_offer_that_is_linked_belongs_to_the_owner_of_its_deal(office: Office) -> None:
    """A8: a colleague with another deal of the same customer changed it while it was free, and no more."""
    home = office.customer()
    made = office.at("offer_made", "ravi", customer_id=home)
    office.opportunity("asha", customer_id=home)
    offer = office.offer(home)
    office.do(offers.edit, office.asha, offer, {"amount": 2})
    office.do(opportunities.link_offer, office.ravi, made, offer)
    with pytest.raises(NotFound):
        office.do(offers.edit, office.asha, offer, {"amount": 3})
    office.do(offers.edit, office.ravi, offer, {"amount": 4})
    office.do(offers.edit, office.kavya, offer, {"amount": 5})
    assert {} == office.ask(offers.linkable, office.asha, home)


def test_an_engineer_named_on_a_deal_reads_its_offer_and_changes_nothing(office: Office) -> None:
    """A10."""
    home = office.customer()
    made = office.at("offer_made", "ravi", customer_id=home, application_engineer_id=office.asha.user_id)
    offer = office.offer(home)
    office.do(opportunities.link_offer, office.ravi, made, offer)
    row = office.ask(offers.get, office.asha, offer)
    assert (made, "Amman Mills") == (row.opportunity_id, row.customer)
    with pytest.raises(NotAllowed):
        office.do(offers.edit, office.asha, offer, {"amount": 3})
    assert not office.ask(offers.editable, office.asha, row)
    assert office.ask(offers.editable, office.ravi, row)
    assert not office.ask(offers.editable, office.devi, row)


def test_a_day_or_a_state_cannot_be_taken_away(office: Office) -> None:
    """What is not sent stays; a number may be kept, and not be another's."""
    home = office.customer()
    offer, _other = office.offer(home, "Q-1"), office.offer(home, "Q-2")
    office.do(offers.edit, office.kavya, offer, {"number": "Q-1", "status": "sent", "offered_on": "2026-04-01"})
    for change in ({"status": ""}, {"offered_on": None}, {"number": "Q-2"}, {"customer_id": home}):
        with pytest.raises(Invalid) as refused:
            office.do(offers.edit, office.kavya, offer, change)
        assert list(change) == [m.field for m in refused.value.messages]
    told = office.ask(offers.history, office.kavya, offer)[0]
    assert [("Date", "1 Apr 2026"), ("Status", "Sent")] == sorted((c.label, c.after) for c in told.changes)


def test_history_calls_the_date_and_the_document_as_the_form_does(office: Office) -> None:
    offer = office.offer(office.customer())
    office.do(offers.edit, office.kavya, offer, {"offered_on": "2026-04-01", "document_url": "https://files.in/q"})
    told = office.ask(offers.history, office.kavya, offer)[0]
    assert [offers.FIELDS[name].label for name in ("offered_on", "document_url")] == [c.label for c in told.changes]


@pytest.mark.parametrize("wanted", [999_999, 0, "x", None, True])
def test_an_offer_that_is_none_is_missing(office: Office, wanted: Any) -> None:
    """E-3."""
    office.offer(office.customer())
    with pytest.raises(NotFound):
        office.ask(offers.get, office.kavya, wanted)


def test_a_move_links_only_an_offer_of_the_same_customer_that_is_free(office: Office) -> None:
    """B14: while making the offer or winning."""
    home, other = office.customer(), office.customer("Bharat Dyes")
    made = office.opportunity(customer_id=home)
    theirs, mine = office.offer(other, "Q-2"), office.offer(home, "Q-3")
    for wrong in (theirs, 999_999, "x"):
        with pytest.raises(Invalid) as refused:
            office.do(opportunities.move, office.asha, made, "make_offer", {"offer_id": wrong})
        assert ["offer_id"] == [m.field for m in refused.value.messages]
    office.do(opportunities.move, office.asha, made, "make_offer", {"offer_id": mine})
    assert "Q-3" == office.ask(opportunities.get, office.asha, made).offer_number
    office.do(opportunities.move, office.asha, made, "win", {"won_value": 1, "offer_id": mine})
    assert "Q-3" == office.ask(opportunities.get, office.asha, made).offer_number


def test_an_inactive_customer_gets_no_offer_but_keeps_the_old_ones(office: Office) -> None:
    """D9."""
    home = office.customer()
    office.offer(home)
    office.do(customers.deactivate, office.kavya, home)
    with pytest.raises(Invalid):
        office.do(offers.create, office.kavya, given(home))
    assert ["Q-1"] == [row.number for row in office.ask(offers.of_customer, office.kavya, home)]
