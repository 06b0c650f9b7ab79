"""The dashboard: the headline and the stages, and below them one view at a time; every figure opens its opportunities."""

import streamlit as st

from crm_core import exports, headline, lifecycle, periods, pipeline, reports
from crm_core.slices import Slice
from pages import _server
from pages._ageing import ageing
from pages._breakdown import breakdown
from pages._charts import trends
from pages._filters import filter_bar, notices
from pages._foreseen import foreseen
from pages._overview import overview
from pages._period import chosen, period_input
from pages._tables import query, tile
from pages._ui import SPREADSHEET, counted, enter, go, head, linked, live, page_url, param, params, plain, status
from pages._views import view_bar

FILTERS = ("region", "business_unit", "owner", "product", "asof")
VIEWS = {
    "": ("Overview", overview),
    "breakdown": ("Breakdowns", breakdown),
    "ageing": ("Ageing and flow", ageing),
    "forecast": ("Forecast", foreseen),
}
#: the figures whose day of comparison stands for the others' of their kind
SAID = ("achieved", "pipeline")
KEPT = ("period", "view", "by", "sort", "against")

visitor = enter("dashboard")
slice_ = Slice.from_params(params()).but(moved=None, during=None)
kept = {name: param(name) for name in KEPT if param(name)}
view = param("view") if param("view") in VIEWS else ""


def figure_tile(figure: headline.Figure, words: str) -> None:
    """This function will show one figure with its change and its trend, as a card that is a link to what it is of."""
    written = {
        "money": visitor.compact,
        "percent": lambda value: f"{value:.1f} %",
        "days": lambda value: f"{value:.0f} days",
        "count": lambda value: f"{value:,.0f}",
    }[figure.kind]
    value = "–" if figure.value is None else written(figure.value)
    told = [figure.label, f"**{plain(value)}**"]
    if (change := figure.change) is not None:
        points = f"{abs(change):.1f} points" if figure.kind == "percent" else written(abs(change))
        told.append(f":{'green' if figure.good else 'red'}-badge[{'↑' if change > 0 else '↓'} {plain(points)}]")
    if figure.part is not None:
        told.append(linked(counted(figure.count), "opportunities", query(figure.part, figure.measure)))
    since = figure.since or "not known"
    tile(*told, help=plain(f"{figure.meaning} {words} Change: {since}. Trend: the last twelve months."))


def figures(code: str) -> None:
    """This function will show the headline."""
    words = f"Of: {said}, in your scope: {exports.scope(visitor.person)}. "
    words += f"Period: {periods.label(code) if code else 'all time'}. "
    words += f"As of {periods.day(slice_.day()) or 'now'}; days are days in India (IST)."
    shown = visitor.ask(headline.figures, slice_, code)
    with st.container(horizontal=True, key="figures"):
        for figure in shown:
            figure_tile(figure, words)
    st.html(trends(figure.trend for figure in shown))
    since = dict.fromkeys(
        f"{figure.label.lower()} {figure.since}" for figure in shown if figure.name in SAID and figure.since
    )
    if since:
        st.caption(plain(f"Change: {'; '.join(since)}."))


def stages(code: str) -> None:
    """This function will show each stage's count and value, a link each: of the closed ones those of the period."""
    parts = {s.code: headline.closed(slice_, code if s.closed else "", s.code) for s in lifecycle.STAGES}
    found = visitor.ask(headline.stages, slice_, code)
    shown = [s for s in lifecycle.STAGES if not slice_.status or s.code in slice_.status]
    with st.container(horizontal=True, key="stages"):
        for stage in shown:
            (count, value, won_value), won = found[stage.code], "won_value" in stage.holds
            amount, measure = (won_value, "won_value") if won else (value, "value")
            told = [
                status(stage.code),
                f"**{plain(visitor.compact(amount))}**",
                f":gray[{plain(visitor.exact(amount))}]",
            ]
            if part := parts[stage.code]:
                told.append(linked(counted(count), "opportunities", query(part, measure)))
            tile(*told)


code = chosen()
with head("Pipeline"):
    if visitor.person.may("export"):
        address = page_url(slice_.to_params() | kept)
        st.download_button(
            "Export XLSX",
            data=lambda: _server.database().submit(reports.dashboard, visitor.actor, slice_, code, address),
            file_name="dashboard.xlsx",
            mime=SPREADSHEET,
            icon=":material/download:",
            on_click="ignore",
        )
    view_bar(visitor, "dashboard")


def period() -> None:
    """This function will show the period among the filters."""
    period_input(code, lambda found: go(slice_.to_params() | kept | {"period": found}))


filter_bar(visitor, slice_, pipeline, FILTERS, kept, ("moved", "during", "reached", "age"), period)
said = slice_.sentence(notices(visitor, slice_, pipeline, KEPT))
if param("moved") or param("during"):
    st.info("The dashboard shows what stands, not what moved; the list shows that.")
st.caption(plain(said + (f"; period: {periods.label(code)}" if code else "; all time")))
figures(code)
stages(code)
picked = st.segmented_control(
    "View", list(VIEWS), default=view, required=True, format_func=lambda v: VIEWS[v][0], key=f"view-{view}",
    label_visibility="collapsed",
)  # fmt: skip
if picked != view:
    go(slice_.to_params() | kept | {"view": picked})
    st.rerun()
VIEWS[view][1](visitor, slice_, code, kept)
live(visitor)
