"""Lists, users, customers, offers, and the command line that looks after them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crm_core import customers, leads, offers, opportunities, preferences, settings, users
from crm_core.__main__ import main
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound
from crm_core.slices import LeadSlice
from tests.conftest import Office


def test_the_command_line_makes_a_database_and_its_first_admin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    meena = ["--name", "Meena", "--email", "meena@pumps.in", "--role", "org_admin"]
    viewer = ["--name", "Devi", "--email", "devi@pumps.in", "--role", "viewer"]
    assert [0, 1, 0, 1, 0, 0] == [
        main(["--url", url, "init"]),
        main(["--url", url, "users", "add", *viewer]),
        main(["--url", url, "users", "add", *meena]),
        main(["--url", url, "users", "add", *viewer]),
        main(["--url", url, "users", "add", *viewer, "--as", "meena@pumps.in"]),
        main(["--url", url, "users", "list"]),
    ]
    assert "devi@pumps.in" in capsys.readouterr().out


def test_a_retired_region_is_offered_no_more_and_old_records_keep_it(office: Office) -> None:
    """B16, H7"""
    old = office.opportunity()
    office.do(settings.rename, office.meena, "region", "coimbatore", "Kovai")
    office.do(settings.retire, office.meena, "region", "coimbatore")
    assert office.ask(opportunities.get, office.asha, old).region_label == "Kovai"
    assert "coimbatore" not in office.ask(settings.labels_of, office.asha, "region")
    with pytest.raises(Invalid):
        office.opportunity()
    office.do(settings.restore, office.meena, "region", "coimbatore")
    assert office.opportunity() > old


def test_only_an_org_admin_changes_the_lists(office: Office) -> None:
    with pytest.raises(NotAllowed):
        office.do(settings.add, office.kavya, "region", "Salem")
    with pytest.raises(Invalid):
        office.do(settings.add, office.meena, "region", "coimbatore")
    assert office.do(settings.add, office.meena, "region", "Outer Salem") == "outer_salem"


def test_every_reason_has_its_words_retired_ones_too(office: Office) -> None:
    """B16: for the charts of what was lost."""
    office.do(settings.retire, office.meena, "lost_reason", "price")
    assert {"price": "Price", "delivery_time": "Delivery time"}.items() <= office.ask(
        settings.reasons, office.devi
    ).items()
    assert "No budget" in office.ask(settings.reasons, office.devi).values()
    with pytest.raises(NotAllowed):
        office.ask(settings.reasons, Actor(999_999))


@pytest.mark.parametrize("name", ["app_user", "opportunity", "", "Region", "region; DROP"])
def test_a_list_that_is_none_cannot_be_changed(office: Office, name: str) -> None:
    """A18: no other table is reached that way."""
    for verb, *more in ((settings.add, "Salem"), (settings.rename, "x", "y"), (settings.retire, "x")):
        with pytest.raises(Invalid, match="There is no such list"):
            office.do(verb, office.meena, name, *more)


@pytest.mark.parametrize("code", ["mars", "Coimbatore", "", "a\0b", "\ud800", 1])
def test_an_entry_that_is_none_cannot_be_changed(office: Office, code: Any) -> None:
    """D5, D6: the same on both databases."""
    for verb, *more in ((settings.rename, "Salem"), (settings.retire,), (settings.restore,)):
        with pytest.raises(NotFound):
            office.do(verb, office.meena, "region", code, *more)


def test_names_that_make_the_same_code_get_their_own(office: Office) -> None:
    """And one in another script has the list's name for its code."""
    made = [office.do(settings.add, office.meena, "region", name) for name in ("Salem!", "Salem?", "சேலம்", "மதுரை")]
    assert ["salem", "salem_2", "region", "region_2"] == made
    with pytest.raises(Invalid, match="in the list already"):
        office.do(settings.rename, office.meena, "region", "salem_2", " salem!")
    assert "salem" == office.do(settings.rename, office.meena, "region", "salem", "SALEM!")


def test_a_fact_about_the_database_is_kept_once(office: Office) -> None:
    """Its currency, and whether it is a trial."""
    assert ("INR", False) == (office.ask(preferences.currency), office.ask(preferences.is_trial))
    for value in ("", "INR", ""):
        with office.owner.write() as conn:
            preferences.store(conn, "currency", value)
    assert "" == office.ask(preferences.currency)


def test_the_command_line_says_why_it_did_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_OWNER_URL", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert 0 == main(["users", "list"])
    assert "There are no users yet." in capsys.readouterr().out
    assert 0 == main(["users", "add", "--name", "Meena", "--email", "meena@pumps.in", "--role", "org_admin"])
    mapping = tmp_path / "mapping.toml"
    mapping.write_text("source = 1")
    for command, said in (
        (["demo"], "in use already"),
        (["import", str(mapping), str(tmp_path)], "mapping.toml is not complete"),
        (["--url", "mysql://x/y", "init"], "must begin with sqlite:///"),
        (
            ["users", "add", "--name", "Uma", "--email", "uma@x.in", "--role", "viewer", "--as", "x@y.in"],
            "No active user",
        ),
    ):
        assert 1 == main(command)
        assert said in capsys.readouterr().err


def test_the_last_org_admin_stays(office: Office) -> None:
    """I15"""
    meena = office.meena.user_id
    for verb, more in ((users.deactivate, ()), (users.change_role, ("viewer",))):
        with pytest.raises(NotAllowed):
            office.do(verb, office.meena, meena, *more)


def test_a_deactivated_engineer_is_out_at_the_next_action(office: Office) -> None:
    """A11, F7"""
    office.do(users.deactivate, office.meena, office.asha.user_id)
    with pytest.raises(NotAllowed):
        office.ask(customers.choices, office.asha)
    office.do(users.reactivate, office.meena, office.asha.user_id)
    office.do(users.change_role, office.meena, office.asha.user_id, "viewer")
    with pytest.raises(NotAllowed):
        office.do(customers.create, office.asha, {"company": "Vel Mills"})
    assert office.asha.user_id not in office.ask(users.owners, office.kavya)


def test_merging_moves_opportunities_and_offers_and_leaves_a_trace(office: Office) -> None:
    keep = office.customer("Vel Mills", email="a@vel.in")
    twin = office.customer("Vel Mills Ltd")
    won = office.at("won", customer_id=twin)
    offer = office.offer(twin)
    office.do(opportunities.link_offer, office.kavya, won, offer)
    assert office.do(customers.merge, office.kavya, twin, keep) == keep
    assert office.ask(opportunities.get, office.kavya, won).customer == "Vel Mills"
    assert office.ask(offers.get, office.kavya, offer).customer == "Vel Mills"
    assert office.ask(customers.get, office.kavya, twin).merged_into == "Vel Mills"
    with pytest.raises(Invalid):
        office.do(customers.reactivate, office.kavya, twin)


def test_a_customers_email_cannot_be_edited_into_anothers(office: Office) -> None:
    """C13"""
    office.customer("Vel Mills", email="a@vel.in")
    other = office.customer("Siva Mills")
    with pytest.raises(Conflict) as refused:
        office.do(customers.edit, office.asha, other, {"email": " A@VEL.in"})
    assert "Vel Mills" in refused.value.messages[0]
    office.do(customers.edit, office.asha, other, {"city": "Erode", "phone": "+91 98400 12345"})
    assert "same phone" in str(office.ask(customers.likely, office.asha, {"phone": "098400 12345", "company": ""}))
    rows, turned = office.ask(customers.listing, office.asha, "siva")
    assert (turned.count, rows[0].city) == (1, "Erode")


def test_an_offer_is_edited_by_those_who_may_change_its_opportunity(office: Office) -> None:
    made = office.at("offer_made")
    customer_id = office.ask(opportunities.get, office.asha, made).customer_id
    offer = office.offer(customer_id)
    office.do(offers.edit, office.asha, offer, {"amount": "2 lakh", "status": "sent", "document_url": "https://x.in/q"})
    assert office.ask(offers.get, office.asha, offer).amount == 200_000
    with pytest.raises(Invalid):
        office.do(offers.edit, office.asha, offer, {"status": "", "document_url": "javascript:1"})
    assert office.ask(offers.linkable, office.asha, customer_id) == {offer: "Q-1"}


def test_the_leads_list_is_the_viewers_and_its_filters_match_nothing_unknown(office: Office) -> None:
    own, _foreign = office.lead(email="a@b.in"), office.lead(owner="ravi", status="new")
    rows, turned = office.ask(
        leads.listing, office.asha, LeadSlice(status="qualified", q="amman", created="..2199-01-01")
    )
    assert (turned.count, list(rows["id"])) == (1, [own])
    for unknown in ({"owner": "all"}, {"created": "soon"}, {"status": "bogus"}):
        assert office.ask(leads.listing, office.kavya, LeadSlice(**unknown))[1].count == 0
    office.do(leads.edit, office.asha, own, {"city": "Erode"}, seen=office.ask(leads.get, office.asha, own).version)
    assert office.ask(leads.history, office.asha, own)[0].changes[0].after == "Erode"
    assert office.ask(leads.duplicates, office.asha, {"email": "A@b.in"})[0][0] == "lead"
    office.do(leads.disqualify, office.asha, own, {"reason": "duplicate"})
    assert office.ask(leads.moves, office.asha, office.ask(leads.get, office.asha, own)) == []


def test_whoever_leaves_hands_over_what_is_open_and_keeps_what_is_closed(office: Office) -> None:
    """B17: in one transaction, each record with its own row."""
    mine, won, foreign = office.opportunity(), office.at("won"), office.opportunity("ravi")
    taken, ended = office.lead(status="new"), office.lead(status="new", email="x@y.in")
    office.do(leads.disqualify, office.asha, ended, {"reason": "duplicate"})
    with pytest.raises(Invalid):
        office.do(users.deactivate, office.meena, office.asha.user_id, office.devi.user_id)
    assert office.ask(opportunities.get, office.asha, mine).owner == "Asha"
    office.do(users.deactivate, office.meena, office.asha.user_id, office.ravi.user_id)
    owners = [office.ask(opportunities.get, office.kavya, i).owner for i in (mine, won, foreign)]
    assert ["Ravi", "Asha", "Ravi"] == owners
    assert ["Ravi", "Asha"] == [office.ask(leads.get, office.kavya, i).owner for i in (taken, ended)]
    assert "gave it to another owner" == office.ask(opportunities.history, office.ravi, mine)[0].action
    assert office.ask(leads.history, office.ravi, taken)[0].changes[0].after == "Ravi"


def test_a_user_is_changed_with_every_problem_at_once(office: Office) -> None:
    ravi = office.ravi.user_id
    with pytest.raises(Invalid) as refused:
        office.do(
            users.edit, office.meena, ravi, {"name": " ", "role": "boss", "business_unit": "mars", "email": "x@y.in"}
        )
    assert {"name", "role", "business_unit", "email"} == {m.field for m in refused.value.messages}
    office.do(users.edit, office.meena, ravi, {"name": "Ravi Shankar", "role": "manager"}, seen=1)
    assert ["Ravi Shankar"] == [row.name for row in office.ask(users.listing, office.meena) if row.id == ravi]
    with pytest.raises(Conflict):
        office.do(users.edit, office.meena, ravi, {"name": "R"}, seen=1)
    with pytest.raises(NotAllowed):
        office.ask(users.listing, office.kavya)
    with pytest.raises(NotAllowed):
        office.ask(users.open_records, office.kavya, ravi)
