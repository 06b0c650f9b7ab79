"""The numbers: totals and listings of a slice, all drawn from one expression.

`clauses` starts every read of opportunities here: the actor's scope first, then the slice. A tile
and its list cannot disagree because they are the same rows.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Select,
    Text,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from crm_core import (
    bridge,
    cells,
    customers,
    frames,
    lifecycle,
    records,
    settings,
    slices,
    sql,
    steps,
    tallies,
    trigrams,
    walks,
)
from crm_core.access import Actor, Person, person, visible_to
from crm_core.schema import LISTS, PRODUCTS, app_user, customer, opportunity
from crm_core.slices import AGES, ATTENTION, DIMENSIONS, Slice, group, weighed

#: What a slice can be broken down by; `created` is the month.
BREAKDOWNS = ("region", "state", "city", "business_unit", "owner", "product", "created", "reason")
MEASURES = ("count", "value", "won_value")
_FIXED = {"product": PRODUCTS, "attention": ATTENTION, "moved": steps.STEPS}


@dataclass(frozen=True)
class Listing:
    """One page of a slice and the figures of the whole slice; amounts in Decimal rupees.

    `rows` has the columns id, number, title, customer_id, customer, region (label), state, city,
    owner_id, owner, application_engineer, product (code), business_unit (label), value, won_value,
    status (code), created_at, closed_at, status_at (UTC), next_step, next_step_on, change (what the
    steps of the bridge that the slice names changed; None without). `change` is their sum. `previous`
    and `next` are cursors of the pages beside it, for `after`; "" where there is none.
    """

    rows: pd.DataFrame
    count: int
    value: Decimal
    won_value: Decimal
    page: int
    pages: int
    change: Decimal | None
    previous: str
    next: str


@dataclass(frozen=True)
class Sums:
    """What a slice comes to: amounts in Decimal rupees; days between creation and close, summed, of those closed."""

    count: int
    value: Decimal
    won_value: Decimal
    days: int

    def __add__(self, other: Sums) -> Sums:
        value, won_value = self.value + other.value, self.won_value + other.won_value
        return Sums(self.count + other.count, value, won_value, self.days + other.days)


NOTHING = Sums(0, Decimal(0), Decimal(0), 0)


def totals(conn: Connection, actor: Actor, slice_: Slice, by: str | tuple[str, ...] = ()) -> pd.DataFrame:
    """This function will count and sum a slice in the actor's scope, in all or grouped.

    `by` names dimensions of Slice; a range (created, closed) is grouped by its month in India.
    Frame: one column a dimension, holding the keys (text) that a URL takes; count (int), value and
    won_value (Decimal rupees). By one configured dimension, each of its active values has a row,
    at zero too; by several, in the order of their keys. Without `by`, one row.
    """
    return split(conn, actor, [(slice_, by)])[0]


def split(conn: Connection, actor: Actor, asked: Sequence[tuple[Slice, str | tuple[str, ...]]]) -> list[pd.DataFrame]:
    """This function will count and sum slices in the actor's scope, each grouped by its dimensions, at once.

    A frame for each, in their order, as `totals` gives it.
    """
    asking = person(conn, actor)
    named = [(weighed(conn, slice_), (by,) if isinstance(by, str) else tuple(by)) for slice_, by in asked]
    wide = max((len(names) for _slice, names in named), default=0)
    found: list[list[list[Any]]] = [[] for _ in named]
    queries = tuple((_counted(asking, slice_, names), names) for slice_, names in named)
    for number, *row in conn.execute(_together(queries, wide)).all() if queries else ():
        found[number].append(row)
    answers = []
    for told, (slice_, names) in zip(found, named, strict=True):
        rows = told if len(names) == wide else [[*row[: len(names)], *row[wide:]] for row in told]
        ordered = _in_order(conn, names[0], rows, slice_) if len(names) == 1 else sorted(rows)
        answers.append(frames.framed(ordered, frames.columns(*names, *MEASURES)))
    return answers


@functools.lru_cache(maxsize=256)  # what the tallies answer is asked by the same query again
def _together(queries: tuple[tuple[Select[Any], tuple[str, ...]], ...], wide: int) -> CompoundSelect[Any]:
    """The rows of many queries: number of the query, its keys as text (`wide` of them), count, value, won value."""
    many = []
    for number, (query, names) in enumerate(queries):
        rows = query.subquery()
        keys = [*(cast(rows.c[name], Text) for name in names), *[cast(null(), Text)] * (wide - len(names))]
        many.append(select(literal(number), *keys, *(rows.c[name] for name in MEASURES)))
    return union_all(*many)


def series(conn: Connection, actor: Actor, parts: Sequence[Slice | None]) -> list[Sums]:
    """This function will count and sum many slices in the actor's scope at once, in their order; None is an empty one."""
    asking = person(conn, actor)
    queries = [
        _counted(asking, weighed(conn, part), days=True).add_columns(literal(n).label("number"))
        for n, part in enumerate(parts)
        if part
    ]
    found = {row.number: Sums(*row[:-1]) for row in conn.execute(union_all(*queries))} if queries else {}
    return [found.get(number, NOTHING) for number in range(len(parts))]


def parts(slice_: Slice, by: str, code: str = "") -> dict[str, tuple[str, Slice | None]]:
    """This function will name what a breakdown of a period counts: created, won and lost, each by which dimension.

    Created in the period, won and lost in it; by month (`created`), what was won and lost by the month of it.
    """
    span, closing = code or None, "closed" if by == "created" else by
    first = "closed" if by == "reason" else "created"
    made = slice_.narrowed(**{first: span}) if span else slice_
    return {
        "made": (by, made),
        "won": (
            closing,
            slice_.narrowed(status=lifecycle.WON, closed=span) if span else slice_.narrowed(status=lifecycle.WON),
        ),
        "lost": (
            closing,
            slice_.narrowed(status=lifecycle.LOST, closed=span) if span else slice_.narrowed(status=lifecycle.LOST),
        ),
    }


def breakdown(conn: Connection, actor: Actor, slice_: Slice, by: str, code: str = "") -> pd.DataFrame:
    """This function will break a slice down by a dimension for a period, as `parts` says.

    Frame: key (text), count, value (Decimal rupees), won, won_value, lost, lost_value, win (Decimal
    percent: won ÷ (won + lost); None where neither). Every active value of a configured list has a row.
    """
    rows: dict[str, dict[str, Any]] = {}
    asked = {name: (part, dimension) for name, (dimension, part) in parts(slice_, by, code).items() if part}
    zero = {"count": 0, "value": Decimal(0), "won": 0, "won_value": Decimal(0), "lost": 0, "lost_value": Decimal(0)}
    for name, found in zip(asked, split(conn, actor, list(asked.values())), strict=True):
        for key, count, value, won_value in frames.rows(found):
            row = rows.setdefault(key, {"key": key, **zero})
            row |= {
                "made": {"count": count, "value": value},
                "won": {"won": count, "won_value": won_value},
                "lost": {"lost": count, "lost_value": value},
            }[name]
    for row in rows.values():
        row["win"] = rate(row["won"], row["lost"])
    return pd.DataFrame(list(rows.values()), columns=["key", *zero, "win"], dtype=object)


def rate(won: int, lost: int) -> Decimal | None:
    """This function will give the win rate in percent, of the won and lost alone; None where there are none."""
    return Decimal(100 * won) / (won + lost) if won + lost else None


def listing(
    conn: Connection,
    actor: Actor,
    slice_: Slice,
    sort: str = walks.DEFAULT_SORT,
    page: int = 1,
    per_page: int = 25,
    after: str = "",
) -> Listing:
    """This function will read one page of a slice in the actor's scope, with its count and sums.

    `sort` is one of `walks.SORTS`, with “-” for descending; anything else sorts newest first. `page` and
    `after` choose the page as `Order.turn` says.
    """
    asking, slice_, order = person(conn, actor), weighed(conn, slice_), walks.Order.of(slice_.facts, sort)
    count, value, won_value = conn.execute(_counted(asking, slice_)).one()[:3]
    parts, sparse = _parts(conn, asking, slice_, order, count, per_page)
    ids, turned = order.turn(conn, parts, count, page, per_page, after, sparse)
    return Listing(
        frames.read(conn, slice_, ids),
        count,
        value,
        won_value,
        turned.page,
        turned.pages,
        _change(conn, asking, slice_),
        turned.previous,
        turned.next,
    )


def listings(conn: Connection, actor: Actor, parts: Sequence[tuple[Slice, str]], per_page: int = 25) -> list[Listing]:
    """This function will read the first page of each of several slices, each in its order, of one moment."""
    return [listing(conn, actor, slice_, sort, per_page=per_page) for slice_, sort in parts]


def ids(conn: Connection, actor: Actor, slice_: Slice) -> list[int]:
    """This function will read the ids of a slice in the actor's scope, to do something with all of them."""
    facts, slice_ = slice_.facts, weighed(conn, slice_)
    return list(conn.scalars(select(facts.c.id).where(*clauses(person(conn, actor), slice_)).order_by(facts.c.id)))


def rows_query(conn: Connection, actor: Actor, slice_: Slice, sort: str) -> Any:
    """This function will build the select of all rows of a listing (`Listing.rows`); shared with the export."""
    where, order = clauses(person(conn, actor), weighed(conn, slice_)), walks.Order.of(slice_.facts, sort)
    return frames.changed(slice_).where(*where).order_by(*order.all())


def choices(conn: Connection, actor: Actor, dimension: str) -> dict[str, str]:
    """This function will map the values of a dimension that the actor may pick to their labels.

    Owners are those of opportunities the actor may see; customers are the active ones.
    """
    if dimension in LISTS:
        return settings.labels(conn, dimension)
    if dimension in ("status", "reached"):
        return {stage.code: stage.label for stage in lifecycle.STAGES}
    if dimension in _FIXED:
        return dict(_FIXED[dimension])
    if dimension == "reason":
        return settings.labels(conn, "rejected_reason") | settings.labels(conn, "lost_reason")
    if dimension in ("state", "city"):
        return _places(conn, person(conn, actor), dimension)
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


def within(conn: Connection, actor: Actor, slice_: Slice) -> list[ColumnElement[bool]]:
    """This function will give the clauses of a slice in the actor's scope, on its facts, for other figures of it."""
    return clauses(person(conn, actor), weighed(conn, slice_))


def _counted(asking: Person, slice_: Slice, names: tuple[str, ...] = (), days: bool = False) -> Select[Any]:
    """What a slice comes to, by these dimensions: from the tallies if they know, else row by row.

    The keys, count, value, won value, and the days from creation to close: these row by row if asked for.
    """
    known = tallies.query(asking, slice_, names)
    if known is not None:
        return known
    facts, grouped = slice_.facts, {name: group(name, slice_) for name in names}
    # not read along an index for the sake of its order
    keys = [sql.unindexed(key, type_=key.type).label(name) for name, key in grouped.items()]
    where = [*clauses(asking, slice_), *(facts.c[DIMENSIONS[name].column.key].is_not(None) for name in names)]
    return select(*keys, *sums(facts, days)).where(*where).group_by(*keys)


def _parts(
    conn: Connection, asking: Person, slice_: Slice, order: walks.Order, count: int, per_page: int
) -> tuple[list[walks.Clauses], bool]:
    """The parts of a slice along which a list is read: a status each, as the indexes are; or all, and whether sparse."""
    slice_ = replace(slice_, scanned=True) if count > trigrams.ORDERED else slice_
    statuses = slice_.statuses()
    indexed = not (slice_.asof or slice_.moved or slice_.during) and statuses
    # the index by which a status of one owner is found has it in the order of its creation
    led = len(slice_.owner) == 1 and order.key is opportunity.c.created_at
    few = slice_.scanned is False or (not led and walks.sparse(conn, count, len(statuses), per_page))
    sparse = bool(indexed) and few
    if sparse or not indexed:
        return [clauses(asking, slice_)], sparse
    # SQLite would find what is overdue by its day, and sort it all
    late = map(trigrams.aside, Slice(attention=slice_.attention).conditions())
    where = [*clauses(asking, slice_.but(status=None, attention=None)), *late]
    return [[opportunity.c.status == status, *where] for status in statuses], False


def clauses(asking: Person, slice_: Slice) -> list[ColumnElement[bool]]:
    """This function will give the clauses of a weighed slice in a person's scope, on its facts."""
    facts = slice_.facts
    where = [scope(asking, facts), *slice_.standing_then()]
    if not slice_.moved and not slice_.during:
        if slice_.scanned is not False:
            return where + conditions(asking, slice_, facts)
        others = [*where, *slice_.but(q=None).conditions(facts)]
        return [*map(trigrams.aside, others), *Slice(q=slice_.q, scanned=False).conditions(facts)]
    beside = Slice(asof=slice_.asof, **{name: getattr(slice_, name) for name in bridge.BESIDE})
    return [*where, facts.c.id.in_(select(bridge.steps(slice_).c.id)), *beside.conditions(facts)]


def conditions(asking: Person, slice_: Slice, facts: FromClause, scanned: bool = False) -> list[ColumnElement[bool]]:
    """This function will give the clauses of a weighed slice on facts, told so that SQLite begins where there is least to read.

    Its indexes begin with a status, which is a large part of all records; so it begins there where a region or an owner
    follows (`led`), but not where a customer or whose they are leads to few, nor where all records or standings are `scanned`.
    """
    few = slice_.customer or not asking.may("opportunity.see_all")
    if led(slice_) or not (few or scanned or facts is opportunity):
        return slice_.conditions(facts)
    of_status = Slice(status=slice_.status).conditions(facts)
    return [*slice_.but(status=None).conditions(facts), *map(trigrams.aside, of_status)]


def led(slice_: Slice) -> bool:
    """This function will tell whether an index that begins with the status leads on to a slice."""
    return bool(slice_.region or slice_.owner)


def scope(asking: Person, facts: Any) -> ColumnElement[bool]:
    """This function will give the clause of what a person may see, of opportunities, their standings or their steps."""
    if facts is opportunity or asking.may("opportunity.see_all"):
        return visible_to(asking)
    # facts are that day's, rights are today's
    scope: ColumnElement[bool] = facts.c.id.in_(select(opportunity.c.id).where(visible_to(asking)))
    return scope


def sums(facts: Any, days: bool = False) -> list[ColumnElement[Any]]:
    """This function will sum facts: count, value and won_value; with `days` those from creation to close, of the closed."""
    open_for = cells.measured(facts)["days"] if days else None
    return [
        func.count().label("count"),
        func.coalesce(func.sum(facts.c.value), 0, type_=facts.c.value.type).label("value"),
        func.coalesce(func.sum(facts.c.won_value), 0, type_=facts.c.won_value.type).label("won_value"),
        *([func.coalesce(func.sum(open_for), 0).label("days")] if days else []),
    ]


def _change(conn: Connection, asking: Person, slice_: Slice) -> Decimal | None:
    if not slice_.moved and not slice_.during:
        return None
    made = bridge.steps(slice_)
    listed = select(slice_.facts.c.id).where(*clauses(asking, slice_))
    total = func.coalesce(func.sum(made.c.change), 0, type_=made.c.change.type)
    changed: Decimal = conn.execute(select(total).where(made.c.id.in_(listed))).scalar_one()
    return changed


def _in_order(conn: Connection, name: str, rows: list[list[Any]], slice_: Slice) -> list[list[Any]]:
    known: dict[str, Any] = {}
    if name in LISTS:
        known = settings.labels(conn, name, active_only=True)
    elif name in ("status", "product", "age"):
        known = dict.fromkeys(lifecycle.STAGE) if name == "status" else dict.fromkeys(_FIXED.get(name, AGES))
    wanted = getattr(slice_, name)
    by_key = {row[0]: row for row in rows}
    configured = [key for key in known if not wanted or key in wanted]
    zero = Decimal(0)
    filled = [by_key.pop(key, [key, 0, zero, zero]) for key in configured]
    return filled + [by_key[key] for key in sorted(by_key)]


def _places(conn: Connection, asking: Person, dimension: str) -> dict[str, str]:
    column = opportunity.c[dimension]
    found = conn.scalars(select(column).distinct().where(column.is_not(None), visible_to(asking)).order_by(column))
    return {place: place for place in found}


def _owners(conn: Connection, asking: Person) -> dict[str, str]:
    owning = [int(row.owner) for row in conn.execute(_counted(asking, Slice(), ("owner",)))]
    return {str(i): name for i, name in records.people(conn, sql.any_of(app_user.c.id, owning)).items()}


def _companies(conn: Connection, values: tuple[str, ...]) -> dict[str, str]:
    bad = set(Slice(customer=values).malformed().get("customer", ()))
    ids = [int(v) for v in values if v not in bad]
    query = select(customer.c.id, customer.c.company).where(sql.any_of(customer.c.id, ids))
    return {str(row.id): row.company for row in conn.execute(query)}
