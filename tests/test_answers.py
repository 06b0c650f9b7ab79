"""What was answered is given again only while the database is as it was: nobody gets a figure that no longer holds."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crm_core import answers, audit, headline, opportunities, pipeline, settings, users
from crm_core.access import Actor
from crm_core.database import Database, open_database
from crm_core.errors import NotFound
from crm_core.slices import Slice
from tests.conftest import Office

PAGES = Path(__file__).resolve().parent.parent / "pages"
QUESTIONS: tuple[tuple[Any, ...], ...] = (
    (pipeline.totals, Slice(), ("status",)),
    (pipeline.listing, Slice(region=("coimbatore",))),
    (headline.figures, Slice(), ""),
    (pipeline.series, [Slice(status=("open",)), Slice(status=("won",))]),
    (pipeline.choices, "region"),
    (users.owners,),
    (audit.latest,),
)


class Asked:
    """A verb that tells how often it was asked."""

    def __init__(self, answer: Any = "yes") -> None:
        self.times, self.answer = 0, answer

    def __call__(self, _conn: Any, _actor: Actor, *_given: Any) -> Any:
        self.times += 1
        return self.answer


def same(one: Any, other: Any) -> bool:
    """This function will compare two answers, frames in them too."""
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    parts = vars(one) if hasattr(one, "__dict__") else None
    return all(same(v, vars(other)[k]) for k, v in parts.items()) if parts else bool(one == other)


def test_the_same_question_is_read_once_while_nothing_changes(database: Database, office: Office) -> None:
    verb = Asked()
    given = (Slice(region=("coimbatore",)), [Slice(), Slice(status=("open",))], {"by": ["status"]})
    assert ["yes"] * 3 == [database.ask(verb, Actor(office.kavya.user_id, f"r{n}"), *given) for n in range(3)]
    assert verb.times == 1
    database.ask(verb, office.kavya, *given[:2], {"by": ["region"]})
    database.ask(verb, office.asha, *given)
    assert verb.times == 3


def test_whatever_anybody_saves_is_seen_by_the_next_question(
    database: Database, office: Office, addresses: tuple[str, str]
) -> None:
    """Saved by this process, by another, past the program, and by a colleague whose transaction was long."""
    other = open_database(addresses[0])
    elsewhere = Office(other)
    made = office.opportunity()
    region = "UPDATE region SET label = 'Kovai', version = version + 1 WHERE code = 'coimbatore'"
    changes = (
        lambda: office.move(made, "make_offer"),
        lambda: elsewhere.move(made, "win"),
        lambda: elsewhere.opportunity("ravi", value="5,00,000"),
        lambda: office.do(settings.add, office.meena, "region", "Madurai"),
        lambda: office.sql(region),
        lambda: office.do(users.edit, office.meena, office.ravi.user_id, {"name": "Ravi K"}),
    )
    before = None
    for change in changes:
        for person in (office.kavya, office.asha, office.devi):
            for question in QUESTIONS:
                database.ask(question[0], person, *question[1:])  # something to give again
        change()
        for person in (office.kavya, office.asha, office.devi):
            for verb, *given in QUESTIONS:
                assert same(office.ask(verb, person, *given), database.ask(verb, person, *given)), verb
        now = [database.ask(verb, office.kavya, *given) for verb, *given in QUESTIONS]
        assert before is None or not all(same(*pair) for pair in zip(before, now, strict=True))
        before = now
    other.dispose()


def test_what_is_committed_late_is_seen_as_well(database: Database, office: Office) -> None:
    """A transaction that began before another and ended after it; on SQLite there is one at a time."""
    made = office.opportunity()
    for word in ("asked", "asked again"):
        with office.owner.write() as conn:
            conn.exec_driver_sql(
                f"UPDATE opportunity SET next_step = '{word}', version = version + 1 WHERE id = {made}"
            )
            if office.name == "postgresql":
                office.opportunity("ravi")
            assert database.ask(opportunities.get, office.kavya, made).next_step != word
        assert database.ask(opportunities.get, office.kavya, made).next_step == word


def test_what_is_rolled_back_was_never_seen(database: Database, office: Office) -> None:
    def fail() -> None:
        with database.write() as conn:
            conn.exec_driver_sql("UPDATE region SET label = 'Kovai', version = version + 1")
            assert database.ask(pipeline.choices, office.kavya, "region")["coimbatore"] == "Coimbatore"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert database.ask(pipeline.choices, office.kavya, "region")["coimbatore"] == "Coimbatore"


def test_a_minute_later_everything_is_read_anew(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb, at = Asked(), datetime(2026, 3, 31, 18, 29, 59, tzinfo=UTC)

    class Clock:
        @staticmethod
        def now(_zone: Any) -> datetime:
            return at

    monkeypatch.setattr(answers, "datetime", Clock)
    database.ask(verb, office.kavya)
    database.ask(verb, office.kavya)
    assert verb.times == 1
    at += timedelta(seconds=1)  # the next day in India
    database.ask(verb, office.kavya)
    assert verb.times == 2


def test_a_refusal_is_not_kept(database: Database, office: Office) -> None:
    for _twice in range(2):
        with pytest.raises(NotFound):
            database.ask(opportunities.get, office.kavya, 1)
    assert database.ask(opportunities.get, office.kavya, office.opportunity()).id == 1


def test_little_is_kept(database: Database, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST", 2)
    large, small = Asked(range(answers.LARGEST + 1)), Asked()
    for _twice in range(2):
        database.ask(large, office.kavya)
        for number in range(3):
            database.ask(small, office.kavya, number)
        database.ask(small, office.kavya, bytearray(b"no value of its own"))
    assert (large.times, small.times) == (2, 3 + 1 + 2)


def test_a_lost_connection_costs_the_memory_alone(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    if office.name == "sqlite":
        database.ask(users.owners, office.kavya)
        database.answers._driver.close()
    else:
        database.ask(users.owners, office.kavya)
        office.owner.engine.raw_connection().driver_connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_current_snapshot%'"
        )
    verb = Asked()
    for _thrice in range(3):
        database.ask(verb, office.kavya)
    assert verb.times == 3  # it pauses
    monkeypatch.setattr(database.answers, "_again_at", 0.0)
    for _twice in range(2):
        database.ask(verb, office.kavya)
    assert verb.times == 4


CHANGING = ("append", "extend", "insert", "pop", "remove", "setdefault", "sort", "update")


def changed(node: ast.AST) -> ast.expr | None:
    """This function will give what a piece of code puts something into, or changes in its place."""
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        return node.func.value
    for target in node.targets if isinstance(node, ast.Assign) else ():
        if isinstance(target, (ast.Subscript, ast.Attribute)):
            return target.value
    return None


def test_no_page_changes_an_answer() -> None:
    """Everybody gets the same one."""
    found = []
    for path in PAGES.glob("*.py"):
        every = list(ast.walk(ast.parse(path.read_text())))
        made = [n for n in every if isinstance(n, ast.Assign) and ".ask(" in ast.unparse(n.value)]
        targets = [target for node in made for target in node.targets]
        asked = {ast.unparse(part) for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])}
        into = [(node, part) for node in every if (part := changed(node)) is not None]
        found += [f"{path.name}:{node.lineno}" for node, part in into if ast.unparse(part) in asked]
    assert [] == found
