"""Who is in the company: added, given roles, let go and taken back, never twice and never the last admin."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from crm_core import leads, opportunities, pipeline, targets, trail, users
from crm_core.database import open_database
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from crm_core.slices import Slice
from tests.conftest import Office

UMA = {"name": "Uma", "email": "uma@example.in", "role": "sales_engineer"}


def test_whom_a_record_may_be_given_to_depends_on_who_asks(office: Office) -> None:
    """An engineer keeps it, a manager chooses among those who may own, others own nothing."""
    owning = {"asha", "ravi", "kavya", "meena"}
    for name, wanted in {
        "asha": {"asha"},
        "kavya": owning,
        "meena": owning,
        "arun": set(),
        "devi": set(),
    }.items():
        found = office.ask(users.owners, office.people[name])
        assert {office.people[w].user_id: w.title() for w in wanted} == found


def test_two_of_one_name_are_told_apart(office: Office) -> None:
    """Wherever somebody is chosen or charted; whoever is alone with a name has it as it is."""
    other = office.do(users.add, office.meena, UMA | {"name": "Asha"})
    asha = office.asha.user_id
    office.opportunity("asha")
    office.opportunity(owner_id=other)
    office.lead("asha")
    office.lead(owner_id=other)
    wanted = {asha: f"Asha (no. {asha})", other: f"Asha (no. {other})"}
    offered = [
        office.ask(users.owners, office.kavya),
        office.ask(users.engineers, office.kavya),
        office.ask(pipeline.choices, office.kavya, "owner"),
        office.ask(leads.choices, office.kavya, "owner"),
        office.ask(trail.choices, office.kavya, "person"),
    ]
    for found in offered:
        assert wanted == {int(i): name for i, name in found.items() if int(i) in wanted}
        assert "Kavya" == {int(i): name for i, name in found.items()}.get(office.kavya.user_id, "Kavya")
    office.at("won", owner_id=other)
    office.do(users.deactivate, office.meena, other)
    charted = office.ask(targets.achieved, office.kavya, "owner", Slice())
    assert set(wanted.values()) <= set(charted["label"])


def test_anybody_but_a_viewer_can_be_named_as_application_engineer(office: Office) -> None:
    """Whoever asks; somebody who left is not offered."""
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    assert {"Asha", "Arun", "Kavya", "Meena"} == set(office.ask(users.engineers, office.devi).values())


@pytest.mark.parametrize("email", ["asha@example.in", " ASHA@Example.IN", "a\u200bsha@example.in"])
def test_nobody_is_added_twice(office: Office, email: str) -> None:
    """I2: however the address is written, and past the program."""
    with pytest.raises(Conflict, match="a user with this e-mail address already"):
        office.do(users.add, office.meena, UMA | {"email": email})
    with pytest.raises(Conflict):
        office.sql(
            "INSERT INTO app_user (name, email, email_key, role, created_at) "
            "SELECT name, 'x', email_key, role, created_at FROM app_user"
        )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"email": "uma"}, "email"),
        ({"email": "uma@exa mple.in"}, "email"),
        ({"email": "uma@" + "a" * 64 + ".in"}, "email"),
        ({"email": "uma@" + ".".join(["a" * 60] * 5) + ".in"}, "email"),
        ({"email": "u" * 65 + "@example.in"}, "email"),
        ({"email": "uma@exa_mple.in"}, "email"),
        ({"role": "Manager"}, "role"),
        ({"role": ["manager"]}, "role"),
        ({"business_unit": "mars"}, "business_unit"),
        ({"active": False}, "active"),
        ({"permissions": "all"}, "permissions"),
    ],
)
def test_a_user_needs_a_name_an_address_and_a_role_of_the_table(office: Office, change: dict, field: str) -> None:
    """I3, I16: and nothing else is taken."""
    before = office.count("app_user")
    with pytest.raises(Invalid) as refused:
        office.do(users.add, office.meena, UMA | change)
    assert [field] == [m.field for m in refused.value.messages]
    assert before == office.count("app_user")


def test_the_longest_address_fits(office: Office) -> None:
    """I3: 64 letters before the @ and 253 behind it, on both databases."""
    email = "u" * 64 + "@" + ("a" * 49 + ".") * 5 + "in."
    longest = "u" * 64 + "@" + ("a" * 49 + ".") * 5 + "in"
    made = office.do(users.add, office.meena, UMA | {"email": email})
    assert [(longest,)] == [tuple(r) for r in office.sql(f"SELECT email_key FROM app_user WHERE id = {made}")]


@pytest.mark.parametrize("role", ["superuser", "", "Viewer"])
def test_a_role_that_is_none_is_given_to_nobody(office: Office, role: str) -> None:
    """I16: past the program too."""
    with pytest.raises(Invalid):
        office.do(users.change_role, office.meena, office.asha.user_id, role)
    with pytest.raises(Refusal):
        office.sql(f"UPDATE app_user SET role = '{role}', version = version + 1 WHERE id = {office.asha.user_id}")


@pytest.mark.parametrize("wanted", [999_999, 0, -1, "3", True, 1.0, None])
def test_a_user_who_is_none_cannot_be_changed(office: Office, wanted: Any) -> None:
    """E-3."""
    for verb, more in ((users.change_role, ("viewer",)), (users.deactivate, ()), (users.reactivate, ())):
        with pytest.raises(NotFound):
            office.do(verb, office.meena, wanted, *more)


def test_an_admin_can_go_once_there_is_another(office: Office) -> None:
    """I15: the last active one stays; one who left does not count."""
    office.do(users.change_role, office.meena, office.kavya.user_id, "org_admin")
    office.do(users.deactivate, office.kavya, office.meena.user_id)
    for verb, more in ((users.change_role, ("viewer",)), (users.deactivate, ())):
        with pytest.raises(NotAllowed, match="last active org admin"):
            office.do(verb, office.kavya, office.kavya.user_id, *more)
    office.do(users.change_role, office.kavya, office.meena.user_id, "viewer")
    office.do(users.change_role, office.kavya, office.kavya.user_id, "org_admin")


def test_a_first_admin_is_made_once(office: Office) -> None:
    """I4: whoever has the command line cannot add a second one that way."""
    with office.database.write() as conn, pytest.raises(NotAllowed, match="already"):
        users.first_admin(conn, {"name": "Uma", "email": "uma@example.in"})


def test_the_first_person_is_admin_and_added_themselves(tmp_path: Any) -> None:
    """Whatever role was written."""
    database = open_database(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    with database.write() as conn:
        made = users.first_admin(conn, UMA)
    with database.read() as conn:
        (row,) = users.people(conn)
        by = conn.exec_driver_sql("SELECT by_id, by_name, action FROM audit").fetchall()
    database.dispose()
    assert (made, "org_admin") == (row.id, row.role)
    assert [(made, "Uma", "create")] == [tuple(r) for r in by]


def test_two_admins_do_not_overwrite_each_other(office: Office) -> None:
    """F4: the second hears who did what."""
    office.do(users.change_role, office.meena, office.asha.user_id, "viewer", seen=1)
    with pytest.raises(Conflict, match="Meena changed Role from Sales engineer to Viewer"):
        office.do(users.deactivate, office.meena, office.asha.user_id, seen=1)


def test_history_says_who_it_was_after_they_left(office: Office) -> None:
    """H8: the name of then."""
    made = office.opportunity()
    office.do(opportunities.edit, office.asha, made, {"title": "Boiler feed"})
    office.do(users.deactivate, office.meena, office.asha.user_id)
    office.sql(f"UPDATE app_user SET name = 'Somebody', version = version + 1 WHERE id = {office.asha.user_id}")
    assert "Asha" == office.ask(opportunities.history, office.kavya, made)[0].by
    with pytest.raises((Refusal, DBAPIError)):
        office.sql(f"DELETE FROM app_user WHERE id = {office.asha.user_id}")


def test_giving_a_role_is_recorded(office: Office) -> None:
    """H7: role, leaving and coming back; before and after."""
    office.do(users.change_role, office.meena, office.asha.user_id, "viewer")
    office.do(users.deactivate, office.meena, office.asha.user_id)
    office.do(users.reactivate, office.meena, office.asha.user_id)
    kept = office.sql(
        f"SELECT action, by_name FROM audit WHERE entity = 'user' AND entity_id = '{office.asha.user_id}'"
    )
    assert [("create", "Meena"), ("edit", "Meena"), ("deactivate", "Meena"), ("reactivate", "Meena")] == [
        tuple(row) for row in kept
    ]
