"""Many at once are what they would have been one by one, on both databases; and what breaks a rule is not saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from crm_core import __main__ as command_line
from crm_core import batches, clock, courses, imports, opportunities, pipeline, standings, tallies
from crm_core.database import Database, open_database
from crm_core.errors import Conflict, Refusal, Unavailable
from crm_core.slices import Slice
from tests.conftest import Office, copied
from tests.test_imports import GOOD, MAVEN, folder

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

DAY = datetime(2026, 11, 24, 6, tzinfo=UTC)
STAGES = """
[opportunities.stage.moves]
Back = [
    { move = "lose", on = "engage_date", set = { reason = { text = "Not stated" }, note = { text = "Too dear" } } },
    { move = "reopen", on = "close_date", set = { note = { text = "They called again" } } },
    { move = "make_offer", on = "close_date" },
    { move = "win", on = "close_date", set = { won_value = { column = "close_value" } } },
]
Refused = [{ move = "reject", on = "close_date", set = { reason = { text = "No budget" } } }]
Unnamed = [{ move = "reject", on = "close_date", set = { reason = { text = "Never heard of" } } }]
"""
MORE = """
next_step_on = { column = "close_date" }
application_engineer_id = { column = "sales_agent" }
"""
#: Good rows of every course, and every kind of fault beside them.
ROWS = (
    *(GOOD.format(n) for n in range(1, 6)),
    "B1,Ann Lee,GTXPro,Acme,Lost,2017-01-05,2017-01-05,0",
    "B2,Ann Lee,MG Special,Acme,Back,2017-01-05,2017-03-31,55.50",
    "B3,Ann Lee,MG Special,Acme,Prospecting,,,",
    "B4,Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
    "B5,Ann Lee,MG Special,Acme,Refused,2017-01-05,2018-04-01,",
    "B6,Ann Lee,MG Special,Acme,Back,2017-01-05,2017-03-31,7",
    "C1,Ann Lee,MG Special,,Won,2017-01-05,2017-02-01,55",
    "C2,Ann Lee,MG Special,Acme,Engaging,01/05/2017,,",
    "C3,Ann Lee,MG Special,Acme,Engaging,2999-01-05,,",
    "C4,Nobody,MG Special,Acme,Engaging,2017-01-05,,",
    "C5,Ann Lee,MG Special,Acme,Won,2017-02-05,2017-02-01,55",
    "C6,Ann Lee,MG Special,Acme,Won,2017-01-05,2017-02-01,-5",
    "C7,Ann Lee,MG Special,Acme,Won,2017-01-05,,5",
    "C8,Ann Lee,MG Special,Acme,Won,2017-01-05,2017-02-01,",
    "C9,Ann Lee,MG Special,Acme,Sold,2017-01-05,2017-02-01,5",
    "D1,Ann Lee,MG Special,Acme,Unnamed,2017-01-05,2017-02-01,5",
    "D2,Ann Lee",
    "D3,Ann Lee,MG Special,Acme,Won,2017-01-05,2999-02-01,5",
    GOOD.format(1),
    "C4,Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
    ",Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
    "B7,Ann Lee,GTX Pro,Acme,Won,2017-01-05,2017-02-01,4000",
)
TABLES = {
    "opportunity": "id",
    "transition": "opportunity_id, seq",
    "standing": "id, version",
    "audit": "id",
    "tally": "lead, owner_id, at, key, status, business_unit, product",
    "course": "status, first, band, known",
    "win": "status, first, band, seen, days",
}


class OneByOne:
    """What takes a batch's place here: each opportunity through the verbs of a person, in a savepoint of its own."""

    def __init__(self, conn: Connection, actor: Any) -> None:
        self.conn, self.actor = conn, actor

    def add(self, values: Any, moves: Any, at: datetime, external_ref: str) -> None:
        with self.conn.begin_nested():
            made = opportunities.create(self.conn, self.actor, values, at=at, external_ref=external_ref)
            for name, asked, when in moves:
                opportunities.move(self.conn, self.actor, made, name, asked, at=when)


@contextmanager
def one_by_one(conn: Connection, actor: Any) -> Iterator[OneByOne]:
    yield OneByOne(conn, actor)


class Then:
    """A database on one day."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.database.write() as conn:
            clock.start(conn, DAY)
            yield conn


def mapping(tmp_path: Path, source: str = "maven") -> Path:
    made, text = tmp_path / f"{source}.toml", MAVEN.read_text("utf-8")
    text = text.replace("[opportunities.stage.moves]", STAGES).replace(
        "[opportunities.set]", f"[opportunities.set]{MORE}"
    )
    text = text.replace(
        "[[users]]", '[[lists]]\nlist = "rejected_reason"\nlabel = { text = "No budget" }\n\n[[users]]', 1
    )
    made.write_text(text.replace('currency = ""', 'currency = "INR"').replace('"maven"', f'"{source}"'), "utf-8")
    return made


def kept(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """This function will read all that is kept, with the ids counted from 1: PostgreSQL gives none twice."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with database.read() as conn:
        for table, order in TABLES.items():
            cast = ", CAST(before AS text), CAST(after AS text)" if table == "audit" else ""
            rows = conn.exec_driver_sql(f"SELECT *{cast} FROM {table} ORDER BY {order}").all()
            found[table] = [tuple(str(value) for value in row) for row in rows]
    numbers = {row[0]: str(n) for n, row in enumerate(found["opportunity"], 1)}
    for table in ("opportunity", "transition", "standing"):
        found[table] = [(numbers[row[0]], *row[1:]) for row in found[table]]
    about = [(row, numbers.get(row[7], row[7]) if row[6] == "opportunity" else row[7]) for row in found["audit"]]
    found["audit"] = [(str(n), *row[1:7], which, *row[8:]) for n, (row, which) in enumerate(about, 1)]
    for table, measures in (("tally", 5), ("course", 2), ("win", 1)):
        found[table] = [row for row in found[table] if any(float(value) for value in row[-measures:])]
    return found


def loaded(database: Database, tmp_path: Path) -> tuple[list[str], dict[str, Any]]:
    """This function will import twice, the second time beside what is there already."""
    said = []
    for source, rows in (
        ("maven", ROWS),
        ("again", (*ROWS[5:], "E1,Ann Lee,GTX Pro,Acme,Back,2017-01-05,2017-02-01,9")),
    ):
        report = imports.run(Then(database), mapping(tmp_path, source), folder(tmp_path, *rows))
        said += [*report.lines, report.sentence()]
    return said, kept(database)


@pytest.fixture(params=["sqlite", "postgresql"])
def places(
    request: pytest.FixtureRequest, empty: dict[str, str], postgresql: str, tmp_path: Path
) -> Iterator[list[str]]:
    """The addresses of two empty databases of a kind."""
    kind = empty[request.param]
    with copied(kind, postgresql, tmp_path) as one, copied(kind, postgresql, tmp_path) as other:
        yield [one, other]


def test_an_import_is_what_the_verbs_make_one_by_one(
    places: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Row by row, with the same report; and what is verified agrees, the audit's seal and the index of texts too."""
    monkeypatch.setattr(batches, "CHUNK", 4)
    many, single = (open_database(place, owner=True) for place in places)
    said, found = loaded(many, tmp_path)
    monkeypatch.setattr(batches, "opened", one_by_one)
    told, expected = loaded(single, tmp_path)
    assert told == said
    for table, rows in expected.items():
        assert rows == found[table], table
    assert 21 == len(found["opportunity"])
    for command in ("verify", "audit seal", "audit verify"):
        assert 0 == command_line.main(["--url", places[0], *command.split()])
    assert "The audit is whole" in capsys.readouterr().out
    with pytest.raises((DBAPIError, Refusal)), many.write() as conn:
        conn.exec_driver_sql("UPDATE opportunity SET status = 'won'")
    for database in (many, single):
        database.dispose()


@pytest.mark.parametrize("places", ["postgresql"], indirect=True)
def test_a_move_is_checked_against_its_own_record_however_many_share_its_status(
    places: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger's plan is made while the table is empty; through the status it would read all, every time."""
    monkeypatch.setattr(batches, "opened", one_by_one)
    database = open_database(places[0], owner=True)
    imports.run(database, MAVEN, folder(tmp_path, *map(GOOD.format, range(100))))
    with database.read() as conn:
        conn.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    with database.read() as conn:
        reads = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_opportunity_slice'"
        assert conn.exec_driver_sql(reads).scalar() < 1_000
        assert conn.exec_driver_sql("SELECT count(*) FROM transition").scalar() == 300
    database.dispose()


#: What somebody could write while the rules step aside, and what is said of it.
LIES = (
    ("UPDATE opportunity SET status = 'lost'", "An opportunity is what its history says"),
    ("UPDATE opportunity SET note = 'Mine'", "An opportunity is what its history says"),
    ("UPDATE opportunity SET version = version + 1", "An opportunity is what its history says"),
    ("DELETE FROM transition WHERE seq = 3", "This move is not allowed"),
    ("UPDATE transition SET move = 'win' WHERE move = 'make_offer'", "This move is not allowed"),
    ("UPDATE transition SET from_status = 'won' WHERE move = 'create'", "This move is not allowed"),
    ("DELETE FROM transition WHERE seq = 5", "An opportunity is what its history says"),
    ("DELETE FROM transition WHERE seq = 2", "This move is not allowed"),
    ("UPDATE transition SET won_value_paise = NULL", "A won value goes with winning"),
    ("UPDATE transition SET reason = NULL", "The reason must be an active one"),
    ("UPDATE transition SET note = ' ' WHERE move = 'reopen'", "Reopening needs a reason"),
    (
        "UPDATE transition SET by_id = (SELECT max(id) FROM app_user) WHERE seq > 1",
        "This person may not make this move",
    ),
    ("UPDATE standing SET status = 'lost' WHERE version = 1", "An opportunity starts as Open"),
    ("UPDATE standing SET reason = 'price' WHERE status = 'won'", "The outcome must fit the status"),
    ("UPDATE standing SET region = 'retired' WHERE version = 1", "The region must be"),
    ("UPDATE region SET active = FALSE, version = version + 1", "The region must be an active one"),
    ("UPDATE customer SET active = FALSE, version = version + 1", "The customer must be an active one"),
    (
        "UPDATE app_user SET active = FALSE, version = version + 1 WHERE role = 'sales_engineer'",
        "The sales engineer must",
    ),
)


def deal(office: Office) -> dict[str, Any]:
    values = {"customer_id": office.customer(), "region": "coimbatore", "business_unit": "water", "product": "pump"}
    return values | {"value": "1", "owner_id": office.asha.user_id}


@pytest.mark.parametrize(("lie", "said"), LIES)
def test_what_breaks_a_rule_is_refused_whole(office: Office, lie: str, said: str) -> None:
    """The rules that stepped aside are tried over all that was written; and afterwards they are back."""
    values = deal(office)
    back = [
        ("lose", {"reason": "price"}),
        ("reopen", {"note": "Again"}),
        ("make_offer", {}),
        ("win", {"won_value": "9"}),
    ]
    before = office.count("audit")

    def write(conn: Connection) -> None:
        clock.start(conn, DAY)
        with batches.opened(conn, office.meena) as batch:
            batch.add(values, [(name, asked, DAY) for name, asked in back], DAY, "x:1")
            batch.write()
            conn.exec_driver_sql(lie)

    with pytest.raises(Conflict, match=said):
        office.owner.submit(write)
    assert (0, before) == (office.count("opportunity"), office.count("audit"))
    with pytest.raises(Refusal):
        office.sql(f"UPDATE opportunity SET status = 'won' WHERE id = {office.opportunity()}")


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_refused_import_leaves_no_large_memory_behind(office: Office) -> None:
    """What a connection keeps in memory is its own, and no rollback undoes it."""

    def kept(conn: Connection) -> int:
        return int(conn.exec_driver_sql("PRAGMA cache_size").scalar_one())

    with office.owner.read() as conn:
        before = kept(conn)

    def write(conn: Connection) -> None:
        with batches.opened(conn, office.meena):
            assert kept(conn) < before
            raise Conflict("Nothing of this.")

    with pytest.raises(Conflict, match="Nothing"):
        office.owner.submit(write)
    with office.owner.read() as conn:
        assert before == kept(conn)


def test_what_the_tables_themselves_refuse_is_a_sentence(office: Office) -> None:
    """Also where the driver's own COPY is told so."""
    values = deal(office)

    def write(conn: Connection) -> None:
        with batches.opened(conn, office.meena) as batch:
            for _ in range(2):
                batch.add(values, (), DAY, "x:1")

    with pytest.raises(Conflict, match="imported already"):
        office.owner.submit(write)
    assert 0 == office.count("opportunity")


def test_everybody_reads_while_a_batch_is_written(office: Office) -> None:
    """Whoever saves hears that the database is busy; afterwards both are counted."""
    made, values = office.opportunity(), deal(office)
    with office.owner.write() as conn, batches.opened(conn, office.meena) as batch:
        batch.add(values, (), DAY, "x:1")
        batch.write()
        assert made == office.ask(opportunities.get, office.kavya, made).id
        with pytest.raises(Unavailable, match="busy"):
            office.do(opportunities.edit, office.kavya, made, {"value": "2 lakh"})
    office.do(opportunities.edit, office.kavya, made, {"value": "2 lakh"})
    assert 2 == office.ask(pipeline.listing, office.kavya, Slice()).count
    with office.owner.read() as conn:
        assert [""] * 3 == [beside.verify(conn) for beside in (standings, tallies, courses)]


def test_only_the_owner_imports(office: Office, tmp_path: Path) -> None:
    """The app's role and the authorizer refuse that rules step aside."""
    said = "Only the owner" if office.name == "postgresql" else "its owner must grant it"
    with pytest.raises(Refusal, match=said):
        imports.run(office.database, MAVEN, folder(tmp_path, GOOD.format(1)))
    assert 0 == office.count("opportunity")
