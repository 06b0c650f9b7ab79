"""What managers, org admins and viewers do in Chromium: the dashboard, the list's filters, customers, lists; and faults."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from crm_core import access, customers, leads, lifecycle, money, opportunities, pipeline, settings
from crm_core.database import Database, open_database
from crm_core.slices import Slice
from tests.browser import (
    choose,
    counts,
    figures,
    heading,
    idle,
    in_url,
    lists,
    picked,
    press,
    serving,
    sits,
    tile,
    type_into,
)
from tests.conftest import Office


@pytest.fixture(scope="module")
def office(company: tuple[str, Database]) -> Office:
    """The demo company, with the app in front of it at `office.address`."""
    made = Office(company[1])
    made.address = company[0]
    return made


def unit_of(office: Office, name: str) -> str:
    return str(office.ask(access.person, office.people[name]).business_unit)


def a_lead(office: Office) -> int:
    values = {"contact": "Selvi", "company": "Ponni Mills", "source": "website", "region": "coimbatore"}
    return int(office.do(leads.create, office.meena, values))


def test_each_filter_of_the_list_goes_into_its_url_and_narrows_it(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/opportunities")
    asha, unit = office.asha, unit_of(office, "asha")
    units = office.ask(settings.labels_of, asha, "business_unit")
    chosen = Slice()
    lists(page, office, "meena", chosen)
    for label, option, name, value in (
        ("Status", "Lost", "status", "lost"),
        ("Business unit", units[unit], "business_unit", unit),
        ("Region", "Outer Coimbatore", "region", "outer_coimbatore"),
        ("Sales engineer", "Asha", "owner", str(asha.user_id)),
    ):
        choose(page, label, option)
        chosen = chosen.but(**{name: value})
        assert lists(page, office, "meena", chosen).count > 0, label
    company = str(lists(page, office, "meena", chosen).rows["customer"][0])
    type_into(page, "Search", company[:9]).press("Enter")
    chosen = chosen.but(q=company[:9])
    assert lists(page, office, "meena", chosen).count > 0
    for label, option, name, value in (
        ("Product", "Pump", "product", "pump"),
        ("Created", "FY", "created", None),
    ):
        if not picked(page, label).is_visible():
            page.get_by_role("button", name=re.compile("^tune More|^More")).click()
        choose(page, label, option)
        page.wait_for_function("name => location.search.includes(`${name}=`)", arg=name)
        chosen = chosen.but(**{name: value or in_url(page).created})
        lists(page, office, "meena", chosen)


def test_another_order_and_page_keep_the_slice(office: Office, page: Page) -> None:
    chosen = Slice(status=("lost", "won", "rejected"))
    sits(page, office, "meena", "/opportunities?status=won&status=lost&status=rejected")
    choose(page, "Order", "Highest value")
    page.wait_for_function("() => location.search.includes('sort=-value')")
    first = lists(page, office, "meena", chosen, "-value").rows
    expect(page.get_by_role("link", name=re.compile("^OPP-")).first).to_have_text(first["number"][0])
    press(page, "Next")
    expect(page.get_by_text("Page 2 of")).to_be_visible()
    second = lists(page, office, "meena", chosen, "-value", 2).rows
    expect(page.get_by_role("link", name=re.compile("^OPP-")).first).to_have_text(second["number"][0])
    assert "sort=-value" in page.evaluate("location.search")
    press(page, "Previous")
    expect(page.get_by_text("Page 1 of")).to_be_visible()
    lists(page, office, "meena", chosen)


def test_what_is_typed_counts_also_where_something_else_is_pressed_at_once(office: Office, page: Page) -> None:
    """The search narrows, whether the pager, the order or a chip takes the focus from it; a page of another list is none."""
    sits(page, office, "meena", "/opportunities?product=pump")
    idle(page)  # nobody types before the page has come to rest
    page.get_by_label("Search", exact=True).fill("opp")
    page.get_by_role("button", name="Next", exact=True).click()
    page.wait_for_function("() => location.search.includes('q=opp')")
    idle(page)
    lists(page, office, "meena", Slice(product="pump", q="opp"))
    assert "page" not in page.evaluate("location.search")
    page.get_by_label("Search", exact=True).fill("opp-2")
    page.locator(".st-key-chips button").first.click()
    page.wait_for_function("() => location.search.includes('q=opp-2') && !location.search.includes('product')")
    idle(page)
    lists(page, office, "meena", Slice(q="opp-2"))


def test_an_org_admin_adds_renames_retires_and_restores_a_region(office: Office, page: Page) -> None:
    """B16, H7"""
    sits(page, office, "lakshmi", "/settings")
    type_into(page, "Name of the new entry", "Hosur")
    press(page, "Add")
    expect(page.get_by_role("textbox", name="Name", exact=True).last).to_have_value("Hosur")
    name = page.get_by_role("textbox", name="Name", exact=True).last
    name.fill("Coimbatore")
    name.press("Enter")
    idle(page, 100)
    press(page, "Rename")
    expect(page.get_by_text("“Coimbatore” is in the list already")).to_be_visible()
    name.fill("Greater Hosur")
    name.press("Enter")
    idle(page, 100)
    press(page, "Rename")
    expect(page.get_by_text("Saved.")).to_be_visible()
    press(page, "Retire")
    expect(page.get_by_role("button", name="Offer again")).to_have_count(1)
    assert "hosur" not in office.ask(settings.labels_of, office.meena, "region")
    press(page, "Offer again")
    expect(page.get_by_role("button", name="Offer again")).to_have_count(0)
    assert "Greater Hosur" == office.ask(settings.labels_of, office.meena, "region")["hosur"]


def test_a_manager_has_no_settings(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/settings")
    expect(page.get_by_text("Only an org admin can change the configured lists.")).to_be_visible()
    assert (0, 0) == (page.get_by_role("link", name="Settings").count(), page.get_by_role("textbox").count())


def test_a_manager_adds_finds_edits_deactivates_and_merges_a_customer(office: Office, page: Page) -> None:
    into = office.do(customers.create, office.meena, {"company": "Yercaud Coffee Works"})
    sits(page, office, "meena", "/customers")
    page.get_by_role("link", name="New customer").click()
    expect(heading(page, "New customer")).to_be_visible()
    for label, text in {"Company *": "Yercaud Coffee", "E-mail": "no address", "GSTIN": "33AAAAA0000A1Z"}.items():
        type_into(page, label, text)
    press(page, "Save customer")
    expect(page.get_by_text("E-mail: enter one address such as name@company.in.")).to_be_visible()
    expect(page.get_by_text("GSTIN: it is not a valid GSTIN of 15 characters")).to_be_visible()
    type_into(page, "E-mail", "mani@yercaud.in")
    type_into(page, "GSTIN", "")
    press(page, "Save customer")
    expect(heading(page, "Yercaud Coffee")).to_be_visible()
    page.get_by_text("Edit", exact=True).click()
    type_into(page, "City", "Yercaud")
    press(page, "Save changes")
    expect(page.get_by_text("Yercaud", exact=True)).to_be_visible()
    press(page, "Deactivate")
    expect(page.get_by_text("This customer is inactive and cannot be chosen")).to_be_visible()
    press(page, "Reactivate")
    expect(page.get_by_role("button", name="Deactivate")).to_be_visible()
    made = office.sql("SELECT max(id) FROM customer")[0][0]
    page.get_by_role("button", name="Merge").click()
    choose(page, "Merge into", "Yercaud Coffee Works")
    page.get_by_role("button", name="Merge").last.click()
    expect(page.get_by_text("This customer was merged into another.")).to_be_visible()
    assert into == office.ask(customers.get, office.meena, made).merged_into_id
    sits(page, office, "meena", "/customers")
    type_into(page, "Search", "yercaud").press("Enter")
    expect(page.get_by_text("2 customers")).to_be_visible()
    page.get_by_role("link", name="Yercaud Coffee (inactive)").click()
    page.get_by_role("link", name="Open Yercaud Coffee Works").click()
    expect(heading(page, "Yercaud Coffee Works")).to_be_visible()


def offered(page: Page, label: str) -> list[str]:
    picked(page, label).click()
    expect(page.get_by_role("option").first).to_be_visible()
    texts = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return texts


def test_an_engineers_pickers_name_no_other_owner(office: Office, page: Page) -> None:
    """A6"""
    sits(page, office, "asha", "/new_opportunity")
    assert ["Asha Venkatesan"] == offered(page, "Sales engineer *")
    sits(page, office, "asha", "/new_lead")
    assert ["Asha Venkatesan"] == offered(page, "Owner *")
    sits(page, office, "asha", "/opportunities")
    assert ["Asha Venkatesan"] == [name for name in offered(page, "Sales engineer") if name != "Select all"]


def test_an_engineer_after_the_manager_sees_only_their_own_sums(office: Office, page: Page, chromium: Browser) -> None:
    """A16"""
    ravis = chromium.new_context().new_page()
    for visitor, name in ((page, "meena"), (ravis, "ravi"), (page, "meena")):
        sits(visitor, office, name, "/")
        totals = office.ask(pipeline.totals, office.people[name], Slice(), by="status")
        for row in totals.itertuples(index=False):
            shown = tile(visitor, lifecycle.STAGE[row.status].label, "stages")
            amount = row.won_value if row.status == lifecycle.WON else row.value
            expect(shown.get_by_text(money.exact(amount), exact=True).last).to_be_visible()
            expect(shown.get_by_role("link")).to_have_text(counts(row.count))
    ravis.context.close()


def test_a_viewer_is_offered_nothing_that_changes_anything(office: Office, page: Page) -> None:
    ways = ("open", "offer_made", "won")
    shown = [office.ask(pipeline.listing, office.meena, Slice(status=code)).rows["id"][0] for code in ways]
    lead = a_lead(office)
    offer = office.sql("SELECT max(id) FROM offer")[0][0]
    paths = [f"/opportunity?id={i}" for i in shown]
    paths += [f"/lead?id={lead}", "/customer?id=1", f"/offer?id={offer}"]
    for path in (*paths, "/opportunities", "/leads", "/customers"):
        sits(page, office, "vikram", path)
        expect(page.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
        buttons = page.get_by_test_id("stMain").get_by_role("button").all_inner_texts()
        words = {word for text in buttons for word in text.split("\n") if word}
        assert words <= {"Previous", "Next", "tune", "More", "expand_more", "share", "Share"}, path
        assert 0 == page.get_by_test_id("stMain").locator("summary, textarea").count(), path
        links = page.get_by_test_id("stMain").get_by_role("link").all_inner_texts()
        assert not [text for text in links if re.search("New|Create|Add", text)], path
    for path in ("/new_opportunity", "/new_lead", "/new_customer", "/new_offer"):
        sits(page, office, "vikram", path)
        expect(page.get_by_text("You may not create")).to_be_visible()
        assert 0 == page.get_by_role("textbox").count()


def test_opening_a_link_never_changes_anything(office: Office, page: Page) -> None:
    """E-9"""
    by_status = {
        code: office.ask(pipeline.listing, office.meena, Slice(status=code)).rows["id"][0]
        for code in ("open", "offer_made", "won")
    }
    lead = a_lead(office)
    office.do(leads.qualify, office.meena, lead)
    before = [office.count(table) for table in ("audit", "transition", "submit", "customer", "opportunity")]
    for path in (
        f"/opportunity?id={by_status['open']}&action=make_offer&move=make_offer",
        f"/opportunity?id={by_status['offer_made']}&action=won&win=1&won_value=1",
        f"/opportunity?id={by_status['won']}&reopen=1&action=reopen&note=x",
        f"/lead?id={lead}&convert=1&action=convert",
        "/new_customer?company=Vel&save=1",
    ):
        sits(page, office, "meena", path)
        expect(page.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible()
    sits(page, office, "meena", "/opportunities?action=won&convert=1&reopen=1")
    for key in ("action", "convert", "reopen"):
        expect(page.get_by_text(f"“{key}” in this link is not a filter; it was ignored.")).to_be_visible()
    after = [office.count(table) for table in ("audit", "transition", "submit", "customer", "opportunity")]
    assert before == after


def test_five_thousand_parameters_filter_nothing_and_the_page_says_so(office: Office, page: Page) -> None:
    """E-4"""
    many = "&".join(f"x{n}={n}" for n in range(5000))
    sits(page, office, "asha", f"/opportunities?status=won&{many}")
    own = office.ask(pipeline.listing, office.asha, Slice())
    expect(page.get_by_text(figures(own), exact=True)).to_be_visible()
    expect(page.get_by_text("All opportunities").or_(page.get_by_text("too long")).first).to_be_visible()


def test_what_somebody_searches_for_is_in_no_log(office: Office, page: Page, server_log: Path) -> None:
    """E-13"""
    sits(page, office, "meena", "/opportunities?q=secretmill")
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()
    type_into(page, "Search", "secretworks").press("Enter")
    expect(page.get_by_text("Search: secretworks")).to_be_visible()
    sits(page, office, "meena", "/leads?q=secretlead")
    sits(page, office, "meena", "/customers?q=secretfirm")
    expect(page.get_by_text("No customers for this search.")).to_be_visible()
    written = server_log.read_text()
    assert "Uvicorn running" in written
    assert [] == [line for line in written.splitlines() if re.search(r"secret|GET|q=|Meena|kaveriflow", line)]


def test_a_label_full_of_punctuation_breaks_no_chart(office: Office, page: Page) -> None:
    """K4"""
    label = "Sr. [North]: a.b\\c 'q' \"w\""
    code = office.do(settings.add, office.lakshmi, "region", label)
    unit = office.do(settings.add, office.lakshmi, "business_unit", label)
    values = {"customer_id": 1, "region": code, "business_unit": unit, "product": "pump", "value": "9 cr"}
    office.do(opportunities.create, office.meena, values)
    sits(page, office, "meena", f"/?business_unit={unit}")
    marks = page.locator('path[aria-label*="Sr. [North]: a.b"]')
    expect(marks).to_have_count(2)
    expect(page.locator("text").get_by_text("Sr. [North]: a.b").first).to_be_visible()
    page.locator('path[aria-label*="Sr. [North]: a.b"][aria-label*="Status: Open"]').first.click()
    expect(heading(page, "Opportunities")).to_be_visible()
    lists(page, office, "meena", Slice(region=code, business_unit=unit, status="open"))


@pytest.fixture
def broken(demo_file: Path, tmp_path: Path) -> Iterator[Office]:
    """A company of its own whose app is served, to break something behind the app's back."""
    url = f"sqlite:///{shutil.copy(demo_file, tmp_path / 'broken.sqlite3')}"
    made = Office(open_database(url), lambda: open_database(url, owner=True))
    made.log = tmp_path / "server.log"
    with serving(url, made.log) as made.address:
        yield made
    made.owner.dispose()
    made.database.dispose()


def test_a_fault_shows_its_number_and_the_log_tells_the_rest_but_no_search(broken: Office, page: Page) -> None:
    """K2, E-13"""
    sits(page, broken, "meena", "/opportunities?q=secretmill")
    expect(heading(page, "Opportunities")).to_be_visible()
    broken.sql("ALTER TABLE opportunity RENAME COLUMN search TO gone")
    page.reload()
    problem = page.get_by_text(re.compile(r"Something went wrong; it is logged under reference [0-9a-f]{8}\."))
    expect(problem).to_be_visible()
    shown = page.locator("body").inner_text()
    assert [] == re.findall(r"(?i)select|sqlite|opportunity\.|traceback|\.py", shown)
    reference = re.search(r"reference ([0-9a-f]{8})", problem.inner_text())
    written = broken.log.read_text()
    assert reference
    assert [f"unexpected error, reference {reference[1]}"] == re.findall(r"unexpected error, reference \w+", written)[
        -1:
    ]
    assert 1 == len([line for line in written.splitlines() if re.search(r"no such column: \w+\.search", line)])
    assert "Traceback" not in re.sub(r"(?m)^\{.*\}$", "", written)
    assert "secretmill" not in written
