"""The bridge: what moved a part of the pipeline from one day to another, step by step.

A standing and the one before it make one step: what the opportunity adds to the open pipeline of the
slice after the change, less what it added before. The steps between two days therefore add up to
the difference of the two days, by construction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, literal, or_, select, type_coerce

from crm_core import lifecycle, periods, sql
from crm_core.schema import standing
from crm_core.slices import Slice

#: The kinds of steps, by code, in the order of the chart.
STEPS = {
    "new": "New",
    "reopened": "Reopened",
    "increased": "Increased",
    "moved_in": "Moved in",
    "decreased": "Decreased",
    **{stage.code: stage.label for stage in lifecycle.STAGES if stage.closed},
    "moved_out": "Moved out",
}
#: The dimensions that narrow what a list of steps shows; all others say of which part the bridge is.
BESIDE = ("attention", "age", "reached")


def steps(slice_: Slice) -> Subquery:
    """This function will build the steps of a slice's pipeline `during` its periods: id, step (code), change (rupees).

    Of `moved` only, where it is set; up to the end of the day as of which the slice looks.
    """
    now, before = standing.alias("now"), standing.alias("before")
    part = slice_.but(asof=None, moved=None, during=None, **dict.fromkeys(BESIDE))
    inside, was_inside = (_inside(part, facts) for facts in (now, before))
    nothing = literal(0, now.c.value.type)
    added = case((inside, now.c.value), else_=nothing) - case((was_inside, before.c.value), else_=nothing)
    change = type_coerce(added, now.c.value.type)
    step = case(
        (and_(inside, was_inside, now.c.value > before.c.value), "increased"),
        (and_(inside, was_inside, now.c.value < before.c.value), "decreased"),
        (and_(inside, was_inside), None),
        (and_(inside, before.c.id.is_(None)), "new"),
        (and_(inside, before.c.status.not_in(lifecycle.PIPELINE)), "reopened"),
        (inside, "moved_in"),
        (and_(was_inside, now.c.status.in_(lifecycle.PIPELINE)), "moved_out"),
        (was_inside, now.c.status),
    )
    joined = now.outerjoin(before, and_(before.c.id == now.c.id, before.c.version == now.c.version - 1))
    found = select(now.c.id, step.label("step"), change.label("change")).select_from(joined).where(_when(slice_, now))
    made = found.where(or_(inside, was_inside)).subquery("made")
    wanted: ColumnElement[bool] = made.c.step.is_not(None)
    if slice_.moved:
        wanted = sql.any_of(made.c.step, list(slice_.moved))
    return select(made).where(wanted).subquery("steps")


def _inside(part: Slice, facts: Any) -> ColumnElement[bool]:
    held = and_(facts.c.status.in_(lifecycle.PIPELINE), *part.conditions(facts))
    return func.coalesce(held, False)


def _when(slice_: Slice, now: Any) -> ColumnElement[bool]:
    known = [period for value in slice_.during if (period := periods.parse(value))]
    if slice_.during and not known:
        return literal(False)
    clauses = [or_(*(sql.between(now.c.from_at, *period.bounds()) for period in known))] if known else []
    if slice_.asof:
        day = slice_.day()
        clauses.append(now.c.from_at < periods.midnight(periods.next_day(day)) if day else literal(False))
    return and_(*clauses) if clauses else literal(True)
