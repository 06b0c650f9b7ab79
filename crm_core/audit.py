"""The record of everything done: one row per change, in the change's own transaction."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, cast, insert, select, union_all
from sqlalchemy import literal_column as raw

from crm_core import access, clock, lifecycle, money, periods, preferences, sql
from crm_core.access import Actor, Person
from crm_core.errors import Sentence
from crm_core.schema import LISTS, OFFER_STATUSES, PRODUCTS, Record, app_user, customer, offer
from crm_core.schema import audit as log

ACTIONS = {
    "create": "created it",
    "edit": "changed it",
    "reassign": "gave it to another owner",
    "link_offer": "linked the offer",
    "merge": "merged it",
    "remove": "removed it",
    "deactivate": "deactivated it",
    "reactivate": "reactivated it",
    "import": "imported it",
    "export": "exported it",
    "list_add": "added it to the list",
    "list_rename": "renamed it",
    "list_retire": "retired it",
    "list_restore": "restored it",
    "set_target": "set the target",
    "set_limit": "set the limit",
    "bind_account": "signed in for the first time",
    "sign_out": "signed out",
    "sign_out_everywhere": "signed out everywhere",
    **{t.name: t.said for t in (*lifecycle.TRANSITIONS, *lifecycle.LEAD_TRANSITIONS)},
}

FIELD_LABELS = {
    "owner_id": "Sales engineer",
    "application_engineer_id": "Application engineer",
    "customer_id": "Customer",
    "value": "Potential value",
    "won_value": "Won value",
    "offer_id": "Linked offer",
    "expected_close_on": "Expected close",
    "next_step_on": "Next step on",
    "offered_on": "Date",
    "document_url": "Document link",
    "gstin": "GSTIN",
    "email": "E-mail",
    "label": "Name",
    "source_lead_id": "Source lead",
    "converted_customer_id": "Customer",
    "duplicate_of_customer_id": "Duplicate of",
    "merged_into_id": "Merged into",
    "query": "Address",
    "shared": "For the team",
}


_ADD = insert(log).inline()  # who adds a row need not be allowed to read it


@dataclass(frozen=True)
class Change:
    """One field's change in words: its label, and before and after as a person reads them."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One row of the record, in words; `at` is when it happened, `recorded_at` the clock, UTC."""

    at: datetime
    recorded_at: datetime
    by: str
    action: str
    changes: tuple[Change, ...]
    id: int
    entity: str
    entity_id: str
    request_id: str


def write(
    conn: Connection,
    actor: Actor,
    asking: Person,
    action: str,
    entity: str,
    entity_id: int | str,
    version: int | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    at: datetime | None = None,
) -> None:
    """This function will add one change to the record: who, when, what, before and after."""
    said = told(actor, asking, action, entity, version, before, after, clock.now(conn), at)
    conn.execute(_ADD, said | {"entity_id": str(entity_id)})


def told(
    actor: Actor,
    asking: Person,
    action: str,
    entity: str,
    version: int | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
    at: datetime | None = None,
) -> dict[str, Any]:
    """This function will tell one change as a row of the record, but for the id of what it is about."""
    return {
        "at": at or now,
        "recorded_at": now,
        "by_id": asking.id,
        "by_name": asking.name,
        "action": action,
        "entity": entity,
        "version": version,
        "before": _plain(before),
        "after": _plain(after),
        "request_id": actor.request_id,
    }


def changed(old: Any, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """This function will give before and after of the fields that `values` really changes."""
    names = [name for name in values if old[name] != values[name] and not name.endswith(("_key", "search"))]
    return {name: old[name] for name in names}, {name: values[name] for name in names}


def timeline(conn: Connection, entity: str, entity_id: int, query: Select[Any] | None = None) -> list[Entry]:
    """This function will tell a record's history, newest first. The caller has checked that it may be seen.

    Or `query` does: OF_RECORD and a condition, whose parameter `found` is the id of the record.
    """
    given = {"entity": entity, "entity_id": str(entity_id), "found": entity_id}
    return in_words(conn, conn.execute(OF_RECORD if query is None else query, given))


def latest(conn: Connection, actor: Actor) -> int:
    """This function will number the newest change that the actor may see, so that a page notices when it is not the newest."""
    access.person(conn, actor)
    # PostgreSQL makes the plan of a LIMIT that is a parameter anew each time, which takes ten times as long
    newest = select(log.c.id).order_by(log.c.id.desc()).limit(raw("1"))
    return conn.scalar(newest) or 0


def in_words(conn: Connection, rows: Iterable[Record]) -> list[Entry]:
    """This function will turn stored rows of the record into what a person reads."""
    rows = list(rows)
    names = _Names(conn, rows)
    return [
        Entry(
            row.at,
            row.recorded_at,
            row.by_name,
            said(row.action),
            tuple(
                Change(
                    names.field(key),
                    names.value(row.entity, key, row.before.get(key)),
                    names.value(row.entity, key, value),
                )
                for key, value in row.after.items()
                if row.before.get(key) is not None or value is not None
            ),
            row.id,
            row.entity,
            row.entity_id,
            row.request_id,
        )
        for row in rows
    ]


def said(action: str) -> str:
    """This function will say an action in words: changed it."""
    return ACTIONS.get(action, action.replace("_", " "))


def changes_since(conn: Connection, entity: str, entity_id: str, version: int) -> list[Sentence]:
    """This function will say who changed what in a record after a version."""
    rows = conn.execute(
        select(log)
        .where(log.c.entity == entity, log.c.entity_id == entity_id, log.c.version > version)
        .order_by(log.c.id)
    ).all()
    names = _Names(conn, rows)
    sentences = []
    for row in rows:
        what = "; ".join(
            f"{names.field(key)} from {names.value(entity, key, row.before.get(key)) or 'nothing'} "
            f"to {names.value(entity, key, value) or 'nothing'}"
            for key, value in row.after.items()
        )
        sentences.append(Sentence(f"{row.by_name} changed {what} ({periods.moment(row.recorded_at)})."))
    return sentences


OF_RECORD = (
    select(log)
    .where(log.c.entity == bindparam("entity"), log.c.entity_id == bindparam("entity_id"))
    .order_by(log.c.id.desc())
)
#: What a person reads of an id or a code, by what it is one of.
_NAMED = {
    "user": (app_user.c.id, app_user.c.name),
    "customer": (customer.c.id, customer.c.company),
    "offer": (offer.c.id, offer.c.number),
    **{name: (table.c.code, table.c.label) for name, (table, *_) in LISTS.items()},
}
#: All of these in one statement, which takes longer to build than to answer; and the currency of amounts.
_NAMES = union_all(
    select(
        raw("'currency'").label("kind"), raw("''").label("key"), preferences.CURRENCY.scalar_subquery().label("name")
    ),
    *(
        select(raw(f"'{kind}'"), cast(key, Text), name).where(sql.among(key, kind))
        for kind, (key, name) in _NAMED.items()
    ),
)
_SUFFIXES = {
    ("owner_id", "engineer_id"): "user",
    ("customer_id", "merged_into_id"): "customer",
    ("offer_id",): "offer",
}
_LISTED = {"reason": ("lost_reason", "rejected_reason", "disqualify_reason"), "source": ("lead_source",)}


@functools.lru_cache(maxsize=256)
def _kinds(field: str) -> tuple[str, ...]:
    """What the values of a field are one of; of several, the first that knows a value."""
    kind = next((kind for suffixes, kind in _SUFFIXES.items() if field.endswith(suffixes)), None)
    return (kind,) if kind else _LISTED.get(field, (field,) if field in LISTS else ())


class _Names:
    """Turns stored codes, ids and amounts into what a person reads; those in some rows of the record are read at once."""

    def __init__(self, conn: Connection, rows: Sequence[Record]) -> None:
        wanted: dict[str, set[Any]] = {kind: set() for kind in _NAMED}
        for row in rows:
            for field, stored in (*row.before.items(), *row.after.items()):
                for kind in _kinds(field) if stored else ():
                    wanted[kind].add(stored)
        found = conn.execute(_NAMES, {kind: list(values) for kind, values in wanted.items()})
        self.known = {(kind, key): name for kind, key, name in found}
        self.currency = self.known["currency", ""]

    def field(self, key: str) -> str:
        return FIELD_LABELS.get(key, key.removesuffix("_id").replace("_", " ").capitalize())

    def value(self, entity: str, key: str, stored: Any) -> str:
        if stored is None or stored == "":
            return ""
        if key in ("value", "won_value", "amount"):
            return money.exact(Decimal(stored), self.currency)
        if key.endswith("_on"):
            return periods.day(date.fromisoformat(stored))
        if key == "status":
            stages = {"opportunity": lifecycle.STAGE, "lead": lifecycle.LEAD_STAGE}.get(entity, {})
            return stages[stored].label if stored in stages else OFFER_STATUSES.get(stored, str(stored))
        if key == "product":
            return PRODUCTS.get(stored, str(stored))
        if key == "role":
            return access.ROLE_LABELS.get(stored, str(stored))
        if isinstance(stored, bool):
            return "yes" if stored else "no"
        names = (self.known.get((kind, str(stored))) for kind in _kinds(key))
        return str(next(filter(None, names), stored))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: str(v) if isinstance(v, Decimal) else v.isoformat() if isinstance(v, date) else v
        for key, v in values.items()
    }
