"""Two pages that ask no database, an empty one and a full one: what Streamlit itself takes for a run."""

import gc
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages import _charts
from tests.bench.static import CHARTS, LIST, MARKS, METRICS


@asynccontextmanager
async def lifespan(_app: object):
    """This function will leave what is there from the start out of every later collection, as the app does."""
    gc.collect()
    gc.freeze()
    yield {}


def full() -> None:
    """This function will draw as much as a dashboard and a list together."""
    for number, column in enumerate(st.columns(4) * (METRICS // 4)):
        column.metric(f"Figure {number}", "₹12.3 Cr", "₹1.2 Cr")
    for number, column in enumerate(st.columns(2) * (CHARTS // 2)):
        with column:
            _charts.draw(_charts.ranked, MARKS, f"chart {number}", 300, "INR", "blue")
    st.dataframe(LIST)


if get_script_run_ctx(suppress_warning=True) is None:
    app = st.App(Path(__file__), lifespan=lifespan)
else:
    st.title("Still")
    if "full" in st.query_params:
        full()
