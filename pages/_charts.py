"""From a frame to a chart whose marks open slices. Specs are built once; data goes in at each run."""

from __future__ import annotations

import functools
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from crm_core.lifecycle import STAGES

#: One colour for a tone everywhere, mid-toned so that it carries on light and on dark.
TONES = {"blue": "#5b8fd6", "violet": "#8f7ad1", "green": "#3f9d6d", "red": "#c9655f", "gray": "#98a2ad"}


def bars(frame: pd.DataFrame, key: str, currency: str) -> dict[str, str] | None:
    """This function will draw horizontal bars stacked by status and return the clicked {key, status}.

    Frame: key, label, status (codes), stage (label), amount (float), shown (text), count.
    """
    event = st.vega_lite_chart(
        frame, _bars(currency), key=key, on_select="rerun", height=132 + 26 * frame["key"].nunique()
    )
    return _picked(event)


def columns(frame: pd.DataFrame, key: str, colour: str, currency: str) -> dict[str, str] | None:
    """This function will draw one column a month and return the clicked {key}. Frame: key, label, amount, shown, count."""
    return _picked(st.vega_lite_chart(frame, _columns(colour, currency), key=key, on_select="rerun", height=200))


def _axis(currency: str) -> alt.Axis:
    """Ticks in crore and lakh for rupees, the same for every viewer; plain numbers otherwise."""
    if currency != "INR":
        return alt.Axis(format="~s", tickCount=4, domain=False)
    short = (
        "datum.value >= 1e7 ? '₹' + format(datum.value / 1e7, '~r') + ' Cr' : "
        "datum.value >= 1e5 ? '₹' + format(datum.value / 1e5, '~r') + ' L' : '₹' + format(datum.value, ',')"
    )
    return alt.Axis(labelExpr=short, tickCount=4, domain=False)


def _picked(event: Any) -> dict[str, str] | None:
    marks = event["selection"].get("pick") if event else None
    return marks[0] if marks else None


def _spec(chart: alt.Chart) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict()
    for name in ("data", "datasets", "config"):
        spec.pop(name, None)
    return spec


@functools.cache
def _bars(currency: str) -> dict[str, Any]:
    pick = alt.selection_point(name="pick", fields=["key", "status"])
    chart = (
        alt.Chart(pd.DataFrame({"key": []}))
        .mark_bar(cursor="pointer", stroke="white", strokeWidth=0.6)
        .encode(
            y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=150, ticks=False, domain=False)),
            x=alt.X("amount:Q", title=None, stack="zero", axis=_axis(currency)),
            color=alt.Color(
                "stage:N",
                title=None,
                scale=alt.Scale(domain=[s.label for s in STAGES], range=[TONES[s.tone] for s in STAGES]),
                legend=alt.Legend(
                    orient="top", columns=3, symbolStrokeWidth=0, labelFontSize=11, columnPadding=8, offset=4
                ),
            ),
            order=alt.Order("rank:Q"),
            opacity=alt.condition(pick, alt.value(1), alt.value(0.45)),
            tooltip=[
                alt.Tooltip("label:N", title=" "),
                alt.Tooltip("stage:N", title="Status"),
                alt.Tooltip("shown:N", title="Value"),
                alt.Tooltip("count:Q", title="Opportunities"),
            ],
        )
        .add_params(pick)
    )
    return _spec(chart)


@functools.cache
def _columns(colour: str, currency: str) -> dict[str, Any]:
    pick = alt.selection_point(name="pick", fields=["key"])
    chart = (
        alt.Chart(pd.DataFrame({"key": []}))
        .mark_bar(cursor="pointer", color=TONES[colour], cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("label:N", title=None, sort=None, axis=alt.Axis(labelAngle=-60, labelOverlap=True, ticks=False)),
            y=alt.Y("amount:Q", title=None, axis=_axis(currency)),
            opacity=alt.condition(pick, alt.value(1), alt.value(0.45)),
            tooltip=[
                alt.Tooltip("label:N", title=" "),
                alt.Tooltip("shown:N", title="Value"),
                alt.Tooltip("count:Q", title="Opportunities"),
            ],
        )
        .add_params(pick)
    )
    return _spec(chart)
