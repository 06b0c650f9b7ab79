"""The audit: who changed what, before and after, and which attempts were refused; a slice named by the URL."""

import streamlit as st

from crm_core import denials, exports, periods, trail
from crm_core.slices import AuditSlice, DenialSlice
from pages import _server
from pages._filters import filter_bar, notices, page_number, pager
from pages._ui import RECORDS, counted, enter, go, happened, link, param, params, plain, require

VIEWS = {"": "Changes", "refused": "Refused attempts"}
WIDTHS, CHANGE_WIDTHS = (1.5, 2.2, 5), (1.3, 2, 2)

visitor = enter("audit")
st.title("Audit")
require(visitor, "audit.read")
view = "refused" if param("view") == "refused" else ""
slice_ = (DenialSlice if view else AuditSlice).from_params(params())
keep = {"view": view}


def switch() -> None:
    """This function will show the other view, of the same person and time."""
    shared = {name: getattr(slice_, name) for name in DenialSlice.dimensions()}
    go(DenialSlice(**shared).to_params() | {"view": st.session_state[f"view-{view}"]})


def about(entry, title: str | None) -> None:
    """This function will say what was done to which record, with a link to it where it has a page."""
    kind = trail.KINDS.get(entry.entity, entry.entity)
    st.markdown(f"{plain(entry.action[:1].upper() + entry.action[1:])} :gray[· {plain(kind)}]")
    if entry.entity in RECORDS:
        link(title or f"{kind} {entry.entity_id}", entry.entity, {"id": entry.entity_id})
    else:
        st.text(title or entry.entity_id)


def change_rows(entry) -> None:
    """This function will show before and after side by side; where there was nothing before, what many things became."""
    if len(entry.changes) not in (1, 2, 3) and not any(change.before for change in entry.changes):
        st.text("\n".join(f"{change.label}: {change.after}" for change in entry.changes) or "–")
        return
    for change in entry.changes:
        label, before, after = st.columns(CHANGE_WIDTHS, gap="small")
        label.caption(change.label)
        before.text(change.before or "–")
        after.text(f"→ {change.after or '–'}")


def headings() -> None:
    """This function will say what stands in the columns."""
    with st.container(key="head-audit"):
        when, what, changed = st.columns(WIDTHS, gap="small")
        when.caption("When, who")
        what.caption("What")
        with changed:
            for cell, heading in zip(st.columns(CHANGE_WIDTHS, gap="small"), ("Field", "Before", "After"), strict=True):
                cell.caption(heading)


def changes():
    """This function will show a page of the changes and return which it is and how many there are in all."""
    entries, turned = visitor.ask(trail.listing, slice_, page_number(), after=param("after"))
    titles = visitor.ask(trail.titles, entries)
    st.markdown(counted(turned.count, "changes"))
    if entries:
        headings()
    for entry in entries:
        with st.container(key=f"log-{entry.id}"):
            when, what, changed = st.columns(WIDTHS, gap="small")
            when.markdown(f"**{plain(entry.by)}**  \n:gray[{plain(happened(entry))}]")
            with what:
                about(entry, titles.get((entry.entity, entry.entity_id)))
            with changed:
                change_rows(entry)
    return turned


def refusals():
    """This function will show a page of the refused attempts and return which it is and how many there are in all."""
    rows, turned = visitor.ask(denials.listing, slice_, page_number(), after=param("after"))
    st.markdown(counted(turned.count, "refused attempts"))
    for row in rows:
        with st.container(key=f"log-{row.id}"):
            when, what, why = st.columns(WIDTHS, gap="small")
            when.markdown(f"**{plain(row.by or 'Nobody known')}**  \n:gray[{plain(periods.moment(row.at))} IST]")
            what.text(row.action.replace("_", " ").replace(".", ": ").capitalize())
            why.text(row.why)
    return turned


def export() -> bytes:
    """This function will write the slice as a file, and on the record."""
    return _server.database().submit(exports.audit_as_csv, visitor.actor, slice_)


st.segmented_control(
    "What to show",
    list(VIEWS),
    default=view,
    format_func=VIEWS.get,
    key=f"view-{view}",
    on_change=switch,
    required=True,
    label_visibility="collapsed",
)
first = ("person", "when") if view else ("q", "kind", "person", "action", "when")
filter_bar(visitor, slice_, trail.choices, first, keep)
known = notices(visitor, slice_, trail.names, ("page", "after", "view"))
st.markdown(f":gray[{plain(slice_.sentence(known))}]")
shown = refusals() if view else changes()
if not shown.count:
    st.info("Nothing was refused in this selection." if view else "No changes for this selection.")
    st.stop()
pager(shown, slice_.to_params() | keep)
if not view and visitor.person.may("export"):
    st.download_button(
        "Export CSV",
        data=export,
        file_name="audit.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
