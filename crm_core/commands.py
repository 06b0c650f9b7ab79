"""What every command has in common: the submit's token, and the write that notices a newer version."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, Update, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from crm_core import audit, clock
from crm_core.access import Actor, person
from crm_core.errors import Conflict
from crm_core.rules import STALE
from crm_core.schema import Record, submit

R = TypeVar("R")
CHANGED = (
    "This record was changed since you opened it, so yours was not saved. "
    "Look at the change and save again if yours still holds."
)


def command(verb: Callable[..., R]) -> Callable[..., R]:
    """This function will make `verb` a command: repeatable by its `token`.

    The same token by the same person for the same verb gives the first result again and
    changes nothing; for anything else it raises Conflict.
    """
    name = f"{verb.__module__.rpartition('.')[2]}.{verb.__name__}"

    @functools.wraps(verb)
    def run(conn: Connection, actor: Actor, *args: Any, token: str | None = None, **named: Any) -> Any:
        if token is None:
            return verb(conn, actor, *args, **named)
        asking = person(conn, actor)
        if not _claim(conn, token, asking.id, name):
            done = conn.execute(select(submit).where(submit.c.token == token)).one()
            if (done.by_id, done.command) != (asking.id, name):
                raise Conflict("This form was submitted already; open the page again.")
            return done.result
        result = verb(conn, actor, *args, **named)
        conn.execute(update(submit).where(submit.c.token == token).values(result=result))
        return result

    return run


def _claim(conn: Connection, token: str, by_id: int, name: str) -> bool:
    """This function will take a token, before anything is done with it, or tell that it was taken.

    A second submit of the same token, still on its way, waits here until the first is through.
    """
    adding: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(submit)
    values = {"token": token, "by_id": by_id, "command": name, "at": clock.now(conn)}
    return conn.scalar(adding.on_conflict_do_nothing().returning(submit.c.token), values) is not None


def guarded(conn: Connection, table: Table, old: Record, seen: int | None, values: dict[str, Any]) -> int:
    """This function will update one row, only if it is still the version read and the version seen.

    Returns the new version. Raises Conflict, saying what changed since, otherwise.
    """
    check_seen(conn, table.name.removeprefix("app_"), old, seen)  # the record of a user is kept as “user”
    query, key = _guarded(table)
    was = {"was_key": old._mapping[key], "was_version": old.version}
    changed = conn.execute(query, was | {"version": old.version + 1} | clock.stamp(conn, table) | values)
    if changed.rowcount != 1:
        raise Conflict(STALE)
    return int(old.version) + 1


@functools.cache  # it takes longer to build than SQLite to find the row
def _guarded(table: Table) -> tuple[Update, str]:
    """The update of one row that is still of the version read, whatever it sets, and the name of the table's key."""
    key = table.primary_key.columns[0]
    same = (key == bindparam("was_key"), table.c.version == bindparam("was_version"))
    return update(table).where(*same), key.key


def put(conn: Connection, table: Table, key: dict[str, Any], version: int, values: dict[str, Any]) -> int:
    """This function will write one row by its whole key, if it is still the version read (0: there is none).

    Returns the new version. Raises Conflict otherwise.
    """
    if version:
        same = [table.c[name] == value for name, value in {**key, "version": version}.items()]
        query: Any = update(table).where(*same).values(version=version + 1, **values)
    else:
        adding: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)
        query = adding.values(version=1, **key, **values).on_conflict_do_nothing()
    if conn.scalar(query.returning(table.c.version)) is None:
        raise Conflict(STALE)
    return version + 1


def check_seen(conn: Connection, entity: str, old: Record, seen: int | None) -> None:
    """This function will raise Conflict, naming who changed what, if the form showed an older version."""
    if seen is None or seen == old.version:
        return
    entity_id = str(old._mapping.get("id") or old._mapping.get("code"))
    raise Conflict(CHANGED, *audit.changes_since(conn, entity, entity_id, seen))
