"""The board and the saved views in Chromium: columns that equal their lists, moves, and links kept under a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from crm_core import opportunities, periods, views
from tests.browser import choose, counted, heading, idle, press, serving, sits, type_into
from tests.conftest import Office

STATUSES = ("open", "offer_made", "won", "lost", "rejected")
MANY = 14


@pytest.fixture(scope="module")
def office(trial: Office, server_log: Path) -> Iterator[Office]:
    """A trial company with opportunities in every status, more open ones than a column shows."""
    home = trial.customer("Amman Mills")
    for status in STATUSES:
        trial.at(status, customer_id=home, value="3,00,000")
    for number in range(MANY):
        trial.opportunity(customer_id=home, value=str(1_00_000 + number), business_unit="process")
    with serving(trial.url, server_log) as trial.address:
        yield trial


def status_of(office: Office, made: int) -> str:
    return str(office.ask(opportunities.get, office.kavya, made).status)


def lane(page: Page, status: str) -> tuple[str, str]:
    """This function will read the count and the value that head a column."""
    head = page.locator(f".st-key-lane-{status}")
    return head.get_by_role("link").inner_text(), head.get_by_text("₹").inner_text()


def opened(page: Page, made: int) -> None:
    """This function will open what a card can do, from the keyboard."""
    button = page.locator(f".st-key-card-{made}").get_by_role("button", name="Move", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    idle(page)


def pick(page: Page, move: str) -> None:
    page.get_by_role("radio", name=move).focus()
    page.keyboard.press("Space")
    idle(page)


def test_a_columns_figures_are_those_of_its_list(office: Office, page: Page) -> None:
    """Over the whole slice, not the cards shown; the list that opens has the same count and value."""
    sits(page, office, "kavya", "/board?region=coimbatore")
    heads = {status: lane(page, status) for status in STATUSES}
    assert ("15 opportunities", "₹17 L") == heads["open"]
    assert ("1 opportunity", "₹90,000") == heads["won"]
    assert 12 == page.locator(".st-key-board [data-testid=stColumn]").first.locator("[class*=st-key-card-]").count()
    assert "19 opportunities" in page.get_by_text(re.compile(r"^\d+ opportunities · ")).inner_text()
    page.get_by_role("link", name="and 3 more").click()
    expect(heading(page, "Opportunities")).to_be_visible()
    assert 15 == counted(page)
    expect(page.get_by_text("₹17,00,091").first).to_be_visible()
    assert "region=coimbatore" in page.evaluate("location.search")


def test_a_filter_and_an_order_are_in_the_address(office: Office, page: Page) -> None:
    """A link to the board shows the same board; a value nobody knows shows nothing and is named."""
    sits(page, office, "kavya", "/board?business_unit=process&sort=value")
    first = page.locator(".st-key-board").get_by_role("link", name=re.compile("^OPP-")).first.inner_text()
    assert first.endswith("00006 · Amman Mills")
    expect(page.get_by_text("Business unit: Process")).to_be_visible()
    sits(page, office, "kavya", "/board?region=atlantis")
    expect(page.get_by_text("Region “atlantis” is not known here; it matches nothing.")).to_be_visible()
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()


def test_a_move_without_its_reason_is_refused_beside_it_and_then_saved(office: Office, page: Page) -> None:
    """B4: from the keyboard; what the lifecycle asks is asked, and the card stands in its new column."""
    made = office.opportunity(value="7,00,000")
    sits(page, office, "asha", "/board")
    opened(page, made)
    pick(page, "Mark lost")
    page.get_by_role("button", name="Mark lost", exact=True).focus()
    page.keyboard.press("Enter")
    idle(page)
    expect(page.get_by_text("Loss reason is missing; please fill it in.")).to_be_visible()
    assert "open" == status_of(office, made)
    before = lane(page, "lost")
    choose(page, "Loss reason *", "Price")
    press(page, "Mark lost")
    expect(page.locator(f".st-key-card-{made}").get_by_text("closed")).to_be_visible()
    assert "lost" == status_of(office, made)
    assert before != lane(page, "lost")


def test_a_card_that_somebody_else_moved_meanwhile_is_not_moved_over(office: Office, page: Page) -> None:
    """C14: the one who is slower reads who changed what."""
    made = office.opportunity(title="Booster set")
    sits(page, office, "asha", "/board")
    opened(page, made)
    pick(page, "Make offer")
    office.do(opportunities.edit, office.kavya, made, {"title": "Booster station"})
    press(page, "Make offer")
    expect(page.get_by_text(re.compile("Kavya changed Title from Booster set to Booster station"))).to_be_visible()
    assert "open" == status_of(office, made)
    press(page, "Make offer")
    expect(page.locator(".st-key-card-" + str(made)).get_by_role("button", name="Move", exact=True)).to_be_visible()
    assert "offer_made" == status_of(office, made)


def test_who_may_not_move_reads_the_cards_only(office: Office, page: Page) -> None:
    """A viewer has no button; on a past day nobody has."""
    sits(page, office, "devi", "/board")
    assert 0 == page.get_by_role("button", name="Move", exact=True).count()
    sits(page, office, "kavya", "/board?asof=2020-01-01")
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()
    sits(page, office, "kavya", f"/board?asof={periods.today()}")
    expect(page.locator(".st-key-lane-open")).to_be_visible()
    assert 0 == page.get_by_role("button", name="Move", exact=True).count()


def test_a_card_leads_to_its_record_and_back_to_the_same_board(office: Office, page: Page) -> None:
    sits(page, office, "asha", "/board?status=won")
    page.locator(".st-key-board").get_by_role("link", name=re.compile("^OPP-")).first.click()
    page.get_by_role("link", name="Back to the board").click()
    expect(heading(page, "Board")).to_be_visible()
    idle(page)
    assert "?status=won" == page.evaluate("location.search")


def test_at_phone_width_the_columns_stand_one_below_the_other(office: Office, page: Page) -> None:
    """Nothing is wider than the screen."""
    page.set_viewport_size({"width": 390, "height": 900})
    sits(page, office, "kavya", "/board?status=won&status=lost")
    won, lost = (page.locator(f".st-key-lane-{s}").bounding_box() for s in ("won", "lost"))
    assert won
    assert lost
    assert (won["x"], won["width"]) == (lost["x"], lost["width"])
    assert won["y"] < lost["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def sidebar(page: Page, *names: str) -> None:
    """This function will wait for the names of the saved views, these and no others."""
    idle(page)
    there = page.locator(".st-key-saved-views")
    found = there.get_by_role("link")
    expect(found).to_have_count(len(names))
    assert sorted(names) == sorted(text.partition(" ")[2] for text in found.all_inner_texts())


def keep(page: Page, name: str, shared: bool = False) -> None:
    """This function will save the open page under a name."""
    if not page.get_by_test_id("stPopoverBody").count():
        page.get_by_role("button", name="Share").click()
        idle(page)
    type_into(page, "Save this view as", name)
    if shared:
        page.get_by_text("For the team").first.click()
        idle(page)
    press(page, "Save this view")
    idle(page)


def test_a_view_is_kept_under_a_name_and_a_colleague_sees_the_shared_one_only(
    office: Office, page: Page, other: Page
) -> None:
    """Saved, found after a reload, opened from another page and from its own, renamed never lost, removed."""
    sits(page, office, "asha", "/opportunities?business_unit=process&sort=value&page=2&colour=red")
    page.get_by_role("button", name="Share").click()
    idle(page)
    link = f"{office.address}/opportunities?business_unit=process&sort=value"
    expect(page.get_by_test_id("stCode")).to_contain_text(link)
    keep(page, "Mine")
    keep(page, "mine")
    expect(page.get_by_text(re.compile("you have a view “mine” already"))).to_be_visible()
    keep(page, "Ours", shared=True)
    page.reload()
    expect(page.get_by_role("heading", name="Opportunities", exact=True)).to_be_visible()
    sidebar(page, "Mine", "Ours")
    sits(page, office, "asha", "/opportunities?status=won")
    page.locator(".st-key-saved-views").get_by_role("link", name="Mine").click()
    expect(page.get_by_text("Business unit: Process")).to_be_visible()
    idle(page)
    assert "business_unit=process&sort=value" in page.evaluate("location.search")
    page.reload()
    expect(page.get_by_text("Business unit: Process")).to_be_visible()
    sits(other, office, "ravi", "/leads")
    sidebar(other, "Ours · Asha")
    other.locator(".st-key-saved-views").get_by_role("link", name="Ours").click()
    expect(other.get_by_text("Business unit: Process")).to_be_visible()
    expect(
        other.get_by_text("No opportunities for this selection.")
    ).to_be_visible()  # the view is shared, not the rows


def test_ones_own_view_is_renamed_and_removed(office: Office, page: Page) -> None:
    office.do(views.save, office.kavya, {"name": "Old", "page": "board", "query": "status=open"})
    sits(page, office, "kavya", "/board")
    page.get_by_role("button", name="Share").click()
    idle(page)
    choose(page, "Change one of yours", "Old")
    type_into(page, "Name", "New")
    press(page, "Save changes")
    kept = page.locator(".st-key-saved-views").get_by_role("link", name="New")
    expect(kept).to_be_visible()
    choose(page, "Change one of yours", "New")
    press(page, "Remove")
    expect(kept).to_have_count(0)


def test_who_may_not_share_is_not_asked(office: Office, page: Page) -> None:
    sits(page, office, "devi", "/leads?status=new")
    page.get_by_role("button", name="Share").click()
    idle(page)
    expect(page.get_by_label("Save this view as")).to_be_visible()
    assert 0 == page.get_by_text("For the team").count()
