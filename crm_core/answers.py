"""Answers kept while nothing changes: what a person asked before is read anew only once somebody saved something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sized
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection, exc

#: what says that somebody saved something, whatever it was: of two equal ones the database looks the same
_STATE = {
    "sqlite": "PRAGMA data_version",
    # a server that was put back to an earlier day may count the same transactions again
    "postgresql": "SELECT pg_current_snapshot()::text || pg_postmaster_start_time()::text",
}
MOST = 500  # answers
LARGEST = 1_000  # rows of one, or values
PAUSE = 10  # seconds after which a database that did not answer is asked for its state again


class Answers:
    """What was answered in the present state of the database and the present minute, for ages and days go on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._watch: PoolProxiedConnection | None = None
        self._again_at = 0.0
        self._state: Hashable = None
        self._kept: dict[Hashable, Any] = {}

    def to(self, question: Hashable, read: Callable[[], Any]) -> Any:
        """This function will give the answer to a question: the one before, or what `read` gives now.

        Whoever gets an answer leaves it as it is: others get the same one. What `read` raises is not kept.
        """
        kept = self._present()
        if kept is None or not _valued(question):
            return read()
        if question in kept:
            return kept[question]
        answer = read()  # no older than the state asked for before it
        if len(kept) < MOST and (not isinstance(answer, Sized) or len(answer) <= LARGEST):
            kept[question] = answer
        return answer

    def dispose(self) -> None:
        """This function will close the connection that asks for the state."""
        with self._lock:
            self._unwatch()

    def _present(self) -> dict[Hashable, Any] | None:
        """The answers of the present state; none are kept while the database does not tell it."""
        with self._lock:
            if time.monotonic() < self._again_at:
                return None
            try:
                state = (self._asked(), datetime.now(UTC).replace(second=0, microsecond=0))
            except (exc.SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
                self._unwatch()
                self._again_at = time.monotonic() + PAUSE
                return None
            if state != self._state:
                self._state, self._kept = state, {}
            return self._kept

    def _asked(self) -> Any:
        # always the same connection: SQLite counts what others saved since it was opened
        if self._watch is None:
            self._watch = self._engine.raw_connection()
        return self._driver.execute(_STATE[self._engine.dialect.name]).fetchone()[0]

    @property
    def _driver(self) -> Any:
        return self._watch and self._watch.driver_connection

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.invalidate()
            self._watch = None


def fixed(given: Any) -> Any:
    """This function will give what a verb is given as a part of a question: lists and dicts by their values."""
    if isinstance(given, Mapping):
        return tuple((name, fixed(value)) for name, value in given.items())
    if isinstance(given, (list, tuple, set)):
        return (type(given).__name__, *map(fixed, given))
    return given


def _valued(question: Hashable) -> bool:
    try:
        hash(question)
    except TypeError:  # something in it is told from others by being itself alone
        return False
    return True
