"""Signing in at a real provider, in Chromium: to the page that was asked for, and only for who was invited."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from crm_core import access, denials, sign_ins, users
from crm_core.database import Database, open_database
from crm_core.slices import DenialSlice
from tests.browser import free_port, heading, idle, providing, serving, sign_in_file, visit

SIGN_IN = "Sign in"


@dataclass
class Firm:
    """A company whose people sign in by a provider: its app, its provider, its database."""

    address: str
    provider: str
    database: Database
    log: Path

    def person(self, role: str, number: int = 0) -> Any:
        """This function will read one of the active people of a role."""
        with self.database.read() as conn:
            return [row for row in users.people(conn) if row.role == role and row.active][number]

    def account(self, subject: str, **claims: Any) -> str:
        """This function will give the provider an account that says this of itself."""
        body = json.dumps(claims).encode()
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{self.provider}/users/{subject}", body, headers, method="PUT"))
        return subject

    def refused(self) -> list[tuple[str | None, str, str]]:
        """This function will read what is kept of refused sign-ins, oldest first: whose, what and why."""
        with self.database.read() as conn:
            admin = access.actor_by_email(conn, self.person("org_admin").email)
            rows, _count = denials.listing(conn, admin, DenialSlice(), 1, 1000)
        return [(row.by, row.action, row.why) for row in reversed(rows) if row.action == "sign_in"]

    def account_of(self, person: Any, **claims: Any) -> str:
        """This function will give the provider a verified account of a person."""
        return self.account(f"sub-{person.id}", **{"email": person.email, "email_verified": True, **claims})


@pytest.fixture(scope="module")
def firm(demo_file: Path, server_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    """The app as a company runs it, behind a real provider on this machine."""
    folder = tmp_path_factory.mktemp("firm")
    url = f"sqlite:///{shutil.copy(demo_file, folder / 'firm.sqlite3')}"
    port = free_port()
    database = open_database(url)
    with providing(folder / "provider.log") as provider:
        file = sign_in_file(folder, f"http://127.0.0.1:{port}", provider)
        with serving(url, server_log, port, CRM_SECRETS=str(file)) as address:
            yield Firm(address, provider, database, server_log)
    database.dispose()


def at_the_provider(page: Page) -> None:
    """This function will press the sign-in button and wait for the provider's page."""
    expect(heading(page, SIGN_IN)).to_be_visible()
    page.get_by_role("button", name=re.compile(f"^{SIGN_IN}")).click()
    page.wait_for_url("**/oauth2/authorize?**")


def signs_in(page: Page, firm: Firm, subject: str, path: str = "/") -> None:
    """This function will open a page signed out, sign in, and wait for what the app shows then."""
    visit(page, firm.address, path)
    at_the_provider(page)
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.wait_for_url(f"{firm.address}/**")
    idle(page)


def cookies(context: BrowserContext) -> dict[str, Any]:
    return {c["name"]: c for c in context.cookies()}


def test_signed_out_a_deep_link_shows_no_data_and_signing_in_leads_to_it(firm: Firm, page: Page) -> None:
    """E-8, E-6: the slice whole, with `&`, spaces and repeated keys; and the trial sign-in is not there."""
    query = "?status=won&status=lost&q=pump%20%26%20valve%20%3D1&region=coimbatore"
    visit(page, firm.address, f"/opportunities{query}")
    expect(heading(page, SIGN_IN)).to_be_visible()
    assert 0 == page.get_by_text("Choose a person").count() == page.get_by_text("OPP-").count()
    manager = firm.person("manager")
    signs_in(page, firm, firm.account_of(manager), f"/opportunities{query}")
    expect(heading(page, "Opportunities")).to_be_visible()
    assert [f"{firm.address}/opportunities", query] == page.evaluate(
        "[location.origin + location.pathname, location.search]"
    )
    expect(page.get_by_text("Status: Lost or Won")).to_be_visible()
    expect(page.get_by_text(manager.name, exact=True).first).to_be_visible()


def test_the_trial_is_off_where_a_sign_in_is_configured(firm: Firm, page: Page) -> None:
    """I8: on loopback and on a database marked as trial, as this one is."""
    answer = page.context.request.get(f"{firm.address}/trial/sign-in?person={firm.person('org_admin').id}")
    assert 403 == answer.status
    assert {} == cookies(page.context)


def test_the_cookies_are_out_of_reach_of_scripts_and_of_other_sites(firm: Firm, page: Page) -> None:
    """I5: and Secure where the request came over TLS, as a proxy on this machine says."""
    signs_in(page, firm, firm.account_of(firm.person("manager")))
    held = cookies(page.context)
    assert (True, "Lax") == (held["_streamlit_user"]["httpOnly"], held["_streamlit_user"]["sameSite"])
    assert "crm_next" not in held
    request = page.context.request
    for scheme, secure in (("http", False), ("https", True)):
        answer = request.get(f"{firm.address}/auth/logout", headers={"x-forwarded-proto": scheme}, max_redirects=0)
        given = [h["value"] for h in answer.headers_array if h["name"].lower() == "set-cookie"]
        assert given
        assert {secure} == {"; Secure" in cookie for cookie in given}
        assert secure == ("strict-transport-security" in answer.headers)


def test_signing_out_ends_the_sign_in_and_its_copied_cookie(firm: Firm, page: Page, other: Page) -> None:
    """I5, H5: the copy of the cookie in another browser is refused, although its signature is good.

    A sign-in that is over is no refused attempt.
    """
    before = firm.refused()
    signs_in(page, firm, firm.account_of(firm.person("manager")), "/opportunities")
    copied = [{**c, "url": firm.address} for c in page.context.cookies() if c["name"].startswith("_streamlit_user")]
    other.context.add_cookies([{"name": c["name"], "value": c["value"], "url": firm.address} for c in copied])
    visit(other, firm.address, "/opportunities?status=won")
    expect(heading(other, "Opportunities")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/oauth2/end_session?**")
    assert not [name for name in cookies(page.context) if name.startswith("_streamlit_user")]
    visit(page, firm.address, "/opportunities")
    expect(heading(page, SIGN_IN)).to_be_visible()
    visit(other, firm.address, "/opportunities?status=won")
    expect(other.get_by_text("You signed out; sign in again.")).to_be_visible()
    assert 0 == other.get_by_text("OPP-").count()
    assert before == firm.refused()


def test_signing_out_everywhere_reaches_the_tab_that_is_open_in_another_browser(
    firm: Firm, page: Page, other: Page
) -> None:
    """I5: at its next action; and signing in again is possible at once, back to that page."""
    subject = firm.account_of(firm.person("sales_engineer"))
    signs_in(other, firm, subject, "/opportunities")
    signs_in(page, firm, subject)
    page.wait_for_timeout(1100)
    page.get_by_role("button", name="Sign out everywhere", exact=True).click()
    page.wait_for_url("**/oauth2/end_session?**")
    other.get_by_role("link", name="Customers").first.click()
    expect(other.get_by_text("You signed out; sign in again.")).to_be_visible()
    other.wait_for_timeout(1100)  # a provider tells the time of a sign-in in whole seconds
    at_the_provider(other)
    other.locator("input[name=sub]").fill(subject)
    other.get_by_role("button", name="Authorize", exact=True).click()
    expect(heading(other, "Customers")).to_be_visible()


@pytest.mark.parametrize(("verified", "subject"), [(False, "no"), ("true", "text"), (None, "silent")])
def test_an_unverified_address_is_refused(firm: Firm, page: Page, verified: Any, subject: str) -> None:
    """I2, H5: the provider lets them in, the app does not; nothing is shown, nobody is bound, it is kept once."""
    admin, before = firm.person("org_admin"), firm.refused()
    claims = {"email": admin.email} | ({} if verified is None else {"email_verified": verified})
    signs_in(page, firm, firm.account(f"unverified-{subject}", **claims), "/opportunities")
    expect(page.get_by_text("has not verified your e-mail address; ask your org admin.")).to_be_visible()
    assert 0 == page.get_by_text("OPP-").count() == page.get_by_role("link", name="Users").count()
    page.keyboard.press("r")
    idle(page)
    assert [*before, (None, "sign_in", sign_ins.UNVERIFIED)] == firm.refused()


def test_who_is_not_invited_is_refused_and_becomes_nobody(firm: Firm, page: Page) -> None:
    """I4, H5"""
    with firm.database.read() as conn:
        before, kept = len(users.people(conn)), firm.refused()
    signs_in(page, firm, firm.account("stranger", email="selvi@elsewhere.example", email_verified=True))
    expect(page.get_by_text("No active user has this e-mail address; ask your org admin.")).to_be_visible()
    with firm.database.read() as conn:
        assert before == len(users.people(conn))
    sentence = "No active user has this e-mail address; ask your org admin."
    assert [*kept, (None, "sign_in", sentence)] == firm.refused()


def test_the_same_address_from_another_account_is_refused(firm: Firm, page: Page, other: Page) -> None:
    """I2, H5"""
    viewer, before = firm.person("viewer"), firm.refused()
    signs_in(page, firm, firm.account_of(viewer))
    expect(page.get_by_text(viewer.name, exact=True).first).to_be_visible()
    signs_in(other, firm, firm.account("thief", email=viewer.email, email_verified=True))
    expect(other.get_by_text("This e-mail address signs in with another account")).to_be_visible()
    assert [*before, (None, "sign_in", sign_ins.BOUND)] == firm.refused()


def test_who_is_deactivated_loses_the_tab_that_is_open(firm: Firm, page: Page) -> None:
    """E-6, A11, H5: at the next action; a changed role counts then too."""
    engineer, before = firm.person("sales_engineer", 1), firm.refused()
    with firm.database.read() as conn:
        admin = access.actor_by_email(conn, firm.person("org_admin").email)
    signs_in(page, firm, firm.account_of(engineer))
    with firm.database.write() as conn:
        users.change_role(conn, admin, engineer.id, "viewer")
    page.get_by_role("link", name="Customers").first.click()
    expect(page.get_by_test_id("stSidebar").get_by_text("Viewer")).to_be_visible()
    with firm.database.write() as conn:
        users.deactivate(conn, admin, engineer.id)
    page.get_by_role("link", name="Opportunities").first.click()
    expect(page.get_by_text("Your account is not active; ask your org admin.")).to_be_visible()
    assert 0 == page.get_by_text("OPP-").count()
    assert [*before, (None, "sign_in", "Your account is not active; ask your org admin.")] == firm.refused()


@pytest.mark.parametrize(
    "planted",
    ["//evil.example/x", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "../users", "/auth/logout"],
)
def test_a_planted_way_back_leads_home(firm: Firm, page: Page, planted: str) -> None:
    """E-7: only a page of this app is a way back."""
    subject = firm.account_of(firm.person("manager"))
    visit(page, firm.address, "/opportunities")
    at_the_provider(page)
    page.context.add_cookies([{"name": "crm_next", "value": planted.replace("\\", "%5C"), "url": firm.address}])
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.wait_for_url(f"{firm.address}/**")
    idle(page)
    assert f"{firm.address}/" == page.evaluate("location.origin + location.pathname")
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


def test_a_callback_out_of_the_blue_signs_nobody_in(firm: Firm, page: Page) -> None:
    """I13, I14: an answer that this browser did not ask for, and one replayed."""
    for query in ("code=abc&state=def", "error=access_denied", ""):
        page.goto(f"{firm.address}/oauth2callback?{query}")
        idle(page)
        assert f"{firm.address}/" == page.evaluate("location.href")
        expect(heading(page, SIGN_IN)).to_be_visible()
        assert "_streamlit_user" not in cookies(page.context)
    answers: list[str] = []
    page.on("request", lambda r: answers.append(r.url) if "/oauth2callback?" in r.url else None)
    signs_in(page, firm, firm.account_of(firm.person("manager")))
    page.context.clear_cookies()
    page.goto(answers[0])
    idle(page)
    expect(heading(page, SIGN_IN)).to_be_visible()
    assert "_streamlit_user" not in cookies(page.context)


def test_a_forged_cookie_and_a_header_are_nobody(firm: Firm, page: Page) -> None:
    """I10, I14"""
    manager = firm.person("manager")
    page.context.add_cookies([{"name": "_streamlit_user", "value": "eyJzdWIiOiJ4In0.x.y", "url": firm.address}])
    page.set_extra_http_headers({"X-Forwarded-User": manager.email, "X-Forwarded-Email": manager.email})
    visit(page, firm.address, "/opportunities")
    expect(heading(page, SIGN_IN)).to_be_visible()


def test_a_page_of_another_site_cannot_open_the_connection(firm: Firm, page: Page, other: Page) -> None:
    """I9: with the person's cookies, from another origin."""
    signs_in(page, firm, firm.account_of(firm.person("manager")))
    page.goto(firm.provider)
    opened = page.evaluate(
        """(address) => new Promise((done) => {
            const socket = new WebSocket(address, ["streamlit"]);
            socket.onopen = () => done("open");
            socket.onerror = () => done("refused");
        })""",
        firm.address.replace("http", "ws") + "/_stcore/stream",
    )
    assert "refused" == opened


def test_the_log_names_nobody(firm: Firm) -> None:
    """I4, D15: after all of this, no address, no name, no subject; every line is JSON."""
    lines = firm.log.read_text().splitlines()
    assert [] == [line for line in lines if not line.startswith("{") or "said" not in json.loads(line)]
    with firm.database.read() as conn:
        told = [value for row in users.people(conn) for value in (row.name, row.email)]
    assert [] == [value for value in [*told, "selvi@elsewhere.example", "thief"] if value in "\n".join(lines)]
