"""The list: a slice of the pipeline, named by the URL, with count and sums over the whole slice."""

import streamlit as st

from crm_core import exports, periods, pipeline
from crm_core.schema import PRODUCTS
from crm_core.slices import Slice
from pages import _server
from pages._ui import enter, filter_bar, go, link, notices, param, params, plain, status

VIEW = ("sort", "page", "sum")
SORT_LABELS = {
    "-created": "Newest first",
    "created": "Oldest first",
    "-value": "Highest value",
    "value": "Lowest value",
    "-won_value": "Highest won value",
    "-closed": "Last closed",
    "customer": "Customer A–Z",
}
WIDTHS = (1.6, 2.4, 1.5, 1.6, 1.2, 1.4, 1.2, 1.1)
HEADINGS = ("Number", "Customer", "Region", "Sales / application engineer", "Product", "Value", "Status", "Created")

visitor = enter("opportunities")
slice_ = Slice.from_params(params())
sort = param("sort") if param("sort") in SORT_LABELS else pipeline.DEFAULT_SORT
page = int(param("page")) if param("page").isdecimal() and len(param("page")) < 9 else 1
keep = {"sort": param("sort"), "sum": param("sum")}

title, new = st.columns([4, 1], vertical_alignment="bottom")
title.title("Opportunities")
if visitor.person.may("opportunity.create"):
    with new:
        link("New opportunity", "new_opportunity", icon=":material/add:")
filter_bar(visitor, slice_, ("status", "business_unit", "region", "owner", "product"), keep, search=True)
known = notices(visitor, slice_, VIEW)
listing = visitor.ask(pipeline.listing, slice_, sort, page)


def resort() -> None:
    go(slice_.to_params() | keep | {"sort": st.session_state[f"sort-{sort}"]})


def turn(to: int) -> None:
    go(slice_.to_params() | keep | {"page": str(to)})


def row(item) -> None:
    """This function will show one opportunity; its number is the link to it, with the way back."""
    with st.container(key=f"row-{item.id}"):
        cells = st.columns(WIDTHS, gap="small")
        with cells[0]:
            link(item.number, "opportunity", {"id": str(item.id)} | {k: v for k, v in params().items() if k != "id"})
        cells[1].text(item.customer + (f"\n{item.title}" if item.title else ""))
        cells[2].text(item.region + (f"\n{item.state}" if item.state else ""))
        cells[3].text(item.owner + (f"\n{item.application_engineer}" if item.application_engineer else ""))
        cells[4].text(f"{PRODUCTS[item.product]}\n{item.business_unit}")
        won = f"\nwon {visitor.exact(item.won_value)}" if item.won_value is not None else ""
        cells[5].container(key=f"num-{item.id}").text(visitor.exact(item.value) + won)
        cells[6].markdown(status(item.status))
        cells[7].text(periods.day(periods.in_india(item.created_at).date()))


st.markdown(f":gray[{plain(slice_.sentence(known))}]")
figures, order = st.columns([3, 1], vertical_alignment="bottom")
if param("sum") == "won":
    figures.markdown(f"**{listing.count:,}** opportunities · won value **{plain(visitor.exact(listing.won_value))}**")
else:
    figures.markdown(
        f"**{listing.count:,}** opportunities · potential value **{plain(visitor.exact(listing.value))}** · "
        f"won value {plain(visitor.exact(listing.won_value))}"
    )
order.selectbox(
    "Order",
    list(SORT_LABELS),
    index=list(SORT_LABELS).index(sort),
    format_func=SORT_LABELS.get,
    key=f"sort-{sort}",
    on_change=resort,
    label_visibility="collapsed",
)
if not listing.count:
    st.info("No opportunities for this selection.")
else:
    with st.container(key="head-list"):
        for cell, heading in zip(st.columns(WIDTHS, gap="small"), HEADINGS, strict=True):
            cell.caption(heading)
    for item in listing.rows.itertuples(index=False):
        row(item)
    back, where, forward, export = st.columns([1, 2, 1, 1.4], vertical_alignment="center")
    back.button("Previous", disabled=listing.page <= 1, on_click=turn, args=(listing.page - 1,))
    where.caption(f"Page {listing.page:,} of {listing.pages:,}")
    forward.button("Next", disabled=listing.page >= listing.pages, on_click=turn, args=(listing.page + 1,))
    if visitor.person.may("export"):
        export.download_button(
            "Export CSV",
            data=lambda: _server.database().submit(exports.as_csv, visitor.actor, slice_, sort),
            file_name="opportunities.csv",
            mime="text/csv",
            on_click="ignore",
        )
