"""The inputs of an offer, shared by the new form and the edit form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crm_core import offers, periods
from crm_core.schema import OFFER_STATUSES
from pages._forms import amount, choice, kept, rupees
from pages._ui import Visitor


def inputs(visitor: Visitor, form: str, present: Mapping[str, Any], beside: Callable[[str], None]) -> dict[str, Any]:
    """This function will show the inputs of an offer but its customer, and return what they hold."""
    left, right = st.columns(2)
    values: dict[str, Any] = {}
    with left:
        values["number"] = st.text_input("Offer number *", key=kept(form, "number", present.get("number") or ""))
        beside("number")
        values["amount"] = amount(visitor, form, "amount", "Amount (₹) *", beside, rupees(present.get("amount")))
        values["document_url"] = st.text_input(
            offers.FIELDS["document_url"].label,
            key=kept(form, "document_url", present.get("document_url") or ""),
            placeholder="https://…",
        )
        beside("document_url")
    with right:
        key = kept(form, "offered_on", present.get("offered_on") or periods.today())
        values["offered_on"] = st.date_input("Date", value=None, key=key, format="DD/MM/YYYY")
        beside("offered_on")
        start = {"status": present.get("status") or next(iter(OFFER_STATUSES))}
        values["status"] = choice(form, "status", "Status", OFFER_STATUSES, start, beside)
    return values
