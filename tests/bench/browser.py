"""The app in Debian's Chromium until a page is drawn, beside pages of Streamlit that ask no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, sync_playwright
from playwright.sync_api import Page as Tab

from crm_core.database import open_database
from tests.bench.measure import WARMING, Taken, taken
from tests.bench.operations import cast
from tests.bench.places import Place
from tests.bench.server import LEAST, Page, started

#: rounds for each second that is asked for
ROUNDS = 5
_STILL = "Streamlit, 8 metrics, 4 charts, 50 rows"
#: the last is what the others are compared with
LOADED = (
    Page("dashboard", "app", "/"),
    Page("dashboard, a year", "app", "/?period=fy2025-26"),
    Page("list: status", "app", "/opportunities?status=open"),
    Page("record", "app", "/opportunity?id=7"),
    Page("Streamlit, as much as the dashboard", "tour", "/"),
    Page("Streamlit, as much as the list", "tour", "/opportunities?status=open"),
    Page("Streamlit, an empty page", "still", "/"),
    Page(_STILL, "still", "/?full=1"),
)
#: in a browser that has never been here
COLD = (Page("dashboard, cold", "app", "/"), Page(f"{_STILL}, cold", "still", "/?full=1"))
_TILE = ".st-key-figures a[href*='status=offer_made']"
#: what is done in turn in one tab: its name, the event it begins with, how, and what the page then says
STEPS: tuple[tuple[str, str, Callable[[Tab], object], str], ...] = (
    ("tile → list", "click", lambda tab: tab.locator(_TILE).first.click(), "Status: Offer Made or Open"),
    ("filter", "keydown", lambda tab: tab.get_by_label("Status").first.press("Backspace"), "Status: Offer Made"),
    ("filter taken back", "popstate", lambda tab: tab.go_back(), "Status: Offer Made or Open"),
    ("list → dashboard", "popstate", lambda tab: tab.go_back(), "Pipeline"),
)
#: `drawn` tells whether a page is there and says something; `tell` what it took since it began
READY = """
const drawn = said => {
    const main = document.querySelector('[data-testid=stMain]');
    return document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
        && main?.querySelector('h1') && (!said || [...main.querySelectorAll('h1, p')].some(part => part.textContent.trim() === said))
        && !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')
        && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(chart => chart.querySelector('svg, canvas'));
};
window.tell = (begun, said) => {
    const look = () => drawn(said) ? window.took = performance.now() - begun : requestAnimationFrame(look);
    requestAnimationFrame(look);
};
"""
_AWAIT = """([event, said]) => {
    window.took = 0;
    addEventListener(event, () => tell(performance.now(), said), {capture: true, once: true});
}"""


@dataclass(frozen=True)
class Drawn:
    """What a page, or a step in an open tab, took until it was drawn, and of how many parts it is."""

    name: str
    took: Taken
    parts: int


@dataclass(frozen=True)
class Seen:
    """All that was measured in the browser, each beside a still page: pages loaded, and steps in one tab."""

    loaded: list[tuple[Drawn, Drawn]]
    steps: list[tuple[Drawn, Drawn]]


def measured(place: Place, seconds: float) -> Seen:
    """This function will load the app's pages in turns beside still ones, then walk through both in one tab each."""
    database = open_database(place.app)
    person = cast(database).manager.user_id
    database.dispose()
    rounds = WARMING + LEAST + int(ROUNDS * seconds)
    with (
        started("app:app", place.app) as app,
        started("tests.bench.still:app", place.app) as still,
        started("tests.bench.tour:app", place.app) as tour,
        sync_playwright() as play,
    ):
        addresses = {"app": app.address, "still": still.address, "tour": tour.address}
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        sign_in = f"{app.address}/trial/sign-in?person={person}&next=/healthz"
        given = (chromium, addresses, sign_in, rounds)
        seen = Seen(_loads(*given), _walks(*given))
        chromium.close()
        return seen


def _loads(chromium: Browser, addresses: dict[str, str], sign_in: str, rounds: int) -> list[tuple[Drawn, Drawn]]:
    found: dict[Page, list[tuple[float, int]]] = {page: [] for page in (*LOADED, *COLD)}
    with _browser(chromium, sign_in) as warm:
        for _round in range(rounds):
            for page in LOADED:
                found[page].append(_load(warm, addresses[page.server] + page.path))
            for page in COLD:
                with _browser(chromium, sign_in) as cold:
                    found[page].append(_load(cold, addresses[page.server] + page.path))
    drawn = {page: _drawn(page.name, many) for page, many in found.items()}
    return [(drawn[page], drawn[group[-1]]) for group in (LOADED, COLD) for page in group]


def _walks(chromium: Browser, addresses: dict[str, str], sign_in: str, rounds: int) -> list[tuple[Drawn, Drawn]]:
    found: dict[str, dict[str, list[tuple[float, int]]]] = {side: {} for side in ("app", "tour")}
    with _browser(chromium, sign_in) as context:
        tabs = {side: context.new_page() for side in found}
        for side, tab in tabs.items():
            tab.goto(addresses[side] + "/")
            _took(tab)
        for _round in range(rounds):
            for side, tab in tabs.items():
                tab.bring_to_front()
                for name, event, act, said in STEPS:
                    tab.evaluate(_AWAIT, [event, said])
                    act(tab)
                    found[side].setdefault(name, []).append(_took(tab))
    return [(_drawn(name, many), _drawn(name, found["tour"][name])) for name, many in found["app"].items()]


@contextmanager
def _browser(chromium: Browser, sign_in: str) -> Iterator[BrowserContext]:
    """A browser of somebody who is signed in, and has loaded nothing."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    context.add_init_script(READY + "tell(0, '')")
    context.request.get(sign_in)
    yield context
    context.close()


def _load(context: BrowserContext, address: str) -> tuple[float, int]:
    tab = context.new_page()
    tab.goto(address, wait_until="commit")
    found = _took(tab)
    tab.close()
    return found


def _took(tab: Tab) -> tuple[float, int]:
    took = tab.wait_for_function("() => window.took", timeout=60_000).json_value()
    return took, tab.locator("[data-testid=stMain] [data-testid=stElementContainer]").count()


def _drawn(name: str, many: list[tuple[float, int]]) -> Drawn:
    return Drawn(name, taken([took for took, _parts in many[WARMING:]]), many[-1][1])
