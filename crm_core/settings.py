"""The configured lists: regions, business units, lead sources, reasons. Source: decisions, Words."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, func, insert, select

from crm_core import audit, fields, records
from crm_core.access import Actor, person, require
from crm_core.commands import command, guarded
from crm_core.errors import Invalid, Problems
from crm_core.records import Once
from crm_core.schema import LISTS, Record

_ENTRIES = {name: select(table).order_by(table.c.position, table.c.code) for name, (table, _heading) in LISTS.items()}
_LABEL = {"label": fields.Field("Name", fields.text(60), required=True)}


def entries(conn: Connection, list_name: str) -> list[Record]:
    """This function will read one configured list: code, label, position, active, version; in order."""
    return list(conn.execute(_ENTRIES[list_name]))


def labels(conn: Connection, list_name: str, active_only: bool = False) -> dict[str, str]:
    """This function will map a list's codes to its labels, retired ones included unless told."""
    return {row.code: row.label for row in entries(conn, list_name) if row.active or not active_only}


def rows(conn: Connection, actor: Actor, list_name: str) -> list[Record]:
    """This function will read a configured list whole, retired entries too, for the settings page."""
    require(conn, actor, "settings.change")
    return entries(conn, list_name)


def labels_of(conn: Connection, actor: Actor, list_name: str) -> dict[str, str]:
    """This function will map the active codes of a configured list to their labels, for a form."""
    person(conn, actor)
    return labels(conn, list_name, active_only=True)


def reasons(conn: Connection, actor: Actor) -> dict[str, str]:
    """This function will map every outcome reason, retired ones too, to its label."""
    person(conn, actor)
    return labels(conn, "rejected_reason") | labels(conn, "lost_reason")


def check(reads: Once, chosen: Iterable[tuple[str, str, str, str | None]], problems: Problems) -> None:
    """This function will add a problem for each code that is neither absent nor an active one of its configured list.

    `chosen`: the list, the field and its label, the code. All are asked in one statement.
    """
    wanted = [one for one in chosen if one[-1] is not None]
    if not wanted:
        return
    found = reads.row(_active(tuple(one[0] for one in wanted)), {name: code for name, _field, _label, code in wanted})
    for (_name, field, label, _code), active in zip(wanted, found or (), strict=True):
        if not active:
            problems.add(field, f"{label}: choose an active one of the configured list.")


@functools.cache
def _active(names: tuple[str, ...]) -> Select[Any]:
    """Whether a code of each of these lists is an active one, in one row; the codes are parameters of the lists' names."""
    tables = {name: LISTS[name][0] for name in names}
    known = [exists().where(t.c.code == bindparam(name), t.c.active).label(name) for name, t in tables.items()]
    return select().add_columns(*known)


@command
def add(conn: Connection, actor: Actor, list_name: str, label: str, *, seen: int | None = None) -> str:
    """This function will add an entry at the end of a configured list and return its code.

    Raises NotAllowed, or Invalid for an unknown list, an empty or taken name.
    """
    asking = require(conn, actor, "settings.change")
    table = _table(list_name)
    name = _name(conn, list_name, label)
    code = _free_code(conn, list_name, name)
    last = conn.scalar(select(func.max(table.c.position))) or 0
    conn.execute(insert(table).values(code=code, label=name, position=last + 1))
    audit.write(conn, actor, asking, "list_add", list_name, code, 1, {}, {"label": name, "active": True})
    return code


@command
def rename(conn: Connection, actor: Actor, list_name: str, code: str, label: str, *, seen: int | None = None) -> str:
    """This function will rename an entry everywhere it shows; its code, and so every link, stays."""
    asking = require(conn, actor, "settings.change")
    old = _entry(conn, list_name, code)
    name = _name(conn, list_name, label, but=code)
    guarded(conn, _table(list_name), old, seen, {"label": name})
    audit.write(
        conn, actor, asking, "list_rename", list_name, code, old.version + 1, {"label": old.label}, {"label": name}
    )
    return code


@command
def retire(conn: Connection, actor: Actor, list_name: str, code: str, *, seen: int | None = None) -> str:
    """This function will retire an entry: no longer offered, still shown where it was used."""
    return _activate(conn, actor, list_name, code, False, seen)


@command
def restore(conn: Connection, actor: Actor, list_name: str, code: str, *, seen: int | None = None) -> str:
    """This function will offer a retired entry again."""
    return _activate(conn, actor, list_name, code, True, seen)


def _activate(conn: Connection, actor: Actor, list_name: str, code: str, active: bool, seen: int | None) -> str:
    asking = require(conn, actor, "settings.change")
    old = _entry(conn, list_name, code)
    guarded(conn, _table(list_name), old, seen, {"active": active})
    action = "list_restore" if active else "list_retire"
    audit.write(
        conn, actor, asking, action, list_name, code, old.version + 1, {"active": old.active}, {"active": active}
    )
    return code


def _table(list_name: str) -> Any:
    if list_name not in LISTS:
        raise Invalid("There is no such list; choose one of " + ", ".join(LISTS) + ".")
    return LISTS[list_name][0]


def _entry(conn: Connection, list_name: str, code: str) -> Record:
    table = _table(list_name)
    try:
        query = select(table).where(table.c.code == fields.code(code))
    except ValueError:
        raise records.missing("entry in this list") from None
    return records.one(conn, query, "entry in this list")


def _name(conn: Connection, list_name: str, label: str, but: str | None = None) -> str:
    problems = Problems()
    name = fields.read(_LABEL, {"label": label}, problems)["label"]
    problems.stop()
    taken = {fields.search_key(row.label): row.code for row in entries(conn, list_name)}
    if taken.get(fields.search_key(name), but) != but:
        problems.add("label", f"Name: “{name}” is in the list already; restore or rename that one.")
        problems.stop()
    return str(name)


def _free_code(conn: Connection, list_name: str, name: str) -> str:
    known = {row.code for row in entries(conn, list_name)}
    stem = fields.to_code(name) or list_name
    return next(c for c in (stem, *(f"{stem}_{n}" for n in range(2, 10_000))) if c not in known)
