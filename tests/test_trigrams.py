"""What a search finds is what holds the text, letter by letter: with the index and without, for everybody."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import DBAPIError

from crm_core import __main__ as command_line
from crm_core import customers, fields, leads, opportunities, periods, pipeline, slices, trigrams, walks
from crm_core.database import open_database
from crm_core.errors import Refusal
from crm_core.slices import LeadSlice, Slice
from tests.conftest import Office, furnish, older

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

NAMES = (
    *("Amman Mills", "Ammán Mills & Co. 100%", 'O\'Brien "Pumps" (P) Ltd', "a_b%c/d\\e", "/_%", "---", "x"),
    *("அம்மன் ஆலை", "अम्मा पंप निर्माता", "ＷＩＤＥ Ｐｕｍｐｓ", "İstanbul Straße ẞ", "aaaaaaaaaa", "NEAR(pump OR *)"),
    *("x' OR 1=1 --", "水泵有限公司", "😀😀😀 pumps", "two  spaces and\ttabs", "50% off_season/2026"),
)
TAILS = ("", "%", "_", "/", "\\", "'", '"', "*", "^", "-", ":", "(", ")", " AND ", " OR ", "é", "்", "ா", "0", " ")


def text_near(chance: random.Random, stored: list[str]) -> str:
    """This function will take 1 to 8 letters out of what is stored, and often change one of them."""
    of = chance.choice(stored)
    begin = chance.randrange(len(of))
    taken = of[begin : begin + chance.randint(1, 8)]
    if chance.random() < 0.4:
        at = chance.randrange(len(taken) + 1)
        taken = taken[:at] + chance.choice(TAILS) + taken[at + chance.randint(0, 1) :]
    return taken.upper() if chance.random() < 0.1 else taken


def a_varied_company(office: Office) -> list[int]:
    """This function will give the company customers, opportunities and leads of every name, of several owners."""
    made = []
    for number, name in enumerate(NAMES):
        owner = ("asha", "ravi")[number % 2]
        home = office.customer(name, contact=NAMES[-number], email=f"office{number}@mills.in")
        more = {"application_engineer_id": office.arun.user_id} if number % 5 == 0 else {}
        title = NAMES[number * 5 % len(NAMES)] if number % 3 else None
        made.append(office.opportunity(owner, customer_id=home, title=title, **more))
        office.lead(owner, "new", company=name, contact=NAMES[number - 5])
    return made


def found(office: Office, text: str, scanned: bool | None) -> list[tuple[str, list[int], list[int], list[int]]]:
    """This function will tell what each person finds: their name, and ids of opportunities, leads and customers."""
    told = []
    for name, actor in office.people.items():
        with office.database.read() as conn:
            deals = pipeline.ids(conn, actor, Slice(q=text, scanned=scanned))
            listed = pipeline.listing(conn, actor, Slice(q=text, scanned=scanned), per_page=99)
            assert deals == sorted(listed.rows["id"])
            met, found = leads.listing(conn, actor, LeadSlice(q=text, scanned=scanned), per_page=99)
            homes, known = customers.listing(conn, actor, text, per_page=99)
            assert (found.count, known.count) == (len(met), len(homes))
            told.append((name, deals, sorted(met["id"]), sorted(row.id for row in homes)))
    return told


def seen(office: Office) -> tuple[dict[str, Any], list[tuple[str, set[int], set[int]]]]:
    """This function will read every row, and tell which opportunities and leads each person may see."""
    mine = []
    for name, actor in office.people.items():
        with office.database.read() as conn:
            met = leads.listing(conn, actor, LeadSlice(), per_page=99)[0]["id"]
            mine.append((name, set(pipeline.ids(conn, actor, Slice())), set(met)))
    return {table: records(office, table) for table in trigrams.SEARCHED}, mine


def held(every: tuple[dict[str, Any], list[tuple[str, set[int], set[int]]]], text: str) -> list[Any]:
    """This function will tell what `found` does by going through every row."""
    key, (rows, people) = fields.search_key(text), every
    homes = [row.id for row in rows["customer"] if key in row.search]
    deals = [r.id for r in rows["opportunity"] if key in r.search or r.customer_id in homes]
    met = [r.id for r in rows["lead"] if key in r.search]
    return [
        (name, [d for d in deals if d in mine], [m for m in met if m in seen_], homes) for name, mine, seen_ in people
    ]


def records(office: Office, table: str) -> Any:
    return office.sql(f"SELECT * FROM {table} ORDER BY id")


def proven(office: Office) -> str:
    with office.owner.write() as conn:
        return trigrams.verify(conn)


@pytest.mark.parametrize("seed", [1])
def test_the_index_finds_what_holds_the_text(office: Office, seed: int) -> None:
    """For every role, hostile texts too; and still after edits, renames and merges."""
    chance, made = random.Random(seed), a_varied_company(office)
    for turn in range(3):
        every = seen(office)
        stored = [row.search for rows in every[0].values() for row in rows if row.search]
        for text in {text_near(chance, stored) for _ in range(25)}:
            if fields.search_key(text):
                told = held(every, text)
                assert told == found(office, text, None), text
                assert told == found(office, text, True), text
        assert "" == proven(office)
        if turn < 2:
            change(office, chance, made)


def change(office: Office, chance: random.Random, made: list[int]) -> None:
    """This function will edit, rename, merge and take in a few."""
    homes = [row.id for row in records(office, "customer") if row.active]
    for _ in range(6):
        name = f"{chance.choice(NAMES)} {chance.choice(NAMES)}"[:100]
        office.do(customers.edit, office.kavya, chance.choice(homes), {"company": name})
        office.do(opportunities.edit, office.kavya, chance.choice(made), {"title": chance.choice((None, name))})
        new = office.lead(status="new", company=name)
        office.do(leads.edit, office.kavya, new, {"contact": chance.choice(NAMES)})
    office.do(customers.merge, office.kavya, *chance.sample(homes, 2))


def test_a_renamed_customers_opportunities_are_found_by_the_new_name(office: Office) -> None:
    """And no longer by the old one; a merged one's by that of the other."""
    home, other = office.customer("Amman Mills"), office.customer("Sundar Foundry")
    made = office.opportunity(customer_id=home)

    def finds(text: str) -> list[int]:
        return office.ask(pipeline.ids, office.asha, Slice(q=text))

    assert ([made], []) == (finds("man mil"), finds("velan"))
    office.do(customers.edit, office.kavya, home, {"company": "Velan Works"})
    assert ([], [made]) == (finds("man mil"), finds("velan"))
    office.do(customers.merge, office.kavya, home, other)
    assert ([], [made]) == (finds("velan"), finds("foundry"))
    assert [made] == office.ask(pipeline.ids, office.asha, Slice(q="foundry", asof=str(periods.today())))


def test_what_was_not_saved_is_not_found(office: Office) -> None:
    """A save that is refused late leaves nothing behind."""

    def twice(conn: Connection) -> None:
        for name in ("Never Mills", ""):
            customers.create(conn, office.kavya, {"company": name})

    with pytest.raises(Refusal):
        office.do(twice)
    assert ([], walks.Page(0, 1, 1)) == office.ask(customers.listing, office.kavya, "never mills")
    assert "" == proven(office)


def test_a_text_that_many_hold_is_not_asked_of_the_index(office: Office) -> None:
    """The list is the same, and in the same order."""
    many = trigrams.MANY + 1
    office.sql(
        "INSERT INTO lead (contact, company, source, owner_id, status, search, created_at, created_by_id, changed_at, version) "
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}) "
        f"SELECT 'Mani', 'Mill ' || i, 'website', {office.asha.user_id}, 'new', 'mill ' || i || ' mani', "
        f"'2026-01-01T00:00:00.000000+00:00', {office.asha.user_id}, '2026-01-01T00:00:00.000000+00:00', 1 FROM n"
    )
    weigh = {
        text: office.ask(slices.weighed, LeadSlice(q=text)).scanned for text in ("mani", "mill 77", "zz top", "ma")
    }
    assert {"mani": True, "mill 77": False, "zz top": False, "ma": None} == weigh
    pages = [office.ask(leads.listing, office.asha, LeadSlice(q="mani", scanned=s)) for s in (None, True, False)]
    assert [many] * 3 == [turned.count for _rows, turned in pages]
    assert all(pages[0][0].equals(rows) for rows, _turned in pages)
    assert (0, 111) == tuple(
        office.ask(leads.listing, a, LeadSlice(q="mill 77"))[1].count for a in (office.ravi, office.asha)
    )


def test_a_rare_text_reads_no_table_through(office: Office) -> None:
    """What the planners say of the list and of its count, as the app and for each kind of scope."""
    office.opportunity(title="Rare pump")
    said: list[tuple[str, Any]] = []
    event.listen(office.database.engine, "before_cursor_execute", lambda *given: said.append((given[2], given[3])))
    for actor in (office.kavya, office.asha, office.arun):
        office.ask(pipeline.listing, actor, Slice(q="rare pump"))
    office.ask(customers.listing, office.kavya, "rare pump")
    asked = [(statement, given) for statement, given in said if "LIKE" in statement or "holding" in statement]
    assert len(asked) > 5
    through = {"sqlite": ("SCAN opportunity\n", "SCAN opportunity USING", "SCAN today", "SCAN customer\n")}
    explain = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}[office.name]
    for statement, given in asked:
        with office.database.read() as conn:
            if office.name == "postgresql":  # so few rows are else read through, whatever indexes there are
                conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = "".join(f"{row[-1]}\n" for row in conn.exec_driver_sql(explain + statement, given))
        wrong = through.get(office.name, ("Seq Scan on opportunity", "Seq Scan on customer"))
        assert not [line for line in wrong if line in plan], plan


# Whoever errs or lies


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "lie",
    [
        "INSERT INTO customer_search (customer_search, rowid, search) SELECT 'delete', id, search FROM customer",
        "INSERT INTO opportunity_search (rowid, search) VALUES (4711, 'not there')",
        "INSERT INTO lead_search (lead_search) VALUES ('delete-all')",
        "DELETE FROM opportunity_search_data WHERE id > 10",
    ],
)
def test_an_index_that_lies_is_found_and_mended(
    office: Office, addresses: tuple[str, str], lie: str, capsys: Any
) -> None:
    """And until then it hides at most; it shows nothing that does not hold the text."""
    office.opportunity(title="Boiler feed")
    office.lead()
    honest = found(office, "mill", None)
    office.sql(lie)
    assert "is not what the records say" in proven(office)
    assert 1 == command_line.main(["--url", addresses[1], "verify"])
    assert "Run “python -m crm_core rebuild”" in capsys.readouterr().err
    assert 0 == command_line.main(["--url", addresses[1], "rebuild"])
    assert 0 == command_line.main(["--url", addresses[1], "verify"])
    assert honest == found(office, "mill", None)


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_an_index_that_proposes_too_much_shows_no_more(office: Office) -> None:
    """LIKE decides."""
    made = office.opportunity(title="Boiler feed")
    office.sql(f"INSERT INTO opportunity_search (rowid, search) VALUES ({made}, 'secret text')")
    assert [] == office.ask(pipeline.ids, office.asha, Slice(q="secret"))


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_a_missing_index_is_found_and_made(office: Office, addresses: tuple[str, str]) -> None:
    """Until then a search finds the same."""
    a_varied_company(office)
    honest = found(office, "mill", None)
    office.sql("DROP EXTENSION pg_trgm CASCADE")
    assert "The index that finds a customer by a text is not what the records say." == proven(office)
    assert honest == found(office, "mill", None)
    assert office.ask(slices.weighed, Slice(q="mill")).scanned
    assert 0 == command_line.main(["--url", addresses[1], "rebuild"])
    assert "" == proven(office)
    assert not office.ask(slices.weighed, Slice(q="mill")).scanned


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_a_server_without_pg_trgm_does_without(addresses: tuple[str, str]) -> None:
    """So does an owner who may not have it; the schema is made, and a search finds."""
    server = make_url(addresses[1])
    name = f"{server.database}_plain"
    with psycopg.connect(addresses[1], autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'own'")
        conn.execute(f"CREATE DATABASE {name}")
    there = server.set(database=name)
    with psycopg.connect(there.render_as_string(False), autocommit=True) as conn:
        conn.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
    database = open_database(there.set(username=name, password="own").render_as_string(False))
    try:
        furnish(database)
        plain = Office(database)
        made = plain.opportunity(title="Boiler feed")
        assert [made] == plain.ask(pipeline.ids, plain.asha, Slice(q="iler f"))
        assert "" == proven(plain)
        with database.write() as conn:
            assert 0 == trigrams.rebuild(conn)
    finally:
        database.dispose()
        with psycopg.connect(addresses[1], autocommit=True) as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
            conn.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO customer_search (rowid, search) VALUES (1, 'mine')",
        "INSERT INTO customer_search (customer_search) VALUES ('delete-all')",
        "INSERT INTO customer_search (customer_search, rank) VALUES ('automerge', 0)",
        "UPDATE customer_search SET search = 'mine'",
        "DELETE FROM customer_search",
        "DELETE FROM customer_search_data",
        'DELETE FROM "Customer_Search_IDX"',
        "REPLACE INTO [opportunity_search_data] VALUES (1, x'00')",
        "UPDATE lead_search_data SET block = x'00'",
        "UPDATE customer_search_config SET v = 9",
        "DROP TABLE customer_search",
        "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, customer_search, row)",
        "UPDATE sqlite_master SET sql = ''",
    ],
)
def test_only_the_database_itself_writes_the_index(office: Office, statement: str) -> None:
    """The authorizer refuses, or SQLite does, or the inner tables' names."""
    office.opportunity()
    for _turn in range(2):
        with pytest.raises((Refusal, DBAPIError)):
            office.app_sql(statement, "meena")
        office.opportunity()  # which the index took in, on this very connection
    assert "" == proven(office)


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_the_functions_that_search_tell_nobody_of_what_they_may_not_see(office: Office) -> None:
    """A20: past the program too; what they tell of all is only whether very many hold a text."""
    mine, other = office.opportunity("asha", title="Boiler feed"), office.opportunity("ravi", title="Boiler feed")
    taken = office.lead("ravi")
    deals, met = "SELECT crm_opportunity_holding('%%boiler%%')", "SELECT crm_lead_holding('%%mills%%')"
    assert [[mine], [other], [mine, other], []] == [
        sorted(office.app_sql(deals, who)[0][0]) for who in ("asha", "ravi", "devi", "arun")
    ]
    assert [[], [taken]] == [office.app_sql(met, who)[0][0] for who in ("asha", "ravi")]
    assert [([],)] == office.app_sql(deals) == office.app_sql(met)
    assert [(False,)] == office.app_sql("SELECT crm_opportunity_common('%%boiler%%')")
    with pytest.raises((Refusal, DBAPIError)):
        office.app_sql("DROP INDEX ix_customer_search", "meena")


# Older databases, and copies


def test_an_older_database_is_given_its_index(office: Office, addresses: tuple[str, str]) -> None:
    """A migration fills it from the records."""
    a_varied_company(office)
    honest = found(office, "pump", None)
    older(office, "0005")
    open_database(addresses[1], owner=True).dispose()
    assert honest == found(office, "pump", None)
    office.opportunity(title="Another pump")
    assert "" == proven(office)


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_a_copy_is_searched_like_the_original(office: Office, addresses: tuple[str, str], tmp_path: Path) -> None:
    """Backed up, or vacuumed into another file."""
    a_varied_company(office)
    honest = found(office, "pump", None)
    source = sqlite3.connect(str(make_url(addresses[0]).database))
    source.execute(f"VACUUM INTO '{tmp_path / 'vacuumed'}'")
    with sqlite3.connect(tmp_path / "backed_up") as copy:
        source.backup(copy)
    for name in ("vacuumed", "backed_up"):
        copied, owner = (open_database(f"sqlite:///{tmp_path / name}", owner=owner) for owner in (False, True))
        there = Office(copied)
        there.owner = owner
        assert honest == found(there, "pump", None)
        there.opportunity(title="Another pump")
        assert "" == proven(there)
        for database in (copied, owner):
            database.dispose()
