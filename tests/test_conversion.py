"""A lead becomes a customer once, wholly or not at all, and never a second one of the same e-mail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import DBAPIError

from crm_core import customers, leads, opportunities
from crm_core.errors import Conflict, Invalid, NotFound, Refusal
from tests.conftest import Office

FIRST = {"business_unit": "water", "value": "5 lakh"}


def counts(office: Office) -> list[int]:
    return [office.count(t) for t in ("customer", "opportunity", "audit", "transition")]


def break_audit(office: Office, when: str) -> None:
    if office.name == "sqlite":
        office.sql(
            f"CREATE TRIGGER broken BEFORE INSERT ON audit WHEN {when} BEGIN SELECT RAISE(ABORT, 'no audit'); END"
        )
    else:
        office.sql("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no audit'; END $$")
        office.sql(f"CREATE TRIGGER broken BEFORE INSERT ON audit FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION broken()")


def test_a_qualified_lead_becomes_a_customer_with_an_opportunity(office: Office) -> None:
    """The whole of it, in one call."""
    lead = office.lead(email="mani@amman.in", notes="Two pumps")
    made = office.do(leads.convert, office.asha, lead, FIRST)
    row = office.ask(customers.get, office.asha, made)
    assert ("Amman Mills", "mani@amman.in", "Two pumps", lead) == (
        row.company,
        row.email,
        row.notes,
        row.source_lead_id,
    )
    assert [1, 1] == counts(office)[:2]
    assert made == office.ask(leads.get, office.asha, lead).converted_customer_id


def test_two_tabs_converting_one_lead_make_one_customer(office: Office) -> None:
    """C2: the second is told of the first."""
    lead = office.lead()

    def convert(_: int) -> Refusal | int:
        try:
            return int(office.do(leads.convert, office.asha, lead, FIRST))
        except Refusal as why:
            return why

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(convert, range(8)))
    assert 1 == sum(isinstance(d, int) for d in done)
    assert {Conflict} == {type(d) for d in done if not isinstance(d, int)}
    assert [1, 1] == counts(office)[:2]
    with pytest.raises(Conflict) as refused:
        office.do(leads.convert, office.asha, lead)
    assert ("customer", 1) == refused.value.about


def test_a_plus_tag_or_dots_are_another_address_with_a_warning(office: Office) -> None:
    """C4."""
    office.customer("Cheran Textiles", email="ravi.k@example.in")
    lead = office.lead(email="ravik+pumps@example.in")
    found = office.ask(leads.duplicates, office.asha, {"email": "ravik+pumps@example.in"}, but=lead)
    assert ["Cheran Textiles (much the same e-mail)"] == [label for _, _, label in found]
    office.do(leads.convert, office.asha, lead)
    assert 2 == office.count("customer")


def test_leads_without_an_address_do_not_collide(office: Office) -> None:
    """C5."""
    for _ in range(2):
        office.do(leads.convert, office.asha, office.lead())
    assert 2 == office.count("customer")


@pytest.mark.parametrize("email", ["mani@amman.in", " MANI@Amman.IN ", "ma\u200bni@amman.in"])
def test_the_same_address_blocks_a_second_customer(office: Office, email: str) -> None:
    """C6: however it is written; there is no way to insist."""
    known = office.customer(email="mani@amman.in")
    lead = office.lead(email=email)
    with pytest.raises(Conflict) as refused:
        office.do(leads.convert, office.asha, lead)
    assert ("customer", known) == refused.value.about
    with pytest.raises(Refusal):
        office.do(leads.convert, office.asha, lead, FIRST | {"force": "1"})
    with pytest.raises(Refusal):
        office.do(leads.convert, office.asha, lead, FIRST | {"skip_duplicate_check": True})
    assert 1 == office.count("customer")


@pytest.mark.parametrize("status", ["new", "contacted", "disqualified", "converted"])
def test_only_a_qualified_lead_is_converted(office: Office, status: str) -> None:
    """C7: not offered, refused, and refused past the program too."""
    lead = office.lead(status="new" if status == "new" else "contacted" if status == "contacted" else "qualified")
    if status == "disqualified":
        office.do(leads.disqualify, office.asha, lead, {"reason": "duplicate"})
    if status == "converted":
        office.do(leads.convert, office.asha, lead)
    row = office.ask(leads.get, office.asha, lead)
    assert "convert" not in [m.name for m in office.ask(leads.moves, office.asha, row)]
    with pytest.raises((Invalid, Conflict)):
        office.do(leads.convert, office.asha, lead)
    if status != "converted":
        with pytest.raises(Refusal):
            office.sql(f"UPDATE lead SET status = 'converted', version = version + 1 WHERE id = {lead}")


def test_another_engineers_lead_does_not_exist(office: Office) -> None:
    """C9: theirs and none look the same."""
    lead = office.lead("ravi")
    said = []
    for which in (lead, 999_999):
        with pytest.raises(NotFound) as refused:
            office.do(leads.convert, office.asha, which)
        said.append(str(refused.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("entity", ["customer", "lead", "opportunity"])
def test_a_conversion_whose_record_cannot_be_kept_never_happened(office: Office, entity: str) -> None:
    """C12: whichever of its audit rows fails."""
    lead = office.lead()
    before = counts(office)
    break_audit(office, f"NEW.entity = '{entity}'")
    with pytest.raises((Refusal, DBAPIError)):
        office.do(leads.convert, office.asha, lead, FIRST)
    assert before == counts(office)
    assert "qualified" == office.ask(leads.get, office.asha, lead).status


def test_a_wrong_first_opportunity_leaves_no_customer(office: Office) -> None:
    """C12."""
    lead = office.lead()
    with pytest.raises(Invalid):
        office.do(leads.convert, office.asha, lead, FIRST | {"value": "-1"})
    assert [0, 0] == counts(office)[:2]


def test_editing_a_customer_into_anothers_address_is_refused(office: Office) -> None:
    """C13: past the program too."""
    office.customer(email="mani@amman.in")
    other = office.customer("Bharat Dyes")
    with pytest.raises(Conflict):
        office.do(customers.edit, office.kavya, other, {"email": "Mani@amman.in"})
    with pytest.raises(Conflict):
        office.sql(f"UPDATE customer SET email = 'x', email_key = 'mani@amman.in', version = 2 WHERE id = {other}")


def test_a_lead_changed_meanwhile_is_not_converted_unseen(office: Office) -> None:
    """C14: who changed what is said."""
    lead = office.lead()
    seen = office.ask(leads.get, office.asha, lead).version
    office.do(leads.edit, office.kavya, lead, {"city": "Erode"})
    with pytest.raises(Conflict, match="Kavya changed City from nothing to Erode"):
        office.do(leads.convert, office.asha, lead, seen=seen)


def test_an_inactive_or_merged_customer_still_blocks_and_says_so(office: Office) -> None:
    """C15."""
    known = office.customer(email="mani@amman.in")
    lead = office.lead(email="mani@amman.in")
    office.do(customers.deactivate, office.kavya, known)
    with pytest.raises(Conflict, match="inactive"):
        office.do(leads.convert, office.asha, lead)
    office.do(customers.reactivate, office.kavya, known)
    into = office.customer("Bharat Dyes")
    office.do(customers.merge, office.kavya, known, into)
    with pytest.raises(Conflict, match="merged") as refused:
        office.do(leads.convert, office.asha, lead)
    assert ("customer", into) == refused.value.about


def test_a_conversion_cannot_be_undone_or_repointed(office: Office) -> None:
    """C16."""
    lead = office.lead()
    made = office.do(leads.convert, office.asha, lead)
    other = office.lead()
    for statement in (
        f"UPDATE lead SET status = 'qualified', version = version + 1 WHERE id = {lead}",
        f"UPDATE lead SET converted_customer_id = NULL, version = version + 1 WHERE id = {lead}",
        f"UPDATE customer SET source_lead_id = {other}, version = version + 1 WHERE id = {made}",
    ):
        with pytest.raises(Refusal):
            office.sql(statement)


def test_notes_are_carried_over_as_they_are(office: Office) -> None:
    """C17: text stays text; the page shows it as such."""
    said = "<b>hi</b> ![x](http://x.in/y.png) *two*"
    made = office.do(leads.convert, office.asha, office.lead(notes=said), FIRST)
    assert said == office.ask(customers.get, office.asha, made).notes
    assert 1 == office.ask(opportunities.get, office.asha, 1).id
