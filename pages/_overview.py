"""The overview: target against achieved, what moved the pipeline, and how it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import bridge, frames, headline, lifecycle, money, periods, pipeline, steps, targets, trends
from crm_core.access import Actor
from crm_core.slices import DIMENSIONS, Slice
from pages import _charts
from pages._server import plain
from pages._tables import NOTHING, beside, links, query, switch, table
from pages._ui import Visitor, counted, onward

BALANCES = ("opening", "closing")


def overview(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will show targets and the open pipeline by region or by sales engineer, and what moved the pipeline."""
    kind = "owner" if kept.get("against") == "owner" else "region"
    switch("By", targets.KINDS, kind, lambda k: targets.KINDS[k], slice_.to_params() | dict(kept), "against")
    left, right = st.columns(2, gap="large")
    with left:
        against(visitor, slice_, code, kind)
    with right:
        by_status(visitor, slice_, kind)
    moved(visitor, slice_, code)


def against(visitor: Visitor, slice_: Slice, code: str, kind: str) -> None:
    """This function will show target against achieved, by region or by sales engineer, and the same as links."""
    st.subheader("Target against achieved")
    found, marks = visitor.ask(_against, slice_, code, kind, visitor.currency)
    if found.empty:
        st.info(NOTHING)
        return
    part = headline.closed(slice_, code or None, lifecycle.WON)
    key = f"against-{kind}-{hash((slice_, code))}"
    picked = _charts.draw(_charts.against, marks, key, 50 + 24 * len(marks), visitor.currency)
    if picked and part:
        onward("opportunities", query(part.narrowed(**{kind: picked["key"]}), "won_value"))

    def numbers() -> None:
        rows = []
        for about, label, target, achieved, _count, percent, note in frames.rows(found):
            to = part.narrowed(**{kind: about}) if part else None
            opens = query(to, "won_value")
            share = _share(percent) + (f" ({note})" if note else "")
            cells = [(label, opens), (visitor.exact(target), None), (visitor.exact(achieved), opens)]
            rows.append([*cells, (share, None)])
        table("against", (targets.KINDS[kind], "Target", "Achieved", "Achieved %"), rows)

    beside("Target against achieved: the numbers as links", "against", numbers)


# What is drawn is kept with what was read (`Visitor.ask`): to write every amount again takes longer than to send it.
def _against(
    conn: Any, actor: Actor, slice_: Slice, code: str, kind: str, currency: str
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    found = targets.achieved(conn, actor, kind, slice_, code)
    drawn = []
    for about, label, target, achieved, count, percent, _note in frames.rows(found):
        amount, goal = float(achieved), None if target is None else float(target)
        shown, share = money.compact(achieved, currency), _share(percent)
        drawn.append(
            {
                **{"key": about, "label": label, "amount": amount, "target": goal, "top": max(amount, goal or 0)},
                **{"shown": shown, "said": f"{share}, {counted(count)}", "words": f"{shown} · {share}"},
            }
        )
    return found, drawn


def moved(visitor: Visitor, slice_: Slice, code: str) -> None:
    """This function will show the bridge of the period, or of the last thirty days, each step a link."""
    span = headline.span(slice_, code)
    st.subheader(plain(f"What moved the pipeline, {periods.label(span)}"))
    found, marks = visitor.ask(_moved, slice_, span, visitor.currency)
    if beside_it := [DIMENSIONS[name].label for name in bridge.BESIDE if getattr(slice_, name)]:
        st.caption(f"Of the whole pipeline of this selection: “{'” and “'.join(beside_it)}” narrow no bridge.")
    parts = {"opening": found.opening, "closing": found.closing}
    parts |= {step: found.part.but(moved=step) for step in found.steps["step"]}
    picked = _charts.draw(
        _charts.waterfall, marks, f"bridge-{hash((slice_, span))}", 50 + 28 * len(marks), visitor.currency
    )
    if picked and (part := parts.get(picked["key"])):
        onward("opportunities", query(part))

    def numbers() -> None:
        links(("{label}: {shown} {said}".format(**mark).rstrip(), query(parts[mark["key"]])) for mark in marks)

    beside("The steps as links", "steps", numbers)


def _moved(
    conn: Any, actor: Actor, slice_: Slice, span: str, currency: str
) -> tuple[trends.Movement, list[dict[str, Any]]]:
    found = trends.movement(conn, actor, slice_, span)
    level = found.opening_value
    bars = [("opening", "Opening", Decimal(0), level, level, "blue", 0)] if found.opening else []
    tones = {"new": "violet", "won": "green", "rejected": "gray", "lost": "red"}
    for step, count, change in frames.rows(found.steps):
        tone = tones.get(step, "violet" if change > 0 else "red")
        bars.append((step, steps.STEPS[step], level, level + change, change, tone, count))
        level += change
    bars.append(("closing", "Closing", Decimal(0), found.closing_value, found.closing_value, "blue", 0))
    return found, [
        {
            **{"key": key, "label": label, "tone": tone},
            **{"low": float(low), "high": float(high), "top": float(max(low, high)), "amount": float(amount)},
            **{"shown": _signed(currency, key, amount), "said": counted(count) if count else ""},
        }
        for key, label, low, high, amount, tone, count in bars
    ]


def by_status(visitor: Visitor, slice_: Slice, name: str) -> None:
    """This function will show the open pipeline by a dimension as bars by status, and the same as links."""
    st.subheader("Open pipeline")
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    marks = visitor.ask(_by_status, part, name, visitor.currency) if part else []
    if not marks:
        st.info(NOTHING)
        return
    height = 90 + 24 * len({mark["key"] for mark in marks})
    picked = _charts.draw(_charts.stacked, marks, f"open-{name}-{hash(slice_)}", height, visitor.currency)
    if picked and (clicked := slice_.narrowed(**{name: picked["key"], "status": picked["status"]})):
        onward("opportunities", query(clicked))

    def numbers() -> None:
        for_each = ((mark, slice_.narrowed(**{name: mark["key"], "status": mark["status"]})) for mark in marks)
        links(("{label}, {stage}: {said} · {shown}".format(**mark), query(clicked)) for mark, clicked in for_each)

    beside("Open pipeline: the numbers as links", f"open-{name}", numbers)


def _by_status(conn: Any, actor: Actor, part: Slice, name: str, currency: str) -> list[dict[str, Any]]:
    labels = pipeline.choices(conn, actor, name)
    split = frames.rows(pipeline.totals(conn, actor, part, by=(name, "status")))
    whole: dict[str, Decimal] = defaultdict(Decimal)
    for key, _code, _count, value, _won in split:
        whole[key] += value
    rank = {s.code: position for position, s in enumerate(lifecycle.STAGES)}
    return [
        {
            **{"key": key, "label": labels.get(key, key), "status": code, "stage": lifecycle.STAGE[code].label},
            **{"rank": rank[code], "amount": float(value), "shown": money.exact(value, currency)},
            "said": counted(count),
        }
        for key, code, count, value, _won in sorted(split, key=lambda row: -whole[row[0]])
    ]


def _share(percent: Decimal | None) -> str:
    return "no target set" if percent is None else f"{percent:.0f} %"


def _signed(currency: str, key: str, amount: Decimal) -> str:
    sign = "" if key in BALANCES or amount < 0 else "+"
    return sign + money.compact(amount, currency)
