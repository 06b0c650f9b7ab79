"""The dashboard's period: a code in the URL, absolute, chosen from the usual ones or by two days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import streamlit as st

from crm_core import periods
from pages._server import plain
from pages._ui import param


def chosen() -> str:
    """This function will read the period from the URL, or "" for all time; one that nobody knows is named."""
    code = param("period")
    if code and periods.parse(code) is None:
        st.warning(f"Period “{plain(code[:40])}” is not known here; nothing falls into it.")
    return code


def period_input(code: str, go_to: Callable[[str], None]) -> None:
    """This function will show the period as a choice; another one goes into the URL by `go_to`."""
    usual = list(dict.fromkeys([*([code] if code else []), *periods.offered(periods.today()), "custom"]))
    key = f"period-{code}"

    def picked() -> None:
        found = st.session_state[key]
        st.session_state["period-custom"] = found == "custom"
        if found != "custom":
            go_to(found or "")

    st.selectbox(
        "Period",
        usual,
        index=usual.index(code) if code else None,
        format_func=lambda c: "Between two days …" if c == "custom" else periods.label(c),
        key=key,
        on_change=picked,
        placeholder="All time",
    )
    if st.session_state.get("period-custom"):
        _between(code, go_to)


def _between(code: str, go_to: Callable[[str], None]) -> None:
    key = f"period-days-{code}"

    def picked() -> None:
        days: tuple[date, ...] = st.session_state[key]
        if len(days) == 2:
            st.session_state.pop("period-custom", None)
            go_to(periods.Period(days[0], periods.next_day(days[1])).code())

    limits = {"min_value": periods.FIRST_DAY, "max_value": periods.LAST_DAY}
    st.date_input("From and to day", value=(), key=key, on_change=picked, format="DD/MM/YYYY", **limits)
