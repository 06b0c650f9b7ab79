"""Pages that ask no database and show as much as the dashboard and the list, by elements of Streamlit for each part."""

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages import _charts
from tests.bench.static import MARKS
from tests.bench.still import lifespan

TILES, STAGES, CHARTS, ROWS, COLUMNS = 9, 5, 3, 25, 7
CHOICES = [f"Choice {number}" for number in range(20)]
STATUSES = {"offer_made": "Offer Made", "open": "Open"}


def tile(name: str) -> None:
    """This function will draw one card with its link."""
    with st.container(border=True, key=f"tile-{name}"):
        st.metric(name, "₹12.3 Cr", "₹1.2 Cr", help="What it is of")
        st.page_link(LIST, label="1,234 opportunities", query_params={"status": list(STATUSES)})


def filters() -> None:
    """This function will draw the row of filters; the first is of the status, and kept in the URL."""
    chosen = st.query_params.get_all("status")

    def apply() -> None:
        st.query_params.from_dict({"status": st.session_state[f"status-{chosen}"]})

    for number, cell in enumerate(st.columns(6)):
        if number:
            cell.multiselect(f"Filter {number}", CHOICES, placeholder="All")
        else:
            cell.multiselect("Status", list(STATUSES), chosen, STATUSES.get, key=f"status-{chosen}", on_change=apply)
    st.markdown(f"Status: {' or '.join(map(STATUSES.get, chosen))}")


def beside() -> None:
    """This function will draw what stands beside a title."""
    with st.container(horizontal=True):
        st.button("Share")
        st.button("More")


def dashboard() -> None:
    """This function will draw what a dashboard has."""
    st.title("Pipeline")
    beside()
    filters()
    st.caption("Change: open pipeline vs 26 Oct 2026.")
    for row, many in (("figures", TILES), ("stages", STAGES)):
        with st.container(horizontal=True, key=row):
            for number in range(many):
                tile("pipeline" if row == "figures" and not number else f"{row} {number}")
    st.segmented_control("View", CHOICES[:4], default=CHOICES[0])
    for number, column in enumerate(st.columns(2) * CHARTS):
        if number < CHARTS:
            with column:
                st.subheader(f"Chart {number}")
                _charts.draw(_charts.ranked, MARKS, f"chart {number}", 300, "INR", "blue")
                st.expander("The numbers as links")


def listing() -> None:
    """This function will draw what a list has."""
    st.title("Opportunities")
    beside()
    filters()
    st.selectbox("Order", CHOICES)
    with st.container(key="rows", gap=None):
        st.markdown("\n\n".join(f"Heading {number}" for number in range(COLUMNS)))
        for number in range(ROWS):
            st.page_link(LIST, label=f"OPP-2026-{number:05}", query_params={"id": str(number)})
            st.markdown("\n\n".join(["Amman Mills  \nGate valves"] * (COLUMNS - 1)))
    with st.container(horizontal=True):
        for label in ("Previous", "Next", "Export XLSX", "Export CSV"):
            st.button(label)


if get_script_run_ctx(suppress_warning=True) is None:
    app = st.App(Path(__file__), lifespan=lifespan)
else:
    st.set_page_config(layout="wide")
    LIST = st.Page(listing, url_path="opportunities")
    st.navigation([st.Page(dashboard, default=True), LIST]).run()
