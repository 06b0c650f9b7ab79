"""The configured lists: add, rename, retire. Old records keep showing what they had."""

import streamlit as st

from crm_core import settings
from crm_core.schema import LISTS
from pages._forms import kept, problems, save, show
from pages._ui import enter, require

visitor = enter("settings")
st.title("Settings")
require(visitor, "settings.change")
name = st.segmented_control("List", list(LISTS), default="region", required=True, format_func=lambda n: LISTS[n][1])


def run(form: str, verb, *args, seen: int | None = None) -> None:
    """This function will run a command on the list and show it again."""
    save(visitor, form, verb, name, *args, seen=seen)
    st.rerun()


for row in visitor.ask(settings.rows, name):
    form = f"list-{name}-{row.code}"
    show(form, row.version)
    beside = problems(form, ["label"])
    with st.container(key=f"row-{name}-{row.code}", horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Name", key=kept(form, "label", row.label), label_visibility="collapsed")
        if st.button("Rename", key=f"{form}-save", disabled=text == row.label):
            run(form, settings.rename, row.code, text, seen=row.version)
        if st.button("Retire" if row.active else "Offer again", key=f"{form}-retire"):
            run(form, settings.retire if row.active else settings.restore, row.code, seen=row.version)
    beside("label")
form = f"list-{name}-new"
show(form, None)
beside = problems(form, ["label"])
st.header("Add", anchor=False)
text = st.text_input("Name of the new entry", key=f"{form}-label")
beside("label")
if st.button("Add", key=f"{form}-save", type="primary"):
    run(form, settings.add, text)
