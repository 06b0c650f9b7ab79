"""A new opportunity against a customer of the master."""

import streamlit as st

from crm_core import customers, opportunities
from pages._opportunity_form import amount, inputs
from pages._ui import enter, link, param, problems, save, show

FORM = "new_opportunity"

visitor = enter("new_opportunity")
st.title("New opportunity")
if not visitor.person.may("opportunity.create"):
    st.error("You may not create opportunities.")
    st.stop()
show(FORM, None)
beside = problems(FORM, opportunities.FIELDS)
choices = visitor.ask(customers.choices)
ids = list(choices)
wanted = int(param("customer")) if param("customer").isdecimal() and len(param("customer")) < 19 else None
customer_id = st.selectbox(
    "Customer *",
    ids,
    index=ids.index(wanted) if wanted in ids else None,
    format_func=choices.get,
    placeholder="Type to search the customer master",
    key=f"{FORM}-customer_id",
)
beside("customer_id")
home = visitor.ask(customers.get, customer_id) if customer_id else None
values = {"customer_id": customer_id}
amount(visitor, FORM, "value", "Potential value (₹) *", beside)
values |= inputs(
    visitor, FORM, {"state": home.state if home else None, "city": home.city if home else None}, beside, home
)
values["value"] = st.session_state.get(f"{FORM}-value")
if st.button("Save opportunity", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, opportunities.create, values)
    st.switch_page("opportunity.py", query_params={"id": str(made)})
link("Back to the list", "opportunities")
