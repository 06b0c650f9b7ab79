"""What the history keeps is enough to tell what every record was on any past day."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from crm_core import clock, lifecycle, opportunities
from crm_core.database import Database
from crm_core.schema import audit, opportunity, transition
from tests.conftest import ASKED, Office

START = datetime(2026, 3, 30, 18, 0, tzinfo=UTC)
KEPT = (*opportunities.EDITABLE, "status", "won_value", "reason", "offer_id")


def state(conn: Any, made: int) -> dict[str, str | None]:
    """This function will read what a day's record is, as the audit would write it."""
    row = conn.execute(select(opportunity).where(opportunity.c.id == made)).one()._mapping
    return {name: plain(row[name]) for name in KEPT}


def plain(value: Any) -> str | None:
    if value is None:
        return None
    return format(value, ".2f") if isinstance(value, Decimal) else str(value)


def a_year_of_work(database: Database, office: Office, made: int, chance: random.Random) -> list[tuple[Any, Any]]:
    """This function will edit, move, reassign and reopen for a year and say what the record was after each day."""
    days = []
    for day in range(0, 360, 9):
        at = START + timedelta(days=day, minutes=chance.randrange(60))
        with database.write() as conn:
            clock.start(conn, at)
            row = opportunities.get(conn, office.kavya, made)
            moves = [t.name for t in opportunities.moves(conn, office.kavya, row)]
            act = chance.choice(["edit", "reassign", *moves])
            if act == "edit" and not lifecycle.STAGE[row.status].closed:
                changes = {
                    "value": chance.choice(["1 lakh", "2 cr", "0"]),
                    "region": chance.choice(["coimbatore", "outer_chennai"]),
                    "title": chance.choice(["Boiler feed", "", "Sluice valves"]),
                    "next_step_on": chance.choice(["2026-12-01", None]),
                }
                opportunities.edit(conn, office.kavya, made, changes)
            elif act == "reassign":
                opportunities.reassign(conn, office.kavya, made, office.people[chance.choice(["asha", "ravi"])].user_id)
            elif act in moves:
                opportunities.move(conn, office.kavya, made, act, dict(ASKED[act]))
        with office.owner.read() as conn:
            days.append((at, state(conn, made)))
    return days


def as_of(conn: Any, made: int, at: datetime) -> dict[str, str | None]:
    """This function will rebuild a record's past from its history: what it is now, with what came later undone."""
    was = state(conn, made)
    later = select(audit).where(audit.c.entity == "opportunity", audit.c.entity_id == str(made), audit.c.at > at)
    for entry in conn.execute(later.order_by(audit.c.id.desc())):
        was |= {name: value for name, value in entry.before.items() if name in KEPT}
    return {name: plain(Decimal(v)) if name.endswith("value") and v else v and str(v) for name, v in was.items()}


def test_any_past_day_can_be_rebuilt_from_the_history(database: Database, office: Office) -> None:
    """Facts of the day: status, value, owner, region and every other field, after each of forty days of work."""
    for seed in range(3):
        made = office.opportunity()
        days = a_year_of_work(database, office, made, random.Random(seed))
        with office.owner.read() as conn:
            for at, then in days:
                assert then == as_of(conn, made, at), at


def test_the_transitions_alone_tell_every_past_status(database: Database, office: Office) -> None:
    made = office.opportunity()
    days = a_year_of_work(database, office, made, random.Random(7))
    with office.owner.read() as conn:
        rows = conn.execute(select(transition).where(transition.c.opportunity_id == made).order_by(transition.c.seq))
        moves = [(row.at, row.from_status, row.to_status, row.by_id) for row in rows]
    for at, then in days:
        known = [to for when, _from, to, _by in moves if when <= at]
        if known:
            assert then["status"] == known[-1]
    assert all(a[2] == b[1] for a, b in pairwise(moves))
    assert all(by for *_rest, by in moves)
