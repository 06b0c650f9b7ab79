"""The seal of the audit: a chain of digests over committed rows, made afterwards and in batches.

A chain made inside every transaction would let only one person write at a time, so rows are
sealed later, each once, in the order in which they are found. A row that commits late is sealed
late. The head of the chain, kept outside the database, tells a cut-off tail and a rewritten chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select, text

from crm_core import clock
from crm_core.errors import Invalid
from crm_core.schema import Record, audit, audit_seal

_LOCK = 7_204_061_985  # one sealer at a time on PostgreSQL; on SQLite there is one writer at a time
_COVERED: tuple[str, ...] = ("id", "at", "recorded_at", "by_id", "by_name", "action", "entity", "entity_id", "version")
_COVERED += ("before", "after", "request_id")
START = "0" * 64


@dataclass(frozen=True)
class Head:
    """How far the chain reaches, and the digest there."""

    position: int
    digest: str

    def line(self) -> str:
        """This function will write the head as one line of JSON, to be kept outside the database."""
        return json.dumps({"position": self.position, "digest": self.digest})


@dataclass(frozen=True)
class Verdict:
    """What a verification found: rows sealed, rows still without a seal, and what is wrong first, or ""."""

    sealed: int
    unsealed: int
    wrong: str

    def sentence(self) -> str:
        """This function will say the verdict in one sentence."""
        waiting = f"; newer rows without a seal yet: {self.unsealed:,}" if self.unsealed else ""
        return self.wrong or f"The audit is whole: {self.sealed:,} rows match their seals{waiting}."


def seal(conn: Connection, most: int = 2000) -> int:
    """This function will seal the committed rows that have no seal yet, at most `most`, and say how many.

    In a write transaction of its own, so that no other writer waits for long. Call it until it says 0.
    """
    waiting = _unsealed()
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    else:  # one writer at a time: nothing commits late, and nobody waits while old rows are looked through
        waiting = audit.c.id > select(func.coalesce(func.max(audit_seal.c.audit_id), 0)).scalar_subquery()
    last = head(conn)
    end, digest = (last.position, last.digest) if last else (0, START)
    rows = conn.execute(select(audit).where(waiting).order_by(audit.c.id).limit(most)).all()
    seals = []
    for position, row in enumerate(rows, end + 1):
        digest = _digest(digest, row)
        seals.append({"position": position, "audit_id": row.id, "digest": digest, "sealed_at": clock.now(conn)})
    if seals:
        conn.execute(insert(audit_seal), seals)
    return len(seals)


def head(conn: Connection) -> Head | None:
    """This function will give the end of the chain, or None before the first seal."""
    row = conn.execute(select(audit_seal).order_by(audit_seal.c.position.desc()).limit(1)).one_or_none()
    return Head(row.position, row.digest) if row else None


def read_heads(lines: Iterable[str]) -> list[Head]:
    """This function will read exported heads, one line of JSON each. Raises Invalid, naming the line."""
    heads = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                told = json.loads(line)
                heads.append(Head(int(told["position"]), str(told["digest"])))
            except (ValueError, KeyError, TypeError):
                raise Invalid(f"Line {number} of the file of heads is not a head of the audit.") from None
    return heads


def verify(conn: Connection, heads: Iterable[Head] = ()) -> Verdict:
    """This function will recompute the chain and name the first row that was changed, removed or moved.

    Rows that were removed together with their seals at the end, and a chain that was made anew,
    are found only by comparing with `heads` that were exported before.
    """
    unsealed = conn.scalar(select(func.count()).select_from(audit).where(_unsealed())) or 0
    wanted = {known.position: known.digest for known in heads}
    position, digest = 0, START
    query = (
        select(audit_seal.c.position, audit_seal.c.audit_id, audit_seal.c.digest, *_columns())
        .outerjoin(audit, audit.c.id == audit_seal.c.audit_id)
        .order_by(audit_seal.c.position)
    )
    for row in conn.execute(query, execution_options={"yield_per": 1000}):
        if row.position != position + 1:
            return Verdict(position, unsealed, f"The seal at position {position + 1:,} is missing.")
        if row.id is None:
            return Verdict(position, unsealed, f"Audit row {row.audit_id} (position {row.position:,}) is missing.")
        digest = _digest(digest, row)
        if digest != row.digest:
            return Verdict(position, unsealed, f"{_named(row)} does not match its seal: changed or out of place.")
        if wanted.get(row.position, digest) != digest:
            said = f"The chain up to position {row.position:,} is not the one whose head was exported."
            return Verdict(position, unsealed, said)
        position = row.position
    if wanted and max(wanted) > position:
        said = f"The newest rows were cut off: a head of position {max(wanted):,} was exported, the chain ends at "
        return Verdict(position, unsealed, f"{said}{position:,}.")
    return Verdict(position, unsealed, "")


def _unsealed() -> Any:
    return ~exists().where(audit_seal.c.audit_id == audit.c.id)


def _columns() -> list[Any]:
    return [audit.c[name] for name in _COVERED]


def _digest(before: str, row: Record) -> str:
    told = {name: _plain(getattr(row, name)) for name in _COVERED}
    return hashlib.sha256((before + json.dumps(told, sort_keys=True, separators=(",", ":"))).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _named(row: Record) -> str:
    at = _plain(row.recorded_at)
    return f"Audit row {row.id} (position {row.position:,}, {row.action} of {row.entity} {row.entity_id}, {at})"
