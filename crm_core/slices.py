"""Slice: any filter of opportunities that a URL can name.

Its fields are the filter dimensions. URL, tiles, charts, filter bar, list and export all speak
it. Values of one key are alternatives; different keys narrow each other. A value nobody knows
is kept and matches nothing, so that a stale link never shows more than it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select

from crm_core import fields as parsers
from crm_core import periods, sql
from crm_core.schema import customer, opportunity

Values = tuple[str, ...]
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Dimension:
    """One way to filter: its label, its column and how its values are read (code, id, range, text)."""

    label: str
    column: ColumnElement[Any]
    kind: str


def _dimension(label: str, column: ColumnElement[Any], kind: str) -> Any:
    return field(default=(), metadata={"dimension": Dimension(label, column, kind)})


@dataclass(frozen=True)
class Slice:
    """A frozen filter. Each field takes a value, several, or none: `Slice(status="open", owner=3)`."""

    status: Values = _dimension("Status", opportunity.c.status, "code")
    business_unit: Values = _dimension("Business unit", opportunity.c.business_unit, "code")
    region: Values = _dimension("Region", opportunity.c.region, "code")
    owner: Values = _dimension("Sales engineer", opportunity.c.owner_id, "id")
    customer: Values = _dimension("Customer", opportunity.c.customer_id, "id")
    product: Values = _dimension("Product", opportunity.c.product, "code")
    created: Values = _dimension("Created", opportunity.c.created_at, "range")
    closed: Values = _dimension("Closed", opportunity.c.closed_at, "range")
    q: Values = _dimension("Search", opportunity.c.search, "text")

    def __post_init__(self) -> None:
        for name, dimension in DIMENSIONS.items():
            object.__setattr__(self, name, _tidy(getattr(self, name), dimension.kind))

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Slice:
        """This function will read a slice from a URL's parameters: name → value or list of values.

        Streamlit's query parameters work as they are. Keys that are no dimension are ignored
        (`unknown_keys` names them).
        """
        get_all: Any = getattr(params, "get_all", params.get)
        return cls(**{name: get_all(name) for name in DIMENSIONS if name in params})

    def to_params(self) -> dict[str, list[str]]:
        """This function will write the slice as a URL's parameters, in one canonical order."""
        return {name: list(getattr(self, name)) for name in DIMENSIONS if getattr(self, name)}

    def but(self, **changes: Any) -> Slice:
        """This function will give this slice with some dimensions set anew (None clears one)."""
        return replace(self, **changes)

    def narrowed(self, **keys: Any) -> Slice | None:
        """This function will give the part of this slice that has these keys, or None where it is empty.

        It is what a bar, a tile or a segment opens: a month inside a chosen quarter stays within it.
        """
        narrow = self
        for name, key in keys.items():
            wanted, chosen = _tidy(key, DIMENSIONS[name].kind), getattr(narrow, name)
            both = _common(chosen, wanted, DIMENSIONS[name].kind) if chosen else wanted
            if not both:
                return None
            narrow = narrow.but(**{name: both})
        return narrow

    def conditions(self) -> list[ColumnElement[bool]]:
        """This function will give the clauses on `opportunity` that all must hold."""
        return [_condition(d, values) for name, d in DIMENSIONS.items() if (values := getattr(self, name))]

    def malformed(self) -> dict[str, list[str]]:
        """This function will name the values that cannot exist: dimension → values as given."""
        found = {}
        for name, dimension in DIMENSIONS.items():
            bad = [v for v in getattr(self, name) if _parsed(dimension.kind, v) is None]
            if bad:
                found[name] = bad
        return found

    def sentence(self, labels: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """This function will say the slice in words, with `labels` by dimension and value."""
        parts = []
        for name, dimension in DIMENSIONS.items():
            if values := getattr(self, name):
                known = (labels or {}).get(name, {})
                said = [periods.label(v) if dimension.kind == "range" else known.get(v, v or "(empty)") for v in values]
                parts.append(f"{dimension.label}: {' or '.join(said)}")
        return "; ".join(parts) or "All opportunities"


DIMENSIONS: dict[str, Dimension] = {f.name: f.metadata["dimension"] for f in fields(Slice)}


def unknown_keys(params: Iterable[str], also: Iterable[str] = ()) -> list[str]:
    """This function will name the parameters that filter nothing, but for those the page knows itself."""
    known = {*DIMENSIONS, *also}
    return sorted({str(key) for key in params if key not in known})


def group(name: str) -> ColumnElement[Any]:
    """This function will give what to group by for a dimension: its column, or the month of a range."""
    dimension = DIMENSIONS[name]
    return sql.india_month(dimension.column) if dimension.kind == "range" else dimension.column


def _tidy(given: Any, kind: str) -> Values:
    if given is None:
        return ()
    many = [given] if isinstance(given, str | int) else list(given)
    texts = [str(v)[: LONGEST_TEXT + 1] for v in many]
    if kind == "text":
        texts = [t for t in (parsers.clean(t) for t in texts) if t]
    return tuple(sorted(set(texts), key=lambda t: (len(t), t) if kind == "id" else (0, t)))


def _common(chosen: Values, wanted: Values, kind: str) -> Values:
    if kind != "range":
        return tuple(v for v in wanted if v in chosen)
    pairs = [(periods.parse(a), periods.parse(b)) for a in chosen for b in wanted]
    return tuple(both.code() for a, b in pairs if a and b and (both := a.overlap(b)))


def _parsed(kind: str, value: str) -> Any:
    if kind == "range":
        return periods.parse(value)
    if kind == "text":
        return parsers.search_key(value) or None
    try:
        return parsers.identity(value) if kind == "id" else parsers.code(value)
    except ValueError:
        return None


def _condition(dimension: Dimension, values: Values) -> ColumnElement[bool]:
    parsed = [p for p in (_parsed(dimension.kind, v) for v in values) if p is not None]
    if not parsed:
        return false()
    if dimension.kind == "range":
        return or_(*(sql.between(dimension.column, *period.bounds()) for period in parsed))
    if dimension.kind == "text":
        return or_(*(_matches(text) for text in parsed))
    return sql.any_of(dimension.column, parsed)


def _matches(text: str) -> ColumnElement[bool]:
    named = select(customer.c.id).where(sql.holds(customer.c.search, text))
    ways = [sql.holds(opportunity.c.search, text), opportunity.c.customer_id.in_(named)]
    if number := re.fullmatch(r"opp-(\d{4})-(\d{1,18})", text, re.ASCII):
        year, serial = int(number[1]), int(number[2])
        period = periods.parse(f"{year}-01-01..{year}-12-31")
        ways.append(
            and_(
                opportunity.c.id == serial,
                sql.between(opportunity.c.created_at, *period.bounds()) if period else false(),
            )
        )
    return or_(*ways)
