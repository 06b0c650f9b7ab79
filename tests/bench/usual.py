"""The full page as Streamlit's own pages show how to write one, for `streamlit run`: each run makes its charts anew."""

import altair as alt
import pandas as pd
import streamlit as st

from tests.bench.static import CHARTS, LIST, MARKS, METRICS

st.title("Still")
for number, column in enumerate(st.columns(4) * (METRICS // 4)):
    column.metric(f"Figure {number}", "₹12.3 Cr", "₹1.2 Cr")
for number, column in enumerate(st.columns(2) * (CHARTS // 2)):
    bars = alt.Chart(pd.DataFrame(MARKS)).mark_bar()
    bars = bars.encode(alt.X("amount:Q"), alt.Y("label:N", sort="-x"), tooltip=["label", "shown", "said"])
    column.altair_chart(bars, key=f"chart {number}")
st.dataframe(LIST)
