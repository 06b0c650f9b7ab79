"""The dashboard as a workbook: what it shows, with its URL, scope, day and definitions; needs `export`."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from crm_core import clock, exports, frames, headline, periods, pipeline, preferences, sheets, steps, trends
from crm_core.access import Actor, require
from crm_core.slices import DIMENSIONS, Slice

_HEADLINE = ("Figure", "Value", "Unit", "Before", "Change since", "Opportunities", "Meaning")
_MOVED = ("Step", "Opportunities", "Change of the pipeline")
_UNITS = {"money": "rupees", "percent": "percent", "days": "days", "count": "opportunities"}


def dashboard(conn: Connection, actor: Actor, slice_: Slice, code: str = "", url: str = "") -> bytes:
    """This function will write the dashboard of a slice and period as a workbook, and record that.

    A cover (URL, who, scope, selection, period, as-of, time, count, totals), the headline, the bridge
    and every breakdown; totals equal the screen. Raises NotAllowed. The caller's transaction must write.
    """
    asking = require(conn, actor, "export")
    said = slice_.sentence(pipeline.names(conn, actor, slice_))
    whole = pipeline.series(conn, actor, [slice_])[0]
    span = headline.span(slice_, code)
    moved = trends.movement(conn, actor, slice_, span)
    told: list[tuple[Any, ...]] = [(steps.STEPS[s], count, change) for s, count, change in frames.rows(moved.steps)]
    figures = [_figure(f) for f in headline.figures(conn, actor, slice_, code)]
    named: dict[str, sheets.Sheet] = {
        "Headline": (_HEADLINE, figures),
        "What moved": (
            _MOVED,
            [("Opening", None, moved.opening_value), *told, ("Closing", None, moved.closing_value)],
        ),
    }
    for by in pipeline.BREAKDOWNS:
        title = "Month" if by == "created" else DIMENSIONS[by].label
        headings = (title, "Opportunities", "Potential value", "Won", "Won value", "Lost", "Lost value", "Win %")
        named[f"By {title.lower()}"] = (headings, _broken_down(conn, actor, slice_, by, code))
    cover: list[tuple[str, sheets.Cell]] = [
        ("Link", url),
        ("Exported by", asking.name),
        ("Scope", exports.scope(asking)),
    ]
    cover += [("Selection", said), ("Period", periods.label(code) if code else "all time")]
    cover += [("What moved", periods.label(span))]
    cover += [("As of", periods.day(slice_.day()) or "now"), ("Exported (IST)", clock.now(conn))]
    cover += [("Opportunities", whole.count), ("Potential value", whole.value), ("Won value", whole.won_value)]
    exports.on_record(conn, actor, asking, "dashboard", slice_.sentence(), whole.count)
    return sheets.workbook(named, cover, preferences.currency(conn))


def _figure(figure: headline.Figure) -> tuple[Any, ...]:
    as_number = functools.partial(round, ndigits=2) if figure.kind == "money" else _number
    value, before = (None if v is None else as_number(v) for v in (figure.value, figure.before))
    return (figure.label, value, _UNITS[figure.kind], before, figure.since, figure.count, figure.meaning)


def _number(value: Decimal) -> float:
    """Days, percent or a count, to one place."""
    return float(round(value, 1))


def _broken_down(conn: Connection, actor: Actor, slice_: Slice, by: str, code: str) -> Iterator[tuple[Any, ...]]:
    labels = pipeline.choices(conn, actor, by)
    for row in pipeline.breakdown(conn, actor, slice_, by, code).to_dict("records"):
        name = periods.label(row["key"]) if by == "created" else labels.get(row["key"], row["key"])
        win = None if row["win"] is None else _number(row["win"])
        yield (name, row["count"], row["value"], row["won"], row["won_value"], row["lost"], row["lost_value"], win)
