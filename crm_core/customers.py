"""Customers: the master that opportunities and offers refer to. Readable by every active user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from crm_core import audit, clock, fields, records, sql, trigrams, walks
from crm_core.access import Actor, Person, person, require
from crm_core.commands import command, guarded
from crm_core.errors import Conflict, Invalid, Problems
from crm_core.fields import Field
from crm_core.schema import Record, customer, offer, opportunity

FIELDS = {
    "company": Field("Company", fields.text(160), required=True),
    "contact": Field("Contact", fields.text(120)),
    "phone": Field("Phone", fields.phone),
    "email": Field("E-mail", fields.email),
    "gstin": Field("GSTIN", fields.gstin),
    "state": Field("State", fields.text(60)),
    "city": Field("City", fields.text(60)),
    "notes": Field("Notes", fields.text(4000, lines=True)),
}
_BY_NAME = walks.Order("name", customer.c.name_key, customer.c.id)
#: How many customers are offered at once; of more, those that a text finds.
MOST = 2000
_LISTED = select(customer).where(sql.among(customer.c.id, "ids"))
_LEGAL_FORM = re.compile(r"\b(?:private|pvt|limited|ltd|llp|inc|co|company|corporation|corp|m/s)\b\.?|[^\w ]")


def get(conn: Connection, actor: Actor, customer_id: int) -> Record:
    """This function will read one customer, with `merged_into` (company) beside the columns. Raises NotFound."""
    person(conn, actor)
    other = customer.alias()
    query = select(customer, other.c.company.label("merged_into")).outerjoin(
        other, other.c.id == customer.c.merged_into_id
    )
    return records.one(conn, query.where(customer.c.id == records.key(customer_id, "customer")), "customer")


def choices(conn: Connection, actor: Actor, q: str = "", also: Sequence[int] = ()) -> dict[int, str]:
    """This function will map active customers that match a text to “Company, City”, by name, at most MOST.

    And those with an id in `also`, if active. Where two would read alike, each has its number behind it.
    """
    person(conn, actor)
    query = select(customer.c.id, customer.c.company, customer.c.city).where(customer.c.active)
    rows = list(conn.execute(query.where(*_found(q)).order_by(customer.c.name_key, customer.c.id).limit(MOST)))
    known = {row.id for row in rows}
    if missing := [i for i in also if i not in known and 0 < i < 2**63]:
        rows += conn.execute(query.where(customer.c.id.in_(missing)).order_by(customer.c.name_key, customer.c.id))
    named = {row.id: row.company + (f", {row.city}" if row.city else "") for row in rows}
    return records.told_apart(named)


def listing(
    conn: Connection, actor: Actor, q: str = "", page: int = 1, per_page: int = 25, after: str = ""
) -> tuple[list[Record], walks.Page]:
    """This function will read a page of customers that match a text, by name, and say which it is and how many match.

    `page` and `after` choose the page as `Order.turn` says.
    """
    person(conn, actor)
    where = _found(q)
    count = conn.scalar(select(func.count()).select_from(customer).where(*where)) or 0
    ids, turned = _BY_NAME.turn(conn, [where], count, page, per_page, after, sparse=bool(where))
    found = {row.id: row for row in conn.execute(_LISTED, {"ids": ids})}
    return [found[i] for i in ids if i in found], turned


@command
def create(conn: Connection, actor: Actor, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will add a customer to the master and return its id.

    Raises NotAllowed without the permission, Invalid for wrong input, Conflict (naming the
    customer) when one has the same e-mail.
    """
    asking = require(conn, actor, "customer.create")
    problems = Problems()
    read = fields.read(FIELDS, values, problems)
    problems.stop()
    return insert_one(conn, actor, asking, read)


def insert_one(
    conn: Connection, actor: Actor, asking: Person, values: dict[str, Any], source_lead_id: int | None = None
) -> int:
    """This function will insert a customer whose values were read and checked; used by `leads.convert` too."""
    row = _keyed(values)
    refuse_same_email(conn, row["email_key"])
    made = conn.execute(
        insert(customer)
        .values(source_lead_id=source_lead_id, created_at=clock.now(conn), created_by_id=asking.id, **row)
        .returning(customer.c.id)
    )
    customer_id = int(made.scalar_one())
    after = {k: v for k, v in values.items() if v is not None} | {"source_lead_id": source_lead_id}
    audit.write(conn, actor, asking, "create", "customer", customer_id, 1, {}, after)
    return customer_id


@command
def edit(
    conn: Connection, actor: Actor, customer_id: int, changes: Mapping[str, Any], *, seen: int | None = None
) -> int:
    """This function will change some fields of a customer; a colliding e-mail is refused as in `create`."""
    asking = require(conn, actor, "customer.change")
    old = _row(conn, customer_id)
    problems = Problems()
    read = fields.read(FIELDS, changes, problems, partial=True)
    problems.stop()
    row = _keyed({name: old._mapping[name] for name in FIELDS} | read)
    if row["email_key"] != old.email_key:
        refuse_same_email(conn, row["email_key"])
    version = guarded(conn, customer, old, seen, row)
    audit.write(conn, actor, asking, "edit", "customer", customer_id, version, *audit.changed(old._mapping, row))
    return customer_id


@command
def deactivate(conn: Connection, actor: Actor, customer_id: int, *, seen: int | None = None) -> int:
    """This function will stop a customer from being chosen for new opportunities; its records stay."""
    return _activate(conn, actor, customer_id, False, seen)


@command
def reactivate(conn: Connection, actor: Actor, customer_id: int, *, seen: int | None = None) -> int:
    """This function will let a deactivated customer be chosen again. Raises Invalid for a merged one."""
    require(conn, actor, "customer.retire")
    if _row(conn, customer_id).merged_into_id is not None:
        raise Invalid("This customer was merged into another; use that one.")
    return _activate(conn, actor, customer_id, True, seen)


@command
def merge(conn: Connection, actor: Actor, duplicate_id: int, into_id: int, *, seen: int | None = None) -> int:
    """This function will move every opportunity and offer of a duplicate to another customer and return that id.

    The duplicate stays, inactive, with a trace to where it went.
    """
    asking = require(conn, actor, "customer.retire")
    old, target = _row(conn, duplicate_id), _row(conn, into_id)
    if old.id == target.id or old.merged_into_id is not None or not target.active:
        raise Invalid("Merge into: choose another, active customer that is not merged itself.")
    version = guarded(conn, customer, old, seen, {"active": False, "merged_into_id": target.id})
    before, after = {"customer_id": old.id}, {"customer_id": target.id}
    for table in (offer, opportunity):
        moved = conn.execute(
            update(table)
            .where(table.c.customer_id == old.id)
            .values(customer_id=target.id, version=table.c.version + 1, **clock.stamp(conn, table))
            .returning(table.c.id, table.c.version)
        )
        for row in moved.all():
            audit.write(conn, actor, asking, "merge", table.name, row.id, row.version, before, after)
    before, after = {"active": old.active, "merged_into_id": None}, {"active": False, "merged_into_id": target.id}
    audit.write(conn, actor, asking, "merge", "customer", old.id, version, before, after)
    return int(target.id)


def same_email(conn: Connection, key: str | None) -> Record | None:
    """This function will find the customer that has an e-mail key, active or not."""
    return conn.execute(select(customer).where(customer.c.email_key == key)).one_or_none() if key else None


def refuse_same_email(conn: Connection, key: str | None) -> None:
    """This function will raise Conflict, naming the customer, when one has the e-mail. Source: seed, converting."""
    found = same_email(conn, key)
    if found is None:
        return
    state = "" if found.active else ", which was merged" if found.merged_into_id else ", which is inactive"
    raise Conflict(
        f"The customer “{found.company}” has this e-mail already{state}. Add an opportunity there instead.",
        about=("customer", found.merged_into_id or found.id),
    )


def likely(conn: Connection, actor: Actor, values: Mapping[str, Any]) -> dict[int, str]:
    """This function will map customers that may be the one being entered to their name and why."""
    person(conn, actor)
    return similar(conn, *(str(values.get(name) or "") for name in ("email", "phone", "company")))


def similar(conn: Connection, email: str | None, phone: str | None, company: str | None) -> dict[int, str]:
    """This function will map customers that may be the same to why: same e-mail or phone, much the same name.

    A plus tag or dots make another address, so they only warn here.
    """
    found: dict[int, str] = {}
    for row in _nearby(conn, customer.c.email_key, _mailbox_pattern(email)):
        if _mailbox(row.email_key) == _mailbox(email):
            why = "same e-mail" if row.email_key == fields.email_key(email) else "much the same e-mail"
            found.setdefault(row.id, f"{row.company} ({why})")
    if key := fields.phone_key(phone):
        for row in conn.execute(select(customer).where(customer.c.phone_key == key)):
            found.setdefault(row.id, f"{row.company} (same phone)")
    name = _name_key(company or "")
    for row in _nearby(conn, customer.c.name_key, name[:3] + "%" if len(name) > 2 else None):
        if difflib.SequenceMatcher(None, row.name_key, name).ratio() > 0.88:
            found.setdefault(row.id, f"{row.company} (similar name)")
    return found


def _nearby(conn: Connection, column: Any, pattern: str | None) -> list[Record]:
    if pattern is None:
        return []
    literal = pattern.replace("\\", "\\\\").replace("_", "\\_")
    return list(conn.execute(select(customer).where(column.like(literal, escape="\\")).limit(2000)))


def _mailbox(email: str | None) -> str:
    local, _, domain = fields.email_key(email).partition("@")
    return local.partition("+")[0].replace(".", "") + "@" + domain


def _mailbox_pattern(email: str | None) -> str | None:
    try:
        key = fields.email_key(email)
    except ValueError:
        return None
    return f"{key[0]}%@{key.partition('@')[2]}"


def _activate(conn: Connection, actor: Actor, customer_id: int, active: bool, seen: int | None) -> int:
    asking = require(conn, actor, "customer.retire")
    old = _row(conn, customer_id)
    version = guarded(conn, customer, old, seen, {"active": active})
    action = "reactivate" if active else "deactivate"
    audit.write(
        conn, actor, asking, action, "customer", customer_id, version, {"active": old.active}, {"active": active}
    )
    return customer_id


def _keyed(values: dict[str, Any]) -> dict[str, Any]:
    return values | {
        "email_key": fields.email_key(values["email"]) if values.get("email") else None,
        "phone_key": fields.phone_key(values.get("phone")),
        "name_key": _name_key(values["company"]),
        "search": fields.search_key(values["company"], values.get("contact"), values.get("email"), values.get("phone")),
    }


def _name_key(company: str) -> str:
    return " ".join(_LEGAL_FORM.sub(" ", fields.search_key(company)).split())


def _found(q: str) -> list[Any]:
    key = fields.search_key(q[:200])
    return [trigrams.holds(customer, key)] if key else []


def _row(conn: Connection, customer_id: int) -> Record:
    return records.one(conn, select(customer).where(customer.c.id == records.key(customer_id, "customer")), "customer")
