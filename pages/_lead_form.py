"""The inputs of a lead, shared by the new form and the edit form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core import users
from crm_core.schema import PRODUCTS
from pages._forms import choice, kept, listed
from pages._ui import Visitor


def inputs(visitor: Visitor, form: str, present: Mapping[str, Any], beside: Callable[[str], None]) -> dict[str, Any]:
    """This function will show the inputs of a lead and return what they hold."""
    left, right = st.columns(2)
    values: dict[str, Any] = {}
    texts = {"contact": "Contact *", "company": "Company *", "email": "E-mail", "phone": "Phone"}
    with left:
        for name, label in (texts | {"state": "State", "city": "City"}).items():
            values[name] = st.text_input(label, key=kept(form, name, present.get(name) or ""))
            beside(name)
    with right:
        values["source"] = choice(
            form, "source", "Source *", listed(visitor, "lead_source", present.get("source")), present, beside
        )
        values["region"] = choice(
            form, "region", "Region", listed(visitor, "region", present.get("region")), present, beside
        )
        values["product"] = choice(form, "product", "Product interest", PRODUCTS, present, beside)
        owners = visitor.ask(users.owners)
        owner_id = present.get("owner_id") or visitor.person.id
        owners = owners if owner_id in owners else {owner_id: present.get("owner") or visitor.person.name, **owners}
        values["owner_id"] = choice(form, "owner_id", "Owner *", owners, {"owner_id": owner_id}, beside)
        values["notes"] = st.text_area("Notes", key=kept(form, "notes", present.get("notes") or ""))
        beside("notes")
    return values
