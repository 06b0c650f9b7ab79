"""The pages: which there are, what they are called, and who finds them in the menu."""

from __future__ import annotations

import functools
from collections.abc import Collection
from copy import copy
from pathlib import Path

import streamlit as st

#: page, title, icon, and the permissions of which one puts it into a person's menu
LISTED = (
    ("dashboard", "Dashboard", ":material/monitoring:", set()),
    ("opportunities", "Opportunities", ":material/view_list:", set()),
    ("board", "Board", ":material/view_kanban:", set()),
    ("leads", "Leads", ":material/person_search:", {"lead.see_all", "lead.see_own"}),
    ("customers", "Customers", ":material/domain:", set()),
    ("targets", "Targets", ":material/flag:", {"targets.change"}),
    ("settings", "Settings", ":material/tune:", {"settings.change"}),
    ("users", "Users", ":material/group:", {"users.change"}),
    ("audit", "Audit", ":material/history:", {"audit.read"}),
)
HIDDEN = (
    ("opportunity", "Opportunity"),
    ("new_opportunity", "New opportunity"),
    ("lead", "Lead"),
    ("new_lead", "New lead"),
    ("customer", "Customer"),
    ("new_customer", "New customer"),
    ("offer", "Offer"),
    ("new_offer", "New offer"),
)
#: where each page is found
ADDRESSES = {name: "/" if name == "dashboard" else f"/{name}" for name, *_ in (*LISTED, *HIDDEN)}


def offered(permissions: Collection[str]) -> frozenset[str]:
    """This function will name the pages in the menu of whoever has these permissions; by a link all can be reached."""
    return frozenset(name for name, _title, _icon, useful_to in LISTED if not useful_to or useful_to & {*permissions})


def pages(listed: frozenset[str]) -> list[st.Page]:
    """This function will make the pages for `st.navigation`, those that are named in the menu."""
    # a run has its own: Streamlit notes on a page that it is the one to be run
    return [copy(page) for page in _made(listed)]


@functools.cache  # Streamlit looks each file up on the disk
def _made(listed: frozenset[str]) -> list[st.Page]:
    told = [*LISTED, *((name, title, None, set()) for name, title in HIDDEN)]
    return [
        st.Page(
            Path(__file__).with_name(f"{name}.py"),
            title=title,
            icon=icon,
            url_path=name,
            default=name == "dashboard",
            visibility="visible" if name in listed else "hidden",
        )
        for name, title, icon, _useful_to in told
    ]
