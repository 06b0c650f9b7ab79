"""The list: a slice of the pipeline, named by the URL, with count and sums over the whole slice."""

import streamlit as st

from crm_core import exports, frames, opportunities, periods, pipeline, users, walks
from crm_core.schema import PRODUCTS
from crm_core.slices import Slice
from pages import _server
from pages._filters import SORT_LABELS, filter_bar, notices, order, page_number, pager
from pages._forms import choice, problems, save
from pages._tables import grid, lines
from pages._ui import SPREADSHEET, counted, enter, head, link, linked, page_url, param, params, plain, status
from pages._views import view_bar

VIEW = ("sort", "page", "after", "sum")
HEADINGS = ("Number", "Customer", "Region", "Sales / application engineer", "Product", "Value", "Status, created")

visitor = enter("opportunities")
slice_ = Slice.from_params(params())
sort = param("sort") if param("sort") in SORT_LABELS else walks.DEFAULT_SORT
keep = {"sort": param("sort"), "sum": param("sum")}

with head("Opportunities"):
    view_bar(visitor, "opportunities")
    if visitor.person.may("opportunity.create"):
        link("New opportunity", "new_opportunity", icon=":material/add:")
filter_bar(visitor, slice_, pipeline, ("q", "status", "region", "business_unit", "owner"), keep)
known = notices(visitor, slice_, pipeline, VIEW)
listing = visitor.ask(pipeline.listing, slice_, sort, page_number(), after=param("after"))
items = frames.rows(listing.rows)
back = {name: values for name, values in params().items() if name != "id"}


def row(item) -> list[str]:
    """This function will make the cells of one opportunity; its number is the link to it, with the way back."""
    won = f"won {visitor.exact(item.won_value)}" if item.won_value is not None else ""
    beside = f"change {visitor.exact(item.change)}" if item.change is not None else won
    created = periods.day(periods.in_india(item.created_at).date())
    return [
        linked(item.number, "opportunity", {"id": str(item.id)} | back),
        lines(item.customer, item.title),
        lines(item.region, item.state),
        lines(item.owner, item.application_engineer),
        lines(PRODUCTS[item.product], item.business_unit),
        lines(visitor.exact(item.value), beside),
        f"{status(item.status)} :gray[{created}]",
    ]


def reassign_form() -> None:
    """This function will give some of this page, or all of the slice, to another owner."""
    form = "reassign-many"
    bar = st.popover("Reassign", icon=":material/person_add:", key=form, on_change="rerun")
    if not bar.open:
        return
    with bar:
        beside = problems(form, ["owner_id"])
        everything = st.checkbox(f"All {listing.count:,} of this selection", key=f"{form}-all")
        names = {item.id: f"{item.number} · {item.customer}" for item in items}
        ticked = st.multiselect(
            "Or some of this page", list(names), format_func=names.get, key=f"{form}-some", disabled=everything
        )
        owner = choice(form, "owner_id", "New sales engineer", visitor.ask(users.owners), {}, beside)
        ready = owner is not None and (everything or ticked)
        if st.button("Reassign", key=f"{form}-go", type="primary", disabled=not ready):
            save(
                visitor,
                form,
                opportunities.reassign,
                visitor.ask(pipeline.ids, slice_) if everything else ticked,
                owner,
            )
            st.rerun()


def download(kind: str, mime: str, verb, *more) -> None:
    """This function will offer the list as a file, written when it is asked for."""
    st.download_button(
        f"Export {kind}",
        data=lambda: _server.database().submit(verb, visitor.actor, slice_, sort, *more),
        file_name=f"opportunities.{kind.lower()}",
        mime=mime,
        icon=":material/download:",
        on_click="ignore",
    )


st.markdown(f":gray[{plain(slice_.sentence(known))}]")
if listing.change is not None:
    moved_by = f"changed the open pipeline by **{plain(visitor.exact(listing.change))}**"
    said = f"{counted(listing.count)} · {moved_by} · potential value {plain(visitor.exact(listing.value))}"
elif param("sum") == "won":
    said = f"{counted(listing.count)} · won value **{plain(visitor.exact(listing.won_value))}**"
else:
    said = (
        f"{counted(listing.count)} · potential value **{plain(visitor.exact(listing.value))}** · "
        f"won value {plain(visitor.exact(listing.won_value))}"
    )
order(said, SORT_LABELS, sort, slice_.to_params() | keep)
if not listing.count:
    st.info("No opportunities for this selection.")
    st.stop()
grid("list", HEADINGS, map(row, items), [HEADINGS.index("Value")])
pager(listing, slice_.to_params() | keep)
with st.container(horizontal=True):
    if visitor.person.may("export"):
        download("XLSX", SPREADSHEET, exports.as_xlsx, page_url(slice_.to_params() | keep))
        download("CSV", "text/csv", exports.as_csv)
    if visitor.person.may("opportunity.reassign"):
        reassign_form()
