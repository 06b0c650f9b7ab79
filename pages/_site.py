"""The main script: page config, look, navigation. Every page signs in for itself by `enter()`."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from crm_core.errors import Refusal  # noqa: E402
from pages import _forms, _menu, _ui, _views  # noqa: E402
from pages._server import LOOK  # noqa: E402


def main() -> None:
    st.set_page_config(page_title="Pipeline", page_icon="📈", layout="wide")
    st.html(LOOK)
    st.session_state["run"] = st.session_state.get("run", 0) + 1
    visitor = _visitor()
    offered = _menu.offered(visitor.person.permissions if visitor else frozenset())
    _ui.met.set(visitor)
    page = st.navigation(_menu.pages(offered))
    if visitor:
        with st.sidebar:
            _views.saved_views(visitor, offered)
    top = st.container()
    page.run()
    st.session_state.pop("asked", None)
    with top:
        _forms.unshown()


def _visitor() -> _ui.Visitor | None:
    try:
        return _ui.known()
    except Refusal:
        return None


if __name__ == "__main__":
    main()
