"""Users: who they are and what role they have. Inviting and changing them is for org admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from crm_core import audit, clock, fields, leads, lifecycle, opportunities, records, settings
from crm_core.access import GRANTS, NAMED_ROLES, OWNING_ROLES, Actor, Person, person, require
from crm_core.commands import command, guarded
from crm_core.errors import Conflict, NotAllowed, Problems
from crm_core.fields import Field
from crm_core.records import Once
from crm_core.schema import Record, app_user, lead, opportunity

FIELDS = {
    "name": Field("Name", fields.text(80), required=True),
    "email": Field("E-mail", fields.email, required=True),
    "role": Field("Role", fields.one_of(GRANTS, f"choose one of {', '.join(GRANTS)}."), required=True),
    "business_unit": Field("Business unit", fields.code),
}
EDITABLE = {name: FIELDS[name] for name in ("name", "role", "business_unit")}
ADMIN = "org_admin"


def people(conn: Connection) -> list[Record]:
    """This function will read all users for the sign-in of a trial and the command line: id, name, email, role, active."""
    return list(conn.execute(select(app_user).order_by(app_user.c.name, app_user.c.id)))


def listing(conn: Connection, actor: Actor) -> list[Record]:
    """This function will read all users for the users page, the active ones first, then by name."""
    require(conn, actor, "users.change")
    return list(conn.execute(select(app_user).order_by(app_user.c.active.desc(), app_user.c.name, app_user.c.id)))


def open_records(conn: Connection, actor: Actor, user_id: int) -> tuple[list[int], list[int]]:
    """This function will read the ids of the opportunities and of the leads that a user owns and that are not closed."""
    require(conn, actor, "users.change")
    ended = [stage.code for stage in lifecycle.LEAD_STAGES if stage.closed]
    deals = select(opportunity.c.id).where(
        opportunity.c.owner_id == user_id, opportunity.c.status.in_(lifecycle.PIPELINE)
    )
    taken = select(lead.c.id).where(lead.c.owner_id == user_id, lead.c.status.not_in(ended))
    return list(conn.scalars(deals.order_by(opportunity.c.id))), list(conn.scalars(taken.order_by(lead.c.id)))


def owners(conn: Connection, actor: Actor) -> dict[int, str]:
    """This function will map the users that the actor may make the owner of a record to their names."""
    asking = person(conn, actor)
    if not asking.may("opportunity.reassign"):
        return {asking.id: asking.name} if asking.may("opportunity.be_owner") else {}
    return able_to_own(conn)


def able_to_own(conn: Connection) -> dict[int, str]:
    """This function will map the active users who can own records to their names."""
    return _named(conn, OWNING_ROLES)


def engineers(conn: Connection, actor: Actor) -> dict[int, str]:
    """This function will map the users that can be named as application engineer to their names."""
    person(conn, actor)
    return _named(conn, NAMED_ROLES)


@command
def add(conn: Connection, actor: Actor, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will add a user (name, email, role, business_unit) and return their id."""
    asking = require(conn, actor, "users.change")
    return _insert(conn, actor, asking, values)


def first_admin(conn: Connection, values: Mapping[str, Any]) -> int:
    """This function will add the first org admin of a database, from its operator's command line.

    Raises NotAllowed once there is an active org admin, Invalid for wrong input.
    """
    if _admins(conn):
        raise NotAllowed("There is an org admin already; sign in as that person to add users.")
    return _insert(conn, None, None, {**values, "role": ADMIN})


@command
def edit(conn: Connection, actor: Actor, user_id: int, changes: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will change a user's name, role or business unit; a role counts from their next action on.

    Raises NotAllowed (also for the last active org admin), NotFound, Invalid, Conflict.
    """
    asking = require(conn, actor, "users.change")
    old = _row(conn, user_id)
    problems = Problems()
    read = fields.read(EDITABLE, changes, problems, partial=True)
    before, after = audit.changed(old._mapping, read)
    _check_unit(conn, after.get("business_unit"), problems)
    problems.stop()
    if after.get("role", ADMIN) != ADMIN:
        _keep_an_admin(conn, old)
    if after:
        version = guarded(conn, app_user, old, seen, after)
        audit.write(conn, actor, asking, "edit", "user", user_id, version, before, after)
    return user_id


@command
def change_role(conn: Connection, actor: Actor, user_id: int, role: str, *, seen: int | None = None) -> int:
    """This function will give a user another role, from their next action on."""
    return int(edit(conn, actor, user_id, {"role": role}, seen=seen))


@command
def deactivate(
    conn: Connection, actor: Actor, user_id: int, hand_over_to: int | None = None, *, seen: int | None = None
) -> int:
    """This function will end a user's access from their next action on; their history stays.

    With `hand_over_to`, their opportunities and leads that are not closed go to that user, in the
    same transaction, each with its own row in the record.
    """
    require(conn, actor, "users.change")
    if hand_over_to is not None:
        deals, taken = open_records(conn, actor, user_id)
        if deals:
            opportunities.reassign(conn, actor, deals, hand_over_to)
        for lead_id in taken:
            leads.edit(conn, actor, lead_id, {"owner_id": hand_over_to})
    return _activate(conn, actor, user_id, False, seen)


@command
def reactivate(conn: Connection, actor: Actor, user_id: int, *, seen: int | None = None) -> int:
    """This function will give a deactivated user their access back."""
    return _activate(conn, actor, user_id, True, seen)


def _activate(conn: Connection, actor: Actor, user_id: int, active: bool, seen: int | None) -> int:
    asking = require(conn, actor, "users.change")
    old = _row(conn, user_id)
    if not active:
        _keep_an_admin(conn, old)
    version = guarded(conn, app_user, old, seen, {"active": active})
    action = "reactivate" if active else "deactivate"
    audit.write(conn, actor, asking, action, "user", user_id, version, {"active": old.active}, {"active": active})
    return user_id


def _insert(conn: Connection, actor: Actor | None, asking: Person | None, raw: Mapping[str, Any]) -> int:
    problems = Problems()
    values = fields.read(FIELDS, raw, problems)
    _check_unit(conn, values["business_unit"], problems)
    problems.stop()
    values["email_key"] = fields.email_key(values["email"])
    if conn.scalar(select(app_user.c.id).where(app_user.c.email_key == values["email_key"])):
        raise Conflict("There is a user with this e-mail address already.")
    made = conn.execute(insert(app_user).values(created_at=clock.now(conn), **values).returning(app_user.c.id))
    user_id = int(made.scalar_one())
    by = actor or Actor(user_id)
    after = {name: values[name] for name in FIELDS}
    audit.write(conn, by, asking or person(conn, by), "create", "user", user_id, 1, {}, after)
    return user_id


def _row(conn: Connection, user_id: int) -> Record:
    try:
        query = select(app_user).where(app_user.c.id == fields.chosen(user_id))
    except ValueError:
        raise records.missing("user") from None
    return records.one(conn, query, "user")


def _admins(conn: Connection) -> int:
    query = select(app_user.c.id).where(app_user.c.role == ADMIN, app_user.c.active).with_for_update()
    return len(conn.scalars(query).all())


def _keep_an_admin(conn: Connection, old: Record) -> None:
    if old.role == ADMIN and old.active and _admins(conn) == 1:
        raise NotAllowed("This is the last active org admin; make somebody else one first.")


def _named(conn: Connection, roles: frozenset[str]) -> dict[int, str]:
    return records.people(conn, app_user.c.active, app_user.c.role.in_(sorted(roles)))


def _check_unit(conn: Connection, code: str | None, problems: Problems) -> None:
    settings.check(Once(conn), [("business_unit", "business_unit", "Business unit", code)], problems)
