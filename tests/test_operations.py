"""What an operator relies on: headers, closed routes, health, the log, and nginx in front of two instances."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crm_core import logs, users
from crm_core.database import open_database
from tests.browser import (
    ROOT,
    WAIT,
    answers,
    free_port,
    heading,
    idle,
    overheard,
    person,
    presenting,
    providing,
    serving,
    sign_in_file,
    turn,
    type_into,
    visit,
)

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}
CLOSED = (
    "/_stcore/metrics",
    "/_stcore/metrics/",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/sessions",
    "/_stcore/script-health-check",
)


def ask(address: str, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{address}{path}", headers=headers, timeout=20)


def opening(address: str, origin: str, host: str = "") -> str:
    """This function will open the app's websocket under a host name and say "open", or the status of its refusal."""
    real = urlsplit(address)
    named = real.netloc if not host else f"{host}:{real.port}"
    with socket.create_connection((real.hostname, real.port)) as reached:
        try:
            with connect(f"ws://{named}/_stcore/stream", sock=reached, origin=origin, subprotocols=["streamlit"]):  # type: ignore
                return "open"
        except InvalidStatus as why:
            return str(why.response.status_code)


def test_the_configuration_is_hardened() -> None:
    """Fact 14, J2, K2, K8, I11: what the file says, and what it leaves at a safe default."""
    given = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    server, client = given["server"], given["client"]
    assert ("127.0.0.1", False, 5) == (server["address"], server["enableStaticServing"], server["maxUploadSize"])
    assert ("none", False, "minimal") == (client["showErrorDetails"], client["showErrorLinks"], client["toolbarMode"])
    assert (False, True) == (given["browser"]["gatherUsageStats"], client["disableDataExport"])
    assert not {"enableAgentApi", "trustedUserHeaders", "enableXsrfProtection", "enableCORS"} & set(server)


def test_every_answer_carries_the_headers(company: Any) -> None:
    """K6, fact 14: the page, a script of it, a refusal, and what does not exist."""
    address, _ = company
    script = re.search(r"static/js/index[^\"]+", ask(address, "/").text)
    assert script
    for path in (
        "/",
        "/opportunities?status=won",
        f"/{script.group()}",
        "/healthz",
        "/_stcore/metrics",
        "/trial/sign-in",
    ):
        given = ask(address, path).headers
        assert HEADERS == {name: given.get(name) for name in HEADERS}
        policy = given["content-security-policy"]
        for wanted in (
            "default-src 'self'",
            "script-src 'self';",
            "img-src 'self' data: blob:",
            "frame-ancestors 'none'",
        ):
            assert wanted in policy
        assert "unsafe-eval" not in policy
        assert "strict-transport-security" not in given


def test_the_pages_work_under_the_policy(company: Any, page: Page) -> None:
    """K6: charts, tables, pickers and downloads; nothing of the app is blocked but the one boot line."""
    address, database = company
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if "Content Security Policy" in m.text else None)
    visit(page, address, "/", person(database, "org_admin"))
    for path in ("/opportunities", "/leads", "/customers", "/users", "/settings", "/new_opportunity"):
        turn(page, path)
        idle(page)
    turn(page, "/")
    expect(page.locator("[data-testid=stVegaLiteChart] svg").first).to_be_visible()
    assert [] == [text for text in said if "inline script" not in text]


def test_no_page_can_be_framed(company: Any, page: Page) -> None:
    """K6: by nobody, not by this machine either."""
    address, _ = company
    page.goto(f"{address}/healthz")
    page.set_content(f'<iframe src="{address}/"></iframe>')
    page.wait_for_timeout(1500)
    assert 0 == page.frames[1].locator("[data-testid=stApp]").count()


@pytest.mark.parametrize("path", CLOSED)
def test_streamlits_internals_are_closed(company: Any, path: str) -> None:
    """K7, I11: for everybody, on this machine too."""
    address, _ = company
    assert 404 == ask(address, path).status_code


def test_the_metrics_are_for_this_machine_alone(company: Any) -> None:
    """K7: a request through a proxy, or under another name, does not meet them."""
    address, _ = company
    given = ask(address, "/metrics")
    assert 200 == given.status_code
    assert "# TYPE active_sessions gauge" in given.text
    for headers in (
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Host": "crm.example.in"},
    ):
        assert 404 == ask(address, "/metrics", **headers).status_code


def test_a_foreign_host_or_origin_is_not_answered(company: Any) -> None:
    """I9: neither a page nor the websocket, whatever the port."""
    address, _ = company
    assert 403 == ask(address, "/", Host="crm.evil.example").status_code
    assert "open" == opening(address, address)
    assert "403" == opening(address, "https://evil.example")
    assert "403" == opening(address, "http://127.0.0.1:1")
    assert "403" == opening(address, "http://crm.evil.example", host="crm.evil.example")


def test_the_id_of_another_persons_session_gives_nothing_of_it(company: Any, page: Page) -> None:
    """I12: in the trial, where Streamlit knows nobody; what was typed is there only for who typed it."""
    address, database = company
    runs = overheard(page)
    visit(page, address, "/new_opportunity", person(database, "manager"))
    type_into(page, "Potential value (₹) *", "87,65,432")
    words = "87 lakh 65 thousand 432 rupees"
    expect(page.get_by_text(f"= {words}")).to_be_visible()
    page.close()
    with httpx.Client(base_url=address) as client:
        client.get("/_stcore/health")
        for role, theirs in (("manager", True), ("org_admin", False), ("manager", False)):
            client.get(f"/trial/sign-in?person={person(database, role)}")
            session, read = presenting(address, dict(client.cookies), runs[-1])
            assert (runs[-1].initialize.session_id, True) == (session, "Save opportunity" in read)
            assert theirs == (words in read), role


def test_what_the_repository_holds_is_not_served(company: Any) -> None:
    """I18: no file of it, the configuration least of all."""
    address, _ = company
    for path in (
        "/.streamlit/config.toml",
        "/app.py",
        "/pages/_server.py",
        "/app/static/app.py",
        "/static/../app.py",
        "/data/crm.sqlite3",
    ):
        text = ask(address, path).text
        assert not any(word in text for word in ("maxUploadSize", "import streamlit", "SQLite format"))


def test_health_and_readiness_are_two_questions(tmp_path: Path) -> None:
    """G10: the process lives while its database is away, and says so; then it is ready by itself."""
    folder = tmp_path / "away"
    folder.write_text("a file where the folder should be")
    with serving(f"sqlite:///{folder / 'crm.sqlite3'}", tmp_path / "log") as address:
        seen = [(r.status_code, r.json()) for r in (ask(address, "/healthz"), ask(address, "/readyz"))]
        assert [(200, {"status": "ok"}), (503, {"status": "database unavailable"})] == seen
        folder.unlink()
        assert (200, {"status": "ok"}) == ((now := ask(address, "/readyz")).status_code, now.json())
        assert 200 == ask(address, "/readyz", Host="10.0.0.7").status_code


def test_a_fault_is_one_json_line_with_the_reference_and_no_personal_value(
    company: Any, page: Page, server_log: Path
) -> None:
    """K2, D15, E-13: what people searched, typed and are called is nowhere in the log."""
    address, database = company
    admin = person(database, "org_admin")
    visit(page, address, "/opportunities?q=Meenakshi+Selvam", admin)
    owning = open_database(database.engine.url.render_as_string(), owner=True)
    with owning.write() as conn:
        conn.exec_driver_sql("ALTER TABLE setting RENAME TO gone")
    try:
        visit(page, address, "/customers?q=Meenakshi+Selvam", admin)
        said = page.get_by_text("it is logged under reference").first.inner_text()
    finally:
        with owning.write() as conn:
            conn.exec_driver_sql("ALTER TABLE gone RENAME TO setting")
        owning.dispose()
    reference = re.search(r"reference (\w{8})", said)
    assert reference
    lines = [json.loads(line) for line in server_log.read_text().splitlines()]
    entry = next(line for line in lines if reference.group(1) in line["said"])
    assert {"at", "level", "logger", "said", "error"} == set(entry)
    assert "error" == entry["level"]
    assert "crm_core/preferences.py" in entry["error"]
    with database.read() as conn:
        told = [value for row in users.people(conn) for value in (row.name, row.email)]
    assert [] == [value for value in [*told, "Meenakshi", "Selvam"] if value in server_log.read_text()]


def test_a_library_that_names_somebody_is_logged_without_the_name() -> None:
    """D15: the kind and the place of an error, its causes too, and a library's sentence unfilled."""
    code = """
import logging
from crm_core import logs
early = logging.getLogger("early")
early.addHandler(logging.StreamHandler())
logs.everything()
late = logging.getLogger("late")
late.addHandler(logging.StreamHandler())
try:
    try:
        raise KeyError("asha@example.in")
    except KeyError as why:
        raise ValueError("Asha") from why
except ValueError as why:
    for log in (early, late, logging.getLogger("root.only")):
        log.error("no room for %s", "asha@example.in", exc_info=why)
    logs.named("crm").error("reference %s", "12ab", exc_info=why)
"""
    done = subprocess.run(["python3", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"no room for %s"} == {entry["said"] for entry in entries[:-1]}
    assert "reference 12ab" == entries[-1]["said"]
    assert [] == [e for e in entries if "asha" in str(e).lower()]
    assert all("KeyError" in e["error"] and "ValueError" in e["error"] for e in entries)


# nginx, TLS and two instances


@dataclass
class Site:
    """The app as people reach it: the address of nginx, and what stands behind it."""

    address: str
    provider: str
    instances: list[str]
    database: Any
    folder: Path

    def account_of(self, row: Any) -> str:
        """This function will give the provider a verified account of a person."""
        claims = {"email": row.email, "email_verified": True}
        httpx.put(f"{self.provider}/users/sub-{row.id}", json=claims).raise_for_status()
        return f"sub-{row.id}"


def certificate(folder: Path) -> None:
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *made.split(), *named, *files], check=True, capture_output=True)


def configuration(folder: Path, tls: int, plain: int, instances: list[int]) -> Path:
    """This function will put the sample of docs/ with this machine's ports and paths into a folder of nginx's own."""
    text = (ROOT / "docs" / "nginx.conf").read_text()
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{tls} ssl"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/ssl/certs/crm.example.in.pem", str(folder / "cert.pem")),
        ("/etc/ssl/private/crm.example.in.key", str(folder / "key.pem")),
        ("127.0.0.1:8501", f"127.0.0.1:{instances[0]}"),
        ("127.0.0.1:8502", f"127.0.0.1:{instances[1]}"),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "crm.conf").write_text(text)
    kept = "".join(
        f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder / 'pid'}; error_log {folder / 'error.log'}; events {{}}\n"
        f"http {{ {kept} access_log off; include {folder / 'crm.conf'}; }}\n"
    )
    return folder / "nginx.conf"


@pytest.fixture(scope="module")
def site(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two instances over one database behind nginx from Debian, with TLS and a sign-in provider."""
    folder = tmp_path_factory.mktemp("site")
    url = f"sqlite:///{shutil.copy(demo_file, folder / 'site.sqlite3')}"
    tls, plain, *instances = (free_port() for _ in range(4))
    certificate(folder)
    database = open_database(url)
    with ExitStack() as stack:
        provider = stack.enter_context(providing(folder / "provider.log"))
        file = sign_in_file(folder, f"https://127.0.0.1:{tls}", provider)
        for number, port in enumerate(instances):
            stack.enter_context(serving(url, folder / f"app_{number}.log", port, CRM_SECRETS=str(file)))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        proxy = subprocess.Popen([program, "-c", str(configuration(folder, tls, plain, instances)), "-p", str(folder)])
        stack.callback(proxy.wait, 10)
        stack.callback(proxy.terminate)
        answers(f"http://127.0.0.1:{plain}/healthz")
        behind = [f"http://127.0.0.1:{port}" for port in instances]
        yield Site(f"https://127.0.0.1:{tls}", provider, behind, database, folder)
    database.dispose()


@pytest.fixture
def outside(chromium: Browser) -> Iterator[Page]:
    """A browser that takes the test's certificate."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, ignore_https_errors=True)
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


def test_through_nginx_a_person_signs_in_works_and_downloads(site: Site, outside: Page) -> None:
    """K6, E-8, I5: over TLS, with Secure cookies, back to the deep link; the export is a download."""
    with site.database.read() as conn:
        manager = next(row for row in users.people(conn) if row.role == "manager" and row.active)
    visit(outside, site.address, "/opportunities?status=won&status=lost")
    outside.get_by_role("button", name="Sign in", exact=True).click()
    outside.locator("input[name=sub]").fill(site.account_of(manager))
    outside.get_by_role("button", name="Authorize", exact=True).click()
    outside.wait_for_url(f"{site.address}/opportunities**")
    expect(heading(outside, "Opportunities")).to_be_visible()
    idle(outside)
    assert "?status=won&status=lost" == outside.evaluate("location.search")
    assert [] == [c["name"] for c in outside.context.cookies(site.address) if not c["secure"]]
    with outside.expect_download() as download:
        outside.get_by_role("button", name="Export CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    assert len(text.splitlines()) > 10
    given = httpx.get(site.address, verify=False)
    assert "max-age=31536000" == given.headers["strict-transport-security"]


def upload(site: Site, client: httpx.Client) -> list[int]:
    """This function will open the websocket of a browser, upload a file into its session, and read the answers."""
    client.get("/_stcore/host-config")
    client.get("/_stcore/health")
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with connect(
        site.address.replace("https", "wss") + "/_stcore/stream",
        ssl=trusting,
        origin=site.address,  # type: ignore[arg-type]
        subprotocols=["streamlit"],  # type: ignore[list-item]
        additional_headers={"Cookie": cookies},
        open_timeout=60,  # which process answers is asked here, not how soon
    ) as opened:
        begun = BackMsg()
        begun.rerun_script.query_string = ""
        opened.send(begun.SerializeToString())
        session, said = "", ForwardMsg()
        while not session:
            said.ParseFromString(opened.recv(20))  # type: ignore[arg-type]
            session = said.new_session.initialize.session_id
        xsrf = {"X-Xsrftoken": client.cookies.get("_streamlit_xsrf", "")}
        path = f"/_stcore/upload_file/{session}/"
        return [client.put(f"{path}{n}", files={"file": ("a.csv", b"a,b")}, headers=xsrf).status_code for n in range(4)]


def test_each_browser_keeps_to_one_instance_and_both_are_used(site: Site) -> None:
    """K6: its websocket and its uploads meet one process; without the cookie half of the uploads fail."""
    lanes = []
    for _ in range(8):
        with httpx.Client(base_url=site.address, verify=False, timeout=20) as client:
            assert [204] * 4 == upload(site, client)
            lanes.append(client.cookies["crm_lane"])
    assert 8 == len(set(lanes))
    used = [httpx.get(f"{address}/metrics").text for address in site.instances]
    opened = [re.findall(r"^session_events_total\{[^}]*connect[^}]*\} (\d+)", text, re.M) for text in used]
    assert all(any(int(number) > 0 for number in numbers) for numbers in opened), used


@pytest.mark.parametrize("path", ["/metrics", "/readyz", *CLOSED, "//metrics", "/%6detrics"])
def test_nginx_keeps_the_operators_routes_inside(site: Site, path: str) -> None:
    """K7"""
    assert 404 == httpx.get(f"{site.address}{path}", verify=False).status_code


def test_nginx_and_the_instances_log_no_query(site: Site) -> None:
    """E-13: nor does the plain port, which only leads to the encrypted one."""
    httpx.get(f"{site.address}/opportunities?q=Meenakshi", verify=False)
    plain = re.search(r"listen (127.0.0.1:\d+);", (site.folder / "crm.conf").read_text())
    assert plain
    moved = httpx.get(f"http://{plain.group(1)}/opportunities?q=Meenakshi", headers={"Host": "crm.example.in"})
    assert (301, "https://crm.example.in/opportunities?q=Meenakshi") == (moved.status_code, moved.headers["location"])
    written = "".join(path.read_text() for path in site.folder.glob("*.log") if path.name != "provider.log")
    assert '"asked": "GET /opportunities"' in written
    assert "Meenakshi" not in written
    for line in (site.folder / "crm.log").read_text().splitlines():
        json.loads(line)


def test_a_log_of_ours_is_still_a_log() -> None:
    """D15: the same logger twice writes once."""
    assert 1 == len(logs.named("crm.once").handlers) == len(logs.named("crm.once").handlers)
