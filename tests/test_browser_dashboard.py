"""The dashboard in Chromium: every figure, bar and link opens exactly the opportunities it is of."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Browser, Page, expect

from crm_core import money, opportunities, periods, pipeline, trends
from crm_core.database import Database
from crm_core.slices import Slice
from tests.browser import choose, counts, heading, idle, in_url, lists, press, sits, tile, turn
from tests.conftest import Office


@pytest.fixture(scope="module")
def office(company: tuple[str, Database]) -> Office:
    """The demo company, with the app in front of it at `office.address`."""
    made = Office(company[1])
    made.address = company[0]
    return made


YEAR = periods.financial_year(periods.today())


def links(page: Page, place: str) -> list[tuple[str, str]]:
    """This function will read the links of a part of the page: text and address."""
    found = page.locator(place).get_by_role("link")
    expect(found.first).to_be_visible()
    # at once, so that what is drawn meanwhile comes between no text and its address
    told = found.evaluate_all("all => all.map(a => [a.innerText.trim(), a.getAttribute('href')])")
    return [(text, address) for text, address in told]


def says(page: Page, words: str) -> None:
    expect(page.get_by_text(re.compile("^" + re.escape(words)))).to_be_visible()


@pytest.mark.parametrize("view", [f"period={YEAR}&asof=2026-09-30&region=coimbatore"])
def test_every_figure_of_the_headline_opens_as_many_as_it_counts(office: Office, page: Page, view: str) -> None:
    """A5: tile = list, for a period and as of the last day of a financial year."""
    sits(page, office, "meena", f"/?{view}")
    found = links(page, ".st-key-figures") + links(page, ".st-key-stages")
    assert len(found) >= 11
    for text, href in dict.fromkeys(found):
        turn(page, href)
        says(page, f"{text} ·")


@pytest.mark.parametrize("view", ["asof=2099-12-31", "moved=won&during=2026-11", "asof=2026-02-30&view=forecast"])
def test_a_link_to_what_no_dashboard_shows_is_answered(office: Office, page: Page, view: str) -> None:
    """A day to come, steps of the bridge, a day that is none: a page of figures, and no fault."""
    sits(page, office, "meena", f"/?{view}&period={YEAR}")
    expect(page.locator(".st-key-figures")).to_be_visible()
    assert 0 == page.get_by_text("Something went wrong").count()
    assert page.get_by_text("The dashboard shows what stands").count() == ("moved" in view)


def test_what_an_empty_part_counts_is_no_link(office: Office, page: Page) -> None:
    """Else it would open everything."""
    sits(page, office, "meena", f"/?status=won&view=forecast&period={YEAR}")
    expect(page.get_by_text("How it did before")).to_be_visible()
    assert 0 == page.get_by_role("link", name="it is made of").count()
    for path in (f"/?view=ageing&reached=won&period={YEAR}", f"/?status=open&view=forecast&period={YEAR}"):
        turn(page, path)
        expect(page.locator("table").first).to_be_visible()
        opened = page.locator("table a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
        assert {"/opportunities", "/opportunities?sum=won"}.isdisjoint(opened), path


def test_the_days_of_a_period_are_asked_for_only_while_it_is_to_be_one(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/")
    choose(page, "Period", "Between two days")
    expect(page.get_by_text("From and to day")).to_be_visible()
    choose(page, "Period", periods.label(YEAR))
    page.wait_for_url(re.compile(f"period={YEAR}"))
    expect(page.get_by_text("From and to day")).to_have_count(0)


def test_the_won_figure_is_the_won_value_of_its_list(office: Office, page: Page) -> None:
    sits(page, office, "meena", f"/?period={YEAR}")
    won = office.ask(pipeline.listing, office.meena, Slice(status="won", closed=YEAR))
    figure = tile(page, "Achieved\\b(?! %)")
    expect(figure.get_by_text(money.compact(won.won_value), exact=True)).to_be_visible()
    figure.get_by_role("link").click()
    says(page, f"{counts(won.count)} · won value {money.exact(won.won_value)}")


def test_a_click_on_a_segment_of_a_bar_opens_exactly_its_opportunities(office: Office, page: Page) -> None:
    found = office.ask(pipeline.totals, office.meena, Slice(product="pump", status="open"), by="region")
    most = found.loc[found["value"].astype(float).idxmax()]["region"]
    label = office.ask(pipeline.choices, office.meena, "region")[most]
    sits(page, office, "meena", "/?product=pump")
    page.locator(f'path[aria-label*="label: {label};"][aria-label*="Status: Open"]').first.click()
    expect(heading(page, "Opportunities")).to_be_visible()
    lists(page, office, "meena", Slice(product="pump", region=most, status="open"))
    page.go_back()
    expect(heading(page, "Open pipeline")).to_be_visible()


def test_every_step_of_the_bridge_opens_what_moved_by_as_much(office: Office, page: Page) -> None:
    """The bridge adds up, and each step's list says the same count and change."""
    sits(page, office, "meena", f"/?period={YEAR}&product=valve")
    moved = office.ask(trends.movement, office.meena, Slice(product="valve"), YEAR)
    page.get_by_text("The steps as links").click()
    steps = {step: (int(count), change) for step, count, change in moved.steps.itertuples(index=False)}
    assert moved.opening_value + sum((change for _n, change in steps.values()), Decimal(0)) == moved.closing_value
    found = links(page, '[data-testid="stExpander"]:has-text("The steps as links")')
    assert len(found) == len(steps) + 2
    for (count, change), (_text, href) in zip(steps.values(), found[1:-1], strict=True):
        turn(page, href)
        says(page, f"{counts(count)} · changed the open pipeline by {money.exact(change)}")


def test_a_bar_of_the_bridge_opens_its_step(office: Office, page: Page) -> None:
    sits(page, office, "meena", f"/?period={YEAR}")
    page.locator('path[aria-label*="label: Lost;"]').first.click()
    expect(heading(page, "Opportunities")).to_be_visible()
    assert Slice(moved="lost", during=YEAR) == in_url(page)


@pytest.mark.parametrize("by", ["reason"])
def test_every_number_of_a_breakdown_is_that_of_the_list_it_opens(office: Office, page: Page, by: str) -> None:
    sits(page, office, "meena", f"/?view=breakdown&by={by}&period={YEAR}")
    found = [(text, href) for text, href in links(page, ".st-key-rows-by") if re.match(r"[\d₹]", text)]
    assert len(found) > 3
    for text, href in found[:8]:
        turn(page, href)
        idle(page, 100)
        if count := re.match(r"([\d,]+)(?: ·|$)", text):
            says(page, f"{counts(int(count[1].replace(',', '')))} ·")
        if amount := re.search(r"₹[\d,.]+", text):
            expect(page.get_by_text(amount[0]).first).to_be_visible()


def test_a_click_on_a_month_opens_what_was_won_in_it(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/?view=breakdown&by=created&sort=won_value")
    months = office.ask(pipeline.totals, office.meena, Slice(status="won"), by="closed")
    best = months.loc[months["won_value"].astype(float).idxmax()]
    page.locator(f'path[aria-label*="label: {periods.label(best["closed"])};"]').first.click()
    expect(heading(page, "Opportunities")).to_be_visible()
    says(page, f"{counts(int(best['count']))} · won value {money.exact(best['won_value'])}")
    assert Slice(status="won", closed=best["closed"]) == in_url(page)


def test_the_bar_the_view_and_the_period_go_into_the_url_and_back_undoes_them(office: Office, page: Page) -> None:
    """E-11: the URL is the dashboard's state; a link pasted into a mail shows the same."""
    sits(page, office, "meena", "/")
    choose(page, "Period", periods.label(YEAR))
    expect(page).to_have_url(re.compile(f"period={YEAR}"))
    choose(page, "Region", "Coimbatore")
    expect(page).to_have_url(re.compile("region=coimbatore"))
    page.get_by_role("radio", name="Breakdowns").click()
    expect(page).to_have_url(re.compile("view=breakdown"))
    expect(heading(page, "Potential value by region")).to_be_visible()
    page.locator('[class*="st-key-by-region"]').get_by_text("Sales engineer").click()
    expect(page).to_have_url(re.compile("by=owner"))
    shown = page.evaluate("location.search")
    page.reload()
    expect(heading(page, "Potential value by sales engineer")).to_be_visible()
    assert shown == page.evaluate("location.search")
    page.go_back()
    expect(heading(page, "Potential value by region")).to_be_visible()


def test_one_step_back_from_a_bar_leads_to_the_dashboard_as_it_was(office: Office, page: Page) -> None:
    """And stays there: the bar is not pressed again."""
    here = f"?view=breakdown&by=product&period={YEAR}"
    sits(page, office, "meena", f"/{here}")
    bars = page.get_by_test_id("stVegaLiteChart").first
    expect(bars).to_be_visible()
    idle(page)
    bars.click(position={"x": 90, "y": 18})
    expect(heading(page, "Opportunities")).to_be_visible()
    assert "product=" in page.evaluate("location.search")
    page.go_back()
    expect(heading(page, "Potential value by product")).to_be_visible()
    idle(page, 1500)
    assert ["/", here] == page.evaluate("[location.pathname, location.search]")
    expect(heading(page, "Potential value by product")).to_be_visible()


def test_on_a_phone_or_a_tablet_every_table_fits(office: Office, page: Page) -> None:
    """No cell beyond the edge of the screen, and no name broken letter by letter."""
    paths = [f"/?view={view}&period={YEAR}" for view in ("breakdown", "ageing", "forecast")]
    for path in (*paths, "/opportunities", "/leads", "/customers", "/audit", "/customer?id=1"):
        sits(page, office, "meena", path)
        expect(page.locator("table").first).to_be_visible()
        for wide in (1024, 390):
            page.set_viewport_size({"width": wide, "height": 900})
            cells = page.locator("table :is(th, td):visible").evaluate_all(
                "all => all.map(c => [c.innerText, c.getBoundingClientRect().right, c.getBoundingClientRect().width])"
            )
            assert [] == [text for text, right, width in cells if right > wide or (len(text) > 9 and width < 40)], path


def test_a_dashboard_left_open_shows_a_change_by_itself(office: Office, page: Page) -> None:
    """Live: no click, no reload, and the reader stays where they were."""
    sits(page, office, "meena", "/?product=valve")
    before = int(re.sub(r"\D", "", tile(page, "Open pipeline").get_by_role("link").inner_text()))
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 400)")
    values = {"customer_id": 1, "region": "coimbatore", "product": "valve", "value": "1 cr"}
    office.do(opportunities.create, office.asha, values)
    expect(tile(page, "Open pipeline").get_by_role("link")).to_have_text(counts(before + 1), timeout=30_000)
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") > 300


def test_the_dashboard_as_a_workbook_equals_the_screen(office: Office, page: Page, tmp_path: Path) -> None:
    """J9, J1: cover, typed cells, the same totals."""
    sits(page, office, "meena", f"/?period={YEAR}&region=coimbatore")
    with page.expect_download() as download:
        press(page, "Export XLSX")
    download.value.save_as(tmp_path / "d.xlsx")
    book = openpyxl.load_workbook(tmp_path / "d.xlsx")
    cover = dict(book["Cover"].iter_rows(values_only=True))
    assert (f"{office.address}/?region=coimbatore&period={YEAR}", "all opportunities") == (
        cover["Link"],
        cover["Scope"],
    )
    won = office.ask(pipeline.listing, office.meena, Slice(status="won", closed=YEAR, region="coimbatore"))
    headline = {row[0]: row[1] for row in book["Headline"].iter_rows(values_only=True)}
    assert float(won.won_value) == headline["Achieved"]
    regions = {row[0]: row for row in book["By region"].iter_rows(values_only=True)}
    assert (won.count, float(won.won_value)) == regions["Coimbatore"][3:5]


def test_the_dashboard_prints_on_a4_landscape(office: Office, page: Page, chromium: Browser) -> None:
    """Two sheets at most, and no menu or filter on them."""
    sits(page, office, "meena", f"/?period={YEAR}")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    idle(page)
    made = page.pdf(prefer_css_page_size=True, print_background=True)
    sheets = re.findall(rb"/Type\s*/Page\b[^s]", made)
    wide, high = (float(n) for n in re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", made).groups())
    assert 1 <= len(sheets) <= 2
    assert (842, 595) == (round(wide), round(high))
    page.emulate_media(media="print")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.locator(".st-key-filters")).to_be_hidden()
