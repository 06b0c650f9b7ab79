"""Refused attempts: who tried what and why not, without any value, apart from what was done.

They are written at the edge in a transaction of their own: the refused command's rolls back.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from crm_core import clock, sql, walks
from crm_core.access import Actor, require
from crm_core.schema import Record, app_user, denial
from crm_core.slices import DenialSlice

LONGEST = 60
_NEWEST = walks.Order("-at", denial.c.at, denial.c.id)
_LISTED = (
    select(denial.c.id, denial.c.at, app_user.c.name.label("by"), denial.c.action, denial.c.why)
    .outerjoin(app_user, app_user.c.id == denial.c.by_id)
    .where(sql.among(denial.c.id, "ids"))
    .order_by(denial.c.at.desc(), denial.c.id.desc())
)
_ADD = insert(denial).inline()  # who adds a row need not be allowed to read it


def record(conn: Connection, actor: Actor, action: str, why: str) -> None:
    """This function will keep one refused attempt: the verb's name and the sentence that the person read."""
    by = conn.scalar(select(app_user.c.id).where(app_user.c.id == actor.user_id))
    values = {"at": clock.now(conn), "by_id": by, "action": action[:LONGEST], "why": why}
    conn.execute(_ADD, values | {"request_id": actor.request_id})


def listing(
    conn: Connection, actor: Actor, slice_: DenialSlice, page: int = 1, per_page: int = 25, after: str = ""
) -> tuple[list[Record], walks.Page]:
    """This function will read a page of refused attempts, newest first, and say which it is and how many there are.

    Rows: at (UTC), by (name, or None for nobody's account), action, why. `page` and `after` choose the page
    as `Order.turn` says. Raises NotAllowed.
    """
    require(conn, actor, "audit.read")
    where = slice_.conditions()
    count = conn.scalar(select(func.count()).select_from(denial).where(*where)) or 0
    ids, turned = _NEWEST.turn(conn, [where], count, page, per_page, after)
    return list(conn.execute(_LISTED, {"ids": ids})), turned
