"""The log: one JSON line an entry, so that nothing that people entered can split or colour it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime


def named(name: str) -> logging.Logger:
    """This function will give a logger that writes to standard error, one JSON line an entry."""
    log = logging.getLogger(name)
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine())
        log.addHandler(handler)
        log.propagate = False
    return log


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"at": at, "level": record.levelname.lower(), "logger": record.name, "said": record.getMessage()}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)
