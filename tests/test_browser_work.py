"""The engineer's work in Chromium: opportunities, offers and leads, typed in, saved, refused and kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from crm_core import leads, offers, opportunities, pipeline
from crm_core.slices import LeadSlice, Slice
from tests.browser import choose, heading, idle, picked, press, serving, sits, turn, type_into
from tests.conftest import Office

HOSTILE = "# ![x](//evil.test/x.png) <img src=x> :red[x] $x$ [y](//evil.test) www.evil.test x@evil.test **b** `c` :sob: -> -- >= a"


@pytest.fixture(scope="module")
def office(trial: Office, server_log: Path) -> Iterator[Office]:
    """The company of the other tests, as a trial, with the app in front of it at `office.address`."""
    with serving(trial.url, server_log) as trial.address:
        yield trial


def beside(page: Page, label: str, sentence: str) -> None:
    """This function will expect a sentence right below the input of a label."""
    said = page.get_by_text(sentence).first
    expect(said).to_be_visible()
    box, below = page.get_by_label(label).last.bounding_box(), said.bounding_box()
    assert box
    assert below
    assert 0 <= below["y"] - box["y"] - box["height"] < 60
    assert box["x"] - 60 <= below["x"] <= box["x"] + box["width"]


def held(page: Page, label: str) -> str:
    return page.get_by_label(label, exact=True).input_value()


def record(office: Office, made: int):
    return office.ask(opportunities.get, office.kavya, made)


def newest(office: Office) -> int:
    return int(office.sql("SELECT max(id) FROM opportunity")[0][0])


def test_an_engineer_creates_an_opportunity_for_a_customer_of_the_master(office: Office, page: Page) -> None:
    office.customer("Cauvery Sugars", state="Tamil Nadu", city="Erode")
    sits(page, office, "asha", "/new_opportunity")
    choose(page, "Customer *", "cauvery")
    expect(page.get_by_label("State", exact=True).first).to_have_value("Tamil Nadu")
    expect(page.get_by_label("City", exact=True).first).to_have_value("Erode")
    type_into(page, "Potential value (₹) *", "12.5 lakh")
    expect(page.get_by_text("= 12 lakh 50 thousand rupees")).to_be_visible()
    choose(page, "Region *", "Coimbatore")
    choose(page, "Product interest *", "Pump")
    assert ("Asha", "Water") == tuple(picked(page, x).input_value() for x in ("Sales engineer *", "Business unit *"))
    press(page, "Save opportunity")
    expect(heading(page, re.compile(r"OPP-\d{4}-\d{5} · Cauvery Sugars"))).to_be_visible()
    made = record(office, newest(office))
    assert (Decimal(1_250_000), "open", "coimbatore", "pump", "water") == (
        made.value,
        made.status,
        made.region,
        made.product,
        made.business_unit,
    )
    assert ("Asha", "Tamil Nadu", "Erode") == (made.owner, made.state, made.city)


def test_an_engineer_reads_every_problem_beside_its_field_and_finds_all_they_typed(office: Office, page: Page) -> None:
    sits(page, office, "asha", "/new_opportunity")
    typed = {"Title": "Boiler feed", "Next step": "Call purchase", "City": "Erode", "Potential value (₹) *": "-5"}
    for label, text in typed.items():
        type_into(page, label, text)
    choose(page, "Application engineer", "Arun")
    press(page, "Save opportunity")
    beside(page, "Customer *", "Customer is missing; please fill it in.")
    beside(page, "Region *", "Region is missing; please fill it in.")
    beside(page, "Product interest *", "Product interest is missing; please fill it in.")
    beside(page, "Potential value (₹) *", "The amount must be zero or more.")
    assert 1 == page.get_by_text("The amount must be zero or more.").count()
    assert typed == {label: held(page, label) for label in typed}
    assert "Arun" == picked(page, "Application engineer").input_value()


def test_winning_asks_the_won_value(office: Office, page: Page) -> None:
    made = office.at("offer_made")
    sits(page, office, "asha", f"/opportunity?id={made}")
    press(page, "Mark won")
    press(page, "Mark won")
    expect(page.get_by_text("Won value (₹) is missing; please fill it in.")).to_be_visible()
    type_into(page, "Won value (₹) *", "0.9 lakh")
    expect(page.get_by_text("= 90 thousand rupees")).to_be_visible()
    press(page, "Mark won")
    expect(page.get_by_text("● Won").first).to_be_visible()
    assert ("won", Decimal(90_000)) == (record(office, made).status, record(office, made).won_value)


def test_losing_asks_the_reason(office: Office, page: Page) -> None:
    made = office.at("open")
    sits(page, office, "asha", f"/opportunity?id={made}")
    press(page, "Mark lost")
    type_into(page, "In your own words", "They wanted it in a week")
    press(page, "Mark lost")
    expect(page.get_by_text("Loss reason is missing; please fill it in.")).to_be_visible()
    assert "They wanted it in a week" == held(page, "In your own words")
    choose(page, "Loss reason *", "Delivery")
    press(page, "Mark lost")
    expect(page.get_by_text("✕ Lost").first).to_be_visible()
    now = record(office, made)
    assert ("lost", "delivery_time", "They wanted it in a week") == (now.status, now.reason, now.note)


def test_a_manager_reopens_with_a_note_and_an_engineer_is_not_offered_to(office: Office, page: Page) -> None:
    made = office.at("lost")
    sits(page, office, "asha", f"/opportunity?id={made}")
    expect(page.get_by_text("✕ Lost").first).to_be_visible()
    assert 0 == page.get_by_role("button", name="Reopen").count()
    sits(page, office, "kavya", f"/opportunity?id={made}")
    press(page, "Reopen")
    press(page, "Reopen")
    expect(page.get_by_text("Why it is reopened is missing; please fill it in.")).to_be_visible()
    type_into(page, "Why it is reopened *", "A new budget")
    press(page, "Reopen")
    expect(page.get_by_role("button", name="Make offer", exact=True)).to_have_count(1)
    expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)
    assert "open" == record(office, made).status
    expect(page.get_by_text("A new budget").first).to_be_visible()


def test_an_offer_is_linked_to_a_won_opportunity_and_opens_with_one_click(office: Office, page: Page) -> None:
    made = office.at("won")
    office.offer(record(office, made).customer_id, "KFL/9")
    sits(page, office, "kavya", f"/opportunity?id={made}")
    choose(page, "Link an offer", "KFL/9")
    press(page, "Link")
    page.get_by_role("link", name="Open offer KFL/9").click()
    expect(heading(page, "Offer KFL/9")).to_be_visible()
    expect(page.get_by_text("₹100", exact=True)).to_be_visible()


def test_an_offer_started_from_an_opportunity_knows_its_customer_and_value(office: Office, page: Page) -> None:
    made = office.opportunity(customer_id=office.customer("Noyyal Dyeing"), value="7,50,000")
    sits(page, office, "asha", f"/opportunity?id={made}")
    page.get_by_role("link", name="Create the offer from here").click()
    expect(heading(page, "New offer")).to_be_visible()
    expect(picked(page, "Customer *")).to_have_value("Noyyal Dyeing")
    expect(page.get_by_label("Amount (₹) *", exact=True)).to_have_value("750000")
    press(page, "Save offer")
    beside(page, "Offer number *", "Offer number is missing; please fill it in.")
    type_into(page, "Offer number *", "KFL/10")
    press(page, "Save offer")
    expect(heading(page, re.compile("Noyyal Dyeing"))).to_be_visible()
    found = office.ask(offers.of_customer, office.asha, record(office, made).customer_id)
    assert [("KFL/10", Decimal(750_000))] == [(o.number, o.amount) for o in found]


def test_the_leads_list_is_filtered_searched_and_paged_by_its_url(office: Office, page: Page) -> None:
    for number in range(28):
        office.lead(status="new", contact=f"Kumar {number:02}", company="Palani Looms")
    office.lead(owner="ravi", status="new", company="Palani Looms")
    sits(page, office, "asha", "/leads")
    type_into(page, "Search", "palani").press("Enter")
    expect(page.get_by_text("28 leads")).to_be_visible()
    page.wait_for_function("() => location.search == '?q=palani'")
    choose(page, "State", "New")
    page.wait_for_function("() => location.search.includes('status=new') && location.search.includes('q=palani')")
    expect(page.get_by_text("Page 1 of 2")).to_be_visible()
    press(page, "Next")
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    expect(page.get_by_role("link", name="Palani Looms")).to_have_count(3)
    page.reload()
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Page 1 of 2")).to_be_visible()
    asked = LeadSlice(q="palani", status="new")
    assert 28 == office.ask(leads.listing, office.asha, asked)[1].count


def test_an_engineer_takes_in_a_lead(office: Office, page: Page) -> None:
    sits(page, office, "asha", "/new_lead")
    press(page, "Save lead")
    for label in ("Contact", "Company", "Source"):
        beside(page, f"{label} *", f"{label} is missing; please fill it in.")
    for label, text in {"Contact *": "Selvi", "Company *": "Vaigai Paper", "E-mail": "selvi@vaigai.in"}.items():
        type_into(page, label, text)
    choose(page, "Source *", "Trade fair")
    press(page, "Save lead")
    expect(heading(page, "Selvi · Vaigai Paper")).to_be_visible()
    found, turned = office.ask(leads.listing, office.asha, LeadSlice(q="selvi@vaigai.in"))
    assert (1, "new", "Asha", "Trade fair") == (turned.count, *found.loc[0, ["status", "owner", "source"]])


@pytest.mark.parametrize(
    ("label", "text", "why"), [("E-mail", " BALA@siruvani.in", "same e-mail"), ("Phone", "098400 77001", "same phone")]
)
def test_a_lead_that_may_be_known_is_shown_before_it_is_saved(
    office: Office, page: Page, label: str, text: str, why: str
) -> None:
    if not office.sql("SELECT 1 FROM customer WHERE company = 'Siruvani Foods'"):
        office.customer("Siruvani Foods", email="bala@siruvani.in", phone="+91 98400 77001")
    sits(page, office, "asha", "/new_lead")
    type_into(page, label, text)
    expect(page.get_by_text("These may be the same; look before you save.")).to_be_visible()
    expect(page.get_by_role("button", name="Save lead anyway")).to_be_visible()
    page.get_by_role("link", name=f"Siruvani Foods ({why})").click()
    expect(heading(page, "Siruvani Foods")).to_be_visible()


def test_a_lead_saved_by_a_hasty_double_click_is_one_lead(office: Office, page: Page) -> None:
    """E-11"""
    sits(page, office, "asha", "/new_lead")
    for label, text in {"Contact *": "Kala", "Company *": "Tamarai Tex"}.items():
        type_into(page, label, text)
    choose(page, "Source *", "Website")
    page.get_by_role("button", name="Save lead").dblclick()
    expect(heading(page, "Kala · Tamarai Tex")).to_be_visible()
    assert 1 == office.ask(leads.listing, office.asha, LeadSlice(q="tamarai"))[1].count


def test_disqualifying_a_lead_asks_the_reason(office: Office, page: Page) -> None:
    lead = office.lead(status="new")
    sits(page, office, "asha", f"/lead?id={lead}")
    press(page, "Disqualify")
    press(page, "Disqualify")
    expect(page.get_by_text("Reason is missing; please fill it in.")).to_be_visible()
    choose(page, "Reason", "Not reachable")
    press(page, "Disqualify")
    expect(page.get_by_text("✕ Disqualified").first).to_be_visible()
    now = office.ask(leads.get, office.asha, lead)
    assert ("disqualified", "not_reachable") == (now.status, now.reason)


def test_a_lead_of_a_known_customer_is_not_converted_and_leads_to_that_customer(office: Office, page: Page) -> None:
    lead = office.lead(email="ravi@bhavani.in", company="Bhavani Cements Unit 2")
    sits(page, office, "asha", f"/lead?id={lead}")
    expect(page.get_by_role("button", name="Convert into a customer", exact=True)).to_be_visible()
    customer = office.customer("Bhavani Cements", email="Ravi@Bhavani.in")
    page.get_by_text("Create the first opportunity too").click()
    expect(page.get_by_label("Potential value (₹) *")).to_have_count(0)
    press(page, "Convert into a customer")
    sentence = "The customer “Bhavani Cements” has this e-mail already. Add an opportunity there instead."
    expect(page.get_by_text(sentence)).to_be_visible()
    assert "qualified" == office.ask(leads.get, office.asha, lead).status
    page.get_by_role("link", name="Open that customer").click()
    expect(heading(page, "Bhavani Cements")).to_be_visible()
    assert f"?id={customer}" == page.evaluate("location.search")


def test_a_lead_becomes_a_customer_with_its_first_opportunity(office: Office, page: Page) -> None:
    lead = office.lead(email="uma@chola.in", company="Chola Steels", state="Tamil Nadu", city="Trichy")
    sits(page, office, "asha", f"/lead?id={lead}")
    press(page, "Convert into a customer")
    expect(page.get_by_text("Potential value is missing; please fill it in.")).to_be_visible()
    type_into(page, "Potential value (₹) *", "1.2 cr")
    expect(page.get_by_text("= 1 crore 20 lakh rupees")).to_be_visible()
    press(page, "Convert into a customer")
    expect(heading(page, "Chola Steels")).to_be_visible()
    expect(page.get_by_text("1 opportunity · ₹1,20,00,000")).to_be_visible()
    page.get_by_role("link", name="From the lead of Mani").click()
    expect(page.get_by_role("link", name="Customer: Chola Steels")).to_be_visible()
    made = office.ask(leads.get, office.asha, lead)
    first = office.ask(pipeline.listing, office.asha, Slice(customer=made.converted_customer_id))
    assert (1, Decimal(12_000_000), "Trichy") == (first.count, first.value, first.rows["city"][0])


def test_a_form_opened_before_somebody_elses_change_says_what_changed_and_keeps_the_text(
    office: Office, page: Page
) -> None:
    """E-11, Conflict"""
    made = office.opportunity()
    sits(page, office, "asha", f"/opportunity?id={made}")
    page.get_by_text("Edit", exact=True).click()
    expect(page.get_by_label("Title", exact=True)).to_be_visible()
    office.do(opportunities.edit, office.kavya, made, {"city": "Salem"})
    type_into(page, "Title", "Cooling water")
    press(page, "Save changes")
    expect(page.get_by_text("This record was changed since you opened it, so yours was not saved.")).to_be_visible()
    expect(page.get_by_text("Kavya changed City from nothing to Salem")).to_be_visible()
    expect(page.get_by_label("Title", exact=True)).to_have_value("Cooling water")
    assert (None, "Salem") == (record(office, made).title, record(office, made).city)


def test_saved_once_more_a_form_undoes_nothing_that_was_not_touched_in_it(office: Office, page: Page) -> None:
    """What somebody else saved meanwhile stands in the form, whatever kind of input it is; what was typed stays."""
    made = office.opportunity(value="5 lakh", title="Old title")
    sits(page, office, "asha", f"/opportunity?id={made}")
    page.get_by_text("Edit", exact=True).click()
    type_into(page, "Title", "Cooling water")
    theirs = {"title": "Theirs", "city": "Salem", "value": "7 lakh", "region": "outer_chennai", "product": "valve"}
    office.do(opportunities.edit, office.kavya, made, theirs | {"next_step_on": "2027-01-05"})
    press(page, "Save changes")
    expect(page.get_by_label("City", exact=True)).to_have_value("Salem")
    expect(page.get_by_label("Potential value (₹) *", exact=True)).to_have_value("700000")
    expect(picked(page, "Region *")).to_have_value("Outer Chennai")
    press(page, "Save changes")
    expect(page.get_by_text("Cooling water").first).to_be_visible()
    now = record(office, made)
    assert ("Cooling water", "Salem", Decimal(700_000)) == (now.title, now.city, now.value)
    assert ("outer_chennai", "valve", "2027-01-05") == (now.region, now.product, str(now.next_step_on))


def test_where_a_customer_is_fills_what_nobody_typed(office: Office, page: Page) -> None:
    """A state or a city that was typed before the customer was chosen stays."""
    office.customer("Erode Dyes", state="Tamil Nadu", city="Erode")
    office.customer("Mysuru Silks", state="Karnataka", city="Mysuru")
    sits(page, office, "asha", "/new_opportunity")
    type_into(page, "City", "Bhavani")
    choose(page, "Customer *", "erode dyes")
    expect(page.get_by_label("State", exact=True)).to_have_value("Tamil Nadu")
    expect(page.get_by_label("City", exact=True)).to_have_value("Bhavani")
    choose(page, "Customer *", "mysuru")
    expect(page.get_by_label("State", exact=True)).to_have_value("Karnataka")
    expect(page.get_by_label("City", exact=True)).to_have_value("Bhavani")


def test_going_back_or_reloading_after_a_save_saves_nothing_again(office: Office, page: Page) -> None:
    """E-11"""
    customer = office.customer("Marutham Farms")
    sits(page, office, "asha", f"/new_opportunity?customer={customer}")
    type_into(page, "Potential value (₹) *", "2 lakh")
    expect(page.get_by_text("= 2 lakh rupees")).to_be_visible()
    choose(page, "Region *", "Coimbatore")
    choose(page, "Product interest *", "Valve")
    press(page, "Save opportunity")
    expect(heading(page, re.compile("Marutham Farms"))).to_be_visible()
    saved = office.count("opportunity")
    page.reload()
    expect(heading(page, re.compile("Marutham Farms"))).to_be_visible()
    page.go_back()
    expect(heading(page, "New opportunity")).to_be_visible()
    page.reload()
    expect(heading(page, "New opportunity")).to_be_visible()
    page.go_forward()
    expect(heading(page, re.compile("Marutham Farms"))).to_be_visible()
    assert (saved, 1) == (
        office.count("opportunity"),
        office.ask(pipeline.listing, office.asha, Slice(customer=customer)).count,
    )


def test_whatever_is_stored_is_shown_as_it_is_written(office: Office, page: Page) -> None:
    """C17, E-10, K9: as text, in list, record, form and search; nothing is asked of another host."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    customer = office.customer(HOSTILE, contact=HOSTILE, notes=HOSTILE)
    made = office.opportunity(customer_id=customer, title=HOSTILE, next_step=HOSTILE)
    office.move(made, "make_offer")
    office.do(opportunities.link_offer, office.kavya, made, office.offer(customer, "[Q](http://evil.test/q)"))
    office.do(opportunities.move, office.kavya, made, "lose", {"reason": "price", "note": HOSTILE})
    lead = office.lead(company=HOSTILE, contact=HOSTILE, notes=HOSTILE)
    hostile, start = quote(HOSTILE), quote(HOSTILE[:9])
    places = {
        f"/opportunities?customer={customer}": 3,
        f"/opportunities?status={hostile}&{hostile}=1": 2,
        f"/opportunity?id={made}": 6,
        f"/customer?id={customer}": 4,
        f"/customers?q={start}": 2,
        f"/lead?id={lead}": 6,
        f"/leads?q={start}": 2,
        f"/offer?id={record(office, made).offer_id}": 2,
    }
    for path, least in places.items():
        sits(page, office, "kavya", path)
        page.wait_for_function(
            "([text, least]) => document.querySelector('[data-testid=stMain]').innerText.split(text).length > least",
            arg=[HOSTILE, least],
        )
        wrong = page.get_by_test_id("stMain").locator("img, .katex, [src], a[href*='evil.test']")
        assert 0 == wrong.count(), path
    host = office.address.removeprefix("http://")
    assert [] == [url for url in asked if host not in url and not url.startswith(("data:", "blob:"))]


def test_what_is_typed_stays_while_another_field_is_mended(office: Office, page: Page) -> None:
    """The problems stay to be read until the form is saved, and no input is made anew when something is said above it."""
    sits(page, office, "meena", "/new_customer")
    for label, text in {"Company *": "Kodai Mills", "E-mail": "no address", "GSTIN": "33AAAAA0000A1Z"}.items():
        type_into(page, label, text)
    press(page, "Save customer")
    problem = page.get_by_text("GSTIN: it is not a valid GSTIN of 15 characters")
    expect(problem).to_be_visible()
    below = page.get_by_label("GSTIN", exact=True)
    below.evaluate("input => { input.dataset.same = 'yes' }")
    type_into(page, "E-mail", "mani@kodai.in")
    idle(page)
    expect(below).to_have_attribute("data-same", "yes")
    expect(problem).to_be_visible()
    type_into(page, "GSTIN", "")
    press(page, "Save customer")
    expect(heading(page, "Kodai Mills")).to_be_visible()
    sits(page, office, "meena", "/new_customer")
    expect(heading(page, "New customer")).to_be_visible()
    expect(problem).to_have_count(0)
    sits(page, office, "meena", "/new_opportunity")
    below = page.get_by_label("Title", exact=True)
    below.evaluate("input => { input.dataset.same = 'yes' }")
    for text, said in {"4.5 lakh": "= 4 lakh 50 thousand rupees", "4.5 lac lac": "amount"}.items():
        type_into(page, "Potential value (₹) *", text)
        expect(page.get_by_text(said).first).to_be_visible()
        expect(below).to_have_attribute("data-same", "yes")


def test_a_form_holds_what_is_stored_after_a_page_that_stopped(office: Office, page: Page) -> None:
    """A record that is not there, and Back: the browser has forgotten the inputs, the session has not."""
    lead = office.lead(status="new", email="mani@palar.in", phone="98400 77001", city="Vellore")
    sits(page, office, "asha", f"/lead?id={lead}")
    page.get_by_text("Edit", exact=True).click()
    expect(page.get_by_label("E-mail", exact=True)).to_have_value("mani@palar.in")
    turn(page, "/lead?id=999999")
    expect(page.get_by_text("There is no such lead.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("button", name="Mark contacted")).to_be_visible()
    if not page.get_by_label("E-mail", exact=True).is_visible():
        page.get_by_text("Edit", exact=True).click()
    for label, text in {"E-mail": "mani@palar.in", "City": "Vellore", "Contact *": "Mani"}.items():
        expect(page.get_by_label(label, exact=True)).to_have_value(text)


def test_one_step_back_from_what_was_saved_leads_to_the_form_as_it_was(office: Office, page: Page) -> None:
    """And not to the form with the address of what was saved."""
    sits(page, office, "asha", "/customers")
    turn(page, "/new_customer")
    type_into(page, "Company *", "Noyyal Spinners")
    press(page, "Save customer")
    expect(heading(page, "Noyyal Spinners")).to_be_visible()
    page.go_back()
    expect(heading(page, "New customer")).to_be_visible()
    assert "/new_customer" == page.evaluate("location.pathname + location.search")
    page.go_back()
    expect(heading(page, "Customers")).to_be_visible()
    page.go_forward()
    page.go_forward()
    expect(heading(page, "Noyyal Spinners")).to_be_visible()


def test_a_move_that_somebody_else_made_meanwhile_is_told_as_not_saved(office: Office, page: Page) -> None:
    """Where the form is there still, in it; where it is not, as what was pressed."""
    made = office.opportunity(title="Old")
    sits(page, office, "asha", f"/opportunity?id={made}")
    press(page, "Mark lost")
    type_into(page, "In your own words", "They wanted it in a week")
    office.do(opportunities.edit, office.kavya, made, {"title": "Theirs"})
    choose(page, "Loss reason *", "Delivery")
    press(page, "Mark lost")
    expect(page.get_by_text("yours was not saved.").first).to_be_visible()
    assert "They wanted it in a week" == held(page, "In your own words")
    office.move(made, "lose")
    press(page, "Mark lost")
    expect(page.get_by_text("What you pressed was not saved: somebody else changed this before you.")).to_be_visible()
    assert "lost" == record(office, made).status
