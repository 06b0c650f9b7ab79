"""The main script: page config, look, navigation. Every page signs in for itself by `enter()`."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from crm_core.errors import Refusal  # noqa: E402
from pages import _forms, _ui, _views  # noqa: E402
from pages._server import LOOK  # noqa: E402

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


def main() -> None:
    st.set_page_config(page_title="Pipeline", page_icon="📈", layout="wide")
    st.html(LOOK)
    visitor = _visitor()
    may = visitor.person.permissions if visitor else frozenset()
    shown = [
        st.Page(
            HERE / f"{name}.py",
            title=title,
            icon=icon,
            url_path=name,
            default=name == "dashboard",
            visibility="visible" if not useful_to or may & useful_to else "hidden",
        )
        for name, title, icon, useful_to in LISTED
    ]
    hidden = [st.Page(HERE / f"{name}.py", title=title, url_path=name, visibility="hidden") for name, title in HIDDEN]
    _ui.met.set(visitor)
    _ui.pages.set({page.url_path or "dashboard": page for page in (*shown, *hidden)})
    page = st.navigation([*shown, *hidden])
    if visitor:
        offered = {page.url_path or "dashboard" for page in shown if page.visibility == "visible"}
        with st.sidebar:
            _views.saved_views(visitor, offered)
    top = st.container()
    page.run()
    with top:
        _forms.unshown()


def _visitor() -> _ui.Visitor | None:
    try:
        return _ui.known()
    except Refusal:
        return None


if __name__ == "__main__":
    main()
