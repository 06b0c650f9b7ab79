"""Everybody can read and work the app: axe-core finds nothing serious on any page, at any width, light or dark."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from crm_core import customers, leads, offers, pipeline
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.slices import LeadSlice, Slice
from pages._menu import ADDRESSES
from tests.browser import idle, person, turn, visit

SERIOUS = {"serious", "critical"}
#: width and schemes, so that the one changes as seldom as the others
WINDOWS: tuple[Any, ...] = ((1440, ("dark",)), (390, ("light",)))
#: Streamlit follows the scheme a moment later, and some parts of it slowly; a page of our own at once.
#: Chromium lists some transitions long after they have ended
DRAWN = """dark => { const shown = document.querySelector('[data-testid=stApp]') || document.documentElement;
 const [red] = getComputedStyle(shown).backgroundColor.match(/\\d+/g);
 return (red < 128) === dark && !document.getAnimations().some(one => one instanceof CSSTransition && one.playState === 'running') }"""
#: what is not a manager's, or differs from theirs
ALSO = {
    "org_admin": ("/settings", "/users"),
    "sales_engineer": ("/opportunities", "/opportunity?id=999999", "/opportunities?status=bogus&colour=red"),
    "viewer": ("/opportunities?status=won&product=pump&created=fy2026-27",),
}


def findings(page: Page, where: str) -> list[str]:
    """This function will let axe-core look at an open page, wide and narrow, light and dark; what is serious, a line each."""
    page.evaluate("axe => window.axe || window.eval(axe)", AXE_SCRIPT)
    told = []
    for width, schemes in WINDOWS:
        page.set_viewport_size({"width": width, "height": 1000})
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(DRAWN, arg=scheme == "dark")
            # dark changes colours only
            chosen: dict[str, Any] = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
            found = page.evaluate("chosen => axe.run(chosen)", {"resultTypes": ["violations"], **chosen})
            told += [
                f"{where}, {width}, {scheme}: {broken['id']}: {node['html'][:120]}: {node['failureSummary']}"
                for broken in found["violations"]
                if broken["impact"] in SERIOUS
                for node in broken["nodes"]
            ]
    page.set_viewport_size({"width": 1440, "height": 1000})
    return told


def addresses(database: Database, actor: Actor) -> list[str]:
    """This function will give the address of every page of the app, those of a record with one."""
    with database.write() as conn:
        row = pipeline.listing(conn, actor, Slice(status="won")).rows.iloc[0]
        offer = offers.create(conn, actor, {"number": "AX-1", "customer_id": row.customer_id, "amount": "2 lakh"})
        lead = leads.listing(conn, actor, LeadSlice())[0]["id"][0]
        customer = next(iter(customers.choices(conn, actor)))
    found = dict(ADDRESSES)
    of_records = {"opportunity": row.id, "lead": lead, "customer": customer, "offer": offer}
    found |= {name: f"/{name}?id={i}" for name, i in of_records.items()}
    return list((found | {"new_offer": f"/new_offer?customer={customer}"}).values())


def test_everybody_can_read_and_work_every_page(company: tuple[str, Database], page: Page) -> None:
    """Contrast, names and roles: of every page and record, signed out and in, and of the open filters."""
    address, database = company
    found = []
    for path in ("/trial/sign-in", "/opportunities"):
        page.goto(address + path)
        page.get_by_role("heading", level=1).wait_for()
        found += findings(page, f"signed out, {path}")
    for role, paths in {"manager": addresses(database, Actor(person(database, "manager"))), **ALSO}.items():
        visit(page, address, "/opportunities", person(database, role))
        for path in paths:
            turn(page, path)
            found += findings(page, f"{role}, {path}")
    page.get_by_role("button", name="More").click()
    idle(page)
    found += findings(page, "the filters, open")
    visit(page, address, "/board", person(database, "manager"))
    for label in ("Move", "Share"):
        page.get_by_role("button", name=label, exact=label == "Move").first.click()
        idle(page)
        found += findings(page, f"the board, {label}, open")
        page.keyboard.press("Escape")
    assert "" == "\n".join(found)
