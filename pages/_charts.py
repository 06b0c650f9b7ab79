"""From marks to a chart of them that open slices. Specs are built once; data goes in at each run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import altair as alt
import pandas as pd
import pyarrow as pa
import streamlit as st

from crm_core.lifecycle import PIPELINE, STAGES

#: One colour for a tone everywhere, mid-toned so that it carries on light and on dark.
TONES = {"blue": "#5b8fd6", "violet": "#8f7ad1", "green": "#3f9d6d", "red": "#c9655f", "gray": "#98a2ad"}
#: Words in a chart, where Streamlit's theme has no say, and which must be read on either background: 5.8 to 1, 10 to 1.
INK = {"light": "#5c6773", "dark": "#b9c2cc"}
STATUS_TONES = alt.Scale(domain=[s.label for s in STAGES], range=[TONES[s.tone] for s in STAGES])
_TIPS = [alt.Tooltip("label:N", title=" "), alt.Tooltip("shown:N", title="Value"), alt.Tooltip("said:N", title=" ")]
_INK: Any = alt.ExprRef("ink")
_NAMES: Any = alt.Axis(labelLimit=150, labelOverlap=False, labelColor=_INK, ticks=False, domain=False)


def draw(
    make: Callable[..., dict[str, Any]], marks: Sequence[Mapping[str, Any]], key: str, height: int, *given: str
) -> Any:
    """This function will draw a kind of chart below and return the clicked mark's fields, or None.

    Every mark has key, label, amount (float), shown and said (text); more as its kind asks.
    """
    # what is sent, at once: by way of a pandas frame it takes ten times as long
    data = pa.Table.from_pylist(list(marks))
    spec = make(*given)
    ink = {"name": "ink", "value": INK["dark" if st.context.theme.type == "dark" else "light"]}
    spec = spec | {"params": [*spec.get("params", ()), ink]}
    event = st.vega_lite_chart(data, spec, key=key, on_select="rerun", height=height)
    picked = event["selection"].get("pick") if event else None
    return picked[0] if picked else None


@functools.cache
def stacked(currency: str) -> dict[str, Any]:
    """Horizontal bars of the open pipeline, stacked by status. Marks also: status (code), stage (label), rank."""
    pick = alt.selection_point(name="pick", fields=["key", "status"])
    shown = [s.label for s in STAGES if s.code in PIPELINE]
    legend = alt.Legend(
        orient="top", values=shown, symbolStrokeWidth=0, labelFontSize=11, labelColor=_INK, columnPadding=8, offset=4
    )
    bars = _base().mark_bar(cursor="pointer", stroke="white", strokeWidth=0.6)
    bars = bars.encode(
        y=alt.Y("label:N", title=None, sort=None, axis=_NAMES),
        x=alt.X("amount:Q", title=None, stack="zero", axis=_axis(currency)),
        color=alt.Color("stage:N", title=None, scale=STATUS_TONES, legend=legend),
        order=alt.Order("rank:Q"),
        opacity=_lit(pick),
        tooltip=[*_TIPS, alt.Tooltip("stage:N", title="Status")],
    )
    return _spec(bars.add_params(pick))


@functools.cache
def ranked(currency: str, tone: str) -> dict[str, Any]:
    """Horizontal bars of one measure, each with its value beside it."""
    pick = alt.selection_point(name="pick", fields=["key"])
    name = alt.Y("label:N", title=None, sort=None, axis=_NAMES)
    bars = (
        _base()
        .mark_bar(cursor="pointer", color=TONES[tone], cornerRadiusEnd=2)
        .encode(y=name, x=alt.X("amount:Q", title=None, axis=None), opacity=_lit(pick), tooltip=_TIPS)
        .add_params(pick)
    )
    return _spec(bars + _beside(name, "amount"))


@functools.cache
def against(currency: str) -> dict[str, Any]:
    """Achieved as a bar, the target as a tick across it. Marks also: target (float or None), top (float), words."""
    pick = alt.selection_point(name="pick", fields=["key"])
    name = alt.Y("label:N", title=None, sort=None, axis=_NAMES)
    bars = (
        _base()
        .mark_bar(cursor="pointer", color=TONES["green"], height={"band": 0.55})
        .encode(y=name, x=alt.X("amount:Q", title=None, axis=_axis(currency)), opacity=_lit(pick), tooltip=_TIPS)
        .add_params(pick)
    )
    ticks = (
        _base()
        .mark_tick(aria=False, color="#e0a23b", thickness=3, height={"band": 0.9})
        .encode(y=name, x=alt.X("target:Q"))
    )
    return _spec(bars + ticks + _beside(name, "top", "words:N", 160))


@functools.cache
def waterfall(currency: str) -> dict[str, Any]:
    """Bars from `low` to `high`, each beginning where the one above ended. Marks also: low, high, top, tone (name)."""
    pick = alt.selection_point(name="pick", fields=["key"])
    step = alt.Y("label:N", title=None, sort=None, axis=_NAMES)
    tones = alt.Scale(domain=list(TONES), range=list(TONES.values()))
    bars = (
        _base()
        .mark_bar(cursor="pointer")
        .encode(
            y=step,
            x=alt.X("low:Q", title=None, axis=_axis(currency)),
            x2="high:Q",
            color=alt.Color("tone:N", scale=tones, legend=None),
            opacity=_lit(pick),
            tooltip=_TIPS,
        )
        .add_params(pick)
    )
    return _spec(bars + _beside(step, "top"))


@functools.cache
def columns(currency: str, tone: str) -> dict[str, Any]:
    """One column a month."""
    pick = alt.selection_point(name="pick", fields=["key"])
    bars = _base().mark_bar(cursor="pointer", color=TONES[tone], cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
    bars = bars.encode(
        x=alt.X(
            "label:N",
            title=None,
            sort=None,
            axis=alt.Axis(labelAngle=-60, labelOverlap=True, labelColor=_INK, ticks=False),
        ),
        y=alt.Y("amount:Q", title=None, axis=_axis(currency)),
        opacity=_lit(pick),
        tooltip=_TIPS,
    )
    return _spec(bars.add_params(pick))


def trends(values: Iterable[Sequence[Decimal | None]]) -> str:
    """This function will draw each figure's values, oldest first, as a small hill on its tile: a style made of numbers alone.

    One element for all, and no chart: nine of Vega would take longer than all the rest of the page.
    """
    return f"<style>{''.join(_hill(place, points) for place, points in enumerate(values, 1))}</style>"


def _hill(place: int, values: Sequence[Decimal | None]) -> str:
    points = [(100 * at / (len(values) - 1), float(v)) for at, v in enumerate(values) if v is not None]
    if len(points) < 2:
        points = [(0.0, 0.0), (0.0, 0.0)]
    low, high = (end(v for _, v in points) for end in (min, max))
    line = [f"{x:.1f}% {85 - 85 * (v - low) / ((high - low) or 1):.1f}%" for x, v in points]
    corners = ",".join([f"{points[0][0]:.1f}% 100%", *line, f"{points[-1][0]:.1f}% 100%"])
    return f".st-key-figures > :nth-child({place})::after {{clip-path: polygon({corners})}}"


def _base() -> alt.Chart:
    return alt.Chart(pd.DataFrame({"key": []}))


def _lit(pick: alt.Parameter) -> Any:
    return alt.condition(pick, alt.value(1), alt.value(0.45))


def _beside(name: alt.Y, amount: str, words: str = "shown:N", wide: int = 75) -> alt.LayerChart:
    """Words after the end of each bar, and room for them behind the longest, so many pixels, however narrow the chart is."""
    room = f"datum.{amount} * width / max(width - {wide}, 40)"
    said = _base().mark_text(aria=False, align="left", dx=5, fontSize=11, color=_INK)
    unseen = _base().mark_point(aria=False, opacity=0).transform_calculate(room=room)
    return said.encode(y=name, x=alt.X(f"{amount}:Q"), text=words) + unseen.encode(y=name, x=alt.X("room:Q"))


def _axis(currency: str) -> alt.Axis:
    """Ticks in crore and lakh for rupees, the same for every viewer; plain numbers otherwise."""
    if currency != "INR":
        return alt.Axis(format="~s", labelColor=_INK, tickCount=4, domain=False)
    short = (
        "datum.value >= 1e7 ? '₹' + format(datum.value / 1e7, '~r') + ' Cr' : "
        "datum.value >= 1e5 ? '₹' + format(datum.value / 1e5, '~r') + ' L' : '₹' + format(datum.value, ',')"
    )
    return alt.Axis(labelExpr=short, labelColor=_INK, tickCount=4, domain=False)


def _spec(chart: Any) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict()
    _without_data(spec)
    return spec


def _without_data(spec: dict[str, Any]) -> None:
    for name in ("data", "datasets", "config"):
        spec.pop(name, None)
    for layer in spec.get("layer", ()):
        _without_data(layer)
