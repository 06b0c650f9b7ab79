"""The audit's seal: a row that was changed, removed or moved is named; a cut-off tail is found by the exported head."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine

from crm_core import access, opportunities, seals
from crm_core.__main__ import main
from crm_core.database import Database
from crm_core.errors import Invalid, Refusal
from crm_core.seals import Head
from tests.browser import ROOT
from tests.conftest import Office


def past_the_rules(owning: Database, *statements: str, keep: bool = False) -> None:
    """This function will run SQL as who has the file or the server in their hands, triggers and keys off unless kept."""
    engine = create_engine(owning.engine.url)
    with engine.connect() as conn:
        if keep:
            pass
        elif engine.dialect.name == "sqlite":
            conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
            for name in conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all():
                conn.exec_driver_sql(f'DROP TRIGGER "{name}"')
        else:
            conn.exec_driver_sql("SET session_replication_role = replica")
        for statement in statements:
            conn.exec_driver_sql(statement)
        conn.commit()
    engine.dispose()


def seal_all(owning: Database, most: int = 2000) -> int:
    sealed = 0
    while made := owning.submit(seals.seal, most=most):
        sealed += made
    return sealed


def ask(owning: Database, question: Callable[..., object], *args: object) -> object:
    with owning.read() as conn:
        return question(conn, *args)


def wrong(owning: Database, *heads: Head) -> str:
    with owning.read() as conn:
        return seals.verify(conn, heads).wrong


def sealed_at(owning: Database, position: int) -> int:
    """This function will give the id of the audit row at a position of the chain."""
    with owning.read() as conn:
        query = f"SELECT audit_id FROM audit_seal WHERE position = {position}"
        return int(conn.exec_driver_sql(query).scalar_one())


def test_every_row_is_sealed_once_in_batches_and_what_came_later_waits(office: Office, owning: Database) -> None:
    rows = office.count("audit")
    assert [4, 4] == [owning.submit(seals.seal, most=4) for _ in range(2)]
    assert rows - 8 == seal_all(owning)
    assert (rows, rows) == (office.count("audit_seal"), ask(owning, seals.head).position)
    office.opportunity()
    verdict = ask(owning, seals.verify)
    assert (rows, 2, "") == (verdict.sealed, verdict.unsealed, verdict.wrong)
    assert f"The audit is whole: {rows} rows match their seals; newer rows without a seal yet: 2." == verdict.sentence()


@pytest.mark.parametrize(
    "change",
    [
        "by_name = 'Ravi'",
        "by_id = NULL",
        "recorded_at = '2026-01-01T00:00:00.000000+00:00'",
        "at = '2026-01-01T00:00:00.000000+00:00'",
        'before = \'{"won_value": "1"}\'',
        "after = '{}'",
        "action = 'win'",
        "entity = 'offer'",
        "entity_id = '77'",
        "version = 77",
        "request_id = 'x'",
    ],
)
def test_a_changed_row_is_named_whatever_was_changed(office: Office, owning: Database, change: str) -> None:
    """H, fact 5: with the triggers out of the way."""
    office.opportunity()
    seal_all(owning)
    row = sealed_at(owning, 5)
    past_the_rules(owning, f"UPDATE audit SET {change} WHERE id = {row}")
    assert wrong(owning).startswith(f"Audit row {row} (position 5, ")
    assert 4 == ask(owning, seals.verify).sealed


def test_a_removed_row_is_named(office: Office, owning: Database) -> None:
    """H, fact 5: alone, or with its seal."""
    seal_all(owning)
    row = sealed_at(owning, 7)
    past_the_rules(owning, f"DELETE FROM audit WHERE id = {row}")
    assert f"Audit row {row} (position 7) is missing." == wrong(owning)
    past_the_rules(owning, "DELETE FROM audit_seal WHERE position = 7")
    assert "The seal at position 7 is missing." == wrong(owning)
    past_the_rules(owning, "UPDATE audit_seal SET position = position - 1 WHERE position = 8")
    assert "(position 7, " in wrong(owning)


def test_rows_that_changed_places_are_named(office: Office, owning: Database) -> None:
    """H, fact 5."""
    seal_all(owning)
    third, fourth = sealed_at(owning, 3), sealed_at(owning, 4)
    swap = f"UPDATE audit_seal SET audit_id = {fourth} WHERE position = 3"
    past_the_rules(
        owning, "DELETE FROM audit_seal WHERE position = 4", swap,
        "INSERT INTO audit_seal SELECT 4, " + f"{third}, digest, sealed_at FROM audit_seal WHERE position = 5",
    )  # fmt: skip
    assert wrong(owning).startswith(f"Audit row {fourth} (position 3, ")


def test_a_cut_off_tail_is_found_only_by_the_exported_head(office: Office, owning: Database) -> None:
    """H, fact 5: the chain alone does not notice."""
    office.opportunity()
    seal_all(owning)
    exported = ask(owning, seals.head)
    first = sealed_at(owning, exported.position - 1)
    past_the_rules(
        owning,
        f"DELETE FROM audit_seal WHERE position >= {exported.position - 1}",
        f"DELETE FROM audit WHERE id >= {first}",
    )
    assert "" == wrong(owning)
    cut = exported.position - 2
    said = (
        f"The newest rows were cut off: a head of position {exported.position} was exported, the chain ends at {cut}."
    )
    assert said == wrong(owning, exported)


def test_a_chain_that_was_made_anew_is_found_by_the_exported_head(office: Office, owning: Database) -> None:
    """H, fact 5: a row changed and everything sealed again."""
    seal_all(owning)
    heads = [Head(6, ask(owning, digest_at, 6)), ask(owning, seals.head)]
    past_the_rules(
        owning, f"UPDATE audit SET by_name = 'Ravi' WHERE id = {sealed_at(owning, 5)}", "DELETE FROM audit_seal"
    )
    seal_all(owning)
    assert "" == wrong(owning)
    assert "The chain up to position 6 is not the one whose head was exported." == wrong(owning, *heads)


def digest_at(conn: Connection, position: int) -> str:
    return str(conn.exec_driver_sql(f"SELECT digest FROM audit_seal WHERE position = {position}").scalar_one())


def test_a_row_that_commits_late_is_sealed_late(office: Office, owning: Database) -> None:
    """Its id is lower than one that is sealed already; SQLite has one writer, so there it is only the next."""
    made, other = office.opportunity(), office.opportunity()
    seal_all(owning)
    if office.name == "sqlite":
        office.do(opportunities.edit, office.asha, made, {"title": "Late"})
    else:
        with office.database.write() as slow:
            opportunities.edit(slow, office.asha, made, {"title": "Late"})
            office.do(opportunities.edit, office.asha, other, {"title": "Early"})
            assert 1 == seal_all(owning)
    assert 1 == seal_all(owning)
    assert "" == wrong(owning)
    assert office.count("audit") == office.count("audit_seal")


def test_twenty_people_write_while_two_seal(office: Office, owning: Database) -> None:
    """F6, fact 5: who would have to wait for more than five seconds is refused; nobody is, and each row has one seal."""
    deals = [office.opportunity() for _ in range(20)]
    done = threading.Event()

    def write(deal: int) -> None:
        for title in range(3):
            office.do(opportunities.edit, office.asha, deal, {"title": f"Pump {title}"})

    def seal() -> int:
        sealed = owning.submit(seals.seal, most=25)  # at once: in memory the writers may be done in a moment
        while not done.wait(0.01):
            sealed += owning.submit(seals.seal, most=25)
        return sealed

    with ThreadPoolExecutor(22) as pool:
        sealers = [pool.submit(seal) for _ in range(2)]
        try:
            list(pool.map(write, deals))
        finally:
            done.set()
    sealed = sum(sealer.result() for sealer in sealers)
    assert 0 < sealed == office.count("audit_seal")
    seal_all(owning)
    assert "" == wrong(owning)
    assert office.count("audit") == office.count("audit_seal") == ask(owning, seals.head).position


def test_who_seals_at_the_same_time_waits_and_goes_on_where_the_first_ended(office: Office, owning: Database) -> None:
    """F6, fact 5: two command lines at once, the second in a process of its own; neither is refused."""
    rows = office.count("audit")
    with ThreadPoolExecutor(1) as pool:
        with owning.write() as first:
            assert 4 == seals.seal(first, most=4)
            url = owning.engine.url.render_as_string(hide_password=False)
            second = pool.submit(
                subprocess.run,
                [sys.executable, "-m", "crm_core", "--url", url, "audit", "seal"],
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            time.sleep(2)
            assert not second.done()
        said = second.result(timeout=30)
    assert (0, f"Sealed {rows - 4} rows of the audit; the chain ends at position {rows}.\n") == (
        said.returncode,
        said.stdout,
    )
    assert ("", rows) == (wrong(owning), office.count("audit_seal"))


def test_sealing_is_for_the_owner(office: Office) -> None:
    """H, fact 5: who has got hold of the app's connection cannot seal what they have bent."""

    def named(conn: Connection) -> int:
        access.person(conn, office.meena)  # who may read all of it
        return seals.seal(conn)

    with pytest.raises(Refusal):
        office.do(named)
    assert 0 == office.count("audit_seal")


def test_the_command_line_seals_exports_the_head_and_verifies(
    office: Office, owning: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 and a sentence that names the row, once somebody changed one."""
    url, file = owning.engine.url.render_as_string(hide_password=False), tmp_path / "heads.jsonl"
    rows = office.count("audit")
    assert 0 == main(["--url", url, "audit", "seal", "--head", str(file)])
    assert 0 == main(["--url", url, "audit", "verify", "--head", str(file)])
    assert [
        f"Sealed {rows} rows of the audit; the chain ends at position {rows}.",
        f"The audit is whole: {rows} rows match their seals.",
    ] == capsys.readouterr().out.splitlines()
    assert [ask(owning, seals.head)] == seals.read_heads(file.read_text().splitlines())
    nowhere = str(tmp_path / "none" / "heads.jsonl")
    assert [1, 1] == [main(["--url", url, "audit", verb, "--head", nowhere]) for verb in ("seal", "verify")]
    assert [
        f"The file of heads {nowhere} cannot be {done}: No such file or directory." for done in ("written", "read")
    ] == capsys.readouterr().err.splitlines()
    row = sealed_at(owning, 2)
    past_the_rules(owning, f"UPDATE audit SET by_name = 'Ravi' WHERE id = {row}")
    assert 1 == main(["--url", url, "audit", "verify"])
    assert capsys.readouterr().err.startswith(f"Audit row {row} (position 2, ")


@pytest.mark.parametrize("line", ["x", "{}", '{"position": "x", "digest": ""}', "[]"])
def test_a_file_that_holds_no_heads_is_refused(line: str) -> None:
    with pytest.raises(Invalid, match=r"^Line 2 of the file of heads is not a head of the audit\.$"):
        seals.read_heads(["", line])
