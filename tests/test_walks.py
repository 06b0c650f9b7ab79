"""A list is read page by page along its order, forwards and back, and nobody misses a row or meets one twice."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from crm_core import customers, denials, leads, opportunities, pipeline, trail, walks
from crm_core.access import Actor
from crm_core.slices import AuditSlice, DenialSlice, LeadSlice, Slice
from tests.conftest import ASKED, WAY, Office

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

EVERY_SORT = [sign + name for name in walks.SORTS for sign in ("", "-")]
FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)
BROKEN = [
    *("next", "next.-created", "next.-created..", "next.-created.1", "next.-created.1.x", "next.-created.1.-2"),
    *("later.-created.1.2", "next.-created.1.2 ", "next.-created.٣.2", "next.-created.1.2\n", "next..1.2", "x" * 5000),
    *("next.created.1.2", "next.-value.1.2", "next.id;drop.1.2", "next.-created.1.2.3", "next.-created.'.2"),
    *(f"next.-created.{'9' * 18}.1", f"next.-created.{'9' * 30}.1", f"next.-created.1.{'9' * 30}"),
    *("next.-created..1", "previous.-created..1", "next.-created.0.0"),
]


def stock(office: Office, count: int = 20) -> None:
    """Deals with many of the same time, value and day, or none; of two owners, some of whom the other is named on."""
    chance, home, people = random.Random(count), office.customer(), office.people
    with office.database.write() as conn:
        for number in range(count):
            at = FIRST + timedelta(days=chance.randint(0, 3))
            values = {"customer_id": home, "region": "coimbatore", "business_unit": "water", "product": "pump"}
            values |= {"value": chance.choice(("1", "2", "2.5")), "owner_id": chance.choice((office.asha, office.ravi))}
            values |= {"application_engineer_id": chance.choice((None, office.arun, office.asha))}
            values = {key: getattr(value, "user_id", value) for key, value in values.items()}
            values |= {"next_step_on": chance.choice((None, None, "2026-03-01", "2026-03-02"))}
            made = opportunities.create(conn, people["meena"], values, at=at)
            for name in WAY[chance.choice(tuple(WAY))]:
                at += timedelta(days=number % 2)
                opportunities.move(conn, people["meena"], made, name, dict(ASKED[name]), at=at)


def whole(conn: Connection, actor: Actor, slice_: Slice, sort: str) -> list[int]:
    """The ids of a slice in order, sorted here."""
    rows = list(pipeline.listing(conn, actor, slice_, per_page=1000).rows.itertuples(index=False))
    assert sorted(row.id for row in rows) == sorted(pipeline.ids(conn, actor, slice_)), slice_
    name, falls = walks.SORTS[sort.removeprefix("-")], sort.startswith("-")
    having = [row for row in rows if getattr(row, name) is not None]
    lacking = [row for row in rows if getattr(row, name) is None]
    having.sort(key=lambda row: (getattr(row, name), row.id), reverse=falls)
    lacking.sort(key=lambda row: row.id, reverse=falls)
    return [row.id for row in having + lacking]


def walked(conn: Connection, actor: Actor, slice_: Slice, sort: str, size: int, way: str) -> list[int]:
    """The ids of the pages from the first to the last, or back from the last one, put in order again."""
    step = 1 if way == "next" else -1
    here = pipeline.listing(conn, actor, slice_, sort, 1 if step > 0 else 9999, size)
    ids = list(here.rows["id"])
    while cursor := getattr(here, way):
        turned = here.page + step
        here = pipeline.listing(conn, actor, slice_, sort, turned, size, cursor)
        assert (turned, size) == (here.page, max(size, len(here.rows)))
        ids = ids + list(here.rows["id"]) if step > 0 else list(here.rows["id"]) + ids
    return ids


def test_a_walk_meets_every_row_once_in_order(office: Office) -> None:
    """For every person, there and back, in pages so small that they are walked and so large that they are sorted."""
    stock(office)
    wide = (Slice(), Slice(status="open"), Slice(status=("won", "lost", "bogus")))
    others = (
        *(Slice(owner=office.ravi.user_id), Slice(region="coimbatore", product="pump"), Slice(customer="99")),
        *(Slice(attention="overdue"), Slice(attention=("stale", "overdue"), status=("open", "won"))),
        *(Slice(closed="2026-01"), Slice(reason="price"), Slice(closed="2026-q1", status="open")),
        *(Slice(asof="2026-01-08"), Slice(moved="created", during="2026-q1"), Slice(moved="won", status="open")),
    )
    chance = random.Random(1)
    for name, actor in office.people.items():
        manager = name == "kavya"
        tried = [*itertools.product(wide, EVERY_SORT if manager else ("-value", "next_step"))]
        tried += [(slice_, sort) for slice_ in others if manager for sort in chance.sample(EVERY_SORT, 5)]
        with office.database.read() as conn:
            for slice_, sort in tried:
                ids = whole(conn, actor, slice_, sort)
                for size, way in ((2, "next"), (3, "previous"), (9, "next"), (9, "previous")):
                    assert ids == walked(conn, actor, slice_, sort, size, way), (name, slice_, sort, size, way)
                pages = [ids[i : i + 9] for i in range(0, len(ids), 9)] or [[]]
                for page in (1, 2, 3):
                    counted = pipeline.listing(conn, actor, slice_, sort, page, 9)
                    assert pages[min(page, len(pages)) - 1] == list(counted.rows["id"])


@pytest.mark.parametrize("sort", ["-created", "value", "next_step"])
def test_rows_that_come_and_go_make_no_row_appear_twice_or_be_missed(office: Office, sort: str) -> None:
    """They come before, between and behind while somebody turns the pages there and back; some leave the slice."""
    stock(office)
    chance, slice_ = random.Random(sort), Slice(status="open")
    before, gone = office.ask(whole, office.kavya, slice_, sort), set()
    here = office.ask(pipeline.listing, office.kavya, slice_, sort, 1, 2)
    for way in ("next", "previous"):
        seen = list(here.rows["id"])
        while cursor := getattr(here, way):
            office.opportunity(value=chance.choice((1, 2, 3)), next_step_on=chance.choice((None, "2026-03-01")))
            if chance.random() < 0.3:
                left = chance.choice([i for i in before if i not in gone])
                office.move(left, "lose")
                gone.add(left)
            here = office.ask(pipeline.listing, office.kavya, slice_, sort, 1, 2, cursor)
            page = list(here.rows["id"])
            assert not set(page) & set(seen)
            seen = seen + page if way == "next" else page + seen
        now = office.ask(whole, office.kavya, slice_, sort)
        assert [i for i in seen if i in now] == [i for i in now if i in seen]
        assert set(before) - gone <= set(seen)


def test_a_cursor_that_leads_nowhere_is_the_page_by_its_number(office: Office) -> None:
    """D13: broken, foreign, too long, of another order, or of a row beside which nothing is."""
    made = [office.opportunity() for _ in range(5)][::-1]
    for broken in BROKEN:
        here = office.ask(pipeline.listing, office.kavya, Slice(), "-created", 2, 2, broken)
        assert (2, made[2:4]) == (here.page, list(here.rows["id"])), broken


def test_a_cursor_leads_nobody_beyond_what_they_may_see(office: Office) -> None:
    """A2: a manager's link, opened by an engineer."""
    stock(office)
    link = office.ask(pipeline.listing, office.kavya, Slice(), "-value", 1, 3).next
    own = office.ask(whole, office.asha, Slice(), "-value")
    listed = office.ask(pipeline.listing, office.asha, Slice(), "-value", 2, 100, link)
    assert set(listed.rows["id"]) <= set(own)
    assert listed.count == len(own)


def test_a_page_read_back_to_the_beginning_is_the_first_and_to_the_end_the_last(office: Office) -> None:
    """Whatever number its link has."""
    made = [office.opportunity() for _ in range(6)][::-1]
    second = office.ask(pipeline.listing, office.kavya, Slice(), "-created", 2, 2)
    first = office.ask(pipeline.listing, office.kavya, Slice(), "-created", 77, 2, second.previous)
    last = office.ask(pipeline.listing, office.kavya, Slice(), "-created", 1, 2, second.next)
    assert (1, "", made[:2]) == (first.page, first.previous, list(first.rows["id"]))
    assert (3, "", made[4:]) == (last.page, last.next, list(last.rows["id"]))


OTHERS: dict[str, tuple[Any, ...]] = {
    **{f"leads {sign}{sort}": (leads.listing, LeadSlice(), sign + sort) for sort in leads.SORTS for sign in ("", "-")},
    "leads of some": (leads.listing, LeadSlice(status=("new", "contacted"), owner="me"), "-changed"),
    "leads of a text": (leads.listing, LeadSlice(q="mills"), "company"),
    "leads of a text that many have": (leads.listing, LeadSlice(q="mills", scanned=True), "company"),
    "customers": (customers.listing, ""),
    "customers of a text": (customers.listing, "vel"),
    "audit": (trail.listing, AuditSlice()),
    "audit of leads": (trail.listing, AuditSlice(kind="lead")),
    "denials": (denials.listing, DenialSlice()),
}


def stock_others(office: Office) -> None:
    """Leads of a few names, in several states; customers of one name; some refusals."""
    chance = random.Random(7)
    for number in range(23):
        owner = chance.choice((office.asha, office.ravi)).user_id
        company = chance.choice(("Vel Mills", "vel mills", "Amman Foundry"))
        office.lead(
            company=company, email=None, owner_id=owner, status=chance.choice(("new", "contacted", "qualified"))
        )
        office.customer(company, email=None)
        office.database.denied(office.asha, "audit.read", f"No {number}.")


def ids_of(rows: Any) -> list[int]:
    return list(rows["id"]) if hasattr(rows, "columns") else [row.id for row in rows]


def test_every_other_list_is_walked_alike(office: Office) -> None:
    """There and back, in pages of any size, by cursor and by number."""
    stock_others(office)
    for name, (verb, what, *sort) in OTHERS.items():
        if isinstance(what, LeadSlice) and what.owner:
            what = what.but(owner=office.asha.user_id)

        def read(
            page: int, size: int, after: str = "", given: Any = (verb, what, *sort)
        ) -> tuple[list[int], walks.Page]:
            rows, turned = office.ask(given[0], office.kavya, *given[1:], page, size, after)
            return ids_of(rows), turned

        ids, alone = read(1, 1000)
        assert walks.Page(len(ids), 1, 1) == alone
        assert len(ids) == len(set(ids)) > 7, name
        for size in (2, 7):
            for way, step in (("next", 1), ("previous", -1)):
                found, here = read(1 if step > 0 else 9999, size)
                seen = [found]
                while cursor := getattr(here, way):
                    turned = here.page + step
                    found, here = read(turned, size, cursor)
                    assert turned == here.page
                    seen.append(found)
                assert ids == [i for page in seen[::step] for i in page], (name, size, way)
        for page in range(1, -(-len(ids) // 9) + 1):
            assert ids[(page - 1) * 9 : page * 9] == read(page, 9)[0]


def test_leads_are_sorted_by_what_the_order_says_and_then_by_age(office: Office) -> None:
    stock_others(office)
    for sort in [sign + name for name in leads.SORTS for sign in ("", "-")]:
        column, falls = leads.SORTS[sort.removeprefix("-")], sort.startswith("-")
        told = office.sql(f"SELECT id, {column} FROM lead")
        wanted = [i for i, _key in sorted(told, key=lambda row: (row[1], row[0]), reverse=falls)]
        assert wanted == list(office.ask(leads.listing, office.kavya, LeadSlice(), sort, 1, 1000)[0]["id"]), sort


def test_a_broken_cursor_of_another_list_is_the_page_by_its_number(office: Office) -> None:
    """D13: as of opportunities; and one beside a record that is gone, or is of another order."""
    stock_others(office)
    for name in ("leads company", "leads -created", "customers", "audit", "denials"):
        verb, what, *sort = OTHERS[name]
        second = ids_of(office.ask(verb, office.kavya, what, *sort, 2, 3)[0])
        order = sort[0] if sort else {"customers": "name", "audit": "-recorded", "denials": "-at"}[name]
        lettered = [f"next.{order}.5.1"] if order in ("company", "name") else []
        for broken in (*BROKEN, f"next.{order}..{'9' * 18}", *lettered):
            found, turned = office.ask(verb, office.kavya, what, *sort, 2, 3, broken)
            assert (2, second) == (turned.page, ids_of(found)), (name, broken)
