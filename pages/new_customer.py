"""A new customer of the master."""

import streamlit as st

from crm_core import customers
from pages._customer_form import inputs
from pages._ui import enter, link, problems, save, show

FORM = "new_customer"

visitor = enter("new_customer")
st.title("New customer")
if not visitor.person.may("customer.create"):
    st.error("You may not create customers.")
    st.stop()
show(FORM, None)
values = inputs(FORM, {}, problems(FORM, customers.FIELDS))
for customer_id, label in visitor.ask(customers.likely, values).items():
    link(f"May be the same: {label}", "customer", {"id": str(customer_id)})
if st.button("Save customer", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, customers.create, values)
    st.switch_page("customer.py", query_params={"id": str(made)})
link("Back to the customers", "customers")
