"""The views of the dashboard: each takes the visitor, the slice, the period's code, and what else is in the URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import bridge, flow, forecast, headline, lifecycle, periods, pipeline, targets
from crm_core.slices import AGES, DIMENSIONS, Slice
from pages import _charts
from pages._server import plain
from pages._ui import Visitor, counted, go, link

BY = ("region", "state", "city", "business_unit", "owner", "product", "created", "reason")
ORDERS = {"value": "Value", "won_value": "Won value", "win": "Win %", "count": "Count", "label": "Name"}
NOTHING = "No opportunities for this selection."
MOST = 12
BALANCES = ("opening", "closing")


def query(part: Slice | None, measure: str = "value") -> dict[str, Any]:
    """This function will give the URL parameters of the list of a part of the pipeline."""
    return (part.to_params() if part else {}) | ({"sum": "won"} if measure == "won_value" else {})


def overview(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will show what moved the pipeline in the period, and how it stands by region."""
    against(visitor, slice_, code, kept)
    moved(visitor, slice_, code)
    left, right = st.columns(2, gap="large")
    with left:
        by_status(visitor, slice_, "region", "Open pipeline by region")
    with right:
        by_status(visitor, slice_, "owner", "Open pipeline by sales engineer")


def against(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will show target against achieved, by region or by sales engineer, and the same as links."""
    kind = "owner" if kept.get("against") == "owner" else "region"
    st.subheader("Target against achieved")
    _switch("Against", targets.KINDS, kind, lambda k: targets.KINDS[k], slice_.to_params() | dict(kept), "against")
    found = visitor.ask(targets.achieved, kind, slice_, code)
    if found.empty:
        st.info(NOTHING)
        return
    rows, marks = [], []
    for row in found.to_dict("records"):
        part = headline.closed(slice_, code or None, lifecycle.WON)
        to = part.narrowed(**{kind: row["about"]}) if part else None
        share = "no target set" if row["share"] is None else f"{row['share']:.0f} %"
        aim = "–" if row["target"] is None else visitor.exact(row["target"])
        opens = query(to, "won_value") if to else None
        cells = [(row["label"], opens), (aim, None), (visitor.exact(row["achieved"]), opens)]
        rows.append([*cells, (share + (f" ({row['note']})" if row["note"] else ""), None)])
        goal = None if row["target"] is None else float(row["target"])
        said = f"{share}, {counted(row['count'])}"
        marks.append((row["about"], row["label"], float(row["achieved"]), goal, visitor.compact(row["achieved"]), said))
    frame = pd.DataFrame(marks, columns=["key", "label", "amount", "target", "shown", "said"])
    key = f"against-{kind}-{hash((slice_, code))}"
    picked = _charts.draw(_charts.against, frame, key, 50 + 24 * len(frame), visitor.currency)
    if picked and (part := headline.closed(slice_, code or None, lifecycle.WON)):
        st.switch_page("opportunities.py", query_params=query(part.narrowed(**{kind: picked["key"]}), "won_value"))
    with st.expander("Target against achieved: the numbers as links"):
        table("against", (targets.KINDS[kind], "Target", "Achieved", "Achieved %"), rows)


def foreseen(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will show what the period will likely bring, the rates it is made of, and how it did before."""
    st.subheader("Forecast")
    if not code or (period := periods.parse(code)) is None or not period.last:
        st.info("Choose a month, a quarter or a financial year above: a forecast is for a period with an end.")
        return
    told = visitor.ask(forecast.likely, slice_, code)
    st.markdown(
        f"{plain(periods.label(code))} will likely end between **{plain(visitor.compact(told.p10))}** and "
        f"**{plain(visitor.compact(told.p90))}**, most likely near **{plain(visitor.compact(told.p50))}**: "
        f"{plain(visitor.compact(told.won))} is won already, {plain(visitor.compact(told.further))} is expected from "
        f"{counted(told.deals)} open now."
    )
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    link(f"The {counted(told.deals)} it is made of", "opportunities", query(part))
    st.caption(
        "In eight of ten cases the outcome lies in the range. The rates are learnt from the company's own closed deals, "
        "by stage, days in it and value; nobody types a percentage in."
    )
    st.subheader("How it did before")
    past = visitor.ask(forecast.backtest, slice_, code)
    rows = [
        [
            (periods.label(row["period"]), None),
            (f"{visitor.compact(row['p10'])} to {visitor.compact(row['p90'])}", None),
            (visitor.compact(row["actual"]), query(headline.closed(slice_, row["period"], lifecycle.WON), "won_value")),
            ("within" if row["p10"] <= row["actual"] <= row["p90"] else "outside", None),
        ]
        for row in past.to_dict("records")
    ]
    if rows:
        hits = sum(row[3][0] == "within" for row in rows)
        st.caption(f"As of the same point in each period; {hits} of {len(rows)} ended within their range.")
        table("past", ("Period", "Foreseen", "Won", "It ended"), rows)
    else:
        st.info("There is no earlier period to compare with.")
    st.subheader("Win rates")
    learnt = visitor.ask(forecast.rates, slice_.day())
    rows = [
        [
            (lifecycle.STAGE[row["stage"]].label, None),
            (Slice(age=row["age"]).sentence().partition(": ")[2], None),
            (str(row["band"]), None),
            (f"{row['rate'] * 100:.0f} %", None),
            (f"{row['won']:,} of {row['deals']:,}", None),
            (row["source"], None),
        ]
        for row in learnt.to_dict("records")
    ]
    with st.expander("The rates by stage, days in it and value"):
        table("rates", ("Stage", "Days in it", "Value", "Win rate", "Won", "Learnt from"), rows)


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
            (lifecycle.STAGE[row["stage"]].label, None),
            (f"{row['count']:,}", query(begun.narrowed(reached=row["stage"]))),
            (visitor.exact(row["value"]), query(begun.narrowed(reached=row["stage"]))),
            ("–" if row["share"] is None else f"{row['share']:.1f} %", None),
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


def moved(visitor: Visitor, slice_: Slice, code: str) -> None:
    """This function will show the bridge from the pipeline's opening to its closing, each step a link."""
    title = f"What moved the pipeline, {periods.label(code)}" if code else "What moved the pipeline, ever"
    st.subheader(plain(title))
    found = visitor.ask(pipeline.movement, slice_, code)
    level = found.opening_value
    bars = [("opening", "Opening", Decimal(0), level, level, "blue", 0)] if found.opening else []
    tones = {"new": "violet", "won": "green", "rejected": "gray", "lost": "red"}
    for step, count, change in found.steps.itertuples(index=False):
        tone = tones.get(step, "violet" if change > 0 else "red")
        bars.append((step, bridge.STEPS[step], level, level + change, change, tone, count))
        level += change
    bars.append(("closing", "Closing", Decimal(0), found.closing_value, found.closing_value, "blue", 0))
    frame = pd.DataFrame(
        [
            (key, label, float(low), float(high), float(max(low, high)), float(amount), _signed(visitor, key, amount),
             counted(count) if count else "", tone)
            for key, label, low, high, amount, tone, count in bars
        ],
        columns=["key", "label", "low", "high", "top", "amount", "shown", "said", "tone"],
    )  # fmt: skip
    parts = {"opening": found.opening, "closing": found.closing}
    parts |= {step: slice_.but(moved=step, during=code or None) for step in found.steps["step"]}
    picked = _charts.draw(
        _charts.waterfall, frame, f"bridge-{hash((slice_, code))}", 50 + 28 * len(frame), visitor.currency
    )
    if picked and (part := parts.get(picked["key"])):
        st.switch_page("opportunities.py", query_params=query(part))
    with st.expander("The steps as links"):
        for row in frame.itertuples(index=False):
            link(f"{row.label}: {row.shown} {row.said}", "opportunities", query(parts[row.key]))


def by_status(visitor: Visitor, slice_: Slice, name: str, title: str) -> None:
    """This function will show the open pipeline by a dimension as bars by status, and the same as links."""
    st.subheader(title)
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    labels = visitor.ask(pipeline.choices, name)
    split = visitor.ask(pipeline.totals, part, by=(name, "status")) if part else pd.DataFrame()
    if split.empty:
        st.info(NOTHING)
        return
    whole = split.groupby(name)["value"].agg(lambda values: sum(values, Decimal(0))).sort_values(ascending=False)
    order = {key: position for position, key in enumerate(whole.index)}
    rank = {s.code: position for position, s in enumerate(lifecycle.STAGES)}
    frame = pd.DataFrame(
        [
            (key, labels.get(key, key), code, lifecycle.STAGE[code].label, rank[code], float(value),
             visitor.exact(value), counted(count))
            for key, code, count, value, _won in split.itertuples(index=False)
        ],
        columns=["key", "label", "status", "stage", "rank", "amount", "shown", "said"],
    ).sort_values("key", key=lambda k: k.map(order), kind="stable")  # fmt: skip
    height = 70 + 26 * len(order)
    picked = _charts.draw(_charts.stacked, frame, f"open-{name}-{hash(slice_)}", height, visitor.currency)
    if picked and (clicked := slice_.narrowed(**{name: picked["key"], "status": picked["status"]})):
        st.switch_page("opportunities.py", query_params=query(clicked))
    with st.expander(f"{title}: the numbers as links"):
        for row in frame.itertuples(index=False):
            clicked = slice_.narrowed(**{name: row.key, "status": row.status})
            link(f"{row.label}, {row.stage}: {row.said} · {row.shown}", "opportunities", query(clicked))


def breakdown(visitor: Visitor, slice_: Slice, code: str, kept: Mapping[str, str]) -> None:
    """This function will break the slice down by a chosen dimension: a bar, and a table of links of the same numbers."""
    by = kept.get("by", "region") if kept.get("by", "region") in BY else "region"
    sort = kept.get("sort", "value") if kept.get("sort", "value") in ORDERS else "value"
    here = slice_.to_params() | dict(kept)
    choosing, ordering = st.columns([4, 1], vertical_alignment="bottom")
    with choosing:
        _switch("By", BY, by, lambda name: "Month" if name == "created" else DIMENSIONS[name].label, here, "by")
    with ordering:
        _switch("Order", list(ORDERS), sort, lambda name: f"Order: {ORDERS[name]}", here, "sort", st.selectbox)
    labels = visitor.ask(pipeline.choices, by)
    found = visitor.ask(pipeline.breakdown, slice_, by, code)
    found["label"] = [periods.label(k) if by == "created" else labels.get(k, k) for k in found["key"]]
    if found.empty:
        st.info(NOTHING)
        return
    found = _ordered(found, sort, by)
    measure = "won_value" if sort in ("won_value", "win") else "value"
    frame = pd.DataFrame(
        {
            "key": found["key"],
            "label": found["label"],
            "amount": found[measure].astype(float),
            "shown": found[measure].map(visitor.compact),
            "said": found["won" if measure == "won_value" else "count"].map(lambda n: counted(int(n))),
        }
    ).head(MOST if by != "created" else 36)
    parts = pipeline.parts(slice_, by, code)
    st.subheader(f"{'Won value' if measure == 'won_value' else 'Potential value'} by {_named(by)}")
    height = 30 + 26 * len(frame)
    tone = "green" if measure == "won_value" else "blue"
    picked = _charts.draw(
        _charts.ranked, frame, f"by-{by}-{hash((slice_, code, sort))}", height, visitor.currency, tone
    )
    if picked:
        st.switch_page("opportunities.py", query_params=_cell(parts, measure, picked["key"]))
    rows = [
        [
            (row.label, _cell(parts, "value", row.key)),
            (f"{row.count_:,}", _cell(parts, "value", row.key)),
            (visitor.exact(row.value), _cell(parts, "value", row.key)),
            (f"{row.won:,} · {visitor.exact(row.won_value)}", _cell(parts, "won_value", row.key)),
            (f"{row.lost:,} · {visitor.exact(row.lost_value)}", _cell(parts, "lost", row.key)),
            ("–" if row.win is None else f"{row.win:.1f} %", None),
        ]
        for row in found.rename(columns={"count": "count_"}).itertuples(index=False)
    ]
    table("by", (_named(by).capitalize(), "Opportunities", "Potential value", "Won", "Lost", "Win %"), rows)


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
    for status, age, count, value, _won in found.itertuples(index=False):
        there = slice_.narrowed(status=status, age=age)
        said = Slice(age=age).sentence().partition(": ")[2]
        cells = [(lifecycle.STAGE[status].label, None), (said, None), (f"{count:,}", query(there))]
        rows.append([*cells, (visitor.exact(value), query(there))])
    table("age", ("Stage", "In it for", "Opportunities", "Potential value"), rows)
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
            for row in late.rows.itertuples(index=False)
        ],
    )


def table(name: str, headings: Iterable[str], rows: list[list[tuple[str, Any]]]) -> None:
    """This function will show rows of cells: text, or a link to the list of its parameters or the record of its (id,)."""
    headings = list(headings)
    widths = [2.0] + [1.4] * (len(headings) - 1)
    shown = rows if st.session_state.get(f"all-{name}") else rows[:MOST]
    with st.container(key=f"head-{name}"):
        for cell, heading in zip(st.columns(widths, gap="small"), headings, strict=True):
            cell.caption(heading)
    for number, row in enumerate(shown):
        with st.container(key=f"row-{name}-{number}"):
            for position, (cell, (text, to)) in enumerate(zip(st.columns(widths, gap="small"), row, strict=True)):
                with cell.container(key=f"num-{name}-{number}-{position}") if position else cell:
                    if to is None:
                        st.text(text)
                    elif isinstance(to, tuple):
                        link(text, "opportunity", {"id": str(to[0])})
                    else:
                        link(text, "opportunities", to)
    if len(rows) > MOST:
        st.toggle(f"All {len(rows):,} rows", key=f"all-{name}")


def _switch(
    label: str,
    options: Iterable[str],
    chosen: str,
    said: Callable[[str], str],
    here: Mapping[str, Any],
    name: str,
    show: Any = None,
) -> None:
    key = f"{name}-{chosen}"

    def put() -> None:
        go({**here, name: st.session_state[key] or chosen})

    if show is None:
        st.pills(
            label, list(options), default=chosen, format_func=said, key=key, on_change=put, label_visibility="collapsed"
        )
    else:
        options = list(options)
        show(
            label,
            options,
            index=options.index(chosen),
            format_func=said,
            key=key,
            on_change=put,
            label_visibility="collapsed",
        )


def _cell(parts: Mapping[str, tuple[str, Slice | None]], measure: str, key: str) -> dict[str, Any] | None:
    dimension, part = parts[{"value": "made", "won_value": "won", "lost": "lost"}[measure]]
    narrowed = part.narrowed(**{dimension: key}) if part else None
    return query(narrowed, measure) if narrowed else None


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


def _signed(visitor: Visitor, key: str, amount: Decimal) -> str:
    sign = "" if key in BALANCES or amount < 0 else "+"
    return sign + visitor.compact(amount)
