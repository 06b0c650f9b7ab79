"""The audit: who changed what, before and after, and which attempts were refused; a slice named by the URL."""

import streamlit as st

from crm_core import audit, denials, exports, periods, trail
from crm_core.slices import AuditSlice, DenialSlice
from pages import _server
from pages._filters import filter_bar, notices, page_number, pager
from pages._server import line
from pages._tables import grid, lines
from pages._ui import RECORDS, counted, enter, go, happened, linked, param, params, plain, require

NOTHING = audit.Change("", "", "")
VIEWS = {"": "Changes", "refused": "Refused attempts"}

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


def about(entry, title: str | None) -> str:
    """This function will say what was done to which record, with a link to it where it has a page."""
    kind = trail.KINDS.get(entry.entity, entry.entity)
    said = f"{plain(entry.action[:1].upper() + entry.action[1:])} · {plain(kind)}"
    if entry.entity in RECORDS:
        to = linked(title or f"{kind} {entry.entity_id}", entry.entity, {"id": entry.entity_id})
        return f"{said} :gray[{to}]"
    return f"{said} :gray[{line(title or entry.entity_id)}]"


def changes():
    """This function will show a page of the changes and return which it is and how many there are in all."""
    entries, turned = visitor.ask(trail.listing, slice_, page_number(), after=param("after"))
    titles = visitor.ask(trail.titles, entries)
    st.markdown(counted(turned.count, "changes"))
    rows = []
    for entry in entries:
        beside = [lines(entry.by, happened(entry)), about(entry, titles.get((entry.entity, entry.entity_id)))]
        for change in entry.changes or (NOTHING,):
            told = (lines(*text.splitlines()) for text in (change.before, change.after))
            rows.append([*beside, lines(change.label), *told])
            beside = ["", ""]
    if rows:
        grid("audit", ("When, who", "What", "Field", "Before", "After"), rows)
    return turned


def refusals():
    """This function will show a page of the refused attempts and return which it is and how many there are in all."""
    found, turned = visitor.ask(denials.listing, slice_, page_number(), after=param("after"))
    st.markdown(counted(turned.count, "refused attempts"))
    rows = [
        [
            lines(row.by or "Nobody known", f"{periods.moment(row.at)} IST"),
            lines(row.action.replace("_", " ").replace(".", ": ").capitalize()),
            lines(row.why),
        ]
        for row in found
    ]
    if rows:
        grid("refused", ("When, who", "What", "Why"), rows)
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
filter_bar(visitor, slice_, trail, first, keep)
known = notices(visitor, slice_, trail, ("page", "after", "view"))
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
