"""The demo company: the same for the same day on every database, and as lifelike as it is legal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from crm_core import demo, lifecycle, pipeline, preferences, stage_limits, targets, users
from crm_core.access import Actor
from crm_core.database import Database, open_database
from crm_core.errors import Conflict
from crm_core.schema import audit, metadata
from crm_core.slices import Slice

DAY = date(2026, 10, 1)
SIZE = 150


def told(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """This function will read every table of a database, in the order of its key."""
    with database.read() as conn:
        return {
            table.name: [tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
            if table.name not in ("setting", "stage", "move", "role_grant")
        }


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, postgresql: str) -> Iterator[list[Database]]:
    """Two SQLite databases and one of PostgreSQL, filled for the same day."""
    name, folder = f"demo_{os.getpid()}", tmp_path_factory.mktemp("demo")
    with psycopg.connect(postgresql, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    addresses = [f"sqlite:///{folder / 'one.sqlite3'}", f"sqlite:///{folder / 'two.sqlite3'}"]
    opened = [open_database(a, owner=True) for a in (*addresses, postgresql.rpartition("/")[0] + "/" + name)]
    for database in opened:
        demo.fill(database, today=DAY, opportunities=SIZE)
    yield opened
    for database in opened:
        database.dispose()


def test_the_same_day_tells_the_same_story_on_every_database(three: list[Database]) -> None:
    one, two, three_ = (told(database) for database in three)
    assert one == two
    assert one == three_


def test_the_demo_is_a_believable_company(three: list[Database]) -> None:
    """Every status, three financial years, a few big deals among many small ones, marked as a trial."""
    database = three[0]
    with database.read() as conn:
        assert preferences.is_trial(conn)
        admin = next(Actor(row.id) for row in users.people(conn) if row.role == "org_admin")
        listed = pipeline.listing(conn, admin, Slice(), per_page=1000)
        years = [
            pipeline.listing(conn, admin, Slice(created=fy)).count for fy in ("fy2024-25", "fy2025-26", "fy2026-27")
        ]
        waited = {(row.at, row.action) for row in conn.execute(select(audit)) if row.recorded_at != row.at}
        limits = stage_limits.limits(conn)
        shares = [list(targets.achieved(conn, admin, k, Slice(), "fy2025-26")["share"].dropna()) for k in targets.KINDS]
    assert {"open": 45, "offer_made": 60} == limits
    assert all(min(found) < 100 < max(found) for found in shares)
    assert {s.code for s in lifecycle.STAGES} == set(listed.rows["status"])
    assert all(years)
    assert sum(years) == listed.count
    values = sorted(listed.rows["value"])
    assert values[-1] > 10 * values[len(values) // 2]
    assert not waited


def test_a_database_in_use_is_not_filled(three: list[Database]) -> None:
    with pytest.raises(Conflict):
        demo.fill(three[0])
