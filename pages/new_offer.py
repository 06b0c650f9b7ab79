"""A new offer for a customer, started from the register or from an opportunity."""

import streamlit as st

from crm_core import customers, offers, opportunities
from crm_core.errors import Refusal
from crm_core.schema import OFFER_STATUSES
from pages._opportunity_form import amount, choice
from pages._ui import enter, link, param, problems, save, show

FORM = "new_offer"

visitor = enter("new_offer")
st.title("New offer")
if not visitor.person.may("offer.create"):
    st.error("You may not create offers.")
    st.stop()
start, origin = {"status": next(iter(OFFER_STATUSES))}, None
if param("opportunity"):
    try:
        origin = visitor.ask(opportunities.get, param("opportunity"))
        start |= {"customer_id": origin.customer_id}
    except Refusal:
        st.warning("The opportunity of this link is not there; choose the customer.")
elif param("customer").isdecimal() and len(param("customer")) < 19:
    start |= {"customer_id": int(param("customer"))}
show(FORM, None)
beside = problems(FORM, offers.FIELDS)
values = {"customer_id": choice(FORM, "customer_id", "Customer *", visitor.ask(customers.choices), start, beside)}
values["number"] = st.text_input("Offer number *", key=f"{FORM}-number")
beside("number")
default = str(origin.value).removesuffix(".00") if origin else ""
values["amount"] = amount(visitor, FORM, "amount", "Amount (₹) *", beside, default)
values["offered_on"] = st.date_input("Date", value=None, key=f"{FORM}-offered_on", format="DD/MM/YYYY")
beside("offered_on")
values["status"] = choice(FORM, "status", "Status", OFFER_STATUSES, start, beside)
values["document_url"] = st.text_input("Document link", key=f"{FORM}-document_url", placeholder="https://…")
beside("document_url")
if st.button("Save offer", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, offers.create, values)
    page, record_id = ("opportunity.py", origin.id) if origin else ("offer.py", made)
    st.switch_page(page, query_params={"id": str(record_id)})
link("Back to the list", "opportunities")
