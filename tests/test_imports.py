"""Imports: what is loaded, what is reported by its line, and what is refused whole."""

from __future__ import annotations

import csv
import os
import shutil
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from crm_core import access, imports, pipeline, preferences, standings
from crm_core.__main__ import main
from crm_core.database import Database, open_database
from crm_core.errors import Invalid
from crm_core.schema import audit, customer, opportunity, transition
from crm_core.slices import Slice
from tests.conftest import copied

ROOT = Path(__file__).resolve().parent.parent
MAPPINGS = ROOT / "crm_core" / "mappings"
MAVEN = MAPPINGS / "maven.toml"
TENDERS = MAPPINGS / "tenders.toml"
HEADER = "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value"
GOOD = "A{0},Ann Lee,GTX Pro,Acme,Won,2017-01-05,2017-02-01,4000"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, empty, postgresql, tmp_path):
    """An empty database: an import brings its own lists and people."""
    with copied(empty[request.param], postgresql, tmp_path) as address:
        opened = open_database(address, owner=True)
        yield opened
        opened.dispose()


def folder(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    made = tmp_path / "in"
    made.mkdir(exist_ok=True)
    files = {
        "sales_pipeline.csv": [header, *rows],
        "sales_teams.csv": ["sales_agent,manager,regional_office", "Ann Lee,Mo Das,East"],
        "accounts.csv": [
            "account,sector,year_established,revenue,employees,office_location,subsidiary_of",
            "Acme,technolgy,1996,1,2,India,",
        ],
        "products.csv": ["product,series,sales_price", "GTX Pro,GTX,4821", "MG Special,MG,55"],
    }
    for name, lines in files.items():
        (made / name).write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return made


def count(database: Database, table=opportunity) -> int:
    with database.read() as conn:
        return conn.scalar(select(func.count()).select_from(table))


def real(name: str) -> Path:
    found = Path(os.environ.get("CRM_REAL_DATA") or ROOT.parent / "shared" / "data") / name
    if not found.is_dir():
        pytest.skip("real data not present")
    return found


def sums(database: Database) -> tuple[int, Decimal, Decimal]:
    with database.read() as conn:
        row = conn.execute(select(func.count(), func.sum(opportunity.c.value), func.sum(opportunity.c.won_value))).one()
    return row[0], row[1], row[2]


def test_a_small_file_with_the_real_faults(database, tmp_path):
    rows = folder(
        tmp_path,
        GOOD.format(1),
        "A2,Ann Lee,GTXPro,Acme,Lost,2017-01-05,2017-01-05,0",
        "A3,Ann Lee,MG Special,,Won,2017-01-05,2017-02-01,55",
        "A4,Ann Lee,MG Special,Acme,Prospecting,,,",
        "A5,Ann Lee,MG Special,Acme,Engaging,01/05/2017,,",
        "A6,Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
        "A7,Ann Lee,MG Special,Acme,Engaging,2999-01-05,,",
        "A8,Nobody,MG Special,Acme,Engaging,2017-01-05,,",
        "A9,Ann Lee,MG Special,Acme,Won,2017-02-05,2017-02-01,55",
        "B1,Ann Lee,MG Special,Acme,Won,2017-01-05,2017-02-01,-5",
        "B2,Ann Lee,MG Special,Acme,Sold,2017-01-05,2017-02-01,5",
        "B3,Ann Lee",
        "A1,Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
    )
    report = imports.run(database, MAVEN, rows)
    assert report.created["opportunities"] == 4
    assert sums(database) == (4, Decimal(4821 * 2 + 55 * 2), Decimal(4000))
    for line, said in {
        3: "read as “GTX Pro”",
        4: "no account",
        5: "20 Oct 2016",
        6: "not a date",
        8: "future",
        9: "Nobody",
        10: "must lie between",
        11: "zero or more",
        12: "Sold",
        13: "2 fields instead of 8",
        14: "in the file already",
    }.items():
        assert any(f"sales_pipeline.csv line {line}: " in told and said in told for told in report.lines), line
    assert any("accounts.csv line 2: sector “technolgy”" in told for told in report.lines)
    with database.read() as conn:
        assert preferences.is_trial(conn)
        assert preferences.currency(conn) == ""
        row = conn.execute(select(opportunity).where(opportunity.c.external_ref == "maven:A1")).one()
        moves = conn.execute(select(transition).where(transition.c.opportunity_id == row.id)).all()
    assert [move.move for move in moves] == ["create", "make_offer", "win"]
    assert all(move.recorded_at > move.at for move in moves)


def test_the_command_line_imports_and_says_what_it_did(database, tmp_path, capsys):
    url = database.engine.url.render_as_string(hide_password=False)
    assert [0, 0] == [
        main(["--url", url, "users", "list"]),
        main(["--url", url, "import", str(MAVEN), str(folder(tmp_path, GOOD.format(1)))]),
    ]
    said = capsys.readouterr().out
    assert "There are no users yet." in said
    assert "1 opportunities" in said


def test_running_twice_changes_nothing(database, tmp_path):
    rows = folder(tmp_path, GOOD.format(1))
    imports.run(database, MAVEN, rows)
    before = [count(database, table) for table in (opportunity, customer, transition, audit)]
    again = imports.run(database, MAVEN, rows)
    assert not any(again.created.values())
    assert "Nothing new" in again.sentence()
    assert "1 opportunities were there already" in again.sentence()
    assert [count(database, table) for table in (opportunity, customer, transition, audit)] == before


def test_another_currency_is_refused(database, tmp_path):
    rows = folder(tmp_path, GOOD.format(1))
    imports.run(database, MAVEN, rows)
    other = tmp_path / "inr.toml"
    other.write_text(MAVEN.read_text("utf-8").replace('currency = ""', 'currency = "INR"'), "utf-8")
    with pytest.raises(Invalid, match="another currency"):
        imports.run(database, other, rows)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ((HEADER + "\r\n" + GOOD).encode("utf-16"), "line 1: the file is in UTF-16"),
        ((HEADER + "\r\nA1,José").encode("cp1252"), "line 2: the file is not in UTF-8"),
        (HEADER.replace(",", ";").encode(), "must be separated by"),
        ((HEADER + "\r\nA1,\0").encode(), "line 2: the file holds a NUL"),
        ((HEADER + ",version").encode(), "not expected: version"),
        (HEADER.replace("account,", "").encode(), "missing: account"),
        (b"", "line 1: the header"),
        ((HEADER + "\r\n" + "x" * 10_001).encode(), "line 2: a field has more than 10,000"),
        ((HEADER + '\r\nA1,"open').encode(), "not a well-formed CSV"),
    ],
)
def test_j5_j7_an_unreadable_file_is_refused_whole(database, tmp_path, content, said):
    rows = folder(tmp_path)
    (rows / "sales_pipeline.csv").write_bytes(content)
    with pytest.raises(Invalid, match=said) as refused:
        imports.run(database, MAVEN, rows)
    assert "sales_pipeline.csv" in str(refused.value)
    assert count(database, audit) == 0


def test_j5_a_byte_order_mark_is_accepted(database, tmp_path):
    rows = folder(tmp_path)
    (rows / "sales_pipeline.csv").write_bytes((HEADER + "\r\n" + GOOD.format(1)).encode("utf-8-sig"))
    assert imports.run(database, MAVEN, rows).created["opportunities"] == 1


def test_j6_ten_thousand_rows_three_repeated_one_bad(database, tmp_path):
    many = [
        f"N{n},Ann Lee,MG Special,Acme,Engaging,2017-01-05,,".replace("Engaging", "Prospecting") for n in range(9_996)
    ]
    many += [many[0], many[1], many[2], "BAD,Ann Lee,MG Special,Acme,Engaging,soon,,"]
    report = imports.run(database, MAVEN, folder(tmp_path, *many))
    assert report.created["opportunities"] == count(database) == 9_996
    assert sorted(line.split(":")[0].split()[-1] for line in report.lines if "pipeline" in line) == [
        "10000",
        "10001",
        "9998",
        "9999",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[opportunities.set]", '[opportunities.set]\nid = { text = "7" }', "“id”"),
        ("[opportunities.set]", '[opportunities.set]\nversion = { text = "7" }', "“version”"),
        ("[opportunities.set]", '[opportunities.set]\nrecorded_at = { text = "x" }', "“recorded_at”"),
        ("[opportunities.set]", '[opportunities.set]\nstatus = { text = "won" }', "“status”"),
        ("Prospecting = []", 'Prospecting = [{ move = "win", on = "close_date" }]', "not possible from open"),
    ],
)
def test_j7_a_mapping_cannot_reach_past_the_verbs(database, tmp_path, old, new, said):
    other = tmp_path / "other.toml"
    other.write_text(MAVEN.read_text("utf-8").replace(old, new), "utf-8")
    with pytest.raises(Invalid, match=said):
        imports.run(database, other, folder(tmp_path, GOOD.format(1)))
    assert count(database, audit) == 0


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "..", "a/b.csv", "a\\\\b.csv"])
def test_j8_a_file_name_is_never_a_path(database, tmp_path, name):
    other = tmp_path / "other.toml"
    other.write_text(MAVEN.read_text("utf-8").replace("sales_pipeline.csv", name), "utf-8")
    with pytest.raises(Invalid, match="plain names"):
        imports.run(database, other, folder(tmp_path, GOOD.format(1)))


def test_j8_a_name_that_leads_elsewhere_is_not_followed(database, tmp_path):
    rows = folder(tmp_path, GOOD.format(1))
    outside = tmp_path / "outside.csv"
    (rows / "sales_pipeline.csv").rename(outside)
    (rows / "sales_pipeline.csv").symlink_to(outside)
    with pytest.raises(Invalid, match="not a plain file"):
        imports.run(database, MAVEN, rows)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('currency = ""', 'currency = "USD"', "INR or empty"),
        ('currency = ""', "", "is not complete: 'currency'"),
        ('currency = ""', "currency = ", "cannot be read"),
        ('list = "region"', 'list = "mars"', "unknown list, “mars”"),
        ('close_date = "%Y-%m-%d"', "", "must name the date format of “close_date”"),
        ('value = { column = "product"', 'value = { kolumn = "product"', "does not know “kolumn”"),
        ('id = "opportunity_id"', 'id = "number"', "uses the column “number”"),
        ('take = "sales_price"', 'take = "price"', "uses the column “price”"),
        ('role = "manager"', "", "is not complete: 'role'"),
        ('company = { column = "account" }', "", "is not complete: 'company'"),
    ],
)
def test_a_wrong_mapping_is_refused_whole(database, tmp_path, old, new, said):
    other = tmp_path / "other.toml"
    text = MAVEN.read_text("utf-8")
    assert old in text
    other.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(Invalid, match=said):
        imports.run(database, other, folder(tmp_path, GOOD.format(1)))
    assert count(database, audit) == 0


def test_a_mapping_or_a_file_that_is_not_there_is_said(database, tmp_path):
    rows = folder(tmp_path)
    with pytest.raises(Invalid, match=r"The mapping none\.toml cannot be read"):
        imports.run(database, tmp_path / "none.toml", rows)
    (rows / "accounts.csv").unlink()
    with pytest.raises(Invalid, match=r"accounts.csv is not in the folder"):
        imports.run(database, MAVEN, rows)


def test_rows_that_name_nobody_or_nothing_are_told_by_their_line(database, tmp_path):
    rows = folder(
        tmp_path,
        "",
        ",Ann Lee,MG Special,Acme,Engaging,2017-01-05,,",
        "A1,Ann Lee,MG Special,Nobody Ltd,Engaging,2017-01-05,,",
        "A2,Ann Lee,Unknown,Acme,Engaging,2017-01-05,,",
        "A3,Ann Lee,MG Special,Acme,Won,2017-01-05,,5",
    )
    (rows / "accounts.csv").write_text(
        "account,sector,year_established,revenue,employees,office_location,subsidiary_of\r\n"
        + "Acme,technology,1996,1,2,India,\r\n" * 2
        + ",technology,1996,1,2,India,\r\n"
    )
    (rows / "sales_teams.csv").write_text("sales_agent,manager,regional_office\r\nAnn Lee,,East\r\n=!?,Mo Das,East\r\n")
    report = imports.run(database, MAVEN, rows)
    for line, said in {
        "accounts.csv line 3": "in the file twice",
        "accounts.csv line 4": "Company is missing",
        "sales_teams.csv line 3": "no user was made",
        "sales_pipeline.csv line 3": "it has no id",
        "sales_pipeline.csv line 4": "no customer “Nobody Ltd”",
        "sales_pipeline.csv line 5": "product “Unknown” is not in products.csv",
        "sales_pipeline.csv line 6": "it has no close_date",
    }.items():
        assert any(told.startswith(line + ": ") and said in told for told in report.lines), (line, report.lines)
    assert count(database) == 0


def test_a_second_file_finds_the_people_and_customers_of_the_first(database, tmp_path):
    imports.run(database, MAVEN, folder(tmp_path, GOOD.format(1)))
    other = tmp_path / "other.toml"
    other.write_text(MAVEN.read_text("utf-8").replace('source = "maven"', 'source = "again"'), "utf-8")
    report = imports.run(database, other, folder(tmp_path, GOOD.format(1)))
    assert report.created == {"opportunities": 1}
    assert (2, 1) == (count(database), count(database, customer))


def test_tenders_are_read_as_their_mapping_says(database, tmp_path):
    made = tmp_path / "in"
    made.mkdir()
    header = tomllib.loads(TENDERS.read_text("utf-8"))["files"]["tenders"]["columns"]
    row = dict.fromkeys(header, "") | {
        "state": "HP",
        "Tender ID": "T1",
        "tender_title": "Sluice valve " * 20,
        "Published Date": "05-Jan-2021 09:00 AM",
        "Bid Opening Date": "20-Jan-2021 09:00 AM",
        "Organisation Chain": "Jal Shakti||Shimla",
        "Tender Value in ₹": "1,00,000",
        "Status": "",
    }
    with (made / "tenders.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for change in ({}, {"Tender ID": "T2", "tender_title": "Pump"}, {"Tender ID": "T3", "Published Date": ""}):
            writer.writerow(row | change)
    report = imports.run(database, TENDERS, made)
    with database.read() as conn:
        kept = conn.execute(select(opportunity).order_by(opportunity.c.id)).all()
        (buyer,) = conn.scalars(select(customer.c.company))
    assert [("valve", 200), ("pump", 4)] == [(row.product, len(row.title)) for row in kept]
    assert "Jal Shakti" == buyer
    assert any("was cut to 200" in told for told in report.lines)
    assert any("it has no Published Date" in told for told in report.lines)


def test_the_command_line_imports_and_says_what_it_made(tmp_path, capsys):
    rows = folder(tmp_path, GOOD.format(1))
    assert 0 == main(["--url", f"sqlite:///{tmp_path / 'new.sqlite3'}", "import", str(MAVEN), str(rows)])
    said = capsys.readouterr().out
    assert "accounts.csv line 2: sector “technolgy” was read as “technology”." in said
    assert "1 opportunities" in said


def test_a_long_import_tells_how_far_it_is(database, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(imports, "EVERY", 2)
    url = database.engine.url.render_as_string(hide_password=False)
    rows = folder(tmp_path, *map(GOOD.format, range(5)))
    assert 0 == main(["--url", url, "import", str(MAVEN), str(rows)])
    assert ["2 of 5 rows", "4 of 5 rows", "Counting what was added …"] == capsys.readouterr().err.splitlines()


def test_lines_may_end_as_on_an_old_mac(database, tmp_path):
    rows = folder(tmp_path, GOOD.format(1), GOOD.format(2))
    written = (rows / "sales_pipeline.csv").read_bytes()
    (rows / "sales_pipeline.csv").write_bytes(written.replace(b"\r\n", b"\r"))
    assert imports.run(database, MAVEN, rows).created["opportunities"] == 2


def test_a_file_above_the_limit_is_refused(database, tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "LARGEST_FILE", 10)
    with pytest.raises(Invalid, match="larger than"):
        imports.run(database, MAVEN, folder(tmp_path))


def expected(path: Path) -> tuple[int, Decimal, Decimal]:
    """What the pipeline's file itself adds up to, without the deals that name no account."""
    with (path / "products.csv").open(newline="") as file:
        price = {row["product"]: Decimal(row["sales_price"]) for row in csv.DictReader(file)}
    price["GTXPro"] = price["GTX Pro"]
    with (path / "sales_pipeline.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["account"]]
    won = sum((Decimal(row["close_value"]) for row in rows if row["deal_stage"] == "Won"), Decimal(0))
    return len(rows), sum((price[row["product"]] for row in rows), Decimal(0)), won


def won_by(path: Path) -> dict[str, dict[str, Decimal]]:
    """What the file's own won deals add up to by regional office, agent, series and product, as the mapping groups them."""
    tables = {}
    for name, key in (("sales_teams", "sales_agent"), ("products", "product")):
        with (path / f"{name}.csv").open(newline="") as file:
            tables[name] = {row[key]: row for row in csv.DictReader(file)}
    by: dict[str, dict[str, Decimal]] = {"region": {}, "owner": {}, "business_unit": {}, "product": {}}
    with (path / "sales_pipeline.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["account"] and row["deal_stage"] == "Won":
                series = tables["products"][row["product"].replace("GTXPro", "GTX Pro")]["series"]
                kinds = {"region": tables["sales_teams"][row["sales_agent"]]["regional_office"]}
                kinds |= {"owner": row["sales_agent"], "business_unit": series}
                kinds |= {"product": "Valve" if series == "MG" else "Pump"}
                for kind, label in kinds.items():
                    by[kind][label] = by[kind].get(label, Decimal(0)) + Decimal(row["close_value"])
    return by


def test_the_real_pipeline_agrees_with_its_file(database):
    """In all, and won value by regional office, agent and product; now and as of the last day of the file."""
    path = real("maven_crm")
    report = imports.run(database, MAVEN, path)
    assert sums(database) == expected(path)
    with database.read() as conn:
        admin = access.actor_by_email(conn, "import@maven.example")
        for slice_ in (Slice(), Slice(asof="2017-12-31")):
            for by, wanted in won_by(path).items():
                labels = pipeline.choices(conn, admin, by)
                found = pipeline.breakdown(conn, admin, slice_, by)
                told = {labels[row.key]: row.won_value for row in found.itertuples() if row.won}
                assert told == wanted, by
        assert standings.verify(conn) == ""
    assert sum("there is no customer for it" in line for line in report.lines) == 1_425


def test_the_real_pipeline_with_other_dates_is_the_same_once_the_mapping_says_so(database, tmp_path):
    path, copied = real("maven_crm"), tmp_path / "us"
    shutil.copytree(path, copied)
    rows = (path / "us_dates" / "sales_pipeline.csv").read_text("utf-8").splitlines(keepends=True)
    (copied / "sales_pipeline.csv").write_text("".join(rows[:1_500]), "utf-8")
    other = tmp_path / "us.toml"
    other.write_text(MAVEN.read_text("utf-8").replace("%Y-%m-%d", "%m/%d/%Y"), "utf-8")
    imports.run(database, other, copied)
    assert sums(database) == expected(copied)


def test_the_real_tenders_agree_with_their_file_less_the_reported_lines(database):
    path = real("pump_valve_tenders")
    report = imports.run(database, MAPPINGS / "tenders.toml", path)
    told = [line for line in report.lines if "left out" in line or "no opportunity" in line]
    out = {int(line.removeprefix("tenders.csv line ").partition(":")[0]) for line in told}
    count, value, won, starts = 0, Decimal(0), Decimal(0), 2
    with (path / "tenders.csv").open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for row in reader:
            if starts not in out:
                count += 1
                value += Decimal(row["Tender Value in ₹"].replace(",", ""))
                won += Decimal(row["Awarded Value"].replace(",", "")) if row["Status"] == "Accepted-AOC" else 0
            starts = reader.line_num + 1
    assert len(told) == len(out)
    assert sums(database) == (count, value, won)
