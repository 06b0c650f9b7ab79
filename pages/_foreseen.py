"""The forecast: what the period will likely bring, how it did before, and the rates it is made of."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from crm_core import forecast, headline, lifecycle, periods
from crm_core.slices import Slice
from pages._server import plain
from pages._tables import beside, query, table
from pages._ui import Visitor, counted, link


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
        f"{counted(told.deals)} open now, {plain(visitor.compact(told.coming))} from deals still to come."
    )
    part = slice_.narrowed(status=lifecycle.PIPELINE)
    if part:
        link(f"The {counted(told.deals)} it is made of", "opportunities", query(part))
    if not told.spans:
        st.caption("Of deals still to come none is expected: there are fewer than three spans before to learn from.")
    st.caption(
        "In eight of ten cases the outcome lies in the range. The rates are learnt from the company's own closed deals, "
        "by stage, days in it and value, and of deals still to come from what such deals brought in as many days before; "
        "nobody types a percentage in."
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
        table("past", ("Period", "Foreseen", "Won", "It ended"), rows, (1, 2))
    else:
        st.info("There is no earlier period to compare with.")
    st.subheader("Win rates")

    def rates() -> None:
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
        table("rates", ("Stage", "Days in it", "Value", "Win rate", "Won", "Learnt from"), rows, (3, 4))

    beside("The rates by stage, days in it and value", "rates", rates)
