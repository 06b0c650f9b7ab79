"""One move of the lifecycle as a form, with what it asks: on the opportunity's page and on the board."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core import lifecycle, offers, opportunities, settings
from pages._forms import amount, kept, problems, save, show
from pages._ui import Visitor


def move_form(visitor: Visitor, record: Any, move: lifecycle.Transition, done: Callable[[], None]) -> None:
    """This function will show what a move asks and its button; `done` follows when it is saved."""
    form = f"move-{record.id}-{move.name}"
    show(form, record.version)
    beside = problems(form, [ask.field for ask in move.asks])
    values = {ask.field: ask_for(visitor, record, ask, form, beside) for ask in move.asks}
    if st.button(move.label, key=f"{form}-go", type="primary"):
        save(visitor, form, opportunities.move, record.id, move.name, values, seen=record.version)
        done()


def ask_for(visitor: Visitor, record: Any, ask: lifecycle.Ask, form: str, beside: Callable[[str], None]) -> object:
    """This function will show the input that a transition asks for."""
    label = ask.label + (" *" if ask.required else "")
    if ask.field == "won_value":
        return amount(visitor, form, ask.field, label, beside)
    chosen: object
    if ask.list or ask.field == "offer_id":
        options = (
            visitor.ask(settings.labels_of, ask.list) if ask.list else visitor.ask(offers.linkable, record.customer_id)
        )
        key = kept(form, ask.field, None)
        chosen = st.selectbox(label, list(options), index=None, format_func=options.get, key=key, placeholder="Choose")
    else:
        chosen = st.text_area(label, key=kept(form, ask.field, ""), height=80)
    beside(ask.field)
    return chosen
