"""The breakdowns: a bar, and a table of links of the same numbers, by one dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import frames, periods, pipeline
from crm_core.slices import DIMENSIONS, Slice
from pages import _charts
from pages._tables import MOST, NOTHING, query, switch, table
from pages._ui import Visitor, counted, onward

ORDERS = {"value": "Value", "won_value": "Won value", "win": "Win %", "count": "Count", "label": "Name"}


def breakdown(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will break the slice down by a chosen dimension: a bar, and a table of links of the same numbers."""
    by = kept.get("by", "region") if kept.get("by", "region") in pipeline.BREAKDOWNS else "region"
    sort = kept.get("sort", "value") if kept.get("sort", "value") in ORDERS else "value"
    here = slice_.to_params() | dict(kept)
    choosing, ordering = st.columns([4, 1], vertical_alignment="bottom")
    with choosing:
        switch(
            "By",
            pipeline.BREAKDOWNS,
            by,
            lambda name: "Month" if name == "created" else DIMENSIONS[name].label,
            here,
            "by",
        )
    with ordering:
        switch("Order", list(ORDERS), sort, lambda name: f"Order: {ORDERS[name]}", here, "sort", st.selectbox)
    labels = visitor.ask(pipeline.choices, by)
    found = visitor.ask(pipeline.breakdown, slice_, by, code)
    found = found.assign(label=[periods.label(k) if by == "created" else labels.get(k, k) for k in found["key"]])
    if found.empty:
        st.info(NOTHING)
        return
    found = _ordered(found, sort, by)
    won = sort in ("won_value", "win")
    measure = "won_value" if won else "value"
    marks = [
        {
            **{"key": row["key"], "label": row["label"], "amount": float(row[measure])},
            **{"shown": visitor.compact(row[measure]), "said": counted(row["won" if won else "count"])},
        }
        for row in found.head(MOST if by != "created" else 36).to_dict("records")
    ]
    parts = pipeline.parts(slice_, by, code)
    st.subheader(f"{'Won value' if won else 'Potential value'} by {_named(by)}")
    height = 30 + 26 * len(marks)
    tone = "green" if won else "blue"
    picked = _charts.draw(
        _charts.ranked, marks, f"by-{by}-{hash((slice_, code, sort))}", height, visitor.currency, tone
    )
    if picked:
        onward("opportunities", _cell(parts, measure, picked["key"]))
    rows = [
        [
            (row.label, _cell(parts, "value", row.key)),
            (f"{row.count:,}", _cell(parts, "value", row.key)),
            (visitor.exact(row.value), _cell(parts, "value", row.key)),
            (f"{row.won:,} · {visitor.exact(row.won_value)}", _cell(parts, "won_value", row.key)),
            (f"{row.lost:,} · {visitor.exact(row.lost_value)}", _cell(parts, "lost", row.key)),
            ("–" if row.win is None else f"{row.win:.1f} %", None),
        ]
        for row in frames.rows(found)
    ]
    table("by", (_named(by).capitalize(), "Opportunities", "Potential value", "Won", "Lost", "Win %"), rows)


def _cell(parts: Mapping[str, tuple[str, Slice | None]], measure: str, key: str) -> dict[str, Any] | None:
    dimension, part = parts[{"value": "made", "won_value": "won", "lost": "lost"}[measure]]
    return query(part.narrowed(**{dimension: key}) if part else None, measure)


def _ordered(found: pd.DataFrame, sort: str, by: str) -> pd.DataFrame:
    if by == "created" and sort == "value":
        return found.sort_values("key", ascending=False)
    if sort == "label":
        return found.sort_values("label", key=lambda names: names.str.casefold())
    return found.sort_values(
        sort, ascending=False, key=lambda v: v.map(lambda x: -1 if x is None else x), kind="stable"
    )


def _named(by: str) -> str:
    return "month" if by == "created" else DIMENSIONS[by].label.lower()
