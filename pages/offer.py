"""One offer of the register: its facts, its document, its timeline."""

import streamlit as st

from crm_core import offers, periods
from crm_core.schema import OFFER_STATUSES
from pages._forms import problems, save, show
from pages._offer_form import inputs
from pages._tables import facts
from pages._ui import enter, link, load, plain, timeline

visitor = enter("offer")
record = load(visitor, offers.get, "opportunities")
if record.opportunity_id:
    link("Back to its opportunity", "opportunity", {"id": str(record.opportunity_id)}, icon=":material/arrow_back:")
st.title(plain(f"Offer {record.number}"))
left, right = st.columns(2)
with left.container(border=True):
    link(f"Customer: {record.customer}", "customer", {"id": str(record.customer_id)})
    facts("sum", ("Amount", visitor.exact(record.amount)), ("Date", periods.day(record.offered_on)))
with right.container(border=True):
    facts("state", ("Status", OFFER_STATUSES[record.status]), ("Document", record.document_url))
    if record.document_url:
        st.link_button("Open the document", record.document_url, icon=":material/open_in_new:")
if visitor.ask(offers.editable, record):
    with st.expander("Edit", icon=":material/edit:", key=f"editing-{record.id}"):
        form = f"edit-offer-{record.id}"
        show(form, record.version)
        typed = inputs(visitor, form, record._mapping, problems(form, offers.EDITABLE))
        if st.button("Save changes", type="primary", key=f"{form}-save"):
            save(visitor, form, offers.edit, record.id, typed, seen=record.version)
            st.switch_page("offer.py", query_params={"id": str(record.id)})
timeline(visitor, offers.history, record.id)
