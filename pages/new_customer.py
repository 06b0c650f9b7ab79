"""A new customer of the master."""

import streamlit as st

from crm_core import customers
from pages._customer_form import inputs
from pages._forms import problems, save, show
from pages._ui import enter, link, onward, require

FORM = "new_customer"

visitor = enter("new_customer")
st.title("New customer")
require(visitor, "customer.create")
show(FORM, None)
values = inputs(FORM, {}, problems(FORM, customers.FIELDS))
with st.container():
    for customer_id, label in visitor.ask(customers.likely, values).items():
        link(f"May be the same: {label}", "customer", {"id": str(customer_id)})
if st.button("Save customer", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, customers.create, values)
    onward("customer", {"id": str(made)})
link("Back to the customers", "customers")
