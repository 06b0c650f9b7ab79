"""A streaming replica of the PostgreSQL server: when it may answer a read, and when it is passed over."""

from __future__ import annotations

import threading
import time
from typing import Any

from sqlalchemy import Connection, Engine, event, exc, text

from crm_core import logs, walls
from crm_core.errors import Unavailable

MISPLACED = (
    "CRM_REPLICA_URL must name a streaming replica of the server, the role and the database of CRM_DATABASE_URL."
)
LATEST = 10  # seconds after which the primary is asked anew how far it is: no answer is older than that
PAUSE = 30  # seconds in which a replica that did not answer is not asked
_AWAY = "The replica does not answer; the primary answers reads meanwhile."
_BEHIND = "The replica is behind; the primary answers reads meanwhile."
_AGAIN = "The replica answers reads again."
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
# none where it is no replica, such as one that became a primary of its own
_REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0' WHERE pg_is_in_recovery()"
log = logs.named("crm")


class Replica:
    """What this process knows of a replica: it answers once it has what this process wrote, and what others had."""

    def __init__(self, engine: Engine, primary: Connection) -> None:
        self.engine = engine
        self._cluster = primary.scalar(text(_CLUSTER))
        self._lock = threading.Lock()
        self._writes = 0
        #: how many writes of this process the primary's log held when it was asked, how long it was, and when
        self._mark = (-1, 0, 0.0)
        self._answered, self._again_at, self._said = time.monotonic(), 0.0, ""
        self._listen()

    def wrote(self) -> None:
        """This function will remember that this process may have written: what failed may be saved all the same."""
        with self._lock:
            self._writes += 1

    def connect(self) -> Connection | None:
        """This function will give a connection that sees all it must, or None: then the primary answers."""
        if self._due() or not self._claimed():
            return None
        reached = self._mark[1]
        try:
            conn = self.engine.connect()
        except exc.TimeoutError:
            return None  # all its connections are at work
        except (exc.SQLAlchemyError, Unavailable) as why:
            self._again_at = time.monotonic() + PAUSE
            self._tell(str(why) if isinstance(why, Unavailable) else _AWAY)
            return None
        self._again_at = 0.0
        if conn.info["replayed"] < reached:
            conn.close()
            if time.monotonic() - self._answered > LATEST:
                self._tell(_BEHIND)
            return None
        self._answered = time.monotonic()
        self._tell("")
        return conn

    def note(self, primary: Connection, now: bool) -> None:
        """This function will remember how far the primary is, where that is due or asked. A read of it calls this."""
        if not now and not self._due():
            return
        writes, at = self._writes, time.monotonic()
        # what is not flushed is not sent to a replica; a commit is flushed before anybody sees it
        reached = int(primary.scalar(text("SELECT pg_current_wal_flush_lsn() - '0/0'")) or 0)
        with self._lock:
            self._mark = max(self._mark, (writes, reached, at))

    def dispose(self) -> None:
        """This function will close every connection."""
        self.engine.dispose()

    def _due(self) -> bool:
        writes, _reached, at = self._mark
        return writes != self._writes or time.monotonic() - at > LATEST

    def _claimed(self) -> bool:
        """After a pause one of those who read tries, and the others do not wait with it."""
        with self._lock:
            now = time.monotonic()
            if now < self._again_at:
                return False
            if self._again_at:
                self._again_at = now + PAUSE
            return True

    def _tell(self, sentence: str) -> None:
        with self._lock:
            if sentence == self._said:
                return
            self._said = sentence
        if sentence:
            log.warning(sentence)
        else:
            log.info(_AGAIN)

    def _listen(self) -> None:
        @event.listens_for(self.engine, "connect")
        def _connect(dbapi: Any, _entry: Any) -> None:
            if _scalar(dbapi, _CLUSTER) != self._cluster or not _scalar(dbapi, walls.BINDS):
                dbapi.close()
                raise Unavailable(MISPLACED)

        # Before the transaction, whose snapshot must not be older. It tells as well that the connection still is one.
        @event.listens_for(self.engine, "checkout")
        def _checkout(dbapi: Any, entry: Any, _fairy: Any) -> None:
            try:
                entry.info["replayed"] = int(_scalar(dbapi, _REPLAYED) or -1)
            except self.engine.dialect.loaded_dbapi.Error as why:
                raise exc.InvalidatePoolError from why


def _scalar(dbapi: Any, statement: str) -> Any:
    """One statement in no transaction."""
    row = dbapi.execute(statement).fetchone()
    return row and row[0]
