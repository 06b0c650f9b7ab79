"""Leads: the list, its filters in the URL."""

import streamlit as st

from crm_core import leads, lifecycle, periods
from pages._ui import enter, go, link, param, params, plain, status

WIDTHS = (2.6, 1.2, 1.4, 1.5, 1.2, 1.1)
PAGE_SIZE = 25

visitor = enter("leads")
given = {name: values for name, values in params().items() if name in (*leads.FILTERS, "created", "q")}
keep = {"sort": param("sort")}
page = int(param("page")) if param("page").isdecimal() and len(param("page")) < 9 else 1

title, new = st.columns([4, 1], vertical_alignment="bottom")
title.title("Leads")
if visitor.person.may("lead.create"):
    with new:
        link("New lead", "new_lead", icon=":material/add:")


def options(name: str) -> dict[str, str]:
    if name == "status":
        return {stage.code: stage.label for stage in lifecycle.LEAD_STAGES}
    return visitor.ask(leads.choices, name)


version = str(sorted((k, tuple(v)) for k, v in given.items()))


def apply() -> None:
    chosen = {name: st.session_state[f"leads-{name}-{version}"] for name in leads.FILTERS}
    go(chosen | {"q": st.session_state[f"leads-q-{version}"], "created": given.get("created")} | keep)


for name in params():
    if name not in (*leads.FILTERS, "created", "q", "page", "sort"):
        st.info(f"“{plain(name[:60])}” in this link is not a filter; it was ignored.")
cells = st.container(key="filters").columns(len(leads.FILTERS) + 1)
for cell, (name, (label, _column, _parse)) in zip(cells, leads.FILTERS.items(), strict=False):
    known = options(name)
    for value in given.get(name, []):
        if value not in known:
            st.warning(plain(f"{label} “{value}” is not known here; it matches nothing."))
    cell.multiselect(
        label,
        [*known, *(v for v in given.get(name, []) if v not in known)],
        default=given.get(name, []),
        format_func=lambda v, known=known: known.get(v, f"unknown: {v[:30]}"),
        key=f"leads-{name}-{version}",
        on_change=apply,
        placeholder="All",
    )
cells[-1].text_input(
    "Search",
    value=" ".join(given.get("q", [])),
    key=f"leads-q-{version}",
    on_change=apply,
    placeholder="Name, company, e-mail, phone",
)

frame, count = visitor.ask(leads.listing, given, param("sort") or "-created", page, PAGE_SIZE)
pages = max(1, -(-count // PAGE_SIZE))
page = min(page, pages)
st.markdown(f"**{count:,}** leads")
if not count:
    st.info("No leads for this selection.")
    st.stop()
for row in frame.itertuples(index=False):
    with st.container(key=f"row-{row.id}"):
        cells = st.columns(WIDTHS, gap="small")
        with cells[0]:
            link(f"{row.contact} · {row.company}", "lead", {"id": str(row.id)})
        for cell, text in zip(cells[1:4], (row.source, row.region, row.owner), strict=True):
            cell.text(text or "–")
        cells[4].markdown(status(row.status, lifecycle.LEAD_STAGE))
        cells[5].text(periods.day(periods.in_india(row.created_at).date()))
back, where, forward = st.columns([1, 2, 1], vertical_alignment="center")
back.button("Previous", disabled=page <= 1, on_click=lambda: go(given | keep | {"page": str(page - 1)}))
where.caption(f"Page {page:,} of {pages:,}")
forward.button("Next", disabled=page >= pages, on_click=lambda: go(given | keep | {"page": str(page + 1)}))
