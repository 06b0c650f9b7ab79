"""PostgreSQL defends itself: what the app's own role reads and writes when the program has erred."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError

from crm_core import __main__ as command_line
from crm_core import access, offers, opportunities, pipeline, roles, sql, users, walls
from crm_core import database as databases
from crm_core.database import Database, open_database
from crm_core.errors import Conflict, Invalid, NotAllowed, Refusal, Unavailable
from crm_core.schema import LISTS, lead, metadata, offer, opportunity
from crm_core.slices import Slice
from pages import _server
from tests.conftest import Office, furnish

pytestmark = pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)

SCOPED = ("opportunity", "lead", "offer", "transition", "audit")
HISTORY = ("transition", "audit", "denial", "audit_seal")
KEPT = ("stage", "move", "role_grant", "setting", "alembic_version")
REFUSED = (Refusal, DBAPIError)
RAW = (
    "INSERT INTO opportunity (customer_id, region, business_unit, product, value_paise, owner_id, status, created_at, "
    "created_by_id, status_at, version) SELECT max(id), 'coimbatore', 'water', 'pump', 100, {owner}, 'open', now(), "
    "{by}, now(), 1 FROM customer"
)


@pytest.fixture
def busy(office: Office) -> Office:
    """An office with deals, leads and offers of two engineers."""
    home, other = office.customer(), office.customer("Vel Mills")
    mine = office.at("offer_made", "asha", customer_id=home, application_engineer_id=office.arun.user_id)
    theirs = office.at("offer_made", "ravi", customer_id=home)
    office.at("lost", "ravi", customer_id=other)
    for made, number in ((mine, "Q-1"), (theirs, "Q-2")):
        office.do(opportunities.link_offer, office.kavya, made, office.offer(home, number))
    office.offer(home, "Q-3")
    office.offer(other, "Q-4")
    office.lead("asha")
    office.lead("ravi", "new")
    return office


def counted(office: Office, by: str | None = None) -> dict[str, int]:
    return {table: office.app_sql(f"SELECT count(*) FROM {table}", by)[0][0] for table in SCOPED}


def everything(office: Office) -> dict[str, int]:
    return {table: office.count(table) for table in SCOPED}


# Reading


def test_who_names_nobody_reads_nothing(busy: Office) -> None:
    """A20: a query past the program, in every way there is."""
    assert all(everything(busy).values())
    assert dict.fromkeys(SCOPED, 0) == counted(busy)
    with busy.database.read() as conn:
        assert [] == conn.execute(select(opportunity)).fetchall()
        assert [] == conn.execute(text("SELECT * FROM lead")).fetchall()
        assert 0 == len(pd.read_sql("SELECT * FROM offer", conn))
        with conn.connection.driver_connection.cursor().copy("COPY (SELECT * FROM audit) TO STDOUT") as copied:
            assert [] == list(copied.rows())


@pytest.mark.parametrize("named", ["999999", "-1", "", "{asha}; 1", "asha", "99999999999999999999"])
def test_who_is_nobody_reads_nothing(busy: Office, named: str) -> None:
    """A20: an unknown id, none, and no id at all: nothing or an error."""
    try:
        with busy.database.read() as conn:
            conn.execute(text("SELECT set_config('crm.user_id', :named, true)"), {"named": named})
            seen = sum(conn.scalar(text(f"SELECT count(*) FROM {table}")) for table in SCOPED)
    except REFUSED:
        seen = 0
    assert 0 == seen


def test_who_left_reads_nothing(busy: Office) -> None:
    """A20: even where the program forgot to look."""
    busy.do(users.deactivate, busy.meena, busy.kavya.user_id)
    with busy.database.read() as conn:
        conn.execute(text("SELECT set_config('crm.user_id', :id, true)"), {"id": str(busy.kavya.user_id)})
        assert [0, 0, 0] == [conn.scalar(text(f"SELECT count(*) FROM {t}")) for t in SCOPED[:3]]


def test_everybody_reads_past_the_program_what_the_program_shows_them(busy: Office) -> None:
    """A20: opportunities, leads and offers by the core's own clauses; transitions and audit with their records."""
    for name, actor in busy.people.items():
        with busy.owner.read() as conn:
            asking = access.person(conn, actor)
            clauses = (
                (opportunity, access.visible_to(asking)),
                (lead, access.leads_visible_to(asking)),
                (offer, access.offers_visible_to(asking)),
            )
            shown = {t.name: set(conn.scalars(select(t.c.id).where(clause))) for t, clause in clauses}
        read = {t: {row[0] for row in busy.app_sql(f"SELECT id FROM {t}", name)} for t in shown}
        assert shown == read, name
        moved = {row[0] for row in busy.app_sql("SELECT opportunity_id FROM transition", name)}
        assert shown["opportunity"] == moved, name
        told = busy.sql("SELECT id, entity, entity_id FROM audit")
        wanted = {
            row.id
            for row in told
            if asking.may("audit.read")
            or row.entity == "customer"
            or int(row.entity_id if row.entity in shown else 0) in shown.get(row.entity, ())
        }
        assert wanted == {row[0] for row in busy.app_sql("SELECT id FROM audit", name)}, name
    assert everything(busy) == counted(busy, "meena")


def test_an_offer_linked_out_of_sight_is_not_free(busy: Office) -> None:
    """Row security must not hide the link that hides the offer."""
    assert {"Q-1", "Q-3"} == {row[0] for row in busy.app_sql("SELECT number FROM offer", "asha")}
    home = busy.sql("SELECT min(customer_id) FROM offer")[0][0]
    assert ["Q-3"] == list(busy.ask(offers.linkable, busy.asha, home).values())


def test_a_pooled_connection_forgets_whom_it_was_for(busy: Office) -> None:
    """A20: after a commit, after an error, on the very same connection."""
    seen = set()

    def nobodys() -> int:
        with busy.database.read() as conn:
            seen.add(conn.scalar(text("SELECT pg_backend_pid()")))
            return int(conn.scalar(text("SELECT count(*) FROM opportunity")))

    assert 3 == busy.ask(pipeline.listing, busy.kavya, Slice()).count
    assert 0 == nobodys()
    with pytest.raises(Invalid):
        busy.do(opportunities.create, busy.kavya, {})
    assert 0 == nobodys()
    with pytest.raises(NotAllowed):
        busy.ask(lambda conn, actor: access.person(conn, actor) and access.require(conn, actor, "import"), busy.kavya)
    assert 0 == nobodys()
    assert 1 == len(seen)


def test_a_read_sees_one_moment_and_sends_nothing_but_what_it_asks(busy: Office, tmp_path: Path) -> None:
    """On the connection that was used last, whose statements are prepared, however many lie in the pool."""
    level = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    with busy.database.write() as conn:
        line: Any = conn.connection.dbapi_connection
        assert [("read committed", "off")] == conn.exec_driver_sql(level).fetchall()
        with busy.database.read():
            pass
    with (tmp_path / "told").open("w") as told:
        line.pgconn.trace(told.fileno())
        with busy.database.read() as conn:
            assert line is conn.connection.dbapi_connection
            assert [("repeatable read", "on")] == conn.exec_driver_sql(level).fetchall()
        line.pgconn.untrace()
    sent = [row.split("\t")[3] for row in (tmp_path / "told").read_text().splitlines() if row.split("\t")[1] == "F"]
    assert ["Query"] * 3 == sent  # to begin, what is asked, to commit


def test_a_connection_keeps_what_all_pages_ask_prepared(busy: Office) -> None:
    """From the third time on; what is thrown out by others would be planned anew each time."""
    with busy.database.read() as conn:
        for number in range(databases.PREPARED - 10):
            for _ in range(3):
                conn.exec_driver_sql(f"SELECT {number}")
        kept = conn.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ '^SELECT [0-9]+$'")
        assert databases.PREPARED - 10 == kept.scalar()


def test_what_could_leak_past_row_security_is_not_there(busy: Office) -> None:
    """A20: views run as their reader, nothing is materialised, every table with people's data has its policies."""
    views = busy.sql("SELECT relname, reloptions FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 2200")
    assert [] == [name for name, options in views if "security_invoker=true" not in (options or [])]
    rows = busy.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200 AND NOT relrowsecurity")
    assert set(KEPT) == {row[0] for row in rows}
    loose = "prosecdef AND NOT coalesce('search_path=public, pg_temp' = ANY(proconfig), false)"
    anybody = "has_function_privilege('public', oid, 'EXECUTE')"
    made = (
        "FROM pg_proc WHERE pronamespace = 2200 AND (starts_with(proname, 'crm_') OR prorettype = 'trigger'::regtype)"
    )
    assert [] == busy.sql(f"SELECT proname {made} AND ({loose} OR {anybody})")


def test_what_every_statement_asks_is_planned_once(busy: Office) -> None:
    """A policy asks who may; a function in SQL would be planned anew for each statement, which takes longer than most."""
    asked = ", ".join(f"'crm_{name}'" for name in ("may", *sql.PAST_SCOPE))
    found = busy.sql(
        f"SELECT l.lanname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.proname IN ({asked})"
    )
    assert [("plpgsql",)] * 3 == found
    ours = "prorettype = 'trigger'::regtype AND pronamespace = 2200"
    kept = "prosecdef AND 'plan_cache_mode=force_generic_plan' = ANY (proconfig)"
    assert [] == busy.sql(f"SELECT proname FROM pg_proc WHERE {ours} AND NOT ({kept})")


def test_the_app_is_bound_by_row_security_and_the_owner_is_not(busy: Office) -> None:
    """A20: the app's connection is the owner's in no way."""
    with busy.database.read() as conn, busy.owner.read() as owning:
        assert (False, True) == (walls.bypassed(conn), walls.bypassed(owning))
    name = busy.database.engine.url.username
    mighty = "rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication"
    assert [(False,)] == busy.sql(f"SELECT {mighty} FROM pg_roles WHERE rolname = '{name}'")


def test_the_app_does_not_serve_what_it_reads_as_the_owner(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A20: the owner stands before the walls, so the app says what to name instead."""
    for opened in (busy.owner, busy.database):
        monkeypatch.setenv("CRM_DATABASE_URL", opened.engine.url.render_as_string(hide_password=False))
        if opened is busy.owner:
            with pytest.raises(Unavailable, match="must not sign in to PostgreSQL as the owner"):
                _server.database()
        else:
            _server.database().dispose()


# Writing


def refused(office: Office, statement: str, by: str | None = "meena") -> str:
    with pytest.raises(REFUSED) as why:
        office.app_sql(statement, by)
    return str(why.value.__cause__ or why.value)


@pytest.mark.parametrize("table", [*HISTORY, *KEPT])
def test_nobody_rewrites_history_or_what_the_rules_consult(busy: Office, table: str) -> None:
    """A20, B12: not even an org admin's transaction; and sealing the audit is for the owner."""
    column = busy.sql(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")[0][0]
    statements = [f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"]
    if table in (*KEPT, "audit_seal"):
        statements.append(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1")
    for statement in statements:
        assert "permission denied" in refused(busy, statement)


def test_nobody_deletes_anything(busy: Office) -> None:
    """B12: there is no right to delete, on any table."""
    for table in metadata.tables:
        assert "permission denied" in refused(busy, f"DELETE FROM {table}")
    for statement in ("DROP TABLE lead", "ALTER TABLE lead DISABLE ROW LEVEL SECURITY", "CREATE TABLE x (y int)"):
        refused(busy, statement)
    for statement in ("SET ROLE postgres", "SET session_replication_role = replica", "SET row_security = off"):
        refused(busy, f"{statement}; SELECT count(*) FROM lead")


@pytest.mark.parametrize(
    "change",
    [
        *("status = 'won'", "won_value_paise = 1", "reason = 'price'", "note = 'x'", "closed_at = now()", "id = 999"),
        *("status_at = now()", "created_at = now()", "created_by_id = 1", "source_lead_id = 1", "external_ref = 'x'"),
    ],
)
def test_a_status_or_a_beginning_cannot_be_written_at_all(busy: Office, change: str) -> None:
    """A20, B1: the app has no right on these columns; `transition` moves a status."""
    assert "permission denied" in refused(busy, f"UPDATE opportunity SET {change}, version = version + 1")


def test_who_names_nobody_writes_nothing(busy: Office) -> None:
    """A20: every table that commands change, every row that they add."""
    for table, columns in walls.CHANGES.items():
        first = columns.split()[0]
        before = busy.sql(f"SELECT * FROM {table} ORDER BY 1")
        with suppress(*REFUSED):
            assert 0 == busy.app_sql(f"UPDATE {table} SET {first} = {first}"), table
        assert before == busy.sql(f"SELECT * FROM {table} ORDER BY 1")
    me = busy.meena.user_id
    for statement in (
        RAW.format(owner=me, by=me),
        "INSERT INTO customer (company, search, name_key, created_at, created_by_id) "
        f"VALUES ('x', 'x', 'x', now(), {me})",
        "INSERT INTO transition SELECT opportunity_id, seq + 1, 'make_offer', to_status, 'offer_made', now(), now(), "
        "by_id FROM transition",
        "INSERT INTO audit (at, recorded_at, by_id, by_name, action, entity, entity_id, before, after) "
        f"VALUES (now(), now(), {me}, 'Meena', 'edit', 'lead', '1', '{{}}', '{{}}')",
        f"INSERT INTO submit (token, by_id, command, at) VALUES ('t', {me}, 'x', now())",
        f"INSERT INTO identity (user_id, issuer, subject, bound_at) VALUES ({me}, 'i', 's', now())",
        "INSERT INTO app_user (name, email, email_key, role, created_at) "
        "VALUES ('X', 'x@x.in', 'x@x.in', 'org_admin', now())",
        *(f"INSERT INTO {table} (code, label, position) VALUES ('x', 'X', 9)" for table in LISTS),
    ):
        if statement.startswith("INSERT INTO transition"):
            assert 0 == busy.app_sql(statement)  # no row is read that could be gone on from
        else:
            assert "row-level security" in refused(busy, statement, None)


def test_only_a_manager_gives_a_record_away_or_grabs_one(busy: Office) -> None:
    """A8: by raw SQL in the engineer's own transaction."""
    for table in ("opportunity", "lead"):
        give = f"UPDATE {table} SET owner_id = {{}}, version = version + 1 WHERE owner_id = {busy.asha.user_id}"
        assert access.DENIALS["opportunity.reassign"] in refused(busy, give.format(busy.ravi.user_id), "asha")
        for name in ("ravi", "arun", "devi"):
            assert 0 == busy.app_sql(give.format(busy.people[name].user_id), name)
        assert 1 == busy.app_sql(give.format(busy.ravi.user_id), "kavya")


def test_nobody_creates_a_record_in_anothers_name(busy: Office) -> None:
    """A8, H6: neither for another owner, nor by another hand."""
    asha, ravi = busy.asha.user_id, busy.ravi.user_id
    for owner, by in ((ravi, asha), (asha, ravi), (ravi, ravi)):
        assert "row-level security" in refused(busy, RAW.format(owner=owner, by=by), "asha")
    assert "row-level security" in refused(busy, RAW.format(owner=asha, by=busy.devi.user_id), "devi")
    assert 1 == busy.app_sql(RAW.format(owner=asha, by=asha), "asha")


def test_history_names_whoever_the_transaction_is_for(busy: Office) -> None:
    """H6: a transition and an audit row in another's name are refused, in one's own they pass."""
    made = busy.opportunity("asha")
    move = (
        "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id) "
        f"VALUES ({made}, 2, 'make_offer', 'open', 'offer_made', now(), now(), {{}})"
    )
    entry = (
        "INSERT INTO audit (at, recorded_at, by_id, by_name, action, entity, entity_id, before, after) "
        f"VALUES (now(), now(), {{}}, 'Kavya', 'edit', 'opportunity', '{made}', '{{{{}}}}', '{{{{}}}}')"
    )
    for statement in (move, entry):
        for another in (busy.kavya.user_id, "NULL"):
            refused(busy, statement.format(another), "asha")
        assert 1 == busy.app_sql(statement.format(busy.asha.user_id), "asha")


def test_nobody_moves_a_record_that_is_not_theirs(busy: Office) -> None:
    """H6, B1: in their own name neither."""
    made = busy.opportunity("ravi")
    refused(
        busy,
        "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id) "
        f"VALUES ({made}, 2, 'make_offer', 'open', 'offer_made', now(), now(), {busy.asha.user_id})",
        "asha",
    )


@pytest.mark.parametrize("name", ["asha", "arun", "devi", "kavya"])
def test_nobody_but_an_org_admin_changes_a_role(busy: Office, name: str) -> None:
    """I16: an engineer their own, a manager anybody's."""
    rise = f"UPDATE app_user SET role = 'org_admin', version = version + 1 WHERE id = {busy.people[name].user_id}"
    assert "row-level security" in refused(busy, rise, name)
    assert 1 == busy.app_sql(rise, "meena")


def test_an_account_is_bound_to_oneself_only(busy: Office) -> None:
    """I2: whoever signs in binds no other user's account."""
    bind = "INSERT INTO identity (user_id, issuer, subject, bound_at) VALUES ({}, 'https://id.example', 'a', now())"
    assert "row-level security" in refused(busy, bind.format(busy.meena.user_id), "asha")
    assert 1 == busy.app_sql(bind.format(busy.asha.user_id), "asha")
    assert 0 == busy.app_sql("UPDATE identity SET signed_out_at = now()", "ravi")
    assert 1 == busy.app_sql("UPDATE identity SET signed_out_at = now()", "asha")


def test_no_table_of_ones_own_takes_the_place_of_the_rules(busy: Office) -> None:
    """A20: neither hangs a trigger that runs as the owner onto it, nor stands before the real one."""
    made = busy.opportunity("asha")
    hang = (
        "CREATE TEMP TABLE mine (opportunity_id bigint, seq int, to_status text); "
        "CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION effect_transition_insert()"
    )
    stand_before = (
        "CREATE TEMP TABLE move AS SELECT * FROM move; "
        "UPDATE move SET to_status = 'lost' WHERE name = 'make_offer'; "
        "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id) "
        f"VALUES ({made}, 2, 'make_offer', 'open', 'lost', now(), now(), {busy.asha.user_id})"
    )
    assert "permission denied for function" in refused(busy, hang, "asha")
    assert "This move is not allowed" in refused(busy, stand_before, "asha")
    assert "open" == busy.ask(opportunities.get, busy.asha, made).status


# Backup


def tool(name: str) -> str:
    return str(sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1] / name)


def dump(address: str, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = [tool("pg_dump"), "--format=custom", f"--file={file}", *more, address]
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def checksums(office: Database) -> dict[str, tuple[int, str]]:
    with office.read() as conn:
        return {
            t: tuple(
                conn.execute(text(f"SELECT count(*), md5(string_agg(r::text, '|' ORDER BY r::text)) FROM {t} r")).one()
            )
            for t in (*metadata.tables, "alembic_version")
        }


@pytest.mark.parametrize("more", [(), ("--enable-row-security",), ("--enable-row-security", "--table=opportunity")])
def test_a_backup_as_the_app_fails_loudly(busy: Office, addresses: tuple[str, str], tmp_path: Path, more: Any) -> None:
    """G14: no half backup that looks like one."""
    done = dump(addresses[0], tmp_path / "dump", *more)
    assert done.returncode != 0
    assert "permission denied" in done.stderr or "row-level security" in done.stderr


def test_the_owners_backup_is_whole_once_restored(busy: Office, addresses: tuple[str, str], tmp_path: Path) -> None:
    """G14: the drill: dump, restore into a new database, compare every table; the walls stand there too."""
    assert 0 == dump(addresses[1], tmp_path / "dump").returncode
    app, owner = (make_url(address) for address in addresses)
    name = f"{owner.database}_restored"
    with psycopg.connect(addresses[1], autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    there = owner.set(database=name).render_as_string(hide_password=False)
    subprocess.run([tool("pg_restore"), "--exit-on-error", f"--dbname={there}", str(tmp_path / "dump")], check=True)
    restored, as_app = open_database(there, owner=True), open_database(app.set(database=name).render_as_string(False))
    try:
        assert checksums(busy.owner) == checksums(restored)
        again = Office(as_app, lambda: restored)
        assert dict.fromkeys(SCOPED, 0) == counted(again)
        assert counted(busy, "asha") == counted(again, "asha")
        again.do(opportunities.edit, again.asha, again.opportunity("asha"), {"title": "After the restore"})
    finally:
        restored.dispose()
        as_app.dispose()
        with psycopg.connect(addresses[1], autocommit=True) as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Making the roles


@pytest.fixture
def empty(addresses: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """A new database with an owner of its own who may make roles, and an address for an app that is not there yet."""
    server = make_url(addresses[1])
    name = f"{server.database}_new"
    with psycopg.connect(addresses[1], autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'own'")
        conn.execute(f"CREATE DATABASE {name} OWNER {name}")
    owner = server.set(username=name, password="own", database=name)
    app = owner.set(username=f"{name}_app", password="it's “secret”: 100%")
    yield app.render_as_string(False), owner.render_as_string(False)
    with psycopg.connect(addresses[1], autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        conn.execute(f"DROP ROLE IF EXISTS {name}_app")
        conn.execute(f"DROP ROLE {name}")


def init(monkeypatch: pytest.MonkeyPatch, app: str, owner: str) -> int:
    monkeypatch.setenv("CRM_DATABASE_URL", app)
    monkeypatch.setenv("CRM_OWNER_URL", owner)
    return command_line.main(["init", "--postgres"])


def test_init_makes_the_roles_and_says_their_rights(
    empty: tuple[str, str], addresses: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A20: twice alike; the password is stored as a verifier and shown nowhere; the app works and owns nothing."""
    said = []
    for _ in range(2):
        assert 0 == init(monkeypatch, *empty)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "GRANT SELECT ON alembic_version" in said[0]
    assert "secret" not in said[0]
    app = make_url(empty[0])
    with psycopg.connect(addresses[1]) as conn:
        found = conn.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (app.username,)).fetchone()
    assert found is not None
    assert found[0].startswith("SCRAM-SHA-256$")
    owner, opened = open_database(empty[1], owner=True), open_database(empty[0])
    try:
        furnish(owner)
        office = Office(opened, lambda: owner)
        office.opportunity("asha")
        assert (0, 1) == (counted(office)["opportunity"], counted(office, "asha")["opportunity"])
    finally:
        opened.dispose()
        owner.dispose()


def test_many_inits_at_once_make_the_roles_once(empty: tuple[str, str]) -> None:
    """F10: four processes start together."""
    environment = os.environ | {"CRM_DATABASE_URL": empty[0], "CRM_OWNER_URL": empty[1]}
    command = [sys.executable, "-m", "crm_core", "init", "--postgres"]

    def run(_number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))
    assert [0] * 4 == [d.returncode for d in done], [d.stderr for d in done]


def test_an_owner_who_may_not_make_roles_is_told_what_to_run(
    empty: tuple[str, str], addresses: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The sentences hold the SQL; once somebody ran it, the same command goes through."""
    app, owner = (make_url(address) for address in empty)
    with psycopg.connect(addresses[1], autocommit=True) as conn:
        conn.execute(f"ALTER ROLE {owner.username} NOCREATEROLE")
        assert 1 == init(monkeypatch, *empty)
        said = capsys.readouterr().err.splitlines()
        assert f'GRANT "crm_app" TO "{app.username}";' in said
        for line in said[1:]:
            if "NOLOGIN" not in line:  # the group is there from the other tests of this server
                conn.execute(line)
    assert 0 == init(monkeypatch, *empty)


def test_the_apps_address_is_neither_the_owners_nor_a_mighty_ones(
    office: Office, addresses: tuple[str, str], tmp_path: Path
) -> None:
    """A20: an app that is the owner would stand before the walls."""
    app = make_url(addresses[0])
    name = f"{app.database}_mighty"
    office.sql(f"CREATE ROLE {name} LOGIN BYPASSRLS")
    try:
        for wrong in (addresses[1], f"sqlite:///{tmp_path / 'x'}", "", "postgresql://", f"{app.set(username=name)}"):
            with pytest.raises(Invalid):
                roles.make(office.owner, wrong)
        with pytest.raises(Invalid, match="could pass row security"):
            roles.make(office.owner, app.set(username=name).render_as_string(False))
        assert [(True,)] == office.sql(f"SELECT rolbypassrls FROM pg_roles WHERE rolname = '{name}'")
    finally:
        office.sql(f"DROP ROLE {name}")


def test_a_stale_save_and_a_foreign_one_look_as_before(busy: Office) -> None:
    """The program's own sentences come first; the walls are for when it errs."""
    made = busy.opportunity("ravi")
    with pytest.raises(NotAllowed, match="choose another owner"):
        busy.do(opportunities.edit, busy.ravi, made, {"owner_id": busy.asha.user_id})
    with pytest.raises(Conflict):
        busy.do(opportunities.edit, busy.ravi, made, {"title": "x"}, seen=7)


def test_the_courses_are_counted_past_the_scope_for_an_active_user_alone(busy: Office) -> None:
    """A2: numbers of all, for somebody who sees two deals; none for nobody, nor for who has left."""
    asked = "SELECT sum(deals), sum(won) FROM crm_learnt(99991231, 0, 9999)"
    wanted = busy.app_sql(asked, "kavya")
    assert wanted[0][0] > 3
    assert wanted == busy.app_sql(asked, "arun")
    assert [(None, None)] == busy.app_sql(asked)
    left = busy.asha.user_id
    busy.do(users.deactivate, busy.meena, left)
    for who, told in ((left, None), (busy.arun.user_id, wanted[0][0])):
        with busy.database.read() as conn:
            conn.exec_driver_sql(f"SELECT set_config('crm.user_id', '{who}', true)")
            assert told == conn.exec_driver_sql(asked).one()[0]
