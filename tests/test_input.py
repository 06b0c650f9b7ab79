"""What people and their browsers send: read, refused with a sentence, or made harmless, alike on both databases."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from crm_core import (
    customers,
    exports,
    fields,
    leads,
    logs,
    offers,
    opportunities,
    periods,
    pipeline,
    trigrams,
    users,
)
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from crm_core.schema import Instant, metadata
from crm_core.slices import LeadSlice, Slice
from tests.conftest import Office

#: entity → its module, the fields that people may change, and a short way to make one
ENTITIES: dict[str, tuple[Any, dict[str, fields.Field], Callable[[Office], int]]] = {
    "customer": (customers, customers.FIELDS, lambda office: office.customer()),
    "lead": (leads, leads.FIELDS, lambda office: office.lead()),
    "opportunity": (opportunities, opportunities.EDITABLE, lambda office: office.opportunity()),
    "offer": (offers, offers.EDITABLE, lambda office: office.offer(office.customer())),
}
PUT = {
    "a NUL": "\0",
    "a lone surrogate": "\ud800",
    "10 MB": "x" * 10_000_000,
    "only zero-width spaces": None,
    "a right-to-left override": "\u202e",
    "an emoji": "🙂",
    "a newline": "\n",
}
#: kind of field → an input that is right, and what becomes of it with each of PUT inside it: its characters
#: that cannot be seen are dropped, and what is not named here is refused
DROPPED = ("a NUL", "a lone surrogate", "a right-to-left override")
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "text": ("Amman", {"an emoji": "Am🙂man", "a newline": "Am man"}),
    "lines": ("Amman", {"an emoji": "Am🙂man", "a newline": "Am\nman"}),
    "phone": ("98400 12345", {"a newline": "98 400 12345"}),
    "email": ("mani@amman.in", {}),
    "gstin": ("27AAPFU0939F1ZV", {"a newline": "27AAPFU0939F1ZV"}),
    "link": ("https://files.in/q.pdf", {}),
    "code": ("website", {}),
}
FIELD_KINDS = {
    **dict.fromkeys(("company", "contact", "title", "state", "city", "next_step", "number"), "text"),
    **dict.fromkeys(("source", "region", "business_unit", "product", "status"), "code"),
    **{"notes": "lines", "phone": "phone", "email": "email", "gstin": "gstin", "document_url": "link"},
}
#: fields that take no text at all
NO_TEXT = {"owner_id", "application_engineer_id", "customer_id", "value", "amount"}
NO_TEXT |= {"expected_close_on", "next_step_on", "offered_on"}


def within(right: str, what: str) -> str:
    """This function will put something into the middle of a right input, or instead of it."""
    put = PUT[what]
    return "\u200b\u200b" if put is None else right[:2] + put + right[2:]


def refused_field(refused: Refusal) -> list[str]:
    return [m.field for m in refused.messages]


def entity_of(office: Office, entity: str, made: int) -> Any:
    return office.ask(ENTITIES[entity][0].get, office.kavya, made)


@pytest.mark.parametrize("entity", ENTITIES)
def test_strange_characters_become_the_same_on_both_databases(office: Office, entity: str) -> None:
    """D5: in every field that takes text; written here or the test fails."""
    module, declared, make = ENTITIES[entity]
    assert set(declared) - NO_TEXT <= set(FIELD_KINDS)
    made = make(office)
    seen, wanted = {}, {}
    for name in sorted(set(declared) - NO_TEXT):
        right, becomes = KINDS[FIELD_KINDS[name]]
        must = declared[name].required or name == "status"
        dropped = {} if FIELD_KINDS[name] == "code" else dict.fromkeys(DROPPED, right)
        becomes = dropped | {"only zero-width spaces": [name] if must else None} | becomes
        for what in PUT:
            wanted[name, what] = becomes.get(what, [name])
            try:
                office.do(module.edit, office.kavya, made, {name: within(right, what)})
                seen[name, what] = getattr(entity_of(office, entity, made), name)
            except Invalid as why:
                seen[name, what] = refused_field(why)
    assert wanted == seen


def test_a_search_for_strange_characters_is_no_error(office: Office) -> None:
    """D5: what is nothing visible is no search; the rest finds what holds it."""
    office.lead()
    office.opportunity()
    wanted = {"\0": 1, "\ud800": 1, "\u202e": 1, "am\ud800man": 1, "ammann": 0, "🙂": 0, "x" * 10_000_000: 0}
    for q, found in wanted.items():
        assert found == office.ask(pipeline.listing, office.kavya, Slice(q=q)).count
        assert found == office.ask(leads.listing, office.kavya, LeadSlice(q=q))[1].count
        assert found == office.ask(customers.listing, office.kavya, q)[1].count


@pytest.mark.parametrize("region", ["", "Coimbatore", "coimbatore ", "mars", "retired", None, 1])
def test_a_region_that_is_not_on_offer_is_refused(office: Office, region: Any) -> None:
    """D6: by the program, then past it."""
    made = office.opportunity()
    with pytest.raises(Invalid) as refused:
        office.opportunity(region=region)
    assert ["region"] == refused_field(refused.value)
    written = "NULL" if region is None else f"'{region}'"
    with pytest.raises((Refusal, DBAPIError)):
        office.sql(f"UPDATE opportunity SET region = {written}, version = version + 1 WHERE id = {made}")
    assert "coimbatore" == entity_of(office, "opportunity", made).region


@pytest.mark.parametrize("product", ["Pump", "pump;valve", "pump ", "", "motor", ["pump"]])
def test_a_product_is_pump_or_valve(office: Office, product: Any) -> None:
    """D7: by the program, then past it."""
    made = office.opportunity()
    with pytest.raises(Invalid) as refused:
        office.opportunity(product=product)
    assert ["product"] == refused_field(refused.value)
    for table in ("opportunity", "lead"):
        office.lead()
        written = str(product).replace("'", "")
        with pytest.raises((Refusal, DBAPIError)):
            office.sql(f"UPDATE {table} SET product = '{written}', version = version + 1")
    assert "pump" == entity_of(office, "opportunity", made).product


@pytest.mark.parametrize("field", ["owner_id", "application_engineer_id"])
@pytest.mark.parametrize("who", ["gone", "missing", "devi", "text", "fraction", True, 10**20, -1])
def test_a_person_is_chosen_by_their_id_and_must_be_there(office: Office, field: str, who: Any) -> None:
    """D8: by the program on create, edit and reassign; past it for those whom a number can name."""
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    given = {
        "gone": office.ravi.user_id,
        "missing": 999_999,
        "devi": office.devi.user_id,
        "text": str(office.asha.user_id),
        "fraction": float(office.asha.user_id),
    }.get(who, who)
    made = office.opportunity()
    with pytest.raises(Invalid) as refused:
        office.opportunity(**{field: given})
    assert [field] == refused_field(refused.value)
    with pytest.raises(Invalid):
        office.do(opportunities.edit, office.kavya, made, {field: given})
    if field == "owner_id":
        for verb, more in ((opportunities.reassign, given), (leads.edit, {field: given})):
            with pytest.raises(Invalid):
                office.do(verb, office.kavya, office.lead() and made, more)
    if who in ("gone", "missing", "devi"):
        with pytest.raises(Refusal):
            office.sql(f"UPDATE opportunity SET {field} = {given}, version = version + 1 WHERE id = {made}")
    assert office.asha.user_id == entity_of(office, "opportunity", made).owner_id


def test_many_are_given_to_another_by_whole_ids_only(office: Office) -> None:
    """D8: “12” is not the first and the second."""
    first, second = office.opportunity(), office.opportunity()
    with pytest.raises(NotFound):
        office.do(opportunities.reassign, office.kavya, f"{first}{second}", office.ravi.user_id)
    assert 0 == office.ask(pipeline.listing, office.ravi, Slice()).count
    assert 2 == office.do(opportunities.reassign, office.kavya, [first, second, first], office.ravi.user_id)


@pytest.mark.parametrize("which", ["missing", "merged", "inactive", "text", True, 10**20])
def test_a_customer_is_an_active_one_of_the_master(office: Office, which: Any) -> None:
    """D9: for opportunities, offers, and past the program."""
    home, other = office.customer(), office.customer("Bharat Dyes")
    if which == "merged":
        office.do(customers.merge, office.kavya, other, home)
    if which == "inactive":
        office.do(customers.deactivate, office.kavya, other)
    given = {"missing": 999_999, "text": str(home)}.get(which, other if isinstance(which, str) else which)
    with pytest.raises(Invalid) as refused:
        office.opportunity(customer_id=given)
    assert ["customer_id"] == refused_field(refused.value)
    with pytest.raises(Invalid):
        office.offer(given)
    if which in ("missing", "merged", "inactive"):
        made = office.opportunity(customer_id=home)
        with pytest.raises((Refusal, DBAPIError)):
            office.sql(f"UPDATE opportunity SET customer_id = {given}, version = version + 1 WHERE id = {made}")


@pytest.mark.parametrize("stored", ["1.5", "'abc'", "-1", "999900000000001", "'1,000'"])
def test_only_whole_paise_within_reason_are_stored(office: Office, stored: str) -> None:
    """D10: past the program, in every column of money."""
    office.opportunity()
    office.offer(office.customer())
    for table, column in (("opportunity", "value_paise"), ("offer", "amount_paise")):
        with pytest.raises((Refusal, DBAPIError)):
            office.sql(f"UPDATE {table} SET {column} = {stored}, version = version + 1")
    made = office.at("offer_made")
    with pytest.raises((Refusal, DBAPIError)):
        office.sql(
            "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id, "
            f"won_value_paise) SELECT id, 3, 'win', 'offer_made', 'won', status_at, status_at, owner_id, {stored} "
            f"FROM opportunity WHERE id = {made}"
        )


@pytest.mark.parametrize("q", ["%", "_", "\\", "'; DROP TABLE lead; --", "100%", "a_b", "c\\d", "/", "e/f"])
def test_a_search_text_is_taken_literally(office: Office, q: str) -> None:
    """D12: in all three lists."""
    plain, marked = "Ammanab Mills 100 acd ef", f"Bharat {q} Dyes"
    for company in (plain, marked):
        home = office.customer(company)
        office.opportunity(customer_id=home)
        office.opportunity(title=company)
        office.lead(company=company)
    assert 2 == office.ask(pipeline.listing, office.kavya, Slice(q=q)).count
    assert 1 == office.ask(leads.listing, office.kavya, LeadSlice(q=q))[1].count
    assert [marked] == [row.company for row in office.ask(customers.listing, office.kavya, q)[0]]
    assert [marked] == list(office.ask(customers.choices, office.kavya, q).values())


@pytest.mark.parametrize("sort", ["id;drop", "password", "-owner.password", "", "--value", "-", "VALUE", "id desc"])
def test_an_order_that_is_not_offered_is_the_newest_first(office: Office, sort: str) -> None:
    """D13: in lists and export."""
    made = [office.opportunity(value=value) for value in (2, 3, 1)]
    taken = [office.lead() for _ in range(3)]
    assert made[::-1] == list(office.ask(pipeline.listing, office.kavya, Slice(), sort=sort).rows["id"])
    assert taken[::-1] == list(office.ask(leads.listing, office.kavya, LeadSlice(), sort=sort)[0]["id"])
    written = office.do(exports.as_csv, office.kavya, Slice(), sort).decode("utf-8-sig")
    assert ["1", "3", "2"] == [r["Potential value"].partition(".")[0] for r in csv.DictReader(io.StringIO(written))]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("acme", ["Acme Élan", "ACME Pumps"]),
        ("ACME", ["Acme Élan", "ACME Pumps"]),
        ("ａｃｍｅ", ["Acme Élan", "ACME Pumps"]),
        ("élan", ["Acme Élan"]),
        ("E\u0301LAN", ["Acme Élan"]),
        ("elan", ["Acme Élan"]),
        ("straße", ["Strasse & Söhne"]),
        ("தமிழ்", ["தமிழ் நாடு"]),
    ],
)
def test_a_search_finds_the_same_rows_on_both_databases(office: Office, q: str, found: list[str]) -> None:
    """D14: whatever the case, width and accent."""
    for company in ("Acme Élan", "ACME Pumps", "Strasse & Söhne", "தமிழ் நாடு"):
        office.opportunity(customer_id=office.customer(company))
        office.lead(company=company)
    assert found == [row.company for row in office.ask(customers.listing, office.kavya, q)[0]]
    assert found == list(office.ask(pipeline.listing, office.kavya, Slice(q=q), sort="created").rows["customer"])
    assert found == list(office.ask(leads.listing, office.kavya, LeadSlice(q=q), sort="company")[0]["company"])


def test_seventy_thousand_values_of_one_filter_are_answered(office: Office) -> None:
    """D16."""
    office.opportunity()
    office.lead()
    many = [str(n) for n in range(1, 70_001)]
    assert 1 == office.ask(pipeline.listing, office.kavya, Slice(owner=many)).count
    assert 1 == office.ask(leads.listing, office.kavya, LeadSlice(owner=many))[1].count
    assert 1 == office.ask(pipeline.totals, office.kavya, Slice(customer=many))["count"][0]
    codes = [f"code_{n}" for n in range(70_000)]
    assert 0 == office.ask(pipeline.listing, office.kavya, Slice(region=codes)).count
    with pytest.raises(NotFound):
        office.do(opportunities.reassign, office.kavya, list(range(1, 70_001)), office.ravi.user_id)
    assert {"1": "Amman Mills"} == office.ask(pipeline.names, office.kavya, Slice(customer=many))["customer"]


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 19, 10**5000], ids=["text", "nineteen", "number"])
def test_a_number_of_five_thousand_digits_gets_a_sentence(office: Office, digits: Any) -> None:
    """D17: as an amount, an id, a telephone, a day, and in a link."""
    for name in ("value", "customer_id", "owner_id", "expected_close_on", "application_engineer_id"):
        with pytest.raises(Invalid) as refused:
            office.opportunity(**{name: digits})
        assert [name] == refused_field(refused.value)
    for module in (customers, leads, opportunities, offers):
        with pytest.raises(NotFound):
            office.ask(module.get, office.kavya, digits)
    with pytest.raises(NotFound):
        office.do(users.change_role, office.meena, digits, "viewer")
    with pytest.raises(Invalid):
        office.do(customers.create, office.kavya, {"company": "Vel Mills", "phone": digits})
    if isinstance(digits, str):
        for chosen in (Slice(owner=digits), Slice(created=digits), Slice(q="opp-2026-" + digits)):
            assert 0 == office.ask(pipeline.listing, office.kavya, chosen).count


@pytest.mark.parametrize("name", ["Amman\r\nERROR forged", "\x1b[31mAmman\x1b[0m", "Am\u2028man", "Am\ud800man"])
def test_a_name_cannot_split_or_colour_a_log_line(
    office: Office, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, name: str
) -> None:
    """D15: it is cleaned when it is stored, and an error that quotes it as it came is one JSON line without it."""
    assert office.ask(customers.get, office.kavya, office.customer(name)).company.isprintable()
    log = logs.named(request.node.nodeid)
    try:
        raise ValueError(name)
    except ValueError as why:
        log.error("refused %s", name, exc_info=why)
    written = capsys.readouterr().err
    assert 1 == len(written.splitlines())
    assert written.rstrip("\n").isascii()
    assert written.rstrip("\n").isprintable()
    entry = json.loads(written)
    assert ("error", f"refused {name}") == (entry["level"], entry["said"])
    assert "ValueError" in entry["error"]
    assert name not in entry["error"]


def test_a_log_has_one_voice_however_often_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """D15: and needs no error to say something."""
    for _ in range(2):
        log = logs.named(request.node.nodeid)
    log.warning("The database is not available yet")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert ("warning", "The database is not available yet") == (entry["level"], entry["said"])
    assert datetime.fromisoformat(entry["at"]).utcoffset() == timedelta(0)


COUNT = 100_000


def fill(office: Office) -> Slice:
    """This function will put many opportunities past the program, without its triggers, and give the slice of them."""
    home = office.customer()
    made = office.opportunity(customer_id=home)
    columns = "customer_id, region, business_unit, product, value_paise, owner_id, created_by_id, status_at, version"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT - 1})"
    with office.owner.write() as conn:
        if office.name == "sqlite":
            for trigger in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                conn.exec_driver_sql(f"DROP TRIGGER {trigger[0]}")
        else:
            conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        conn.exec_driver_sql(
            f"INSERT INTO opportunity (id, status, created_at, search, {columns}) {numbers} "
            f"SELECT id + i, status, created_at, 'pump ' || i, {columns} FROM opportunity, n WHERE id = {made}"
        )
        trigrams.rebuild(conn)
    return Slice(customer=home)


def test_a_hundred_thousand_rows_leave_the_database_a_page_at_a_time(office: Office) -> None:
    """K5: one page is read, whichever it is; reading all rows would take twenty times the memory."""
    many = fill(office)
    for page in (1, 2000, 4000, 9_999_999):
        tracemalloc.start()
        listed = office.ask(pipeline.listing, office.kavya, many, page=page)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (COUNT, COUNT * Decimal(100_000), 4000) == (listed.count, listed.value, listed.pages)
        assert (25, min(page, 4000)) == (len(listed.rows), listed.page)
        assert peak < 5_000_000
    assert 25 == len(office.ask(pipeline.listing, office.kavya, Slice(q="pump 99"), sort="value").rows)


def test_times_are_stored_with_their_offset_and_shown_in_india(office: Office) -> None:
    """H10: in every column of a time, on both databases; midnight in India is 18:30 UTC of the day before."""
    at = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    given = {"customer_id": office.customer(), "region": "coimbatore", "business_unit": "water", "product": "pump"}
    made = office.do(opportunities.create, office.meena, given | {"value": 1}, at=at)
    row = entity_of(office, "opportunity", made)
    assert (at, UTC, "1 Apr 2026, 00:00") == (row.created_at, row.created_at.tzinfo, periods.moment(row.created_at))
    entry = office.ask(opportunities.history, office.meena, made)[0]
    assert "1 Apr 2026, 00:00" == periods.moment(entry.at)
    (line,) = csv.DictReader(io.StringIO(office.do(exports.as_csv, office.kavya, Slice()).decode("utf-8-sig")))
    assert "1 Apr 2026, 00:00" == line["Created (IST)"]
    office.lead()
    kinds = {
        f"{table.name}.{column.name}": office.sql(
            f"SELECT {'pg_typeof' if office.name == 'postgresql' else ''}({column.name}) FROM {table.name} "
            f"WHERE {column.name} IS NOT NULL LIMIT 1"
        )
        for table in metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, Instant)
    }
    assert {"opportunity.created_at", "transition.at", "audit.at", "lead.changed_at"} <= set(kinds)
    for found in kinds.values():
        for (stored,) in found:
            assert "timestamp with time zone" == stored or re.fullmatch(r"\d{4}-.*T.*\.\d{6}\+00:00", stored)


def as_it_was(office: Office) -> list[Any]:
    tables = ("opportunity", "lead", "customer", "offer", "audit", "transition")
    return [office.sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.mark.parametrize(("owner", "other", "why"), [("asha", "ravi", NotAllowed), ("ravi", "asha", NotFound)])
def test_an_engineer_gives_nothing_away_and_grabs_nothing(
    office: Office, owner: str, other: str, why: type[Refusal]
) -> None:
    """A8: by another owner among the values."""
    made, lead = office.opportunity(owner), office.lead(owner)
    before = as_it_was(office)
    given = {"owner_id": office.people[other].user_id}
    for verb, record in ((opportunities.edit, made), (leads.edit, lead)):
        with pytest.raises(why):
            office.do(verb, office.asha, record, given)
    with pytest.raises(NotAllowed):
        office.do(opportunities.reassign, office.asha, made, given["owner_id"])
    assert before == as_it_was(office)


def test_an_engineer_makes_nothing_for_another(office: Office) -> None:
    """A8: neither a lead nor an opportunity, nor while converting."""
    lead, home = office.lead(), office.customer("Vel Mills")
    before = as_it_was(office)
    theirs = {"owner_id": office.ravi.user_id}
    deal = {"region": "coimbatore", "business_unit": "water", "product": "pump", "value": 1}
    for verb, *given in (
        (leads.create, {"contact": "Mani", "company": "Vel Mills", "source": "website"} | theirs),
        (opportunities.create, deal | {"customer_id": home} | theirs),
        (leads.convert, lead, deal | theirs),
    ):
        with pytest.raises(NotAllowed):
            office.do(verb, office.asha, *given)
    assert before == as_it_was(office)


def test_a_manager_gives_to_another_and_it_is_told(office: Office) -> None:
    """A8: by either way, and a lead too; before and after are in the history."""
    made, lead = office.opportunity(), office.lead()
    office.do(opportunities.edit, office.kavya, made, {"owner_id": office.ravi.user_id})
    office.do(opportunities.reassign, office.kavya, made, office.asha.user_id)
    office.do(leads.edit, office.kavya, lead, {"owner_id": office.ravi.user_id})
    said = office.ask(opportunities.history, office.kavya, made) + office.ask(leads.history, office.kavya, lead)
    told = [(e.by, c.before, c.after) for e in said for c in e.changes if c.before in ("Asha", "Ravi")]
    assert [("Kavya", "Ravi", "Asha"), ("Kavya", "Asha", "Ravi"), ("Kavya", "Asha", "Ravi")] == told


FORBIDDEN = (
    "status",
    "version",
    "created_at",
    "id",
    "source_lead_id",
    "created_by_id",
    "active",
    "search",
    "won_value",
)
FORBIDDEN += ("external_ref", "email_key", "merged_into_id", "converted_customer_id", "is_admin", "")


@pytest.mark.parametrize("entity", ENTITIES)
def test_nobody_sends_what_no_form_asks(office: Office, entity: str) -> None:
    """A9: every such key is named, and nothing is saved."""
    module, declared, make = ENTITIES[entity]
    made = make(office)
    before = as_it_was(office)
    for key in set(FORBIDDEN) - set(declared):
        for verb, *record in ((module.edit, made), (module.create,)):
            with pytest.raises(Invalid) as refused:
                office.do(verb, office.kavya, *record, {key: 1})
            assert key in refused_field(refused.value)
    assert before == as_it_was(office)


def test_no_move_carries_what_it_does_not_ask(office: Office) -> None:
    """A9: neither of an opportunity nor of a lead."""
    made, lead = office.opportunity(), office.lead()
    before = as_it_was(office)
    for verb, *given, reason in (
        (opportunities.move, made, "lose", "price"),
        (leads.disqualify, lead, "duplicate"),
    ):
        with pytest.raises(Invalid) as refused:
            office.do(verb, office.kavya, *given, {"reason": reason, "version": 7, "status": "won"})
        assert ["version", "status"] == refused_field(refused.value)
    assert before == as_it_was(office)


@pytest.mark.parametrize("entity", ENTITIES)
def test_how_a_record_began_cannot_be_rewritten(office: Office, entity: str) -> None:
    """A9: past the program."""
    ENTITIES[entity][2](office)
    before = as_it_was(office)
    for change in ("created_at = '2020-01-01T00:00:00.000000+00:00'", "created_by_id = 3", "id = 77", "version = 7"):
        more = "" if change.startswith("version") else ", version = version + 1"
        with pytest.raises(Refusal):
            office.sql(f"UPDATE {entity} SET {change}{more}")
    assert before == as_it_was(office)


def test_an_application_engineer_reads_what_names_them_and_changes_nothing(office: Office) -> None:
    """A10: while they are named; a colleague's deal does not exist."""
    named = office.opportunity(application_engineer_id=office.arun.user_id)
    other, lead = office.opportunity(), office.lead()
    before = as_it_was(office)
    assert [named] == list(office.ask(pipeline.listing, office.arun, Slice()).rows["id"])
    assert 1 == office.ask(pipeline.totals, office.arun, Slice())["count"][0]
    assert not office.ask(opportunities.editable, office.arun, entity_of(office, "opportunity", named))
    assert [] == office.ask(opportunities.moves, office.arun, entity_of(office, "opportunity", named))
    for verb, *given in (
        (opportunities.edit, named, {"title": "Mine"}),
        (opportunities.move, named, "make_offer"),
        (opportunities.link_offer, named, 1),
        (opportunities.reassign, named, office.ravi.user_id),
        (opportunities.create, {}),
        (exports.as_csv, Slice()),
    ):
        with pytest.raises(NotAllowed):
            office.do(verb, office.arun, *given)
    for verb, record in ((opportunities.get, other), (opportunities.history, other), (leads.get, lead)):
        with pytest.raises(NotFound):
            office.ask(verb, office.arun, record)
    assert before == as_it_was(office)
    office.do(opportunities.edit, office.asha, named, {"application_engineer_id": None})
    with pytest.raises(NotFound):
        office.ask(opportunities.get, office.arun, named)


def test_an_engineer_named_on_anothers_deal_reads_it_and_changes_nothing(office: Office) -> None:
    """A10: the owner still does."""
    named = office.opportunity("ravi", application_engineer_id=office.asha.user_id)
    assert "Ravi" == office.ask(opportunities.get, office.asha, named).owner
    with pytest.raises(NotAllowed, match="only its sales engineer or a manager"):
        office.do(opportunities.edit, office.asha, named, {"title": "Mine"})
    with pytest.raises(NotAllowed):
        office.do(opportunities.move, office.asha, named, "make_offer")
    office.do(opportunities.edit, office.ravi, named, {"title": "Still Ravi's"})
    office.move(named, "make_offer", by="ravi")
    assert "offer_made" == entity_of(office, "opportunity", named).status


def test_what_is_taken_says_nothing_of_what_is_hidden(office: Office) -> None:
    """A19: of another's lead, offer or address."""
    office.lead("ravi", email="mani@secret.in", phone="98400 12345", company="Secret Mills")
    home = office.customer("Secret Mills", email="mani@secret.in")
    office.opportunity("ravi", customer_id=home)
    office.offer(home, "Q-1")
    mine = {"email": "mani@secret.in", "phone": "98400 12345", "company": "Other"}
    assert ["customer"] == [kind for kind, _, _ in office.ask(leads.duplicates, office.asha, mine)]
    assert {"customer", "lead"} == {kind for kind, _, _ in office.ask(leads.duplicates, office.kavya, mine)}
    made = office.do(leads.create, office.asha, mine | {"contact": "Mani", "source": "website"})
    assert [made] == list(office.ask(leads.listing, office.asha, LeadSlice())[0]["id"])
    own = office.customer("Vel Mills")
    office.opportunity("asha", customer_id=own)
    with pytest.raises(Invalid) as refused:
        office.do(offers.create, office.asha, {"number": "Q-1", "customer_id": own, "amount": 1})
    assert "Secret" not in str(refused.value)
    with pytest.raises(Conflict) as taken:
        office.sql(f"UPDATE customer SET email = 'x', email_key = 'mani@secret.in', version = 2 WHERE id = {own}")
    assert ("This e-mail address is in use already.",) == taken.value.messages
