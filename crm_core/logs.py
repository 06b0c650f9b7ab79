"""The log: one JSON line an entry, so that nothing that people entered can split or colour it.

No entry holds what people entered: an error is logged by its kind and the lines of the program it
went through, never by a message that may quote a value, and of a library's entries only the unfilled sentence.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime


def named(name: str) -> logging.Logger:
    """This function will give a logger that writes to standard error, one JSON line an entry."""
    log = logging.getLogger(name)
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine())
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


def everything() -> None:
    """This function will write the entries of every library so too, of present loggers and of later ones."""
    logging.setLoggerClass(_Foreign)
    logging.captureWarnings(True)
    if not logging.root.handlers:
        logging.root.addHandler(logging.StreamHandler())
    for log in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in log.handlers if isinstance(log, logging.Logger) else ():
            if not isinstance(handler.formatter, _OneLine):
                handler.setFormatter(_Unfilled())


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"at": at, "level": record.levelname.lower(), "logger": record.name, "said": self.said(record)}
        if record.exc_info and record.exc_info[1]:
            said["error"] = _kinds(record.exc_info[1])
        return json.dumps(said)

    def said(self, record: logging.LogRecord) -> str:
        return record.getMessage()


class _Unfilled(_OneLine):
    def said(self, record: logging.LogRecord) -> str:
        return str(record.msg)


class _Foreign(logging.Logger):
    def addHandler(self, handler: logging.Handler) -> None:
        if not isinstance(handler.formatter, _OneLine):
            handler.setFormatter(_Unfilled())
        super().addHandler(handler)


def _kinds(error: BaseException) -> str:
    """The error, what caused it, and so on: kinds and lines of the program, last the one that was raised."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(lines) < 200:
        frames = traceback.extract_tb(seen.__traceback__)
        lines = [
            f"{type(seen).__qualname__} {_safe(seen)}".strip(),
            *(f"  {f.filename}:{f.lineno} {f.name}: {f.line}" for f in frames),
            *lines,
        ]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines)


def _safe(error: BaseException) -> str:
    """What of an error's message quotes no value: SQLite names tables and columns, PostgreSQL has its code."""
    return str(error) if type(error).__module__ == "sqlite3" else str(getattr(error, "sqlstate", None) or "")
