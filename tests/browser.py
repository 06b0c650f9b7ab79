"""The real app in a real Chromium: servers, pages, and what a hand does on them.

tests/conftest.py makes the fixtures known.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from crm_core import demo, money, pipeline, users
from crm_core.database import Database, open_database
from crm_core.slices import Slice

ROOT = Path(__file__).resolve().parent.parent
WAIT = 20_000
expect.set_options(timeout=WAIT)


def free_port() -> int:
    """This function will name a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(url: str, log: Path, port: int = 0, **env: str) -> Iterator[str]:
    """This function will start the app on a database, its output in a file, and give its address."""
    port = port or free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"CRM_DATABASE_URL": url, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    answers(f"{address}/healthz")
    try:
        yield address
    finally:
        server.terminate()
        server.wait(10)


def answers(address: str) -> None:
    """This function will wait until something answers at an address."""
    for _ in range(1200):
        try:
            httpx.get(address, timeout=2)  # follows no redirect, which may lead off this machine
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody answers at {address}")


@contextmanager
def providing(log: Path) -> Iterator[str]:
    """This function will start a sign-in provider on this machine and give its address."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    with log.open("wb") as output:
        provider = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        answers(f"http://127.0.0.1:{port}/jwks")
        yield f"http://127.0.0.1:{port}"
    finally:
        provider.terminate()
        provider.wait(10)


def sign_in_file(folder: Path, address: str, provider: str) -> Path:
    """This function will write the secrets with which an app at an address signs in by a provider."""
    file = folder / "secrets.toml"
    file.write_text(
        f"""[auth]
redirect_uri = "{address}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "crm"
client_secret = "{secrets.token_hex(8)}"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""
    )
    return file


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small demo company, to be copied; built once a worker."""
    path = tmp_path_factory.mktemp("demo") / "demo.sqlite3"
    database = open_database(f"sqlite:///{path}", owner=True)
    demo.fill(database, opportunities=120)
    with database.engine.connect() as conn:
        conn.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture(scope="module")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the module's server writes out."""
    return tmp_path_factory.mktemp("log") / "server.log"


@pytest.fixture(scope="module")
def company(
    demo_file: Path, server_log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Database]]:
    """The address of a freshly started server over a small trial company, and its database."""
    url = f"sqlite:///{shutil.copy(demo_file, tmp_path_factory.mktemp('browser') / 'trial.sqlite3')}"
    database = open_database(url)
    with serving(url, server_log) as address:
        yield address, database
    database.dispose()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        flags += ["--disable-features=PreloadTopChromeWebUI"]
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """One profile a file, so that the app's scripts are loaded once."""
    made = chromium.new_context(viewport={"width": 1440, "height": 1000})
    made.set_default_timeout(WAIT)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A signed-out tab."""
    context.clear_cookies()
    made = context.new_page()
    yield made
    made.close()


@pytest.fixture
def other(chromium: Browser) -> Iterator[Page]:
    """A tab of another browser: a second person's, or the same person's elsewhere."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


def visit(page: Page, address: str, path: str, person: int | None = None) -> None:
    """This function will open a page of the app, as a person if one is given, and wait until it is drawn."""
    if person:
        page.context.request.get(f"{address}/trial/sign-in?person={person}&next=/healthz")
    page.goto(address + path)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=WAIT)


#: pushes an address as Streamlit does, and is kept when the run that it asks for has ended; one that is
#: drawn at a stroke is never seen to begin
_TURN = """path => new Promise(done => {
    const app = document.querySelector('[data-testid=stApp]');
    let begun = false;
    const look = () => {
        const idle = app.dataset.testScriptState === 'notRunning';
        if (begun && idle) { seen.disconnect(); done(); }
        begun = begun || !idle;
    };
    const seen = new MutationObserver(look);
    seen.observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
    setTimeout(() => { begun = true; look(); }, 1000);
    history.pushState({}, '', path);
    dispatchEvent(new PopStateEvent('popstate'));
})"""


def turn(page: Page, path: str) -> None:
    """This function will go to another page of the app in an open tab, as Back and Forward do: nothing is loaded anew."""
    page.evaluate(_TURN, path)


def sits(page: Page, office: Any, name: str, path: str) -> None:
    """This function will let a person of an office open a page of its app."""
    visit(page, office.address, path, office.people[name].user_id)


def heading(page: Page, text: str | re.Pattern[str]) -> Locator:
    return page.get_by_role("heading", name=text, exact=isinstance(text, str))


def idle(page: Page, begun: int = 400) -> None:
    """This function will wait until what was done last has begun (milliseconds) and is drawn."""
    page.wait_for_timeout(begun)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=WAIT)


def overheard(page: Page) -> list[Any]:
    """This function will keep what a tab is told of each run of its session from now on."""
    runs: list[Any] = []

    def hear(frame: str | bytes) -> None:
        said = ForwardMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
        if said.HasField("new_session"):
            runs.append(said.new_session)

    page.on("websocket", lambda opened: opened.on("framereceived", hear))
    return runs


def presenting(address: str, cookies: dict[str, str], run: Any) -> tuple[str, str]:
    """This function will draw another tab's run anew, in its session, with these cookies; the session it got, and all it read."""
    session = run.initialize.session_id
    protocols = ["streamlit", cookies["_streamlit_xsrf"], session]
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    with connect(
        address.replace("http", "ws") + "/_stcore/stream",
        origin=address,  # type: ignore[arg-type]
        subprotocols=protocols,  # type: ignore[arg-type]
        additional_headers=sent,
    ) as opened:
        begun = BackMsg()
        begun.rerun_script.page_script_hash = run.page_script_hash
        opened.send(begun.SerializeToString())
        got, read, said = "", [], ForwardMsg()
        while not (got and said.WhichOneof("type") == "script_finished"):
            said = ForwardMsg.FromString(opened.recv(20))  # type: ignore[arg-type]
            got = said.new_session.initialize.session_id or got
            read.append(str(said))
        return got, "\n".join(read)


def type_into(page: Page, label: str, text: str) -> Locator:
    """This function will type into the input of a label and leave it."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.blur()
    idle(page, 100)
    return field


def picked(page: Page, label: str) -> Locator:
    """This function will give a searchable picker; its value is what is picked."""
    return page.get_by_role("combobox", name=label, exact=True)


def choose(page: Page, label: str, option: str) -> None:
    """This function will pick from a searchable picker by typing a part of the option."""
    box = picked(page, label)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option).first.click()
    idle(page, 100)


def tile(page: Page, label: str, row: str = "figures") -> Locator:
    """This function will find a card of the dashboard: a figure, or in the row “stages” a stage."""
    return page.locator(f".st-key-{row} > *").filter(has_text=re.compile(rf"^\W*{label}"))


def press(page: Page, label: str) -> None:
    """This function will press a button; of two with one label (a form and its opener) the form's."""
    page.get_by_role("button", name=label, exact=True).last.click()
    idle(page, 100)


def person(database: Database, role: str) -> int:
    with database.read() as conn:
        return next(row.id for row in users.people(conn) if row.role == role and row.active)


def counted(page: Page) -> int:
    text = page.get_by_text(re.compile(r"^[\d,]+ opportunities · ")).first.inner_text()
    return int(text.split()[0].replace(",", ""))


def in_url(page: Page) -> Slice:
    return Slice.from_params(parse_qs(page.evaluate("location.search")[1:], keep_blank_values=True))


def counts(count: int) -> str:
    return "1 opportunity" if count == 1 else f"{count:,} opportunities"


def figures(listing: pipeline.Listing) -> str:
    value, won_value = money.exact(listing.value), money.exact(listing.won_value)
    return f"{counts(listing.count)} · potential value {value} · won value {won_value}"


def lists(page: Page, office: Any, name: str, slice_: Slice, *view: Any) -> pipeline.Listing:
    """This function will expect the list to be that of a slice, its count and sums those of the core."""
    listing = office.ask(pipeline.listing, office.people[name], slice_, *view)
    expect(page.get_by_text(figures(listing), exact=True)).to_be_visible()
    assert slice_ == in_url(page)
    return listing
