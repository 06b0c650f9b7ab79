"""A new opportunity against a customer of the master."""

import streamlit as st

from crm_core import customers, opportunities
from pages._forms import amount, chosen_customer, problems, save, show
from pages._opportunity_form import inputs
from pages._ui import enter, link, onward, require

FORM = "new_opportunity"

visitor = enter("new_opportunity")
st.title("New opportunity")
require(visitor, "opportunity.create")
show(FORM, None)
beside = problems(FORM, opportunities.FIELDS)
customer_id = chosen_customer(visitor, FORM, beside)
home = visitor.ask(customers.get, customer_id) if customer_id else None
value = amount(visitor, FORM, "value", "Potential value (₹) *", beside)
values = {"customer_id": customer_id, "value": value, **inputs(visitor, FORM, {}, beside, home)}
if st.button("Save opportunity", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, opportunities.create, values)
    onward("opportunity", {"id": str(made)})
link("Back to the list", "opportunities")
