"""The main script: page config, look, navigation. Every page signs in for itself by `enter()`."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from crm_core.errors import Refusal  # noqa: E402
from pages import _forms, _ui, _views  # noqa: E402

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
STYLE = """<style>
.block-container, [data-testid="stMainBlockContainer"] {padding-top: 4rem; max-width: 1280px}
[class*="st-key-tile-"] {position: relative; border-radius: .6rem}
[class*="st-key-tile-"] :has([data-testid="stPageLink-NavLink"]),
[class*="st-key-tile-"] [data-testid="stPageLink-NavLink"] {position: static !important}
[class*="st-key-tile-"] [data-testid="stPageLink-NavLink"]::after {content: ""; position: absolute; inset: 0}
[class*="st-key-tile-"] [data-testid="stMetric"]::after {content: ""; display: block; height: 28px; margin-top: .75rem; background: linear-gradient(#5b8fd6, color-mix(in srgb, #5b8fd6 25%, transparent))}
.st-key-figures > [data-testid="stLayoutWrapper"], .st-key-stages > [data-testid="stLayoutWrapper"] {
 flex: 1 1 calc(20% - 1rem); min-width: 9.5rem; max-width: calc(50% - .5rem); align-self: stretch}
.st-key-figures [class*="st-key-tile-"], .st-key-stages [class*="st-key-tile-"] {height: 100%}
[class*="st-key-tile-"] h3 {font-size: 1.3rem; padding: .2rem 0; white-space: nowrap}
[class*="st-key-tile-"] [data-testid="stPageLink-NavLink"] {padding-left: 0; padding-right: 0}
[class*="st-key-tile-"]:hover {background: color-mix(in srgb, currentColor 4%, transparent)}
[class*="st-key-tile-"]:focus-within {outline: 2px solid #2563a8}
[class*="st-key-row-"] {border-bottom: 1px solid color-mix(in srgb, currentColor 12%, transparent); padding: .15rem 0}
[class*="st-key-row-"] p {margin: 0}
[class*="st-key-log-"] {border-bottom: 1px solid color-mix(in srgb, currentColor 12%, transparent); padding: .5rem 0}
[class*="st-key-log-"] [data-testid="stText"], [class*="st-key-log-"] p {font-size: .875rem; line-height: 1.4; margin: 0}
[class*="st-key-log-"] [data-testid="stMarkdownContainer"] {margin-bottom: 0}
[class*="st-key-log-"] [data-testid="stVerticalBlock"] {gap: .15rem}
[class*="st-key-log-"] [data-testid="stPageLink-NavLink"] {padding-left: 0}
[class*="st-key-rows-"] {display: grid; grid-template-columns: var(--columns); align-items: first baseline; font-variant-numeric: tabular-nums}
.st-key-rows-list {--columns: 1.4fr 2.3fr 1.5fr 1.6fr 1.5fr 1.4fr 1.2fr} .st-key-rows-leads {--columns: 2.6fr 1.2fr 1.4fr 1.5fr 1.4fr}
.st-key-rows-customers {--columns: 2.5fr 1.5fr 2fr} [class*="-of-3"] {--columns: 2fr repeat(2, 1.4fr)}
[class*="-of-4"] {--columns: 2fr repeat(3, 1.4fr)} [class*="-of-5"] {--columns: 2fr repeat(4, 1.4fr)} [class*="-of-6"] {--columns: 2fr repeat(5, 1.4fr)}
[class*="st-key-rows-"] > *, [class*="st-key-rows-"] [data-testid="stMarkdown"], [class*="st-key-rows-"] [data-testid="stMarkdown"] div {display: contents}
[class*="st-key-rows-"] p {font-size: .875rem; line-height: 1.4; margin: 0}
[class*="st-key-rows-"] [data-testid="stMarkdown"] p {padding: .3rem 1rem .3rem 0; overflow-wrap: anywhere; min-width: 0}
[class*="st-key-rows-"] > :first-child p {color: color-mix(in srgb, currentColor 60%, transparent); padding-top: 0}
.st-key-rows-list [data-testid="stMarkdown"] p:nth-of-type(5), .st-key-rows-list > :first-child p:nth-of-type(6) {text-align: right}
.st-key-rows-list > :first-child p:nth-of-type(5) {text-align: left}
[class*="st-key-rows-"] hr {grid-column: 1 / -1; margin: .15rem 0}
[class*="-of-"] [data-testid="stMarkdown"] p {text-align: right} [class*="-of-"] [data-testid="stPageLink-NavLink"] {justify-content: flex-end}
[class*="-of-"] > :is(:first-child, :first-child + *, :has(hr) + *) [data-testid="stMarkdown"] p:first-of-type {text-align: left}
[class*="-of-"] > :is(:first-child + *, :has(hr) + *) [data-testid="stPageLink-NavLink"] {justify-content: flex-start}
[class*="st-key-rows-"] [data-testid="stPageLink"] {padding: .15rem .75rem .15rem 0; min-width: 0}
[class*="st-key-rows-"] [data-testid="stPageLink-NavLink"] {margin-left: -.25rem}
[class*="st-key-row-"] [data-testid="stMarkdownContainer"] {margin-bottom: 0}
[data-testid="stPageLink-NavLink"] {padding: .1rem .25rem; min-height: 1.6rem}
[class*="st-key-row-"] [data-testid="stText"], [class*="st-key-row-"] p {font-size: .875rem; line-height: 1.4}
[data-testid="stPageLink-NavLink"] p {color: #2563a8; font-weight: 500; white-space: normal; overflow: visible}
[data-testid="stPageLink-NavLink"] {height: auto}
[data-testid="stSidebarUserContent"] a {color: #2563a8}
[class*="st-key-facts-"] [data-testid="stMarkdownContainer"] {display: grid; grid-template-columns: 7.5rem 1fr; gap: .5rem .75rem; align-items: baseline; margin-bottom: 0}
[class*="st-key-facts-"] p {font-size: .9rem; margin: 0; overflow-wrap: anywhere}
[class*="st-key-facts-"] p:nth-of-type(odd) {font-size: .875rem; color: color-mix(in srgb, currentColor 60%, transparent)}
[class*="st-key-card-"] p, [class*="st-key-card-"] [data-testid="stText"] {font-size: .875rem; line-height: 1.4}
[class*="st-key-card-"] [data-testid="stPageLink-NavLink"] {padding-left: 0}
.st-key-board h2 {font-size: 1rem; padding: 0}
[class*="st-key-card-"], .st-key-board [class*="st-key-tile-"] {padding: .6rem .75rem}
.st-key-board [data-testid="stPopoverButton"] {min-height: 1.75rem; padding: 0 .5rem}
.st-key-saved-views [data-testid="stPageLink-NavLink"] {padding-left: 0}
.st-key-saved-views button {min-height: 1.6rem; padding: .1rem 0; text-align: left}
.st-key-saved-views button p {color: #2563a8; font-weight: 500; font-size: .875rem}
@media (prefers-color-scheme: dark) {[data-testid="stPageLink-NavLink"] p, .st-key-saved-views button p,
 [data-testid="stSidebarUserContent"] a {color: #8ab8ea}
 [data-testid^="stBaseButton-primary"], [data-testid^="stBaseButton-primary"]:hover,
 [data-testid="stMultiSelectTagsContainer"] [data-tag] * {color: #12181f}}
@media (max-width: 640px) {h1 {font-size: 1.7rem !important} .st-key-head {gap: .5rem !important} [class*="st-key-head-"] {display: none}
 [class*="st-key-rows-"] {grid-template-columns: repeat(2, minmax(0, 1fr))}
 [class*="st-key-rows-"]:not([class*="-of-"]) > :first-child {display: none}
 [class*="-of-"] [data-testid="stMarkdown"] p {text-align: left} [class*="-of-"] [data-testid="stPageLink-NavLink"] {justify-content: flex-start}
 [class*="st-key-rows-"] [data-testid="stMarkdown"] p {padding: .1rem .5rem .1rem 0}
 .st-key-rows-list [data-testid="stMarkdown"] p:nth-of-type(5) {text-align: left}
 [class*="st-key-row-"] [data-testid="stHorizontalBlock"] {gap: .3rem .5rem; padding-bottom: .3rem}
 [class*="st-key-row-"] [data-testid="stColumn"], .st-key-filters > * {
  min-width: 45% !important; flex: 1 1 45% !important}
 [class*="st-key-log-"] [data-testid="stHorizontalBlock"] {gap: .3rem .5rem}
 [class*="st-key-log-"] [data-testid="stColumn"] [data-testid="stColumn"] {min-width: 28% !important; flex: 1 1 28% !important}}
@page {size: A4 landscape; margin: 9mm}
@media print {
 [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], .st-key-filters, [class*="st-key-period-"], [class*="st-key-view-"], [class*="st-key-share-"],
 [data-testid="stExpander"], [data-testid="stDownloadButton"] {display: none !important}
 [data-testid="stMainBlockContainer"] {padding: 0 !important; max-width: none !important; zoom: .5}
 [data-testid="stHorizontalBlock"]:not(.st-key-figures) {flex-wrap: nowrap !important}
 [data-testid="stColumn"] {min-width: 0 !important}
 h2, h3 {break-after: avoid}
 [data-testid="stVegaLiteChart"] {break-inside: avoid}
 [data-testid="stApp"], [data-testid="stMain"], [data-testid="stAppViewContainer"] {position: static !important; overflow: visible !important;
  height: auto !important; display: block !important}
 [class*="st-key-tile-"], [class*="st-key-row-"] {break-inside: avoid}}
</style>"""


def main() -> None:
    st.set_page_config(page_title="Pipeline", page_icon="📈", layout="wide")
    st.html(STYLE)
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
            _views.saved_views(visitor, offered, page.url_path or "dashboard")
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
