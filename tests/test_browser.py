"""What people see, in Chromium, on the real app over a small demo company."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys

import openpyxl
import pytest
from playwright.sync_api import expect

from crm_core import access, customers, leads, opportunities, pipeline, users
from crm_core.slices import Slice
from tests.browser import ROOT, counted, idle, person, tile, visit


def test_a_deep_link_opened_signed_out_on_a_fresh_server_shows_no_data(company, page):
    """E-8, the pages/ trap: it must stay the first test that reaches the server."""
    address, _database = company
    visit(page, address, "/opportunities?status=won")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.get_by_text("OPP-").count() == 0


def test_signing_in_from_a_deep_link_leads_back_to_the_same_slice(company, page):
    """E-8"""
    address, database = company
    visit(page, address, "/opportunities?status=won&status=lost")
    with database.read() as conn:
        manager = next(row.name for row in users.people(conn) if row.role == "manager")
    page.get_by_role("link", name="Choose a person").click()
    page.get_by_role("link", name=manager).click()
    expect(page.get_by_text("Status: Lost or Won")).to_be_visible()
    assert page.evaluate("location.search") == "?status=won&status=lost"


def test_a_tile_opens_the_list_with_the_same_count(company, page):
    address, database = company
    visit(page, address, "/", person(database, "manager"))
    way = tile(page, "Won", "stages").get_by_role("link")
    number = int(re.sub(r"\D", "", way.inner_text()))
    way.click()
    expect(page.get_by_role("heading", name="Opportunities")).to_be_visible()
    idle(page)
    assert "status=won" in page.evaluate("location.search")
    assert "sum=won" in page.evaluate("location.search")
    shown = page.get_by_text(re.compile(r"opportunities · won value")).first.inner_text()
    actor = access.Actor(person(database, "manager"))
    with database.read() as conn:
        listed = pipeline.listing(conn, actor, Slice(status="won"))
    assert (number, int(shown.split()[0])) == (listed.count, listed.count)


def test_a_link_is_followed_in_the_open_session_and_with_a_key_held_in_a_tab_of_its_own(company, page):
    """One entry of history a click, no page load, the record begins at its top; the list stays where it was."""
    address, database = company
    visit(page, address, "/", person(database, "manager"))
    page.evaluate("window.loaded = 1")
    entries = page.evaluate("history.length")
    tile(page, "Won", "stages").get_by_role("link").click()
    last = page.locator(".st-key-rows-list a").last
    last.scroll_into_view_if_needed()
    listed = page.url
    with page.context.expect_page() as beside:
        last.click(modifiers=["ControlOrMeta"])
    expect(beside.value.get_by_text("Back to the list")).to_be_visible()
    assert page.url == listed
    last.press("Enter")
    expect(page.get_by_text("Back to the list")).to_be_visible()
    assert page.url == beside.value.url
    assert (1, entries + 2) == (page.evaluate("window.loaded"), page.evaluate("history.length"))
    assert 2 == len(page.context.pages)
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 0
    page.go_back()
    expect(page.get_by_role("heading", name="Opportunities", exact=True)).to_be_visible()
    assert page.url == listed
    for _ in range(2):  # to where one is already
        page.locator(".st-key-rows-list a").first.evaluate("link => { link.href = location.href; link.click() }")
    idle(page)
    assert entries + 2 == page.evaluate("history.length")


@pytest.mark.parametrize("held", [0, 150])
def test_what_is_typed_comes_before_the_link_that_is_pressed(company, page, held):
    """The text goes into the list's address, then the record opens at its own, also where the list is drawn anew meanwhile."""
    address, database = company
    visit(page, address, "/opportunities", person(database, "manager"))
    page.get_by_label("Search").click()
    page.keyboard.type("a")
    link = page.locator(".st-key-rows-list a").nth(2)
    to, box = link.get_attribute("href"), link.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.wait_for_timeout(held)
    page.mouse.up()
    page.wait_for_url(address + to)
    expect(page.get_by_text("Back to the list")).to_be_visible()
    idle(page)
    assert page.url == address + to
    page.go_back()
    page.wait_for_url(address + "/opportunities?q=a")


def test_reload_back_and_forward_show_the_slice_of_the_url(company, page):
    """E-11"""
    address, database = company
    visit(page, address, "/opportunities?status=won", person(database, "manager"))
    won = counted(page)
    page.reload()
    idle(page)
    assert counted(page) == won
    page.locator(".st-key-rows-list a").first.click()
    expect(page.get_by_text("Back to the list")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Opportunities")).to_be_visible()
    idle(page)
    assert counted(page) == won
    page.go_forward()
    expect(page.get_by_text("Back to the list")).to_be_visible()


def test_next_and_previous_pages_share_no_row_and_lead_back_to_the_same(company, page):
    address, database = company
    visit(page, address, "/opportunities?status=lost", person(database, "manager"))
    with database.read() as conn:
        actor = access.Actor(person(database, "manager"))
        everything = pipeline.listing(conn, actor, Slice(status="lost"), per_page=500).rows["number"]

    def turned(to: str, number: int) -> list[str]:
        page.get_by_role("button", name=to, exact=True).click()
        return shown(number)

    def shown(number: int) -> list[str]:
        expect(page.get_by_text(f"Page {number} of")).to_be_visible()
        idle(page)
        links = page.locator(".st-key-rows-list a")
        expect(links).to_have_count(len(everything[25 * (number - 1) : 25 * number]))
        return links.all_inner_texts()

    first = shown(1)
    second = turned("Next", 2)
    assert list(everything)[: len(first) + len(second)] == first + second
    assert "after=" in page.evaluate("location.search")
    page.reload()
    assert second == shown(2)
    assert first == turned("Previous", 1)
    expect(page.locator(".st-key-rows-list a").first).to_be_in_viewport()  # read from its beginning
    page.go_back()
    assert second == shown(2)


def test_a_manager_downloads_the_list_as_both_kinds_of_file(company, page, tmp_path):
    """J9: what the page shows, with its own address on the cover."""
    address, database = company
    manager = person(database, "manager")
    visit(page, address, "/opportunities?status=won&sum=won&sort=-value&page=2", manager)
    with database.read() as conn:
        listed = pipeline.listing(conn, access.Actor(manager), Slice(status="won"), "-value", per_page=500)
    for kind in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Export {kind}", exact=True).click()
        assert f"opportunities.{kind.lower()}" == download.value.suggested_filename
        download.value.save_as(tmp_path / kind)
    lines = list(csv.DictReader((tmp_path / "CSV").read_text("utf-8-sig").splitlines()))
    book = openpyxl.load_workbook((tmp_path / "XLSX").open("rb"))
    numbers = [cell.value for cell in book["Opportunities"]["A"]][1:]
    assert list(listed.rows["number"]) == [line["Number"] for line in lines] == numbers
    assert counted(page) == len(numbers) == listed.count
    cover = dict(book["Cover"].iter_rows(values_only=True))
    assert f"{address}/opportunities?status=won&sort=-value&sum=won" == cover["Link"]
    assert ("Status: Won", listed.won_value) == (cover["Selection"], cover["Won value"])


def test_the_record_leads_back_to_the_same_slice(company, page):
    address, database = company
    visit(page, address, "/opportunities?status=won", person(database, "manager"))
    page.locator(".st-key-rows-list a").first.click()
    page.get_by_role("link", name="Back to the list").click()
    expect(page.get_by_text("Status: Won")).to_be_visible()
    assert page.evaluate("location.search") == "?status=won"


def test_an_unknown_value_is_named_and_matches_nothing(company, page):
    """A3, E-12"""
    address, database = company
    visit(page, address, "/opportunities?status=bogus&colour=red", person(database, "manager"))
    expect(page.get_by_text("Status “bogus” is not known here; it matches nothing.")).to_be_visible()
    expect(page.get_by_text("“colour” in this link is not a filter; it was ignored.")).to_be_visible()
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()


def test_an_engineer_who_guesses_an_id_finds_nothing(company, page):
    """E-3"""
    address, database = company
    engineer = person(database, "sales_engineer")
    with database.read() as conn:
        everything = pipeline.listing(conn, access.Actor(person(database, "manager")), Slice(), per_page=500).rows
        own = set(pipeline.listing(conn, access.Actor(engineer), Slice(), per_page=500).rows["id"])
    foreign = next(i for i in everything["id"] if i not in own)
    for wanted in (foreign, "99999999999999999999", "-1"):
        visit(page, address, f"/opportunity?id={wanted}", engineer)
        expect(page.get_by_text("There is no such opportunity.")).to_be_visible()


def test_a_wrong_form_says_every_problem_beside_its_field_and_keeps_what_was_typed(company, page):
    address, database = company
    visit(page, address, "/new_opportunity", person(database, "sales_engineer"))
    value = page.get_by_label("Potential value (₹) *")
    value.fill("-5")
    value.press("Enter")
    idle(page)
    page.get_by_role("button", name="Save opportunity").click()
    idle(page)
    for sentence in ("Customer is missing; please fill it in.", "Region is missing; please fill it in."):
        expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_text("The amount must be zero or more.").first).to_be_visible()
    assert page.get_by_label("Potential value (₹) *").input_value() == "-5"


def test_an_engineer_makes_an_offer_from_the_record(company, page):
    address, database = company
    engineer = person(database, "sales_engineer")
    with database.write() as conn:
        actor = access.Actor(engineer)
        customer_id = next(iter(customers.choices(conn, actor)))
        values = {"customer_id": customer_id, "region": "coimbatore", "product": "pump", "value": "12.5 lakh"}
        wanted = opportunities.create(conn, actor, values)
    visit(page, address, f"/opportunity?id={wanted}", engineer)
    page.get_by_role("button", name="Make offer").click()
    page.locator(f".st-key-move-{wanted}-make_offer-go button").click()
    idle(page)
    with database.read() as conn:
        assert opportunities.get(conn, access.Actor(engineer), wanted).status == "offer_made"


def test_postgresql_without_sign_in_is_not_served():
    """I7"""
    env = os.environ | {"CRM_DATABASE_URL": "postgresql://nobody@127.0.0.1/none"}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "no sign-in is configured" in done.stderr


def test_an_engineer_contacts_qualifies_and_converts_a_lead_in_one_tab(company, page):
    """Their own change a moment ago is no conflict."""
    address, database = company
    engineer = person(database, "sales_engineer")
    actor = access.Actor(engineer)
    with database.write() as conn:
        source = next(iter(leads.choices(conn, actor, "source")))
        values = {"contact": "Mani", "company": "Amman Mills", "email": "mani@amman.in", "source": source}
        wanted = leads.create(conn, actor, values | {"region": "coimbatore", "product": "pump"})
    visit(page, address, f"/lead?id={wanted}", engineer)
    assert page.get_by_role("button", name="Convert into a customer", exact=True).count() == 0
    for label in ("Mark contacted", "Qualify"):
        page.get_by_role("button", name=label, exact=True).click()
        expect(page.get_by_role("button", name=label, exact=True)).to_have_count(0)
        idle(page)
    value = page.get_by_label("Potential value (₹) *")
    value.fill("12.5 lakh")
    value.press("Enter")
    expect(page.get_by_text("= 12 lakh 50 thousand rupees")).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Convert into a customer", exact=True).click()
    expect(page.get_by_role("heading", name="Amman Mills", exact=True)).to_be_visible()
    with database.read() as conn:
        made = leads.get(conn, actor, wanted).converted_customer_id
        assert pipeline.listing(conn, actor, Slice(customer=made)).value == 1_250_000
