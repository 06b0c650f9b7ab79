"""Customers: the master, searchable."""

import streamlit as st

from crm_core import customers
from pages._ui import enter, go, link, param

visitor = enter("customers")
page = int(param("page")) if param("page").isdecimal() and len(param("page")) < 9 else 1
q = param("q")
title, new = st.columns([4, 1], vertical_alignment="bottom")
title.title("Customers")
if visitor.person.may("customer.create"):
    with new:
        link("New customer", "new_customer", icon=":material/add:")
st.text_input(
    "Search",
    value=q,
    key=f"customers-{q}",
    on_change=lambda: go({"q": st.session_state[f"customers-{q}"]}),
    placeholder="Company, contact, e-mail, phone",
)
rows, count = visitor.ask(customers.listing, q, page)
pages = max(1, -(-count // 25))
page = min(page, pages)
st.markdown(f"**{count:,}** customers")
for row in rows:
    with st.container(key=f"row-{row.id}"):
        cells = st.columns((2.5, 1.5, 1.5, 1.5), gap="small")
        with cells[0]:
            link(row.company + ("" if row.active else " (inactive)"), "customer", {"id": str(row.id)})
        for cell, text in zip(cells[1:], (row.contact, row.city, row.state), strict=True):
            cell.text(text or "–")
if not count:
    st.info("No customers for this search.")
back, where, forward = st.columns([1, 2, 1], vertical_alignment="center")
back.button("Previous", disabled=page <= 1, on_click=lambda: go({"q": q, "page": str(page - 1)}))
where.caption(f"Page {page:,} of {pages:,}")
forward.button("Next", disabled=page >= pages, on_click=lambda: go({"q": q, "page": str(page + 1)}))
