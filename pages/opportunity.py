"""One opportunity: its facts, the moves its status and the viewer's role allow, its offer, its timeline."""

import streamlit as st

from crm_core import offers, opportunities, periods, settings, users
from crm_core.schema import PRODUCTS
from crm_core.slices import Slice
from pages._forms import amount, choice, kept, opener, problems, rupees, save, show
from pages._move_form import move_form
from pages._opportunity_form import inputs
from pages._tables import facts
from pages._ui import enter, explain_access, link, load, param, params, plain, status, timeline

KEPT = ("sort", "page", "after", "sum", "back")

visitor = enter("opportunity")
way_back = Slice.from_params(params()).to_params() | {k: param(k) for k in KEPT if param(k)}
record = load(visitor, opportunities.get, "opportunities")
here = {"id": str(record.id)} | way_back


def reopened() -> None:
    """This function will show the record as it was saved."""
    st.switch_page("opportunity.py", query_params=here)


def run(form: str, verb, *args) -> None:
    """This function will run a command and show the saved record, or its problems."""
    save(visitor, form, verb, record.id, *args, seen=record.version)
    reopened()


def offer_form() -> None:
    """This function will link an offer, or start one from here."""
    form = f"link-{record.id}"
    show(form, record.version)
    beside = problems(form, ["offer_id"])
    free = visitor.ask(offers.linkable, record.customer_id)
    if free:
        key = kept(form, "offer_id", None)
        chosen = st.selectbox("Link an offer", list(free), index=None, format_func=free.get, key=key)
        beside("offer_id")
        if st.button("Link", key=f"{form}-go") and chosen:
            run(form, opportunities.link_offer, chosen)


def edit_form() -> None:
    """This function will show the edit form, keeping what is typed when the save is refused."""
    form = f"edit-{record.id}"
    show(form, record.version)
    beside = problems(form, opportunities.EDITABLE)
    value = amount(visitor, form, "value", "Potential value (₹) *", beside, rupees(record.value))
    values = inputs(visitor, form, {**record._mapping}, beside) | {"value": value}
    if st.button("Save changes", type="primary", key=f"{form}-save"):
        run(form, opportunities.edit, values)


def reassign_form() -> None:
    """This function will give the record to another owner, closed ones too."""
    form = f"reassign-{record.id}"
    show(form, record.version)
    # closed, it is not built
    asking = st.popover("Reassign", icon=":material/person_add:", key=opener(form), on_change="rerun")
    if not asking.open:
        return
    with asking:
        beside = problems(form, ["owner_id"])
        others = {i: name for i, name in visitor.ask(users.owners).items() if i != record.owner_id}
        owner = choice(form, "owner_id", "New sales engineer", others, {}, beside)
        if st.button("Reassign", key=f"{form}-go", type="primary", disabled=owner is None):
            run(form, opportunities.reassign, owner)


linkable = visitor.ask(opportunities.can_link, record)
if param("back") == "board":
    link("Back to the board", "board", way_back | {"back": ""}, icon=":material/arrow_back:")
else:
    link("Back to the list", "opportunities", way_back, icon=":material/arrow_back:")
st.title(plain(f"{record.number} · {record.customer}"))
st.markdown(f"{status(record.status)} {plain(record.title or '')}")
first, second, third = st.columns(3)
with first.container(border=True):
    won = visitor.exact(record.won_value) if record.won_value is not None else None
    outcome = visitor.ask(settings.reasons).get(record.reason) if record.reason else None
    facts(
        "course",
        ("Potential value", visitor.exact(record.value)),
        ("Won value", won),
        ("Reason", outcome),
        ("In their words", record.note),
        ("Created", periods.moment(record.created_at)),
        ("Closed", periods.moment(record.closed_at)),
    )
with second.container(border=True):
    link(f"Customer: {record.customer}", "customer", {"id": str(record.customer_id)})
    facts(
        "place",
        ("Region", record.region_label),
        ("City, state", ", ".join(filter(None, (record.city, record.state)))),
        ("Business unit", record.business_unit_label),
        ("Product interest", PRODUCTS[record.product]),
    )
with third.container(border=True):
    facts(
        "people",
        ("Sales engineer", record.owner),
        ("Application engineer", record.application_engineer),
        ("Expected close", periods.day(record.expected_close_on)),
        ("Next step", record.next_step),
        ("Next step on", periods.day(record.next_step_on)),
    )
    if record.offer_id:
        link(f"Open offer {record.offer_number}", "offer", {"id": str(record.offer_id)}, icon=":material/description:")
    elif visitor.person.may("offer.create") and (linkable or visitor.ask(opportunities.editable, record)):
        link(
            "Create the offer from here",
            "new_offer",
            {"opportunity": str(record.id), "customer": str(record.customer_id)},
        )

possible = visitor.ask(opportunities.moves, record)
if possible:
    st.header("Next")
    for column, move in zip(st.columns(max(4, len(possible))), possible, strict=False):
        popover = opener(f"move-{record.id}-{move.name}")
        with column, st.popover(move.label, key=popover, use_container_width=True):
            move_form(visitor, record, move, reopened)
if linkable and not record.offer_id:
    offer_form()
if visitor.person.may("opportunity.reassign"):
    reassign_form()
if visitor.ask(opportunities.editable, record):
    editing = st.expander("Edit", icon=":material/edit:", key=f"editing-{record.id}", on_change="rerun")
    if editing.open:
        with editing:
            edit_form()
explain_access(visitor, "opportunity", record.id)
timeline(visitor, opportunities.history, record.id)
