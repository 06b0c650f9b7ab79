"""Offers: a small register. An offer belongs to one customer and is linked to at most one opportunity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from crm_core import audit, clock, fields, records, sql
from crm_core.access import DENIALS, Actor, Person, offers_visible_to, person, require, visible_to
from crm_core.commands import command, guarded
from crm_core.errors import NotAllowed, Problems
from crm_core.fields import Field
from crm_core.schema import OFFER_STATUSES, Record, customer, offer, opportunity

FIELDS = {
    "number": Field("Offer number", fields.text(60), required=True),
    "customer_id": Field("Customer", fields.chosen, required=True),
    "amount": Field("Amount", fields.amount, required=True),
    "offered_on": Field("Date", fields.day),
    "status": Field("Status", fields.one_of(OFFER_STATUSES)),
    "document_url": Field("Document link", fields.link),
}
EDITABLE = {name: field for name, field in FIELDS.items() if name != "customer_id"}


@command
def create(conn: Connection, actor: Actor, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will add an offer to the register and return its id.

    The date defaults to today in India, the status to draft. Someone who sees only their own
    opportunities can add one for a customer of those. Raises NotAllowed, Invalid.
    """
    asking = require(conn, actor, "offer.create")
    problems = Problems()
    read = fields.read(FIELDS, values, problems)
    _check_customer(conn, asking, read["customer_id"], problems)
    _check_number(conn, read["number"], problems)
    problems.stop()
    read["offered_on"] = read["offered_on"] or clock.today(conn)
    read["status"] = read["status"] or next(iter(OFFER_STATUSES))
    made = conn.execute(
        insert(offer).values(created_at=clock.now(conn), created_by_id=asking.id, **read).returning(offer.c.id)
    )
    offer_id = int(made.scalar_one())
    audit.write(conn, actor, asking, "create", "offer", offer_id, 1, {}, read)
    return offer_id


@command
def edit(conn: Connection, actor: Actor, offer_id: int, changes: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will change some fields of an offer; the customer stays."""
    asking = require(conn, actor, "offer.create")
    old = get(conn, actor, offer_id)
    if not _may_change(conn, asking, old):
        raise NotAllowed(DENIALS["opportunity.change"])
    problems = Problems()
    read = fields.read(EDITABLE, changes, problems, partial=True)
    for name in ("offered_on", "status"):
        if name in read and read[name] is None:
            problems.add(name, f"{FIELDS[name].label} is missing; please fill it in.")
    if read.get("number") not in (None, old.number):
        _check_number(conn, read["number"], problems)
    problems.stop()
    version = guarded(conn, offer, old, seen, read)
    audit.write(conn, actor, asking, "edit", "offer", old.id, version, *audit.changed(old._mapping, read))
    return int(old.id)


def get(conn: Connection, actor: Actor, offer_id: int) -> Record:
    """This function will read one offer, with `customer` (company) and `opportunity_id`. Raises NotFound."""
    query = _select().where(offer.c.id == records.key(offer_id, "offer"), offers_visible_to(person(conn, actor)))
    return records.one(conn, query, "offer")


def history(conn: Connection, actor: Actor, offer_id: int) -> list[audit.Entry]:
    """This function will tell an offer's timeline, newest first."""
    return audit.timeline(conn, "offer", get(conn, actor, offer_id).id)


def editable(conn: Connection, actor: Actor, row: Record) -> bool:
    """This function will tell whether the actor may edit the offer."""
    asking = person(conn, actor)
    return asking.may("offer.create") and _may_change(conn, asking, row)


def of_customer(conn: Connection, actor: Actor, customer_id: int) -> list[Record]:
    """This function will read the offers of a customer that the actor may see, newest first."""
    asking = person(conn, actor)
    query = _select().where(offer.c.customer_id == customer_id, offers_visible_to(asking))
    return list(conn.execute(query.order_by(offer.c.offered_on.desc(), offer.c.id.desc()).limit(200)))


def linkable(conn: Connection, actor: Actor, customer_id: int) -> dict[int, str]:
    """This function will map the offers of a customer that are linked to nothing yet to their numbers."""
    return {row.id: row.number for row in of_customer(conn, actor, customer_id) if row.opportunity_id is None}


def check_link(
    conn: Connection, asking: Person, offer_id: int | None, customer_id: int, opportunity_id: int, problems: Problems
) -> None:
    """This function will add a problem unless the offer is seen, of the same customer and free."""
    if offer_id is None:
        return
    row = conn.execute(_select().where(offer.c.id == offer_id, offers_visible_to(asking))).one_or_none()
    if row is None or row.customer_id != customer_id:
        problems.add("offer_id", "Linked offer: choose an offer of the same customer.")
    elif row.opportunity_id not in (None, opportunity_id):
        problems.add("offer_id", "Linked offer: this offer is linked to another opportunity already.")


def _select() -> Any:
    return (
        select(offer, customer.c.company.label("customer"), opportunity.c.id.label("opportunity_id"))
        .join(customer, customer.c.id == offer.c.customer_id)
        .outerjoin(opportunity, opportunity.c.offer_id == offer.c.id)
    )


def _check_customer(conn: Connection, asking: Person, customer_id: int | None, problems: Problems) -> None:
    if customer_id is None:
        return
    if not conn.scalar(select(customer.c.id).where(customer.c.id == customer_id, customer.c.active)):
        problems.add("customer_id", "Customer: choose an active customer from the master.")
        return
    seen = select(opportunity.c.id).where(opportunity.c.customer_id == customer_id, visible_to(asking)).limit(1)
    if not asking.may("opportunity.change_all") and not conn.scalar(seen):
        problems.add("customer_id", "Customer: choose a customer of one of your opportunities.")


def _check_number(conn: Connection, number: str | None, problems: Problems) -> None:
    if number and conn.scalar(select(sql.numbered(number))):
        problems.add("number", "Offer number: this number is in the register already; choose another.")


def _may_change(conn: Connection, asking: Person, old: Record) -> bool:
    if asking.may("opportunity.change_all"):
        return True
    own = select(opportunity.c.id).where(
        opportunity.c.customer_id == old.customer_id, opportunity.c.owner_id == asking.id
    )
    if old.opportunity_id is not None:
        own = own.where(opportunity.c.id == old.opportunity_id)
    return conn.scalar(own.limit(1)) is not None
