"""The audit in Chromium: its filters in the URL, before and after, its export, and who does not get in."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from crm_core import access, denials, leads, opportunities, pipeline, settings, trail
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.errors import NotAllowed
from crm_core.slices import AuditSlice, DenialSlice, Slice
from tests.browser import choose, heading, idle, person, press, sits, type_into, visit
from tests.conftest import Office


@pytest.fixture(scope="module")
def office(company: tuple[str, Database]) -> Office:
    """The demo company, with the app in front of it at `office.address`."""
    made = Office(company[1])
    made.address = company[0]
    return made


def in_url(page: Page) -> AuditSlice:
    return AuditSlice.from_params(parse_qs(page.evaluate("location.search")[1:], keep_blank_values=True))


def shows(page: Page, office: Office, slice_: AuditSlice) -> int:
    """This function will expect the page to be that of a slice, with the core's count."""
    count = office.ask(trail.listing, office.meena, slice_)[1].count
    expect(page.get_by_text(f"{count:,} change{'' if count == 1 else 's'}", exact=True)).to_be_visible()
    assert slice_ == in_url(page)
    return count


def edited(office: Office, **changes: str) -> int:
    """This function will let a manager change an open opportunity and give its id."""
    rows = office.ask(pipeline.listing, office.meena, Slice(status="open")).rows
    return int(office.do(opportunities.edit, office.meena, int(rows["id"][0]), changes))


def test_each_filter_of_the_audit_goes_into_its_url_and_back_takes_it_away(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/audit")
    everything = shows(page, office, AuditSlice())
    chosen = [AuditSlice()]
    for label, option, name, value in (
        ("Kind of record", "Opportunity", "kind", "opportunity"),
        ("Person", "Asha", "person", str(office.asha.user_id)),
        ("Action", "Changed it", "action", "edit"),
        ("When", "FY", "when", None),
    ):
        choose(page, label, option)
        page.wait_for_function("name => location.search.includes(`${name}=`)", arg=name)
        chosen.append(chosen[-1].but(**{name: value or in_url(page).when}))
        assert 0 < shows(page, office, chosen[-1]) < everything, label
    entry = office.ask(trail.listing, office.meena, chosen[-1])[0][0]
    (title,) = office.ask(trail.titles, office.meena, [entry]).values()
    number = title.partition(",")[0]
    type_into(page, "Search", number).press("Enter")
    chosen.append(chosen[-1].but(q=number))
    assert shows(page, office, chosen[-1]) > 0
    for before in reversed(chosen[:-1]):
        page.go_back()
        shows(page, office, before)
    page.go_forward()
    shows(page, office, chosen[1])
    page.reload()
    shows(page, office, chosen[1])


def test_the_pages_of_the_audit_are_in_its_url(office: Office, page: Page) -> None:
    sits(page, office, "meena", "/audit?kind=opportunity&action=edit")
    count = shows(page, office, AuditSlice(kind="opportunity", action="edit"))
    pages = -(-count // 25)
    assert pages > 1
    press(page, "Next")
    expect(page.get_by_text(f"Page 2 of {pages}", exact=True)).to_be_visible()
    assert "page=2" in page.evaluate("location.search")
    page.go_back()
    expect(page.get_by_text(f"Page 1 of {pages}", exact=True)).to_be_visible()
    shows(page, office, AuditSlice(kind="opportunity", action="edit"))


def test_a_record_leads_to_all_its_changes_with_before_and_after_and_back(office: Office, page: Page) -> None:
    """The stored text is only text."""
    made = edited(office, title="![x](http://evil.example/x.png) :red[pump]", city="Erode")
    edited(office, city="Salem")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sits(page, office, "meena", f"/opportunity?id={made}")
    page.get_by_role("link", name="All changes of this record").click()
    expect(heading(page, "Audit")).to_be_visible()
    shows(page, office, AuditSlice(kind="opportunity", record=str(made)))
    newest = page.locator(".st-key-rows-audit tbody tr").first
    assert ["City", "Erode", "Salem"] == newest.locator("td").all_inner_texts()[2:]
    expect(newest.get_by_text("Changed it · Opportunity")).to_be_visible()
    expect(page.get_by_text("![x](http://evil.example/x.png) :red[pump]", exact=True)).to_be_visible()
    assert [] == [url for url in asked if "evil" in url]
    newest.get_by_role("link").click()
    expect(page.get_by_text("Back to the list")).to_be_visible()
    assert page.evaluate("location.search") == f"?id={made}"


def test_a_customer_leads_to_all_its_changes(office: Office, page: Page) -> None:
    customer_id = office.ask(pipeline.listing, office.meena, Slice()).rows["customer_id"][0]
    sits(page, office, "meena", f"/customer?id={customer_id}")
    page.get_by_role("link", name="All changes of this record").click()
    shows(page, office, AuditSlice(kind="customer", record=str(customer_id)))


def test_a_manager_exports_what_the_page_shows_and_that_is_on_record(
    office: Office, page: Page, tmp_path: Path
) -> None:
    """J9."""
    chosen = AuditSlice(kind="opportunity", action="win")
    sits(page, office, "meena", "/audit?kind=opportunity&action=win")
    count = shows(page, office, chosen)
    with page.expect_download() as download:
        press(page, "Export CSV")
    download.value.save_as(tmp_path / "audit.csv")
    rows = list(csv.DictReader((tmp_path / "audit.csv").read_text("utf-8-sig").splitlines()))
    assert (count, {"marked it won"}) == (len({row["Row"] for row in rows}), {row["Action"] for row in rows})
    page.goto(office.address + "/audit?action=export")
    shows(page, office, AuditSlice(action="export"))
    expect(page.get_by_text("Kind of record: Opportunity; Action: Marked it won")).to_be_visible()


def test_an_engineer_does_not_get_into_the_audit_and_that_is_kept(office: Office, page: Page) -> None:
    """H5, H9: no menu, no link, no page; refused once however often it is drawn."""
    made = int(office.ask(pipeline.listing, office.asha, Slice()).rows["id"][0])
    sits(page, office, "asha", f"/opportunity?id={made}")
    expect(heading(page, "Timeline")).to_be_visible()
    assert 0 == page.get_by_role("link", name=re.compile("^(Audit|All changes of this record)$")).count()
    before = office.ask(denials.listing, office.meena, DenialSlice())[1].count
    for path in ("/audit", "/audit?view=refused"):
        sits(page, office, "asha", path)
        expect(page.get_by_text("You may not read the audit log.")).to_be_visible()
        assert 0 == page.get_by_text(re.compile(r"changes|attempts|Export")).count()
    page.keyboard.press("r")
    idle(page)
    rows, turned = office.ask(denials.listing, office.meena, DenialSlice(person=office.asha.user_id))
    assert {("audit.read", "You may not read the audit log.")} == {(row.action, row.why) for row in rows}
    assert 2 == turned.count - before


@pytest.mark.parametrize("kind", ["opportunity", "lead"])
def test_a_manager_reads_who_can_see_a_record_and_an_engineer_does_not(office: Office, page: Page, kind: str) -> None:
    """A2, A9: names, roles and reasons, as the core tells them; on the pages of an opportunity and of a lead."""
    manager = Actor(person(office.database, "manager"))
    if kind == "opportunity":
        made = office.ask(pipeline.ids, office.asha, Slice(owner=office.asha.user_id))[0]
    else:
        source = next(iter(office.ask(settings.labels_of, office.asha, "lead_source")))
        made = office.do(leads.create, office.asha, {"contact": "Mani", "company": "Vel Mills", "source": source})
    told = office.ask(access.explain, manager, kind, made)
    assert {"Sales engineer", "Manager", "Org admin", "Viewer"} <= {role for _name, role, _why in told}
    path = f"/{kind}?id={made}"
    visit(page, office.address, path, manager.user_id)
    page.get_by_text("Who can see this", exact=True).click()
    seen = page.locator(f".st-key-seen-by-{kind}-{made}").get_by_test_id("stText")
    expect(seen).to_have_text([f"{name}, {role.lower()}, {why}." for name, role, why in told])
    expect(seen.first).to_be_visible()
    sits(page, office, "asha", path)
    expect(heading(page, "Timeline")).to_be_visible()
    assert 0 == page.get_by_text("Who can see this").count()


def test_a_foreign_record_that_is_opened_is_kept_as_refused(office: Office, page: Page) -> None:
    """H5: the person reads only that there is none."""
    own = set(office.ask(pipeline.ids, office.asha, Slice()))
    foreign = next(i for i in office.ask(pipeline.ids, office.meena, Slice()) if i not in own)
    before = office.ask(denials.listing, office.meena, DenialSlice())[1].count
    sits(page, office, "asha", f"/opportunity?id={foreign}")
    expect(page.get_by_text("There is no such opportunity.")).to_be_visible()
    rows, turned = office.ask(denials.listing, office.meena, DenialSlice())
    assert (before + 1, "opportunities.get", "There is no such opportunity.") == (
        turned.count,
        rows[0].action,
        rows[0].why,
    )


def test_refused_attempts_are_the_second_view_with_its_own_url(office: Office, page: Page) -> None:
    """H5."""
    with pytest.raises(NotAllowed):
        office.do(settings.add, Actor(office.ravi.user_id), "region", "Secret City")
    sits(page, office, "meena", f"/audit?person={office.ravi.user_id}&kind=lead")
    page.get_by_role("radio", name="Refused attempts").click()
    expect(page.get_by_text("1 refused attempt", exact=True)).to_be_visible()
    assert page.evaluate("location.search") == f"?person={office.ravi.user_id}&view=refused"
    expect(page.get_by_text("Settings: add", exact=True)).to_be_visible()
    expect(page.get_by_text("Only an org admin can change the configured lists.")).to_be_visible()
    assert 0 == page.get_by_text("Secret City").count()
    page.go_back()
    shows(page, office, AuditSlice(person=office.ravi.user_id, kind="lead"))


def test_a_link_that_names_what_nobody_knows_shows_nothing_and_says_so(office: Office, page: Page) -> None:
    """A3, E-12."""
    sits(page, office, "meena", "/audit?action=bogus&colour=red&person=99999999999999999999")
    for said in (
        "Action “bogus” is not known here; it matches nothing.",
        "Person “99999999999999999999” is not known here; it matches nothing.",
        "“colour” in this link is not a filter; it was ignored.",
        "No changes for this selection.",
    ):
        expect(page.get_by_text(said)).to_be_visible()
