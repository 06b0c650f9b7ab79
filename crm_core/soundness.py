"""Whether a SQLite file is whole: it is read through beside everything else, because a large one takes seconds."""

from __future__ import annotations

import sqlite3
import threading

from crm_core import logs
from crm_core.errors import Unavailable

DAMAGED = "The database {place} is damaged; restore a backup."
AT_ONCE = 0.5  # seconds that a start waits for the end of the reading
_WHOLE = "PRAGMA quick_check(1)"
log = logs.named("crm")


class Check:
    """One reading of a whole file, in a thread and on a connection of its own."""

    def __init__(self, place: str) -> None:
        self._place, self._damaged, self._late = place, False, False
        self._conn = sqlite3.connect(place, check_same_thread=False)
        self._thread = threading.Thread(target=self._read, name="crm-check", daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        """This function will wait for the end, at most so many seconds. Raises Unavailable for a file found damaged."""
        self._thread.join(seconds)
        self._late = True
        self.refuse()

    def refuse(self) -> None:
        """This function will raise Unavailable once the file was found damaged."""
        if self._damaged:
            raise Unavailable(DAMAGED.format(place=self._place))

    def stop(self) -> None:
        """This function will end the reading, wherever it is."""
        while self._thread.is_alive():
            self._conn.interrupt()  # does nothing before the statement has begun
            self._thread.join(0.02)
        self._conn.close()

    def _read(self) -> None:
        try:
            self._damaged = self._conn.execute(_WHOLE).fetchone() != ("ok",)
        except sqlite3.Error as why:
            # of other faults whoever reads or saves hears by themselves
            self._damaged = why.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))
        if self._damaged and self._late:
            log.error(DAMAGED.format(place=self._place))
