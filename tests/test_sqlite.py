"""SQLite behind its authorizer: what the app's own connections may do when the program has erred."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from crm_core import opportunities
from crm_core.errors import Refusal
from crm_core.schema import metadata
from tests.conftest import Office

pytestmark = pytest.mark.parametrize("addresses", ["sqlite"], indirect=True)

REFUSED = (Refusal, DBAPIError)


def refused(office: Office, statement: str) -> str:
    before = office.sql("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
    with pytest.raises(REFUSED) as why:
        office.app_sql(statement)
    assert before == office.sql("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
    return str(why.value.__cause__ or why.value)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE audit",
        "DROP TRIGGER rule_00_opportunity",
        "DROP INDEX ix_opportunity_slice",
        "ALTER TABLE lead ADD COLUMN x",
        "ALTER TABLE lead RENAME TO l",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE transition (y)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON audit BEGIN SELECT 1; END",
        "CREATE VIEW x AS SELECT 1",
        "ATTACH ':memory:' AS other",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA recursive_triggers = OFF",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "REINDEX",
        "ANALYZE",
    ],
)
def test_the_app_cannot_change_the_database_itself(office: Office, statement: str) -> None:
    """A20: no table, trigger or pragma, and no second file."""
    assert "not authorized" in refused(office, statement)


def test_no_second_file_is_written(office: Office, tmp_path: Path) -> None:
    """A20: neither attached nor dumped."""
    for statement in (f"ATTACH '{tmp_path / 'x'}' AS x", f"VACUUM INTO '{tmp_path / 'x'}'"):
        refused(office, statement)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_the_app_deletes_nothing(office: Office, table: str) -> None:
    """B12: on any table, those without a trigger against it too."""
    assert "not authorized" in refused(office, f"DELETE FROM {table}")


@pytest.mark.parametrize("table", ["transition", "audit", "denial", "audit_seal", "stage", "move", "role_grant"])
def test_the_app_rewrites_no_history_and_no_rule(office: Office, table: str) -> None:
    """A20: no UPDATE at all; and no replacing, which an append-only trigger alone would let through."""
    office.opportunity()
    column = next(iter(metadata.tables[table].columns)).name
    assert "not authorized" in refused(office, f"UPDATE {table} SET {column} = {column}")
    if office.count(table):
        before = office.sql(f"SELECT * FROM {table}")
        refused(office, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        assert before == office.sql(f"SELECT * FROM {table}")


@pytest.mark.parametrize("change", ["status = 'won'", "won_value_paise = 1", "reason = 'price'", "created_by_id = 1"])
def test_a_status_is_written_by_its_transition_only(office: Office, change: str) -> None:
    """B1: the trigger may, the app may not."""
    made = office.opportunity()
    assert "not authorized" in refused(office, f"UPDATE opportunity SET {change}, version = version + 1")
    office.do(opportunities.move, office.asha, made, "make_offer")
    assert "offer_made" == office.ask(opportunities.get, office.asha, made).status


def test_every_connection_of_the_pool_is_guarded(office: Office) -> None:
    """A20: those that are opened later too."""
    with office.database.read() as one, office.database.read() as two, office.database.read() as three:
        for conn in (one, two, three):
            with pytest.raises(DBAPIError, match="not authorized"):
                conn.exec_driver_sql("CREATE TEMP TABLE x (y)")
