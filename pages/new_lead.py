"""A new lead; one that may be known already is shown before it is saved."""

import streamlit as st

from crm_core import leads
from pages._forms import problems, save, show
from pages._lead_form import inputs
from pages._ui import enter, link, onward, require

FORM = "new_lead"

visitor = enter("new_lead")
st.title("New lead")
require(visitor, "lead.create")
show(FORM, None)
beside = problems(FORM, leads.FIELDS)
values = inputs(visitor, FORM, {}, beside)
known = visitor.ask(leads.duplicates, values)
with st.container():
    if known:
        st.warning("These may be the same; look before you save.")
    for kind, record_id, label in known:
        link(label, kind, {"id": str(record_id)})
if st.button("Save lead anyway" if known else "Save lead", type="primary", key=f"{FORM}-save"):
    made = save(visitor, FORM, leads.create, values)
    onward("lead", {"id": str(made)})
link("Back to the leads", "leads")
