"""Saved views: a page's URL under a name, for oneself or for the team."""

from __future__ import annotations

from typing import Any

import pytest

from crm_core import trail, users, views
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound
from crm_core.slices import AuditSlice
from tests.conftest import Office

VIEW = {"name": "Water", "page": "opportunities", "query": "status=open&status=won&sort=-value"}


def seen(office: Office, actor: Actor) -> list[tuple[str, str, bool]]:
    """This function will give what stands on a person's sidebar: name, owner, shared."""
    return [(row.name, row.owner, row.shared) for row in office.ask(views.listing, actor)]


def said(office: Office, verb: Any, *args: Any) -> dict[str, str]:
    """This function will give what a person reads when it cannot be saved, by field."""
    with pytest.raises(Invalid) as why:
        office.do(verb, *args)
    return {sentence.field: str(sentence) for sentence in why.value.messages}


def test_a_view_keeps_its_page_and_its_address(office: Office) -> None:
    office.do(views.save, office.asha, VIEW)
    (row,) = office.ask(views.listing, office.asha)
    assert ("Water", "opportunities", "status=open&status=won&sort=-value", False, "Asha") == (
        row.name,
        row.page,
        row.query,
        row.shared,
        row.owner,
    )


def test_a_private_view_is_its_owners_alone_and_a_shared_one_everybodys(office: Office) -> None:
    """An org admin does not see a private one either."""
    office.do(views.save, office.asha, VIEW | {"name": "Mine"})
    office.do(views.save, office.asha, VIEW | {"name": "Ours", "shared": True})
    office.do(views.save, office.ravi, VIEW | {"name": "Also"})
    assert [("Mine", "Asha", False), ("Ours", "Asha", True)] == seen(office, office.asha)
    assert [("Also", "Ravi", False), ("Ours", "Asha", True)] == seen(office, office.ravi)
    for name in ("meena", "kavya", "arun", "devi"):
        assert [("Ours", "Asha", True)] == seen(office, office.people[name])


def test_everything_wrong_with_a_view_is_said_at_once(office: Office) -> None:
    wrong = {"name": " ", "page": "users", "query": "status", "shared": "yes"}
    assert {
        "name": "Name is missing; please fill it in.",
        "page": "Page: choose one from the list.",
        "query": "Address: this is no part of an address.",
        "shared": "For the team: choose yes or no.",
    } == said(office, views.save, office.asha, wrong)
    assert {"name": "Name: at most 60 characters fit; this has 61."} == said(
        office, views.save, office.asha, VIEW | {"name": "x" * 61}
    )
    assert {"query": "Address: an address has at most 2,000 characters."} == said(
        office, views.save, office.asha, VIEW | {"query": "q=" + "x" * 2000}
    )


@pytest.mark.parametrize("query", ["", "q=%E0%AE%AE&region=salem", "q=a+b%26c%3D%00", "status="])
def test_an_address_comes_back_as_it_was(office: Office, query: str) -> None:
    """Tamil letters, separators, a NUL and an empty value are only text."""
    office.do(views.save, office.asha, VIEW | {"query": query})
    assert [query] == [row.query for row in office.ask(views.listing, office.asha)]


@pytest.mark.parametrize("query", ["%FF=1", "a=1&&b=2", "status=open#top&x"])
def test_what_is_no_address_is_refused_or_written_in_the_one_way(office: Office, query: str) -> None:
    assert {"query": "Address: this is no part of an address."} == said(
        office, views.save, office.asha, VIEW | {"query": query}
    )


def test_two_views_of_one_person_have_two_names(office: Office) -> None:
    """Whatever their case; others may use the name, and so may they once it is removed."""
    made = office.do(views.save, office.asha, VIEW)
    taken = {"name": "Name: you have a view “WATER” already; remove or rename that one."}
    assert taken == said(office, views.save, office.asha, VIEW | {"name": "WATER"})
    other = office.do(views.save, office.asha, VIEW | {"name": "Process"})
    assert taken == said(office, views.edit, office.asha, other, {"name": "WATER"})
    office.do(views.edit, office.asha, made, {"name": "WATER"})
    office.do(views.save, office.ravi, VIEW)
    office.do(views.remove, office.asha, made)
    office.do(views.save, office.asha, VIEW)
    assert ["Process", "Water"] == [name for name, *_ in seen(office, office.asha)]


def test_a_view_is_shared_renamed_made_private_and_removed_on_record(office: Office) -> None:
    """H2: each with before and after."""
    made = office.do(views.save, office.kavya, VIEW)
    office.do(views.edit, office.kavya, made, {"name": "Water", "shared": True}, seen=1)
    assert [("Water", "Kavya", True)] == seen(office, office.ravi)
    office.do(views.edit, office.kavya, made, {"name": "Water works", "shared": False}, seen=2)
    assert [] == seen(office, office.ravi)
    office.do(views.remove, office.kavya, made, seen=3)
    assert [] == seen(office, office.kavya)
    entries, _count = office.ask(trail.listing, office.meena, AuditSlice(kind="saved_view"))
    assert [
        ("removed it", ["Active: yes → no"]),
        ("changed it", ["Name: Water → Water works", "For the team: yes → no"]),
        ("changed it", ["For the team: no → yes"]),
    ] == [(e.action, [f"{c.label}: {c.before} → {c.after}" for c in e.changes]) for e in entries[:3]]
    assert "created it" == entries[3].action


def test_nobody_changes_anothers_view_or_one_changed_since(office: Office) -> None:
    """C14: another's, shared or not, does not exist to them."""
    made = office.do(views.save, office.asha, VIEW | {"shared": True})
    for verb, args in ((views.edit, ({"name": "Mine now"},)), (views.remove, ())):
        for name in ("ravi", "kavya", "meena"):
            with pytest.raises(NotFound):
                office.do(verb, office.people[name], made, *args)
    office.do(views.edit, office.asha, made, {"name": "Water works"}, seen=1)
    for verb, args in ((views.edit, ({"name": "Water"},)), (views.remove, ())):
        with pytest.raises(Conflict):
            office.do(verb, office.asha, made, *args, seen=1)
    assert [("Water works", "Asha", True)] == seen(office, office.asha)


def test_who_may_not_share_keeps_views_to_themselves(office: Office) -> None:
    made = office.do(views.save, office.devi, VIEW)
    for verb, args in (
        (views.save, (VIEW | {"name": "Ours", "shared": True},)),
        (views.edit, (made, {"shared": True})),
    ):
        with pytest.raises(NotAllowed, match="You may not share views with the team"):
            office.do(verb, office.devi, *args)
    assert [("Water", "Devi", False)] == seen(office, office.devi)


def test_the_database_keeps_private_views_apart_by_itself(office: Office) -> None:
    """A20: on PostgreSQL, whatever the program asks; on SQLite there is only the program."""
    office.do(views.save, office.asha, VIEW)
    office.do(views.save, office.kavya, VIEW | {"shared": True})
    counted = {name: office.app_sql("SELECT count(*) FROM saved_view", by=name)[0][0] for name in ("asha", "ravi")}
    assert ({"asha": 2, "ravi": 1} if office.name == "postgresql" else {"asha": 2, "ravi": 2}) == counted


def test_what_a_colleague_shared_goes_when_they_have_gone(office: Office) -> None:
    office.do(views.save, office.ravi, VIEW | {"shared": True})
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    assert [] == seen(office, office.asha)
