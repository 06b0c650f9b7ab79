"""Leads: the list, a slice named by the URL."""

import streamlit as st

from crm_core import frames, leads, lifecycle, periods
from crm_core.slices import LeadSlice
from pages._filters import filter_bar, notices, order, page_number, pager
from pages._tables import grid, lines
from pages._ui import counted, enter, head, link, linked, param, params, plain, status
from pages._views import view_bar

VIEW = ("sort", "page", "after")
SORT_LABELS = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-changed": "Last changed",
    "company": "Company A–Z",
    "status": "State",
}
HEADINGS = ("Lead", "Source", "Region", "Owner", "State, created")

visitor = enter("leads")
slice_ = LeadSlice.from_params(params())
sort = param("sort") if param("sort") in SORT_LABELS else leads.DEFAULT_SORT
keep = {"sort": param("sort")}

with head("Leads"):
    view_bar(visitor, "leads")
    if visitor.person.may("lead.create"):
        link("New lead", "new_lead", icon=":material/add:")
filter_bar(visitor, slice_, leads, ("q", "status", "owner", "source"), keep)
known = notices(visitor, slice_, leads, VIEW)
frame, turned = visitor.ask(leads.listing, slice_, sort, page_number(), after=param("after"))
st.markdown(f":gray[{plain(slice_.sentence(known))}]")
order(counted(turned.count, "leads"), SORT_LABELS, sort, slice_.to_params() | keep)
if not turned.count:
    st.info("No leads for this selection.")
    st.stop()


def row(lead) -> list[str]:
    """This function will make the cells of one lead; who it is about is the link to it, with the way back."""
    return [
        linked(f"{lead.contact} · {lead.company}", "lead", {**params(), "id": str(lead.id)}),
        *(lines(text) for text in (lead.source, lead.region, lead.owner)),
        f"{status(lead.status, lifecycle.LEAD_STAGE)} :gray[{periods.day(periods.in_india(lead.created_at).date())}]",
    ]


grid("leads", HEADINGS, map(row, frames.rows(frame)))
pager(turned, slice_.to_params() | keep)
