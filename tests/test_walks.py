"""A list is read page by page along its order, forwards and back, and nobody misses a row or meets one twice."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from crm_core import opportunities, pipeline, walks
from crm_core.access import Actor
from crm_core.slices import Slice
from tests.conftest import ASKED, WAY, Office

EVERY_SORT = [sign + name for name in walks.SORTS for sign in ("", "-")]
FIRST = datetime(2026, 1, 5, 9, tzinfo=UTC)
BROKEN = [
    *("next", "next.-created", "next.-created..", "next.-created.1", "next.-created.1.x", "next.-created.1.-2"),
    *("later.-created.1.2", "next.-created.1.2 ", "next.-created.٣.2", "next.-created.1.2\n", "next..1.2", "x" * 5000),
    *("next.created.1.2", "next.-value.1.2", "next.id;drop.1.2", "next.-created.1.2.3", "next.-created.'.2"),
    *(f"next.-created.{'9' * 18}.1", f"next.-created.{'9' * 30}.1", f"next.-created.1.{'9' * 30}"),
    *("next.-created..1", "previous.-created..1", "next.-created.0.0"),
]


def stock(office: Office, count: int = 26) -> None:
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
        *(Slice(asof="2026-01-08"), Slice(moved="created", during="2026-q1"), Slice(moved="won", status="open")),
    )
    for name, actor in office.people.items():
        manager = name == "kavya"
        tried = itertools.product(
            (*wide, *others) if manager else wide, EVERY_SORT if manager else ("-value", "next_step")
        )
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
