"""Ageing and flow: how far they came, how long they have been where they are, and which are too long."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from crm_core import flow, frames, lifecycle, periods, pipeline
from crm_core.slices import AGES, Slice
from pages._server import plain
from pages._tables import MOST, NOTHING, query, table
from pages._ui import Visitor, counted, link


def ageing(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will show how long the open pipeline has been in its stages, and which are too long."""
    flows(visitor, slice_, code)
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    found = visitor.ask(pipeline.totals, part, by=("status", "age")) if part else pd.DataFrame()
    st.subheader("Days in the present stage")
    if found.empty:
        st.info(NOTHING)
        return
    found = found.sort_values(
        ["status", "age"],
        key=lambda v: v.map({k: n for n, k in enumerate((*lifecycle.STAGE, *AGES))}),
    )
    rows = []
    for status, age, count, value, _won in frames.rows(found):
        there = slice_.narrowed(status=status, age=age)
        said = Slice(age=age).sentence().partition(": ")[2]
        cells = [(lifecycle.STAGE[status].label, None), (said, None), (f"{count:,}", query(there))]
        rows.append([*cells, (visitor.exact(value), query(there))])
    table("age", ("Stage", "In it for", "Opportunities", "Potential value"), rows, (2, 3))
    stale = slice_.narrowed(attention="stale")
    late = visitor.ask(pipeline.listing, stale, "stage_since", 1, MOST) if stale else None
    st.subheader("Too long in their stage")
    if not late or not late.count:
        st.info("None is longer in its stage than its limit, but those with a next step ahead.")
        return
    link(f"All {counted(late.count)} · {visitor.exact(late.value)}", "opportunities", query(stale))
    days = lambda at: (slice_.day() or periods.today()) - periods.in_india(at).date()  # noqa: E731
    table(
        "stale",
        ("Number", "Customer", "Stage", "Days", "Value", "Sales engineer"),
        [
            [
                (row.number, (row.id,)),
                (row.customer, None),
                (lifecycle.STAGE[row.status].label, None),
                (f"{days(row.status_at).days:,}", None),
                (visitor.exact(row.value), None),
                (row.owner, None),
            ]
            for row in frames.rows(late.rows)
        ],
        (3, 4),
    )


def flows(visitor: Visitor, slice_: Slice, code: str) -> None:
    """This function will show how far the opportunities created in the period came, and in how many days."""
    st.subheader(
        plain(f"From Open to the outcome: created in {periods.label(code)}" if code else "From Open to the outcome")
    )
    begun = slice_.narrowed(created=code) if code else slice_
    found = visitor.ask(flow.flow, begun) if begun else None
    if found is None or not found.stages["count"].max():
        st.info(NOTHING)
        return
    rows = [
        [
            (lifecycle.STAGE[row["status"]].label, None),
            (f"{row['count']:,}", query(begun.narrowed(reached=row["status"]))),
            (visitor.exact(row["value"]), query(begun.narrowed(reached=row["status"]))),
            ("–" if row["share"] is None else f"{100 * row['share']:.1f} %", None),
        ]
        for row in found.stages.to_dict("records")
    ]
    table("flow", ("Reached", "Opportunities", "Potential value", "Of all begun"), rows)
    rows = [
        [
            (f"{lifecycle.STAGE[row['from_status']].label} → {lifecycle.STAGE[row['to_status']].label}", None),
            (f"{row['count']:,}", None),
            (f"{row['days']:.0f} days", None),
        ]
        for row in found.moves.to_dict("records")
    ]
    table("moves", ("Move", "How often", "Median time before it"), rows)
