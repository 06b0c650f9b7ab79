"""Reads on a real streaming replica: nobody misses what they saved, and a replica that is away is passed over."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text

from crm_core import logs, opportunities, pipeline, replica, roles, users
from crm_core.database import open_database
from crm_core.errors import NotAllowed, Unavailable
from crm_core.slices import Slice
from tests.conftest import Office, furnish, maintain, postgresql_tool, served, whole

APP = "crm_web_replica"


@pytest.fixture(scope="module")
def primary() -> Iterator[str]:
    """A furnished database on a server of its own, of which copies can be made; its owner's address."""
    home = Path(tempfile.mkdtemp(prefix="crm-primary-"))
    try:
        with served(home, "fsync=off") as address:
            maintain(address, "CREATE DATABASE crm")
            owner = whole(make_url(address).set(database="crm"))
            database = open_database(owner, owner=True)
            furnish(database)
            roles.make(database, whole(make_url(owner).set(username=APP, password=APP)))
            database.dispose()
            yield owner
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Copy:
    """A streaming replica, to be paused and stopped."""

    home: Path
    address: str

    def do(self, function: str) -> None:
        """This function will call a function that only a superuser may call."""
        maintain(self.address, f"SELECT {function}()")

    def control(self, *command: str) -> None:
        """This function will stop it or start it as it was."""
        postgresql_tool(self.home, "pg_ctl", "-D", str(self.home / "data"), "-l", str(self.home / "log"), *command)


@pytest.fixture
def copy(primary: str) -> Iterator[Copy]:
    """A replica that follows the primary."""
    home = Path(tempfile.mkdtemp(prefix="crm-replica-"))
    try:
        made = ("-D", str(home / "data"), "-R", "-c", "fast", "--no-sync")
        postgresql_tool(home, "pg_basebackup", "-d", primary, *made)
        with served(home, "fsync=off") as address:
            yield Copy(home, address)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def team(primary: str, copy: Copy) -> Iterator[Office]:
    """The company as the app opens it where there is a replica."""
    app = make_url(primary).set(username=APP, password=APP)
    there = whole(app.set(port=make_url(copy.address).port))
    database, owner = open_database(whole(app), replica=there), open_database(primary, owner=True)
    yield Office(database, lambda: owner)
    database.dispose()
    owner.dispose()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What the program's log says of the replica."""
    monkeypatch.setattr(logs.named("crm"), "propagate", True)
    caplog.set_level(logging.INFO, "crm")
    return lambda: [record.getMessage() for record in caplog.records if "replica" in record.getMessage().lower()]


def by_replica(office: Office) -> bool:
    """This function will tell whether a read just now is the replica's."""
    return bool(office.ask(lambda conn: conn.scalar(text("SELECT pg_is_in_recovery()"))))


def caught_up(office: Office) -> None:
    """This function will wait until reads are the replica's."""
    for _ in range(200):
        if by_replica(office):
            return
        time.sleep(0.05)
    raise TimeoutError("the replica did not answer")


def test_what_somebody_saved_is_there_at_once_however_late_the_replica_is(team: Office, copy: Copy) -> None:
    """Read your own writes: while the replica waits the primary answers, and then the replica does."""
    made = team.opportunity("asha", title="Before")
    caught_up(team)
    copy.do("pg_wal_replay_pause")
    team.do(opportunities.edit, team.asha, made, {"title": "After"})
    for _ in range(3):
        assert ("After", False) == (team.ask(opportunities.get, team.asha, made).title, by_replica(team))
    copy.do("pg_wal_replay_resume")
    caught_up(team)
    assert "After" == team.ask(opportunities.get, team.asha, made).title


def test_a_click_sees_what_anybody_saved_before_it(team: Office, copy: Copy) -> None:
    """I5, F7: a page begins with a read of the moment; who was deactivated in another process is out at once."""
    caught_up(team)
    copy.do("pg_wal_replay_pause")
    elsewhere = Office(team.owner)
    elsewhere.do(users.deactivate, elsewhere.meena, team.arun.user_id)
    try:
        assert by_replica(team)
        with team.database.read(now=True) as conn:
            assert not conn.scalar(text("SELECT pg_is_in_recovery()"))
        with pytest.raises(NotAllowed):
            team.ask(pipeline.ids, team.arun, Slice())
    finally:
        copy.do("pg_wal_replay_resume")
        elsewhere.do(users.reactivate, elsewhere.meena, team.arun.user_id)


def test_what_others_saved_is_late_by_seconds_at_most(
    team: Office, copy: Copy, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    """A process that saves nothing asks the primary now and then, and passes over a replica that has stayed behind."""
    made = team.opportunity("asha", title="Before")
    caught_up(team)
    monkeypatch.setattr(replica, "LATEST", 0.5)
    copy.do("pg_wal_replay_pause")
    elsewhere = Office(team.owner)
    elsewhere.do(opportunities.edit, elsewhere.kavya, made, {"title": "By another instance"})
    time.sleep(0.6)
    for _ in range(5):
        assert "By another instance" == team.ask(opportunities.get, team.asha, made).title
    time.sleep(0.6)
    assert [False] * 5 == [by_replica(team) for _ in range(5)]
    copy.do("pg_wal_replay_resume")
    caught_up(team)
    assert [replica._BEHIND, replica._AGAIN] == said()


def test_a_replica_that_stops_is_passed_over_and_comes_back(
    team: Office, copy: Copy, monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    """Every reader gets an answer, and the log says it once."""
    monkeypatch.setattr(replica, "PAUSE", 0.3)
    made = team.opportunity("asha", title="There")
    caught_up(team)
    copy.control("stop", "-m", "immediate")
    for _ in range(4):
        assert ("There", False) == (team.ask(opportunities.get, team.asha, made).title, by_replica(team))
        time.sleep(0.2)
    copy.control("-w", "restart")
    caught_up(team)
    assert [replica._AWAY, replica._AGAIN] == said()


def test_row_security_binds_whoever_reads_the_replica(team: Office) -> None:
    """A20: the scope is the same there, in the program and without it."""
    hers, his = team.opportunity("asha"), team.opportunity("ravi")
    caught_up(team)
    for by, found in (("asha", [hers]), ("ravi", [his]), ("kavya", [hers, his])):
        asked = f"SELECT id FROM opportunity WHERE id IN ({hers}, {his}) ORDER BY id"
        with team.database.read() as conn:
            assert conn.scalar(text("SELECT pg_is_in_recovery()"))
            assert [] == conn.execute(text(asked)).fetchall()
            conn.exec_driver_sql(f"SELECT set_config('crm.user_id', '{team.people[by].user_id}', true)")
            assert found == list(conn.scalars(text(asked)))
        assert found == [made for made in (hers, his) if made in team.ask(pipeline.ids, team.people[by], Slice())]


def test_a_replica_that_became_a_primary_is_not_read(team: Office, copy: Copy, primary: str) -> None:
    """It has gone its own way, whatever it still holds."""
    caught_up(team)
    copy.do("pg_promote")
    port = text("SELECT current_setting('port')")
    assert {str(make_url(primary).port)} == {team.ask(lambda conn: conn.scalar(port)) for _ in range(5)}


def test_an_address_that_is_no_replica_of_the_database_is_refused(
    primary: str, postgresql: str, tmp_path: Path, said: Any
) -> None:
    """Another role or database, SQLite, and a server that is no copy of this one."""
    app = make_url(primary).set(username=APP, password=APP)
    for url, other in (
        (whole(app), primary),
        (whole(app), whole(app.set(database="postgres"))),
        (whole(app), "nothing"),
        (f"sqlite:///{tmp_path / 'crm.sqlite3'}", whole(app)),
    ):
        with pytest.raises(Unavailable, match="CRM_REPLICA_URL must name"):
            open_database(url, replica=other)
    stranger = make_url(postgresql)
    maintain(postgresql, f"CREATE ROLE {APP} LOGIN PASSWORD '{APP}'")
    maintain(postgresql, f"CREATE DATABASE crm OWNER {APP}")
    try:
        opened = open_database(whole(app), replica=whole(app.set(host=stranger.host, port=stranger.port)))
        office = Office(opened)
        assert [False] * 3 == [by_replica(office) for _ in range(3)]
        opened.dispose()
        assert [replica.MISPLACED] == said()
    finally:
        maintain(postgresql, "DROP DATABASE crm WITH (FORCE)")
        maintain(postgresql, f"DROP ROLE {APP}")
