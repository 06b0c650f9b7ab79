"""Org admins and the users page, and the tabs that are open meanwhile, in Chromium on the real app."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from crm_core import access, pipeline, users
from crm_core.access import Actor
from crm_core.errors import NotAllowed
from crm_core.slices import Slice
from tests.browser import choose, idle, person, picked, type_into, visit


def named(database, email: str):
    with database.read() as conn:
        return next((row for row in users.people(conn) if row.email == email), None)


def test_an_org_admin_invites_somebody_who_then_works(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/users", person(database, "org_admin"))
    page.locator(".st-key-invite-save button").click()
    expect(page.get_by_text("Name is missing; please fill it in.")).to_be_visible()
    expect(page.get_by_text("Role is missing; please fill it in.")).to_be_visible()
    type_into(page, "Name *", "Thenmozhi Arasan")
    type_into(page, "E-mail *", "thenmozhi@kaveriflow.example")
    idle(page)
    choose(page, "Role *", "Sales engineer")
    idle(page)
    page.locator(".st-key-invite-save button").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    made = named(database, "thenmozhi@kaveriflow.example")
    assert (made.role, made.active) == ("sales_engineer", True)
    visit(page, address, "/opportunities", made.id)
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()


def test_a_demotion_counts_in_a_tab_that_is_open(company, page: Page) -> None:
    """A11."""
    address, database = company
    manager = person(database, "manager")
    visit(page, address, "/opportunities", manager)
    expect(page.get_by_role("button", name="Reassign")).to_be_visible()
    with database.write() as conn:
        users.change_role(conn, Actor(person(database, "org_admin")), manager, "application_engineer")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("No opportunities for this selection.")).to_be_visible()
    with database.write() as conn:
        users.change_role(conn, Actor(person(database, "org_admin")), manager, "manager")


def test_an_org_admin_deactivates_an_engineer_and_hands_over_what_is_open(company, page: Page) -> None:
    """B17, F7."""
    address, database = company
    admin = person(database, "org_admin")
    with database.read() as conn:
        everything = pipeline.listing(conn, Actor(admin), Slice(status=("open", "offer_made")), per_page=500).rows
        gone = int(everything["owner_id"].iloc[0])
        receiver_id, receiver = next((i, n) for i, n in users.owners(conn, Actor(admin)).items() if i != gone)
    both = sum(everything["owner_id"].isin([gone, receiver_id]))
    visit(page, address, "/users", admin)
    page.locator(f"[class*=st-key-open-leave-{gone}-] button").first.click()
    choose(page, "Hand them over to", receiver)
    idle(page)
    page.locator(f".st-key-leave-{gone}-go button").click()
    expect(page.locator(f".st-key-back-{gone} button")).to_be_visible()
    with database.read() as conn:
        held = pipeline.listing(conn, Actor(admin), Slice(status=("open", "offer_made"), owner=receiver_id)).count
        with pytest.raises(NotAllowed):
            access.person(conn, Actor(gone))
    assert both == held
    page.locator(f".st-key-back-{gone} button").click()
    expect(page.locator(f".st-key-back-{gone} button")).to_have_count(0)


def test_the_last_org_admin_cannot_be_demoted_on_the_page(company, page: Page) -> None:
    """I15."""
    address, database = company
    admin = person(database, "org_admin")
    with database.write() as conn:
        for row in users.people(conn):
            if row.role == "org_admin" and row.id != admin:
                users.deactivate(conn, Actor(admin), row.id)
    visit(page, address, "/users", admin)
    page.locator(f"[class*=st-key-open-user-{admin}-] button").first.click()
    form = page.get_by_test_id("stPopoverBody")
    picked(form, "Role *").click()
    page.get_by_role("option", name="Viewer").click()
    idle(page)
    page.locator(f".st-key-user-{admin}-save button").click()
    expect(page.get_by_text("This is the last active org admin; make somebody else one first.")).to_be_visible()


def test_a_manager_has_no_users_page(company, page: Page) -> None:
    address, database = company
    visit(page, address, "/users", person(database, "manager"))
    expect(page.get_by_text("Only an org admin can change users.")).to_be_visible()
    expect(page.get_by_role("link", name="Users", exact=True)).to_have_count(0)
