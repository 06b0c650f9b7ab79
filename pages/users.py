"""Users: invite, change, deactivate with their open records handed over, reactivate."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core import pipeline, users
from crm_core.access import ROLE_LABELS
from pages._forms import choice, kept, listed, opener, problems, save, show
from pages._ui import counted, enter, require

visitor = enter("users")
st.title("Users")
require(visitor, "users.change")


def run(form: str, verb, *args, seen: int | None = None) -> None:
    """This function will run a command on the users and show them again."""
    save(visitor, form, verb, *args, seen=seen)
    st.rerun()


def inputs(form: str, present: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """This function will show the inputs of a user and return what they hold."""
    beside = problems(form, fields)
    values: dict[str, Any] = {}
    for name in ("name", "email"):
        if name in fields:
            values[name] = st.text_input(fields[name].label + " *", key=kept(form, name, present.get(name) or ""))
            beside(name)
    values["role"] = choice(form, "role", "Role *", ROLE_LABELS, present, beside)
    units = listed(visitor, "business_unit", present.get("business_unit"))
    values["business_unit"] = choice(form, "business_unit", "Business unit", units, present, beside)
    return values


def change(person) -> None:
    """This function will change a user's name, role or business unit."""
    form = f"user-{person.id}"
    show(form, person.version)
    values = inputs(form, person._mapping, users.EDITABLE)
    if st.button("Save changes", key=f"{form}-save", type="primary"):
        run(form, users.edit, person.id, values, seen=person.version)


def leave(person) -> None:
    """This function will deactivate a user, offering to hand over what they have open."""
    form = f"leave-{person.id}"
    show(form, person.version)
    beside = problems(form, ["owner_id"])
    deals, taken = visitor.ask(users.open_records, person.id)
    receiver = None
    if deals or taken:
        st.markdown(f"{counted(len(deals))} and {counted(len(taken), 'leads')} of theirs are not closed.")
        others = {i: name for i, name in visitor.ask(users.owners).items() if i != person.id}
        receiver = choice(form, "owner_id", "Hand them over to", others, {}, beside)
        if receiver is None:
            st.caption("Left empty, they stay where they are; a manager can still see and reassign them.")
    if st.button("Deactivate", key=f"{form}-go", type="primary"):
        run(form, users.deactivate, person.id, receiver, seen=person.version)


people, units = visitor.ask(users.listing), visitor.ask(pipeline.choices, "business_unit")
st.markdown(counted(len(people), "users"))
for person in people:
    with st.container(key=f"row-user-{person.id}"):
        name, role, unit, act = st.columns((2.6, 1.5, 1.4, 2.4), gap="small", vertical_alignment="center")
        name.text(f"{person.name}\n{person.email}")
        role.text(ROLE_LABELS.get(person.role, person.role) + ("" if person.active else "\nnot active"))
        unit.text(units.get(person.business_unit, "–"))
        with act.container(horizontal=True, gap="small"):
            if person.active:
                with st.popover("Change", key=opener(f"user-{person.id}")):
                    change(person)
                with st.popover("Deactivate", key=opener(f"leave-{person.id}")):
                    leave(person)
            elif st.button("Reactivate", key=f"back-{person.id}"):
                run(f"back-{person.id}", users.reactivate, person.id, seen=person.version)
        problems(f"back-{person.id}")

st.header("Invite", anchor=False)
st.caption("They sign in with this e-mail address; nobody gets rights that are not given here.")
FORM = "invite"
show(FORM, None)
typed = inputs(FORM, {}, users.FIELDS)
if st.button("Invite", key=f"{FORM}-save", type="primary"):
    run(FORM, users.add, typed)
