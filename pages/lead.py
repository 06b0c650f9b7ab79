"""One lead: its facts, its moves, its conversion, its timeline."""

import streamlit as st

from crm_core import leads, lifecycle, periods, settings
from crm_core.schema import PRODUCTS
from crm_core.slices import LeadSlice
from pages import _lead_form
from pages._forms import amount, choice, kept, opener, problems, save, show
from pages._opportunity_form import inputs
from pages._tables import facts
from pages._ui import enter, explain_access, link, load, onward, param, params, plain, status, timeline

visitor = enter("lead")
record = load(visitor, leads.get, "leads")
way_back = LeadSlice.from_params(params()).to_params() | {k: param(k) for k in ("sort", "page", "after")}
VERBS = {"contact": leads.contact, "qualify": leads.qualify, "disqualify": leads.disqualify}


def run(form: str, verb, *args) -> None:
    """This function will run a command and show the saved lead, or its problems."""
    save(visitor, form, verb, record.id, *args, seen=record.version)
    st.switch_page("lead.py", query_params={"id": str(record.id)} | {k: v for k, v in way_back.items() if v})


def move_form(move: lifecycle.Transition) -> None:
    """This function will show one move as a button, with what it asks."""
    form = f"lead-{record.id}-{move.name}"
    show(form, record.version)
    if not move.asks:
        problems(form)
        if st.button(move.label, key=f"{form}-go", use_container_width=True):
            run(form, VERBS[move.name])
        return
    with st.popover(move.label, key=opener(form), use_container_width=True):
        beside = problems(form, [ask.field for ask in move.asks])
        values = {}
        for ask in move.asks:
            if ask.list:
                values[ask.field] = choice(
                    form, ask.field, ask.label, visitor.ask(settings.labels_of, ask.list), {}, beside
                )
            else:
                values[ask.field] = st.text_area(ask.label, key=kept(form, ask.field, ""))
                beside(ask.field)
        if st.button(move.label, key=f"{form}-go", type="primary"):
            run(form, VERBS[move.name], values)


def convert_form() -> None:
    """This function will convert the lead, with its first opportunity if wanted, in one command."""
    form = f"convert-{record.id}"
    show(form, record.version)
    beside = problems(form, ["value", "title", "region", "business_unit", "product", "state", "city"])
    if not record.email:
        st.warning("This lead has no e-mail, so nobody can tell for sure whether the customer is known.")
    for kind, record_id, label in visitor.ask(leads.duplicates, record._mapping, record.id):
        link(f"May be the same: {label}", kind, {"id": str(record_id)})
    first = None
    if st.toggle("Create the first opportunity too", value=True, key=f"{form}-first"):
        value = amount(visitor, form, "value", "Potential value (₹) *", beside)
        first = inputs(visitor, form, record._mapping, beside) | {"value": value}
    if st.button("Convert into a customer", type="primary", key=f"{form}-go"):
        made = save(visitor, form, leads.convert, record.id, first, seen=record.version)
        onward("customer", {"id": str(made)})


link("Back to the leads", "leads", way_back, icon=":material/arrow_back:")
st.title(plain(f"{record.contact} · {record.company}"))
st.markdown(status(record.status, lifecycle.LEAD_STAGE))
if record.converted_customer_id:
    link(f"Customer: {record.customer}", "customer", {"id": str(record.converted_customer_id)})
elif record.duplicate_of_customer_id:
    st.warning(plain(f"The customer “{record.duplicate_of}” has this e-mail already."))
    link(f"Open {record.duplicate_of}", "customer", {"id": str(record.duplicate_of_customer_id)})
    if visitor.person.may("opportunity.create"):
        link("Add an opportunity there", "new_opportunity", {"customer": str(record.duplicate_of_customer_id)})
left, right = st.columns(2)
with left.container(border=True):
    facts(
        "contact",
        ("E-mail", record.email),
        ("Phone", record.phone),
        ("City, state", ", ".join(filter(None, (record.city, record.state)))),
    )
with right.container(border=True):
    facts(
        "origin",
        ("Source", record.source_label),
        ("Region", record.region_label),
        ("Owner", record.owner),
        ("Product interest", PRODUCTS.get(record.product)),
        ("Created", periods.moment(record.created_at)),
    )
facts("notes", ("Notes", record.notes), ("Why it ended", record.note))

possible = visitor.ask(leads.moves, record)
direct = [move for move in possible if move.name in VERBS]
for column, move in zip(st.columns(4), direct, strict=False):
    with column:
        move_form(move)
if len(possible) > len(direct):
    with st.expander("Convert into a customer", expanded=True):
        convert_form()
if possible:
    with st.expander("Edit", icon=":material/edit:", key=f"editing-{record.id}"):
        form = f"edit-lead-{record.id}"
        show(form, record.version)
        typed = _lead_form.inputs(visitor, form, record._mapping, problems(form, leads.FIELDS))
        if st.button("Save changes", type="primary", key=f"{form}-save"):
            run(form, leads.edit, typed)
explain_access(visitor, "lead", record.id)
timeline(visitor, leads.history, record.id)
