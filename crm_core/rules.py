"""What the database itself refuses, whoever asks: page, core, import or raw SQL.

Each rule is one row: on which table and event, under which condition, with which sentence. The
same condition becomes a trigger on SQLite and on PostgreSQL. The tables that they consult
(stage, move, role_grant) are rewritten from the lifecycle and the grants, so that a new stage
or role needs no migration.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert

from crm_core import cells, courses, lifecycle, steps, trigrams, walls
from crm_core.access import DENIALS, GRANTS, OWNING_ROLES
from crm_core.schema import FACTS, LISTS, STILL, move, role_grant, stage

_BLANK = "' \t\n\r\u00a0\u200b\u200c\u200d\u2060\ufeff'"


@dataclass(frozen=True)
class Rule:
    """Refuse `event` on `table` where `condition` holds, with `sentence`; a `keyed` one the primary key refuses as well."""

    table: str
    event: str
    condition: str
    sentence: str
    keyed: bool = False


@dataclass(frozen=True)
class Effect:
    """After `event` on `table`, run `statement` in the same transaction; a mapping holds that of each database that needs one."""

    table: str
    event: str
    statement: str | Mapping[str, str]


def _stage(flag: str, status: str = "NEW.status", entity: str = "opportunity") -> str:
    return f"EXISTS (SELECT 1 FROM stage s WHERE s.entity = '{entity}' AND s.code = {status} AND s.{flag})"


def _unlisted(list_name: str, column: str) -> str:
    return f"NOT EXISTS (SELECT 1 FROM {list_name} c WHERE c.code = NEW.{column} AND c.active)"


def _changed(*columns: str) -> str:
    return "(" + " OR ".join(f"NEW.{c} IS DISTINCT FROM OLD.{c}" for c in columns) + ")"


def _owns() -> str:
    roles = ", ".join(f"'{role}'" for role in sorted(OWNING_ROLES))
    return f"EXISTS (SELECT 1 FROM app_user u WHERE u.id = NEW.owner_id AND u.active AND u.role IN ({roles}))"


_CUSTOMER_CLOSED = "NOT EXISTS (SELECT 1 FROM customer c WHERE c.id = NEW.customer_id AND c.active)"
_NO_ENGINEER = (
    "NEW.application_engineer_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM app_user u "
    "JOIN role_grant g ON g.role = u.role AND g.permission = 'opportunity.see_named' "
    "WHERE u.id = NEW.application_engineer_id AND u.active)"
)
_STALE = "NEW.version IS DISTINCT FROM OLD.version + 1"
STALE = "Somebody else changed this record meanwhile; open it again and repeat your change."
_DATED = "OR NEW.created_at IS DISTINCT FROM OLD.created_at OR NEW.created_by_id IS DISTINCT FROM OLD.created_by_id"
# The status is compared outside WHERE, so that PostgreSQL cannot plan, while the table is small, to find
# the one opportunity through all that share its status.
_LEGAL = (
    "EXISTS (SELECT 1 FROM move m WHERE m.entity = 'opportunity' AND m.name = NEW.move "
    "AND m.from_status = NEW.from_status AND m.to_status = NEW.to_status) "
    "AND coalesce((SELECT o.status = NEW.from_status AND NEW.seq = o.version + 1 FROM opportunity o "
    "WHERE o.id = NEW.opportunity_id), FALSE)"
)
_BIRTH = (
    "NEW.seq = 1 AND NEW.from_status IS NULL AND NEW.move = 'create' AND coalesce((SELECT o.version = 1 "
    "AND o.status = NEW.to_status FROM opportunity o WHERE o.id = NEW.opportunity_id), FALSE)"
)


def _asked(flag: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM move m WHERE m.entity = 'opportunity' AND m.name = NEW.move "
        f"AND m.from_status = NEW.from_status AND {flag})"
    )


_REASON = " OR ".join(
    f"(m.reason_list = '{name}' AND NEW.reason IN (SELECT c.code FROM {name} c WHERE c.active))"
    for name in ("lost_reason", "rejected_reason")
)
_DETAILS: tuple[str, ...] = (
    "title",
    "region",
    "business_unit",
    "state",
    "city",
    "product",
    "value_paise",
    "application_engineer_id",
)
_DETAILS += ("expected_close_on", "next_step", "next_step_on", "search", "reason", "note", "won_value_paise")

RULES = (
    Rule(
        "opportunity",
        "INSERT",
        f"NOT {_stage('initial')} OR NEW.version <> 1 OR NEW.won_value_paise IS NOT NULL OR NEW.reason IS NOT NULL "
        "OR NEW.note IS NOT NULL OR NEW.closed_at IS NOT NULL OR NEW.offer_id IS NOT NULL",
        "An opportunity starts as Open, without an outcome.",
    ),
    Rule(
        "opportunity",
        "INSERT",
        "EXISTS (SELECT 1 FROM opportunity o WHERE o.id = NEW.id)",
        "An opportunity cannot be replaced.",
        keyed=True,
    ),
    Rule(
        "opportunity",
        "UPDATE",
        "NEW.status IS DISTINCT FROM OLD.status AND NOT EXISTS (SELECT 1 FROM transition t WHERE "
        "t.opportunity_id = NEW.id AND t.seq = NEW.version AND t.from_status = OLD.status "
        "AND t.to_status = NEW.status)",
        "A status changes only through a legal transition.",
    ),
    Rule("opportunity", "UPDATE", _STALE, STALE),
    Rule(
        "opportunity",
        "UPDATE",
        f"NEW.id <> OLD.id {_DATED} OR NEW.source_lead_id IS DISTINCT FROM OLD.source_lead_id "
        "OR NEW.external_ref IS DISTINCT FROM OLD.external_ref",
        "How an opportunity began cannot be rewritten.",
    ),
    Rule(
        "opportunity",
        "UPDATE",
        f"(NEW.won_value_paise IS NOT NULL) <> {_stage('holds_won_value')} "
        f"OR (NEW.reason IS NOT NULL) <> {_stage('holds_reason')} "
        f"OR (NEW.closed_at IS NOT NULL) <> {_stage('closed')} "
        f"OR (NEW.status = OLD.status AND {_changed('status_at', 'closed_at', 'won_value_paise', 'reason', 'note')})",
        "The outcome must fit the status and changes only with it.",
    ),
    Rule(
        "opportunity",
        "UPDATE",
        f"NEW.status = OLD.status AND {_stage('closed', 'OLD.status')} AND {_changed(*_DETAILS)}",
        "A closed opportunity is read-only until it is reopened.",
    ),
    Rule(
        "opportunity",
        "UPDATE",
        f"{_changed('offer_id')} AND (NOT {_stage('links_offer')} OR NEW.offer_id IS NULL)",
        "An offer can be linked once the offer is made, and to a won opportunity.",
    ),
    *(
        Rule("opportunity", event, prefix + condition, sentence)
        for condition, columns, sentence in (
            (_unlisted("region", "region"), ("region",), "The region must be an active one of the configured list."),
            (
                _unlisted("business_unit", "business_unit"),
                ("business_unit",),
                "The business unit must be an active one of the configured list.",
            ),
            (_CUSTOMER_CLOSED, ("customer_id",), "The customer must be an active one of the customer master."),
            (f"NOT {_owns()}", ("owner_id",), "The sales engineer must be an active user who may own opportunities."),
            (
                _NO_ENGINEER,
                ("application_engineer_id",),
                "The application engineer must be an active user, not a viewer.",
            ),
        )
        for event, prefix in (("INSERT", ""), ("UPDATE", _changed(*columns) + " AND "))
    ),
    Rule(
        "transition",
        "INSERT",
        "EXISTS (SELECT 1 FROM transition t WHERE t.opportunity_id = NEW.opportunity_id AND t.seq = NEW.seq)",
        "History is only added to.",
        keyed=True,
    ),
    Rule("transition", "INSERT", f"NOT ({_LEGAL} OR ({_BIRTH}))", "This move is not allowed from the current status."),
    Rule(
        "transition",
        "INSERT",
        f"NEW.move <> 'create' AND (NEW.won_value_paise IS NOT NULL) <> {_asked('m.asks_won_value')}",
        "A won value goes with winning, and only with it.",
    ),
    Rule(
        "transition",
        "INSERT",
        f"NEW.move <> 'create' AND ((NEW.reason IS NOT NULL) <> {_asked('m.reason_list IS NOT NULL')} "
        f"OR (NEW.reason IS NOT NULL AND NOT {_asked('(' + _REASON + ')')}))",
        "The reason must be an active one of the configured list, and only where one is asked.",
    ),
    Rule(
        "transition",
        "INSERT",
        f"NEW.move <> 'create' AND {_asked('m.asks_note')} AND trim(coalesce(NEW.note, ''), {_BLANK}) = ''",
        "Reopening needs a reason.",
    ),
    Rule(
        "transition",
        "INSERT",
        f"NEW.offer_id IS NOT NULL AND NOT {_asked('m.asks_offer')}",
        "An offer can be linked once the offer is made, and to a won opportunity.",
    ),
    Rule(
        "transition",
        "INSERT",
        "NEW.move <> 'create' AND NOT EXISTS (SELECT 1 FROM app_user u JOIN role_grant g ON g.role = u.role "
        "JOIN move m ON m.entity = 'opportunity' AND m.name = NEW.move AND m.permission = g.permission "
        "JOIN opportunity o ON o.id = NEW.opportunity_id "
        "WHERE u.id = NEW.by_id AND u.active AND (o.owner_id = u.id OR EXISTS (SELECT 1 FROM role_grant a "
        "WHERE a.role = u.role AND a.permission = 'opportunity.change_all')))",
        "This person may not make this move.",
    ),
    *(
        Rule(table, event, "TRUE", "History is only added to.")
        for table in ("transition", "audit", "denial", "audit_seal")
        for event in ("UPDATE", "DELETE")
    ),
    *(
        Rule(
            table, "INSERT", f"EXISTS (SELECT 1 FROM {table} a WHERE a.{key} = NEW.{key})", "History is only added to."
        )
        for table, key in (("audit", "id"), ("denial", "id"), ("audit_seal", "position"), ("audit_seal", "audit_id"))
    ),
    *(
        Rule("identity", event, condition, "An account of a sign-in provider is bound to one user for good.")
        for event, condition in (
            ("INSERT", "EXISTS (SELECT 1 FROM identity i WHERE i.user_id = NEW.user_id)"),
            ("UPDATE", _changed("user_id", "issuer", "subject", "bound_at")),
            ("DELETE", "TRUE"),
        )
    ),
    *(
        Rule(table, "DELETE", "TRUE", "Records are retired or deactivated, never deleted.")
        for table in ("opportunity", "customer", "lead", "offer", "app_user", *LISTS)
    ),
    *(
        Rule(table, "UPDATE", f"NEW.code <> OLD.code OR {_STALE}", "A code stays; only its label and place change.")
        for table in LISTS
    ),
    Rule("app_user", "UPDATE", _STALE, STALE),
    *(
        Rule("app_user", event, "NOT EXISTS (SELECT 1 FROM role_grant g WHERE g.role = NEW.role)", "Unknown role.")
        for event in ("INSERT", "UPDATE")
    ),
    Rule(
        "lead",
        "INSERT",
        f"NOT {_stage('initial', entity='lead')} OR NEW.version <> 1 OR NEW.converted_customer_id IS NOT NULL "
        "OR NEW.reason IS NOT NULL",
        "A lead starts as New.",
    ),
    Rule(
        "lead",
        "UPDATE",
        "NEW.status IS DISTINCT FROM OLD.status AND NOT EXISTS (SELECT 1 FROM move m WHERE m.entity = 'lead' "
        "AND m.from_status = OLD.status AND m.to_status = NEW.status)",
        "This move is not allowed from the lead's current state.",
    ),
    Rule("lead", "UPDATE", _STALE, STALE),
    Rule(
        "lead",
        "UPDATE",
        f"(NEW.converted_customer_id IS NOT NULL) <> (NEW.status = '{lifecycle.CONVERTED}') "
        f"OR (NEW.reason IS NOT NULL) <> {_stage('holds_reason', entity='lead')}",
        "A converted lead names its customer, a disqualified one its reason.",
    ),
    Rule(
        "lead",
        "UPDATE",
        "NEW.converted_customer_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM customer c "
        "WHERE c.id = NEW.converted_customer_id AND c.source_lead_id = NEW.id)",
        "A lead is converted into the customer that was made from it.",
    ),
    Rule(
        "lead",
        "UPDATE",
        f"NEW.id <> OLD.id {_DATED} OR (OLD.converted_customer_id IS NOT NULL AND {_changed('converted_customer_id')})",
        "How a lead began and ended cannot be rewritten.",
    ),
    Rule("customer", "UPDATE", _STALE, STALE),
    Rule(
        "customer",
        "UPDATE",
        f"NEW.id <> OLD.id {_DATED} OR {_changed('source_lead_id')}",
        "How a customer began cannot be rewritten.",
    ),
    Rule("offer", "UPDATE", _STALE, STALE),
    Rule("offer", "UPDATE", f"NEW.id <> OLD.id {_DATED}", "How an offer began cannot be rewritten."),
)

#: On PostgreSQL a transaction names its actor, so the trigger knows who gives a record away.
ACTOR_RULES = tuple(
    Rule(
        table,
        "UPDATE",
        f"{_changed('owner_id')} AND {walls.ME} IS NOT NULL AND NOT crm_may('opportunity.reassign')",
        DENIALS["opportunity.reassign"],
    )
    for table in ("opportunity", "lead")
)

_FACTS = ", ".join(column.name for column in FACTS)
_NEW_FACTS = ", ".join(f"NEW.{column.name}" for column in FACTS)
_WAS = ", ".join(steps.WAS.values())
_STILL = f"'{STILL.isoformat(timespec='microseconds')}'"
_CHANGED_AT = "coalesce(NEW.changed_at, NEW.status_at)"

EFFECTS = (
    Effect(
        "opportunity",
        "INSERT",
        "INSERT INTO transition (opportunity_id, seq, move, from_status, to_status, at, recorded_at, by_id) "
        "VALUES (NEW.id, 1, 'create', NULL, NEW.status, NEW.created_at, coalesce(NEW.recorded_at, NEW.created_at), NEW.created_by_id)",
    ),
    Effect(
        "transition",
        "INSERT",
        "UPDATE opportunity SET status = NEW.to_status, version = NEW.seq, status_at = NEW.at, reason = NEW.reason, "
        "note = NEW.note, won_value_paise = NEW.won_value_paise, offer_id = coalesce(NEW.offer_id, offer_id), "
        "changed_at = NEW.at, closed_at = CASE WHEN (SELECT s.closed FROM stage s WHERE s.entity = 'opportunity' "
        "AND s.code = NEW.to_status) THEN NEW.at END "
        "WHERE id = NEW.opportunity_id AND NEW.seq > 1",
    ),
    Effect(
        "opportunity",
        "INSERT",
        f"INSERT INTO standing (id, version, from_at, to_at, {_FACTS}, step, change_paise) "
        f"VALUES (NEW.id, NEW.version, NEW.created_at, {_STILL}, {_NEW_FACTS}, 'new', NEW.value_paise)",
    ),
    # A clock that went backwards ends nothing before it began.
    Effect(
        "opportunity",
        "UPDATE",
        f"INSERT INTO standing (id, version, from_at, to_at, {_FACTS}, step, change_paise, again_at, {_WAS}) "
        f"SELECT NEW.id, NEW.version, made.at, {_STILL}, {_NEW_FACTS}, made.step, "
        "CASE WHEN made.step IS NOT NULL THEN made.change END, "
        f"(SELECT max(s.from_at) FROM standing s WHERE s.id = NEW.id AND s.step = made.step), {_WAS} FROM ("
        f"SELECT CASE WHEN was.from_at > {_CHANGED_AT} THEN was.from_at ELSE {_CHANGED_AT} END AS at, "
        f"{', '.join(f'{said} AS {name}' for name, said in steps.KEPT.items())} "
        "FROM standing was WHERE was.id = NEW.id AND was.version = OLD.version) AS made",
    ),
    Effect(
        "opportunity",
        "UPDATE",
        "UPDATE standing SET to_at = (SELECT s.from_at FROM standing s WHERE s.id = NEW.id "
        "AND s.version = NEW.version) WHERE id = NEW.id AND version = OLD.version",
    ),
    # Of the opportunity, not of the standing, so that standings written anew count nothing twice.
    *(Effect("opportunity", event, kept) for event in ("INSERT", "UPDATE") for kept in cells.KEEP),
    *(Effect("transition", "INSERT", kept) for kept in courses.KEEP),
    *(Effect(table, event, {"sqlite": statement}) for table, event, statement in trigrams.KEEP),
)

#: What is said of an opportunity written past the effects that is not what they would have made of it.
UNTOLD = "An opportunity is what its history says."
SENTENCES = frozenset(rule.sentence for rule in (*RULES, *ACTOR_RULES))
_TRIGGERED = tuple(dict.fromkeys((rule.table, rule.event) for rule in RULES))


@functools.cache
def fingerprint() -> str:
    """This function will name the present rules, lifecycle and grants by a short digest."""
    told = (RULES, EFFECTS, _postgresql("x"), walls.digest(), _stage_rows(), _move_rows(), _grant_rows())
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def counted() -> str:
    """This function will name what is kept beside the records by a short digest."""
    return hashlib.sha256(repr((steps.KEPT, cells.KEEP, courses.KEEP)).encode()).hexdigest()[:16]


def install(conn: Connection) -> None:
    """This function will rewrite the rule tables and triggers of an open database from the code."""
    for table, rows in ((stage, _stage_rows()), (move, _move_rows()), (role_grant, _grant_rows())):
        conn.execute(delete(table))
        conn.execute(insert(table), rows)
    postgresql = conn.dialect.name == "postgresql"
    for statement in _postgresql(walls.schema_of(conn)) if postgresql else _sqlite(conn):
        conn.exec_driver_sql(statement)
    if postgresql:
        walls.install(conn)


@contextmanager
def aside(conn: Connection) -> Iterator[None]:
    """This function will let new opportunities and their history be written past rules and effects. The owner runs it.

    Whoever does so writes what the effects would have written, and tries the rules afterwards (`broken`). On
    PostgreSQL others may read these tables meanwhile, and wait before they write them.
    """
    if conn.dialect.name == "postgresql":
        before = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in _ASIDE]
        after = ["SET CONSTRAINTS ALL IMMEDIATE", *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in _ASIDE)]
    else:
        names = ", ".join(f"'{table}'" for table in _ASIDE)
        there = f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({names}) ORDER BY rowid"
        made = conn.exec_driver_sql(there).all()
        before, after = [f'DROP TRIGGER "{name}"' for name, _told in made], [told for _name, told in made]
    for statement in before:
        conn.exec_driver_sql(statement)
    yield
    for statement in after:
        conn.exec_driver_sql(statement)


def broken(conn: Connection, first: int) -> str:
    """This function will give the sentence of a rule that an opportunity of an id from `first` on breaks, or "".

    The very conditions of the triggers, of all these opportunities at once: each as it stood after each of its
    moves (`_STOOD`), and each move beside the opportunity as it stood before, which takes the name of the table.
    """
    stood = _STOOD.format(first=int(first))
    born = f"({stood} AND s.version = 1) AS NEW"
    changed = f"({stood}) AS NEW JOIN ({stood}) AS OLD ON OLD.id = NEW.id AND OLD.version = NEW.version - 1"
    asked = [_tried("opportunity", "INSERT", born), _tried("opportunity", "UPDATE", changed)]
    last = conn.exec_driver_sql(f"SELECT max(seq) FROM transition WHERE opportunity_id >= {int(first)}").scalar() or 0
    for seq in range(1, last + 1):
        before = (
            "WITH opportunity AS NOT MATERIALIZED (SELECT s.* FROM standing s JOIN transition t ON t.opportunity_id = s.id "
            f"AND t.seq = s.version WHERE s.version = {max(1, seq - 1)}) "
        )
        moves = f"(SELECT * FROM transition WHERE opportunity_id >= {int(first)} AND seq = {seq}) AS NEW"
        asked.append(before + _tried("transition", "INSERT", moves))
    asked.append(
        f"SELECT min('{_quoted(UNTOLD)}') FROM opportunity o LEFT JOIN ({stood}) AS NEW ON NEW.id = o.id "
        f"AND NEW.version = o.version WHERE o.id >= {int(first)} AND (NEW.id IS NULL OR {_differs('o')})"
    )
    return next((said for said in (conn.exec_driver_sql(query).scalar() for query in asked) if said), "")


def _tried(table: str, event: str, rows: str) -> str:
    tried = [rule for rule in RULES if (rule.table, rule.event) == (table, event) and not rule.keyed]
    return f"SELECT min({_said(tried)}) FROM {rows}"


def _said(rules: list[Rule]) -> str:
    """The sentence of the first of some rules that is broken, or nothing."""
    return "CASE {} END".format(" ".join(f"WHEN {rule.condition} THEN '{_quoted(rule.sentence)}'" for rule in rules))


def _differs(row: str) -> str:
    return " OR ".join(f"{row}.{name} IS DISTINCT FROM NEW.{name}" for name in _STANDS)


_ASIDE = ("opportunity", "transition")
_STANDS = (*(column.name for column in FACTS), "note", "offer_id", "changed_at")
#: Opportunities as they stood after each of their moves, with the columns that the rules know.
_STOOD = (
    "SELECT s.*, o.created_by_id, o.source_lead_id, o.external_ref, o.search, t.note, t.offer_id, "
    "CASE WHEN t.seq > 1 THEN t.at END AS changed_at FROM standing s JOIN opportunity o ON o.id = s.id "
    "JOIN transition t ON t.opportunity_id = s.id AND t.seq = s.version WHERE s.id >= {first}"
)


def _sqlite(conn: Connection) -> list[str]:
    there = conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
    statements = [f'DROP TRIGGER "{name}"' for name in there]
    for number, rule in enumerate(RULES):
        statements.append(
            f"CREATE TRIGGER rule_{number:02d}_{rule.table} BEFORE {rule.event} ON {rule.table} "
            f"WHEN {rule.condition} BEGIN SELECT RAISE(ABORT, '{_quoted(rule.sentence)}'); END"
        )
    for (table, event), effects in _effects("sqlite").items():
        statements.append(f"CREATE TRIGGER effect_{table}_{event.lower()} AFTER {event} ON {table} BEGIN {effects} END")
    return statements


def _postgresql(schema: str) -> list[str]:
    # As the owner: a rule asks what there is, not what somebody sees, and the app itself has no right to write
    # history's first row, a status or a standing. A plan is made once a connection, whatever the values are.
    statements = []
    how = f"SET search_path = {schema}, pg_temp SET plan_cache_mode = force_generic_plan SECURITY DEFINER"
    for table, event in _TRIGGERED:
        said = _said([r for r in (*RULES, *ACTOR_RULES) if (r.table, r.event) == (table, event)])
        body = (
            f"said := {said}; IF said IS NOT NULL THEN RAISE EXCEPTION USING MESSAGE = said, ERRCODE = '23514'; END IF; "
            f"RETURN {'OLD' if event == 'DELETE' else 'NEW'};"
        )
        statements += _function(f"rule_{table}_{event.lower()}", body, f"BEFORE {event}", table, how)
    for (table, event), effects in _effects("postgresql").items():
        body = f"{effects} RETURN NULL;"
        statements += _function(f"effect_{table}_{event.lower()}", body, f"AFTER {event}", table, how)
    # the names that effects had before there was more than one of a table
    gone = [f"DROP FUNCTION IF EXISTS effect_{table}() CASCADE" for table in ("opportunity", "transition")]
    return gone + statements


def _effects(dialect: str) -> dict[tuple[str, str], str]:
    made: dict[tuple[str, str], str] = {}
    for effect in EFFECTS:
        key, told = (effect.table, effect.event), effect.statement
        statement = told if isinstance(told, str) else told.get(dialect)
        if statement:
            made[key] = made.get(key, "") + f"{statement}; "
    return made


def _function(name: str, body: str, event: str, table: str, how: str) -> list[str]:
    # The path is fixed, so that no table in a schema of the caller's takes the place of ours.
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {how} AS $$ "
        f"DECLARE said text; BEGIN {body} END $$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _quoted(sentence: str) -> str:
    return sentence.replace("'", "''")


def _stage_rows() -> list[dict]:
    return [
        {
            "entity": entity,
            "code": s.code,
            "initial": position == 0,
            "closed": s.closed,
            "holds_won_value": "won_value" in s.holds,
            "holds_reason": "reason" in s.holds,
            "links_offer": s.links_offer,
        }
        for entity, stages in (("opportunity", lifecycle.STAGES), ("lead", lifecycle.LEAD_STAGES))
        for position, s in enumerate(stages)
    ]


def _move_rows() -> list[dict]:
    rows = []
    for entity, transitions in (("opportunity", lifecycle.TRANSITIONS), ("lead", lifecycle.LEAD_TRANSITIONS)):
        for t in transitions:
            reason, note = t.asked("reason"), t.asked("note")
            row = {
                "entity": entity,
                "name": t.name,
                "to_status": t.target,
                "permission": t.permission,
                "asks_won_value": t.asked("won_value") is not None,
                "asks_note": note is not None and note.required,
                "asks_offer": t.asked("offer_id") is not None,
                "reason_list": reason.list if reason else None,
            }
            rows += [row | {"from_status": source} for source in t.sources]
    return rows


def _grant_rows() -> list[dict]:
    return [{"role": role, "permission": p} for role, permissions in GRANTS.items() for p in sorted(permissions)]
