"""How many days an opportunity may be in a stage before it counts as too long there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from crm_core import audit, fields, lifecycle
from crm_core.access import Actor, require
from crm_core.commands import CHANGED, command, put
from crm_core.errors import Conflict, Problems, Sentence
from crm_core.schema import stage_limit

MOST = 9999
WRONG = f"enter whole days from 1 to {MOST:,}, or nothing for no limit."


def limits(conn: Connection) -> dict[str, int]:
    """This function will map the stages that have a limit to their days."""
    return {status: days for status, (days, _version) in _kept(conn).items() if days is not None}


def listing(conn: Connection, actor: Actor) -> dict[str, tuple[int | None, int]]:
    """This function will map every stage of the open pipeline to its days (None: no limit) and version, to be changed."""
    require(conn, actor, "targets.change")
    kept = _kept(conn)
    return {status: kept.get(status, (None, 0)) for status in lifecycle.PIPELINE}


@command
def set_limits(
    conn: Connection, actor: Actor, days: Mapping[str, Any], *, seen: Mapping[str, int] | None = None
) -> int:
    """This function will set the limits of stages of the open pipeline (whole days; empty: none) and count the changed.

    `seen` are the versions that the form showed. Raises NotAllowed, Invalid, Conflict.
    """
    asking = require(conn, actor, "targets.change")
    known, problems = listing(conn, actor), Problems()
    form = {status: fields.Field(lifecycle.STAGE[status].label, _days) for status in known}
    wanted = fields.read(form, days, problems, partial=True)
    problems.stop()
    changed = {status: given for status, given in wanted.items() if given != known[status][0]}
    late = [s for s in changed if seen is not None and seen.get(s, 0) != known[s][1]]
    if late and seen is not None:
        said = ((s, m) for s in late for m in audit.changes_since(conn, "stage_limit", s, seen.get(s, 0)))
        raise Conflict(CHANGED, *(Sentence(f"{lifecycle.STAGE[s].label}: {m}", s) for s, m in said))
    for status, given in changed.items():
        before, version = known[status]
        version = put(conn, stage_limit, {"status": status}, version, {"days": given})
        was, now = {"days": before}, {"days": given}
        audit.write(conn, actor, asking, "set_limit", "stage_limit", status, version, was, now)
    return len(changed)


def _kept(conn: Connection) -> dict[str, tuple[int | None, int]]:
    return {row.status: (row.days, row.version) for row in conn.execute(select(stage_limit))}


def _days(raw: Any) -> int:
    text = fields.clean(raw) if isinstance(raw, str) and len(raw) < 100 else raw
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 10:
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or not 1 <= text <= MOST:
        raise ValueError(WRONG)
    return text
