"""What breaks outside the program: people hear a sentence, nothing is half done, and it works again afterwards.

Everything here is real: processes that are killed, servers that are restarted, lines that are cut, files overwritten.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

import crm_core
from crm_core import customers, opportunities, soundness, users
from crm_core import database as databases
from crm_core.access import Actor
from crm_core.commands import command
from crm_core.database import Database, open_database
from crm_core.errors import Conflict, Unavailable
from tests.browser import free_port, press, providing, serving, sign_in_file, type_into
from tests.conftest import Office
from tests.test_browser_sign_in import Firm, signs_in
from tests.test_concurrency import at_once, until

CORE = Path(crm_core.__file__).parent
NEXT_RELEASE = """
import os, pathlib, time
from alembic import op
revision, down_revision, branch_labels, depends_on = "next", "{head}", None, None
def upgrade():
    op.execute("ALTER TABLE customer ADD COLUMN website TEXT")
    if "HALF" in os.environ:
        pathlib.Path(os.environ["HALF"]).touch()
        time.sleep(60)
    op.execute("ALTER TABLE customer ADD COLUMN fax TEXT")
"""


OPEN = "import sys; from crm_core.database import open_database; open_database(sys.argv[1]).dispose()"
OPEN_FOUR_TIMES = """
import os, sys
from crm_core.database import open_database
def child():
    number = os.fork()
    if number == 0:
        try:
            open_database(sys.argv[1]).dispose()
        except BaseException as why:
            sys.stderr.write(f"{why}")
            os._exit(1)
        os._exit(0)
    return number
children = [child() for _ in range(4)]
sys.exit(sum(os.waitpid(number, 0)[1] != 0 for number in children))
"""
INIT_EACH = """
import sys
from crm_core.__main__ import main
sys.exit(sum(main(["--url", url, "init"]) for url in sys.argv[1:]))
"""
SAVE_AND_DIE = """
import os, signal, sys
from crm_core import opportunities
from crm_core.access import Actor
from crm_core.database import open_database
given = {"customer_id": 1, "region": "coimbatore", "product": "pump", "value": "1"}
with open_database(sys.argv[1]).write() as conn:
    opportunities.create(conn, Actor(int(os.environ["ACTOR"])), given, token="one")
    if os.environ["DIES"] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Interrupted(BaseException):
    """What Streamlit raises through a page that is run again: no Exception."""


def address(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def place(database: Database) -> Path:
    return Path(str(database.engine.url.database))


def program(where: str, folder: Path = CORE.parent, does: str = OPEN, **env: str) -> subprocess.Popen[str]:
    """This function will start a process of its own, with the program in `folder`; by default it opens the database."""
    given = {**os.environ, "PYTHONPATH": str(folder), **env}
    return subprocess.Popen(
        [sys.executable, "-c", does, where], cwd=folder, env=given, text=True, stderr=subprocess.PIPE
    )


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    _out, err = process.communicate(timeout=60)
    return process.returncode, err.strip()


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program as it may be one day: with one more migration."""
    folder = tmp_path_factory.mktemp("next")
    shutil.copytree(CORE, folder / "crm_core", ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / "crm_core" / "migrations" / "versions"
    head = sorted(versions.glob("*.py"))[-1].read_text("utf-8").partition('revision = "')[2].partition('"')[0]
    (versions / "next_release.py").write_text(NEXT_RELEASE.format(head=head), "utf-8")
    return folder


@pytest.fixture
def empty(database: Database, postgresql: str, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of the same kind."""
    if database.engine.dialect.name == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty' / 'crm.sqlite3'}"
        return
    name = f"empty_{os.getpid()}"
    with psycopg.connect(postgresql, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
        yield postgresql.rpartition("/")[0] + f"/{name}"
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


def columns(office: Office) -> set[str]:
    with office.database.read() as conn:
        return set(conn.exec_driver_sql("SELECT * FROM customer").keys())


def wait_for(path: Path) -> None:
    until(path.exists)


# Start-up


def test_a_migration_killed_in_the_middle_leaves_the_old_schema(
    office: Office, next_release: Path, tmp_path: Path
) -> None:
    """G2: kill -9 between two statements; then this release goes on, and the next one migrates after all."""
    office.opportunity()
    half = tmp_path / "half"
    process = program(address(office.owner), next_release, HALF=str(half))
    wait_for(half)
    process.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == told(process)[0]
    open_database(address(office.database)).dispose()
    assert not {"website", "fax"} & columns(office)
    assert 1 == office.count("opportunity")
    assert office.opportunity() > 0
    office.database.dispose()
    assert (0, "") == told(program(address(office.owner), next_release))
    assert {"website", "fax"} <= columns(office)


def test_a_database_of_a_newer_release_is_refused(office: Office, next_release: Path) -> None:
    """G12: the older one was migrated by the next release; this release does not know what it holds now."""
    assert (0, "") == told(program(address(office.owner), next_release))
    with pytest.raises(Unavailable, match="newer version of the program"):
        open_database(address(office.database))


def test_a_database_with_tables_but_no_version_is_refused(office: Office) -> None:
    """G12: half migrated by something else."""
    office.sql("DELETE FROM alembic_version")
    with pytest.raises(Unavailable, match="holds other tables"):
        open_database(address(office.database))


@pytest.mark.parametrize("start", ["empty", "old"])
def test_four_processes_opening_one_database_migrate_it_once(
    office: Office, empty: str, next_release: Path, start: str
) -> None:
    """F10."""
    where, folder = (empty, CORE.parent) if start == "empty" else (address(office.owner), next_release)
    office.database.dispose()
    assert (0, "") == told(program(where, folder, OPEN_FOUR_TIMES))
    if start == "empty":
        opened = open_database(where)
        with opened.write() as conn:
            assert users.first_admin(conn, {"name": "Meena", "email": "meena@example.in", "role": "org_admin"})
        opened.dispose()
    else:
        assert "fax" in columns(office)
        assert 1 == office.count("alembic_version")


def test_a_sqlite_without_what_the_rules_need_is_refused() -> None:
    """G19."""
    with pytest.raises(Unavailable, match=r"3\.36\.0 is too old; 3\.39\.0"):
        databases.require_sqlite((3, 36, 0))
    databases.require_sqlite((3, 39, 0))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """G7."""
    (tmp_path / "letter").write_text("Dear sirs")
    with pytest.raises(Unavailable, match=r"letter/data/crm\.sqlite3 cannot be made: Not a directory"):
        open_database(f"sqlite:///{tmp_path / 'letter' / 'data' / 'crm.sqlite3'}")


@pytest.mark.parametrize("where", ["crm.sqlite3", "mysql://root@localhost/crm", "", "sqlite://", "sqlite:///:memory:"])
def test_an_address_of_no_use_is_refused(where: str) -> None:
    with pytest.raises(Unavailable, match="CRM_DATABASE_URL must"):
        open_database(where or " ")


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_a_damaged_table_is_told_when_it_is_read(office: Office) -> None:
    """G11."""
    page = office.sql("SELECT pg_relation_filepath('opportunity')")[0][0]
    office.sql(f"COPY (SELECT) TO PROGRAM 'cat > /dev/null; head -c 8192 /dev/urandom >> {page}'")
    with pytest.raises(Unavailable, match="is damaged; restore a backup"):
        office.count("opportunity")


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_an_update_is_left_to_the_owner_of_the_schema(office: Office) -> None:
    """G12: a role that may not change the schema is told who may."""
    role = f"clerk_{os.getpid()}"
    where = office.database.engine.url.set(username=role).render_as_string(hide_password=False)
    office.sql(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(Unavailable, match="lacks a right"):
            open_database(where)
        office.sql(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        open_database(where).dispose()
        office.sql("UPDATE setting SET value = 'older' WHERE key = 'rules'")
        with pytest.raises(Unavailable, match="update by its owner; run “python -m crm_core init”"):
            open_database(where)
    finally:
        office.sql(f"DROP OWNED BY {role}")
        office.sql(f"DROP ROLE {role}")


def test_a_value_that_breaks_a_rule_without_a_sentence_is_refused_all_the_same(office: Office) -> None:
    with pytest.raises(Conflict, match="would break one of its rules"):
        office.sql("INSERT INTO setting (key, value) VALUES ('note', NULL)")


def spoil(office: Office, damage: str) -> None:
    """This function will close a SQLite file and damage it in one way."""
    office.opportunity()
    office.database.dispose()
    with sqlite3.connect(place(office.database)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'opportunity'").fetchone()[0]
        size = conn.execute("PRAGMA page_size").fetchone()[0]
    conn.close()
    with place(office.database).open("r+b") as file:
        if damage == "short":
            file.truncate((root - 1) * size + 100)
        else:
            file.seek(0 if damage == "header" else (root - 1) * size)
            file.write(b"\0" * size if damage == "zeros" else b"\xa5\x3c" * (size // 2))


@pytest.mark.parametrize("damage", ["pages", "zeros", "header", "short"])
@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_damaged_file_is_refused(office: Office, damage: str) -> None:
    """G11."""
    spoil(office, damage)
    with pytest.raises(Unavailable, match=r"crm_\d+\.sqlite3 is damaged; restore a backup"):
        open_database(address(office.database))


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_large_file_found_damaged_after_the_start_is_refused_from_then_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """G11: the start waits for the check only so long, and what is read meanwhile is read."""
    spoil(office, "pages")
    found, reading = threading.Event(), soundness.Check._read
    monkeypatch.setattr(soundness, "AT_ONCE", 0)
    monkeypatch.setattr(soundness.Check, "_read", lambda check: found.wait(20) and reading(check))
    opened = open_database(address(office.database))
    with opened.read() as conn:
        assert users.people(conn)
    found.set()
    with pytest.raises(Unavailable, match="is damaged; restore a backup"):
        opened.check.wait()
    for begin in (opened.read, opened.write):
        with pytest.raises(Unavailable, match="is damaged; restore a backup"), begin():
            pass
    assert "is damaged; restore a backup" in caplog.text
    opened.dispose()


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_closed_database_is_read_no_further(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its check would take, or where it is."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    monkeypatch.setattr(soundness, "AT_ONCE", 0)
    monkeypatch.setattr(soundness, "_WHOLE", endless)
    opened = open_database(address(office.database))
    with opened.read() as conn:
        assert users.people(conn)
    opened.dispose()
    assert "crm-check" not in {thread.name for thread in threading.enumerate()}


def limited(*command: str) -> list[str]:
    """This function will make a command obey file permissions, as root too."""
    if os.geteuid() != 0:
        return list(command)
    without = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", *command]


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_file_that_cannot_be_used_is_named_at_the_start(office: Office, tmp_path: Path) -> None:
    """G7: one sentence with the path, and no traceback."""
    office.database.dispose()
    cases = {
        "read-only file": "can only be read",
        "read-only folder": "can",
        "missing folder": "cannot be made",
        "closed folder": "cannot be opened",
        "a folder": "cannot be opened",
        "a letter": "is damaged",
    }
    files = []
    for case in cases:
        folder = tmp_path / case
        folder.mkdir()
        file = folder / "crm.sqlite3"
        shutil.copy(place(office.database), file)
        if case == "read-only file":
            file.chmod(0o400)
        elif case == "read-only folder":
            folder.chmod(0o500)
        elif case == "missing folder":
            file = file / "deeper" / "crm.sqlite3"
        elif case == "closed folder":
            folder.chmod(0)
        elif case == "a folder":
            file = folder
        else:
            file.write_text("Dear sirs, " * 1000)
        files.append(file)
    command = limited(sys.executable, "-c", INIT_EACH, *(f"sqlite:///{file}" for file in files))
    done = subprocess.run(command, cwd=CORE.parent, text=True, capture_output=True, check=False)
    (tmp_path / "closed folder").chmod(0o700)
    lines = done.stderr.splitlines()
    assert (6, len(lines)) == (done.returncode, len(cases)), done.stderr
    for file, said, line in zip(files, cases.values(), lines, strict=True):
        assert str(file) in line
        assert said in line


# A file in use, or full


@pytest.mark.parametrize("how", ["saving", "alone"])
def test_a_database_held_by_another_is_busy(office: Office, how: str) -> None:
    """G8: a sentence once the wait is over; reading goes on beside a save."""
    made = office.opportunity()
    if office.name == "sqlite":
        database = open_database(address(office.database) + "?timeout=0.2")
        holder = sqlite3.connect(place(office.database), isolation_level=None)
        if how == "alone":
            for one in (office.database, office.owner, database):
                one.dispose()
            holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN IMMEDIATE")
        holder.execute("UPDATE setting SET value = value")
    else:
        database, holder = office.database, psycopg.connect(address(office.owner).replace("+psycopg", ""))
        holder.execute("LOCK TABLE opportunity IN " + ("SHARE" if how == "saving" else "ACCESS EXCLUSIVE") + " MODE")

    def impatient(conn: Connection) -> None:
        if office.name == "postgresql":
            conn.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
        opportunities.edit(conn, office.asha, made, {"title": "x"})

    with pytest.raises(Unavailable, match=r"^The database is busy .* try again in a moment\.$"):
        database.submit(impatient)
    if how == "saving":
        assert made == office.ask(opportunities.get, office.asha, made).id
    holder.rollback()
    holder.close()
    database.submit(impatient)
    assert "x" == office.ask(opportunities.get, office.asha, made).title
    if database is not office.database:
        database.dispose()


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_whoever_finds_every_connection_taken_hears_that_it_is_busy(office: Office) -> None:
    database = open_database(address(office.database) + "?timeout=0.2")
    pool = database.engine.pool
    taken = [pool.connect() for _ in range(40)]
    with pytest.raises(Unavailable, match="busy"), database.read():
        pass
    for connection in taken:
        connection.close()
    with database.read():
        pass
    database.dispose()


def test_a_full_disk_refuses_the_save_and_nothing_else(office: Office) -> None:
    """G6: reading goes on, and saving does once there is space."""
    made = office.opportunity()
    if office.name == "sqlite":
        with office.owner.engine.connect() as conn:  # the app's connections may set no such limit
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    else:
        office.sql(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file'; END $$"
        )
        office.sql("CREATE TRIGGER full_disk BEFORE INSERT ON audit EXECUTE FUNCTION full_disk()")
    notes = "Discussed the impeller with the customer. " * 20

    def fill(conn: Connection) -> None:
        for _ in range(50):
            customers.create(conn, office.kavya, {"company": "Cheran Textiles", "notes": notes})

    with pytest.raises(Unavailable, match="could not be saved because the disk is full"):
        office.owner.submit(fill)
    assert 1 == office.count("customer")
    assert made == office.ask(opportunities.get, office.asha, made).id
    if office.name == "sqlite":
        with office.owner.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
    else:
        office.sql("DROP TRIGGER full_disk ON audit")
    office.owner.submit(fill)
    assert 51 == office.count("customer")


# A server that goes away


class Line:
    """A line to PostgreSQL that can be cut: at a COMMIT, before or after the server has it; or for everybody."""

    def __init__(self, server: str) -> None:
        self.server, self.cut, self.cuts = make_url(server), "", 0
        self._ends: list[socket.socket] = []
        self.up()

    def up(self, port: int = 0) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def down(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in self._ends:
            end.close()

    def address(self, database: Database) -> str:
        url = database.engine.url.set(host="127.0.0.1", port=self.port).update_query_dict({"sslmode": "disable"})
        return url.render_as_string(hide_password=False)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            far = socket.create_connection((self.server.host or "127.0.0.1", self.server.port or 5432))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other, one is near), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        try:
            while data := source.recv(65536):
                if asking and self.cut and b"COMMIT\0" in data:
                    if self.cut == "after":
                        self.cut = "answer"
                        target.sendall(data)
                        continue
                    self.cut = ""
                    break
                if not asking and self.cut == "answer":
                    self.cut = ""
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(database: Database, postgresql: str) -> Iterator[Line]:
    """A line to the server of a test's database."""
    made = Line(postgresql)
    yield made
    made.down()


def first(office: Office) -> dict[str, object]:
    return {"customer_id": office.customer(), "region": "coimbatore", "product": "pump", "value": "1"}


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_line_cut_at_the_commit_makes_one_record(office: Office, line: Line, cut: str) -> None:
    """G5: whether or not the server committed, the person sees the one record, and no error."""
    given, database = first(office), open_database(line.address(office.database))
    line.cut = cut
    made = database.submit(opportunities.create, office.asha, given, token="one")
    assert "" == line.cut
    assert made == office.ask(opportunities.get, office.asha, made).id
    assert 1 == office.count("opportunity")
    database.dispose()


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_without_a_token_a_cut_line_is_told_and_nothing_is_repeated(office: Office, line: Line) -> None:
    """G5."""
    given, database = first(office), open_database(line.address(office.database))
    line.cut = "after"
    with pytest.raises(Unavailable, match="cannot be reached just now"):
        database.submit(opportunities.create, office.asha, given)
    until(lambda: office.count("opportunity"))
    assert 1 == office.count("opportunity")
    database.dispose()


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_process_killed_around_the_commit_leaves_one_record_for_the_repeated_submit(
    office: Office, dies: str
) -> None:
    """G5: kill -9, then the same token again."""
    given = first(office)
    process = program(address(office.database), does=SAVE_AND_DIE, DIES=dies, ACTOR=str(office.asha.user_id))
    assert -signal.SIGKILL == told(process)[0]
    assert (1 if dies == "after" else 0) == office.count("opportunity")
    made = office.do(opportunities.create, office.asha, given, token="one")
    assert [(made,)] == [tuple(row) for row in office.sql("SELECT id FROM opportunity")]


def restart(office: Office) -> None:
    """This function will restart this worker's PostgreSQL; of a given one, it ends every connection as a restart does."""
    if os.environ.get("CRM_TEST_DATABASE_URL"):
        with psycopg.connect(address(office.database).replace("+psycopg", "")) as conn:
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        return
    data = office.sql("SHOW data_directory")[0][0]
    tool = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))[-1]
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*prefix, str(tool), "-D", data, "-m", "fast", "-w", "-l", str(Path(data) / "log"), "restart"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


def test_nobody_notices_a_restart_between_two_actions(office: Office) -> None:
    """G3. SQLite has no server; there the program itself closes and opens all its connections."""
    made = office.opportunity()
    at_once(6, lambda _: office.ask(opportunities.get, office.asha, made))
    if office.name == "postgresql":
        restart(office)
    else:
        office.database.dispose()
    assert made == office.ask(opportunities.get, office.asha, made).id
    office.do(opportunities.edit, office.asha, made, {"title": "After"})


def test_a_connection_lost_in_the_middle_of_a_save_is_made_anew(office: Office) -> None:
    """G3, G5: the server ends it, once; with a token the whole save is repeated."""
    made, tries = office.opportunity(), 0

    @command
    def rename(conn: Connection, actor: Actor) -> int:
        nonlocal tries
        tries += 1
        if tries == 1 and office.name == "postgresql":
            own = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            office.sql(f"SELECT pg_terminate_backend({own})")
        return opportunities.edit(conn, actor, made, {"title": "Mine"})

    assert made == office.do(rename, office.asha, token="one")
    assert (2 if office.name == "postgresql" else 1) == tries
    assert "Mine" == office.ask(opportunities.get, office.asha, made).title


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_a_page_that_is_open_while_the_server_is_down_goes_on_by_itself(
    office: Office, line: Line, page: Page, tmp_path: Path
) -> None:
    """G10: with what was typed in its form; a save then saves just that."""
    made, port, down = office.opportunity(title="Old", city="Erode", state="Tamil Nadu"), free_port(), line.port
    with providing(tmp_path / "provider.log") as provider:
        file = sign_in_file(tmp_path, f"http://127.0.0.1:{port}", provider)
        log = tmp_path / "app.log"
        with serving(line.address(office.database), log, port, CRM_SECRETS=str(file)) as address:
            firm = Firm(address, provider, office.database, log)
            signs_in(page, firm, firm.account_of(firm.person("manager")), f"/opportunity?id={made}")
            page.get_by_text("Edit", exact=True).click()
            type_into(page, "Title", "Cooling water")
            line.down()
            type_into(page, "Next step", "Call purchase")
            expect(page.get_by_text("The database cannot be reached just now; try again in a moment.")).to_be_visible()
            expect(page.get_by_role("button", name="Try again")).to_be_visible()
            line.up(down)
            expect(page.get_by_role("button", name="Mark lost").first).to_be_visible()
            for label, text in {"Title": "Cooling water", "City": "Erode"}.items():
                expect(page.get_by_label(label, exact=True)).to_have_value(text)
            press(page, "Save changes")
            expect(page.get_by_text("Cooling water").first).to_be_visible()
    now = office.ask(opportunities.get, office.asha, made)
    assert ("Cooling water", "Erode", "Tamil Nadu") == (now.title, now.city, now.state)


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_a_server_that_is_down_at_the_start_is_used_once_it_is_up(office: Office, line: Line) -> None:
    """G10: and one that goes down later comes back too."""
    made, where, port = office.opportunity(), line.address(office.database), line.port
    line.down()
    with pytest.raises(Unavailable, match=r"^The database cannot be reached just now; try again in a moment\.$"):
        open_database(where)
    line.up(port)
    database = open_database(where)
    line.down()
    with pytest.raises(Unavailable, match="cannot be reached"), database.read() as conn:
        opportunities.get(conn, office.asha, made)
    line.up(port)
    with database.read() as conn:
        assert made == opportunities.get(conn, office.asha, made).id
    database.dispose()


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("limit", "slow", "said"),
    [
        ("statement_timeout", "SELECT pg_sleep(5)", "took too long"),
        ("lock_timeout", "LOCK TABLE opportunity", "busy"),
        ("idle_in_transaction_session_timeout", "", "cannot be reached|took too long"),
    ],
)
def test_a_limit_of_the_server_is_told_in_a_sentence(office: Office, limit: str, slow: str, said: str) -> None:
    """G9: and every connection has all three limits."""
    made = office.opportunity()

    def wait(conn: Connection) -> None:
        assert "0" != conn.exec_driver_sql(f"SHOW {limit}").scalar()
        conn.exec_driver_sql(f"SET LOCAL {limit} = '100ms'")
        if slow:
            conn.exec_driver_sql(slow)
        else:
            time.sleep(0.3)
            opportunities.edit(conn, office.asha, made, {"title": "x"})

    with office.owner.write() as holder:
        holder.exec_driver_sql("LOCK TABLE opportunity IN SHARE MODE")
        with pytest.raises(Unavailable, match=said):
            office.owner.submit(wait)
    assert made == office.ask(opportunities.get, office.asha, made).id


# Interruptions


def test_two_hundred_interrupted_runs_leave_nothing_open(office: Office) -> None:
    """G18, G17: in reading, in writing and in a command, at its beginning and at its end."""
    made, database = office.opportunity(), office.database

    def interrupted(conn: Connection, after: bool) -> None:
        if after:
            opportunities.edit(conn, office.asha, made, {"title": "Half"})
        raise Interrupted

    def page(run: int) -> None:
        if run % 3 == 0:
            office.do(interrupted, run % 2 == 0)
        with database.read() if run % 3 == 1 else database.write() as conn:
            opportunities.get(conn, office.asha, made)
            interrupted(conn, run % 3 == 2 and run % 2 == 0)

    for run in range(200):
        with pytest.raises(Interrupted):
            page(run)
    assert 0 == database.engine.pool.checkedout()  # type: ignore[attr-defined]
    if office.name == "postgresql":
        found = office.sql("SELECT state FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'")
        assert [("active",)] == [tuple(row) for row in found]
    else:
        other = sqlite3.connect(place(database), timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.close()
    row = office.ask(opportunities.get, office.asha, made)
    assert (None, 1) == (row.title, row.version)


def test_an_interruption_after_the_commit_undoes_nothing(office: Office) -> None:
    """G16: the page ends there; its next run shows the record, once."""
    given = first(office)

    def page() -> int:
        made = office.do(opportunities.create, office.asha, given, token="one")
        if office.count("submit") and not runs:
            runs.append(made)
            raise Interrupted
        return int(made)

    runs = list[int]()
    with pytest.raises(Interrupted):
        page()
    assert runs == [page()]
    assert 1 == office.count("opportunity")


def test_a_bug_of_the_program_is_not_told_as_a_fault_of_the_database(office: Office) -> None:
    """It belongs in the log, with everything it says."""
    with pytest.raises(DBAPIError):
        office.sql("SELECT nothing FROM nowhere")
    assert 1 == office.do(opportunities.edit, office.asha, office.opportunity(), {"title": "x"})
