"""One offer of the register."""

import streamlit as st

from crm_core import offers, periods
from crm_core.schema import OFFER_STATUSES
from pages._ui import enter, facts, link, load, param, plain

visitor = enter("offer")
record = load(visitor, offers.get, "opportunities", param("id"))
st.title(plain(f"Offer {record.number}"))
with st.container(border=True):
    link(f"Customer: {record.customer}", "customer", {"id": str(record.customer_id)})
    facts([("Amount", visitor.exact(record.amount)), ("Date", periods.day(record.offered_on))])
    facts([("Status", OFFER_STATUSES[record.status]), ("Document", record.document_url)])
if record.document_url:
    st.link_button("Open the document", record.document_url)
if record.opportunity_id:
    link("Open its opportunity", "opportunity", {"id": str(record.opportunity_id)})
