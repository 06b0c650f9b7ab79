"""Customers: the master, searchable."""

import streamlit as st

from crm_core import customers
from pages._filters import page_number, pager
from pages._tables import grid, lines
from pages._ui import counted, enter, go, head, link, linked, param

visitor = enter("customers")
q = param("q")
with head("Customers"):
    if visitor.person.may("customer.create"):
        link("New customer", "new_customer", icon=":material/add:")
st.text_input(
    "Search",
    value=q,
    key=f"customers-{q}",
    on_change=lambda: go({"q": st.session_state[f"customers-{q}"]}),
    placeholder="Company, contact, e-mail, phone",
)
rows, turned = visitor.ask(customers.listing, q, page_number(), after=param("after"))
st.markdown(counted(turned.count, "customers"))
if not turned.count:
    st.info("No customers for this search.")
    st.stop()


def cells(row) -> list[str]:
    """This function will make the cells of one customer; its name is the link to it, with the way back."""
    name = row.company + ("" if row.active else " (inactive)")
    return [
        linked(name, "customer", {"id": str(row.id), "q": q, "page": param("page"), "after": param("after")}),
        lines(row.contact),
        lines(", ".join(filter(None, (row.city, row.state)))),
    ]


grid("customers", ("Customer", "Contact", "Place"), map(cells, rows))
pager(turned, {"q": q})
