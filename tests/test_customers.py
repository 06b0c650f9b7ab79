"""The customer master: what is taken in, what it looks like twice of, what merging and leaving do."""

from __future__ import annotations

from typing import Any

import pytest

from crm_core import customers, leads, opportunities
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound
from tests.conftest import Office


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"company": " \u200b"}, "company"),
        ({"company": "\u200b" * 1001}, "company"),
        ({"company": "x" * 161}, "company"),
        ({"company": 7}, "company"),
        ({"phone": "12345"}, "phone"),
        ({"phone": "call me"}, "phone"),
        ({"phone": "+91 98400 12345 12345 9"}, "phone"),
        ({"email": "two@x.in, three@x.in"}, "email"),
        ({"gstin": "27AAPFU0939F1ZX"}, "gstin"),
        ({"notes": "x" * 4001}, "notes"),
    ],
)
def test_what_cannot_be_kept_is_named(office: Office, change: dict, field: str) -> None:
    """D5: each with its field."""
    with pytest.raises(Invalid) as refused:
        office.customer(**change)
    assert [field] == [m.field for m in refused.value.messages]
    assert 0 == office.count("customer")


def test_every_problem_is_told_at_once(office: Office) -> None:
    """One sentence a field."""
    with pytest.raises(Invalid) as refused:
        office.customer("", phone="x", email="x", gstin="x", status="won")
    assert {"company", "phone", "email", "gstin", "status"} == {m.field for m in refused.value.messages}


@pytest.mark.parametrize(
    ("known", "entered", "why"),
    [
        ({"email": "mani@amman.in"}, {"email": "MANI@amman.in"}, "same e-mail"),
        ({"email": "mani.k@amman.in"}, {"email": "manik+pumps@amman.in"}, "much the same e-mail"),
        ({"email": "mani@amman.in"}, {"email": "mala@amman.in"}, None),
        ({"phone": "98400 12345"}, {"phone": "+91 (98400) 12345"}, "same phone"),
        ({"phone": "98400 12345"}, {"phone": "98400 12346"}, None),
        ({"company": "Amman Mills Pvt. Ltd."}, {"company": "AMMAN MILLS"}, "similar name"),
        ({"company": "Amman Mills"}, {"company": "Aman Mills"}, None),
        ({"company": "Amman Mills"}, {"company": "Amman Mils"}, "similar name"),
        ({"company": "Amman Mills"}, {"company": "Ammonia Works"}, None),
        ({"company": "Amman Mills"}, {"company": "Am"}, None),
        ({}, {"email": "not an address", "phone": "", "company": None}, None),
    ],
)
def test_a_customer_that_may_be_there_already_is_pointed_out(
    office: Office, known: dict, entered: dict, why: str | None
) -> None:
    """C4: and nothing else is."""
    made = office.customer(**{"company": "Bharat Dyes"} | known)
    company = known.get("company", "Bharat Dyes")
    expected = {} if why is None else {made: f"{company} ({why})"}
    assert expected == office.ask(customers.likely, office.asha, entered)


def test_a_customer_without_an_address_is_like_no_other(office: Office) -> None:
    """C5: two of them, and one whose address was taken away."""
    first, second = office.customer(email="mani@amman.in"), office.customer()
    office.do(customers.edit, office.asha, first, {"email": ""})
    assert office.ask(customers.get, office.asha, first).email is None
    office.do(customers.edit, office.asha, second, {"email": "mani@amman.in"})
    assert {} == office.ask(customers.likely, office.asha, {"email": "x@y.in"})


def test_an_address_kept_as_it_is_collides_with_nothing(office: Office) -> None:
    """C13: saving one's own again."""
    made = office.customer(email="mani@amman.in")
    office.do(customers.edit, office.asha, made, {"email": "Mani@Amman.in", "city": "Erode"})
    row = office.ask(customers.get, office.asha, made)
    assert ("Mani@Amman.in", "Erode") == (row.email, row.city)


@pytest.mark.parametrize("wanted", [999_999, 0, "x", None, True])
def test_a_customer_that_is_none_is_missing(office: Office, wanted: Any) -> None:
    """E-3."""
    office.customer()
    with pytest.raises(NotFound):
        office.ask(customers.get, office.asha, wanted)
    for verb, more in (
        (customers.edit, ({"city": "Erode"},)),
        (customers.deactivate, ()),
        (customers.reactivate, ()),
        (customers.merge, (1,)),
    ):
        with pytest.raises(NotFound):
            office.do(verb, office.kavya, wanted, *more)


def test_only_another_active_customer_takes_a_merged_one(office: Office) -> None:
    """Not itself, not one that left, not one that was merged; nothing moves then."""
    home, gone, twin = (office.customer(name) for name in ("Amman Mills", "Bharat Dyes", "Amman Mills Ltd"))
    made = office.opportunity(customer_id=home)
    office.do(customers.deactivate, office.kavya, gone)
    for duplicate, into in ((home, home), (home, gone)):
        with pytest.raises(Invalid):
            office.do(customers.merge, office.kavya, duplicate, into)
    office.do(customers.merge, office.kavya, twin, home)
    for duplicate, into in ((home, twin), (twin, home)):
        with pytest.raises(Invalid):
            office.do(customers.merge, office.kavya, duplicate, into)
    with pytest.raises(NotAllowed):
        office.do(customers.merge, office.asha, gone, home)
    assert home == office.ask(opportunities.get, office.asha, made).customer_id


def test_merging_is_told_in_every_record_it_moves(office: Office) -> None:
    """H2: the deal, the offer and the customer."""
    keep, twin = office.customer("Vel Mills"), office.customer("Vel Mills Ltd")
    made = office.opportunity(customer_id=twin)
    office.offer(twin)
    office.do(customers.merge, office.kavya, twin, keep)
    told = office.ask(opportunities.history, office.asha, made)[0]
    assert ("Kavya", "merged it", [("Customer", "Vel Mills Ltd", "Vel Mills")]) == (
        told.by,
        told.action,
        [(c.label, c.before, c.after) for c in told.changes],
    )
    kept = office.sql("SELECT entity FROM audit WHERE action = 'merge' ORDER BY id")
    assert ["offer", "opportunity", "customer"] == [row[0] for row in kept]


def test_a_customer_who_comes_back_can_be_chosen_again(office: Office) -> None:
    """D9: in the form's list too."""
    made = office.customer(city="Erode")
    office.do(customers.deactivate, office.kavya, made)
    assert {} == office.ask(customers.choices, office.asha)
    office.do(customers.reactivate, office.kavya, made)
    assert {made: "Amman Mills, Erode"} == office.ask(customers.choices, office.asha)
    assert office.opportunity(customer_id=made)


def test_customers_who_would_read_alike_have_their_number_and_one_beyond_the_list_can_be_named(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge cannot be undone, so nobody may have to guess; a link names a customer however many there are."""
    one, two = (office.customer("Twin Pumps", city="Salem", phone=f"98400 1234{n}") for n in range(2))
    vel = office.customer("Vel Mills", city="Salem")
    named = {one: f"Twin Pumps, Salem (no. {one})", two: f"Twin Pumps, Salem (no. {two})"}
    assert named | {vel: "Vel Mills, Salem"} == office.ask(customers.choices, office.asha)
    monkeypatch.setattr(customers, "MOST", 2)
    assert named == office.ask(customers.choices, office.asha, also=(0, -1, 2**70))
    assert {*named, vel} == {*office.ask(customers.choices, office.asha, also=(vel,))}
    assert {vel: "Vel Mills, Salem"} == office.ask(customers.choices, office.asha, "vel")
    office.do(customers.deactivate, office.kavya, vel)
    assert named == office.ask(customers.choices, office.asha, also=(vel,))


def test_a_lead_sees_the_customers_it_resembles(office: Office) -> None:
    """The warning before converting a lead without an address: same phone, similar name; itself is left out."""
    known = office.customer("Amman Mills", phone="98400 12345")
    lead = office.lead(company="Amman Mill", phone="+91 98400 12345")
    other = office.lead(company="Bharat Dyes", phone="98400 12345")
    found = office.ask(leads.duplicates, office.asha, {"phone": "98400 12345", "company": "Amman Mill"}, but=lead)
    assert [("customer", known), ("lead", other)] == [(kind, which) for kind, which, _ in found]
    assert [] == office.ask(leads.duplicates, office.asha, {"company": "Vel Works"})


def test_two_people_do_not_overwrite_each_others_customer(office: Office) -> None:
    """F4: what the other changed is said."""
    made = office.customer()
    office.do(customers.edit, office.kavya, made, {"city": "Erode"}, seen=1)
    with pytest.raises(Conflict, match="Kavya changed City from nothing to Erode"):
        office.do(customers.edit, office.asha, made, {"city": "Salem"}, seen=1)
    with pytest.raises(Conflict):
        office.do(customers.deactivate, office.kavya, made, seen=1)
