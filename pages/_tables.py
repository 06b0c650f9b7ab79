"""What lists and the views of the dashboard share: rows of text and links, choices in the URL, a list's parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

import streamlit as st

from crm_core.slices import Slice
from pages._server import block, line, plain
from pages._ui import go, linked

NOTHING = "No opportunities for this selection."
MOST = 12


def query(part: Slice | None, measure: str = "value") -> dict[str, Any] | None:
    """This function will give the URL parameters of the list of a part of the pipeline; None of an empty part, which has none."""
    return None if part is None else part.to_params() | ({"sum": "won"} if measure == "won_value" else {})


def lines(*texts: str | None) -> str:
    """This function will make a cell of plain text for `grid`: the first text, and under it the others; “–” for none."""
    first, *rest = [line(text) for text in texts if text] or ["–"]
    return " ".join([first, *(f":gray[{text}]" for text in rest)])


def grid(name: str, headings: Iterable[str], rows: Iterable[Iterable[str]], numbers: Collection[int] = ()) -> None:
    """This function will show rows of cells (Markdown: `lines`, `linked`), the columns of `numbers` to the right.

    A list costs what its elements do, so it is one: a table.
    """
    headings = list(headings)
    sides = ("--:" if place in numbers else "---" for place in range(len(headings)))
    with st.container(key=f"rows-{name}"):
        st.markdown("\n".join(f"|{'|'.join(row)}|" for row in (map(plain, headings), sides, *rows)))


def tile(*lines_: str, help: str | None = None) -> None:
    """This function will show a card of lines of Markdown; a link among them is that of the whole card."""
    st.markdown("\n\n".join(lines_), help=help, width="stretch")


def facts(name: str, *rows: tuple[str, str | None]) -> None:
    """This function will show those of a record's facts that are known: label and value, plain text."""
    known = [(label, block(value)) for label, value in rows if (value or "").strip()]
    if known:
        with st.container(key=f"facts-{name}"):
            st.markdown("\n\n".join(chain.from_iterable(known)))


def table(name: str, headings: Iterable[str], rows: list[list[tuple[str, Any]]], numbers: Collection[int] = ()) -> None:
    """This function will show rows of cells: text, or a link to the list of its parameters or the record of its (id,).

    The columns of `numbers` stand to the right; without any, all but the first.
    """
    headings = list(headings)
    shown = rows if st.session_state.get(f"all-{name}") else rows[:MOST]
    grid(name, headings, [[_cell(*cell) for cell in row] for row in shown], numbers or range(1, len(headings)))
    if len(rows) > MOST:
        st.toggle(f"All {len(rows):,} rows", key=f"all-{name}")


def _cell(text: str, to: Any) -> str:
    if to is None:
        return lines(text)
    return (
        linked(text, "opportunity", {"id": str(to[0])}) if isinstance(to, tuple) else linked(text, "opportunities", to)
    )


def links(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """This function will show links to lists, each under the other: what it says, and the parameters of its list."""
    st.markdown("\n\n".join(linked(said, "opportunities", to) for said, to in parts))


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
