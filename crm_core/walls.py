"""The second wall: what the database lets the app read and write, even where the program errs.

On PostgreSQL the app signs in as a member of the role crm_app: rights by column, and row security
from the same clauses as the program's own scope. On SQLite each connection of the app has an
authorizer. The owner (migrations, backup, `init`, `demo`, `import`) stands before the walls.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    and_,
    case,
    cast,
    event,
    exists,
    false,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import literal_column as raw
from sqlalchemy.dialects import postgresql

from crm_core import courses, sql, trigrams
from crm_core.access import (
    changeable_by,
    leads_visible_to,
    offers_visible_to,
    tallies_visible_to,
    targets_visible_to,
    views_changeable_by,
    views_visible_to,
    visible_to,
)
from crm_core.errors import Unavailable
from crm_core.schema import (
    LISTS,
    app_user,
    audit,
    audit_seal,
    course,
    customer,
    denial,
    identity,
    lead,
    metadata,
    move,
    offer,
    opportunity,
    role_grant,
    saved_view,
    setting,
    stage,
    stage_limit,
    standing,
    submit,
    tally,
    target,
    transition,
    win,
)

GROUP = "crm_app"
LOCK = 7_204_061_984  # any number that nobody else locks on PostgreSQL; held while a database is prepared
#: The columns that commands change, by table. A status and an outcome change through `transition` only.
CHANGES = {
    "opportunity": "title customer_id region business_unit state city product value_paise owner_id "
    "application_engineer_id expected_close_on next_step next_step_on search offer_id changed_at version",
    "lead": "contact company phone phone_key email email_key source region state city product owner_id notes "
    "status reason note converted_customer_id duplicate_of_customer_id search changed_at version",
    "customer": "company contact phone phone_key email email_key gstin state city notes active merged_into_id "
    "search name_key version",
    "offer": "number customer_id amount_paise offered_on status document_url version",
    "app_user": "name role business_unit active version",
    "target": "amount_paise version",
    "stage_limit": "days version",
    "saved_view": "name query shared active version",
    "identity": "signed_out_at",
    "submit": "result",
    **dict.fromkeys(LISTS, "label active version"),
}
#: Tables that the app itself only reads: the owner prepares a database, and seals its audit.
KEPT = {table.name for table in (stage, move, role_grant, audit_seal)}
#: Tables that only the database itself writes, beside what it is told.
DERIVED = {standing.name, tally.name, course.name, win.name}

_LEARNT = "crm_learnt(integer, integer, integer)"
_CALLED = (
    "crm_may(text)",
    _LEARNT,
    *(f"crm_{name}({kind})" for name, (kind, _question) in sql.PAST_SCOPE.items()),
    *(f"crm_{name}_{asked}(text)" for name in trigrams.HIDDEN for asked in ("holding", "common")),
)
#: Whether row security binds whoever asks.
BINDS = "SELECT row_security_active('opportunity')"
ME = "nullif(current_setting('crm.user_id', true), '')::bigint"


class _Asking:
    """Whoever a transaction of PostgreSQL is for: `access.person` says so, and it ends with the transaction."""

    id = raw(f"(SELECT {ME})", BigInteger())

    def can(self, permission: str) -> ColumnElement[bool]:
        return raw(f"(SELECT crm_may('{permission}'))")


@dataclass(frozen=True)
class Policy:
    """The rows of a table that one kind of statement may read or change (`using`) and leave behind (`check`)."""

    table: Any
    statement: str
    using: ColumnElement[bool] | None = None
    check: ColumnElement[bool] | None = None


def _policies() -> tuple[Policy, ...]:
    asking = _Asking()
    everything, nothing = true(), false()
    seen_deal = exists().where(opportunity.c.id == transition.c.opportunity_id, visible_to(asking))
    stood = exists().where(opportunity.c.id == standing.c.id, visible_to(asking))
    sees_all = asking.can("opportunity.see_all")
    about = cast(audit.c.entity_id, BigInteger)
    seen_audit = case(
        (audit.c.entity == "customer", exists().where(app_user.c.id == asking.id, app_user.c.active)),
        (audit.c.entity == "opportunity", exists().where(opportunity.c.id == about, visible_to(asking))),
        (audit.c.entity == "lead", exists().where(lead.c.id == about, leads_visible_to(asking))),
        # through the policy of the offer, of the view
        (audit.c.entity == "offer", exists().where(offer.c.id == about)),
        (audit.c.entity == "saved_view", exists().where(saved_view.c.id == about)),
        else_=nothing,
    )
    return (
        Policy(opportunity, "SELECT", visible_to(asking)),
        Policy(lead, "SELECT", leads_visible_to(asking)),
        Policy(offer, "SELECT", offers_visible_to(asking)),
        Policy(transition, "SELECT", or_(sees_all, seen_deal)),
        Policy(standing, "SELECT", or_(sees_all, stood)),
        Policy(tally, "SELECT", tallies_visible_to(asking)),
        *(
            Policy(table, "SELECT", exists().where(app_user.c.id == asking.id, app_user.c.active))
            for table in (course, win)
        ),
        Policy(target, "SELECT", targets_visible_to(asking)),
        Policy(saved_view, "SELECT", views_visible_to(asking)),
        Policy(audit, "SELECT", or_(asking.can("audit.read"), seen_audit)),
        Policy(denial, "SELECT", asking.can("audit.read")),
        *(
            Policy(t, "SELECT", everything)
            for t in (customer, app_user, identity, submit, audit_seal, stage_limit, *_lists())
        ),
        *(
            Policy(
                table,
                "INSERT",
                check=and_(
                    asking.can(f"{table.name}.create"),
                    table.c.created_by_id == asking.id,
                    or_(table.c.owner_id == asking.id, asking.can("opportunity.reassign")),
                ),
            )
            for table in (opportunity, lead)
        ),
        *(
            Policy(table, "INSERT", check=and_(asking.can(f"{table.name}.create"), table.c.created_by_id == asking.id))
            for table in (customer, offer)
        ),
        *(Policy(table, "INSERT", check=table.c.by_id == asking.id) for table in (transition, audit, submit)),
        *(Policy(table, "INSERT", check=asking.can("targets.change")) for table in (target, stage_limit)),
        Policy(saved_view, "INSERT", check=views_changeable_by(asking)),
        Policy(denial, "INSERT", check=everything),
        Policy(identity, "INSERT", check=identity.c.user_id == asking.id),
        Policy(app_user, "INSERT", check=asking.can("users.change")),
        *(Policy(table, "INSERT", check=asking.can("settings.change")) for table in _lists()),
        Policy(opportunity, "UPDATE", changeable_by(asking)),
        Policy(lead, "UPDATE", changeable_by(asking, lead)),
        Policy(customer, "UPDATE", or_(asking.can("customer.change"), asking.can("customer.retire"))),
        Policy(offer, "UPDATE", asking.can("offer.create")),
        *(Policy(table, "UPDATE", asking.can("targets.change")) for table in (target, stage_limit)),
        Policy(saved_view, "UPDATE", views_changeable_by(asking)),
        Policy(submit, "UPDATE", submit.c.by_id == asking.id),
        Policy(identity, "UPDATE", identity.c.user_id == asking.id),
        # Anybody's row may be locked while they save; only an org admin's change passes.
        Policy(app_user, "UPDATE", everything, asking.can("users.change")),
        *(Policy(table, "UPDATE", asking.can("settings.change")) for table in _lists()),
    )


def _lists() -> list[Any]:
    return [table for table, _heading in LISTS.values()]


POLICIES = _policies()


def install(conn: Connection) -> None:
    """This function will write the functions, policies and rights of PostgreSQL anew. The owner runs it."""
    for statement in (*_functions(schema_of(conn)), *_security(), MAKE_GROUP):
        conn.exec_driver_sql(statement)
    grant(conn)


def grant(conn: Connection) -> bool:
    """This function will give the app's role its rights and tell whether there is such a role."""
    there = conn.exec_driver_sql(f"SELECT 1 FROM pg_roles WHERE rolname = '{GROUP}'").scalar() is not None
    for statement in rights(schema_of(conn)) if there else ():
        conn.exec_driver_sql(statement)
    return there


def rights(schema: str) -> list[str]:
    """This function will give the statements of what the app's role may do in a schema, and no more."""
    inserted = sorted({p.table.name for p in POLICIES if p.statement == "INSERT"})
    tables = sorted(metadata.tables)
    return [
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {GROUP}",
        f"GRANT USAGE ON SCHEMA {schema} TO {GROUP}",
        f"GRANT SELECT ON alembic_version, {', '.join(tables)} TO {GROUP}",
        f"GRANT INSERT ON {', '.join(inserted)} TO {GROUP}",
        *(f"GRANT UPDATE ({', '.join(CHANGES[t].split())}) ON {t} TO {GROUP}" for t in tables if t in CHANGES),
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {GROUP}",
        f"GRANT EXECUTE ON FUNCTION {', '.join(_CALLED)} TO {GROUP}",
    ]


def digest() -> str:
    """This function will say all that `install` writes, for the rules' fingerprint."""
    return repr((_functions("x"), _security(), rights("x")))


def require_owner(conn: Connection) -> None:
    """This function will raise Unavailable where it is for the database's owner to change its schema."""
    if conn.dialect.name != "postgresql":
        return
    if not conn.scalar(text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        raise Unavailable(
            "The database needs an update by its owner; run “python -m crm_core init” with CRM_OWNER_URL set."
        )


def bypassed(conn: Connection) -> bool:
    """This function will tell whether row security does not bind this connection: the owner's or a superuser's."""
    if conn.dialect.name != "postgresql":
        return False
    return not conn.exec_driver_sql(BINDS).scalar()


def guard(engine: Engine) -> None:
    """This function will let an engine's SQLite connections do only what the program does, from now on."""
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _connect(dbapi: sqlite3.Connection, _entry: Any) -> None:
        dbapi.set_authorizer(_authorized)

    @event.listens_for(engine, "before_cursor_execute")
    def _execute(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        # SQLite's full-text tables write their inner ones with statements that the authorizer cannot tell from
        # others; nobody else names them
        if any(name in statement.lower() for name in trigrams.INNER):
            raise Unavailable("Only the database itself reads and writes the index of the texts.")


_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}


# A full-text table asks for it when it is opened; nobody writes there without a pragma, which is refused.
_SCHEMA = "sqlite_master"


def _authorized(action: int, first: str | None, second: str | None, _db: str | None, trigger: str | None) -> int:
    if action in _READING or (action == sqlite3.SQLITE_PRAGMA and second is None):
        return sqlite3.SQLITE_OK
    table = first or ""
    added = (
        action == sqlite3.SQLITE_INSERT
        and table in metadata.tables
        and table not in KEPT
        and (trigger is not None or table not in DERIVED)
    )
    changed = action == sqlite3.SQLITE_UPDATE and (
        trigger is not None or table in (setting.name, _SCHEMA) or second in CHANGES.get(table, "").split()
    )
    found = action == sqlite3.SQLITE_INSERT and trigger is not None and table in trigrams.BESIDE
    inner = action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_DELETE) and table in trigrams.INNER
    return sqlite3.SQLITE_OK if added or changed or found or inner else sqlite3.SQLITE_DENY


def schema_of(conn: Connection) -> str:
    return str(conn.exec_driver_sql("SELECT quote_ident(current_schema())").scalar())


MAKE_GROUP = (
    f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{GROUP}') AND "
    "(SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user) THEN "
    f"CREATE ROLE {GROUP} NOLOGIN; END IF; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
)


def _functions(schema: str) -> list[str]:
    # PL/pgSQL keeps the plan of what it asks; SQL would make it anew for every statement that a policy binds.
    made = f"RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = {schema}, pg_temp"
    asked = {
        "may(permission text)": "EXISTS (SELECT 1 FROM app_user u JOIN role_grant g ON g.role = u.role "
        f"WHERE u.id = {ME} AND u.active AND g.permission = $1)",
        **{f"{name}({kind})": question for name, (kind, question) in sql.PAST_SCOPE.items()},
    }
    return [
        *(
            f"CREATE OR REPLACE FUNCTION crm_{name} {made} AS $$ BEGIN RETURN {question}; END $$"
            for name, question in asked.items()
        ),
        *_searching(schema),
        f"DROP FUNCTION IF EXISTS {_LEARNT}",
        f"CREATE FUNCTION {_LEARNT} RETURNS TABLE ({_learnt_columns()}) LANGUAGE sql STABLE PARALLEL SAFE "
        f"SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$ SELECT * FROM ({_learnt()}) l "
        f"WHERE EXISTS (SELECT 1 FROM app_user u WHERE u.id = {ME} AND u.active) $$",
        # Else anybody could hang a function that runs as the owner onto a table of their own.
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC",
    ]


def _searching(schema: str) -> list[str]:
    """Row security lets no index answer LIKE, so these search as the owner, and find what the asking person may see."""
    asking = _Asking()
    scopes = {"opportunity": (opportunity, visible_to(asking)), "lead": (lead, leads_visible_to(asking))}
    made = f"LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = {schema}, pg_temp"
    return [
        f"CREATE OR REPLACE FUNCTION crm_{name}_{asked}(text) RETURNS {kind} {made} AS $$ {question} $$"
        for name in trigrams.HIDDEN
        for asked, kind, question in (
            ("holding", "bigint[]", trigrams.HOLDING[name] % _text(*scopes[name])),
            ("common", "boolean", trigrams.COMMON[name]),
        )
    ]


def _learnt() -> str:
    query: Any = courses.seen_until(*(raw(f"${number}", Integer()) for number in (1, 2, 3)))
    return str(query.compile(dialect=_DIALECT(), compile_kwargs={"literal_binds": True}))


def _learnt_columns() -> str:
    return ", ".join(f"{name} {kind.compile(dialect=_DIALECT())}" for name, kind in courses.LEARNT.items())


def _security() -> list[str]:
    statements = [f"ALTER TABLE {t} ENABLE ROW LEVEL SECURITY" for t in sorted({p.table.name for p in POLICIES})]
    for policy in POLICIES:
        name = f"app_{policy.statement.lower()}"
        statements.append(f"DROP POLICY IF EXISTS {name} ON {policy.table.name}")
        clauses = ""
        for word, clause in (("USING", policy.using), ("WITH CHECK", policy.check)):
            if clause is not None:
                clauses += f" {word} ({_text(policy.table, clause)})"
        statements.append(f"CREATE POLICY {name} ON {policy.table.name} FOR {policy.statement}{clauses}")
    return statements


_DIALECT: Any = postgresql.dialect


def _text(table: Any, clause: ColumnElement[bool]) -> str:
    query: Any = select(raw("1")).select_from(table).where(clause)
    made = query.compile(dialect=_DIALECT(), compile_kwargs={"literal_binds": True})
    return str(made).partition("WHERE ")[2] or "true"
