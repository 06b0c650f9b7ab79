"""Saved views: a page's URL under a name, for its owner or for the team."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import Connection, insert, select

from crm_core import access, audit, clock, fields, records
from crm_core.access import DENIALS, Actor, Person, person
from crm_core.commands import command, guarded
from crm_core.errors import NotAllowed, Problems
from crm_core.fields import Field, read
from crm_core.schema import Record, app_user, saved_view

#: The pages whose URL is worth a name.
PAGES = ("dashboard", "opportunities", "board", "leads", "audit")
LONGEST_QUERY = 2000


def _shared(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("choose yes or no.")
    return raw


def _query(raw: Any) -> str:
    """The parameters of an address, written in one way: status=open&region=salem."""
    if not isinstance(raw, str) or len(raw) > LONGEST_QUERY:
        raise ValueError(f"an address has at most {LONGEST_QUERY:,} characters.")
    try:
        return urlencode(parse_qsl(raw, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        raise ValueError("this is no part of an address.") from None


_CHANGEABLE = {"name": Field("Name", fields.text(60), required=True), "shared": Field("For the team", _shared)}
_FIELDS = _CHANGEABLE | {
    "page": Field("Page", fields.one_of(PAGES), required=True),
    "query": Field("Address", _query),
}


def listing(conn: Connection, actor: Actor) -> list[Record]:
    """This function will read the person's own views and those that active colleagues share, own ones first.

    Columns: id, name, page (one of PAGES), query (as in a URL), shared, owner_id, owner (name), version.
    """
    asking = person(conn, actor)
    query = (
        select(*(saved_view.c[k] for k in ("id", "name", "page", "query", "shared", "owner_id", "version")))
        .add_columns(app_user.c.name.label("owner"))
        .join(app_user, app_user.c.id == saved_view.c.owner_id)
        .where(access.views_visible_to(asking), saved_view.c.active, app_user.c.active)
    )
    return sorted(conn.execute(query), key=lambda row: (row.owner_id != asking.id, fields.search_key(row.name), row.id))


@command
def save(conn: Connection, actor: Actor, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will save a page's URL under a name and return the view's id.

    `values`: name, page, query, shared (False unless given). Raises NotAllowed, or Invalid with every problem.
    """
    asking = person(conn, actor)
    _may_share(asking, values.get("shared"))
    problems = Problems()
    new = read(_FIELDS, values, problems)
    _check_name(conn, asking, new["name"], None, problems)
    problems.stop()
    new |= {"query": new["query"] or "", "shared": bool(new["shared"])}
    given = new | {"owner_id": asking.id, "created_at": clock.now(conn)}
    made = int(conn.execute(insert(saved_view).values(given).returning(saved_view.c.id)).scalar_one())
    audit.write(conn, actor, asking, "create", "saved_view", made, 1, {}, new)
    return made


@command
def edit(conn: Connection, actor: Actor, view_id: int, values: Mapping[str, Any], *, seen: int | None = None) -> int:
    """This function will rename one of the person's own views, or share it, or make it private again.

    Raises NotFound, NotAllowed, Conflict, Invalid.
    """
    asking = person(conn, actor)
    old = _own(conn, asking, view_id)
    _may_share(asking, old.shared or values.get("shared"))
    problems = Problems()
    new = read(_CHANGEABLE, values, problems, partial=True)
    if "name" in new:
        _check_name(conn, asking, new["name"], old.id, problems)
    problems.stop()
    before, after = audit.changed(old._mapping, {k: bool(v) if k == "shared" else v for k, v in new.items()})
    return _change(conn, actor, asking, "edit", old, seen, before, after)


@command
def remove(conn: Connection, actor: Actor, view_id: int, *, seen: int | None = None) -> int:
    """This function will take one of the person's own views away. Raises NotFound, NotAllowed, Conflict."""
    asking = person(conn, actor)
    old = _own(conn, asking, view_id)
    _may_share(asking, old.shared)
    return _change(conn, actor, asking, "remove", old, seen, {"active": True}, {"active": False})


def _may_share(asking: Person, shared: Any) -> None:
    if shared and not asking.may("view.share"):
        raise NotAllowed(DENIALS["view.share"])


def _own(conn: Connection, asking: Person, view_id: Any) -> Record:
    own = select(saved_view).where(saved_view.c.owner_id == asking.id, saved_view.c.active)
    return records.one(conn, own.where(saved_view.c.id == records.key(view_id, "view")), "view")


def _check_name(conn: Connection, asking: Person, name: str | None, but: int | None, problems: Problems) -> None:
    own = select(saved_view.c.id, saved_view.c.name).where(saved_view.c.owner_id == asking.id, saved_view.c.active)
    taken = {fields.search_key(row.name) for row in conn.execute(own) if row.id != but}
    if name and fields.search_key(name) in taken:
        problems.add("name", f"Name: you have a view “{name}” already; remove or rename that one.")


def _change(
    conn: Connection,
    actor: Actor,
    asking: Person,
    action: str,
    old: Record,
    seen: int | None,
    before: dict[str, Any],
    after: dict[str, Any],
) -> int:
    if after:
        version = guarded(conn, saved_view, old, seen, after)
        audit.write(conn, actor, asking, action, "saved_view", old.id, version, before, after)
    return int(old.id)
