"""Hostile text is only text: stored in every field, it is shown as stored on every page to every role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from playwright.sync_api import Page

from crm_core import customers, leads, offers, opportunities, settings, users, views
from crm_core.access import GRANTS
from tests.browser import idle, serving, sits, turn
from tests.conftest import Office

#: an image, a link, HTML, colour, a formula, code, a heading and letters from right to left
SHOWN = "# ![i](//e.test) [אב](//e.test) <b>b</b> :red[r] $x$ `c`"
#: with a right-to-left override, an isolate and a zero-width space, which storing takes away
TYPED = SHOWN.replace("i](//e.test", "i](//e.te\u200bst").replace("red", "r\u202eed") + "\u2066"
NUMBER = "![i](//e.test/i) <img src=//e.test/j> [l](//e.test)"
EMAIL = "*b*_$x$_`c`@e.test"
DOCUMENT = "https://papers.test/![i](/i)"
ROLES = {"meena": "org_admin", "kavya": "manager", "asha": "sales_engineer", "arun": "application_engineer"}
ROLES |= {"devi": "viewer"}
PLACES = ("state", "city")


@pytest.fixture(scope="module")
def office(trial: Office, server_log: Path) -> Iterator[Office]:
    """A trial company in which every text is hostile, with the app in front of it at `office.address`."""
    poison(trial)
    with serving(trial.url, server_log) as trial.address:
        yield trial


def poison(office: Office) -> None:
    """This function will put the text into every text field there is, by the core."""
    meena, places = office.meena, dict.fromkeys(PLACES, TYPED)
    for name, code in (("region", "coimbatore"), ("business_unit", "water"), ("lead_source", "website")):
        office.do(settings.rename, meena, name, code, TYPED)
    for name, code in (("lost_reason", "price"), ("rejected_reason", "no_budget"), ("disqualify_reason", "duplicate")):
        office.do(settings.rename, meena, name, code, TYPED)
    for person in office.people.values():
        office.do(users.edit, meena, person.user_id, {"name": TYPED})
    office.do(users.add, meena, {"name": TYPED, "email": EMAIL, "role": "viewer"})
    text = {"contact": TYPED, "notes": f"{TYPED}\n{TYPED}", "email": EMAIL, **places}
    customer = office.customer(TYPED, **text)
    detail = {"title": TYPED, "next_step": TYPED, "application_engineer_id": office.arun.user_id, **places}
    for status, name in (("open", ""), ("offer_made", ""), ("won", ""), ("lost", "lose"), ("rejected", "reject")):
        made = office.at(status if not name else "open", customer_id=customer, **detail)
        if name:
            reason = {"reason": "price" if name == "lose" else "no_budget", "note": TYPED}
            office.do(opportunities.move, office.kavya, made, name, reason)
    note = f"{TYPED}\n\n    {TYPED}\n===\n---\n1. {TYPED}\n# {TYPED}\n> {TYPED}"
    office.do(opportunities.move, office.kavya, made, "reopen", {"note": note})
    given = {"number": NUMBER, "customer_id": customer, "amount": "100", "document_url": DOCUMENT}
    offer = office.do(offers.create, office.kavya, given)
    office.do(opportunities.move, office.kavya, made, "make_offer", {"offer_id": offer})
    lead = office.lead(company=TYPED, contact=TYPED, notes=TYPED, email=EMAIL, **places)
    other = office.lead(company=TYPED, contact=TYPED, notes=TYPED, **places)
    office.do(leads.disqualify, office.kavya, other, {"reason": "duplicate", "note": TYPED})
    for actor, shared in ((meena, False), (office.kavya, False), (office.asha, True)):
        office.do(views.save, actor, {"name": TYPED, "page": "board", "query": "", "shared": shared})
    spare = office.customer(TYPED, contact=TYPED)
    office.do(customers.merge, office.kavya, spare, customer)
    office.ids = {
        "customer": customer,
        "opportunity": made,
        "offer": offer,
        "lead": lead,
        "other": other,
        "spare": spare,
    }


def paths(office: Office) -> list[str]:
    """This function will name every page of the app, with the records it is about."""
    ids, said = office.ids, quote(SHOWN)
    pages = [
        path.stem for path in (Path(__file__).parent.parent / "pages").glob("[!_]*.py") if path.stem != "dashboard"
    ]
    found = ["/", *(f"/{name}?id={ids[name]}" if name in ids else f"/{name}" for name in pages)]
    found += [f"/lead?id={ids['other']}", f"/customer?id={ids['spare']}", "/opportunity?id=1", "/opportunity?id=4"]
    found += [f"/{name}?q={said}" for name in ("opportunities", "leads", "customers")]
    found += [
        f"/new_offer?opportunity={ids['opportunity']}&customer={ids['customer']}",
        f"/opportunities?region={said}",
        f"/board?region={said}",
    ]
    return found


TEXTS = """() => {
    const copy = document.body.cloneNode(true);
    copy.querySelectorAll("svg, style, script, noscript").forEach((e) => e.remove());
    const typed = [...document.querySelectorAll("input, textarea")].map((e) => e.value);
    return [copy.textContent, ...typed].join("\\n");
}"""
LINKS = "() => [...document.querySelectorAll('a[href], area[href], form[action]')].map((e) => e.href || e.action)"


def inspect(office: Office, page: Page, where: str) -> int:
    """This function will check what a page shows now, and count how often the text stands on it."""
    text = page.evaluate(TEXTS)
    rest = text
    for whole in (SHOWN, quote_plus(SHOWN), NUMBER, EMAIL, DOCUMENT, f"unknown: {SHOWN[:30]}"):
        rest = rest.replace(whole, "")
    assert "e.test" not in rest, (where, rest[max(0, rest.find("e.test") - 80) :][:200])
    hidden = [c for c in text if c in "\u200b\u202e\u2066\u2069\u200e\u200f"]
    assert [] == hidden, where
    away = {link for link in page.evaluate(LINKS) if not link.startswith((office.address, "#"))}
    assert away <= ({DOCUMENT} if where.startswith("/offer?") else set()), where
    assert 0 == page.locator("[data-testid=stApp]").locator("img, .katex, iframe, object, video").count(), where
    built = page.locator("[data-testid=stMarkdown]").locator("pre, blockquote, li, hr, h1, h3")
    assert [] == built.all_inner_texts(), where
    return int(text.count(SHOWN))


@pytest.mark.parametrize("name", ROLES)
def test_hostile_text_is_shown_as_stored_and_asks_nobody_anything(office: Office, page: Page, name: str) -> None:
    """K9, E-10, fact 9: every page, each role; with the pickers, expanders and popovers of an org admin open."""
    assert set(GRANTS) == set(ROLES.values())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    seen: dict[str, int] = {}
    picked: set[str] = set()
    sits(page, office, name, "/opportunities")
    for path in paths(office):
        turn(page, path)
        seen[path] = inspect(office, page, path)
        if name == "meena":
            opened(office, page, path, seen, picked)
    away = [url for url in asked if not url.startswith((office.address, "data:", "blob:", f"ws{office.address[4:]}"))]
    assert [] == away
    if name in ("meena", "kavya"):
        beside = 4  # the menu: their own name and view, a colleague's view and name
        bare = {path for path, count in seen.items() if count <= beside}
        few = {"/", "/settings", "/users", "/targets", "/new_customer", "/new_lead", "/new_offer", "/new_opportunity"}
        assert {path.partition("?")[0] for path in bare} <= few | {"/offer"}
    assert min(seen.values()) > 0


def opened(office: Office, page: Page, path: str, seen: dict[str, int], picked: set[str]) -> None:
    """This function will open whatever a page lets one open, and look at it; a picker of the same name once."""
    for summary in page.locator("[data-testid=stExpander] summary").all():
        summary.evaluate("e => e.click()")
    idle(page, 150)
    seen[path] = max(seen[path], inspect(office, page, path))
    for button in page.get_by_test_id("stPopoverButton").all():
        if button.is_visible() and button.is_enabled():
            button.click()
            idle(page, 150)
            inspect(office, page, path)
            page.keyboard.press("Escape")
    idle(page)  # the last of them closes slowly
    for box in page.get_by_role("combobox").all()[:6]:
        name = str(box.get_attribute("aria-label"))
        if name not in picked and box.is_visible() and box.is_enabled():
            picked.add(name)
            box.click()
            page.wait_for_timeout(120)
            inspect(office, page, path)
            page.keyboard.press("Escape")


def test_the_record_of_a_name_is_what_was_stored(office: Office) -> None:
    """K9: what reads otherwise than it is written was taken away before; nothing else was."""
    row: Any = office.ask(customers.get, office.kavya, office.ids["customer"])
    assert (SHOWN, SHOWN, SHOWN, f"{SHOWN}\n{SHOWN}", EMAIL) == (
        row.company,
        row.contact,
        row.city,
        row.notes,
        row.email,
    )
