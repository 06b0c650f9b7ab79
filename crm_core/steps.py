"""Steps: what one change of an opportunity was to the open pipeline, seen from all of it or from a part.

The database keeps it with each standing (`rules.EFFECTS`), as a step of the whole company's pipeline; what a
part sees otherwise, because an opportunity moved into it or out of it, `bridge` reads row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, literal_column, type_coerce

from crm_core import lifecycle
from crm_core.schema import TURNS, standing

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
#: Of each kind of parts, the one that an opportunity turned from; nothing where it did not turn.
WAS = {name: f"was_{name}" for name in TURNS}
#: What is kept of a step: its kind, what it adds to the open pipeline, when the opportunity last made one of that
#: kind, and what it turned from.
COLUMNS = ("step", "change", "again_at", *WAS.values())


def kind(now: Any, before: Any, inside: ColumnElement[bool], was_inside: ColumnElement[bool]) -> ColumnElement[str]:
    """This function will name the step from one standing to the next of those that are inside a part, or were; or null."""
    return case(
        (and_(inside, was_inside, now.c.value > before.c.value), "increased"),
        (and_(inside, was_inside, now.c.value < before.c.value), "decreased"),
        (and_(inside, was_inside), None),
        (and_(inside, before.c.id.is_(None)), "new"),
        (and_(inside, before.c.status.not_in(lifecycle.PIPELINE)), "reopened"),
        (inside, "moved_in"),
        (and_(was_inside, now.c.status.in_(lifecycle.PIPELINE)), "moved_out"),
        (was_inside, now.c.status),
    )


def change(now: Any, before: Any, inside: ColumnElement[bool], was_inside: ColumnElement[bool]) -> ColumnElement[Any]:
    """This function will give what the step adds to the open pipeline of a part, in rupees."""
    nothing = literal_column("0", now.c.value.type)
    added = case((inside, now.c.value), else_=nothing) - case((was_inside, before.c.value), else_=nothing)
    return type_coerce(added, now.c.value.type)


def told(course: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """This function will give the standings of one opportunity, in order, each with what is kept of its step."""
    before: Mapping[str, Any] | None = None
    last: dict[str, Any] = {}
    for now in course:
        step, added = _told(before, now)
        was = before or now
        yield {
            **now,
            "step": step,
            "change": added,
            "again_at": last.get(step) if step else None,
            **{kept: None if was[name] == now[name] else was[name] for name, kept in WAS.items()},
        }
        before = now
        if step:
            last[step] = now["from_at"]


def _told(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> tuple[str | None, Any]:
    inside, was_inside = (facts is not None and facts["status"] in lifecycle.PIPELINE for facts in (now, before))
    if before is None:
        return ("new", now["value"]) if inside else (None, None)
    if inside and was_inside:
        added = now["value"] - before["value"]
        return (("increased" if added > 0 else "decreased"), added) if added else (None, None)
    if inside:
        return "reopened", now["value"]
    return (now["status"], -before["value"]) if was_inside else (None, None)


def _kept() -> dict[str, str]:
    new: Any = SimpleNamespace(
        c=SimpleNamespace(**{c.key: literal_column(f"NEW.{c.name}", c.type) for c in standing.c})
    )
    was: FromClause = standing.alias("was")
    both = (new, was, *(facts.c.status.in_(lifecycle.PIPELINE) for facts in (new, was)))
    turned = {kept: func.nullif(was.c[name], getattr(new.c, name)) for name, kept in WAS.items()}
    found = {"step": kind(*both), "change": change(*both), **turned}
    return {name: str(each.compile(compile_kwargs={"literal_binds": True})) for name, each in found.items()}


#: What the step of an update is, in SQL, of the row NEW and the standing `was` before it; alike on both databases.
KEPT = _kept()
