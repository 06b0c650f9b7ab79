"""Exports: a list as a file that any spreadsheet opens, equal to the screen and unable to run."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from sqlalchemy import event

from crm_core import batches, customers, exports, money, opportunities, pipeline, preferences, sheets, trail
from crm_core.errors import Invalid, NotAllowed
from crm_core.slices import AuditSlice, Slice
from tests.conftest import Office
from tests.test_audit import newest

LINK = "http://127.0.0.1/opportunities?status=won"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1")


def csv_lines(office: Office, *args: Any) -> list[dict[str, str]]:
    written = office.do(exports.as_csv, office.kavya, *args).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(written, newline="")))


def opened(data: bytes) -> Any:
    """This function will open a workbook as a reader does, formulas unevaluated."""
    return openpyxl.load_workbook(io.BytesIO(data))


def read(data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """This function will give a workbook's cover and the rows of its list, by heading."""
    book = opened(data)
    head, *rows = book["Opportunities"].iter_rows(values_only=True)
    cover = dict(book["Cover"].iter_rows(values_only=True))
    return cover, [dict(zip(head, row, strict=True)) for row in rows]


def xlsx(office: Office, name: str = "kavya", *args: Any) -> bytes:
    data: bytes = office.do(exports.as_xlsx, office.people[name], *(args or (Slice(), "-created", LINK)))
    return data


def forced(office: Office, text: str) -> None:
    """This function will put a text into every column of text, past the program, as only the owner could."""
    for table, change in (
        ("opportunity", f"title = '{text}', state = '{text}', city = '{text}'"),
        ("customer", f"company = '{text}'"),
        ("app_user", f"name = '{text}'"),
        ("region", f"label = '{text}'"),
        ("business_unit", f"label = '{text}'"),
    ):
        office.sql(f"UPDATE {table} SET {change}, version = version + 1")


TEXTS = ("Title", "Customer", "Region", "State", "City", "Business unit", "Sales engineer", "Application engineer")


def test_no_spreadsheet_runs_what_an_export_holds(office: Office) -> None:
    """J1: in every column of text, even where it got past the program; numbers stay numbers."""
    office.opportunity(application_engineer_id=office.arun.user_id, value="1,234.50")
    for text in FORMULAS:
        forced(office, text)
        (row,) = csv_lines(office, Slice())
        assert dict.fromkeys(TEXTS, "'" + text) == {name: row[name] for name in TEXTS}
        assert (Decimal("1234.5"), "") == (Decimal(row["Potential value"]), row["Won value"])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\u200b=1", "'\u200b=1"),
        (" =1", "' =1"),
        ("\u202e+1", "'\u202e+1"),
        ("Mill; =1", "Mill; '=1"),
        ("Mill|@x", "Mill|'@x"),
        ("Mill\n-1", "Mill\n'-1"),
        ("Mill - 1; two = 2", "Mill - 1; two = 2"),
        ("Pump-set (A+B)", "Pump-set (A+B)"),
    ],
)
def test_a_formula_hides_neither_behind_nothing_visible_nor_in_the_next_cell(
    office: Office, text: str, written: str
) -> None:
    """J1: some spreadsheets drop what leads it, or take a semicolon for the end of a cell."""
    office.opportunity()
    forced(office, text)
    (row,) = csv_lines(office, Slice())
    assert [written] * 2 == [row["Title"], row["Customer"]]


def test_no_cell_of_a_workbook_runs(office: Office) -> None:
    """J1: a text is a text even when it is typed over; no formula, link or macro is in the file."""
    office.opportunity(application_engineer_id=office.arun.user_id, value="1,234.50")
    for text in (*FORMULAS, "http://example.in", "mailto:a@example.in", "1E5", "{=1}", "007"):
        forced(office, text)
        data = xlsx(office, "kavya", Slice(), "-created", "=HYPERLINK(1)")
        cover, (row,) = read(data)
        assert dict.fromkeys(TEXTS, text.strip()) == {name: row[name] for name in TEXTS}
        assert (1234.5, "=HYPERLINK(1)") == (row["Potential value"], cover["Link"])
        cells = [cell for sheet in opened(data) for line in sheet for cell in line]
        assert {"s", "n", "d"} == {cell.data_type for cell in cells}
        assert [] == [
            cell.value for cell in cells if cell.hyperlink or (cell.data_type == "s" and not cell.quotePrefix)
        ]
        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            assert [] == [name for name in parts.namelist() if re.search(r"vba|external|macro", name, re.IGNORECASE)]
            assert not any(b"<f>" in parts.read(name) for name in parts.namelist())


def test_what_no_workbook_may_hold_is_left_out_of_it() -> None:
    """Characters that XML forbids would make the whole file unreadable; invisible ones deceive."""
    rows = [["Mi\x00ll\x1b\ufffe\ud800\u202es", "தமிழ் & <Élan> 🙂", "two\nlines", "x" * 40_000]]
    book = opened(sheets.workbook({"List": (("A", "B", "C", "D"), rows)}, []))
    *texts, longest = [cell.value for cell in book["List"][2]]
    assert ["Mills", "தமிழ் & <Élan> 🙂", "two\nlines"] == texts
    assert sheets.LONGEST == len(longest)


def test_a_workbook_holds_typed_cells(office: Office) -> None:
    """Numbers are numbers in the Indian grouping, times are times in India, none is none."""
    at = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    given = {"customer_id": office.customer(), "region": "coimbatore", "business_unit": "water", "product": "pump"}
    office.do(opportunities.create, office.meena, given | {"value": "12,34,567.89"}, at=at)
    book = opened(xlsx(office))
    sheet = book["Opportunities"]
    assert tuple(c.value for c in sheet[1]) == exports.HEADINGS
    cells = dict(zip(exports.HEADINGS, sheet[2], strict=True))
    assert (1234567.89, None) == (cells["Potential value"].value, cells["Won value"].value)
    assert r"[>=100000]##\,##\,##0.00" in cells["Potential value"].number_format
    assert datetime(2026, 4, 1, 0, 0) == cells["Created (IST)"].value
    assert ("Pump", "Open", None) == (cells["Product"].value, cells["Status"].value, cells["Closed (IST)"].value)
    assert ("A2", "A1:O2") == (sheet.freeze_panes, sheet.auto_filter.ref)
    widths = {h: sheet.column_dimensions[c.column_letter].width for h, c in cells.items()}
    assert widths["Created (IST)"] > 17
    assert sheets.NARROWEST <= min(widths.values())
    assert max(widths.values()) <= sheets.WIDEST + 1


@pytest.mark.parametrize(
    ("value", "kind", "cell"),
    [
        (Decimal("0.05"), "n", 0.05),
        (Decimal("99990000000.00"), "n", 99990000000),
        (Decimal("9999999999999.99"), "n", 9999999999999.99),
        (Decimal("10000000000000.01"), "s", "₹1,00,00,00,00,00,000.01"),
        (Decimal("99990000000000000.00"), "n", 99990000000000000),
        (Decimal("-1234567.5"), "n", -1234567.5),
        (10**15 - 1, "n", 10**15 - 1),
        (10**17 + 1, "s", "100,000,000,000,000,001"),
        (date(2026, 3, 31), "d", datetime(2026, 3, 31)),
        (datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC), "d", datetime(2026, 3, 31, 23, 59, 59)),
        (datetime(2026, 3, 31, 18, 30, tzinfo=UTC), "d", datetime(2026, 4, 1)),
        (186.3, "n", 186.3),
        ("1,00,000", "s", "1,00,000"),
    ],
)
def test_no_number_is_rounded_and_no_time_leaves_india(value: Any, kind: str, cell: Any) -> None:
    """Excel keeps 15 digits; an amount that needs more is a text, exact to the paisa."""
    made = opened(sheets.workbook({"List": (("It",), [[value]])}, [("It", value)]))
    for found in (made["List"]["A2"], made["Cover"]["B1"]):
        assert (kind, cell) == (found.data_type, found.value)


@pytest.mark.parametrize(
    ("amount", "form"),
    [
        ("5", "##,##0.00"),
        ("9990000000", r"##\,##\,##\,##\,##0.00"),
        ("99990000000", r"##\,##\,##\,##\,##0.00"),
        ("999900000000", r"##\,##\,##\,##\,##\,##0.00"),
        ("-500", "##0.00"),
        ("-1234567", r"##\,##\,##0.00"),
    ],
)
def test_an_amount_is_grouped_as_in_india_at_any_size(amount: str, form: str) -> None:
    """As the screen groups it."""
    made = opened(sheets.workbook({"List": (("It",), [[Decimal(amount)]])}, []))
    assert made["List"]["A2"].number_format.endswith(form)
    if ";" not in made["List"]["A2"].number_format:
        assert form.count(",") == money.exact(Decimal(amount)).count(",")


def test_plain_numbers_have_no_indian_grouping() -> None:
    """A database without a currency."""
    made = opened(sheets.workbook({"List": (("It",), [[Decimal("1234567.5")]])}, [], currency=""))
    assert "#,##0.00" == made["List"]["A2"].number_format


def test_the_cover_says_what_the_file_shows_and_what_it_comes_to(office: Office) -> None:
    """J9: equal to the list, for everybody who may export; to the paisa."""
    office.at("won", value="1,23,456.78")
    office.at("won", "ravi", value="9,999 cr")
    office.opportunity("ravi", value="0.01", application_engineer_id=office.asha.user_id)
    office.opportunity("ravi", value="7")
    for name, scope, count in (("kavya", "all opportunities", 4), ("asha", "own opportunities", 2)):
        for chosen in (Slice(), Slice(status="won"), Slice(region="coimbatore", owner="4"), Slice(q="nobody")):
            cover, rows = read(xlsx(office, name, chosen, "value", LINK))
            listed = office.ask(pipeline.listing, office.people[name], chosen, "value", per_page=100)
            assert {
                "Link": LINK,
                "Exported by": name.title(),
                "Scope": scope,
                "Selection": chosen.sentence(office.ask(pipeline.names, office.people[name], chosen)),
                "As of": "now",
                "Opportunities": listed.count,
            } == {label: cover[label] for label in cover if label in list(cover)[:5] or label == "Opportunities"}
            assert listed.value == paise(cover["Potential value"]) == sum(paise(r["Potential value"]) for r in rows)
            assert listed.won_value == paise(cover["Won value"])
            assert list(listed.rows["number"]) == [row["Number"] for row in rows]
            age = datetime.now(UTC).timestamp() - cover["Exported (IST)"].timestamp() + 5.5 * 3600
            assert -2 < age < 120
        assert count == read(xlsx(office, name))[0]["Opportunities"]


def paise(number: float) -> Decimal:
    return Decimal(str(number))


def test_both_files_of_a_list_hold_the_same(office: Office) -> None:
    office.at("won", value="12,50,000.75")
    office.at("lost", "ravi", title="Two stage pump")
    _cover, rows = read(xlsx(office))
    for line, row in zip(csv_lines(office, Slice()), rows, strict=True):
        for name in exports.HEADINGS:
            if name.endswith("value"):
                assert (Decimal(line[name]) if line[name] else None) == (
                    row[name] if row[name] is None else paise(row[name])
                )
            elif name.endswith("(IST)"):
                assert line[name] == (f"{row[name].day} {row[name]:%b %Y, %H:%M}" if row[name] else "")
            else:
                assert line[name] == (row[name] or "")


@pytest.mark.parametrize("name", ["arun", "devi"])
@pytest.mark.parametrize("verb", [exports.as_csv, exports.as_xlsx])
def test_a_file_is_written_only_for_those_who_may_export(office: Office, name: str, verb: Any) -> None:
    """J9"""
    office.opportunity(application_engineer_id=office.arun.user_id)
    with pytest.raises(NotAllowed, match=r"^You may not export\.$"):
        office.do(verb, office.people[name], Slice())
    assert not any("exported it" in row for row in newest(office, 5))


@pytest.mark.parametrize("verb", [exports.as_csv, exports.as_xlsx])
def test_a_file_is_on_record(office: Office, verb: Any) -> None:
    """J9: who, which selection, how many."""
    office.at("won")
    office.opportunity()
    office.do(verb, office.asha, Slice(status="won"))
    assert [("exported it", "slice", "opportunities", "Slice:  → Status: won", "Count:  → 1")] == newest(office)
    (entry, *_), _count = office.ask(trail.listing, office.kavya, AuditSlice(action="export"), 1, 9)
    assert "Asha" == entry.by


@pytest.mark.no_cover
def test_a_list_of_thousands_is_a_file_of_as_many(office: Office) -> None:
    """Each once, in the order of the list."""
    values = {"region": "coimbatore", "business_unit": "water", "product": "pump", "value": "12.34"}
    values |= {"owner_id": office.asha.user_id, "customer_id": office.customer()}
    with office.owner.write() as conn, batches.opened(conn, office.meena) as batch:
        for number in range(4_000):
            batch.add(values, (), datetime(2026, 5, 1 + number % 30, tzinfo=UTC), f"x:{number}")
    cover, rows = read(xlsx(office, "kavya", Slice(), "created", LINK))
    assert (4_000, Decimal("49360")) == (cover["Opportunities"], paise(cover["Potential value"]))
    assert [r["Number"] for r in csv_lines(office, Slice(), "created")] == [row["Number"] for row in rows]
    assert 4_000 == len({row["Number"] for row in rows})


@pytest.mark.parametrize("verb", [exports.as_csv, exports.as_xlsx])
def test_the_database_hands_rows_over_in_helpings(office: Office, verb: Any) -> None:
    """A list of any length fits into memory: PostgreSQL keeps what was not asked for yet, as SQLite always does."""
    used: dict[str, str] = {}

    def note(_conn: Any, cursor: Any, statement: str, *_more: Any) -> None:
        used[statement] = type(cursor).__name__

    event.listen(office.database.engine, "before_cursor_execute", note)
    office.do(verb, office.kavya, Slice())
    event.remove(office.database.engine, "before_cursor_execute", note)
    read_by = {name for statement, name in used.items() if "ORDER BY opportunity.created_at" in statement}
    assert {"Cursor" if office.name == "sqlite" else "ServerCursor"} == read_by


def test_rows_are_read_as_they_are_written() -> None:
    """None is kept: a list of any length fits into memory."""
    alive, most = set(), 0

    def rows() -> Iterator[list[Any]]:
        nonlocal most
        for n in range(3000):
            row = Row([n, "text"])
            alive.add(id(row))
            row.gone = alive.discard
            most = max(most, len(alive))
            yield row
            del row

    class Row(list):
        gone: Any

        def __del__(self) -> None:
            self.gone(id(self))

    sheets.workbook({"List": (("N", "Text"), rows())}, [])
    assert most < 10


def test_more_rows_than_a_sheet_holds_are_refused() -> None:
    """Excel would cut them off without a word."""
    with pytest.raises(Invalid, match=r"^A sheet holds 3 rows; choose fewer, or take the CSV\.$"):
        sheets.workbook({"List": (("It",), ([n] for n in range(4)))}, [], most=3)
    assert 4 == opened(sheets.workbook({"List": (("It",), ([n] for n in range(3)))}, [], most=3))["List"].max_row


def test_a_workbook_has_a_sheet_a_name_and_the_cover_is_read_last() -> None:
    """So that it may tell what the rows came to."""
    passed: list[int] = []

    def rows(many: int) -> Iterator[list[Any]]:
        for n in range(many):
            passed.append(n)
            yield [n, f"row {n}"]

    def cover() -> Iterator[tuple[str, Any]]:
        yield "Rows", len(passed)

    book = opened(sheets.workbook({"Regions": (("N", "Text"), rows(2)), "Months": (("N", "Text"), rows(3))}, cover()))
    assert ["Cover", "Regions", "Months"] == book.sheetnames
    assert [("Rows", 5)] == list(book["Cover"].iter_rows(values_only=True))
    assert [("N", "Text"), (0, "row 0"), (1, "row 1")] == list(book["Regions"].iter_rows(values_only=True))


def test_a_list_of_nothing_is_a_workbook_of_headings(office: Office) -> None:
    """And zeros on its cover."""
    cover, rows = read(xlsx(office))
    assert ([], 0, 0, 0) == (rows, cover["Opportunities"], cover["Potential value"], cover["Won value"])
    with office.owner.write() as conn:
        preferences.store(conn, "currency", "")
    assert "#,##0.00" == opened(xlsx(office))["Cover"]["B8"].number_format


def test_an_export_of_the_audit_holds_the_slice_in_words_and_is_on_record(office: Office) -> None:
    """J9: and no cell runs as a formula."""
    made = office.do(customers.create, office.asha, {"company": "=cmd()", "notes": "+1"})
    chosen = AuditSlice(kind="customer")
    raw = office.do(exports.audit_as_csv, office.kavya, chosen).decode("utf-8-sig")
    header, *lines = csv.reader(io.StringIO(raw))
    assert exports.AUDIT_HEADINGS == tuple(header)
    told = [dict(zip(header, line, strict=True)) for line in lines]
    assert [("Company", "", "'=cmd()"), ("Notes", "", "'+1")] == [(t["Field"], t["Before"], t["After"]) for t in told]
    assert {("Asha", "created it", "Customer", "'=cmd()", str(made))} == {
        (t["Person"], t["Action"], t["Kind of record"], t["Record"], t["Id"]) for t in told
    }
    assert [("exported it", "slice", "audit", "Slice:  → Kind of record: Customer", "Count:  → 1")] == newest(office)
