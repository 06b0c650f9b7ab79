"""The timeline says what changed the way a person reads it, and a submit is done once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from crm_core import customers, leads, opportunities, pipeline, settings, users
from crm_core.errors import Conflict, NotFound
from crm_core.slices import Slice
from tests.conftest import Office


def changes(office: Office, question: Any, made: int) -> dict[str, tuple[str, str]]:
    """This function will give the newest entry's changes by label."""
    return {c.label: (c.before, c.after) for c in office.ask(question, office.kavya, made)[0].changes}


def test_every_kind_of_field_is_said_in_words(office: Office) -> None:
    """H2: codes, ids, days, amounts and text, before and after; what stayed is not said."""
    made = office.opportunity(title="Boiler feed", expected_close_on="2026-04-01", next_step="Call")
    new = {
        "title": "",
        "region": "outer_chennai",
        "business_unit": "process",
        "product": "valve",
        "value": "2 lakh",
        "owner_id": office.ravi.user_id,
        "application_engineer_id": office.arun.user_id,
        "expected_close_on": "2026-05-31",
        "next_step": "Call",
    }
    office.do(opportunities.edit, office.kavya, made, new)
    assert {
        "Title": ("Boiler feed", ""),
        "Region": ("Coimbatore", "Outer Chennai"),
        "Business unit": ("Water", "Process"),
        "Product": ("Pump", "Valve"),
        "Potential value": ("₹1,00,000", "₹2,00,000"),
        "Sales engineer": ("Asha", "Ravi"),
        "Application engineer": ("", "Arun"),
        "Expected close": ("1 Apr 2026", "31 May 2026"),
    } == changes(office, opportunities.history, made)


def test_every_move_is_said_in_words(office: Office) -> None:
    """B9: stages, reasons, amounts and the linked offer."""
    home = office.customer()
    made = office.opportunity(customer_id=home)
    offer = office.offer(home)
    office.do(opportunities.move, office.asha, made, "make_offer", {"offer_id": offer})
    assert {"Status": ("Open", "Offer Made"), "Linked offer": ("", "Q-1")} == changes(
        office, opportunities.history, made
    )
    office.do(opportunities.move, office.asha, made, "reject", {"reason": "no_budget", "note": "Next year"})
    assert {
        "Status": ("Offer Made", "Rejected"),
        "Reason": ("", "No budget"),
        "Note": ("", "Next year"),
    } == changes(office, opportunities.history, made)


def asked(office: Office, question: Any, *args: Any, **named: Any) -> list[tuple[str, Any]]:
    """This function will give the statements of a manager's question, each with its parameters."""
    found = list[tuple[str, Any]]()

    def keep(_conn: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        found.append((statement, given))

    event.listen(office.database.engine, "before_cursor_execute", keep)
    try:
        office.ask(question, office.kavya, *args, **named)
    finally:
        event.remove(office.database.engine, "before_cursor_execute", keep)
    return found


def test_a_long_history_is_read_with_as_few_statements_as_a_short_one(office: Office) -> None:
    """To begin, who asks, what was changed, and all names at once, the currency too."""
    made = office.at("rejected", application_engineer_id=office.arun.user_id)
    assert 4 == len(asked(office, opportunities.history, made))
    for owner in ("ravi", "asha"):
        office.do(opportunities.reassign, office.kavya, made, office.people[owner].user_id)
    assert 4 == len(asked(office, opportunities.history, made))


def test_a_history_is_read_by_whoever_sees_the_record(office: Office) -> None:
    """Who does not, hears that there is none; and one written past the program has nothing to tell."""
    made = office.opportunity("ravi")
    with pytest.raises(NotFound):
        office.ask(opportunities.history, office.asha, made)
    with pytest.raises(NotFound):
        office.ask(opportunities.history, office.kavya, made + 1)
    columns = "customer_id, region, business_unit, product, value_paise, owner_id, status, created_at, status_at"
    office.sql(
        f"INSERT INTO opportunity ({columns}, created_by_id) SELECT {columns}, owner_id FROM opportunity WHERE id = {made}"
    )
    assert [] == office.ask(opportunities.history, office.kavya, made + 1)


def test_a_list_is_asked_the_same_however_many_rows_it_has(office: Office) -> None:
    """So that the statement is prepared once, and each of its plans kept."""
    for _ in range(3):
        office.opportunity()
    one, many = (asked(office, pipeline.listing, Slice(), per_page=rows)[-1] for rows in (1, 3))
    assert one[0] == many[0]


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_what_is_given_by_its_ids_is_found_by_an_index(office: Office) -> None:
    """The rows of a list, and the names in a history; PostgreSQL chooses by how many there are."""
    made = office.opportunity()
    for statement, given in (
        asked(office, pipeline.listing, Slice())[-1],
        asked(office, opportunities.history, made)[-1],
    ):
        with office.database.read() as conn:
            steps = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)]
        read = [step for step in steps if step.startswith("SCAN") and "json_each" not in step]
        assert {"SCAN CONSTANT ROW"} >= set(read)


def test_a_renamed_entry_has_its_new_name_in_old_history(office: Office) -> None:
    """H7, B16: a code stays; what is shown is its name of today, and a retired one keeps it."""
    made = office.opportunity()
    office.do(opportunities.edit, office.asha, made, {"region": "outer_chennai"})
    office.do(settings.rename, office.meena, "region", "outer_chennai", "Greater Chennai")
    office.do(settings.retire, office.meena, "region", "outer_chennai")
    assert {"Region": ("Coimbatore", "Greater Chennai")} == changes(office, opportunities.history, made)


def test_what_somebody_else_did_to_a_person_or_a_list_is_said(office: Office) -> None:
    """F4: role, leaving, a list's entry."""
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    with pytest.raises(Conflict, match="Meena changed Active from yes to no"):
        office.do(users.change_role, office.meena, office.ravi.user_id, "viewer", seen=1)
    office.do(settings.rename, office.meena, "region", "coimbatore", "Kovai")
    with pytest.raises(Conflict, match="Meena changed Name from Coimbatore to Kovai"):
        office.do(settings.retire, office.meena, "region", "coimbatore", seen=1)


def test_a_submit_is_done_once_and_only_for_who_sent_it(office: Office) -> None:
    """C2, E-11: the same again gives the first result; by another, or for something else, it is refused."""
    first = office.do(customers.create, office.asha, {"company": "Vel Mills"}, token="t-1")
    assert first == office.do(customers.create, office.asha, {"company": "Something else"}, token="t-1")
    lead = {"contact": "Mani", "company": "Vel Mills", "source": "website"}
    for verb, actor, given in (
        (customers.create, office.ravi, {"company": "Vel Mills"}),
        (leads.create, office.asha, lead),
    ):
        with pytest.raises(Conflict, match="submitted already"):
            office.do(verb, actor, given, token="t-1")
    assert (1, 0) == (office.count("customer"), office.count("lead"))
