"""Exports: a slice as a file, with the same rows and totals as its list; needs the permission `export`.

Rows are streamed from the database in helpings, never held together. One stream of typed rows makes
the CSV and the workbook (`sheets`), so both hold what the list shows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from crm_core import audit, clock, fields, lifecycle, periods, pipeline, preferences, sheets, trail, walks
from crm_core.access import Actor, Person, require
from crm_core.schema import PRODUCTS
from crm_core.slices import AuditSlice, Slice

_BEFORE_FORMULA = r"(?=[=+\-@＝＋－＠])"
_FORMULA = re.compile(r"[\t\r\n]|" + _BEFORE_FORMULA)
#: what some spreadsheets, set up for another country, take for the end of a cell
_NEXT_CELL = re.compile(r"(?<=.)[;|\t\r\n]\s*" + _BEFORE_FORMULA, re.DOTALL)
HEADINGS = (
    "Number", "Title", "Customer", "Region", "State", "City", "Business unit", "Product", "Sales engineer",
    "Application engineer", "Status", "Potential value", "Won value", "Created (IST)", "Closed (IST)",
)  # fmt: skip
AUDIT_HEADINGS = (
    "Row", "Recorded (IST)", "Happened (IST)", "Person", "Action", "Kind of record", "Record", "Id", "Field", "Before",
    "After", "Request",
)  # fmt: skip


class Tally:
    """What the opportunities that went through a stream of rows come to; amounts in rupees."""

    def __init__(self) -> None:
        self.count, self.value, self.won_value = 0, Decimal(0), Decimal(0)

    def through(self, rows: Iterable[tuple]) -> Iterator[tuple]:
        """This function will pass rows on, as they come, and add them up."""
        for row in rows:
            named = dict(zip(HEADINGS, row, strict=True))
            self.count += 1
            self.value += named["Potential value"]
            self.won_value += named["Won value"] or 0
            yield row


def as_csv(conn: Connection, actor: Actor, slice_: Slice, sort: str = walks.DEFAULT_SORT) -> bytes:
    """This function will write every opportunity of a slice in the actor's scope as UTF-8 CSV, and record that.

    Amounts are plain decimals in rupees, times in IST. Text that a spreadsheet would run as a
    formula gets an apostrophe before it. Raises NotAllowed. The caller's transaction must write.
    """
    asking, tally = require(conn, actor, "export"), Tally()
    written = _csv(HEADINGS, tally.through(_opportunities(conn, actor, slice_, sort)))
    on_record(conn, actor, asking, "opportunities", slice_.sentence(), tally.count)
    return written


def as_xlsx(conn: Connection, actor: Actor, slice_: Slice, sort: str = walks.DEFAULT_SORT, url: str = "") -> bytes:
    """This function will write the same opportunities as a workbook with a cover, and record that.

    The cover says what the file shows, of when, for whom, and what its rows come to; `url` is where
    the list is. Amounts are numbers in rupees, times dates in IST, text never runs (`sheets`).
    Raises NotAllowed, and Invalid for more rows than a sheet holds. The caller's transaction must write.
    """
    asking, tally = require(conn, actor, "export"), Tally()
    said = slice_.sentence(pipeline.names(conn, actor, slice_))

    def cover() -> Iterator[tuple[str, sheets.Cell]]:
        yield from (("Link", url), ("Exported by", asking.name), ("Scope", scope(asking)), ("Selection", said))
        yield from (
            ("As of", periods.day(slice_.day()) or "now"),
            ("Exported (IST)", clock.now(conn)),
            ("Opportunities", tally.count),
        )
        yield from (("Potential value", tally.value), ("Won value", tally.won_value))

    rows = tally.through(_opportunities(conn, actor, slice_, sort))
    written = sheets.workbook({"Opportunities": (HEADINGS, rows)}, cover(), preferences.currency(conn))
    on_record(conn, actor, asking, "opportunities", slice_.sentence(), tally.count)
    return written


def scope(asking: Person) -> str:
    """This function will say in words whose opportunities a person's files and figures are of."""
    if asking.may("opportunity.see_all"):
        return "all opportunities"
    return "own opportunities" if asking.may("opportunity.see_own") else "opportunities that name them"


def audit_as_csv(conn: Connection, actor: Actor, slice_: AuditSlice) -> bytes:
    """This function will write a slice of the audit, newest first, one line a changed field, and record that.

    In words, times in IST, safe for a spreadsheet. Needs `export`, and `audit.read` as
    `trail.everything` does; raises NotAllowed. The caller's transaction must write.
    """
    asking, count = require(conn, actor, "export"), 0

    def rows() -> Iterator[tuple]:
        nonlocal count
        for entries in trail.everything(conn, actor, slice_):
            titles = trail.titles(conn, actor, entries)
            count += len(entries)
            for entry in entries:
                title = titles.get((entry.entity, entry.entity_id), "")
                about = (entry.by, entry.action, trail.KINDS.get(entry.entity, entry.entity), title, entry.entity_id)
                for change in entry.changes or (audit.Change("", "", ""),):
                    texts = (change.label, change.before, change.after, entry.request_id)
                    yield (entry.id, entry.recorded_at, entry.at, *about, *texts)

    written = _csv(AUDIT_HEADINGS, rows())
    on_record(conn, actor, asking, "audit", slice_.sentence(trail.names(conn, actor, slice_)), count)
    return written


def _opportunities(conn: Connection, actor: Actor, slice_: Slice, sort: str) -> Iterator[tuple]:
    query = pipeline.rows_query(conn, actor, slice_, sort).execution_options(yield_per=1000)
    for row in conn.execute(query):
        yield (
            row.number,
            row.title,
            row.customer,
            row.region,
            row.state,
            row.city,
            row.business_unit,
            PRODUCTS[row.product],
            row.owner,
            row.application_engineer,
            lifecycle.STAGE[row.status].label,
            row.value,
            row.won_value,
            row.created_at,
            row.closed_at,
        )


def _csv(headings: Iterable[str], rows: Iterable[tuple]) -> bytes:
    out = io.BytesIO()
    text = io.TextIOWrapper(out, "utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows([_plain(value) for value in row] for row in rows)
    text.flush()
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return periods.moment(value)
    return _inert(value) if isinstance(value, str) else value


def _inert(text: str) -> str:
    runs = _FORMULA.match(text) or _FORMULA.match(fields.clean(text))
    return ("'" if runs else "") + _NEXT_CELL.sub(r"\g<0>'", text)


def on_record(conn: Connection, actor: Actor, asking: Person, what: str, sentence: str, count: int) -> None:
    """This function will put an export on record: what, of which slice, how many rows."""
    said = {"slice": sentence, "count": count}
    audit.write(conn, actor, asking, "export", "slice", what, None, {}, said)
