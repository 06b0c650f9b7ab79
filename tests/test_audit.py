"""Everything done is on record, in the change's own transaction, and what was refused is on record apart."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import crm_core
from crm_core import (
    access,
    audit,
    clock,
    commands,
    customers,
    denials,
    exports,
    opportunities,
    periods,
    pipeline,
    settings,
    slices,
    trail,
    users,
    views,
)
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from crm_core.slices import AuditSlice, DenialSlice, Slice
from tests.conftest import Office
from tests.test_seals import past_the_rules

DEAL = {"region": "coimbatore", "business_unit": "water", "product": "pump", "value": 1}
VIEW = {"page": "opportunities", "query": "status=open", "shared": True}
#: every command → who runs it with what; what it needs is made beforehand
WAYS: dict[str, tuple[str, Callable[[Office], tuple[Any, ...]]]] = {
    "opportunities.create": ("asha", lambda office: (DEAL | {"customer_id": office.customer()},)),
    "opportunities.edit": ("asha", lambda office: (office.opportunity(), {"title": "Boiler feed"})),
    "opportunities.move": ("asha", lambda office: (office.at("offer_made"), "win", {"won_value": "90,000"})),
    "opportunities.reassign": ("kavya", lambda office: ([office.opportunity()], office.ravi.user_id)),
    "opportunities.link_offer": ("kavya", lambda office: with_offer(office)),
    "leads.create": ("asha", lambda _: ({"contact": "Mani", "company": "Vel Mills", "source": "website"},)),
    "leads.edit": ("asha", lambda office: (office.lead(), {"city": "Erode"})),
    "leads.contact": ("asha", lambda office: (office.lead(status="new"),)),
    "leads.qualify": ("asha", lambda office: (office.lead(status="contacted"),)),
    "leads.disqualify": ("asha", lambda office: (office.lead(), {"reason": "duplicate"})),
    "leads.convert": ("asha", lambda office: (office.lead(), DEAL)),
    "customers.create": ("asha", lambda _: ({"company": "Vel Mills"},)),
    "customers.edit": ("asha", lambda office: (office.customer(), {"city": "Erode"})),
    "customers.deactivate": ("kavya", lambda office: (office.customer(),)),
    "customers.reactivate": ("kavya", lambda office: (closed_customer(office),)),
    "customers.merge": ("kavya", lambda office: (office.customer(), office.customer("Vel Mills"))),
    "offers.create": ("kavya", lambda office: ({"number": "Q-9", "amount": 1, "customer_id": office.customer()},)),
    "offers.edit": ("kavya", lambda office: (office.offer(office.customer()), {"amount": "2 lakh"})),
    "settings.add": ("meena", lambda _: ("region", "Salem")),
    "settings.rename": ("meena", lambda _: ("region", "coimbatore", "Kovai")),
    "settings.retire": ("meena", lambda _: ("region", "coimbatore")),
    "settings.restore": ("meena", lambda _: ("region", "retired")),
    "targets.set_many": ("kavya", lambda _: ("region", "fy2026-27-q1", {"coimbatore": "12 lakh"})),
    "stage_limits.set_limits": ("kavya", lambda _: ({"open": "45"},)),
    "users.add": ("meena", lambda _: ({"name": "Uma", "email": "uma@example.in", "role": "viewer"},)),
    "users.edit": ("meena", lambda office: (office.ravi.user_id, {"name": "Ravi Kumar"})),
    "users.change_role": ("meena", lambda office: (office.ravi.user_id, "viewer")),
    "users.deactivate": ("meena", lambda office: (office.ravi.user_id,)),
    "views.save": ("asha", lambda _: (VIEW | {"name": "Theirs"},)),
    "views.edit": ("asha", lambda office: (view(office, "Open"), {"name": "Still open"})),
    "views.remove": ("asha", lambda office: (view(office, "Won"),)),
    "users.reactivate": ("meena", lambda office: (gone(office),)),
}
#: functions that write rows without an audit row of their own, and why
NO_CHANGE = {
    "standings.rebuild": "what the history says already, written anew by the owner",
    "courses.rebuild": "what the standings say already, written anew by the owner",
    "courses._added": "what the database itself runs with each closing",
    "tallies.rebuild": "what the standings say already, written anew by the owner",
    "cells.added": "what the database keeps of a change that has its record",
    "tallies.add": "what the standings say of new opportunities that have their record",
    "commands._guarded": "the caller says what it changed",
    "commands.put": "the caller says what it changed",
    "commands.command": "the submit's result",
    "commands._claim": "the submit's token",
    "audit.write": "the audit itself",
    "denials.record": "what was refused",
    "seals.seal": "the audit's seal",
    "preferences.store": "a fact about the database, told by demo and import",
    "rules.install": "what the code says, written into the database",
}
KEPT = (
    "opportunity", "transition", "lead", "customer", "offer", "app_user", "audit", "submit", "region", "lost_reason",
    "setting", "saved_view",


    "setting", "target", "stage_limit",
)  # fmt: skip


class Undone(Exception):
    """Whatever goes wrong after a command, before its commit."""


def with_offer(office: Office) -> tuple[int, int]:
    customer_id = office.customer()
    return office.at("offer_made", customer_id=customer_id), office.offer(customer_id, "Q-2")


def closed_customer(office: Office) -> int:
    return int(office.do(customers.deactivate, office.kavya, office.customer()))


def view(office: Office, name: str) -> int:
    return int(office.do(views.save, office.asha, VIEW | {"name": name}))


def gone(office: Office) -> int:
    return int(office.do(users.deactivate, office.meena, office.devi.user_id))


def every_command() -> dict[str, Any]:
    """This function will find what `command` made, in every module of the core."""
    made = next(code for code in commands.command.__code__.co_consts if inspect.iscode(code))
    found = {}
    for told in pkgutil.iter_modules(crm_core.__path__):
        if told.name not in ("__main__", "migrations"):
            module = importlib.import_module(f"crm_core.{told.name}")
            for name, verb in vars(module).items():
                if getattr(verb, "__code__", None) is made and verb.__module__ == module.__name__:
                    found[f"{told.name}.{name}"] = verb
    return found


COMMANDS = every_command()


def everything(office: Office) -> dict[str, Any]:
    """This function will read all that is kept, but for the refused attempts."""
    return {table: sorted(map(str, office.sql(f"SELECT * FROM {table}"))) for table in KEPT}


def test_every_command_is_walked() -> None:
    """H2: a new command fails here until it stands in the table."""
    assert set(WAYS) == set(COMMANDS)


def test_a_command_is_on_record_in_its_own_transaction_and_a_failed_one_is_not(office: Office) -> None:
    """H2: who, what and the request; undone together; refused, nothing."""
    ready = {name: (office.people[who], made_ready(office)) for name, (who, made_ready) in WAYS.items()}
    before = everything(office)
    query = "SELECT by_id, action FROM audit WHERE request_id = 'request-7'"
    for name, (actor, args) in ready.items():
        with pytest.raises(Undone), office.database.write() as conn:  # noqa: PT012
            COMMANDS[name](conn, Actor(actor.user_id, "request-7"), *args)
            written = conn.exec_driver_sql(query).all()
            raise Undone
        assert {actor.user_id} == {row.by_id for row in written}, name
        assert {row.action for row in written} <= set(audit.ACTIONS), name
        with pytest.raises((NotAllowed, NotFound)):
            office.do(COMMANDS[name], office.arun, *args)
        assert before == everything(office), name


def test_a_change_that_cannot_be_recorded_does_not_happen(office: Office, owning: Database) -> None:
    """H3, C12: the database refuses the audit row."""
    ready = {name: (office.people[who], made_ready(office)) for name, (who, made_ready) in WAYS.items()}
    refuse = "CREATE TRIGGER no_ink BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no ink'); END"
    if office.name == "postgresql":
        refuse = (
            "CREATE FUNCTION no_ink() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'no ink' USING ERRCODE = '23514'; END $$; "
            "CREATE TRIGGER no_ink BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no_ink()"
        )
    past_the_rules(owning, refuse, keep=True)
    before = everything(office)
    for name, (actor, args) in ready.items():
        with pytest.raises(Conflict):
            office.do(COMMANDS[name], actor, *args, token=name)
        assert before == everything(office), name


def modules() -> Iterator[tuple[str, ast.Module]]:
    """This function will read the source of every module of the core but the operator's own."""
    for told in pkgutil.iter_modules(crm_core.__path__):
        if told.name not in ("__main__", "migrations", "roles"):
            yield told.name, ast.parse(inspect.getsource(importlib.import_module(f"crm_core.{told.name}")))


def called(node: ast.AST) -> set[str]:
    return {ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}


def test_no_function_of_the_core_writes_without_a_record() -> None:
    """H2: whoever inserts, updates or guards a row writes to the audit too, or is named with a reason."""
    found = set()
    for module, source in modules():
        writing = {"insert", "update", "delete", "guarded", "put"}
        writing |= {ast.unparse(n.targets[0]) for n in source.body if isinstance(n, ast.Assign) and called(n) & writing}
        functions = [node for node in source.body if isinstance(node, ast.FunctionDef)]
        recording = {"audit.write"} | {node.name for node in functions if "audit.write" in called(node)}
        for node in functions:
            if not called(node) & recording:
                used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                used |= {name.rpartition(".")[2] for name in called(node) if name.endswith(".insert")}
                if used & writing:
                    found.add(f"{module}.{node.name}")
    assert set(NO_CHANGE) == found


def newest(office: Office, count: int = 1) -> list[tuple[str, ...]]:
    """This function will give the newest rows of the record: action, kind, id, and each change in words."""
    entries, _count = office.ask(trail.listing, office.meena, AuditSlice(), 1, count)
    return [
        (e.action, e.entity, e.entity_id, *(f"{c.label}: {c.before} → {c.after}" for c in e.changes)) for e in entries
    ]


def test_lists_roles_and_activations_are_on_record_with_before_and_after(office: Office) -> None:
    """H7."""
    ravi = str(office.ravi.user_id)
    for verb, args, said in (
        (
            settings.add,
            ("region", "Salem"),
            ("added it to the list", "region", "salem", "Name:  → Salem", "Active:  → yes"),
        ),
        (
            settings.rename,
            ("region", "salem", "Salem City"),
            ("renamed it", "region", "salem", "Name: Salem → Salem City"),
        ),
        (settings.retire, ("region", "salem"), ("retired it", "region", "salem", "Active: yes → no")),
        (settings.restore, ("region", "salem"), ("restored it", "region", "salem", "Active: no → yes")),
        (users.change_role, (int(ravi), "viewer"), ("changed it", "user", ravi, "Role: Sales engineer → Viewer")),
        (users.deactivate, (int(ravi),), ("deactivated it", "user", ravi, "Active: yes → no")),
        (users.reactivate, (int(ravi),), ("reactivated it", "user", ravi, "Active: no → yes")),
    ):
        office.do(verb, office.meena, *args)
        assert [said] == newest(office)


def test_history_still_says_who_it_was_after_a_new_name(office: Office) -> None:
    """H8: the name of the day stays beside the person's id."""
    made = office.opportunity()
    office.do(opportunities.edit, office.asha, made, {"title": "Boiler feed"})
    office.do(users.edit, office.meena, office.asha.user_id, {"name": "Asha Raman"})
    office.do(opportunities.edit, office.asha, made, {"title": "Feed"})
    assert ["Asha Raman", "Asha"] == [e.by for e in office.ask(opportunities.history, office.kavya, made)][:2]
    hers = AuditSlice(person=office.asha.user_id)
    assert {"Asha Raman", "Asha"} == {e.by for e in office.ask(trail.listing, office.kavya, hers)[0]}


def test_nobody_can_say_that_somebody_else_did_it(office: Office) -> None:
    """H6: who did it is never a value."""
    for name in ("by_id", "actor_id", "by_name", "created_by_id", "request_id"):
        with pytest.raises(Invalid):
            office.do(
                opportunities.create, office.asha, DEAL | {"customer_id": office.customer(), name: office.ravi.user_id}
            )


def test_times_are_kept_in_utc_with_their_offset_and_shown_in_india(office: Office) -> None:
    """H10: 18:45 UTC on 31 March is 1 April in India."""
    at = datetime(2026, 3, 31, 18, 45, 1, 5, tzinfo=UTC)
    with office.database.write() as conn:
        clock.start(conn, at)
        made = customers.create(conn, office.asha, {"company": "Vel Mills"})
    mine = f"entity = 'customer' AND entity_id = '{made}'"
    column = "recorded_at" if office.name == "sqlite" else "to_char(recorded_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.USTZH:TZM')"
    assert [("2026-03-31T18:45:01.000005+00:00",)] == office.sql(f"SELECT {column} FROM audit WHERE {mine}")
    (entry,) = office.ask(trail.listing, office.kavya, AuditSlice(kind="customer", record=str(made)))[0]
    assert (at, "1 Apr 2026, 00:15") == (entry.recorded_at, periods.moment(entry.recorded_at))
    for when, count in (("2026-04-01", 1), ("2026-03-31", 0), ("fy2026-27", 1)):
        chosen = AuditSlice(kind="customer", record=str(made), when=when)
        assert count == office.ask(trail.listing, office.kavya, chosen)[1].count, when
    past = office.do(opportunities.create, office.meena, DEAL | {"customer_id": made}, at=at, external_ref="x:1")
    chosen = AuditSlice(kind="opportunity", record=str(past))
    (entry,) = office.ask(trail.listing, office.kavya, chosen)[0]
    assert (at, True) == (entry.at, entry.recorded_at > at)
    assert 0 == office.ask(trail.listing, office.kavya, chosen.but(when="2026-04"))[1].count


def test_the_audit_is_counted_and_paged_newest_first(office: Office) -> None:
    first, turned = office.ask(trail.listing, office.kavya, AuditSlice(), 1, 5)
    total = turned.count
    assert office.count("audit") == total
    pages = [office.ask(trail.listing, office.kavya, AuditSlice(), n, 5)[0] for n in range(1, -(-total // 5) + 1)]
    ids = [entry.id for page in pages for entry in page]
    assert (total, sorted(ids, reverse=True)) == (len(ids), ids)
    assert pages[-1] == office.ask(trail.listing, office.kavya, AuditSlice(), 999, 5)[0]
    assert pages[0] == first == office.ask(trail.listing, office.kavya, AuditSlice(), -3, 5)[0]


def test_the_audit_is_filtered_by_person_kind_record_action_and_name(office: Office) -> None:
    home = office.customer("Amman Mills")
    mine, other = office.opportunity(customer_id=home), office.opportunity(customer_id=office.customer("Vel Mills"))
    offer = office.offer(home, "Q-77")
    taken = office.lead(company="Amman Foundry", status="new")
    office.do(opportunities.edit, office.asha, mine, {"title": "Boiler feed"})
    number = office.ask(opportunities.get, office.asha, mine).number

    def about(**filters: Any) -> list[tuple[str, str, str]]:
        entries, turned = office.ask(trail.listing, office.kavya, AuditSlice(**filters))
        assert turned.count == len(entries)
        return sorted((e.entity, e.entity_id, e.action) for e in entries)

    edited = ("opportunity", str(mine), "changed it")
    created = ("opportunity", str(mine), "created it")
    assert [edited] == about(person=office.asha.user_id)
    assert [edited, created] == about(kind="opportunity", record=str(mine))
    assert [edited, created] == about(q=number.lower())
    assert [("opportunity", str(other), "created it")] == about(kind="opportunity", q="vel mills")
    assert [("customer", str(home), "created it"), ("lead", str(taken), "created it"), edited, created] == about(
        q="amman"
    )
    assert [("offer", str(offer), "created it")] == about(q="q-77")
    assert [edited] == about(kind="opportunity", action="edit")
    assert [("region", "retired", "added it to the list"), ("region", "retired", "retired it")] == about(
        record="retired"
    )
    assert 3 == len(about(kind=("opportunity", "offer"), action="create"))
    for unknown in (
        {"person": "all"},
        {"kind": "x' OR 1=1"},
        {"action": "bogus"},
        {"when": "soon"},
        {"record": "chennai"},
    ):
        assert [] == about(**unknown)
    known = office.ask(trail.names, office.kavya, AuditSlice(kind="opportunity", record=str(mine)))
    assert f"{number}, Amman Mills" == known["record"][str(mine)]
    assert "Kind of record: Opportunity; Record: " + known["record"][str(mine)] == AuditSlice(
        kind="opportunity", record=str(mine)
    ).sentence(known)
    assert [] == slices.unknown_values(AuditSlice(record=str(mine)), known)


def test_records_of_every_kind_are_named(office: Office) -> None:
    opportunity = office.at("won")
    lead, customer = office.lead(), office.customer("Vel Mills")
    offer = office.offer(customer)
    office.do(users.change_role, office.meena, office.ravi.user_id, "viewer")
    office.do(exports.as_csv, office.kavya, Slice())
    entries, _count = office.ask(trail.listing, office.kavya, AuditSlice(), 1, 99)
    named = office.ask(trail.titles, office.kavya, entries)
    number = office.ask(opportunities.get, office.kavya, opportunity).number
    assert {
        ("opportunity", str(opportunity)): f"{number}, Amman Mills",
        ("lead", str(lead)): "Mani, Amman Mills",
        ("customer", str(customer)): "Vel Mills",
        ("offer", str(offer)): "Q-1",
        ("user", str(office.ravi.user_id)): "Ravi",
        ("region", "outer_chennai"): "Outer Chennai",
        ("slice", "opportunities"): None,
    } == {
        key: named.get(key)
        for key in (
            ("opportunity", str(opportunity)),
            ("lead", str(lead)),
            ("customer", str(customer)),
            ("offer", str(offer)),
            ("user", str(office.ravi.user_id)),
            ("region", "outer_chennai"),
            ("slice", "opportunities"),
        )
    }
    assert {e.entity for e in entries} <= set(trail.KINDS)
    assert set(office.ask(trail.choices, office.kavya, "action")) == set(audit.ACTIONS)


@pytest.mark.parametrize("name", ["asha", "arun", "devi"])
def test_the_audit_is_read_and_exported_only_by_those_who_may(office: Office, name: str) -> None:
    """H9: nor what was refused, nor the names in either."""
    actor = office.people[name]
    said = r"^You may not read the audit log\.$"
    for question, args in (
        (trail.listing, (AuditSlice(),)),
        (trail.choices, ("person",)),
        (trail.names, (AuditSlice(person="1"),)),
        (trail.titles, ([],)),
        (denials.listing, (DenialSlice(),)),
    ):
        with pytest.raises(NotAllowed, match=said):
            office.ask(question, actor, *args)
    with pytest.raises(NotAllowed, match=said if name == "asha" else r"^You may not export\.$"):
        office.do(exports.audit_as_csv, actor, AuditSlice())
    assert not any("exported it" in row for row in newest(office, 5))
    assert [(name.title(), "exports.audit_as_csv")] == [
        (row.by, row.action) for row in office.ask(denials.listing, office.kavya, DenialSlice())[0]
    ]


def test_an_export_of_the_audit_is_the_whole_of_it(office: Office) -> None:
    """More than one helping; every row once."""
    with office.database.read() as conn:
        helpings = [[e.id for e in some] for some in trail.everything(conn, office.kavya, AuditSlice(), most=4)]
    assert [4, 4] == [len(some) for some in helpings[:2]]
    assert office.count("audit") == len({i for some in helpings for i in some}) == sum(map(len, helpings))


def test_a_refused_command_is_kept_apart_without_its_values(office: Office) -> None:
    """H5: what was typed is nowhere in it."""
    made = office.opportunity("ravi")
    foreign = Actor(office.asha.user_id, "request-9")
    for verb, actor, args in (
        (settings.add, foreign, ("region", "Secret City")),
        (opportunities.edit, foreign, (made, {"title": "Secret City"})),
        (
            users.add,
            Actor(999_999, "ghost"),
            ({"name": "Secret City", "email": "secret@example.in", "role": "viewer"},),
        ),
    ):
        with pytest.raises(Refusal):
            office.do(verb, actor, *args)
    rows, turned = office.ask(denials.listing, office.kavya, DenialSlice())
    assert [
        (None, "users.add", "Your account is not active; ask your org admin."),
        ("Asha", "opportunities.edit", "There is no such opportunity."),
        ("Asha", "settings.add", access.DENIALS["settings.change"]),
    ] == [(row.by, row.action, row.why) for row in rows]
    assert 3 == turned.count
    kept = str(office.sql("SELECT * FROM denial"))
    assert "request-9" in kept
    assert "ecret" not in kept
    assert 1 == office.ask(denials.listing, office.kavya, DenialSlice(person=office.asha.user_id), 2, 1)[0][0].id
    today = str(periods.today())
    assert [3, 0] == [
        office.ask(denials.listing, office.kavya, DenialSlice(when=w))[1].count for w in (today, "2001-01")
    ]


def test_what_is_only_wrong_or_late_is_no_refused_attempt(office: Office) -> None:
    """H5: Invalid and Conflict are mistakes."""
    made = office.opportunity()
    for values, seen in (({"value": "-1"}, None), ({"title": "x"}, 7)):
        with pytest.raises((Invalid, Conflict)):
            office.do(opportunities.edit, office.asha, made, values, seen=seen)
    assert 0 == office.count("denial")


def test_no_sentence_of_a_refusal_holds_a_value() -> None:
    """H5: each is a constant, one of DENIALS, or names a kind of record."""
    found = []
    for module, source in modules():
        for node in ast.walk(source):
            if not isinstance(node, ast.Call):
                continue
            name, args = ast.unparse(node.func), node.args
            if name in ("records.key", "records.one", "records.missing"):
                args = args[-1:]
            elif name not in ("NotAllowed", "NotFound"):
                continue
            said = [
                a
                for a in args
                if not re.fullmatch(r"[A-Z]+|kind|DENIALS\[.*\]|f'There is no such {noun}\.'", ast.unparse(a))
            ]
            found += [f"{module}:{node.lineno}" for a in said if not isinstance(a, ast.Constant)]
    assert [] == found


def test_a_refusal_that_cannot_be_kept_is_still_the_refusal(office: Office, owning: Database) -> None:
    """H5: the person hears why, not that the log is broken."""
    past_the_rules(owning, "ALTER TABLE denial RENAME TO no_denial")
    with pytest.raises(NotAllowed, match=re.escape(access.DENIALS["settings.change"])):
        office.do(settings.add, office.asha, "region", "Salem")
    assert 1 == office.ask(pipeline.totals, office.kavya, Slice()).shape[0]


def test_history_of_refusals_is_only_added_to(office: Office) -> None:
    with pytest.raises(NotAllowed):
        office.do(settings.add, office.asha, "region", "Salem")
    for statement in ("UPDATE denial SET why = ''", "DELETE FROM denial"):
        with pytest.raises(Refusal):
            office.sql(statement)
    assert 1 == office.count("denial")
