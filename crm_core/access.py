"""Who may see and do what: the only page that knows roles.

Deny by default. Role and active are read from the database inside each transaction, so a changed
role or a deactivation counts from the person's next action. Source: decisions, “Who may see and
do what”.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from crm_core import clock, fields, records, sql
from crm_core.errors import NotAllowed
from crm_core.schema import app_user, lead, offer, opportunity, saved_view, tally, target

SALES = frozenset(
    {"opportunity.create", "opportunity.move", "lead.create", "lead.change", "offer.create", "view.share"}
)

GRANTS: dict[str, frozenset[str]] = {
    "sales_engineer": SALES
    | {"opportunity.see_own", "opportunity.see_named", "opportunity.change_own", "opportunity.be_owner"}
    | {"lead.see_own", "lead.change_own", "customer.create", "customer.change", "export"},
    "application_engineer": frozenset({"opportunity.see_named"}),
    "manager": SALES
    | {"opportunity.see_all", "opportunity.see_named", "opportunity.change_all", "opportunity.be_owner"}
    | {"opportunity.reopen", "opportunity.reassign", "opportunity.change_closed"}
    | {"lead.see_all", "lead.change_all", "customer.create", "customer.change", "customer.retire"}
    | {"export", "audit.read", "targets.change"},
    "org_admin": SALES
    | {"opportunity.see_all", "opportunity.see_named", "opportunity.change_all", "opportunity.be_owner"}
    | {"opportunity.reopen", "opportunity.reassign", "opportunity.change_closed"}
    | {"lead.see_all", "lead.change_all", "customer.create", "customer.change", "customer.retire"}
    | {"export", "audit.read", "targets.change", "settings.change", "users.change", "import"},
    "viewer": frozenset({"opportunity.see_all", "lead.see_all"}),
}

ROLE_LABELS = {
    "sales_engineer": "Sales engineer",
    "application_engineer": "Application engineer",
    "manager": "Manager",
    "org_admin": "Org admin",
    "viewer": "Viewer",
}
OWNING_ROLES = frozenset(role for role, granted in GRANTS.items() if "opportunity.be_owner" in granted)
NAMED_ROLES = frozenset(role for role, granted in GRANTS.items() if "opportunity.see_named" in granted)

#: What a person reads when they lack a permission.
DENIALS = {
    "opportunity.create": "You may not create opportunities.",
    "opportunity.move": "You may not move opportunities.",
    "opportunity.reopen": "Only a manager or an org admin can reopen a closed opportunity.",
    "opportunity.reassign": "Only a manager or an org admin can choose another owner.",
    "opportunity.change_closed": "Only a manager or an org admin can link an offer to a closed opportunity.",
    "opportunity.change": "You may read this opportunity, but only its sales engineer or a manager can change it.",
    "lead.create": "You may not create leads.",
    "lead.change": "You may read this lead, but only its owner or a manager can change it.",
    "customer.create": "You may not create customers.",
    "customer.change": "You may not change customers.",
    "customer.retire": "Only a manager or an org admin can deactivate or merge customers.",
    "offer.create": "You may not create offers.",
    "settings.change": "Only an org admin can change the configured lists.",
    "targets.change": "Only a manager or an org admin can set targets and stage limits.",
    "view.share": "You may not share views with the team.",
    "users.change": "Only an org admin can change users.",
    "import": "Only an org admin can import or name past dates.",
    "export": "You may not export.",
    "audit.read": "You may not read the audit log.",
}


@dataclass(frozen=True)
class Actor:
    """Who asks: a user's id and the request's, never their role."""

    user_id: int
    request_id: str = ""


#: Whoever asks without being a user; no user has this id.
NOBODY = Actor(0)


@dataclass(frozen=True)
class Person:
    """The asking user as the database knows them in this transaction."""

    id: int
    name: str
    role: str
    business_unit: str | None
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """This function will tell whether the person's role has a permission."""
        return permission in self.permissions

    def can(self, permission: str) -> ColumnElement[bool]:
        """This function will tell the same as a clause."""
        return true() if self.may(permission) else false()


class Asker(Protocol):
    """Whom a scope is built for: a Person here, or whoever a transaction of PostgreSQL is for (`walls`)."""

    @property
    def id(self) -> Any: ...

    def can(self, permission: str) -> ColumnElement[bool]: ...


_ASKING = select(app_user.c.id, app_user.c.name, app_user.c.role, app_user.c.business_unit).where(
    app_user.c.id == bindparam("user_id"), app_user.c.active
)
# On PostgreSQL the same read tells the policies who asks, until the transaction ends.
_NAMED = _ASKING.add_columns(func.set_config("crm.user_id", cast(app_user.c.id, Text), True))
_SAVING = _NAMED.with_for_update(read=True)


def actor_by_email(conn: Connection, email: str, request_id: str = "") -> Actor:
    """This function will find the active user with an e-mail address and give them as an Actor.

    Raises NotAllowed when there is none.
    """
    try:
        key = fields.email_key(email)
    except ValueError:
        key = ""
    user_id = conn.scalar(select(app_user.c.id).where(app_user.c.email_key == key, app_user.c.active))
    if user_id is None:
        raise NotAllowed("No active user has this e-mail address; ask your org admin.")
    return Actor(user_id, request_id)


def person(conn: Connection, actor: Actor) -> Person:
    """This function will read who asks, as of this transaction. Raises NotAllowed unless active.

    A save holds the person as they are until it is through; a deactivation waits for it. A transaction that only
    reads sees one moment, so who asks again in it is who they were.
    """
    saving, moment = conn.get_execution_options().get("crm_write"), clock.now(conn)
    last: tuple[Any, Person | None] = conn.info.get("crm_asking", (None, None))
    if not saving and last[0] is moment and last[1] and last[1].id == actor.user_id:
        return last[1]
    named = _SAVING if saving else _NAMED
    query = named if conn.dialect.name == "postgresql" else _ASKING
    row = conn.execute(query, {"user_id": actor.user_id}).one_or_none()
    if row is None:
        raise NotAllowed("Your account is not active; ask your org admin.")
    asking = Person(row.id, row.name, row.role, row.business_unit, GRANTS.get(row.role, frozenset()))
    conn.info["crm_asking"] = moment, asking
    return asking


def require(conn: Connection, actor: Actor, permission: str) -> Person:
    """This function will read who asks and raise NotAllowed, with its sentence, unless they may."""
    asking = person(conn, actor)
    if not asking.may(permission):
        raise NotAllowed(DENIALS[permission])
    return asking


#: A way to see a record: the permission, the column that must name the person (None: any record), and why.
Way = tuple[str, str | None, str]
WAYS: dict[str, tuple[Way, ...]] = {
    "opportunity": (
        ("opportunity.see_all", None, "sees all opportunities"),
        ("opportunity.see_own", "owner_id", "is its sales engineer"),
        ("opportunity.see_named", "application_engineer_id", "is named as its application engineer"),
    ),
    "lead": (("lead.see_all", None, "sees all leads"), ("lead.see_own", "owner_id", "is its owner")),
}


def visible_to(asking: Asker, record: FromClause = opportunity) -> ColumnElement[bool]:
    """This function will give the clause of the opportunities (or of an alias) a person may see. Source: seed, the list."""
    return _seen(asking, WAYS["opportunity"], record)


def others_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the opportunities a person may see that are not their own."""
    ways = [way for way in WAYS["opportunity"] if way[1] != "owner_id"]
    return and_(opportunity.c.owner_id != asking.id, _seen(asking, ways, opportunity))


def leads_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the leads a person may see."""
    return _seen(asking, WAYS["lead"], lead)


def _seen(asking: Asker, ways: Iterable[Way], record: FromClause) -> ColumnElement[bool]:
    if isinstance(asking, Person) and any(column is None and asking.may(permission) for permission, column, _ in ways):
        return true()
    return or_(
        *(
            and_(asking.can(permission), record.c[column] == asking.id) if column else asking.can(permission)
            for permission, column, _why in ways
        )
    )


def explain(conn: Connection, actor: Actor, kind: str, record_id: int) -> list[tuple[str, str, str]]:
    """This function will tell who can see an opportunity or a lead: (name, role, why), for those who read the audit.

    `kind` is one of WAYS. Raises NotAllowed; NotFound for a record that the actor may not see.
    """
    asking = require(conn, actor, "audit.read")
    table = {"opportunity": opportunity, "lead": lead}[kind]
    wanted = select(table).where(table.c.id == records.key(record_id, kind), _seen(asking, WAYS[kind], table))
    row = records.one(conn, wanted, kind)._mapping
    told = []
    for user in conn.execute(select(app_user).where(app_user.c.active).order_by(app_user.c.name, app_user.c.id)):
        why = next(
            (
                why
                for permission, column, why in WAYS[kind]
                if permission in GRANTS.get(user.role, ()) and (column is None or row[column] == user.id)
            ),
            None,
        )
        if why:
            told.append((user.name, ROLE_LABELS[user.role], why))
    return told


def offers_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the offers a person may see.

    A linked offer with its opportunity; one without, with any opportunity of its customer.
    """
    near = opportunity.alias("near")
    return or_(
        asking.can("opportunity.see_all"),
        exists().where(near.c.offer_id == offer.c.id, visible_to(asking, near)),
        and_(
            ~sql.linked(offer.c.id),
            exists().where(near.c.customer_id == offer.c.customer_id, visible_to(asking, near)),
        ),
    )


def targets_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the targets a person may see: all with all opportunities, else their own."""
    own = and_(target.c.kind == "owner", target.c.about == cast(asking.id, Text), asking.can("opportunity.see_own"))
    return or_(asking.can("opportunity.see_all"), own)


def tallies_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the tallies a person may see: all with all opportunities, else their own."""
    own = and_(tally.c.owner_id == asking.id, asking.can("opportunity.see_own"))
    return or_(asking.can("opportunity.see_all"), own)


def views_visible_to(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the saved views a person may see: their own, and the team's."""
    return or_(saved_view.c.owner_id == asking.id, saved_view.c.shared)


def views_changeable_by(asking: Asker) -> ColumnElement[bool]:
    """This function will give the clause of the saved views a person may write: their own, shared only if they may."""
    return and_(saved_view.c.owner_id == asking.id, or_(not_(saved_view.c.shared), asking.can("view.share")))


def changeable_by(asking: Asker, record: Table = opportunity) -> ColumnElement[bool]:
    """This function will give the clause of the opportunities or leads a person may change; `may_change` for all."""
    own = and_(asking.can(f"{record.name}.change_own"), record.c.owner_id == asking.id)
    return or_(asking.can(f"{record.name}.change_all"), own)


def may_change(asking: Person, owner_id: int, entity: str = "opportunity") -> bool:
    """This function will tell whether a person may change a record they see, by its owner."""
    return asking.may(f"{entity}.change_all") or (asking.may(f"{entity}.change_own") and owner_id == asking.id)


def require_change(asking: Person, owner_id: int, entity: str = "opportunity") -> None:
    """This function will raise NotAllowed unless the person may change a record they see."""
    if not may_change(asking, owner_id, entity):
        raise NotAllowed(DENIALS[f"{entity}.change"])
