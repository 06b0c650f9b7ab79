"""A small company on both databases, and the people in it.

Each worker builds each database once, as its owner; every test gets a copy of its own and uses it
as the app does: on PostgreSQL with the app's own role, on SQLite behind the authorizer.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from sqlalchemy import URL, make_url

from crm_core import (
    access,
    customers,
    leads,
    offers,
    opportunities,
    preferences,
    roles,
    settings,
    steps,
    trigrams,
    users,
)
from crm_core.access import Actor
from crm_core.database import Database, open_database

pytest_plugins = ("tests.browser",)  # the fixtures of the browser's tests

LISTS = {
    "region": ("Coimbatore", "Outer Chennai", "Retired"),
    "business_unit": ("Water", "Process"),
    "lead_source": ("Website", "Trade fair"),
    "lost_reason": ("Price", "Delivery time"),
    "rejected_reason": ("No budget", "Not our product"),
    "disqualify_reason": ("Duplicate", "Not reachable"),
}
PEOPLE = (
    ("kavya", "manager"),
    ("asha", "sales_engineer"),
    ("ravi", "sales_engineer"),
    ("arun", "application_engineer"),
    ("devi", "viewer"),
)
EXPECTED_SKIP = "real data"
MEMORY, ROOM = Path("/dev/shm"), 2 << 30
LONGEST = (
    "test_browser_hostile",
    "test_browser_axe",
    "test_scope",
    "test_asof",
    "test_imports",
    "test_faults",
    "test_postgresql",
    "test_tallies",
    "test_trigrams",
    "test_input",
    "test_walks",
)
# how quick a machine is says nothing of what the code does
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")


class Office:
    """One company's database, with short ways to do what a test is not about."""

    def __init__(self, database: Database, owning: Callable[[], Database] | None = None) -> None:
        self.database, self._owning = database, owning or (lambda: database)
        with database.read() as conn:
            self.people = {row.email.partition("@")[0]: Actor(row.id) for row in users.people(conn)}

    @cached_property
    def owner(self) -> Database:
        """This function will give the database as its owner opens it; most tests never ask, and opening takes a while."""
        return self._owning()

    @property
    def name(self) -> str:
        """This function will name the kind of database."""
        return self.database.engine.dialect.name

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["people"][name]
        except KeyError:
            raise AttributeError(name) from None

    def do(self, verb: Any, *args: Any, **named: Any) -> Any:
        """This function will run a command in a transaction of its own."""
        return self.database.submit(verb, *args, **named)

    def ask(self, question: Any, *args: Any, **named: Any) -> Any:
        """This function will read in a transaction of its own."""
        with self.database.read() as conn:
            return question(conn, *args, **named)

    def sql(self, statement: str) -> Any:
        """This function will run raw SQL as somebody who has got past the program and the walls: the owner."""
        return self._raw(self.owner, statement)

    def app_sql(self, statement: str, by: str | None = None) -> Any:
        """This function will run raw SQL as the app's own role, in a transaction of a person's or of nobody's."""
        return self._raw(self.database, statement, self.people[by] if by else None)

    def _raw(self, database: Database, statement: str, actor: Actor | None = None) -> Any:
        with database.write() as conn:
            if actor:
                access.person(conn, actor)
            result = conn.exec_driver_sql(statement)
            return result.fetchall() if result.returns_rows else result.rowcount

    def customer(self, company: str = "Amman Mills", **values: Any) -> int:
        """This function will add a customer."""
        return self.do(customers.create, self.kavya, {"company": company, **values})

    def opportunity(self, owner: str = "asha", **values: Any) -> int:
        """This function will add an Open opportunity that a person owns."""
        given = {"region": "coimbatore", "business_unit": "water", "product": "pump", "value": "1,00,000"}
        given |= {"owner_id": self.people[owner].user_id, **values}
        if "customer_id" not in given:
            given["customer_id"] = self.customer()
        return self.do(opportunities.create, self.kavya, given)

    def move(self, opportunity_id: int, *names: str, by: str = "kavya") -> None:
        """This function will make moves with everything that they ask."""
        for name in names:
            self.do(opportunities.move, self.people[by], opportunity_id, name, dict(ASKED[name]))

    def at(self, status: str, owner: str = "asha", **values: Any) -> int:
        """This function will add an opportunity and bring it to a status by its moves."""
        made = self.opportunity(owner, **values)
        self.move(made, *WAY[status])
        return made

    def lead(self, owner: str = "asha", status: str = "qualified", **values: Any) -> int:
        """This function will take in a lead that a person owns."""
        given = {"contact": "Mani", "company": "Amman Mills", "source": "website", "product": "pump"}
        given |= {"owner_id": self.people[owner].user_id, "region": "coimbatore", **values}
        made = self.do(leads.create, self.kavya, given)
        if status in ("contacted", "qualified"):
            self.do(leads.contact, self.kavya, made)
        if status == "qualified":
            self.do(leads.qualify, self.kavya, made)
        return made

    def offer(self, customer_id: int, number: str = "Q-1") -> int:
        """This function will add an offer to the register."""
        return self.do(offers.create, self.kavya, {"number": number, "customer_id": customer_id, "amount": "100"})

    def count(self, table: str) -> int:
        """This function will count a table's rows."""
        return int(self.sql(f"SELECT count(*) FROM {table}")[0][0])


ASKED: dict[str, dict[str, Any]] = {
    "make_offer": {},
    "win": {"won_value": "90,000"},
    "lose": {"reason": "price"},
    "reject": {"reason": "no_budget"},
    "reopen": {"note": "They called again"},
}
WAY: dict[str, tuple[str, ...]] = {
    "open": (),
    "offer_made": ("make_offer",),
    "won": ("make_offer", "win"),
    "lost": ("lose",),
    "rejected": ("reject",),
}


def furnish(database: Database) -> None:
    """This function will give an empty database its lists and its people."""
    with database.write() as conn:
        meena = Actor(users.first_admin(conn, {"name": "Meena", "email": "meena@example.in", "role": "org_admin"}))
        for name, labels in LISTS.items():
            for label in labels:
                settings.add(conn, meena, name, label)
        settings.retire(conn, meena, "region", "retired")
        for name, role in PEOPLE:
            given = {"name": name.title(), "email": f"{name}@example.in", "role": role}
            users.add(conn, meena, given | {"business_unit": "water" if role == "sales_engineer" else None})


#: What takes back a migration, by its revision. A column first: SQLite drops none once a trigger names a table that is gone.
UNDONE = {
    "0013": ["DROP INDEX ix_opportunity_city"],
    "0012": ["DROP INDEX ix_standing_customer_id"],
    "0011": [
        *(f"DROP INDEX ix_lead_by_{name}" for name in ("created_at", "changed_at", "search", "status")),
        *(f"DROP INDEX ix_audit_{name}" for name in ("recorded_at", "by_id", "action", "entity_id")),
        "CREATE INDEX ix_audit_recorded_at ON audit (recorded_at)",
    ],
    "0010": [
        "ALTER TABLE tally DROP COLUMN seen",
        "DROP TABLE win",
        "DROP INDEX ix_standing_won_value_paise",
        "DROP INDEX ix_standing_status",
        "CREATE INDEX ix_standing_status ON standing (status, to_at, from_at)",
    ],
    "0005": [
        *(f"DROP INDEX ix_opportunity_by_{name}" for name in ("created_at", "value_key", "status_at", "next_step_on")),
        "ALTER TABLE opportunity DROP COLUMN value_key {cascade}",
    ],
    "0007": [f"DROP INDEX ix_standing_{name}" for name in ("owner_id", "region")],
    "0009": [
        *(f"DROP INDEX ix_standing_{name}" for name in steps.WAS.values()),
        *(f"ALTER TABLE standing DROP COLUMN {name}" for name in steps.WAS.values()),
        "ALTER TABLE standing ADD COLUMN turned_at TEXT",
        "CREATE INDEX ix_standing_turned_at ON standing (turned_at)",
    ],
    "0008": [
        *(f"DROP INDEX ix_standing_{name}" for name in ("again_at", "turned_at")),
        *(f"ALTER TABLE standing DROP COLUMN {name}" for name in ("step", "change_paise", "again_at", "turned_at")),
    ],
    "0006": [f"DROP {{search}}{name}_search" for name in trigrams.SEARCHED],
    "0004": ["DROP TABLE tally", "DROP TABLE course", "DROP INDEX ix_standing_status"],
}


def older(office: Office, revision: str) -> None:
    """This function will take a database back to an older revision, as far as that has records."""
    sqlite = office.name == "sqlite"
    said = {"search": "TABLE " if sqlite else "INDEX ix_", "cascade": "" if sqlite else "CASCADE"}
    # SQLite drops no column that a trigger names; they are made anew with the rules
    for name in office.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'") if sqlite else ():
        office.sql(f'DROP TRIGGER "{name[0]}"')
    for later, statements in UNDONE.items():
        for statement in statements if later > revision else ():
            office.sql(statement.format(**said))
    office.sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    office.sql("UPDATE setting SET value = 'older' WHERE key IN ('rules', 'counted')")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The company as a trial on SQLite, for an app of its own at `url`."""
    url = f"sqlite:///{tmp_path_factory.mktemp('trial') / 'trial.sqlite3'}"
    database = open_database(url)
    furnish(database)
    with database.write() as conn:
        preferences.store(conn, "trial", "yes")
        preferences.store(conn, "currency", "INR")
    made = Office(database)
    made.url = url
    yield made
    database.dispose()


def postgresql_tool(home: Path, tool: str, *arguments: str) -> None:
    """This function will run one of PostgreSQL's programs in a folder, as a user who may run its server."""
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    prefix = []
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
        prefix = ["runuser", "-u", "postgres", "--"]
    subprocess.run([*prefix, str(tools / tool), *arguments], check=True, cwd=home, stdout=subprocess.DEVNULL)


@contextmanager
def served(home: Path, *settings: str) -> Iterator[str]:
    """This function will run a PostgreSQL server in a folder, made there if need be; gives its maintenance database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(home / "data")
    if not Path(data).exists():
        made = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        postgresql_tool(home, "initdb", "-D", data, *made)
    said = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c max_connections=200"
    said += "".join(f" -c {setting}" for setting in settings)
    postgresql_tool(home, "pg_ctl", "-D", data, "-w", "-l", str(home / "log"), "-o", said, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        postgresql_tool(home, "pg_ctl", "-D", data, "-m", "immediate" if "fsync=off" in settings else "fast", "stop")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A throw-away PostgreSQL server of this worker's own; the address of its maintenance database."""
    given = os.environ.get("CRM_TEST_DATABASE_URL")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="crm-pg-"))
    try:
        with served(home, "fsync=off") as address:
            yield address
    finally:
        shutil.rmtree(home, ignore_errors=True)


def maintain(address: str, statement: str) -> None:
    """This function will run one statement on a server, outside a transaction."""
    with psycopg.connect(address, autocommit=True) as conn:
        conn.execute(statement)


@pytest.fixture(scope="session")
def app_login(postgresql: str) -> Iterator[tuple[str, str]]:
    """The name and password of the app's role on this worker's server; `init` makes it."""
    name = f"crm_web_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    yield name, "let me in"
    maintain(postgresql, f"DROP ROLE IF EXISTS {name}")


@pytest.fixture(scope="session")
def templates(
    postgresql: str, app_login: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, str]]:
    """One furnished and closed database of each kind, to be copied; its address for the app and for the owner."""
    folder = tmp_path_factory.mktemp("template")
    name = f"template_{app_login[0]}"
    maintain(postgresql, f"CREATE DATABASE {name}")
    file, owned = f"sqlite:///{folder / 'crm.sqlite3'}", make_url(postgresql).set(database=name)
    app = owned.set(username=app_login[0], password=app_login[1])
    addresses = {"sqlite": (file, file), "postgresql": (whole(app), whole(owned))}
    for app_address, owner_address in addresses.values():
        database = open_database(owner_address, owner=True)
        furnish(database)
        if owner_address.startswith("sqlite"):
            with database.engine.connect() as conn:
                conn.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            roles.make(database, app_address)
        database.dispose()
    return addresses


def whole(address: URL) -> str:
    """This function will write an address with its password."""
    return address.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def empty(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One empty and closed database of each kind, to be copied; its address for the owner."""
    name = f"empty_{os.getpid()}"
    maintain(postgresql, f"CREATE DATABASE {name}")
    file, owned = tmp_path_factory.mktemp("empty") / "crm.sqlite3", make_url(postgresql).set(database=name)
    found = {"sqlite": f"sqlite:///{file}", "postgresql": whole(owned)}
    for address in found.values():
        open_database(address, owner=True).dispose()
    return found


_made = 0


@contextmanager
def copied(address: str, server: str, folder: Path) -> Iterator[str]:
    """This function will copy a closed database for a while, a file into a folder; gives the copy's address."""
    global _made
    _made += 1
    there = make_url(address)
    if there.get_backend_name() == "sqlite":
        yield f"sqlite:///{shutil.copy(str(there.database), folder / f'crm_{_made}.sqlite3')}"
        return
    name = f"{there.database}_{_made}"
    maintain(server, f"CREATE DATABASE {name} TEMPLATE {there.database} STRATEGY FILE_COPY")
    yield whole(there.set(database=name))
    maintain(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def addresses(
    request: pytest.FixtureRequest, templates: dict[str, tuple[str, str]], postgresql: str, tmp_path: Path
) -> Iterator[tuple[str, str]]:
    """Where the test's own database is, for the app and for its owner."""
    app, owner = templates[request.param]
    with copied(owner, postgresql, tmp_path) as made:
        yield whole(make_url(app).set(database=make_url(made).database)), made


@pytest.fixture
def database(addresses: tuple[str, str]) -> Iterator[Database]:
    """The test's own database, open as the app opens it."""
    opened = open_database(addresses[0])
    yield opened
    opened.dispose()


@pytest.fixture
def owning(addresses: tuple[str, str]) -> Iterator[Database]:
    """The same database, open as its owner does, past row security and the authorizer."""
    opened = open_database(addresses[1], owner=True)
    yield opened
    opened.dispose()


@pytest.fixture
def office(database: Database, request: pytest.FixtureRequest) -> Office:
    """The company: its database and its people."""
    return Office(database, lambda: request.getfixturevalue("owning"))


def pytest_configure() -> None:
    """This function will let what the tests write stay in memory, where there is room.

    A database of its own for each test is thousands of files made and removed, which a disk takes half a second for.
    """
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This function will put the files that take longest first, so that no worker waits for the last of them."""
    slow = {item.path for item in items if "page" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path.stem not in LONGEST, item.path not in slow))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """This function will make a skip a failure in CI, unless its reason was expected."""
    outcome: Any = yield
    report = outcome.get_result()
    if os.environ.get("CRM_NO_SKIPS") and report.skipped and isinstance(report.longrepr, tuple):
        why = report.longrepr[2].removeprefix("Skipped: ")
        if not why.startswith(EXPECTED_SKIP):
            report.outcome, report.longrepr = "failed", f"an unexpected skip: {why}"
