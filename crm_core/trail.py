"""The audit as managers and org admins read it: any slice of it, newest first, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from crm_core import audit, lifecycle, records, slices, sql, targets, trigrams, walks
from crm_core.access import Actor, require
from crm_core.audit import Entry
from crm_core.schema import LISTS, app_user, customer, lead, offer, opportunity
from crm_core.schema import audit as log
from crm_core.slices import AuditSlice

#: The kinds of records that the audit speaks of, as people call one of them.
KINDS = {
    "opportunity": "Opportunity",
    "lead": "Lead",
    "customer": "Customer",
    "offer": "Offer",
    "user": "User",
    "saved_view": "Saved view",
    "slice": "Export",
    "import": "Import",
    "target": "Target",
    "stage_limit": "Stage limit",
    **{name: heading.removesuffix("s") for name, (_table, heading) in LISTS.items()},
}
_NEWEST = walks.Order("-recorded", log.c.recorded_at, log.c.id)
_LISTED = select(log).where(sql.among(log.c.id, "ids")).order_by(log.c.recorded_at.desc(), log.c.id.desc())
_TITLES: dict[str, Any] = {
    "opportunity": select(opportunity.c.id, sql.opportunity_number(), customer.c.company).join(customer),
    "lead": select(lead.c.id, lead.c.contact, lead.c.company),
    "customer": select(customer.c.id, customer.c.company),
    "offer": select(offer.c.id, offer.c.number),
    "user": select(app_user.c.id, app_user.c.name),
}


def listing(
    conn: Connection, actor: Actor, slice_: AuditSlice, page: int = 1, per_page: int = 25, after: str = ""
) -> tuple[list[Entry], walks.Page]:
    """This function will read a page of a slice of the audit, newest first, and say which it is and how many rows there are.

    `page` and `after` choose the page as `Order.turn` says. Raises NotAllowed.
    """
    require(conn, actor, "audit.read")
    count = conn.scalar(select(func.count()).select_from(log).where(*slice_.conditions())) or 0
    sparse = walks.sparse(conn, count, max(1, len(slice_.person)), per_page, log)
    ids, turned = _NEWEST.turn(conn, _parts(slice_, sparse), count, page, per_page, after, sparse)
    return audit.in_words(conn, conn.execute(_LISTED, {"ids": ids})), turned


def everything(conn: Connection, actor: Actor, slice_: AuditSlice, most: int = 500) -> Iterator[list[Entry]]:
    """This function will read a whole slice of the audit, newest first, `most` rows at a time, for the export."""
    require(conn, actor, "audit.read")
    query = select(log).where(*slice_.conditions()).order_by(log.c.id.desc()).limit(most)
    rows = conn.execute(query).all()
    while rows:
        yield audit.in_words(conn, rows)
        rows = conn.execute(query.where(log.c.id < rows[-1].id)).all()


def titles(conn: Connection, actor: Actor, entries: Iterable[Entry]) -> dict[tuple[str, str], str]:
    """This function will name the records that entries are about: (kind, id) → OPP-2026-00042, Amman Mills."""
    require(conn, actor, "audit.read")
    wanted = defaultdict(set)
    for entry in entries:
        wanted[entry.entity].add(entry.entity_id)
    return {
        (kind, entity_id): title
        for kind, ids in wanted.items()
        for entity_id, title in _titles(conn, kind, ids).items()
    }


def choices(conn: Connection, actor: Actor, dimension: str) -> dict[str, str]:
    """This function will map the values of a dimension of the audit to their labels; people who left too."""
    require(conn, actor, "audit.read")
    if dimension == "kind":
        return dict(KINDS)
    if dimension == "action":
        return {name: said[:1].upper() + said[1:] for name, said in sorted(audit.ACTIONS.items(), key=lambda a: a[1])}
    if dimension != "person":
        return {}
    return {str(i): name for i, name in records.people(conn).items()}


def names(conn: Connection, actor: Actor, slice_: AuditSlice | slices.DenialSlice) -> dict[str, dict[str, str]]:
    """This function will map the values in a slice, those that are known, to their labels, by dimension."""
    known = slices.named(slice_, lambda name: choices(conn, actor, name))
    if isinstance(slice_, AuditSlice) and len(slice_.kind) == 1:
        known["record"] = known.get("record", {}) | _titles(conn, slice_.kind[0], set(slice_.record))
    return known


def _parts(slice_: AuditSlice, sparse: bool) -> list[walks.Clauses]:
    """The parts along which the audit is read: a person each, as the index is; or all, and that they are few."""
    people = slice_.parsed("person")
    if sparse or (slice_.person and not people):
        return [slice_.conditions()]
    rest = slice_.but(person=None, when=None)
    where = [*AuditSlice(when=slice_.when).conditions(), *map(trigrams.aside, rest.conditions())]
    return [[log.c.by_id == by, *where] for by in people] or [where]


def _titles(conn: Connection, kind: str, entity_ids: set[str]) -> dict[str, str]:
    if kind == "target":
        return targets.titles(conn, entity_ids)
    if kind == "stage_limit":
        return {code: lifecycle.STAGE[code].label for code in entity_ids if code in lifecycle.STAGE}
    if kind in LISTS:
        table = LISTS[kind][0]
        query = select(table.c.code, table.c.label).where(sql.any_of(table.c.code, sorted(entity_ids)))
    elif kind in _TITLES:
        ids = sorted(int(i) for i in entity_ids if i.isascii() and i.isdecimal() and len(i) < 19)
        query = _TITLES[kind].where(sql.any_of(_TITLES[kind].selected_columns[0], ids))
    else:
        return {}
    return {str(row[0]): ", ".join(row[1:]) for row in conn.execute(query)}
