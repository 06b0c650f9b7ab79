"""Opportunities: created, edited, moved through the lifecycle, reassigned, linked to their offer."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, exists, insert, select

from crm_core import audit, clock, fields, lifecycle, offers, records, settings, sql
from crm_core.access import (
    DENIALS,
    NAMED_ROLES,
    OWNING_ROLES,
    Actor,
    Person,
    person,
    require,
    require_change,
    visible_to,
)
from crm_core.commands import check_seen, command, guarded
from crm_core.errors import Invalid, NotAllowed, Problems
from crm_core.fields import Field
from crm_core.records import Once
from crm_core.schema import (
    PRODUCTS,
    Record,
    app_user,
    business_unit,
    customer,
    offer,
    opportunity,
    region,
    transition,
)

FIELDS = {
    "customer_id": Field("Customer", fields.chosen, required=True),
    "title": Field("Title", fields.text(200)),
    "region": Field("Region", fields.code, required=True),
    "state": Field("State", fields.text(60)),
    "city": Field("City", fields.text(60)),
    "business_unit": Field("Business unit", fields.code, required=True),
    "product": Field("Product interest", fields.one_of(PRODUCTS, "choose Pump or Valve."), required=True),
    "value": Field("Potential value", fields.amount, required=True),
    "owner_id": Field("Sales engineer", fields.chosen, required=True),
    "application_engineer_id": Field("Application engineer", fields.chosen),
    "expected_close_on": Field("Expected close", fields.day),
    "next_step": Field("Next step", fields.text(300)),
    "next_step_on": Field("Next step on", fields.day),
}
EDITABLE = {name: field for name, field in FIELDS.items() if name != "customer_id"}
_ASKED = {
    "won_value": fields.amount,
    "reason": fields.code,
    "note": fields.text(1000, lines=True),
    "offer_id": fields.chosen,
}
_FORMS = {
    made.name: {ask.field: Field(ask.label, _ASKED[ask.field], ask.required) for ask in made.asks}
    for made in lifecycle.TRANSITIONS
}
# Built once: an import runs each of these for every row of its file.
_ADD = insert(opportunity).returning(opportunity.c.id)
_MOVE = insert(transition)
_HOME = select(customer.c.active, customer.c.state, customer.c.city).where(customer.c.id == bindparam("customer_id"))
_USER = select(app_user.c.active, app_user.c.role, app_user.c.business_unit).where(
    app_user.c.id == bindparam("user_id")
)


@command
def create(
    conn: Connection,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    at: datetime | None = None,
    external_ref: str | None = None,
    seen: int | None = None,
) -> int:
    """This function will create an opportunity, Open, and return its id.

    `values` are those of FIELDS. State and city default from the customer, the owner to the
    creator, the business unit to the owner's. `at` (UTC) and `external_ref` are for imports.
    Raises NotAllowed, or Invalid with every problem. Source: seed, “Creating an opportunity”.
    """
    asking = require(conn, actor, "opportunity.create")
    _require_import(asking, at, external_ref)
    return insert_one(conn, actor, asking, values, at=at, external_ref=external_ref)


def insert_one(
    conn: Connection,
    actor: Actor,
    asking: Person,
    raw: Mapping[str, Any],
    *,
    at: datetime | None = None,
    external_ref: str | None = None,
    source_lead_id: int | None = None,
) -> int:
    """This function will check and insert one opportunity; used by `leads.convert` too."""
    row = begun(Once(conn), asking, raw, clock.now(conn), at)
    made = conn.execute(_ADD, row | {"source_lead_id": source_lead_id, "external_ref": external_ref})
    opportunity_id = int(made.scalar_one())
    audit.write(conn, actor, asking, "create", "opportunity", opportunity_id, 1, {}, first_facts(row), at)
    return opportunity_id


def begun(
    reads: Once, asking: Person, raw: Mapping[str, Any], now: datetime, at: datetime | None = None
) -> dict[str, Any]:
    """This function will check a new opportunity and give its row, Open. Raises NotAllowed, or Invalid with every problem."""
    problems = Problems()
    read = fields.read(FIELDS, _with_defaults(reads, asking, raw), problems)
    _require_owner_choice(asking, asking.id, read["owner_id"])
    _check_links(reads, asking, read, problems)
    when = at or now
    if when > now:
        problems.add("at", "Created: this day is in the future.")
    problems.stop()
    return {
        **read,
        "status": lifecycle.STAGES[0].code,
        "search": fields.search_key(read["title"]),
        "created_at": when,
        "recorded_at": now,
        "status_at": when,
        "created_by_id": asking.id,
    }


def first_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """This function will give what the record tells of a new opportunity."""
    return {name: row[name] for name in (*FIELDS, "status")}


@command
def edit(
    conn: Connection, actor: Actor, opportunity_id: int, changes: Mapping[str, Any], *, seen: int | None = None
) -> int:
    """This function will change some fields of an opportunity that is not closed, keeping before and after.

    Raises NotFound, NotAllowed, Conflict (with what changed since `seen`), Invalid.
    """
    asking = person(conn, actor)
    old = _row(conn, asking, opportunity_id)
    require_change(asking, old.owner_id)
    problems = Problems()
    read = fields.read(EDITABLE, changes, problems, partial=True)
    _require_owner_choice(asking, old.owner_id, read.get("owner_id", old.owner_id))
    check_seen(conn, "opportunity", old, seen)
    if lifecycle.STAGE[old.status].closed:
        raise Invalid("A closed opportunity is read-only; reopen it first.")
    before, after = audit.changed(old._mapping, read)
    _check_links(Once(conn), asking, after, problems)
    problems.stop()
    if after:
        stored = read | {"search": fields.search_key(read.get("title", old.title))}
        version = guarded(conn, opportunity, old, seen, stored)
        audit.write(conn, actor, asking, "edit", "opportunity", old.id, version, before, after)
    return int(old.id)


@command
def move(
    conn: Connection,
    actor: Actor,
    opportunity_id: int,
    name: str,
    values: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
    seen: int | None = None,
) -> int:
    """This function will make one transition of the lifecycle (`lifecycle.TRANSITIONS`), with what it asks.

    `values` holds won_value (rupees), reason (a code), note or offer_id as the transition asks.
    `at` (UTC) is for imports. Raises NotFound, NotAllowed, Conflict, Invalid (an illegal jump too).
    """
    asking = person(conn, actor)
    old = _row(conn, asking, opportunity_id)
    wanted = permitted(asking, old.owner_id, name)
    check_seen(conn, "opportunity", old, seen)
    _require_import(asking, at, None)
    made, before, after = moved(Once(conn), asking, old._mapping, wanted, values or {}, clock.now(conn), at)
    conn.execute(_MOVE, made | {"opportunity_id": old.id})
    audit.write(conn, actor, asking, wanted.name, "opportunity", old.id, made["seq"], before, after, at)
    return int(old.id)


def permitted(asking: Person, owner_id: int, name: str) -> lifecycle.Transition:
    """This function will find a move by its name and raise NotAllowed unless the person may make it at all."""
    made = lifecycle.named(name)
    if made is None:
        raise Invalid("There is no such move; choose one of " + ", ".join(t.name for t in lifecycle.TRANSITIONS) + ".")
    require_change(asking, owner_id)
    if not asking.may(made.permission):
        raise NotAllowed(DENIALS[made.permission])
    return made


def moved(
    reads: Once,
    asking: Person,
    old: RowMapping | Mapping[str, Any],
    made: lifecycle.Transition,
    raw: Mapping[str, Any],
    now: datetime,
    at: datetime | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """This function will check a move and give its row, and before and after of what it changes. Raises Invalid."""
    if old["status"] not in made.sources:
        possible = ", ".join(t.label for t in lifecycle.offered(old["status"], asking.permissions)) or "nothing"
        status = lifecycle.STAGE[old["status"]].label
        raise Invalid(f"“{made.label}” is not possible while the opportunity is {status}; possible now: {possible}.")
    problems = Problems()
    read = _asked(reads, made, raw, problems)
    offers.check_link(reads.conn, asking, read["offer_id"], old["customer_id"], old["id"], problems)
    if at is not None and not old["status_at"] <= at <= now:
        problems.add("at", "The day of this move must lie between the last move and today.")
    problems.stop()
    row = {
        "seq": old["version"] + 1,
        "move": made.name,
        "from_status": old["status"],
        "to_status": made.target,
        "at": at or now,
        "recorded_at": now,
        "by_id": asking.id,
        **read,
    }
    outcome = {name: read[name] for name in ("won_value", "reason", "note")}
    if read["offer_id"]:
        outcome["offer_id"] = read["offer_id"]
    before, after = audit.changed(old, outcome)
    return row, {"status": old["status"]} | before, {"status": made.target} | after


@command
def reassign(
    conn: Connection, actor: Actor, opportunity_ids: int | Iterable[int], owner_id: int, *, seen: int | None = None
) -> int:
    """This function will give one or many opportunities to another owner and return how many changed.

    Closed ones too. Always in the order of their ids, so that two of these wait for each other
    instead of blocking. Raises NotAllowed, NotFound, Invalid, Conflict.
    """
    asking = require(conn, actor, "opportunity.reassign")
    problems = Problems()
    _check_owner(Once(conn), asking, owner_id, problems)
    problems.stop()
    many = [opportunity_ids] if isinstance(opportunity_ids, int | str) else opportunity_ids
    ids = sorted({records.key(i, "opportunity") for i in many})
    query = select(opportunity).where(sql.any_of(opportunity.c.id, ids), visible_to(asking))
    rows = {row.id: row for row in conn.execute(query)}
    if len(rows) < len(ids):
        raise records.missing("opportunity")
    before, changed = "owner_id", 0
    for old in (rows[i] for i in ids):
        check_seen(conn, "opportunity", old, seen)
        if old.owner_id == owner_id:
            continue
        version = guarded(conn, opportunity, old, seen, {"owner_id": owner_id})
        audit.write(
            conn, actor, asking, "reassign", "opportunity", old.id, version, {before: old.owner_id}, {before: owner_id}
        )
        changed += 1
    return changed


@command
def link_offer(conn: Connection, actor: Actor, opportunity_id: int, offer_id: int, *, seen: int | None = None) -> int:
    """This function will link an offer once the offer is made; on a won opportunity a manager may still do it."""
    asking = person(conn, actor)
    old = _row(conn, asking, opportunity_id)
    require_change(asking, old.owner_id)
    if lifecycle.STAGE[old.status].closed and not asking.may("opportunity.change_closed"):
        raise NotAllowed(DENIALS["opportunity.change_closed"])
    problems = Problems()
    if not lifecycle.STAGE[old.status].links_offer:
        problems.add("offer_id", "Linked offer: an offer can be linked once the offer is made, and to a won one.")
    wanted = fields.read({"offer_id": Field("Linked offer", fields.chosen, True)}, {"offer_id": offer_id}, problems)
    offers.check_link(conn, asking, wanted["offer_id"], old.customer_id, old.id, problems)
    problems.stop()
    version = guarded(conn, opportunity, old, seen, wanted)
    before = {"offer_id": old.offer_id}
    audit.write(conn, actor, asking, "link_offer", "opportunity", old.id, version, before, wanted)
    return int(old.id)


def get(conn: Connection, actor: Actor, opportunity_id: int) -> Record:
    """This function will read one opportunity of the actor's scope, or raise NotFound.

    Beside the columns: number, customer (company), owner and application_engineer (names),
    region_label, business_unit_label, offer_number. value and won_value are Decimal rupees.
    """
    found = records.key(opportunity_id, "opportunity")
    return records.one(conn, _named(person(conn, actor)), "opportunity", found=found)


def history(conn: Connection, actor: Actor, opportunity_id: int) -> list[audit.Entry]:
    """This function will tell an opportunity's timeline, newest first: moves and edits, by whom, when."""
    asking, found = person(conn, actor), records.key(opportunity_id, "opportunity")
    told = audit.timeline(conn, "opportunity", found, _told(asking))
    if not told:
        _row(conn, asking, found)
    return told


def moves(conn: Connection, actor: Actor, row: Record) -> list[lifecycle.Transition]:
    """This function will list the moves that the record's status and the actor's role and ownership allow."""
    asking = person(conn, actor)
    if not _changeable(asking, row):
        return []
    return lifecycle.offered(row.status, asking.permissions)


def editable(conn: Connection, actor: Actor, row: Record) -> bool:
    """This function will tell whether the actor may edit the record as it stands."""
    return not lifecycle.STAGE[row.status].closed and _changeable(person(conn, actor), row)


def can_link(conn: Connection, actor: Actor, row: Record) -> bool:
    """This function will tell whether the actor may link an offer to the record as it stands."""
    asking, stage = person(conn, actor), lifecycle.STAGE[row.status]
    open_or_manager = not stage.closed or asking.may("opportunity.change_closed")
    return stage.links_offer and open_or_manager and _changeable(asking, row)


def _changeable(asking: Person, row: Record) -> bool:
    try:
        require_change(asking, row.owner_id)
    except NotAllowed:
        return False
    return True


def _row(conn: Connection, asking: Person, opportunity_id: Any) -> Record:
    return records.one(conn, _plain(asking), "opportunity", found=records.key(opportunity_id, "opportunity"))


# All depend on nothing else, and take longer to build than to answer.
@functools.lru_cache(maxsize=256)
def _plain(asking: Person) -> Select[Any]:
    return select(opportunity).where(opportunity.c.id == bindparam("found"), visible_to(asking))


@functools.lru_cache(maxsize=256)
def _told(asking: Person) -> Select[Any]:
    return audit.OF_RECORD.where(exists().where(opportunity.c.id == bindparam("found"), visible_to(asking)))


@functools.lru_cache(maxsize=256)
def _named(asking: Person) -> Select[Any]:
    owner, engineer = app_user.alias("owner"), app_user.alias("engineer")
    return (
        select(
            opportunity,
            sql.opportunity_number(),
            customer.c.company.label("customer"),
            owner.c.name.label("owner"),
            engineer.c.name.label("application_engineer"),
            region.c.label.label("region_label"),
            business_unit.c.label.label("business_unit_label"),
            offer.c.number.label("offer_number"),
        )
        .join(customer, customer.c.id == opportunity.c.customer_id)
        .join(owner, owner.c.id == opportunity.c.owner_id)
        .join(region, region.c.code == opportunity.c.region)
        .join(business_unit, business_unit.c.code == opportunity.c.business_unit)
        .outerjoin(engineer, engineer.c.id == opportunity.c.application_engineer_id)
        .outerjoin(offer, offer.c.id == opportunity.c.offer_id)
        .where(opportunity.c.id == bindparam("found"), visible_to(asking))
    )


def _asked(reads: Once, made: lifecycle.Transition, raw: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    read = dict.fromkeys(_ASKED) | fields.read(_FORMS[made.name], raw, problems)
    settings.check(reads, ((a.list, a.field, a.label, read[a.field]) for a in made.asks if a.list), problems)
    return read


def _with_defaults(reads: Once, asking: Person, raw: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(raw)
    if fields.absent(given.get("owner_id")):
        given["owner_id"] = asking.id
    if fields.absent(given.get("business_unit")):
        owner = asking if given["owner_id"] == asking.id else _user(reads, given["owner_id"])
        given["business_unit"] = owner and owner.business_unit
    home = _customer(reads, given.get("customer_id"))
    for name in ("state", "city"):
        if home and fields.absent(given.get(name)):
            given[name] = home._mapping[name]
    return given


def _customer(reads: Once, customer_id: Any) -> Record | None:
    return reads.row(_HOME, {"customer_id": _readable_id(customer_id)})


def _user(reads: Once, user_id: Any) -> Record | None:
    return reads.row(_USER, {"user_id": _readable_id(user_id)})


def _readable_id(raw: Any) -> int:
    try:
        return fields.chosen(raw)
    except ValueError:
        return 0


def _check_links(reads: Once, asking: Person, read: Mapping[str, Any], problems: Problems) -> None:
    listed = ((name, name, FIELDS[name].label, read.get(name)) for name in ("region", "business_unit"))
    settings.check(reads, listed, problems)
    if read.get("customer_id") is not None:
        home = _customer(reads, read["customer_id"])
        if not (home and home.active):
            problems.add("customer_id", "Customer: choose an active customer from the master.")
    if read.get("owner_id") is not None:
        _check_owner(reads, asking, read["owner_id"], problems)
    engineer = read.get("application_engineer_id")
    if engineer is not None and not _active(reads, asking, engineer, NAMED_ROLES):
        problems.add("application_engineer_id", "Application engineer: choose an active user who is not a viewer.")


def _check_owner(reads: Once, asking: Person, owner_id: Any, problems: Problems) -> None:
    if not _active(reads, asking, owner_id, OWNING_ROLES):
        problems.add("owner_id", "Sales engineer: choose an active user who may own opportunities.")


def _active(reads: Once, asking: Person, user_id: Any, roles: frozenset[str]) -> bool:
    if user_id == asking.id:
        return asking.role in roles
    user = _user(reads, user_id)
    return user is not None and user.active and user.role in roles


def _require_owner_choice(asking: Person, present: int, wanted: int | None) -> None:
    if wanted not in (None, present) and not asking.may("opportunity.reassign"):
        raise NotAllowed(DENIALS["opportunity.reassign"])


def _require_import(asking: Person, at: datetime | None, external_ref: str | None) -> None:
    if (at is not None or external_ref is not None) and not asking.may("import"):
        raise NotAllowed(DENIALS["import"])
