"""Leads: taken in, contacted, qualified, disqualified, converted. Source: seed, “Converting a lead”."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, func, insert, or_, select

from crm_core import (
    audit,
    clock,
    customers,
    fields,
    frames,
    lifecycle,
    opportunities,
    records,
    settings,
    slices,
    sql,
    trigrams,
    walks,
)
from crm_core.access import (
    DENIALS,
    OWNING_ROLES,
    Actor,
    Person,
    leads_visible_to,
    may_change,
    person,
    require,
    require_change,
)
from crm_core.commands import check_seen, command, guarded
from crm_core.errors import Conflict, Invalid, NotAllowed, Problems, Sentence
from crm_core.fields import Field
from crm_core.records import Once
from crm_core.schema import PRODUCTS, Record, app_user, customer, lead, lead_source, region
from crm_core.slices import LeadSlice

FIELDS = {
    "contact": Field("Contact", fields.text(120), required=True),
    "company": Field("Company", fields.text(160), required=True),
    "phone": Field("Phone", fields.phone),
    "email": Field("E-mail", fields.email),
    "source": Field("Source", fields.code, required=True),
    "region": Field("Region", fields.code),
    "state": Field("State", fields.text(60)),
    "city": Field("City", fields.text(60)),
    "product": Field("Product interest", fields.one_of(PRODUCTS, "choose Pump or Valve.")),
    "owner_id": Field("Owner", fields.chosen, required=True),
    "notes": Field("Notes", fields.text(4000, lines=True)),
}
#: What the list may be sorted by: the name of the fact. Each has an index led by the status.
SORTS = {"created": "created_at", "changed": "changed_at", "company": "search", "status": "status"}
DEFAULT_SORT = "-created"
_LISTED = (
    select(
        *(lead.c[name] for name in ("id", "contact", "company", "phone", "email")),
        lead_source.c.label.label("source"),
        region.c.label.label("region"),
        app_user.c.name.label("owner"),
        lead.c.status,
        lead.c.created_at,
        lead.c.changed_at,
    )
    .join(app_user, app_user.c.id == lead.c.owner_id)
    .join(lead_source, lead_source.c.code == lead.c.source)
    .outerjoin(region, region.c.code == lead.c.region)
    .where(sql.among(lead.c.id, "ids"))
)
_COLUMNS = pd.Index(_LISTED.selected_columns.keys())


@command
def create(conn: Connection, actor: Actor, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will take in a lead, New, owned by the creator unless a manager chooses, and return its id."""
    asking = require(conn, actor, "lead.create")
    problems = Problems()
    given = dict(values)
    if fields.absent(given.get("owner_id")):
        given["owner_id"] = asking.id
    read = fields.read(FIELDS, given, problems)
    _check(conn, asking, asking.id, read, problems)
    problems.stop()
    now = clock.now(conn)
    row = _keyed(read) | {"status": lifecycle.LEAD_STAGES[0].code, "created_by_id": asking.id}
    made = conn.execute(insert(lead).values(created_at=now, changed_at=now, **row).returning(lead.c.id))
    lead_id = int(made.scalar_one())
    audit.write(conn, actor, asking, "create", "lead", lead_id, 1, {}, read)
    return lead_id


@command
def edit(conn: Connection, actor: Actor, lead_id: int, changes: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will change some fields of a lead that is neither converted nor disqualified."""
    asking = person(conn, actor)
    old = _row(conn, asking, lead_id)
    require_change(asking, old.owner_id, "lead")
    check_seen(conn, "lead", old, seen)
    if lifecycle.LEAD_STAGE[old.status].closed:
        raise Invalid(f"A lead that is {lifecycle.LEAD_STAGE[old.status].label} is read-only.")
    problems = Problems()
    read = fields.read(FIELDS, changes, problems, partial=True)
    before, after = audit.changed(old._mapping, read)
    _check(conn, asking, old.owner_id, after, problems)
    problems.stop()
    if after:
        row = _keyed({name: old._mapping[name] for name in FIELDS} | read)
        version = guarded(conn, lead, old, seen, row)
        audit.write(conn, actor, asking, "edit", "lead", old.id, version, before, after)
    return int(old.id)


@command
def contact(conn: Connection, actor: Actor, lead_id: int, *, seen: int | None = None) -> int:
    """This function will mark a New lead as Contacted."""
    return _move(conn, actor, lead_id, "contact", {}, seen)


@command
def qualify(conn: Connection, actor: Actor, lead_id: int, *, seen: int | None = None) -> int:
    """This function will mark a New or Contacted lead as Qualified."""
    return _move(conn, actor, lead_id, "qualify", {}, seen)


@command
def disqualify(
    conn: Connection, actor: Actor, lead_id: int, values: Mapping[str, Any], *, seen: int | None = None
) -> int:
    """This function will end a lead with a reason (a code of the configured list) and an optional note.

    Where a customer has the lead's e-mail, the lead keeps it as `duplicate_of_customer_id`.
    """
    return _move(conn, actor, lead_id, "disqualify", values, seen)


@command
def convert(
    conn: Connection,
    actor: Actor,
    lead_id: int,
    opportunity: Mapping[str, Any] | None = None,
    *,
    seen: int | None = None,
) -> int:
    """This function will make a customer of a Qualified lead, and its first opportunity if one is given.

    `opportunity` holds fields of `opportunities.FIELDS` but the customer; region, state, city and
    product default from the lead. Returns the customer's id. Raises NotAllowed, NotFound, Invalid,
    and Conflict, about the customer, when one has the same e-mail or the lead was converted already.
    """
    asking = require(conn, actor, "customer.create")
    old = _row(conn, asking, lead_id)
    require_change(asking, old.owner_id, "lead")
    if old.converted_customer_id is not None:
        raise Conflict("This lead was converted already.", about=("customer", old.converted_customer_id))
    _legal(asking, old, "convert")
    check_seen(conn, "lead", old, seen)
    carried = {name: old._mapping[name] for name in customers.FIELDS if name in FIELDS} | {"gstin": None}
    customer_id = customers.insert_one(conn, actor, asking, carried, source_lead_id=old.id)
    after = {
        "status": lifecycle.CONVERTED,
        "converted_customer_id": customer_id,
    }
    version = guarded(conn, lead, old, seen, after)
    audit.write(conn, actor, asking, "convert", "lead", old.id, version, {"status": old.status}, after)
    if opportunity is not None:
        if not asking.may("opportunity.create"):
            raise NotAllowed(DENIALS["opportunity.create"])
        context = {name: old._mapping[name] for name in ("region", "state", "city", "product")}
        given = {name: value for name, value in opportunity.items() if not fields.absent(value)}
        if "customer_id" in given:
            raise Invalid(Sentence("Customer: it is the one made from this lead; leave it out.", "customer_id"))
        values = context | given | {"customer_id": customer_id}
        opportunities.insert_one(conn, actor, asking, values, source_lead_id=old.id)
    return customer_id


def get(conn: Connection, actor: Actor, lead_id: int) -> Record:
    """This function will read one lead of the actor's scope, or raise NotFound.

    Beside the columns: owner, source_label, region_label, customer (the one it became),
    same_email_customer_id: the customer that blocks its conversion, if any.
    """
    asking = person(conn, actor)
    twin = customer.alias("twin")
    query = (
        select(
            *(c for c in lead.c if c.key != "duplicate_of_customer_id"),
            func.coalesce(lead.c.duplicate_of_customer_id, twin.c.id).label("duplicate_of_customer_id"),
            twin.c.company.label("duplicate_of"),
            app_user.c.name.label("owner"),
            lead_source.c.label.label("source_label"),
            region.c.label.label("region_label"),
            customer.c.company.label("customer"),
        )
        .join(app_user, app_user.c.id == lead.c.owner_id)
        .join(lead_source, lead_source.c.code == lead.c.source)
        .outerjoin(region, region.c.code == lead.c.region)
        .outerjoin(customer, customer.c.id == lead.c.converted_customer_id)
        .outerjoin(twin, (twin.c.email_key == lead.c.email_key) & lead.c.converted_customer_id.is_(None))
        .where(lead.c.id == records.key(lead_id, "lead"), leads_visible_to(asking))
    )
    return records.one(conn, query, "lead")


def history(conn: Connection, actor: Actor, lead_id: int) -> list[audit.Entry]:
    """This function will tell a lead's timeline, newest first."""
    return audit.timeline(conn, "lead", _row(conn, person(conn, actor), lead_id).id)


def moves(conn: Connection, actor: Actor, row: Record) -> list[lifecycle.Transition]:
    """This function will list the moves that the lead's state and the actor's role and ownership allow."""
    asking = person(conn, actor)
    if not may_change(asking, row.owner_id, "lead"):
        return []
    return lifecycle.offered(row.status, asking.permissions, lifecycle.LEAD_TRANSITIONS)


def duplicates(
    conn: Connection, actor: Actor, values: Mapping[str, Any], but: int | None = None
) -> list[tuple[str, int, str]]:
    """This function will find customers, and leads the actor may see, that may be the same.

    Returns (kind, id, label with why) for equal e-mail or phone, and customers of a similar name.
    """
    asking = person(conn, actor)
    email, phone, company = (str(values.get(name) or "") for name in ("email", "phone", "company"))
    found = [("customer", i, label) for i, label in customers.similar(conn, email, phone, company).items()]
    same: list[ColumnElement[bool]] = []
    with suppress(ValueError):
        same.append(lead.c.email_key == fields.email_key(email))
    if key := fields.phone_key(phone):
        same.append(lead.c.phone_key == key)
    if same:
        query = select(lead).where(or_(*same), leads_visible_to(asking), lead.c.id != (but or 0)).limit(5)
        found += [("lead", r.id, f"{r.contact}, {r.company} ({_stage(r)} lead)") for r in conn.execute(query)]
    return found


def listing(
    conn: Connection,
    actor: Actor,
    slice_: LeadSlice,
    sort: str = DEFAULT_SORT,
    page: int = 1,
    per_page: int = 25,
    after: str = "",
) -> tuple[pd.DataFrame, walks.Page]:
    """This function will read a page of a slice of the actor's leads, and say which it is and how many match in all.

    `sort` is one of SORTS, with “-” for descending; anything else sorts newest first. `page` and `after`
    choose the page as `Order.turn` says.
    Frame: id, contact, company, phone, email, source, region (labels), owner, status, created_at,
    changed_at (UTC).
    """
    asking, slice_ = person(conn, actor), slices.weighed(conn, slice_)
    where = [leads_visible_to(asking), *slice_.conditions()]
    count = conn.scalar(select(func.count()).select_from(lead).where(*where)) or 0
    order = walks.Order.of(lead, sort, SORTS, DEFAULT_SORT, lead)
    parts, sparse = _parts(conn, asking, slice_, count, per_page)
    ids, turned = order.turn(conn, parts, count, page, per_page, after, sparse)
    found = {row.id: tuple(row) for row in conn.execute(_LISTED, {"ids": ids})}
    return frames.framed([found[i] for i in ids if i in found], _COLUMNS), turned


def choices(conn: Connection, actor: Actor, name: str) -> dict[str, str]:
    """This function will map the values of a dimension that the actor may pick to their labels."""
    asking = person(conn, actor)
    if name == "status":
        return {stage.code: stage.label for stage in lifecycle.LEAD_STAGES}
    if name != "owner":
        return settings.labels(conn, {"source": "lead_source"}.get(name, name))
    owning = app_user.c.id.in_(select(lead.c.owner_id).where(leads_visible_to(asking)))
    return {str(i): name for i, name in records.people(conn, owning).items()}


def names(conn: Connection, actor: Actor, slice_: LeadSlice) -> dict[str, dict[str, str]]:
    """This function will map the values in a slice, those that are known, to their labels, by dimension."""
    return slices.named(slice_, lambda name: choices(conn, actor, name))


def _move(conn: Connection, actor: Actor, lead_id: int, name: str, raw: Mapping[str, Any], seen: int | None) -> int:
    asking = person(conn, actor)
    old = _row(conn, asking, lead_id)
    require_change(asking, old.owner_id, "lead")
    check_seen(conn, "lead", old, seen)
    made = _legal(asking, old, name)
    problems = Problems()
    asked = {"reason": fields.code, "note": fields.text(1000, lines=True)}
    read = fields.read({a.field: Field(a.label, asked[a.field], a.required) for a in made.asks}, raw, problems)
    settings.check(Once(conn), ((a.list, a.field, a.label, read[a.field]) for a in made.asks if a.list), problems)
    problems.stop()
    if "reason" in read and (twin := customers.same_email(conn, old.email_key)):
        read["duplicate_of_customer_id"] = twin.id
    after = {"status": made.target} | {k: v for k, v in read.items() if v is not None}
    version = guarded(conn, lead, old, seen, after)
    audit.write(conn, actor, asking, name, "lead", old.id, version, {"status": old.status}, after)
    return int(old.id)


def _legal(asking: Person, old: Record, name: str) -> lifecycle.Transition:
    made = lifecycle.named(name, lifecycle.LEAD_TRANSITIONS)
    assert made is not None
    if not asking.may(made.permission):
        raise NotAllowed(DENIALS[made.permission])
    if old.status not in made.sources:
        sources = " or ".join(lifecycle.LEAD_STAGE[s].label for s in made.sources)
        raise Invalid(f"“{made.label}” is only possible while a lead is {sources}; this one is {_stage(old)}.")
    return made


def _stage(row: Record) -> str:
    return lifecycle.LEAD_STAGE[row.status].label


def _check(conn: Connection, asking: Person, present: int, read: Mapping[str, Any], problems: Problems) -> None:
    owner_id = read.get("owner_id")
    if owner_id not in (None, present) and not asking.may("opportunity.reassign"):
        raise NotAllowed(DENIALS["opportunity.reassign"])
    owning = select(app_user.c.id).where(app_user.c.active, app_user.c.role.in_(sorted(OWNING_ROLES)))
    if owner_id is not None and not conn.scalar(owning.where(app_user.c.id == owner_id)):
        problems.add("owner_id", "Owner: choose an active user who may own leads.")
    lists = {"source": "lead_source", "region": "region"}
    listed = ((of, name, FIELDS[name].label, read.get(name)) for name, of in lists.items())
    settings.check(Once(conn), listed, problems)


def _parts(
    conn: Connection, asking: Person, slice_: LeadSlice, count: int, per_page: int
) -> tuple[list[walks.Clauses], bool]:
    """The parts along which the list is read: a state each, as the indexes are; or all, and that they are few."""
    slice_ = replace(slice_, scanned=True) if count > trigrams.ORDERED else slice_
    chosen = slice_.parsed("status") if slice_.status else lifecycle.LEAD_STAGE
    states = [state for state in lifecycle.LEAD_STAGE if state in chosen]
    if not states or slice_.scanned is False or walks.sparse(conn, count, len(states), per_page, lead):
        others = map(trigrams.aside, [leads_visible_to(asking), *slice_.but(q=None).conditions()])
        return [[*others, *LeadSlice(q=slice_.q, scanned=slice_.scanned).conditions()]], True
    where = [leads_visible_to(asking), *slice_.but(status=None).conditions()]
    return [[lead.c.status == state, *where] for state in states], False


def _keyed(values: dict[str, Any]) -> dict[str, Any]:
    return values | {
        "email_key": fields.email_key(values["email"]) if values.get("email") else None,
        "phone_key": fields.phone_key(values.get("phone")),
        "search": fields.search_key(values["company"], values["contact"], values.get("email"), values.get("phone")),
    }


def _row(conn: Connection, asking: Person, lead_id: Any) -> Record:
    query = select(lead).where(lead.c.id == records.key(lead_id, "lead"), leads_visible_to(asking))
    return records.one(conn, query, "lead")
