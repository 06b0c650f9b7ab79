"""Targets of regions and sales engineers, edited as a table, and the limits of the stages."""

import pandas as pd
import streamlit as st

from crm_core import lifecycle, money, periods, stage_limits, targets
from crm_core.errors import Refusal
from pages._forms import kept, problems, save, show, wrong
from pages._server import plain
from pages._ui import enter, go, param, refused, require

HINT = "12,50,000 or 12.5 lakh or 1.2 cr; a column of a spreadsheet can be pasted here. Empty: no target."


def periods_to_choose(chosen: str) -> list[str]:
    """This function will name the periods that targets are set for: this financial year and the next, their parts, the last."""
    today = periods.today()
    first = periods.parse(periods.financial_year(today)).first
    years = [periods.financial_year(day) for day in (first, first.replace(year=first.year + 1))]
    quarters = [f"{year}-q{number}" for year in years for number in range(1, 5)]
    months = [part.code() for quarter in quarters for part in periods.parts(periods.parse(quarter))]
    usual = [years[0], years[1], *quarters, *months, periods.financial_year(periods.day_before(first))]
    return list(dict.fromkeys([chosen, *usual]))


def table(kind: str, code: str) -> None:
    """This function will show the targets of a period as a table to type or paste into, and save what was changed."""
    form = f"targets-{kind}-{code}"
    rows = visitor.ask(targets.listing, kind, code)
    seen = {row.about: row.version for row in rows}
    show(form, seen)
    stored = ["" if row.amount is None else visitor.exact(row.amount) for row in rows]
    key = f"{form}-{st.session_state.get('tables', 0)}-{'-'.join(seen)}"
    # a row that somebody adds meanwhile makes the table anew, with what was typed into the one before
    before = st.session_state.setdefault(f"{key}-before", st.session_state.get(f"{form}-typed", {}))
    frame = pd.DataFrame(
        {
            "Name": [row.label for row in rows],
            "Target": [before.get(row.about, text) for row, text in zip(rows, stored, strict=True)],
            "From smaller periods": [
                "" if row.summed is None else f"{visitor.exact(row.summed)}{', ' if row.note else ''}{row.note}"
                for row in rows
            ],
        }
    )
    beside = problems(form, seen)
    typed = st.data_editor(
        frame,
        key=key,
        num_rows="fixed",
        hide_index=True,
        disabled=["Name", "From smaller periods"],
        height="content",
        alt=f"Targets of {targets.KINDS[kind].lower()}, {periods.label(code)}",
        column_config={
            "Name": st.column_config.TextColumn(targets.KINDS[kind].removesuffix("s"), width=150),
            "Target": st.column_config.TextColumn("Target (₹)", help=HINT, width=150, alignment="right"),
        },
    )
    changed = {
        row.about: text or ""
        for row, text, held in zip(rows, typed["Target"], stored, strict=True)
        if (text or "") != held
    }
    st.session_state[f"{form}-typed"] = changed
    words = []
    for row in rows:
        try:
            words += [f"{row.label}: {in_words(changed[row.about])}"] if row.about in changed else []
        except ValueError as why:
            wrong(f"{row.label}: {why}")
        else:
            beside(row.about)
    if words:
        st.caption("  \n".join(map(plain, words)))
    if st.button("Save targets", key=f"{form}-save", type="primary", disabled=not changed):
        save(visitor, form, targets.set_many, kind, code, changed, seen=seen)
        st.session_state["tables"] = st.session_state.get("tables", 0) + 1  # the table begins anew
        st.rerun()


def in_words(text: str) -> str:
    """This function will say an amount that was typed in words, so that a lakh is not taken for a crore."""
    return money.words(money.parse(text)) if text.strip() else "no target"


def stages() -> None:
    """This function will show the days after which a stage is too long, to be changed."""
    form = "limits"
    limits = visitor.ask(stage_limits.listing)
    seen = {status: version for status, (_days, version) in limits.items()}
    show(form, seen)
    beside = problems(form, limits)
    typed = {}
    for column, (status, (days, _version)) in zip(st.columns(4), limits.items(), strict=False):
        with column:
            label, key = f"{lifecycle.STAGE[status].label}, days", kept(form, status, "" if days is None else str(days))
            typed[status] = st.text_input(label, key=key, placeholder="No limit")
            beside(status)
    if st.button("Save limits", key=f"{form}-save"):
        save(visitor, form, stage_limits.set_limits, typed, seen=seen)
        st.rerun()


visitor = enter("targets")
st.title("Targets")
require(visitor, "targets.change")
kind = param("kind") if param("kind") in targets.KINDS else "region"
if param("kind") and kind != param("kind"):
    st.warning(f"Targets of “{plain(param('kind')[:40])}” are not known here; these are those of regions.")
code = param("period") or periods.financial_year(periods.today())
choosing, spanning = st.columns([2, 3], vertical_alignment="bottom")
with choosing:
    st.segmented_control(
        "Of",
        list(targets.KINDS),
        default=kind,
        required=True,
        format_func=targets.KINDS.get,
        key=f"of-{kind}-{code}",
        on_change=lambda: go({"kind": st.session_state[f"of-{kind}-{code}"], "period": code}),
    )
with spanning:
    st.selectbox(
        "Period",
        periods_to_choose(code),
        format_func=periods.label,
        key=f"for-{kind}-{code}",
        on_change=lambda: go({"kind": kind, "period": st.session_state[f"for-{kind}-{code}"]}),
    )
try:
    table(kind, code)
except Refusal as why:
    refused(why)
st.header("Too long in a stage", anchor=False)
st.caption("After so many days an opportunity counts as too long in its stage, unless a next step lies ahead.")
stages()
