"""One customer: its facts, the viewer's opportunities with it, its offers."""

import streamlit as st

from crm_core import customers, frames, leads, offers, pipeline
from crm_core.errors import Refusal
from crm_core.schema import OFFER_STATUSES
from crm_core.slices import Slice
from pages._customer_form import inputs
from pages._forms import customer_input, problems, save, show
from pages._server import line
from pages._tables import facts, grid, lines
from pages._ui import all_changes, counted, enter, link, linked, load, param, plain, status

visitor = enter("customer")
record = load(visitor, customers.get, "customers")


def run(form: str, verb, *args) -> None:
    """This function will run a command and show the saved customer, or its problems."""
    save(visitor, form, verb, record.id, *args, seen=record.version)
    st.switch_page("customer.py", query_params={"id": str(record.id)})


def source_lead() -> None:
    """This function will link the lead it came from, to those who may see that."""
    try:
        lead = visitor.ask(leads.get, record.source_lead_id)
    except Refusal:
        return
    link(f"From the lead of {lead.contact}", "lead", {"id": str(lead.id)})


def merge_form(form: str) -> None:
    """This function will merge the customer into another, said twice."""
    into = customer_input(visitor, "Merge into", form, "into", but=record.id)
    if into:
        other = visitor.ask(customers.choices, also=(into,))[into]
        st.warning(
            f"All its opportunities and offers go to {plain(other)}, and {plain(record.company)} "
            "is closed for good. This cannot be undone."
        )
    if st.button("Merge for good", key=f"{form}-merge", type="primary", disabled=into is None):
        run(form, customers.merge, into)


link("Back to the customers", "customers", {k: param(k) for k in ("q", "page", "after")}, icon=":material/arrow_back:")
st.title(plain(record.company))
if record.merged_into_id:
    st.warning("This customer was merged into another.")
    link(f"Open {record.merged_into}", "customer", {"id": str(record.merged_into_id)})
elif not record.active:
    st.warning("This customer is inactive and cannot be chosen for new opportunities.")
left, right = st.columns(2)
with left.container(border=True):
    facts("contact", ("Contact", record.contact), ("Phone", record.phone), ("E-mail", record.email))
with right.container(border=True):
    place = ", ".join(filter(None, (record.city, record.state)))
    facts("place", ("GSTIN", record.gstin), ("City, state", place), ("Notes", record.notes))
    if record.source_lead_id:
        source_lead()

here = Slice(customer=record.id)
listing = visitor.ask(pipeline.listing, here, per_page=10)
st.header("Opportunities", anchor=False)
link(f"{counted(listing.count)} · {visitor.exact(listing.value)}", "opportunities", here.to_params())
if listing.count:
    grid(
        "theirs",
        ("Number, title", "Value", "Status"),
        [
            [
                f"{linked(row.number, 'opportunity', {'id': str(row.id)})} :gray[{line(row.title or '')}]",
                lines(visitor.exact(row.value)),
                status(row.status),
            ]
            for row in frames.rows(listing.rows)
        ],
        [1],
    )
if record.active and visitor.person.may("opportunity.create"):
    link("New opportunity", "new_opportunity", {"customer": str(record.id)}, icon=":material/add:")
st.header("Offers", anchor=False)
made = [
    [
        linked(row.number, "offer", {"id": str(row.id)}),
        lines(visitor.exact(row.amount)),
        lines(OFFER_STATUSES[row.status]),
    ]
    for row in visitor.ask(offers.of_customer, record.id)
]
if made:
    grid("offers", ("Number", "Amount", "Status"), made, [1])
if record.active and visitor.person.may("offer.create"):
    link("New offer", "new_offer", {"customer": str(record.id)}, icon=":material/add:")

if visitor.person.may("customer.change"):
    # closed, it is not built
    editing = st.expander("Edit", icon=":material/edit:", key=f"editing-{record.id}", on_change="rerun")
    if editing.open:
        with editing:
            form = f"edit-customer-{record.id}"
            show(form, record.version)
            typed = inputs(form, record._mapping, problems(form, customers.FIELDS))
            if st.button("Save changes", type="primary", key=f"{form}-save"):
                run(form, customers.edit, typed)
if visitor.person.may("customer.retire") and not record.merged_into_id:
    activate, merge, _space = st.columns([1, 1, 2])
    form = f"retire-customer-{record.id}"
    show(form, record.version)
    problems(form)
    with activate:
        if st.button("Deactivate" if record.active else "Reactivate", key=f"{form}-go", width="stretch"):
            run(form, customers.deactivate if record.active else customers.reactivate)
    merging = merge.popover(
        "Merge into another customer", width="stretch", key=f"merging-{record.id}", on_change="rerun"
    )
    if merging.open:
        with merging:
            merge_form(form)
all_changes(visitor, record.id)
