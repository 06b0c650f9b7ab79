"""Who may see and do what: the permissions by hand, and whom a record is shown to."""

from __future__ import annotations

from typing import Any

import pytest

from crm_core import access, leads, offers, opportunities, pipeline, users
from crm_core.access import Actor
from crm_core.errors import NotAllowed, NotFound, Refusal
from crm_core.slices import LeadSlice, Slice
from tests.conftest import Office

#: The five roles and whether each has a permission: sales engineer, application engineer, manager, org admin, viewer.
ROLES = ("sales_engineer", "application_engineer", "manager", "org_admin", "viewer")
PERMISSIONS = {
    "opportunity.see_all": "..xxx",
    "opportunity.see_own": "x....",
    "opportunity.see_named": "xxxx.",
    "opportunity.create": "x.xx.",
    "opportunity.move": "x.xx.",
    "opportunity.change_own": "x....",
    "opportunity.change_all": "..xx.",
    "opportunity.be_owner": "x.xx.",
    "opportunity.reopen": "..xx.",
    "opportunity.reassign": "..xx.",
    "opportunity.change_closed": "..xx.",
    "lead.see_all": "..xxx",
    "lead.see_own": "x....",
    "lead.create": "x.xx.",
    "lead.change": "x.xx.",
    "lead.change_own": "x....",
    "lead.change_all": "..xx.",
    "customer.create": "x.xx.",
    "customer.change": "x.xx.",
    "customer.retire": "..xx.",
    "offer.create": "x.xx.",
    "export": "x.xx.",
    "targets.change": "..xx.",
    "view.share": "x.xx.",
    "audit.read": "..xx.",
    "settings.change": "...x.",
    "users.change": "...x.",
    "import": "...x.",
}
PERSON = dict(zip(ROLES, ("asha", "arun", "kavya", "meena", "devi"), strict=True))
#: permissions that say what is seen or who may be chosen; nobody is refused for the lack of one
SCOPES = {"see_all", "see_own", "see_named", "change_own", "change_all", "be_owner"}


def test_every_role_has_the_permissions_of_the_table(office: Office) -> None:
    """Role by role, permission by permission, as the database knows the people."""
    seen = {}
    for permission in set().union(*access.GRANTS.values()) | set(PERMISSIONS):
        people = [office.ask(access.person, office.people[PERSON[role]]) for role in ROLES]
        seen[permission] = "".join("x" if person.may(permission) else "." for person in people)
    assert PERMISSIONS == seen
    assert set(ROLES) == set(access.GRANTS) == set(access.ROLE_LABELS)


def test_every_refusal_has_its_sentence() -> None:
    """Whoever lacks a permission reads why."""
    asked = {p for p in PERMISSIONS if p.rpartition(".")[2] not in SCOPES}
    assert asked <= set(access.DENIALS)
    assert all(sentence.endswith(".") for sentence in access.DENIALS.values())


def test_everybody_sees_the_deals_of_the_table(office: Office) -> None:
    """A2, A10: own, named, all; list, tile and filter alike."""
    deals = {
        "asha's": office.opportunity("asha"),
        "ravi's": office.opportunity("ravi"),
        "ravi's, naming asha": office.opportunity("ravi", application_engineer_id=office.asha.user_id),
        "asha's, naming arun": office.opportunity("asha", application_engineer_id=office.arun.user_id),
    }
    everything = set(deals)
    sees = {
        "asha": everything - {"ravi's"},
        "ravi": {"ravi's", "ravi's, naming asha"},
        "arun": {"asha's, naming arun"},
        **dict.fromkeys(("kavya", "meena", "devi"), everything),
    }
    for name, wanted in sees.items():
        rows = office.ask(pipeline.listing, office.people[name], Slice()).rows
        assert wanted == {deal for deal, made in deals.items() if made in set(rows["id"])}
        assert len(wanted) == office.ask(pipeline.totals, office.people[name], Slice())["count"][0]
        owners = set(office.ask(pipeline.choices, office.people[name], "owner").values())
        assert {deal.partition("'")[0].title() for deal in wanted} == owners


def test_everybody_sees_the_leads_of_the_table(office: Office) -> None:
    """A9: own or all; an application engineer none."""
    asha, ravi = office.lead("asha"), office.lead("ravi")
    sees = {"asha": {asha}, "ravi": {ravi}, "arun": set(), "kavya": {asha, ravi}, "meena": {asha, ravi}}
    for name, wanted in (sees | {"devi": {asha, ravi}}).items():
        assert wanted == set(office.ask(leads.listing, office.people[name], LeadSlice())[0]["id"])
        for lead in {asha, ravi} - wanted:
            with pytest.raises(NotFound):
                office.ask(leads.get, office.people[name], lead)


def test_everybody_sees_the_offers_of_the_table(office: Office) -> None:
    """A linked one with its opportunity; a free one with any opportunity of its customer."""
    home, empty = office.customer(), office.customer("Vel Mills")
    made = office.at("offer_made", "ravi", customer_id=home)
    office.opportunity("asha", customer_id=home, application_engineer_id=office.arun.user_id)
    linked, free, nobodys = office.offer(home, "Q-1"), office.offer(home, "Q-2"), office.offer(empty, "Q-3")
    office.do(opportunities.link_offer, office.ravi, made, linked)
    everything = {linked, free, nobodys}
    sees = {"ravi": {linked, free}, "asha": {free}, "arun": {free}, "kavya": everything, "devi": everything}
    for name, wanted in sees.items():
        seen = [r.id for c in (home, empty) for r in office.ask(offers.of_customer, office.people[name], c)]
        assert wanted == set(seen)
        for offer in everything - wanted:
            with pytest.raises(NotFound):
                office.ask(offers.get, office.people[name], offer)


@pytest.mark.parametrize("email", ["asha@example.in", " ASHA@Example.IN ", "ａｓｈａ@example.in"])
def test_a_person_is_known_by_their_address_however_it_is_written(office: Office, email: str) -> None:
    """I3."""
    assert office.asha == office.ask(access.actor_by_email, email)


@pytest.mark.parametrize(
    "email", ["uma@example.in", "", "asha", "asha@example.in, meena@example.in", None, "\ud800@x.in"]
)
def test_an_address_that_is_nobodys_signs_nobody_in(office: Office, email: Any) -> None:
    """I3, I4: the same words for wrong and unknown."""
    with pytest.raises(NotAllowed, match="No active user has this e-mail address; ask your org admin"):
        office.ask(access.actor_by_email, email)


def test_somebody_who_left_or_never_was_may_do_nothing(office: Office) -> None:
    """I17, F7: and who comes back has the role of now."""
    office.do(users.deactivate, office.meena, office.asha.user_id)
    for actor in (office.asha, Actor(999_999), Actor(-1)):
        with pytest.raises(Refusal, match="not active"):
            office.ask(pipeline.listing, actor, Slice())
    with pytest.raises(NotAllowed):
        office.ask(access.actor_by_email, "asha@example.in")
    office.do(users.change_role, office.meena, office.asha.user_id, "viewer")
    office.do(users.reactivate, office.meena, office.asha.user_id)
    assert frozenset({"opportunity.see_all", "lead.see_all"}) == office.ask(access.person, office.asha).permissions


def test_managers_read_who_can_see_a_record_and_why(office: Office) -> None:
    """The explainer says what the scope does, for every person, and only to those who read the audit."""
    made = office.opportunity("asha", application_engineer_id=office.arun.user_id)
    taken = office.lead("ravi")
    told = office.ask(access.explain, office.kavya, "opportunity", made)
    assert [
        ("Arun", "Application engineer", "is named as its application engineer"),
        ("Asha", "Sales engineer", "is its sales engineer"),
        ("Devi", "Viewer", "sees all opportunities"),
        ("Kavya", "Manager", "sees all opportunities"),
        ("Meena", "Org admin", "sees all opportunities"),
    ] == told
    for kind, record_id, get in (("opportunity", made, opportunities.get), ("lead", taken, leads.get)):
        named = {name.lower() for name, _role, _why in office.ask(access.explain, office.meena, kind, record_id)}
        seen = set()
        for name, actor in office.people.items():
            try:
                office.ask(get, actor, record_id)
                seen.add(name)
            except NotFound:
                pass
        assert named == seen
    for name in ("asha", "arun", "devi"):
        with pytest.raises(NotAllowed):
            office.ask(access.explain, office.people[name], "opportunity", made)
    with pytest.raises(NotFound):
        office.ask(access.explain, office.kavya, "lead", 999)
