"""The numbers: totals and listings of a slice, all drawn from one expression.

`_within` starts every read of opportunities here: the actor's scope first, then the slice. A tile
and its list cannot disagree because they are the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, func, select

from crm_core import customers, lifecycle, settings, slices, sql
from crm_core.access import Actor, Person, person, visible_to
from crm_core.schema import LISTS, PRODUCTS, app_user, business_unit, customer, opportunity, region
from crm_core.slices import DIMENSIONS, Slice, group

MEASURES = ("count", "value", "won_value")
_owner, _engineer = app_user.alias("owner"), app_user.alias("engineer")
SORTS: dict[str, Any] = {
    "created": opportunity.c.created_at,
    "value": opportunity.c.value,
    "won_value": opportunity.c.won_value,
    "closed": opportunity.c.closed_at,
    "customer": customer.c.name_key,
    "status": opportunity.c.status,
    "region": opportunity.c.region,
    "owner": opportunity.c.owner_id,
}
DEFAULT_SORT = "-created"


@dataclass(frozen=True)
class Listing:
    """One page of a slice and the figures of the whole slice; amounts in Decimal rupees.

    `rows` has the columns id, number, title, customer_id, customer, region (label), state, city,
    owner_id, owner, application_engineer, product (code), business_unit (label), value, won_value,
    status (code), created_at, closed_at (UTC).
    """

    rows: pd.DataFrame
    count: int
    value: Decimal
    won_value: Decimal
    page: int
    pages: int


def totals(conn: Connection, actor: Actor, slice_: Slice, by: str | tuple[str, ...] = ()) -> pd.DataFrame:
    """This function will count and sum a slice in the actor's scope, in all or grouped.

    `by` names dimensions of Slice; a range (created, closed) is grouped by its month in India.
    Frame: one column a dimension, holding the keys (text) that a URL takes; count (int), value and
    won_value (Decimal rupees). By one configured dimension, each of its active values has a row,
    at zero too. Without `by`, one row.
    """
    names = (by,) if isinstance(by, str) else tuple(by)
    keys = [group(name).label(name) for name in names]
    query = select(*keys, *_sums()).where(*_within(person(conn, actor), slice_))
    if keys:
        query = query.group_by(*(group(name) for name in names))
        query = query.where(*(DIMENSIONS[name].column.is_not(None) for name in names))
    rows = [[*map(str, row[: len(names)]), *row[len(names) :]] for row in conn.execute(query)]
    if len(names) == 1:
        rows = _in_order(conn, names[0], rows, slice_)
    return pd.DataFrame(
        {name: pd.Series([r[i] for r in rows], dtype=object) for i, name in enumerate((*names, *MEASURES))}
    )


def listing(
    conn: Connection,
    actor: Actor,
    slice_: Slice,
    sort: str = DEFAULT_SORT,
    page: int = 1,
    per_page: int = 25,
) -> Listing:
    """This function will read one page of a slice in the actor's scope, with its count and sums.

    `sort` is one of SORTS, with “-” for descending; anything else sorts newest first. A page
    beyond the last is the last.
    """
    where = _within(person(conn, actor), slice_)
    count, value, won_value = conn.execute(select(*_sums()).where(*where)).one()
    pages = max(1, -(-count // per_page))
    page = max(1, min(page, pages))
    query = rows_query(where, sort).limit(per_page).offset((page - 1) * per_page)
    return Listing(frame(conn, query), count, value, won_value, page, pages)


def ids(conn: Connection, actor: Actor, slice_: Slice) -> list[int]:
    """This function will read the ids of a slice in the actor's scope, to do something with all of them."""
    query = select(opportunity.c.id).where(*_within(person(conn, actor), slice_))
    return list(conn.scalars(query.order_by(opportunity.c.id)))


def rows_query(where: list[ColumnElement[bool]], sort: str) -> Any:
    """This function will build the select of a listing's rows; shared with the export."""
    name = sort.removeprefix("-")
    sort = sort if name in SORTS else DEFAULT_SORT
    column = SORTS[sort.removeprefix("-")]
    order = column.desc().nulls_last() if sort.startswith("-") else column.asc().nulls_last()
    ties = opportunity.c.id.desc() if sort.startswith("-") else opportunity.c.id.asc()
    return (
        select(
            opportunity.c.id,
            sql.opportunity_number(),
            opportunity.c.title,
            opportunity.c.customer_id,
            customer.c.company.label("customer"),
            region.c.label.label("region"),
            opportunity.c.state,
            opportunity.c.city,
            opportunity.c.owner_id,
            _owner.c.name.label("owner"),
            _engineer.c.name.label("application_engineer"),
            opportunity.c.product,
            business_unit.c.label.label("business_unit"),
            opportunity.c.value.label("value"),
            opportunity.c.won_value.label("won_value"),
            opportunity.c.status,
            opportunity.c.created_at,
            opportunity.c.closed_at,
        )
        .join(customer, customer.c.id == opportunity.c.customer_id)
        .join(region, region.c.code == opportunity.c.region)
        .join(business_unit, business_unit.c.code == opportunity.c.business_unit)
        .join(_owner, _owner.c.id == opportunity.c.owner_id)
        .outerjoin(_engineer, _engineer.c.id == opportunity.c.application_engineer_id)
        .where(*where)
        .order_by(order, ties)
    )


def frame(conn: Connection, query: Any) -> pd.DataFrame:
    """This function will run a query into a frame of Python objects, so that nothing is rounded."""
    result = conn.execute(query)
    return pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()), dtype=object)


def within(conn: Connection, actor: Actor, slice_: Slice) -> list[ColumnElement[bool]]:
    """This function will give the clauses of a slice in the actor's scope, for the export."""
    return _within(person(conn, actor), slice_)


def choices(conn: Connection, actor: Actor, dimension: str) -> dict[str, str]:
    """This function will map the values of a dimension that the actor may pick to their labels.

    Owners are those of opportunities the actor may see; customers are the active ones.
    """
    if dimension == "status":
        return {stage.code: stage.label for stage in lifecycle.STAGES}
    if dimension == "product":
        return dict(PRODUCTS)
    if dimension in LISTS:
        return settings.labels(conn, dimension)
    if dimension == "owner":
        return _owners(conn, person(conn, actor))
    if dimension == "customer":
        return {str(i): label for i, label in customers.choices(conn, actor).items()}
    return {}


def names(conn: Connection, actor: Actor, slice_: Slice) -> dict[str, dict[str, str]]:
    """This function will map the values in a slice, those that are known, to their labels, by dimension."""

    def labels_of(name: str) -> dict[str, str]:
        return _companies(conn, slice_.customer) if name == "customer" else choices(conn, actor, name)

    return slices.named(slice_, labels_of)


def _within(asking: Person, slice_: Slice) -> list[ColumnElement[bool]]:
    return [visible_to(asking), *slice_.conditions()]


def _sums() -> list[ColumnElement[Any]]:
    return [
        func.count().label("count"),
        func.coalesce(func.sum(opportunity.c.value), 0, type_=opportunity.c.value.type).label("value"),
        func.coalesce(func.sum(opportunity.c.won_value), 0, type_=opportunity.c.won_value.type).label("won_value"),
    ]


def _in_order(conn: Connection, name: str, rows: list[list[Any]], slice_: Slice) -> list[list[Any]]:
    known: dict[str, str] = {}
    if name in LISTS:
        known = settings.labels(conn, name, active_only=True)
    elif name in ("status", "product"):
        known = dict(PRODUCTS) if name == "product" else {s.code: s.label for s in lifecycle.STAGES}
    wanted = getattr(slice_, name)
    by_key = {row[0]: row for row in rows}
    configured = [key for key in known if not wanted or key in wanted]
    zero = Decimal(0)
    filled = [by_key.pop(key, [key, 0, zero, zero]) for key in configured]
    return filled + [by_key[key] for key in sorted(by_key)]


def _owners(conn: Connection, asking: Person) -> dict[str, str]:
    owning = select(opportunity.c.owner_id).where(visible_to(asking))
    query = select(app_user.c.id, app_user.c.name).where(app_user.c.id.in_(owning))
    return {str(row.id): row.name for row in conn.execute(query.order_by(app_user.c.name, app_user.c.id))}


def _companies(conn: Connection, values: tuple[str, ...]) -> dict[str, str]:
    bad = set(Slice(customer=values).malformed().get("customer", ()))
    ids = [int(v) for v in values if v not in bad]
    query = select(customer.c.id, customer.c.company).where(sql.any_of(customer.c.id, ids))
    return {str(row.id): row.company for row in conn.execute(query)}
