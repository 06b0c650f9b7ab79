"""The bridge: what moved a part of the pipeline from one day to another, step by step.

A standing and the one before it make one step: what the opportunity adds to the open pipeline of the
slice after the change, less what it added before. The steps between two days therefore add up to
the difference of the two days, by construction. A part that no opportunity moves into or out of sees the steps
of the whole pipeline, which are kept (`steps`); the others are read from the standings.
"""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union,
    union_all,
)

from crm_core import lifecycle, periods, sql
from crm_core.schema import opportunity, standing
from crm_core.slices import DIMENSIONS, Slice
from crm_core.steps import WAS, change, kind
from crm_core.trigrams import among, aside

#: The dimensions that narrow what a list of steps shows; all others say of which part the bridge is.
BESIDE = ("attention", "age", "reached")
_now, _before = standing.alias("now"), standing.alias("before")
_joined = _now.outerjoin(_before, and_(_before.c.id == _now.c.id, _before.c.version == _now.c.version - 1))


def steps(slice_: Slice, of: Select[Any] | CompoundSelect[Any] | list[int] | None = None) -> Subquery:
    """This function will build the steps of a slice's pipeline `during` its periods: id, step (code), change (rupees).

    Of `moved` only, where it is set; up to the end of the day as of which the slice looks; `of` these ids only,
    which are few. A text, a customer and a city are looked for first, so that not all that changed is read.
    """
    part, when = _part(slice_), _when(slice_, _now.c.from_at)
    few: list[ColumnElement[bool]] = [] if of is None else [_now.c.id.in_(of)]
    if part.q:  # by the words of today, whatever it was called
        found = select(opportunity.c.id).where(*Slice(q=part.q, scanned=part.scanned).conditions())
        part, few = part.but(q=None), [*few, among(_now.c.id, found)]
    elif (part.customer or part.city) and of is None:
        ever = select(standing.c.id).where(*Slice(customer=part.customer, city=part.city).conditions(standing))
        few = [among(_now.c.id, ever)]
    if few:
        when = and_(aside(when), *few)
    if part.to_params():
        inside, was_inside = (_held(part, facts) for facts in (_now, _before))
        both = (_now, _before, inside, was_inside)
        every = select(_now.c.id, kind(*both).label("step"), change(*both).label("change")).select_from(_joined)
        made: FromClause = every.where(when, or_(inside, was_inside)).subquery("made")
        when = true()
    else:
        made = _now
    wanted = sql.any_of(made.c.step, list(slice_.moved)) if slice_.moved else made.c.step.is_not(None)
    return select(made.c.id, made.c.step, made.c.change).where(when, wanted).subquery("steps")


def counted(made: FromClause) -> Select[Any]:
    """This function will count the opportunities that made steps of each kind, and sum what these changed: step, count, change."""
    return select(made.c.step, func.count(made.c.id.distinct()).label("count"), _changed(made)).group_by(made.c.step)


def of_kept(slice_: Slice, kept: Select[Any]) -> Select[Any]:
    """This function will make `counted` of the steps of a slice in its one period of what is kept of all of them.

    `kept` (step, count, change) counts each step in the part in which it left the opportunity. An opportunity counts
    once for each kind, so what it made again in the period is taken away. Those that moved into the part or
    out of it are taken away altogether, and read from the standings instead.
    """
    part, during = _part(slice_), [_when(slice_, standing.c.from_at), standing.c.step.is_not(None)]
    begun = min((start for start, _end in _bounds(slice_) if start), default=None)
    again = standing.c.again_at >= begun if begun else standing.c.again_at.is_not(None)
    inside, nothing = part.conditions(standing), literal(0, standing.c.change.type)
    # few made one again: fewer than a part has
    repeated = select(standing.c.step, -func.count(), nothing).where(*during, again, *map(aside, inside))
    told: list[Select[Any]] = [kept, repeated.group_by(standing.c.step)]
    if part.to_params():
        turned = _turned(part, during[0])
        counts = (-func.sum(case((again, 0), else_=1)), -_changed(standing))
        where = (standing.c.id.in_(turned), *map(aside, during), *map(aside, inside))
        told.append(select(standing.c.step, *counts).where(*where).group_by(standing.c.step))
        told.append(counted(steps(slice_, turned)))
    every = union_all(*told).subquery("told")
    count = cast(func.sum(every.c.count), BigInteger).label("count")
    query = select(every.c.step, count, _changed(every)).group_by(every.c.step)
    return query.having(count > 0)


def _turned(part: Slice, during: ColumnElement[bool]) -> CompoundSelect[Any]:
    """The ids of what turned into a part or out of it, read among what turned from another of what the part is named by."""
    was: Any = SimpleNamespace(
        c={name: func.coalesce(standing.c[kept], standing.c[name]) for name, kept in WAS.items()}
    )
    crossed = and_(*part.conditions(standing)) != and_(*part.conditions(was))
    named = [DIMENSIONS[name].column.key for name in part.to_params()]
    return union(*(select(standing.c.id).where(standing.c[WAS[name]].is_not(None), during, crossed) for name in named))


def _part(slice_: Slice) -> Slice:
    return slice_.but(asof=None, moved=None, during=None, **dict.fromkeys(BESIDE))


def _changed(made: FromClause) -> Any:
    return func.sum(made.c.change, type_=standing.c.change.type).label("change")


def _held(part: Slice, facts: Any) -> ColumnElement[bool]:
    return func.coalesce(and_(facts.c.status.in_(lifecycle.PIPELINE), *part.conditions(facts)), False)


def _bounds(slice_: Slice) -> list[tuple[datetime | None, datetime | None]]:
    return [period.bounds() for value in slice_.during if (period := periods.parse(value))]


def _when(slice_: Slice, at: Any) -> ColumnElement[bool]:
    known = _bounds(slice_)
    if slice_.during and not known:
        return literal(False)
    clauses = [or_(*(sql.between(at, *ends) for ends in known))] if known else []
    if slice_.asof:
        day = slice_.day()
        clauses.append(at < periods.midnight(periods.next_day(day)) if day else literal(False))
    return and_(*clauses) if clauses else literal(True)
