"""The command line: make the database, fill it with the demo, import files, add people, seal the audit."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_core import access, courses, demo, roles, seals, standings, tallies, trigrams, users
from crm_core.database import Database, open_database, unhurry
from crm_core.errors import Invalid, NotAllowed, Refusal


def main(given: Sequence[str] | None = None) -> int:
    """This function will run one command and return the exit code: 0, or 1 after a refusal's sentences."""
    options = _parser().parse_args(given)
    try:
        database = open_database(options.url or os.environ.get("CRM_OWNER_URL"), owner=True)
        try:
            run: Callable[[Database, argparse.Namespace], None] = options.run
            run(database, options)
        finally:
            database.dispose()
    except Refusal as why:
        for sentence in why.messages:
            sys.stderr.write(f"{sentence}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crm_core", description=__doc__)
    parser.add_argument(
        "--url", help="the database; else CRM_OWNER_URL, then CRM_DATABASE_URL, then the embedded SQLite file"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    making = _command(commands, "init", "make or update the database", _init)
    making.add_argument("--postgres", action="store_true", help="make the app's own role too, that of CRM_DATABASE_URL")
    _command(commands, "demo", "fill an empty database with an invented company", _demo)
    imports = _command(commands, "import", "import a folder of files as a mapping says", _import)
    imports.add_argument("mapping", type=Path)
    imports.add_argument("folder", type=Path)
    _command(commands, "verify", "compare what is kept beside the records with their history", _verify_standings)
    _command(commands, "rebuild", "write what is kept beside the records anew from their history", _rebuild)
    people = commands.add_parser("users", help="list or add users").add_subparsers(required=True, metavar="command")
    _command(people, "list", "list all users", _list_users)
    adding = _command(people, "add", "add a user", _add_user)
    for name in ("name", "email", "role"):
        adding.add_argument(f"--{name}", required=True)
    adding.add_argument("--business-unit", help="its code, such as valves")
    adding.add_argument("--as", dest="actor", metavar="EMAIL", help="the org admin who adds; none for the first one")
    sealing = commands.add_parser("audit", help="seal or verify the audit").add_subparsers(
        required=True, metavar="command"
    )
    for name, text, run in (
        ("seal", "seal what was done since the last time", _seal),
        ("verify", "compare every row of the audit with its seal", _verify),
    ):
        parsed = _command(sealing, name, text, run)
        parsed.add_argument("--head", type=Path, metavar="FILE", help="the file of exported heads, kept elsewhere")
    return parser


def _command(
    group: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[Database, argparse.Namespace], None],
) -> argparse.ArgumentParser:
    parser = group.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _init(database: Database, options: argparse.Namespace) -> None:
    if options.postgres:
        for line in roles.make(database, os.environ.get("CRM_DATABASE_URL", "")):
            _say(line)
    _say(f"The database {_place(database)} is ready.")


def _demo(database: Database, options: argparse.Namespace) -> None:
    demo.fill(database)
    _say(f"The database {_place(database)} now holds Kaveri Flow Controls, an invented company.")


def _import(database: Database, options: argparse.Namespace) -> None:
    from crm_core import imports  # reads pandas' file formats; the other commands do without

    report = imports.run(database, options.mapping, options.folder, _tell)
    for line in report.lines:
        _say(line)
    _say(report.sentence())


def _verify_standings(database: Database, options: argparse.Namespace) -> None:
    with database.read() as conn:
        unhurry(conn)
        wrong = standings.verify(conn) or tallies.verify(conn) or courses.verify(conn)
    with database.write() as conn:
        unhurry(conn)
        wrong = wrong or trigrams.verify(conn)
    if wrong:
        raise Invalid(f"{wrong} Run “python -m crm_core rebuild”.")
    _say("Every standing is what the history says, and every tally and course what the standings say.")
    _say("Every index of texts is what the records say.")


def _rebuild(database: Database, options: argparse.Namespace) -> None:
    with database.write() as conn:
        unhurry(conn)
        stood, kept, learnt, found = (beside.rebuild(conn) for beside in (standings, tallies, courses, trigrams))
    _say(f"Wrote {stood:,} standings from the history, and {kept:,} tallies and {learnt:,} courses from them.")
    _say(f"Wrote {found} indexes of texts from the records.")


def _list_users(database: Database, options: argparse.Namespace) -> None:
    with database.read() as conn:
        rows = users.people(conn)
    for row in rows:
        ended = "" if row.active else ", not active"
        _say(f"{row.name} <{row.email}>, {access.ROLE_LABELS.get(row.role, row.role)}{ended}")
    if not rows:
        _say("There are no users yet.")


def _add_user(database: Database, options: argparse.Namespace) -> None:
    values = {name: getattr(options, name) for name in ("name", "email", "role", "business_unit")}
    with database.write() as conn:
        admins = any(row.role == users.ADMIN and row.active for row in users.people(conn))
        if not admins and options.role != users.ADMIN:
            raise Invalid(f"There is no org admin yet; add one first, with --role {users.ADMIN}.")
        if not admins:
            users.first_admin(conn, values)
        elif options.actor:
            users.add(conn, access.actor_by_email(conn, options.actor), values)
        else:
            raise NotAllowed("Say with --as which org admin adds this user.")
    _say(f"{options.name} was added as {access.ROLE_LABELS[options.role]}.")


def _seal(database: Database, options: argparse.Namespace) -> None:
    sealed = 0
    while made := database.submit(seals.seal):
        sealed += made
    with database.read() as conn:
        head = seals.head(conn)
    if options.head and head:
        try:
            with options.head.open("a", encoding="utf-8") as file:
                file.write(head.line() + "\n")
        except OSError as why:
            raise Invalid(f"The file of heads {options.head} cannot be written: {why.strerror}.") from why
    _say(f"Sealed {sealed:,} rows of the audit; the chain ends at position {head.position if head else 0:,}.")


def _verify(database: Database, options: argparse.Namespace) -> None:
    heads = []
    if options.head:
        try:
            heads = seals.read_heads(options.head.read_text("utf-8").splitlines())
        except OSError as why:
            raise Invalid(f"The file of heads {options.head} cannot be read: {why.strerror}.") from why
    with database.read() as conn:
        found = seals.verify(conn, heads)
    if found.wrong:
        raise Invalid(found.sentence())
    _say(found.sentence())


def _place(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _tell(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


if __name__ == "__main__":
    sys.exit(main())
