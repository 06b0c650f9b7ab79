"""Frames: the rows of a list with the names of what they refer to, and totals, as frames of Python objects."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Select, func, null, select

from crm_core import bridge, sql
from crm_core.schema import app_user, business_unit, customer, opportunity, region, standing
from crm_core.slices import Slice

_owner, _engineer = app_user.alias("owner"), app_user.alias("engineer")


def _named(facts: Any) -> Select[Any]:
    return (
        select(
            facts.c.id,
            sql.opportunity_number(facts),
            facts.c.title,
            facts.c.customer_id,
            customer.c.company.label("customer"),
            region.c.label.label("region"),
            facts.c.state,
            facts.c.city,
            facts.c.owner_id,
            _owner.c.name.label("owner"),
            _engineer.c.name.label("application_engineer"),
            facts.c.product,
            business_unit.c.label.label("business_unit"),
            facts.c.value.label("value"),
            facts.c.won_value.label("won_value"),
            facts.c.status,
            facts.c.created_at,
            facts.c.closed_at,
            facts.c.status_at,
            facts.c.next_step,
            facts.c.next_step_on,
        )
        .select_from(facts)
        .join(customer, customer.c.id == facts.c.customer_id)
        .join(region, region.c.code == facts.c.region)
        .join(business_unit, business_unit.c.code == facts.c.business_unit)
        .join(_owner, _owner.c.id == facts.c.owner_id)
        .outerjoin(_engineer, _engineer.c.id == facts.c.application_engineer_id)
    )


# Built once: they are most of what a list asks.
_NAMED = {facts: _named(facts) for facts in (opportunity, standing)}
_UNCHANGED = {facts: query.add_columns(null().label("change")) for facts, query in _NAMED.items()}
_CHOSEN = {facts: query.where(sql.among(facts.c.id, "ids")) for facts, query in _UNCHANGED.items()}
_COLUMNS = pd.Index(_UNCHANGED[opportunity].selected_columns.keys())


def changed(slice_: Slice, ids: list[int] | None = None) -> Select[Any]:
    """This function will select all rows that a list of a slice could show, with what the steps that it names changed in each.

    Of some ids only, if given. Columns: those of `pipeline.Listing.rows`.
    """
    facts: Any = slice_.facts
    if not slice_.moved and not slice_.during:
        return _UNCHANGED[facts]
    made = bridge.steps(slice_, ids)
    change = func.sum(made.c.change, type_=made.c.change.type).label("change")
    by_id = select(made.c.id, change).group_by(made.c.id).subquery("moved")
    return _NAMED[facts].join(by_id, by_id.c.id == facts.c.id).add_columns(by_id.c.change)


def read(conn: Connection, slice_: Slice, ids: list[int]) -> pd.DataFrame:
    """This function will read the rows of these ids as a list of the slice shows them, in their order."""
    facts: Any = slice_.facts
    if slice_.moved or slice_.during or slice_.asof:
        query = changed(slice_, ids).where(facts.c.id.in_(ids), *slice_.standing_then())
    else:
        query = _CHOSEN[facts]
    found = {row.id: tuple(row) for row in conn.execute(query, {"ids": ids})}
    return framed([found[i] for i in ids if i in found], _COLUMNS)


@functools.lru_cache(maxsize=64)  # pandas takes longer over the names than over the rows
def columns(*names: str) -> pd.Index:
    """This function will give the names of a frame's columns."""
    return pd.Index(names)


def framed(rows: Sequence[Sequence[Any]], names: pd.Index) -> pd.DataFrame:
    """This function will make a frame of rows as they are, so that nothing is guessed or rounded."""
    return pd.DataFrame(np.array(rows, dtype=object).reshape(-1, len(names)), columns=names, dtype=object)


def rows(frame: pd.DataFrame) -> list[Any]:
    """This function will give a frame's rows as named tuples, of its own values: pandas takes ten times as long."""
    kind = _kind(*frame.columns)
    return [kind._make(row) for row in frame.to_numpy().tolist()]


@functools.lru_cache(maxsize=64)
def _kind(*names: str) -> Any:
    return namedtuple("Row", names)
