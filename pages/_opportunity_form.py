"""The inputs of an opportunity, shared by the new form, the edit form and the conversion of a lead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core import users
from crm_core.schema import PRODUCTS
from pages._forms import choice, kept, listed
from pages._ui import Visitor


def inputs(
    visitor: Visitor,
    form: str,
    present: Mapping[str, Any],
    beside: Callable[[str], None],
    home: Any = None,
) -> dict[str, Any]:
    """This function will show the inputs of an opportunity but its customer and value, and return what they hold.

    State and city follow the customer that is chosen (`home`) until somebody types there.
    """
    place = present if home is None else home._mapping
    left, right = st.columns(2)
    values: dict[str, Any] = {}
    with left:
        values["title"] = st.text_input("Title", key=kept(form, "title", present.get("title") or ""))
        beside("title")
        values["region"] = choice(
            form, "region", "Region *", listed(visitor, "region", present.get("region")), present, beside
        )
        for name in ("state", "city"):
            values[name] = st.text_input(name.capitalize(), key=kept(form, name, place.get(name) or ""))
            beside(name)
        units = listed(visitor, "business_unit", present.get("business_unit"))
        start = dict(present) | {"business_unit": present.get("business_unit") or visitor.person.business_unit}
        values["business_unit"] = choice(form, "business_unit", "Business unit *", units, start, beside)
    with right:
        values["product"] = choice(form, "product", "Product interest *", PRODUCTS, present, beside)
        owners = visitor.ask(users.owners)
        start = dict(present) | {"owner_id": present.get("owner_id") or visitor.person.id}
        if start["owner_id"] not in owners:
            owners = {start["owner_id"]: present.get("owner") or visitor.person.name, **owners}
        values["owner_id"] = choice(form, "owner_id", "Sales engineer *", owners, start, beside)
        engineers = visitor.ask(users.engineers)
        values["application_engineer_id"] = choice(
            form, "application_engineer_id", "Application engineer", engineers, present, beside
        )
        for name, label in (("expected_close_on", "Expected close"), ("next_step_on", "Next step on")):
            values[name] = st.date_input(
                label, value=None, key=kept(form, name, present.get(name)), format="DD/MM/YYYY"
            )
            beside(name)
        values["next_step"] = st.text_input("Next step", key=kept(form, "next_step", present.get("next_step") or ""))
        beside("next_step")
    return values
