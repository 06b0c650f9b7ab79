"""The real app, driven over its websocket as a browser does, beside pages of Streamlit that ask no database."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from crm_core import opportunities
from crm_core.database import open_database
from tests.bench.measure import WARMING, Taken, taken
from tests.bench.operations import Cast, cast
from tests.bench.places import Place

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 20
#: With a process's number it is the clock of all that the process's threads ever ran (clock_getcpuclockid).
_SCHEDULED = 2
#: How often at least a page is run to be timed.
LEAST = 5
STARTS = 3
IDLE = 50
#: For how many seconds at least twenty clients ask: each several times.
CROWDED = 8.0


@dataclass(frozen=True)
class Page:
    """A page to measure: its name, which server it is on, its path with parameters, whether twenty ask for it too.

    With `saved` somebody saves before each run, and twice a second while twenty ask: nothing that was read is still good.
    """

    name: str
    server: str
    path: str
    crowded: bool = True
    saved: bool = False


@dataclass(frozen=True)
class Run:
    """What full reruns of a page took: on the wall, of the server's processor, and how much was sent (KB)."""

    page: Page
    wall: Taken
    processor: Taken
    kilobytes: float


@dataclass(frozen=True)
class Load:
    """What twenty clients at once got of a page, how often it could not be drawn, the server's memory (MB) afterwards."""

    page: Page
    each_second: float
    failed: int
    wall: Taken
    memory: float


def pages(those: Cast) -> list[Page]:
    """This function will name the pages of the app and of bare Streamlit that are measured."""
    narrow = f"status=open&region={those.region}&owner={those.busy}"
    return [
        Page("dashboard", "app", "/?period=fy2025-26"),
        Page("dashboard, something was saved", "app", "/?period=fy2025-26", saved=True),
        Page("dashboard, one business unit", "app", "/?period=fy2025-26&business_unit=industrial_pumps", crowded=False),
        Page("list: status, region and owner", "app", f"/opportunities?{narrow}"),
        Page("list: status, region and owner, something was saved", "app", f"/opportunities?{narrow}", saved=True),
        Page("list: status", "app", "/opportunities?status=open", crowded=False),
        Page("record", "app", "/opportunity?id=7"),
        Page("Streamlit, an empty page", "still", "/", crowded=False),
        Page("Streamlit, 8 metrics, 4 charts, 50 rows", "still", "/?full=1"),
        Page("the same, as usual under streamlit run", "usual", "/"),
    ]


@dataclass(frozen=True)
class Served:
    """All that was measured of a server; `memory` (MB) by moment, `failed`: what a page said that could not be drawn.

    `idle` is what a session keeps (KB) that drew a dashboard and then does nothing.

    `up` is how long a process takes until it answers, `first` the first page that it is then asked for.
    """

    up: Taken
    first: Run
    runs: list[Run]
    loads: list[Load]
    memory: dict[str, float]
    idle: float
    failed: dict[str, str]


def measured(place: Place, seconds: float) -> Served:
    """This function will run the app on a trial database: its pages in turns, then twenty clients at once."""
    database = open_database(place.app)
    those = cast(database)
    numbers = itertools.count()

    def save() -> None:
        step = {"next_step": f"Call for the {next(numbers)}. time"}
        database.submit(opportunities.edit, those.manager, those.open[0], step)

    up, first = _first(place, those, pages(those)[0])
    with (
        started("app:app", place.app) as app,
        started("tests.bench.still:app", place.app) as still,
        started("tests/bench/usual.py", place.app) as usual,
    ):
        servers = {"app": app, "still": still, "usual": usual}
        app.sign_in(those.manager.user_id)
        for server in servers.values():
            server.greet()
            server.rest()
        memory = {"at the start": app.memory()}
        runs, failed = [], {}
        for saved in (False, True):  # each kind by itself: a save is one for every page
            asked = [page for page in pages(those) if page.saved is saved]
            done, wrong = _runs(servers, asked, seconds, save)
            runs, failed = runs + done, failed | wrong
        memory["after these runs"] = app.memory()
        crowded = [run.page for run in runs if run.page.crowded]
        loads = [_load(servers[page.server], page, max(CROWDED, seconds), save) for page in crowded]
        memory["after twenty clients"] = app.memory()
        database.dispose()
        return Served(up, first, runs, loads, memory, _idle(app, pages(those)[0]), failed)


class Server:
    """One server process and a way to talk to it as a browser does."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.address, self.up = process, f"http://127.0.0.1:{port}", 0.0
        self.jar = CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar)).open

    def get(self, path: str) -> None:
        """This function will read one address, keeping its cookies."""
        self._open(self.address + path, timeout=30).read()

    def sign_in(self, person: int) -> None:
        """This function will choose a person of the trial."""
        self.get(f"/trial/sign-in?person={person}&next=/healthz")

    def greet(self) -> None:
        """This function will ask what a browser asks before it opens the websocket."""
        self.get("/_stcore/health")
        self.get("/_stcore/host-config")

    def session(self) -> Tab:
        """This function will open a websocket: a session of its own."""
        cookies = {cookie.name: cookie.value for cookie in self.jar}
        connection = connect(
            self.address.replace("http", "ws") + "/_stcore/stream",
            origin=self.address,
            subprotocols=["streamlit", *filter(None, [cookies.get("_streamlit_xsrf")])],
            additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            max_size=None,
        )
        return Tab(connection)

    def processor(self) -> float:
        """This function will tell what the process has had of the processor, threads that ended included, in ms."""
        return time.clock_gettime((~self.process.pid << 3) | _SCHEDULED) * 1000

    def rest(self) -> None:
        """This function will wait until the process has no work left, such as the check of a large file beside its start."""
        used, before = self.processor(), float("-inf")
        while used - before > 100:
            time.sleep(1)
            used, before = self.processor(), used

    def memory(self) -> float:
        """This function will tell the process's resident memory, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@contextmanager
def started(app: str, url: str) -> Iterator[Server]:
    """This function will serve an app, or a script by `streamlit run`, on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning"]
    if app.endswith(".py"):
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            app,
            "--server.port",
            str(port),
            "--server.headless",
            "true",
        ]
    env = {**os.environ, "CRM_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as said:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=said)
        server = Server(process, port)
        try:
            while time.monotonic() < begun + 120:
                try:
                    server.get("/healthz" if app == "app:app" else "/_stcore/health")
                    server.up = (time.monotonic() - begun) * 1000
                    break
                except OSError:
                    time.sleep(0.02)
            else:
                said.seek(0)
                raise AssertionError(said.read().decode())
            yield server
        finally:
            process.terminate()
            process.wait(30)


class Failed(Exception):
    """A page said that it could not be drawn."""


class Tab:
    """A session of its own, as a browser has one: what it was sent and kept it names, and is not sent again."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection, self.kept = connection, set[str]()

    def run(self, path: str) -> int:
        """This function will have a page run in full and return how many bytes it sent. Raises Failed."""
        asked = BackMsg()
        page, _, query = path.partition("?")
        asked.rerun_script.page_name, asked.rerun_script.query_string = page.strip("/"), query
        asked.rerun_script.cached_message_hashes.extend(self.kept)
        self.connection.send(asked.SerializeToString())
        size, wrong = 0, ""
        while True:
            raw: Any = self.connection.recv(120)
            size += len(raw)
            message = ForwardMsg.FromString(raw)
            if message.metadata.cacheable:
                self.kept.add(message.hash)
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.new_element.WhichOneof("type") in ("exception", "alert"):
                told = message.delta.new_element
                wrong = told.alert.body or told.exception.message
            if kind == "script_finished":
                if wrong:
                    raise Failed(wrong)
                return size

    def close(self) -> None:
        """This function will close the tab."""
        self.connection.close()


def _first(place: Place, those: Cast, page: Page) -> tuple[Taken, Run]:
    """A process until it answers, and the first page of each."""
    up, times = [], []
    for _start in range(STARTS):
        with started("app:app", place.app) as app:
            up.append(app.up)
            app.sign_in(those.manager.user_id)
            app.greet()
            times.append(_timed(app, app.session(), page))
    return taken(up), _run(page, times)


def _idle(server: Server, page: Page) -> float:
    """What one more session keeps (KB): of so many that the noise of one does not count, after as many others."""
    kept, memory = [], []
    for _half in range(2):
        for _session in range(IDLE):
            kept.append(server.session())
            kept[-1].run(page.path)
        time.sleep(1)
        memory.append(server.memory())
    for session in kept:
        session.close()
    return (memory[1] - memory[0]) * 1024 / IDLE


def _timed(server: Server, session: Tab, page: Page) -> tuple[float, float, int]:
    """One run of a page: on the wall, of the processor, and what was sent. Raises Failed."""
    begun, before = time.perf_counter(), server.processor()
    size = session.run(page.path)
    wall = (time.perf_counter() - begun) * 1000
    time.sleep(0.03)  # what a run leaves to do is its own too
    return wall, server.processor() - before, size


def _run(page: Page, times: list[tuple[float, float, int]]) -> Run:
    walls, processors, sizes = (list(column) for column in zip(*times, strict=True))
    return Run(page, taken(walls), taken(processors), sizes[-1] / 1024)


def _runs(
    servers: dict[str, Server], asked: Sequence[Page], seconds: float, save: Callable[[], None]
) -> tuple[list[Run], dict[str, str]]:
    times: dict[Page, list[tuple[float, float, int]]] = {page: [] for page in asked}
    sessions = {page: servers[page.server].session() for page in asked}
    failed: dict[str, str] = {}
    end, number = time.monotonic() + seconds * len(asked), 0
    while number < WARMING + LEAST or time.monotonic() < end:
        for page in asked:
            if page.name in failed:
                continue
            if page.saved:
                save()
            try:
                took = _timed(servers[page.server], sessions[page], page)
            except Failed as why:
                failed[page.name] = str(why)
                continue
            if number >= WARMING:
                times[page].append(took)
        number += 1
    for session in sessions.values():
        session.close()
    return [_run(page, many) for page, many in times.items() if page.name not in failed], failed


def _load(server: Server, page: Page, seconds: float, save: Callable[[], None]) -> Load:
    ready, done = threading.Barrier(CLIENTS + page.saved), threading.Event()

    def saving() -> None:
        ready.wait(120)
        while not done.wait(0.5):
            save()

    def client(_number: int) -> tuple[float, int, list[float]]:
        session, times, failed = server.session(), [], 0
        session.run(page.path)  # a tab that is open; what a new one takes is told apart
        ready.wait(120)
        begun = last = time.perf_counter()
        while last - begun < seconds:
            started_at = last
            try:
                session.run(page.path)
            except Failed:
                failed += 1
            last = time.perf_counter()
            times.append((last - started_at) * 1000)
        session.close()
        return (len(times) - failed) / (last - begun), failed, times

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        if page.saved:
            pool.submit(saving)
        rates, failed, times = zip(*pool.map(client, range(CLIENTS)), strict=True)
        done.set()
    return Load(page, sum(rates), sum(failed), taken([took for many in times for took in many]), server.memory())
