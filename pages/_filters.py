"""Filters: a slice shown as inputs, and the URL as the only place where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import streamlit as st

from crm_core import periods, slices
from crm_core.slices import Filter
from pages._server import plain
from pages._ui import Visitor, go, param

#: the orders of opportunities
SORT_LABELS = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-value": "Highest value",
    "value": "Lowest value",
    "-stage_since": "Last moved",
    "stage_since": "Longest in its stage",
    "next_step": "Next step first",
}


def page_number() -> int:
    """This function will read the page of a list from the URL; 1 where it names none."""
    return int(param("page")) if param("page").isdecimal() and len(param("page")) < 9 else 1


def notices(visitor: Visitor, slice_: Filter, of: Any, also: Iterable[str]) -> dict[str, Any]:
    """This function will name what the URL holds that nobody knows, and return the labels of what is known."""
    unknown = slices.unknown_keys(st.query_params, slice_, also)
    for key in unknown[:5]:
        st.info(f"“{plain(key[:60])}” in this link is not a filter; it was ignored.")
    if len(unknown) > 5:
        st.info(f"{len(unknown) - 5:,} more names in this link are no filters; they were ignored.")
    known: dict[str, Any] = visitor.ask(of.names, slice_)
    for sentence in slices.unknown_values(slice_, known):
        st.warning(plain(sentence))
    return known


def filter_bar(
    visitor: Visitor,
    slice_: Filter,
    of: Any,
    first: tuple[str, ...],
    keep: Mapping[str, Any] | None = None,
    without: tuple[str, ...] = (),
    lead: Callable[[], None] = lambda: None,
) -> None:
    """This function will show the filters of a slice; a change goes into the URL, and the URL is what is shown.

    `first` stand in a row after what `lead` draws, the others under “More”, with a chip for each that is set; `of` is
    the core's module with the values of a dimension (`choices`) and of the slice (`names`). The inputs are keyed by the slice they show, so another
    URL (Back, Forward, a link) shows its own.
    """
    version = str(hash(slice_))
    dimensions = slice_.dimensions()
    rest = [name for name in dimensions if name not in first and name not in without]
    chosen = [name for name in rest if getattr(slice_, name)]

    def apply(name: str, value: Any = None) -> None:
        value = st.session_state.get(f"filter-{name}-{version}") if value is None else value
        go({**slice_.but(**{name: value or None}).to_params(), **(keep or {})})

    def field(name: str, options: Mapping[str, Mapping[str, str]], show: Callable[..., None] | None = None) -> None:
        show = show or INPUTS.get(dimensions[name].kind, _values)
        known = options.get(name, {})
        show(name, dimensions[name].label, getattr(slice_, name), f"filter-{name}-{version}", apply, known)

    def known_of(names: Iterable[str]) -> dict[str, Mapping[str, str]]:
        # what is chosen is known also where it is not offered
        held = visitor.ask(of.names, slice_)
        listed = [name for name in names if dimensions[name].kind not in INPUTS]
        return {name: held.get(name, {}) | visitor.ask(of.choices, name) for name in listed}

    options = known_of((*first, *chosen))
    row = st.container(key="filters", horizontal=True, vertical_alignment="bottom")
    with row:
        lead()
        for name in first:
            field(name, options)
    # its key stays, so that it stays open while filters inside it are chosen; closed, it is not built
    more = row.popover(
        f"More ({len(chosen)})" if chosen else "More", icon=":material/tune:", key="more", on_change="rerun"
    )
    if more.open:
        with more:
            everything = known_of(rest)
            for name in rest:
                field(name, everything)
            for name in (n for n in dimensions if dimensions[n].kind == "range" and n not in without):
                field(name, everything, _between)
    if chosen:
        known = slices.named(slice_, lambda name: options.get(name, {}))
        with st.container(horizontal=True, key="chips"):
            for name in chosen:
                said = type(slice_)(**{name: getattr(slice_, name)}).sentence(known)
                st.button(
                    plain(said),
                    key=f"chip-{name}-{version}",
                    icon=":material/close:",
                    on_click=apply,
                    args=(name, ()),
                    help="Take this filter away",
                )


def pager(turned: Any, params_: Mapping[str, Any]) -> None:
    """This function will show which page of a list this is, with the buttons to the one before and after.

    `turned`: page and pages, numbers; previous and next, the cursors of those two, "" where there is none.
    """

    def turn(label: str, number: int, after: str) -> None:
        st.button(label, disabled=not after, on_click=go, args=({**params_, "page": str(number), "after": after},))

    with st.container(horizontal=True, vertical_alignment="center", key="pager"):
        turn("Previous", turned.page - 1, turned.previous)
        st.caption(f"Page {turned.page:,} of {turned.pages:,}", width="content")
        turn("Next", turned.page + 1, turned.next)


def order(said: str, labels: Mapping[str, str], sort: str, params_: Mapping[str, Any]) -> None:
    """This function will show what a list comes to (Markdown) and the orders it can have; another one goes into the URL."""
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom", key="sums")
    row.markdown(said)
    row.selectbox(
        "Order",
        list(labels),
        index=list(labels).index(sort),
        format_func=labels.get,
        key=f"sort-{sort}",
        on_change=lambda: go({**params_, "sort": st.session_state[f"sort-{sort}"]}),
        label_visibility="collapsed",
        width=240,
    )


Apply = Callable[..., None]


def _values(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, known: Mapping[str, str]) -> None:
    st.multiselect(
        label,
        [*known, *(v for v in chosen if v not in known)],
        default=list(chosen),
        format_func=lambda v: known.get(v, f"unknown: {v[:30]}"),
        key=key,
        on_change=apply,
        args=(name,),
        placeholder="All",
    )


def _text(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, _known: Mapping[str, str]) -> None:
    st.text_input(label, value=" ".join(chosen), key=key, on_change=apply, args=(name,), placeholder="Name, number …")


def _range(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, _known: Mapping[str, str]) -> None:
    codes = list(dict.fromkeys([*chosen, *periods.offered(periods.today())]))
    st.selectbox(
        label,
        codes,
        index=0 if chosen else None,
        format_func=periods.label,
        key=key,
        on_change=apply,
        args=(name,),
        placeholder="All time",
    )


def _between(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, _known: Mapping[str, str]) -> None:
    def between() -> None:
        days: tuple[date, ...] = st.session_state[f"{key}-days"]
        if len(days) == 2:
            apply(name, f"{days[0]}..{days[1]}")

    period = periods.parse(chosen[0]) if len(chosen) == 1 else None
    shown = (period.first, period.last) if period and period.first and period.last else ()
    st.date_input(
        f"{label} between",
        value=shown,
        key=f"{key}-days",
        on_change=between,
        format="DD/MM/YYYY",
        min_value=periods.FIRST_DAY,
        max_value=periods.LAST_DAY,
    )


def _day(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, _known: Mapping[str, str]) -> None:
    period = periods.parse(chosen[0]) if len(chosen) == 1 else None
    shown = period.first if period else None  # a link may name a day that is yet to come

    def on() -> None:
        apply(name, str(st.session_state[f"{key}-day"] or "") or ())

    st.date_input(
        label,
        value=shown,
        key=f"{key}-day",
        on_change=on,
        format="DD/MM/YYYY",
        min_value=periods.FIRST_DAY,
        max_value=max(filter(None, (periods.today(), shown))),
    )


def _ages(name: str, label: str, chosen: tuple[str, ...], key: str, apply: Apply, _known: Mapping[str, str]) -> None:
    said = {age: slices.Slice(age=age).sentence() for age in slices.AGES}
    _values(name, label, chosen, key, apply, {age: text.partition(": ")[2] for age, text in said.items()})


INPUTS = {"text": _text, "range": _range, "day": _day, "days": _ages}
