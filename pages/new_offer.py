"""A new offer for a customer, started from the register or from an opportunity."""

import streamlit as st

from crm_core import offers, opportunities
from crm_core.errors import Refusal
from pages._forms import chosen_customer, problems, save, show
from pages._offer_form import inputs
from pages._ui import enter, link, onward, param, require

FORM = "new_offer"

visitor = enter("new_offer")
st.title("New offer")
require(visitor, "offer.create")
origin = None
if param("opportunity"):
    try:
        origin = visitor.ask(opportunities.get, param("opportunity"))
    except Refusal:
        st.warning("The opportunity that this link names is not there; choose the customer.")
show(FORM, None)
beside = problems(FORM, offers.FIELDS)
start = {"amount": origin.value} if origin else {}
values = {"customer_id": chosen_customer(visitor, FORM, beside, origin and origin.customer_id)}
values |= inputs(visitor, FORM, start, beside)
if st.button("Save offer", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, offers.create, values)
    page, record_id = ("opportunity", origin.id) if origin else ("offer", made)
    onward(page, {"id": str(record_id)})
link("Back to the list", "opportunities")
