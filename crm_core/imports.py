"""Files from elsewhere, loaded as a mapping says: every row through the same checks as a person's.

A mapping is a small TOML file that names the files, their columns and what each column gives.
A row that cannot be legal is reported by its line and left out. Files are read row by row, once
to see that they can be read, and then as often as they are asked. Source: decisions, “Imports”.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, func, select

from crm_core import (
    access,
    audit,
    batches,
    customers,
    fields,
    lifecycle,
    periods,
    plans,
    preferences,
    walls,
)
from crm_core import settings as lists
from crm_core import users as people
from crm_core.access import Actor
from crm_core.database import Database, unhurry
from crm_core.errors import Conflict, Invalid, NotAllowed, NotFound
from crm_core.schema import LISTS, app_user, customer, opportunity

#: A million rows of two thousand characters; more is no company's pipeline, and is refused before it is read.
LARGEST_FILE, LONGEST_FIELD = 2 * 1024**3, 10_000
EVERY = 10_000
_REFUSED = (Invalid, Conflict, NotFound, NotAllowed)
_CODED = ("region", "business_unit")


@dataclass(frozen=True)
class Report:
    """What an import did: how many of each it created, and a sentence for each row worth knowing."""

    created: dict[str, int]
    lines: list[str]
    present: int = 0

    def sentence(self) -> str:
        """This function will sum the import up in one sentence."""
        made = ", ".join(f"{count:,} {kind}" for kind, count in self.created.items() if count)
        said = f"Imported {made}" if made else "Nothing new was imported"
        there = f"; {self.present:,} opportunities were there already" if self.present else ""
        return f"{said}{there}; {len(self.lines):,} notes on single rows."


@dataclass(frozen=True)
class _Row:
    place: str
    cells: dict[str, str]


class _Unfit(ValueError):
    """This row cannot be loaded; the text says why."""


def run(database: Database, mapping: Path, folder: Path, tell: Callable[[str], None] = lambda _said: None) -> Report:
    """This function will import a folder of files as a mapping says, all in one transaction, as the database's owner.

    Rows that cannot be legal are reported and left out; rows that are there already stay as they
    are. How far it is, is told every some thousand rows. Raises Invalid, with nothing saved, for a wrong mapping or
    an unreadable file.
    """
    plan = plans.read(mapping)
    loaded = _Import(plan, folder, tell)
    for name, told in plan["files"].items():
        loaded.rows[name] = sum(1 for _ in _rows(folder, told, plan.get("spelling", {}), loaded.lines))
    with database.write() as conn:
        unhurry(conn)
        return loaded.into(conn)


@dataclass
class _Import:
    plan: dict[str, Any]
    folder: Path
    tell: Callable[[str], None]
    rows: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    created: dict[str, int] = field(default_factory=dict)
    present: int = 0
    listed: dict[str, dict[str, str]] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    companies: dict[str, int] = field(default_factory=dict)
    indexes: dict[tuple[str, str], dict[str, _Row]] = field(default_factory=dict)

    def into(self, conn: Connection) -> Report:
        if conn.dialect.name == "postgresql" and not walls.bypassed(conn):
            raise NotAllowed("Only the owner of the database can import; set CRM_OWNER_URL.")
        self._claim(conn)
        actor = self._importer(conn)
        self._lists(conn, actor)
        self._users(conn, actor)
        self._customers(conn, actor)
        self._opportunities(conn, actor)
        if any(self.created.values()):
            asking = access.require(conn, actor, "import")
            audit.write(conn, actor, asking, "import", "import", self.plan["source"], None, {}, self.created)
        return Report(self.created, self.lines, self.present)

    def _claim(self, conn: Connection) -> None:
        wanted = self.plan["currency"]
        if conn.scalar(select(func.count()).select_from(opportunity)):
            if preferences.currency(conn) != wanted:
                raise Invalid(
                    "This database already has opportunities in another currency; import into an empty one instead."
                )
            return
        preferences.store(conn, "currency", wanted)
        preferences.store(conn, "trial", "yes")

    def _importer(self, conn: Connection) -> Actor:
        query = select(app_user.c.id).where(app_user.c.role == people.ADMIN, app_user.c.active)
        found = conn.scalar(query.order_by(app_user.c.id).limit(1))
        if found is None:
            found = people.first_admin(conn, self.plan["importer"])
            self._count("users")
        return Actor(found, "import")

    def _lists(self, conn: Connection, actor: Actor) -> None:
        for name in LISTS:
            self.listed[name] = {fields.search_key(label): code for code, label in lists.labels(conn, name).items()}
        for told in self.plan.get("lists", []):
            known = self.listed[told["list"]]
            for row in self._source(told):
                label = self._value(told["label"], row)
                if label and fields.search_key(label) not in known:
                    with self._reported(row, "list entry", "list entries"), conn.begin_nested():
                        known[fields.search_key(label)] = lists.add(conn, actor, told["list"], label)

    def _users(self, conn: Connection, actor: Actor) -> None:
        known = {row.email_key: row.id for row in conn.execute(select(app_user.c.email_key, app_user.c.id))}
        for told in self.plan.get("users", []):
            for row in self._source(told):
                name = self._value(told["name"], row)
                if not name or fields.search_key(name) in self.people:
                    continue
                address = f"{fields.to_code(name).replace('_', '.')}@{self.plan['mail_domain']}"
                if address not in known:
                    with self._reported(row, "user", "users"), conn.begin_nested():
                        values = {"name": name, "email": address, "role": told["role"]}
                        known[address] = people.add(conn, actor, values)
                if address in known:
                    self.people[fields.search_key(name)] = known[address]

    def _customers(self, conn: Connection, actor: Actor) -> None:
        query = select(customer.c.id, customer.c.company, customer.c.merged_into_id)
        for found in conn.execute(query.order_by(customer.c.id)):
            self.companies.setdefault(fields.search_key(found.company), found.merged_into_id or found.id)
        for told in self.plan.get("customers", []):
            seen: set[str] = set()
            for row in self._source(told):
                values = {name: self._value(spec, row) for name, spec in told["set"].items()}
                key = fields.search_key(values["company"])
                if key in seen and not told.get("repeats"):
                    self._say(row, f"the customer “{values['company']}” is in the file twice; this row was left out.")
                if key in self.companies or key in seen or (not key and told.get("repeats")):
                    seen.add(key)
                    continue
                seen.add(key)
                with self._reported(row, "customer", "customers"), conn.begin_nested():
                    self.companies[key] = customers.create(conn, actor, values)

    def _opportunities(self, conn: Connection, actor: Actor) -> None:
        told, seen = self.plan["opportunities"], set[str]()
        source = self.plan["source"]
        query = select(opportunity.c.external_ref).where(
            opportunity.c.external_ref.startswith(f"{source}:", autoescape=True)
        )
        known = set(conn.scalars(query))
        done = 0
        with batches.opened(conn, actor) as batch:
            for done, row in enumerate(self._source(told), 1):
                if done % EVERY == 0:
                    self.tell(f"{done:,} of {self.rows[told['rows']]:,} rows")
                number = fields.clean(row.cells[told["id"]])
                ref = f"{source}:{number}"
                if not number or number in seen:
                    why = f"its id “{number}” is in the file already" if number else "it has no id"
                    self._say(row, f"{why}; this row was left out.")
                    continue
                seen.add(number)
                if ref in known:
                    self.present += 1
                    continue
                with self._reported(row, "opportunity", "opportunities"):
                    self._opportunity(batch, told, row, ref)
            if done >= EVERY:
                self.tell("Counting what was added …")

    def _opportunity(self, batch: batches.Batch, told: dict[str, Any], row: _Row, ref: str) -> None:
        notes: list[str] = []
        values: dict[str, Any] = {}
        for name, spec in told["set"].items():
            values[name] = self._coded(name, spec, self._value(spec, row, notes))
        stage = row.cells[told["stage"]["column"]].strip()
        moves = told["stage"]["moves"].get(stage)
        if moves is None:
            raise _Unfit(f"the mapping has no meaning for the status “{stage}”.")
        created = self._day(row, told["created"])
        if created is None and "created_default" in told:
            created = told["created_default"]
            notes.append(f"it has no {told['created']}; {periods.day(created)} was taken as its day.")
        if created is None:
            raise _Unfit(f"it has no {told['created']}.")
        batch.add(values, self._moves(moves, row, stage, notes), _noon(created), ref)
        for note in notes:
            self._say(row, note)

    def _moves(self, moves: list[dict[str, Any]], row: _Row, stage: str, notes: list[str]) -> Iterator[batches.Move]:
        for step in moves:
            on = self._day(row, step["on"])
            if on is None:
                raise _Unfit(f"its status is {stage}, but it has no {step['on'].rstrip(' :')}.")
            asked = {name: self._value(spec, row, notes) for name, spec in step.get("set", {}).items()}
            if "reason" in asked:
                move = lifecycle.named(step["move"])
                ask = move.asked("reason") if move else None
                asked["reason"] = self._code(ask.list if ask and ask.list else "", asked["reason"])
            yield step["move"], asked, _noon(on)

    def _coded(self, name: str, spec: dict[str, Any], value: str) -> Any:
        column = spec.get("column", name)
        if name == "customer_id":
            if not value:
                raise _Unfit(f"it has no {column}, so there is no customer for it.")
            return self._known(self.companies, value, "customer")
        if name in ("owner_id", "application_engineer_id"):
            return self._known(self.people, value, "user")
        return self._code(name, value) if name in _CODED else value

    def _code(self, name: str, label: str) -> str:
        return str(self._known(self.listed.get(name, {}), label, name.replace("_", " ")))

    @staticmethod
    def _known(names: dict[str, Any], label: str, kind: str) -> Any:
        found = names.get(fields.search_key(label))
        if found is None:
            raise _Unfit(f"there is no {kind} “{label}”.")
        return found

    def _day(self, row: _Row, column: str) -> date | None:
        raw = row.cells[column].strip()
        if not raw:
            return None
        form = self.plan["dates"][column]
        try:
            return _read_day(raw, form)
        except ValueError:
            raise _Unfit(f"{column.rstrip(' :')} “{raw[:40]}” is not a date of the form {form}.") from None

    def _value(self, spec: dict[str, Any], row: _Row, notes: list[str] | None = None) -> str:
        value: str = spec["text"] if "text" in spec else row.cells[spec["column"]]
        if "file" in spec and value:
            found = self._index(spec["file"], spec["key"]).get(fields.search_key(value))
            if found is None:
                raise _Unfit(f"{spec['column']} “{value}” is not in {self.plan['files'][spec['file']]['name']}.")
            value = found.cells[spec["take"]]
        if "before" in spec:
            value = value.partition(spec["before"])[0]
        if "words" in spec:
            value = spec["words"].get(value.strip(), value)
        if "keywords" in spec:
            folded = fields.search_key(value)
            value = next((gives for word, gives in spec["keywords"].items() if word in folded), "")
        value = value.strip() or spec.get("default", "")
        if "cut" in spec and len(whole := fields.clean(value)) > spec["cut"]:
            value = whole[: spec["cut"] - 1] + "…"
            if notes is not None:
                notes.append(f"{spec['column']} has {len(whole)} characters and was cut to {spec['cut']}.")
        return value

    def _index(self, name: str, key: str) -> dict[str, _Row]:
        if (name, key) not in self.indexes:
            self.indexes[name, key] = {fields.search_key(row.cells[key]): row for row in self._read(name)}
        return self.indexes[name, key]

    def _source(self, told: dict[str, Any]) -> Iterable[_Row]:
        return self._read(told["rows"]) if "rows" in told else [_Row("mapping", {})]

    def _read(self, name: str) -> Iterator[_Row]:
        return _rows(self.folder, self.plan["files"][name], self.plan.get("spelling", {}), [])

    def _say(self, row: _Row, sentence: str) -> None:
        self.lines.append(f"{row.place}: {sentence}")

    def _count(self, kind: str) -> None:
        self.created[kind] = self.created.get(kind, 0) + 1

    @contextmanager
    def _reported(self, row: _Row, kind: str, kinds: str) -> Iterator[None]:
        """Count what one row made, or report why it made nothing."""
        try:
            yield
        except (*_REFUSED, _Unfit) as why:
            self._say(row, f"no {kind} was made: {why}")
        else:
            self._count(kinds)


@functools.lru_cache(maxsize=10_000)  # the same few days again and again
def _read_day(raw: str, form: str) -> date:
    return datetime.strptime(raw, form).date()


@functools.lru_cache(maxsize=10_000)
def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), periods.IST).astimezone(UTC)


def _rows(folder: Path, told: dict[str, Any], spelling: dict[str, Any], lines: list[str]) -> Iterator[_Row]:
    name, wanted = told["name"], told["columns"]
    with _opened(folder, name) as file:
        delimiter = told.get("delimiter", ",")
        reader = csv.reader(_text(file, name), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if header != wanted:
                raise Invalid(_other_header(name, header, wanted, delimiter))
            line = reader.line_num + 1
            for cells in reader:
                place, line = f"{name} line {line}", reader.line_num + 1
                if any(len(cell) > LONGEST_FIELD for cell in cells):
                    raise Invalid(f"{place}: a field has more than {LONGEST_FIELD:,} characters.")
                if not cells:
                    continue
                if len(cells) != len(wanted):
                    lines.append(
                        f"{place}: it has {len(cells)} fields instead of {len(wanted)}; this row was left out."
                    )
                    continue
                row = _Row(place, dict(zip(wanted, cells, strict=True)))
                for column, variants in spelling.items():
                    if (written := row.cells.get(column, "")) in variants:
                        row.cells[column] = variants[written]
                        lines.append(f"{place}: {column} “{written}” was read as “{variants[written]}”.")
                yield row
        except csv.Error as why:
            raise Invalid(f"{name} line {reader.line_num}: this is not a well-formed CSV file ({why}).") from None


def _other_header(name: str, header: list[str], wanted: list[str], delimiter: str) -> str:
    hint = f" Its columns must be separated by “{delimiter}”." if len(header) == 1 and len(wanted) > 1 else ""
    missing = [c for c in wanted if c not in header]
    extra = [c[:60] for c in header if c not in wanted]
    return (
        f"{name} line 1: the header is not the one the mapping names"
        f" (missing: {', '.join(missing) or 'none'}; not expected: {', '.join(extra) or 'none'}).{hint}"
    )


def _opened(folder: Path, name: str) -> BinaryIO:
    path = folder / name
    try:
        if path.stat().st_size <= LARGEST_FILE and path.is_file() and not path.is_symlink():
            return path.open("rb")
    except OSError:
        raise Invalid(f"{name} is not in the folder or cannot be read.") from None
    raise Invalid(f"{name} is larger than {LARGEST_FILE // 1024**2:,} MB or is not a plain file.")


def _text(file: BinaryIO, name: str) -> Iterator[str]:
    for line, raw in enumerate(file, 1):
        if line == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Invalid(f"{name} line 1: the file is in UTF-16; save it as CSV UTF-8.")
        if b"\0" in raw:
            raise Invalid(f"{name} line {line}: the file holds a NUL character; it is not text in UTF-8.")
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Invalid(f"{name} line {line}: the file is not in UTF-8; save it as CSV UTF-8.") from None
        # lines may end as on an old Mac too
        yield from io.StringIO(text, newline="") if "\r" in text[:-2] else (text,)
