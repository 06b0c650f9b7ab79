"""The inputs of a customer, shared by the new form and the edit form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core import customers
from pages._forms import kept


def inputs(form: str, present: Mapping[str, Any], beside: Callable[[str], None]) -> dict[str, Any]:
    """This function will show the inputs of a customer and return what they hold."""
    values = {}
    columns = st.columns(2)
    half = len(customers.FIELDS) // 2
    for position, (name, field) in enumerate(customers.FIELDS.items()):
        with columns[position // half]:
            ask = st.text_area if name == "notes" else st.text_input
            label = field.label + (" *" if field.required else "")
            values[name] = ask(label, key=kept(form, name, present.get(name) or ""))
            beside(name)
    return values
