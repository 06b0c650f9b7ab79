"""Saved views: the link of a page to copy, the same under a name, and the names on the sidebar."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import streamlit as st

from crm_core import views
from crm_core.errors import Refusal
from crm_core.slices import LeadSlice, Slice
from pages._forms import problems, save, show
from pages._ui import Visitor, linked, params


def view_bar(visitor: Visitor, page: str) -> None:
    """This function will show “Share”: the link of this page as it is filtered, and a name to keep it under."""
    bar = st.popover("Share", icon=":material/share:", key=f"share-{page}", on_change="rerun")
    if not bar.open:
        return
    with bar:
        st.code(_address(page), language=None, wrap_lines=True)
        st.caption("Whoever opens this link sees of it what they may see.")
        _save_form(visitor, page)
        mine = {v.id: v for v in visitor.ask(views.listing) if v.owner_id == visitor.person.id}
        if mine:
            _own_form(visitor, mine)


def saved_views(visitor: Visitor, offered: Collection[str]) -> None:
    """This function will show the person's saved views and the team's, those of the pages offered to them."""
    try:
        found = [v for v in visitor.ask(views.listing) if v.page in offered]
    except Refusal:  # the page says it
        return
    if not found:
        return
    said = ["Saved views"]
    for view in found:
        own = view.owner_id == visitor.person.id
        label, icon = (view.name, ":material/bookmark:") if own else (f"{view.name} · {view.owner}", ":material/group:")
        said.append(linked(label, view.page, parse_qs(view.query, keep_blank_values=True), icon))
    with st.container(key="saved-views"):
        st.markdown("\n\n".join(said))


def _query(page: str) -> dict[str, Any]:
    slice_ = (LeadSlice if page == "leads" else Slice).from_params(params())
    beside = {k: v for k, v in params().items() if k not in slice_.dimensions() and k not in ("page", "after")}
    return slice_.to_params() | beside


def _address(page: str) -> str:
    base = urlsplit(st.context.url or "")
    query = urlencode(_query(page), doseq=True)
    return f"{base.scheme}://{base.netloc}/{'' if page == 'dashboard' else page}" + (f"?{query}" if query else "")


def _save_form(visitor: Visitor, page: str) -> None:
    form = f"view-{page}"
    show(form, None)
    beside = problems(form, ("name", "shared"))
    name = st.text_input("Save this view as", key=f"{form}-name", placeholder="Water, won this year")
    beside("name")
    shared = _for_the_team(visitor, form, False)
    beside("shared")
    if st.button("Save this view", key=f"{form}-go", type="primary"):
        query = urlencode(_query(page), doseq=True)
        save(visitor, form, views.save, {"name": name, "page": page, "query": query, "shared": shared})
        st.rerun()


def _own_form(visitor: Visitor, mine: dict[int, Any]) -> None:
    chosen = st.selectbox(
        "Change one of yours",
        list(mine),
        index=None,
        format_func=lambda i: mine[i].name if i in mine else "",
        placeholder="Choose",
        key="own-view",
    )
    if chosen is None:
        return
    view, form = mine[chosen], f"mine-{chosen}"
    show(form, view.version)
    beside = problems(form, ("name", "shared"))
    name = st.text_input("Name", value=view.name, key=f"{form}-name")
    beside("name")
    shared = _for_the_team(visitor, form, view.shared)
    beside("shared")
    with st.container(horizontal=True):
        if st.button("Save changes", key=f"{form}-go", type="primary"):
            save(visitor, form, views.edit, view.id, {"name": name, "shared": shared}, seen=view.version)
            st.rerun()
        if st.button("Remove", key=f"{form}-remove", icon=":material/delete:"):
            save(visitor, form, views.remove, view.id, seen=view.version)
            st.rerun()


def _for_the_team(visitor: Visitor, form: str, start: bool) -> bool:
    return visitor.person.may("view.share") and st.checkbox("For the team", value=start, key=f"{form}-shared")
