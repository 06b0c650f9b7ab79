"""Targets: what a region or a sales engineer is to win in a month, a quarter or a financial year.

The target of a period is the one set for it, else the sum of those set for the quarters and
months inside it, else none. Achieved is the won value of what was won in the period.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import Connection, select

from crm_core import audit, fields, frames, lifecycle, periods, pipeline, records, settings, users
from crm_core.access import Actor, Person, person, require, targets_visible_to
from crm_core.commands import CHANGED, command, put
from crm_core.errors import Conflict, Invalid, Problems, Sentence
from crm_core.periods import Period
from crm_core.schema import Record, app_user, target
from crm_core.slices import DIMENSIONS, Slice

#: What a target can be about, by the dimension of Slice that it is.
KINDS = {"region": "Regions", "owner": "Sales engineers"}
COLUMNS = ["about", "label", "target", "achieved", "count", "share", "note"]
UNFIT = "Targets are set for a month, a quarter or a financial year; choose one."
_Kept = dict[tuple[Any, ...], Record]


@dataclass(frozen=True)
class Target:
    """One row to edit: whom it is about, the amount set (rupees; None: none), the sum of smaller periods, and its version."""

    about: str
    label: str
    amount: Decimal | None
    summed: Decimal | None
    note: str
    version: int


def listing(conn: Connection, actor: Actor, kind: str, code: str) -> list[Target]:
    """This function will read the targets of a kind for a period, a row for everybody who can have one, to be changed.

    Raises NotAllowed; Invalid for an unknown kind or a period that can have no targets.
    """
    asking = require(conn, actor, "targets.change")
    return _rows(conn, asking, kind, _period(kind, code))


@command
def set_many(
    conn: Connection,
    actor: Actor,
    kind: str,
    code: str,
    amounts: Mapping[str, Any],
    *,
    seen: Mapping[str, int] | None = None,
) -> int:
    """This function will set targets of a period (region's code or user's id → amount; empty: none) and count the changed.

    `seen` are the versions that the table showed. Raises NotAllowed, Invalid (all problems at once,
    each with what it is about as its field), Conflict with what changed.
    """
    asking = require(conn, actor, "targets.change")
    period, problems = _period(kind, code), Problems()
    known = {row.about: row for row in _rows(conn, asking, kind, period)}
    form = {about: fields.Field(row.label, fields.amount) for about, row in known.items()}
    wanted = fields.read(form, {str(about): raw for about, raw in amounts.items()}, problems, partial=True)
    problems.stop()
    changed = {about: amount for about, amount in wanted.items() if amount != known[about].amount}
    ids = {about: f"{kind}:{about}:{period.code()}" for about in changed}
    late = [about for about in changed if seen is not None and seen.get(about, 0) != known[about].version]
    if late and seen is not None:
        said = ((a, m) for a in late for m in audit.changes_since(conn, "target", ids[a], seen.get(a, 0)))
        raise Conflict(CHANGED, *(Sentence(f"{known[about].label}: {m}", about) for about, m in said))
    for about, amount in changed.items():
        row = known[about]
        key = {"kind": kind, "about": about, "first_on": period.first, "after_on": period.after}
        version = put(conn, target, key, row.version, {"amount": amount})
        before, after = {"amount": row.amount}, {"amount": amount}
        audit.write(conn, actor, asking, "set_target", "target", ids[about], version, before, after)
    return len(changed)


def achieved(conn: Connection, actor: Actor, kind: str, slice_: Slice, code: str = "") -> pd.DataFrame:
    """This function will set target against achieved for a period (none: all time), by region or by sales engineer.

    Frame: about (key), label, target (Decimal rupees; None: not set), achieved (won value won in the
    period), count, share (Decimal percent of the target, above 100 too; None without one), note.
    Whoever sees only their own reads their own row of sales engineers, and no target of a region.
    """
    asking = person(conn, actor)
    part = _won(slice_, code)
    won = pipeline.totals(conn, actor, part, by=kind) if part else pd.DataFrame(columns=[kind, *pipeline.MEASURES])
    sums = {about: (won_value, count) for about, count, _value, won_value in frames.rows(won)}
    labels = _labels(conn, kind, sums)
    shown = _shown(asking, kind, slice_, labels)
    period = periods.parse(code)
    fits = periods.parts(period) is not None and not _others(slice_, kind)
    kept = _kept(conn, asking, kind, period) if fits and period else {}
    rows = []
    for about in shown:
        amount, months = _amount(kept, about, period) if fits and period else (None, 0)
        value, count = sums.get(about, (Decimal(0), 0))
        share = value * 100 / amount if amount else None
        rows.append((about, labels[about], amount, value, count, share, _note(period, months)))
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)


def headline(conn: Connection, actor: Actor, slice_: Slice, codes: Sequence[str]) -> list[tuple[Decimal | None, str]]:
    """This function will give the target of a slice for each period in rupees, or None, and say in a sentence why.

    It is the sum over the regions chosen, or over all; over the sales engineers where the slice names
    some; whoever sees only their own has their own.
    """
    asking = person(conn, actor)
    own = not asking.may("opportunity.see_all")
    kind = "owner" if own or slice_.owner else "region"
    if others := _others(slice_, kind):
        what = " and ".join(DIMENSIONS[name].label.lower() for name in others)
        whose = "regions" if kind == "region" else "sales engineers"
        return [
            (None, f"Targets are set for whole {whose}; with a filter of {what} there is none to compare with.")
        ] * len(codes)
    known = {code: period for code in codes if (period := periods.parse(code)) and periods.parts(period) is not None}
    kept = _kept(conn, asking, kind, *known.values()) if known else {}
    labels = _labels(conn, kind, {about for about, *_ in kept})
    shown, able = _shown(asking, kind, slice_, labels), {about for about, *_ in kept}
    found = []
    for code in codes:
        given = {a: _amount(kept, a, known[code]) for a in shown if a in able} if code in known else {}
        amounts = [amount for amount, _months in given.values() if amount is not None]
        if not code:
            why = "There is no target for all time; choose a month, a quarter or a financial year."
        elif code not in known:
            why = "Targets are set for months, quarters and financial years; this period is none of them."
        elif not amounts:
            why = f"No target is set for {periods.label(code)}."
        else:
            of = f"Sum of the targets set: {len(amounts)} of {len(shown)} {KINDS[kind].lower()} have one."
            notes = ((about, _note(known[code], months)) for about, (_, months) in given.items())
            why = " ".join(["Your own target." if own else of, *(f"{labels[a]}: {n}." for a, n in notes if n)])
        found.append((sum(amounts, Decimal(0)) if amounts else None, why))
    return found


def measured(asking: Person, slice_: Slice) -> Slice | None:
    """This function will give the part of a slice whose wins count against its target: of a person's own target their own."""
    own = asking.may("opportunity.see_own") and not asking.may("opportunity.see_all")
    return slice_.narrowed(owner=str(asking.id)) if own else slice_


def titles(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
    """This function will name targets by their ids in the audit: region:coimbatore:2026-04 → Coimbatore, Apr 2026."""
    told = {}
    for found in ids:
        match = re.fullmatch(r"(?:(region):(\w+)|(owner):([1-9]\d{0,17})):([\w-]+)", found, re.ASCII)
        if match:
            kind, about = (match[1], match[2]) if match[1] else (match[3], match[4])
            told[found] = f"{_labels(conn, kind, [about]).get(about) or about}, {periods.label(match[5])}"
    return told


def _won(slice_: Slice, code: str) -> Slice | None:
    return slice_.narrowed(status=lifecycle.WON, **({"closed": code} if code else {}))


def _shown(asking: Person, kind: str, slice_: Slice, labels: Iterable[str]) -> list[str]:
    """Whose target a slice asks for; whoever sees only their own asks for no colleague's."""
    chosen = getattr(slice_, kind)
    own = kind == "owner" and not asking.may("opportunity.see_all")
    return [about for about in labels if (not chosen or about in chosen) and (not own or about == str(asking.id))]


def _others(slice_: Slice, kind: str) -> list[str]:
    """What else than the regions, or the sales engineers, a slice is filtered by: then it is only a part of theirs."""
    return [name for name in slice_.to_params() if name not in (kind, "asof")]


def _period(kind: str, code: str) -> Period:
    if kind not in KINDS:
        raise Invalid("There are no such targets; choose one of " + ", ".join(KINDS) + ".")
    period = periods.parse(code) if isinstance(code, str) else None
    if period is None or periods.parts(period) is None:
        raise Invalid(UNFIT)
    return period


def _rows(conn: Connection, asking: Person, kind: str, period: Period) -> list[Target]:
    kept = _kept(conn, asking, kind, period)
    rows = []
    for about, label in _labels(conn, kind, {about for about, *_ in kept}).items():
        row = kept.get((about, period.first, period.after))
        parts = [_amount(kept, about, part) for part in periods.parts(period) or ()]
        given = [amount for amount, _ in parts if amount is not None]
        note = _note(period, sum(months for _, months in parts))
        summed = sum(given, Decimal(0)) if given else None
        rows.append(Target(about, label, row.amount if row else None, summed, note, row.version if row else 0))
    return rows


def _kept(conn: Connection, asking: Person, kind: str, *spans: Period) -> _Kept:
    """The targets set from the first day of the periods to the last, those that the person may see."""
    first, after = min(s.first for s in spans if s.first), max(s.after for s in spans if s.after)
    inside = (target.c.first_on >= first, target.c.after_on <= after)
    found = conn.execute(select(target).where(target.c.kind == kind, *inside, targets_visible_to(asking)))
    return {(row.about, row.first_on, row.after_on): row for row in found}


def _amount(kept: _Kept, about: str, period: Period) -> tuple[Decimal | None, int]:
    """The target of a period, and how many of its months it covers."""
    row = kept.get((about, period.first, period.after))
    if row is not None and row.amount is not None:
        return row.amount, _months(period)
    parts = [_amount(kept, about, part) for part in periods.parts(period) or ()]
    given = [amount for amount, _ in parts if amount is not None]
    return (sum(given, Decimal(0)) if given else None), sum(months for _, months in parts)


def _months(period: Period | None) -> int:
    parts = periods.parts(period)
    return sum(map(_months, parts)) if parts else 1


def _note(period: Period | None, months: int) -> str:
    return f"{months} of {_months(period)} months set" if 0 < months < _months(period) else ""


def _labels(conn: Connection, kind: str, also: Iterable[str]) -> dict[str, str]:
    """Who can have a target, and who had one or won, by name: the active regions in their order, the people who may own."""
    if kind == "region":
        entries = settings.entries(conn, "region")
        known, active = {e.code: e.label for e in entries}, {e.code: e.label for e in entries if e.active}
        return active | {code: known.get(code, code) for code in sorted(also) if code not in active}
    able = users.able_to_own(conn)
    if others := {int(i) for i in also} - able.keys():
        known = records.people(conn, app_user.c.id.in_(sorted(others | able.keys())))
        able = {i: known[i] for i in (*able, *(i for i in known if i in others))}
    return {str(i): name for i, name in able.items()}
