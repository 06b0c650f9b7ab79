"""Leads: taken in, worked, given up or filtered; by their owner, and by nobody once they are closed."""

from __future__ import annotations

from typing import Any

import pytest

from crm_core import access, leads, lifecycle, settings, slices, users
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from crm_core.slices import LeadSlice
from tests.conftest import Office

#: state → move → state by hand; every other cell is refused
LEGAL = {
    ("new", "contact"): "contacted",
    ("new", "qualify"): "qualified",
    ("contacted", "qualify"): "qualified",
    ("new", "disqualify"): "disqualified",
    ("contacted", "disqualify"): "disqualified",
    ("qualified", "disqualify"): "disqualified",
    ("qualified", "convert"): "converted",
}
STATES = ("new", "contacted", "qualified", "converted", "disqualified")
MOVES = {
    "contact": (leads.contact, ()),
    "qualify": (leads.qualify, ()),
    "disqualify": (leads.disqualify, ({"reason": "not_reachable"},)),
    "convert": (leads.convert, ()),
}
TAKEN = {"contact": "Mani", "company": "Vel Mills", "source": "website"}


def lead_in(office: Office, state: str, owner: str = "asha") -> int:
    made = office.lead(owner, status=state if state in ("new", "contacted") else "qualified")
    if state in ("converted", "disqualified"):
        verb, more = MOVES["convert" if state == "converted" else "disqualify"]
        office.do(verb, office.kavya, made, *more)
    return made


def state_of(office: Office, made: int) -> str:
    return str(office.ask(leads.get, office.kavya, made).status)


@pytest.mark.parametrize("state", STATES)
def test_every_move_of_a_lead_is_what_the_table_says(office: Office, state: str) -> None:
    """C7, C16: state × move × person, cell by cell, and offered exactly where it is possible."""
    seen, wanted = {}, {}
    for move, (verb, more) in MOVES.items():
        for name in ("asha", "kavya", "meena", "ravi", "arun", "devi"):
            made = lead_in(office, state)
            sees = name not in ("ravi", "arun")
            offered = sees and move in [
                m.name for m in office.ask(leads.moves, office.people[name], office.ask(leads.get, office.kavya, made))
            ]
            try:
                office.do(verb, office.people[name], made, *more)
                seen[move, name] = (state_of(office, made), offered)
            except Refusal as why:
                seen[move, name] = (type(why), offered)
                assert state == state_of(office, made)
            refused = Conflict if (state, move) == ("converted", "convert") else Invalid
            outcome: Any = LEGAL.get((state, move), refused)
            if name == "devi":
                outcome = NotAllowed
            if not sees:
                outcome = NotAllowed if name == "arun" and move == "convert" else NotFound
            wanted[move, name] = (outcome, isinstance(outcome, str))
    assert wanted == seen


@pytest.mark.parametrize("target", [*STATES, "Won", "NEW", ""])
def test_the_database_refuses_states_written_past_the_program(office: Office, target: str) -> None:
    """C16, B13: but for a legal move that asks nothing."""
    for state in STATES:
        made = lead_in(office, state)
        legal = {to for (at, move), to in LEGAL.items() if at == state and move in ("contact", "qualify")}
        if target == state or target in legal:
            continue
        with pytest.raises(Refusal):
            office.sql(f"UPDATE lead SET status = '{target}', version = version + 1 WHERE id = {made}")
        assert state == state_of(office, made)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"contact": ""}, "contact"),
        ({"company": "\u200b"}, "company"),
        ({"source": "retired"}, "source"),
        ({"source": ""}, "source"),
        ({"region": "retired"}, "region"),
        ({"region": "Coimbatore"}, "region"),
        ({"product": "Pump"}, "product"),
        ({"email": "x"}, "email"),
        ({"phone": "x"}, "phone"),
        ({"notes": "x" * 4001}, "notes"),
        ({"state": ["Kerala"]}, "state"),
    ],
)
def test_what_cannot_be_taken_in_is_named(office: Office, change: dict, field: str) -> None:
    """D5, D6, D7: on create and on edit."""
    made = office.lead()
    for verb, *more in ((leads.create, TAKEN | change), (leads.edit, made, change)):
        with pytest.raises(Invalid) as refused:
            office.do(verb, office.asha, *more)
        assert [field] == [m.field for m in refused.value.messages]
    assert 1 == office.count("lead")


@pytest.mark.parametrize("state", ["converted", "disqualified"])
def test_a_closed_lead_is_read_only(office: Office, state: str) -> None:
    """C16: for everybody."""
    made = lead_in(office, state)
    for name in ("asha", "meena"):
        with pytest.raises(Invalid, match=f"{state.capitalize()} is read-only"):
            office.do(leads.edit, office.people[name], made, {"city": "Erode"})


def test_saving_a_lead_as_it_was_changes_nothing(office: Office) -> None:
    """No version, no history row."""
    made = office.lead(city="Erode")
    before = office.ask(leads.get, office.asha, made).version, office.count("audit")
    office.do(leads.edit, office.asha, made, {"city": " Erode ", "source": "website"}, seen=before[0])
    assert before == (office.ask(leads.get, office.asha, made).version, office.count("audit"))


@pytest.mark.parametrize("reason", ["", "mars", "Duplicate", "price", None, "\u200b"])
def test_giving_a_lead_up_needs_a_listed_reason(office: Office, reason: str | None) -> None:
    """B4: of the leads' list."""
    made = office.lead()
    with pytest.raises(Invalid) as refused:
        office.do(leads.disqualify, office.asha, made, {"reason": reason, "note": "x"})
    assert ["reason"] == [m.field for m in refused.value.messages]


def test_a_lead_given_up_as_a_duplicate_remembers_of_whom(office: Office) -> None:
    """C2: read from the address while it is open, kept when it is closed."""
    known = office.customer(email="mani@amman.in")
    made = office.lead(email="Mani@amman.in")
    row = office.ask(leads.get, office.asha, made)
    assert (known, "Amman Mills") == (row.duplicate_of_customer_id, row.duplicate_of)
    office.do(leads.disqualify, office.asha, made, {"reason": "duplicate", "note": "Known since May"})
    told = office.ask(leads.history, office.asha, made)[0]
    assert {
        "Duplicate of": "Amman Mills",
        "Reason": "Duplicate",
        "Note": "Known since May",
        "Status": "Disqualified",
    } == {c.label: c.after for c in told.changes}


def test_only_the_customer_of_the_lead_itself_is_made(office: Office) -> None:
    """A9, C6: converting into another customer is refused and makes nothing."""
    lead, other = office.lead(), office.customer("Bharat Dyes")
    deal = {"business_unit": "water", "value": 1}
    with pytest.raises(Invalid) as refused:
        office.do(leads.convert, office.asha, lead, deal | {"customer_id": other})
    assert ["customer_id"] == [m.field for m in refused.value.messages]
    assert (1, 0) == (office.count("customer"), office.count("opportunity"))


@pytest.mark.parametrize(
    ("granted", "verb", "more", "said"),
    [
        ({"lead.see_own", "lead.change_own"}, leads.contact, (), "lead.change"),
        ({"lead.see_own", "lead.change_own"}, leads.convert, (), "customer.create"),
        (
            {"lead.see_own", "lead.change_own", "customer.create"},
            leads.convert,
            ({"business_unit": "water", "value": 1},),
            "opportunity.create",
        ),
    ],
)
def test_a_new_role_may_do_what_its_row_says_and_no_more(
    office: Office, monkeypatch: pytest.MonkeyPatch, granted: set, verb: Any, more: tuple, said: str
) -> None:
    """One row in GRANTS; all of a conversion or none of it."""
    lead = office.lead(status="qualified" if verb is leads.convert else "new")
    monkeypatch.setitem(access.GRANTS, "sales_engineer", frozenset(granted))
    with pytest.raises(NotAllowed) as refused:
        office.do(verb, office.asha, lead, *more)
    assert access.DENIALS[said] == str(refused.value)
    assert (0, 0) == (office.count("customer"), office.count("opportunity"))


@pytest.mark.parametrize("wanted", [999_999, 0, "x", None, True, 10**20])
def test_a_lead_that_is_none_is_missing(office: Office, wanted: Any) -> None:
    """E-3: to read, to change, to move."""
    office.lead()
    for question in (leads.get, leads.history):
        with pytest.raises(NotFound):
            office.ask(question, office.kavya, wanted)
    for verb, more in ((leads.edit, ({},)), (leads.contact, ()), (leads.convert, ())):
        with pytest.raises(NotFound):
            office.do(verb, office.kavya, wanted, *more)


def test_leads_are_filtered_by_what_a_link_names(office: Office) -> None:
    """E-2, E-12: alternatives within a key, narrowing between keys, nothing for what nobody knows."""
    one = office.lead(region="coimbatore", source="website")
    two = office.lead("ravi", region="outer_chennai", source="trade_fair", status="new")
    ravi = str(office.ravi.user_id)
    for params, wanted in (
        ({}, [two, one]),
        ({"region": ["coimbatore", "outer_chennai"]}, [two, one]),
        ({"status": "new"}, [two]),
        ({"owner": ravi, "source": "website"}, []),
        ({"owner": ravi, "source": "trade_fair"}, [two]),
        ({"created": "fy1999-00"}, []),
        ({"created": "2020-01-01.."}, [two, one]),
        ({"region": "mars"}, []),
        ({"q": "amman"}, [two, one]),
    ):
        chosen = LeadSlice.from_params(params)
        assert (wanted, len(wanted)) == (
            list(office.ask(leads.listing, office.kavya, chosen)[0]["id"]),
            office.ask(leads.listing, office.kavya, chosen)[1].count,
        )


def test_the_filters_offer_what_there_is_and_name_what_is_not(office: Office) -> None:
    """A6, A3: an engineer is offered no colleague; a value nobody knows is named."""
    office.lead("asha")
    office.lead("ravi")
    assert {"Asha", "Ravi"} == set(office.ask(leads.choices, office.kavya, "owner").values())
    assert {"Asha"} == set(office.ask(leads.choices, office.asha, "owner").values())
    assert lifecycle.LEAD_STAGE.keys() == office.ask(leads.choices, office.asha, "status").keys()
    office.do(settings.rename, office.meena, "lead_source", "website", "Web site")
    assert {"website": "Web site", "trade_fair": "Trade fair"} == office.ask(leads.choices, office.asha, "source")
    chosen = LeadSlice.from_params({"region": ["coimbatore", "mars"], "created": ["soon", "2026-q1"], "q": "x"})
    known = office.ask(leads.names, office.asha, chosen)
    assert {"region": {"coimbatore": "Coimbatore"}, "created": {"2026-q1": "2026-q1"}, "q": {"x": "x"}} == known
    assert ["Region “mars” is", "Created “soon” is"] == [
        s.partition(" not known")[0] for s in slices.unknown_values(chosen, known)
    ]
    assert "State: New; Search: x" == LeadSlice(status="new", q="x").sentence({"status": {"new": "New"}})
    assert "All leads" == LeadSlice().sentence()


def test_a_lead_goes_to_somebody_who_may_own_it(office: Office) -> None:
    """D8: active, and of a role that owns."""
    made = office.lead()
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    for who in (office.ravi, office.devi, office.arun):
        with pytest.raises(Invalid) as refused:
            office.do(leads.edit, office.kavya, made, {"owner_id": who.user_id})
        assert ["owner_id"] == [m.field for m in refused.value.messages]
    office.do(leads.edit, office.kavya, made, {"owner_id": office.kavya.user_id})
    assert "Kavya" == office.ask(leads.get, office.kavya, made).owner
    assert office.do(leads.create, office.asha, TAKEN)
    assert "Asha" == office.ask(leads.get, office.asha, 2).owner
