"""Leads: the list, a slice named by the URL."""

import streamlit as st

from crm_core import leads, lifecycle, periods
from crm_core.slices import LeadSlice
from pages._filters import filter_bar, notices, order, page_number, pager
from pages._ui import counted, enter, link, param, params, plain, status
from pages._views import view_bar

VIEW = ("sort", "page")
SORT_LABELS = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-changed": "Last changed",
    "company": "Company A–Z",
    "status": "State",
}
WIDTHS = (2.6, 1.2, 1.4, 1.5, 1.4)
HEADINGS = ("Lead", "Source", "Region", "Owner", "State, created")
PAGE_SIZE = 25

visitor = enter("leads")
slice_ = LeadSlice.from_params(params())
sort = param("sort") if param("sort") in SORT_LABELS else leads.DEFAULT_SORT
keep = {"sort": param("sort")}

title, share, new = st.columns([5, 1, 1.3], vertical_alignment="bottom")
title.title("Leads")
with share:
    view_bar(visitor, "leads")
if visitor.person.may("lead.create"):
    with new:
        link("New lead", "new_lead", icon=":material/add:")
filter_bar(visitor, slice_, leads.choices, ("q", "status", "owner", "source"), keep)
known = notices(visitor, slice_, leads.names, VIEW)
frame, count = visitor.ask(leads.listing, slice_, sort, page_number(), PAGE_SIZE)
pages = max(1, -(-count // PAGE_SIZE))
st.markdown(f":gray[{plain(slice_.sentence(known))}]")
figures, ordering = st.columns([3, 1], vertical_alignment="bottom")
figures.markdown(counted(count, "leads"))
with ordering:
    order(SORT_LABELS, sort, slice_.to_params() | keep)
if not count:
    st.info("No leads for this selection.")
    st.stop()
with st.container(key="head-leads"):
    for cell, heading in zip(st.columns(WIDTHS, gap="small"), HEADINGS, strict=True):
        cell.caption(heading)
for row in frame.itertuples(index=False):
    with st.container(key=f"row-{row.id}"):
        cells = st.columns(WIDTHS, gap="small")
        with cells[0]:
            link(f"{row.contact} · {row.company}", "lead", {**params(), "id": str(row.id)})
        for cell, text in zip(cells[1:4], (row.source, row.region, row.owner), strict=True):
            cell.text(text or "–")
        since = periods.day(periods.in_india(row.created_at).date())
        cells[4].markdown(f"{status(row.status, lifecycle.LEAD_STAGE)}  \n{since}")
pager(min(page_number(), pages), pages, slice_.to_params() | keep)
