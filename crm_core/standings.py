"""Standings: every opportunity as it stood from one change until the next, proven from the history.

The database writes them with each change (`rules.EFFECTS`). Here they are computed once more, from
the audit alone, to be compared with what is stored, or to be stored anew. Source: decisions, As-of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Any

from sqlalchemy import Connection, Integer, cast, delete, insert, select

from crm_core import lifecycle, steps
from crm_core.schema import FACTS, STILL, audit, standing

_MANY = 500
_FACTS = ("id", "version", "from_at", "to_at", *(column.key for column in FACTS))
_KEYS = (*_FACTS, *steps.COLUMNS)


def rebuild(conn: Connection) -> int:
    """This function will write all standings anew from the history and return how many. The owner runs it."""
    conn.execute(delete(standing))
    written, rows = 0, []
    for row in computed(conn):
        rows.append(row)
        written += 1
        if len(rows) == _MANY:
            conn.execute(insert(standing), rows)
            rows = []
    if rows:
        conn.execute(insert(standing), rows)
    return written


def verify(conn: Connection) -> str:
    """This function will name the first standing that is not what the history says, or give ""."""
    query = select(standing).order_by(standing.c.id, standing.c.version)
    stored = (
        {key: row._mapping[key] for key in _KEYS} for row in conn.execute(query, execution_options={"yield_per": _MANY})
    )
    for told, kept in zip_longest(computed(conn), stored):
        if told != kept:
            which: dict[str, Any] = told or kept or {}
            return f"Opportunity {which['id']}, version {which['version']}: its standing is not what the history says."
    return ""


def computed(conn: Connection) -> Iterator[dict[str, Any]]:
    """This function will tell every standing from the audit, by opportunity and version; amounts in rupees, UTC."""
    about = cast(audit.c.entity_id, Integer)
    query = select(about.label("id"), audit.c.version, audit.c.at, audit.c.after)
    query = query.where(audit.c.entity == "opportunity", audit.c.version.is_not(None))
    rows = conn.execute(query.order_by(about, audit.c.version), execution_options={"yield_per": _MANY})
    for made, changes in groupby(rows, key=lambda row: row.id):
        yield from _course(made, list(changes))


def whole(stood: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """This function will give the standings of one opportunity, in order, each with its end and what its step was."""
    for now, after in zip_longest(steps.told(stood), stood[1:]):
        yield now | {"to_at": after["from_at"] if after else STILL}


def _course(made: int, changes: list[Any]) -> Iterator[dict[str, Any]]:
    facts: dict[str, Any] = dict.fromkeys(_FACTS) | {"id": made, "created_at": changes[0].at}
    stood: list[dict[str, Any]] = []
    for change in changes:
        facts |= {key: _typed(key, value) for key, value in change.after.items() if key in facts}
        if "status" in change.after:
            ended = change.at if lifecycle.STAGE[facts["status"]].closed else None
            facts |= {"status_at": change.at, "closed_at": ended}
        begun = max(change.at, stood[-1]["from_at"]) if stood else change.at
        stood.append(facts | {"version": change.version, "from_at": begun})
    yield from whole(stood)


def _typed(key: str, value: Any) -> Any:
    if value is None:
        return None
    if key in ("value", "won_value"):
        return Decimal(value)
    return date.fromisoformat(value) if key.endswith("_on") else value
