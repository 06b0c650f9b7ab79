"""A manager pastes targets from a spreadsheet and sets the limits of stages, in Chromium on the real app."""

from __future__ import annotations

from decimal import Decimal

from playwright.sync_api import Locator, Page, expect

from crm_core import settings, stage_limits, targets
from crm_core.access import Actor
from crm_core.database import Database
from tests.browser import idle, person, press, type_into, visit

YEAR = "fy2027-28"  # the demo has set nothing here
PAGE = f"/targets?period={YEAR}"


def paste(page: Page, row: int, *cells: str) -> None:
    """This function will paste cells below each other into the column of amounts, as a spreadsheet gives them."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", "\n".join(cells))
    table, chosen = page.get_by_test_id("stDataFrame"), page.get_by_test_id(f"glide-cell-1-{row}")
    width = (table.bounding_box() or {"width": 0})["width"]
    for _ in range(3):  # a click from elsewhere may only focus the table
        if chosen.get_attribute("aria-selected") != "true":
            table.click(position={"x": width / 2, "y": 35 * row + 52})
            page.wait_for_timeout(700)
    expect(chosen).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Control+v")
    idle(page)


def cell(page: Page, text: str) -> Locator:
    return page.get_by_test_id("stDataFrame").get_by_text(text, exact=True)


def kept(database: Database, code: str = YEAR) -> list[Decimal | None]:
    with database.read() as conn:
        rows = targets.listing(conn, Actor(person(database, "manager")), "region", code)
    return [row.amount for row in rows]


def test_a_manager_pastes_a_column_of_amounts_and_mends_what_is_wrong(company, page: Page) -> None:
    """Refused, nothing that was pasted is lost."""
    address, database = company
    visit(page, address, PAGE, person(database, "manager"))
    expect(page.get_by_role("button", name="Save targets")).to_be_disabled()
    paste(page, 0, "12 lakh", "1.5 cr", "5,00,000", "five lakh")
    expect(page.get_by_text("1 crore 50 lakh rupees")).to_be_visible()
    press(page, "Save targets")
    expect(page.get_by_text("Not saved yet; please look at the marked fields.")).to_be_visible()
    expect(page.get_by_test_id("stToast")).to_contain_text("Nothing was saved yet")
    expect(page.get_by_text("Outer Chennai: Enter an amount such as 12,50,000 or 12.5 lakh or 1.2 cr.")).to_have_count(
        1
    )
    assert [None] * 4 == kept(database)[:4]
    paste(page, 3, "₹ 4,50,000")
    press(page, "Save targets")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    wanted = [1_200_000, 15_000_000, 500_000, 450_000, None]
    assert wanted == kept(database)[:5]
    page.reload()
    expect(cell(page, "₹1,50,00,000")).to_have_count(1)
    expect(cell(page, "five lakh")).to_have_count(0)
    paste(page, 0, "", "2 cr")
    expect(page.get_by_text("no target")).to_be_visible()
    press(page, "Save targets")
    expect(page.get_by_role("button", name="Save targets")).to_be_disabled()
    assert [None, 20_000_000, 500_000] == kept(database)[:3]


def test_what_another_manager_wrote_meanwhile_is_shown_and_nothing_typed_is_lost(company, page: Page) -> None:
    address, database = company
    month = "2027-05"
    visit(page, address, f"/targets?period={month}", person(database, "manager"))
    paste(page, 0, "7 lakh")
    with database.write() as conn:
        targets.set_many(conn, Actor(person(database, "org_admin")), "region", month, {"coimbatore": "9 lakh"})
    press(page, "Save targets")
    expect(page.get_by_text("changed Amount from nothing to ₹9,00,000")).to_be_visible()
    expect(cell(page, "7 lakh")).to_have_count(1)
    press(page, "Save targets")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert 700_000 == kept(database, month)[0]


def test_what_is_typed_stays_when_somebody_adds_a_region(company, page: Page) -> None:
    """Which makes the table anew, with one row more."""
    address, database = company
    month = "2027-07"
    visit(page, address, f"/targets?period={month}", person(database, "manager"))
    paste(page, 1, "8 lakh")
    with database.write() as conn:
        settings.add(conn, Actor(person(database, "org_admin")), "region", "Aaraku")
    type_into(page, "Open, days", "20")
    expect(cell(page, "Aaraku")).to_have_count(1)
    expect(cell(page, "8 lakh")).to_have_count(1)
    press(page, "Save targets")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    assert 1 == kept(database, month).count(Decimal(800_000))
    expect(page.get_by_role("button", name="Save targets")).to_be_disabled()


def test_targets_of_the_smaller_periods_stand_beside_and_the_url_says_which(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/targets?kind=owner&period=soon", person(database, "org_admin"))
    expect(page.get_by_text("Targets are set for a month, a quarter or a financial year; choose one.")).to_be_visible()
    with database.write() as conn:
        targets.set_many(conn, Actor(person(database, "manager")), "region", "2028-06", {"coimbatore": "3 lakh"})
    visit(page, address, "/targets?period=fy2028-29-q1")
    expect(cell(page, "₹3,00,000, 1 of 3 months set")).to_have_count(1)
    page.get_by_role("radio", name="Sales engineers").click()
    page.wait_for_url("**/targets?kind=owner&period=fy2028-29-q1")
    expect(cell(page, "Asha Venkatesan")).to_have_count(1)


def test_a_manager_sets_the_limits_of_the_stages(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/targets", person(database, "manager"))
    type_into(page, "Open, days", "soon")
    press(page, "Save limits")
    expect(page.get_by_text("Open: enter whole days from 1 to 9,999, or nothing for no limit.")).to_be_visible()
    type_into(page, "Open, days", "30")
    type_into(page, "Offer Made, days", "")
    press(page, "Save limits")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    with database.read() as conn:
        assert {"open": 30} == stage_limits.limits(conn)


def test_a_sales_engineer_has_no_targets_page(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/targets", person(database, "sales_engineer"))
    expect(page.get_by_text("Only a manager or an org admin can set targets and stage limits.")).to_be_visible()
    expect(page.get_by_role("link", name="Targets", exact=True)).to_have_count(0)
