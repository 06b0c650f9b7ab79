"""Two people on the same records, and the ways between pages, in Chromium on the real app."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from crm_core import customers, leads, offers, opportunities, pipeline, users
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.slices import LeadSlice, Slice
from tests.browser import choose, idle, person, type_into, visit


def manager(database: Database) -> Actor:
    return Actor(person(database, "manager"))


def ask(database: Database, question, *args, **named):
    with database.read() as conn:
        return question(conn, *args, **named)


def a_lead(database: Database, owner: int, **values: str) -> int:
    actor = Actor(owner)
    given = {"contact": "Selvi", "company": "Ponni Mills", "region": "coimbatore", "product": "pump", **values}
    with database.write() as conn:
        given["source"] = next(c for c, _label in leads.choices(conn, actor, "source").items())
        return leads.create(conn, actor, given)


def test_the_second_of_two_who_qualify_a_lead_hears_who_was_first(company, page: Page, other: Page) -> None:
    address, database = company
    engineer = person(database, "sales_engineer")
    wanted = a_lead(database, engineer, contact="Valli")
    visit(page, address, f"/lead?id={wanted}", engineer)
    visit(other, address, f"/lead?id={wanted}", manager(database).user_id)
    page.get_by_role("button", name="Qualify", exact=True).click()
    expect(page.get_by_role("button", name="Qualify", exact=True)).to_have_count(0)
    other.get_by_role("button", name="Qualify", exact=True).click()
    expect(other.get_by_text("changed Status from New to Qualified")).to_be_visible()


def test_a_name_typed_in_settings_survives_somebody_elses_rename(company, page: Page, other: Page) -> None:
    address, database = company
    admin = person(database, "org_admin")
    for tab in (page, other):
        visit(tab, address, "/settings", admin)

    def rename(tab: Page, name: str) -> None:
        field = tab.locator(".st-key-list-region-pune-label input")
        field.fill(name)
        field.press("Enter")
        button = tab.locator(".st-key-list-region-pune-save button")
        expect(button).to_be_enabled()
        idle(tab)
        button.click()
        idle(tab)

    rename(page, "Pune city")
    rename(other, "Greater Pune")
    expect(other.get_by_text("changed Name from Pune to Pune city")).to_be_visible()
    expect(other.locator(".st-key-list-region-pune-label input")).to_have_value("Greater Pune")
    other.locator(".st-key-list-region-pune-save button").click()
    expect(other.get_by_text("Saved.", exact=True)).to_be_visible()
    assert ask(database, pipeline.choices, manager(database), "region")["pune"] == "Greater Pune"


def test_a_manager_gives_a_closed_opportunity_to_another(company, page: Page) -> None:
    address, database = company
    actor = manager(database)
    won = ask(database, pipeline.listing, actor, Slice(status="won")).rows.iloc[0]
    owner_id, name = next((i, n) for i, n in ask(database, users.owners, actor).items() if i != won.owner_id)
    visit(page, address, f"/opportunity?id={won.id}", actor.user_id)
    page.get_by_role("button", name="Reassign").click()
    choose(page, "New sales engineer", name)
    idle(page)
    page.locator(f".st-key-reassign-{won.id}-go button").click()
    expect(page.get_by_text("gave it to another owner")).to_be_visible()
    assert ask(database, opportunities.get, actor, int(won.id)).owner_id == owner_id


def test_a_manager_gives_a_whole_selection_to_another(company, page: Page) -> None:
    address, database = company
    actor = manager(database)
    regions = ask(database, pipeline.totals, actor, Slice(), by="region")
    region = regions.loc[regions["count"].astype(int).idxmax()]["region"]
    before = Slice(region=region, status=("open", "offer_made", "won", "lost", "rejected"))
    count = ask(database, pipeline.listing, actor, before).count
    owner_id, name = next(iter(ask(database, users.owners, actor).items()))
    visit(page, address, f"/opportunities?region={region}", actor.user_id)
    page.get_by_role("button", name="Reassign").click()
    page.get_by_text(f"All {count} of this selection").click()
    idle(page)
    choose(page, "New sales engineer", name)
    idle(page)
    page.locator(".st-key-reassign-many-go button").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert ask(database, pipeline.listing, actor, before.but(owner=owner_id)).count == count > 1


def test_an_engineer_is_not_offered_to_reassign(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/opportunities", person(database, "sales_engineer"))
    expect(page.get_by_role("button", name="Export CSV")).to_be_visible()
    expect(page.get_by_role("button", name="Reassign")).to_have_count(0)


def test_an_offer_is_edited_on_its_page_and_its_timeline_tells(company, page: Page) -> None:
    address, database = company
    actor = manager(database)
    with database.write() as conn:
        customer_id = next(iter(customers.choices(conn, actor)))
        made = offers.create(conn, actor, {"number": "T-77", "customer_id": customer_id, "amount": "2 lakh"})
    visit(page, address, f"/offer?id={made}", actor.user_id)
    page.get_by_text("Edit", exact=True).click()
    type_into(page, "Amount (₹) *", "2.5 lakh")
    expect(page.get_by_text("= 2 lakh 50 thousand rupees")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Amount: ₹2,00,000 → ₹2,50,000")).to_be_visible()


def test_the_leads_of_a_month_are_a_link_and_a_lead_leads_back_to_it(company, page: Page) -> None:
    address, database = company
    actor = manager(database)
    visit(page, address, "/leads?created=fy2025-26&status=converted&sort=company", actor.user_id)
    count = ask(database, leads.listing, actor, LeadSlice(created="fy2025-26", status="converted"))[1].count
    expect(page.get_by_text(re.compile(rf"^{count} leads?$"))).to_be_visible()
    page.locator(".st-key-rows-leads a").first.click()
    page.get_by_role("link", name="Back to the leads").click()
    expect(page.get_by_text("State: Converted; Created: FY 2025-26")).to_be_visible()
    assert page.evaluate("location.search") == "?status=converted&created=fy2025-26&sort=company"


def test_a_chip_takes_a_filter_away(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/leads?created=fy2025-26&status=converted", manager(database).user_id)
    page.get_by_role("button", name="Created: FY 2025-26").click()
    expect(page.get_by_text("State: Converted", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Created: FY 2025-26")).to_have_count(0)
    assert page.evaluate("location.search") == "?status=converted"


def test_a_lead_value_that_nobody_knows_is_named_once(company, page: Page) -> None:
    """A3, E-12."""
    address, database = company
    visit(page, address, "/leads?status=bogus&status=bogus&created=soon", manager(database).user_id)
    expect(page.get_by_text("State “bogus” is not known here; it matches nothing.")).to_have_count(1)
    expect(page.get_by_text("Created “soon” is not known here; it matches nothing.")).to_have_count(1)
    expect(page.get_by_text("No leads for this selection.")).to_be_visible()


def test_a_link_to_a_new_offer_says_that_its_customer_is_unknown(company, page: Page) -> None:
    address, database = company
    for path in ("/new_offer?customer=999999", "/new_opportunity?customer=x"):
        visit(page, address, path, manager(database).user_id)
        expect(page.get_by_text("The customer that this link names is not there or not active")).to_be_visible()


def test_merging_asks_first_and_leaves_a_trace(company, page: Page) -> None:
    address, database = company
    actor = manager(database)
    with database.write() as conn:
        twin = customers.create(conn, actor, {"company": "Zamin Twin Mills"})
        customers.create(conn, actor, {"company": "Zamin Mills"})
    visit(page, address, f"/customer?id={twin}", actor.user_id)
    page.get_by_role("button", name="Merge into another customer").click()
    expect(page.get_by_role("button", name="Merge for good")).to_be_disabled()
    choose(page, "Merge into", "Zamin Mills")
    expect(page.get_by_text("This cannot be undone.")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Merge for good").click()
    expect(page.get_by_text("This customer was merged into another.")).to_be_visible()
    expect(page.get_by_role("link", name="Open Zamin Mills")).to_be_visible()


def test_the_menu_of_an_application_engineer_has_no_empty_pages(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/", person(database, "application_engineer"))
    expect(page.get_by_role("link", name="Opportunities", exact=True)).to_be_visible()
    for name in ("Leads", "Settings"):
        expect(page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    visit(page, address, "/settings")
    expect(page.get_by_text("Only an org admin can change the configured lists.")).to_be_visible()


def test_the_dashboard_is_found_under_both_its_addresses(company, page: Page) -> None:
    """After a move inside the app the address is /dashboard; a reload or a link of it shows the same."""
    address, database = company
    visit(page, address, "/dashboard?region=coimbatore", manager(database).user_id)
    expect(page.get_by_text("Region: Coimbatore")).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert page.evaluate("location.search") == "?region=coimbatore"
