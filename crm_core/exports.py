"""Exports: a slice as a file, with the same rows and totals as its list; needs the permission `export`."""

from __future__ import annotations

import csv
import io

from sqlalchemy import Connection

from crm_core import audit, lifecycle, periods, pipeline, trail
from crm_core.access import Actor, require
from crm_core.schema import PRODUCTS
from crm_core.slices import AuditSlice, Slice

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
HEADINGS = (
    "Number", "Title", "Customer", "Region", "State", "City", "Business unit", "Product", "Sales engineer",
    "Application engineer", "Status", "Potential value", "Won value", "Created (IST)", "Closed (IST)",
)  # fmt: skip
AUDIT_HEADINGS = (
    "Row", "Recorded (IST)", "Happened (IST)", "Person", "Action", "Kind of record", "Record", "Id", "Field", "Before",
    "After", "Request",
)  # fmt: skip


def as_csv(conn: Connection, actor: Actor, slice_: Slice, sort: str = pipeline.DEFAULT_SORT) -> bytes:
    """This function will write every opportunity of a slice in the actor's scope as UTF-8 CSV, and record that.

    Amounts are plain decimals in rupees, times in IST. Text that a spreadsheet would run as a
    formula gets an apostrophe before it. Raises NotAllowed. The caller's transaction must write.
    """
    asking = require(conn, actor, "export")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADINGS)
    count = 0
    for row in conn.execute(pipeline.rows_query(conn, actor, slice_, sort)).yield_per(1000):
        count += 1
        texts: tuple[str | None, ...] = (
            row.number,
            row.title,
            row.customer,
            row.region,
            row.state,
            row.city,
            row.business_unit,
        )
        texts += (PRODUCTS[row.product], row.owner, row.application_engineer, lifecycle.STAGE[row.status].label)
        amounts = (row.value, "" if row.won_value is None else row.won_value)
        writer.writerow([*map(_inert, texts), *amounts, periods.moment(row.created_at), periods.moment(row.closed_at)])
    said = {"slice": slice_.sentence(), "count": count}
    audit.write(conn, actor, asking, "export", "slice", "opportunities", None, {}, said)
    return "\ufeff".encode() + out.getvalue().encode()


def audit_as_csv(conn: Connection, actor: Actor, slice_: AuditSlice) -> bytes:
    """This function will write a slice of the audit, newest first, one line a changed field, and record that.

    In words, times in IST, safe for a spreadsheet. Needs `export`, and `audit.read` as
    `trail.everything` does; raises NotAllowed. The caller's transaction must write.
    """
    asking = require(conn, actor, "export")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(AUDIT_HEADINGS)
    count = 0
    for entries in trail.everything(conn, actor, slice_):
        titles = trail.titles(conn, actor, entries)
        count += len(entries)
        for entry in entries:
            title = titles.get((entry.entity, entry.entity_id), "")
            about = (entry.by, entry.action, trail.KINDS.get(entry.entity, entry.entity), title, entry.entity_id)
            for change in entry.changes or (audit.Change("", "", ""),):
                texts = (*about, change.label, change.before, change.after, entry.request_id)
                times = (periods.moment(entry.recorded_at), periods.moment(entry.at))
                writer.writerow([entry.id, *times, *map(_inert, texts)])
    said = {"slice": slice_.sentence(trail.names(conn, actor, slice_)), "count": count}
    audit.write(conn, actor, asking, "export", "slice", "audit", None, {}, said)
    return "\ufeff".encode() + out.getvalue().encode()


def _inert(text: str | None) -> str:
    return "'" + text if text and text.startswith(_FORMULA) else text or ""
