"""What the views of the dashboard share: tables of links, choices in the URL, the parameters of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from crm_core.slices import Slice
from pages._ui import go, link

NOTHING = "No opportunities for this selection."
MOST = 12


def query(part: Slice | None, measure: str = "value") -> dict[str, Any]:
    """This function will give the URL parameters of the list of a part of the pipeline."""
    return (part.to_params() if part else {}) | ({"sum": "won"} if measure == "won_value" else {})


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


def beside(title: str, name: str, draw: Callable[[], None]) -> None:
    """This function will offer the numbers of a chart below it; they are drawn once somebody opens them."""
    numbers = st.expander(title, key=f"beside-{name}", on_change="rerun")
    if numbers.open:
        with numbers:
            draw()


def switch(
    label: str,
    options: Iterable[str],
    chosen: str,
    said: Callable[[str], str],
    here: Mapping[str, Any],
    name: str,
    show: Any = None,
) -> None:
    """This function will show a choice that is kept in the URL under `name`, as pills or as another input (`show`)."""
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
