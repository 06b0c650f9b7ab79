"""The tallies come to what the rows come to: after any history, for everybody, now and as of any day."""

from __future__ import annotations

import random
import re
from dataclasses import astuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from crm_core import __main__ as command_line
from crm_core import (
    access,
    clock,
    courses,
    forecast,
    lifecycle,
    opportunities,
    periods,
    pipeline,
    standings,
    tallies,
    trends,
)
from crm_core.cells import MOVED
from crm_core.database import open_database
from crm_core.errors import Conflict, Invalid, Refusal
from crm_core.slices import AGES, Slice
from tests.conftest import ASKED, Office, older
from tests.test_asof import one_change
from tests.test_concurrency import at_once
from tests.test_flow import course

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

KEPT = ("tally", "course", "win")

#: ends of months and of a financial year in India among ordinary days; at each, these minutes of UTC
DAYS = [date(2026, 3, 30), *(date(2026, 3, 31) + timedelta(days=n) for n in (0, 1, 14, 29, 30, 31, 60, 61, 62))]
MINUTES = (9 * 60, 18 * 60 + 29, 18 * 60 + 30)
SPANS = (
    "2026-04",
    "fy2026-27",
    "2026-q2",
    "2026-04-02..2026-05-31",
    "2026-04-10..2026-04-20",
    "..2026-04-30",
    "2026-04-16..",
)
#: Days on which deals of then come into each band of ages, ends of months among them.
AGEING = sorted({*DAYS, *(DAYS[0] + timedelta(days=27 * n) for n in range(10)), date(2026, 7, 31), date(2026, 9, 30)})
EVERYTHING = lifecycle.STAGES[0].code
BYS = (
    *((), "region", "owner", "created", "status", "business_unit", "product", ("status", "product")),
    *(("region", "status"), ("owner", "business_unit", "product"), ("created", "status"), ("region", "owner")),
    *(("created", "owner"), ("region", "created"), ("closed", "status", "region"), "state", "closed", "age"),
)


def a_busy_company(office: Office, chance: random.Random, deals: int = 8) -> None:
    """This function will let a few deals live through some months of work, to the second before and of a new day.

    Now and then the clock is three days behind.
    """
    home, made = office.customer(), list[int]()
    for day in DAYS:
        for minute in MINUTES:
            at = datetime.combine(day, time(), UTC) + timedelta(minutes=minute, seconds=59 * (minute % 2))
            with office.database.write() as conn:
                clock.start(conn, at - timedelta(days=chance.choice((0, 0, 0, 0, 3))))
                for _ in range(2):
                    one_change(conn, office, chance, home, made, deals)
                    another_change(conn, office, chance, made)


def another_change(conn: Connection, office: Office, chance: random.Random, made: list[int]) -> None:
    """This function will change what makes a cell, and what does not, and whom an opportunity names."""
    next_step = clock.today(conn) + timedelta(days=chance.choice((-20, -1, 0, 1, 20)))
    change: dict[str, Any] = chance.choice(
        (
            {"next_step_on": chance.choice(("", str(next_step), str(next_step)))},
            {"value": chance.choice(("4,99,999.99", "5 lakh", "20 lakh")), "next_step_on": str(next_step)},
            {"business_unit": chance.choice(("water", "process"))},
            {"product": chance.choice(("pump", "valve")), "region": "coimbatore"},
            {"title": f"Pump {chance.random()}"},
            {"application_engineer_id": office.people[chance.choice(("arun", "asha", "ravi"))].user_id},
        )
    )
    row = opportunities.get(conn, office.kavya, chance.choice(made)) if made else None
    if row and not lifecycle.STAGE[row.status].closed:
        opportunities.edit(conn, office.kavya, row.id, change)


def slices(office: Office) -> list[Slice]:
    asha, ravi = (str(office.people[name].user_id) for name in ("asha", "ravi"))
    return [
        Slice(),
        Slice(status=("open", "won")),
        Slice(status="offer_made", business_unit="water", product="valve"),
        Slice(region="coimbatore"),
        Slice(region=("coimbatore", "outer_chennai", "retired", "mars"), product="pump"),
        Slice(owner=asha),
        Slice(owner=(asha, ravi), status="open"),
        Slice(owner=ravi, region="coimbatore"),
        Slice(owner=asha, created="2026-q2", status=("open", "lost")),
        Slice(owner=asha, region="coimbatore", created="2026-04"),
        Slice(owner=(asha, ravi), region="outer_chennai"),
        Slice(created="2026-04"),
        Slice(created=("fy2025-26", "2026-05")),
        Slice(created=("2026-04-01..", "2026-13"), business_unit="process"),
        Slice(created="..2026-04-15"),
        Slice(created="2026-13"),
        Slice(region="coimbatore", created=("2026-04", "2026-13")),
        Slice(region=("outer_chennai", "coimbatore", "mars"), closed="2026-q2", status=("won", "lost")),
        Slice(closed="2026-04", status="won"),
        Slice(closed=("fy2025-26", "2026-13"), status=("won", "lost")),
        Slice(closed="2026-04-03..", product="pump"),
        Slice(owner=("0", "nobody")),
        Slice(owner="0", region="coimbatore"),
        Slice(region="Mars!", status=("open", "dreamt")),
        Slice(product="", business_unit="water"),
        Slice(customer="1"),
        Slice(q="amman", status="open"),
    ]


def late(office: Office) -> list[Slice]:
    asha = str(office.people["asha"].user_id)
    return [
        Slice(attention="overdue"),
        Slice(attention="overdue", status=("open", "won")),
        Slice(attention="overdue", status="offer_made", business_unit="water", product="valve"),
        Slice(attention="overdue", region=("coimbatore", "mars")),
        Slice(attention="overdue", region="outer_chennai", product="pump"),
        Slice(attention="overdue", owner=asha),
        Slice(attention="overdue", created="2026-04"),
        Slice(attention=("overdue", "stale")),
        Slice(attention="late"),
    ]


def told(conn: Connection, actor: Any, slice_: Slice, by: Any) -> list[list[tuple[type, Any]]]:
    frame = pipeline.totals(conn, actor, slice_, by)
    return [list(frame.columns), *([(type(v), v) for v in row] for row in frame.itertuples(index=False))]


def counted(conn: Connection, actor: Any, slice_: Slice, day: date, weighed: bool) -> forecast.Stock:
    """What the lists of that day hold, of one region and customer."""
    part = slice_.but(region="coimbatore", customer="1", asof=str(day))
    held = part.narrowed(status=lifecycle.PIPELINE)
    late = held and held.narrowed(attention="overdue")
    (count, value, *_), (overdue, *_) = (astuple(one) for one in pipeline.series(conn, actor, [held, late]))
    return forecast.Stock(count, value, forecast.weighted(conn, actor, part) if weighed else Decimal(0), overdue)


def row_by_row(slice_: Slice) -> Slice:
    """This function will narrow a slice by what is true of all and no tally knows."""
    return slice_.but(reached=EVERYTHING)


def rows_of(slice_: Slice | None) -> Slice | None:
    return slice_ and row_by_row(slice_)


@pytest.mark.parametrize("seed", [1])
def test_the_tallies_come_to_what_the_rows_come_to(office: Office, seed: int) -> None:
    """Totals by everything, of every slice, for every role, now and as of days about the ends of months."""
    chance = random.Random(seed)
    a_busy_company(office, chance)
    with office.owner.read() as conn:
        assert "" == standings.verify(conn)
        assert "" == tallies.verify(conn)
        assert "" == courses.verify(conn)
    turns = [str(day + timedelta(days=n)) for day in (date(2026, 3, 31), date(2026, 4, 30)) for n in (-1, 0, 1)]
    known = 0
    for actor in office.people.values():
        with office.database.read() as conn:
            asking = access.person(conn, actor)
            for slice_ in (*chance.sample(slices(office), 8), *chance.sample(late(office), 2)):
                asof = chance.choice((*turns, "2026-06-15", "2026-02-30", "1999-01-01"))
                for asked in (slice_, slice_.but(asof=asof)):
                    for by in ((), *chance.sample(BYS, 3)):
                        assert told(conn, actor, row_by_row(asked), by) == told(conn, actor, asked, by), (asked, by)
                        known += tallies.query(asking, asked, (by,) if isinstance(by, str) else by) is not None
                    listed, rows = (pipeline.listing(conn, actor, s) for s in (asked, row_by_row(asked)))
                    assert (rows.count, rows.value, rows.won_value) == (listed.count, listed.value, listed.won_value)
                days = [*(date.fromisoformat(day) for day in turns), periods.today()]
                at_once = trends.on_days(conn, actor, slice_, days)
                assert at_once == trends.on_days(conn, actor, row_by_row(slice_), days), slice_
                spans = [*map(periods.parse, SPANS), None, periods.Period(None, None)]
                for asked in (slice_, slice_.but(asof=turns[-1])):
                    found = trends.flows(conn, actor, asked, spans)
                    assert found == trends.flows(conn, actor, row_by_row(asked), spans), asked
                parts = [None, slice_, slice_.but(asof=turns[0]), row_by_row(slice_)]
                assert pipeline.series(conn, actor, parts) == pipeline.series(conn, actor, [*map(rows_of, parts)])
    assert known > 100


@pytest.mark.parametrize("seed", [4])
def test_the_bridge_of_what_is_kept_is_that_of_the_rows(office: Office, seed: int) -> None:
    """Of parts that opportunities moved into and out of, made the same step again in, and of which only rows know."""
    chance, met, known = random.Random(seed), set[str](), 0
    a_busy_company(office, chance, 6)
    turning = [
        Slice(business_unit="water"),
        Slice(product="valve"),
        Slice(region="coimbatore", business_unit="process"),
    ]
    turning.append(Slice(owner=str(office.people["ravi"].user_id), product="pump", business_unit="water"))
    with office.owner.read() as conn:
        assert ("", "") == (standings.verify(conn), tallies.verify(conn))
    for name in ("kavya", "asha"):
        actor = office.people[name]
        with office.database.read() as conn:
            asking = access.person(conn, actor)
            for slice_ in (*(one for one in slices(office) if not one.status), *turning):
                for code in ("", *chance.sample(SPANS, 2)):
                    asked = slice_.but(asof=chance.choice((None, "2026-04-15", "2026-04-30", "2026-02-30")))
                    rows, kept = (
                        trends.movement(conn, actor, one, code)
                        for one in (asked.but(status=tuple(lifecycle.STAGE)), asked)
                    )
                    assert rows.steps.values.tolist() == kept.steps.values.tolist(), (asked, code)
                    assert (rows.opening_value, rows.closing_value) == (kept.opening_value, kept.closing_value)
                    met |= set(kept.steps["step"])
                known += tallies.moved(asking, slice_, periods.Period(None, None)) is not None
    assert 10 == known
    assert {"increased", "moved_in", "decreased", "moved_out"} <= met


@pytest.mark.parametrize("seed", [2])
def test_the_tallies_tell_every_day_what_the_rows_tell(office: Office, seed: int) -> None:
    """Overdue and weighted, for every role, as deals grow old: also on days that were yet to come when they changed."""
    chance = random.Random(seed)
    a_busy_company(office, chance, 16)
    weighed = [
        *(Slice(), Slice(status=("open", "won")), Slice(status="offer_made", business_unit="water")),
        *(Slice(product="valve"), Slice(product="", business_unit="water"), Slice(region="coimbatore")),
        *(Slice(attention="stale"), Slice(age="31-60", status="open"), Slice(attention=("overdue", "stale"))),
    ]
    met = set[Any]()
    for actor in office.people.values():
        with office.database.read() as conn:
            for slice_ in chance.sample(late(office), 3):
                found = trends.on_days(conn, actor, slice_, AGEING)
                assert found == trends.on_days(conn, actor, row_by_row(slice_), AGEING), slice_
                met.update(found)
            for slice_ in (weighed[0], *chance.sample(weighed[1:], 2)):
                told = forecast.stocks(conn, actor, slice_, AGEING, AGEING)
                assert told == forecast.stocks(conn, actor, row_by_row(slice_), AGEING, AGEING), slice_
                met.update(told.values())
                at_once = forecast.stocks(
                    conn, actor, slice_.but(region="coimbatore", customer="1"), AGEING, AGEING[1:3]
                )
                for day in AGEING[1:4]:
                    assert at_once[day] == counted(conn, actor, slice_, day, day in AGEING[1:3]), (slice_, day)
    assert len(met) > 80


def test_overdue_by_hand(office: Office) -> None:
    """From the day after the next step on, in India; what is changed by the end of that day was never overdue."""
    home = office.customer()
    given = {
        "customer_id": home,
        "region": "coimbatore",
        "business_unit": "water",
        "product": "pump",
        "value": "1 lakh",
    }

    def late_days(*changes: tuple[str, Any], **more: Any) -> list[int]:
        made, before = 0, office.ask(trends.on_days, office.kavya, Slice(attention="overdue"), days)
        for at, change in changes:
            with office.database.write() as conn:
                clock.start(conn, datetime.fromisoformat(at))
                if not made:
                    made = opportunities.create(conn, office.kavya, given | {"owner_id": office.asha.user_id} | change)
                elif isinstance(change, str):
                    opportunities.move(conn, office.kavya, made, change, dict(ASKED[change]))
                else:
                    opportunities.edit(conn, office.kavya, made, change)
        after = office.ask(trends.on_days, office.kavya, Slice(attention="overdue"), days)
        return [day.day for day, (was, _), (now, _) in zip(days, before, after, strict=True) if now > was]

    days = [date(2026, 4, day) for day in range(1, 31)]
    made, soon = "2026-04-02T06:00:00+00:00", {"next_step_on": "2026-04-10"}
    assert list(range(11, 31)) == late_days((made, soon))
    assert list(range(2, 31)) == late_days((made, {"next_step_on": "2026-03-20"}))
    assert [] == late_days((made, {"next_step_on": "2026-04-30"}))
    assert [] == late_days((made, soon), ("2026-04-11T18:29:59+00:00", {"next_step_on": ""}))
    assert [11] == late_days((made, soon), ("2026-04-11T18:30:00+00:00", {"next_step_on": "2026-05-01"}))
    assert [11, 12] == late_days((made, soon), ("2026-04-13T06:00:00+00:00", "lose"))
    lost = (("2026-04-05T06:00:00+00:00", "lose"), ("2026-04-20T06:00:00+00:00", "reopen"))
    assert list(range(20, 31)) == late_days((made, soon), *lost)
    once = "2026-04-15T06:00:00+00:00"
    assert list(range(11, 31)) == late_days((made, soon), (once, "lose"), (once, "reopen"))
    behind = ("2026-04-12T06:00:00+00:00", {"next_step_on": ""})
    assert [11, 12, 13, 14] == late_days((made, soon), (once, {"title": "Pumps"}), behind)
    with office.owner.read() as conn:
        assert "" == tallies.verify(conn)


def test_overdue_now_is_what_was_due_before_today(office: Office) -> None:
    """Told by the tallies, and the same row by row; the list has as many."""
    today = periods.today()
    made = [office.opportunity("asha", next_step_on=str(today + timedelta(days=n))) for n in (-2, -1, 0, 1)]
    office.do(opportunities.edit, office.asha, made[0], {"next_step_on": ""})
    late_ = Slice(attention="overdue")
    with office.database.read() as conn:
        assert tallies.query(access.person(conn, office.kavya), late_) is not None
        found = pipeline.listing(conn, office.kavya, late_)
        assert told(conn, office.kavya, row_by_row(late_), ()) == told(conn, office.kavya, late_, ())
    assert (1, [made[1]]) == (found.count, list(found.rows["id"]))


#: What the tallies know, of a manager and of a sales engineer: Y or -, of a slice by dimensions.
KNOWN = (
    ("YY", {}, ()),
    ("YY", {"status": "open"}, ("region",)),
    ("YY", {"status": "open", "business_unit": "water"}, ("owner", "product")),
    ("YY", {}, ("created", "status")),
    ("YY", {"created": "2026-q3"}, ()),
    ("YY", {"created": ("fy2026-27", "2027-04-01..")}, ()),
    ("--", {"created": "2026-04-02..2026-05-31"}, ()),
    ("Y-", {"region": "coimbatore", "created": "2026-04"}, ()),
    ("Y-", {"closed": "fy2026-27", "status": "won"}, ("region",)),
    ("--", {"region": "coimbatore", "created": "2026-04", "owner": "3"}, ()),
    ("--", {"region": "coimbatore", "created": "2026-04", "closed": "2026-05"}, ()),
    ("--", {"region": "coimbatore", "created": "2026-04", "asof": "2026-05-01"}, ()),
    ("YY", {"region": "coimbatore"}, ("owner",)),
    ("YY", {"region": "coimbatore", "owner": "3"}, ()),
    ("YY", {"created": "2026-04", "owner": "3"}, ("owner",)),
    ("YY", {"region": "coimbatore", "owner": ("3", "4")}, ()),
    ("YY", {"region": "coimbatore", "owner": "0"}, ()),
    ("YY", {"closed": "fy2026-27", "status": "won"}, ("owner",)),
    ("Y-", {"asof": "2026-04-01"}, ("region",)),
    ("--", {"asof": "2026-04-01", "region": "coimbatore", "owner": "3"}, ()),
    ("--", {"asof": "2026-02-30"}, ()),
    ("Y-", {"asof": "2026-04-01", "attention": "overdue", "status": "open"}, ("region", "product")),
    ("Y-", {"asof": "2026-04-01", "attention": "overdue", "region": "coimbatore"}, ()),
    ("--", {"asof": "2026-04-01", "attention": "overdue"}, ("owner",)),
    ("--", {"asof": "2026-04-01", "attention": ("overdue", "stale")}, ()),
    ("--", {"asof": "2026-02-30", "attention": "overdue"}, ()),
    ("Y-", {"attention": "overdue"}, ()),
    ("--", {"asof": ("2026-04-01", "2026-04-02")}, ()),
    *(("--", {name: value}, ()) for name, value in (("q", "mill"), ("customer", "1"), ("state", "Kerala"))),
    *(("--", {name: value}, ()) for name, value in (("city", "Erode"), ("reason", "price"))),
    ("YY", {"closed": "2026-04"}, ("status",)),
    ("YY", {"status": "won"}, ("closed",)),
    ("--", {"closed": "2026-04-02..2026-05-31"}, ()),
    ("Y-", {"closed": "2026-04", "region": "coimbatore"}, ()),
    *(("--", {name: value}, ()) for name, value in (("attention", "stale"), ("age", "0-30"), ("reached", "won"))),
    *(("--", {name: value}, ()) for name, value in (("moved", "new"), ("during", "2026-04"))),
    *(("--", {}, (name,)) for name in ("state", "city", "reason", "age")),
)


@pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)
def test_what_the_tallies_know(office: Office) -> None:
    """And an application engineer reads the few opportunities that name them, row by row."""
    with office.database.read() as conn:
        manager, engineer, named = (access.person(conn, office.people[n]) for n in ("kavya", "asha", "arun"))
    for cells, values, by in KNOWN:
        slice_ = Slice(**values)
        found = (tallies.query(asking, slice_, by) is not None for asking in (manager, engineer))
        assert cells == "".join("Y" if known else "-" for known in found), (values, by)
        assert tallies.query(named, slice_, by) is None


def test_a_change_that_leaves_its_cell_writes_no_tally(office: Office) -> None:
    """A title is not counted; a value changes its cells once, and no cell more than was there."""
    made = office.opportunity()
    before = office.sql("SELECT * FROM tally ORDER BY lead, owner_id, at")
    office.do(opportunities.edit, office.asha, made, {"title": "Two pumps", "next_step": "Call"})
    assert before == office.sql("SELECT * FROM tally ORDER BY lead, owner_id, at")
    assert 12 + 2 * len(AGES) + 2 * len(MOVED) == len(before)
    office.do(opportunities.edit, office.asha, made, {"value": "3 lakh"})
    values = office.sql("SELECT lead, count, value_paise FROM tally ORDER BY lead, owner_id, at")
    before, values = ([row for row in rows if row[0] not in MOVED] for rows in (before, values))
    assert [(row[0], 1, 3_00_000_00) for row in before] == [(lead, count, int(v)) for lead, count, v in values]


def test_the_days_add_up_to_now_and_a_late_change_to_its_own_day(office: Office) -> None:
    """B15: a clock that went backwards changes the day on which the standing before it began."""
    made = office.opportunity()
    for at in (datetime(2027, 1, 5, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)):
        with office.database.write() as conn:
            clock.start(conn, at)
            opportunities.edit(conn, office.kavya, made, {"value": str(at.day)})
    changed = "SELECT at, count, value_paise FROM tally WHERE lead = 'region' AND owner_id = 0 AND at > 20270000"
    assert [(20270105, 0, -99_998_00)] == [(at, n, int(v)) for at, n, v in office.sql(changed)]
    with office.owner.read() as conn:
        assert "" == tallies.verify(conn)


# Whoever errs or lies


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE tally SET count = count + 1 WHERE lead = 'owner' AND at = 0",
        "UPDATE tally SET value_paise = value_paise - 1 WHERE lead = 'region' AND owner_id > 0",
        "UPDATE tally SET won_value_paise = 1 WHERE lead = 'created' AND at > 20000000",
        "UPDATE tally SET at = at - 1 WHERE lead = 'created' AND at BETWEEN 200001 AND 299912",
        "DELETE FROM tally WHERE lead = 'region' AND owner_id = 0 AND at = 0",
        "UPDATE tally SET count = count + 1 WHERE lead = 'overdue' AND at > 20000000",
        "DELETE FROM tally WHERE lead = 'aged_31' AND at < 300000",
        "DELETE FROM tally WHERE lead = 'created_region'",
        "UPDATE tally SET count = count + 1 WHERE lead = 'moved' AND at > 20000000",
        "UPDATE tally SET value_paise = 1 WHERE lead = 'moved_owner' AND at < 300000",
        "INSERT INTO tally SELECT lead, owner_id + 90, at, key, status, business_unit, product, 1, 0, 0, 0, 0 FROM tally",
        "UPDATE course SET won = won + 1",
        "UPDATE course SET known = known - 1",
        "DELETE FROM course",
        "UPDATE tally SET seen = seen + 1 WHERE lead = 'aged_0'",
        "UPDATE win SET deals = 2 WHERE seen < 300000",
        "UPDATE win SET days = days + 1",
        "DELETE FROM win",
    ],
)
def test_a_tally_that_lies_is_found(office: Office, addresses: tuple[str, str], lie: str, capsys: Any) -> None:
    """The standings prove it, and rebuilding mends it."""
    course(office, ("2026-01-05", "create"), ("2026-01-09", "make_offer"), ("2026-03-19", "win"))
    office.opportunity("ravi", next_step_on="2026-04-20")
    honest = [office.sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6") for table in KEPT]
    assert all(honest)
    assert office.sql(lie)
    with office.owner.read() as conn:
        assert "is not what the standings say" in tallies.verify(conn) + courses.verify(conn)
    assert 1 == command_line.main(["--url", addresses[1], "verify"])
    assert re.search("The (tally|course|win) ", capsys.readouterr().err)
    assert 0 == command_line.main(["--url", addresses[1], "rebuild"])
    assert 0 == command_line.main(["--url", addresses[1], "verify"])
    for table, rows in zip(KEPT, honest, strict=True):
        again = office.sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6")
        assert sorted(row for row in rows if any(row[-5:])) == sorted(row for row in again if any(row[-5:]))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tally SET count = 7",
        "DELETE FROM tally",
        "INSERT INTO tally VALUES ('region', 0, 0, 'coimbatore', 'won', 'water', 'pump', 1, 1, 1, 1, 1)",
        "UPDATE course SET won = 7",
        "INSERT INTO course VALUES ('open', 0, '2000000-', 1, 1, 1)",
        "INSERT INTO win VALUES ('open', 0, '2000000-', 202601, 1, 1)",
    ],
)
def test_only_the_database_itself_writes_tallies(office: Office, statement: str) -> None:
    """The app's role and the authorizer refuse; an org admin too."""
    office.opportunity()
    with pytest.raises((Refusal, DBAPIError)):
        office.app_sql(statement, "meena")
    with office.owner.read() as conn:
        assert "" == tallies.verify(conn)


@pytest.mark.parametrize("addresses", ["postgresql"], indirect=True)
def test_anothers_sums_are_out_of_sight(office: Office) -> None:
    """A20: past the program, a sales engineer reads the cells of their own, and nobody else any but who sees all."""
    office.opportunity("asha", application_engineer_id=office.arun.user_id)
    office.opportunity("ravi")
    owners = "SELECT DISTINCT owner_id FROM tally ORDER BY owner_id"
    asha, ravi = office.people["asha"].user_id, office.people["ravi"].user_id
    seen = {name: [row[0] for row in office.app_sql(owners, name)] for name in office.people}
    everything = sorted([0, asha, ravi])
    assert {**dict.fromkeys(("kavya", "meena", "devi"), everything), "asha": [asha], "ravi": [ravi], "arun": []} == seen
    assert [] == office.app_sql(owners)


def test_a_sum_that_no_number_holds_is_refused_not_rounded(office: Office) -> None:
    """Beyond 64 bits SQLite would go on with an inexact one."""
    made = office.opportunity()
    office.sql("UPDATE tally SET value_paise = 9000000000000000000 WHERE lead = 'region' AND at = 0")
    with pytest.raises(Conflict):
        office.do(opportunities.edit, office.asha, made, {"value": "2 lakh"})


def test_an_older_database_is_given_its_tallies(office: Office, addresses: tuple[str, str]) -> None:
    """A migration writes them from the standings, and the walls about them."""
    office.at("won")
    office.opportunity("ravi")
    before = office.ask(pipeline.listing, office.kavya, Slice())
    older(office, "0003")
    open_database(addresses[1], owner=True).dispose()
    after = office.ask(pipeline.listing, office.kavya, Slice())
    assert (before.count, before.value, before.won_value) == (after.count, after.value, after.won_value)
    office.opportunity()
    with office.owner.read() as conn:
        assert ("", "") == (tallies.verify(conn), courses.verify(conn))


@pytest.mark.parametrize(("older", "mended"), [(("rules",), False), (("rules", "counted"), True)])
def test_only_other_counts_are_counted_anew(
    office: Office, addresses: tuple[str, str], older: tuple[str, ...], mended: bool
) -> None:
    """A new role or a new rule makes no update of a large database wait for its tallies."""
    office.opportunity()
    for key in older:
        office.sql(f"UPDATE setting SET value = 'older' WHERE key = '{key}'")
    for table in KEPT:
        office.sql(f"DELETE FROM {table}")
    open_database(addresses[1], owner=True).dispose()
    with office.owner.read() as conn:
        assert mended == (tallies.verify(conn) == "")
    assert [] == office.sql("SELECT key FROM setting WHERE value = 'older'")


# Many at once


def busily(office: Office, number: int, home: int, shared: list[int], turns: int = 40) -> int:
    """This function will create, edit, move and reassign in two regions, whatever is legal."""
    chance, done, mine = random.Random(number), 0, list[int]()
    while done < turns:
        act = chance.choice(("create", "edit", "move", "reassign"))
        made, owner = chance.choice([*shared, *mine]), chance.choice(("asha", "ravi"))
        try:
            if act == "create":
                region = chance.choice(("coimbatore", "outer_chennai"))
                mine.append(office.opportunity(owner, customer_id=home, region=region))
            elif act == "edit":
                office.do(opportunities.edit, office.kavya, made, {"value": f"{chance.randint(1, 99)} lakh"})
            elif act == "move":
                row = office.ask(opportunities.get, office.kavya, made)
                name = chance.choice(office.ask(opportunities.moves, office.kavya, row)).name
                office.do(opportunities.move, office.kavya, made, name, dict(ASKED[name]))
            else:
                office.do(opportunities.reassign, office.kavya, made, office.people[owner].user_id)
        except (Conflict, Invalid):
            continue
        done += 1
    return done


def test_of_many_writers_to_the_same_cells_none_is_lost(office: Office) -> None:
    """Eight at once; no two block each other, and the tallies are what a recount gives."""
    home, blocked = office.customer(), list[str]()
    shared = [office.opportunity(customer_id=home) for _ in range(4)]

    def note(context: Any) -> None:
        blocked.extend(["deadlock"] * (getattr(context.original_exception, "sqlstate", "") == "40P01"))

    event.listen(office.database.engine, "handle_error", note)
    assert [40] * 8 == at_once(8, lambda number: busily(office, number, home, shared))
    assert [] == blocked
    with office.owner.read() as conn:
        assert [""] * 3 == [beside.verify(conn) for beside in (standings, tallies, courses)]
        for by in ("region", "owner", "status"):
            assert told(conn, office.meena, row_by_row(Slice()), by) == told(conn, office.meena, Slice(), by)


def test_tallies_written_anew_among_writers_lose_nothing(office: Office) -> None:
    """Whoever saves meanwhile waits for it, and is counted once."""
    home = office.customer()
    shared = [office.opportunity(customer_id=home) for _ in range(4)]

    def work(number: int) -> object:
        if number:
            return busily(office, number, home, shared, 20)
        return [office.owner.submit(tallies.rebuild) > 0 for _ in range(10)]

    assert [[True] * 10, *[20] * 4] == at_once(5, work)
    with office.owner.read() as conn:
        assert "" == tallies.verify(conn)
