"""What lists and the views of the dashboard share: rows of text and links, choices in the URL, a list's parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from crm_core.slices import Slice
from pages._server import plain
from pages._ui import go, link

NOTHING = "No opportunities for this selection."
MOST = 12


def query(part: Slice | None, measure: str = "value") -> dict[str, Any]:
    """This function will give the URL parameters of the list of a part of the pipeline."""
    return (part.to_params() if part else {}) | ({"sum": "won"} if measure == "won_value" else {})


def lines(*texts: str | None) -> str:
    """This function will make a cell of plain text for `grid`: a line of each text that there is, “–” for none."""
    # a line of “=” would make the one above it a heading
    return "  \n".join(plain(" ".join(text.split())).replace("=", "\\=") for text in texts if text) or "–"


def grid(name: str, headings: Iterable[str], rows: Iterable[Iterable[str | tuple[Any, ...]]]) -> None:
    """This function will show rows of cells: what `lines` made, or what `link` is given.

    A list costs what its elements do, so neighbouring cells of text are one element, each cell a paragraph of it.
    The widths of the columns are its style's.
    """
    with st.container(key=f"rows-{name}", gap=None):
        st.markdown("\n\n".join(map(lines, headings)))
        for row in rows:
            said: list[str] = []
            for cell in row:
                if isinstance(cell, str):
                    said.append(cell)
                    continue
                if said:
                    st.markdown("\n\n".join(said))
                link(*cell)
                said = []
            st.markdown("\n\n".join([*said, "---"]))


def facts(name: str, *rows: tuple[str, str | None]) -> None:
    """This function will show those of a record's facts that are known: label and value, plain text."""
    known = [(label, value) for label, value in rows if value]
    if known:
        with st.container(key=f"facts-{name}"):
            st.markdown("\n\n".join(cell for label, value in known for cell in (label, lines(*value.splitlines()))))


def table(name: str, headings: Iterable[str], rows: list[list[tuple[str, Any]]]) -> None:
    """This function will show rows of cells: text, or a link to the list of its parameters or the record of its (id,)."""
    headings = list(headings)
    shown = rows if st.session_state.get(f"all-{name}") else rows[:MOST]
    grid(f"{name}-of-{len(headings)}", headings, [[_cell(*cell) for cell in row] for row in shown])
    if len(rows) > MOST:
        st.toggle(f"All {len(rows):,} rows", key=f"all-{name}")


def _cell(text: str, to: Any) -> str | tuple[Any, ...]:
    if to is None:
        return lines(text)
    return (text, "opportunity", {"id": str(to[0])}) if isinstance(to, tuple) else (text, "opportunities", to)


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
