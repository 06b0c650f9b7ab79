"""The dashboard: the pipeline at a glance, every number and every bar a link to its opportunities."""

import pandas as pd
import streamlit as st

from crm_core import lifecycle, periods, pipeline
from crm_core.slices import DIMENSIONS, Slice
from pages import _charts
from pages._filters import filter_bar, notices
from pages._ui import counted, enter, link, params, plain, status

FILTERS = ("region", "business_unit", "owner", "product", "created")
BREAKDOWNS = (("region", "By region"), ("business_unit", "By business unit"), ("owner", "By sales engineer"))

visitor = enter("dashboard")
slice_ = Slice.from_params(params())


def open_list(part: Slice, measure: str = "value") -> None:
    """This function will go to the list of a part of the dashboard's slice."""
    st.switch_page(
        "opportunities.py", query_params=part.to_params() | ({"sum": "won"} if measure == "won_value" else {})
    )


def tile(column, name: str, title: str, part: Slice | None, count: int, amount, measure: str = "value") -> None:
    """This function will show one figure as a card that is a link to exactly its opportunities."""
    if part is None:
        return
    query = part.to_params() | ({"sum": "won"} if measure == "won_value" else {})
    with column.container(border=True, key=f"tile-{name}"):
        st.markdown(title)
        st.subheader(plain(visitor.compact(amount)), anchor=False)
        st.caption(plain(visitor.exact(amount)))
        link(counted(count), "opportunities", query)


def tiles() -> None:
    """This function will show a tile for each status and one for the open pipeline."""
    by_status = visitor.ask(pipeline.totals, slice_, by="status").set_index("status")
    shown = [s for s in lifecycle.STAGES if not slice_.status or s.code in slice_.status]
    cells = st.container(key="tiles").columns(len(shown) + 1)
    stock = by_status[by_status.index.isin(lifecycle.PIPELINE)]
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    tile(cells[0], "pipeline", "**Open pipeline**", part, int(stock["count"].sum()), sum(stock["value"]))
    for cell, stage in zip(cells[1:], shown, strict=True):
        row = by_status.loc[stage.code]
        measure = "won_value" if "won_value" in stage.holds else "value"
        tile(
            cell,
            stage.code,
            status(stage.code),
            slice_.narrowed(status=stage.code),
            row["count"],
            row[measure],
            measure,
        )


def breakdown(name: str, title: str) -> None:
    """This function will show a dimension as bars by status, and the same numbers as a table of links."""
    st.subheader(title)
    labels = visitor.ask(pipeline.choices, name)
    whole = visitor.ask(pipeline.totals, slice_, by=name)
    split = visitor.ask(pipeline.totals, slice_, by=(name, "status"))
    whole = whole.sort_values("value", ascending=False, kind="stable") if len(whole) else whole
    order = {key: position for position, key in enumerate(whole[name])}
    rank = {s.code: position for position, s in enumerate(lifecycle.STAGES)}
    frame = pd.DataFrame(
        [
            (
                key,
                labels.get(key, key),
                code,
                lifecycle.STAGE[code].label,
                rank[code],
                float(value),
                visitor.exact(value),
                count,
            )
            for key, code, count, value, _won in split.itertuples(index=False)
        ],
        columns=["key", "label", "status", "stage", "rank", "amount", "shown", "count"],
    ).sort_values("key", key=lambda k: k.map(order), kind="stable")
    if frame.empty:
        st.info("No opportunities for this selection.")
        return
    picked = _charts.bars(frame, f"bars-{name}-{hash(slice_)}", visitor.currency)
    if picked and (part := slice_.narrowed(**{name: picked["key"], "status": picked["status"]})):
        open_list(part)
    counts = {(key, code): count for key, code, count, _v, _w in split.itertuples(index=False)}
    with st.expander(f"{title}: the numbers as links"):
        for key, count, value, _won in whole.itertuples(index=False):
            with st.container(key=f"row-{name}-{key}", horizontal=True, gap="small"):
                part = slice_.narrowed(**{name: key})
                text = f"{labels.get(key, key)}: {count:,} · {visitor.exact(value)}"
                link(text, "opportunities", part.to_params() if part else {})
                for stage in lifecycle.STAGES:
                    segment = slice_.narrowed(**{name: key, "status": stage.code})
                    if segment and (number := counts.get((key, stage.code))):
                        link(f"{stage.mark} {stage.label} {number:,}", "opportunities", segment.to_params())


def by_month(name: str, title: str, part: Slice | None, measure: str, colour: str) -> None:
    """This function will show the months of a range as columns, and the same numbers as links."""
    st.subheader(title)
    months = visitor.ask(pipeline.totals, part, by=name).tail(36) if part else pd.DataFrame()
    if months.empty:
        st.info("No opportunities for this selection.")
        return
    frame = pd.DataFrame(
        {
            "key": months[name],
            "label": months[name].map(periods.label),
            "amount": months[measure].astype(float),
            "shown": months[measure].map(visitor.exact),
            "count": months["count"],
        }
    )
    picked = _charts.columns(frame, f"months-{name}-{hash(slice_)}", colour, visitor.currency)
    if picked and (clicked := part.narrowed(**{name: picked["key"]})):
        open_list(clicked, measure)
    with st.expander(f"{title}: the numbers as links"):
        for row in frame.iloc[::-1].itertuples(index=False):
            query = part.narrowed(**{name: row.key}).to_params() | ({"sum": "won"} if measure == "won_value" else {})
            link(f"{row.label}: {row.count:,} · {row.shown}", "opportunities", query)


st.title("Pipeline")
filter_bar(visitor, slice_, pipeline.choices, FILTERS)
known = notices(visitor, slice_, pipeline.names, ())
st.caption(plain(slice_.sentence(known)))
tiles()
left, right = st.columns(2, gap="large")
for column, (name, title) in zip((left, right, left), BREAKDOWNS, strict=True):
    with column:
        breakdown(name, title)
with right:
    by_month("created", f"{DIMENSIONS['created'].label} by month", slice_, "value", "blue")
    by_month("closed", "Won by month", slice_.narrowed(status=lifecycle.WON), "won_value", "green")
