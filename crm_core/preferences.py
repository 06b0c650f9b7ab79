"""The few facts a database keeps about itself: its currency, whether it is a trial, its rules."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, insert, select, update

from crm_core.schema import setting

#: The database's currency: INR, or "" for plain numbers.
CURRENCY = select(func.coalesce(func.max(setting.c.value), "INR")).where(setting.c.key == "currency")
_STORED = select(setting.c.value).where(setting.c.key == bindparam("found"))


def stored(conn: Connection, key: str) -> str | None:
    """This function will read one fact, or None."""
    return conn.scalar(_STORED, {"found": key})


def store(conn: Connection, key: str, value: str) -> None:
    """This function will keep one fact."""
    if conn.execute(update(setting).where(setting.c.key == key).values(value=value)).rowcount == 0:
        conn.execute(insert(setting).values(key=key, value=value))


def currency(conn: Connection) -> str:
    """This function will name the database's currency: INR, or "" for plain numbers."""
    return str(conn.scalar(CURRENCY))


def is_trial(conn: Connection) -> bool:
    """This function will tell whether the database is marked as a trial (by `demo` or `import`)."""
    return stored(conn, "trial") == "yes"
