"""Slice: any filter of opportunities that a URL can name; LeadSlice, AuditSlice: the same of leads, of the audit.

Its fields are the filter dimensions. URL, tiles, charts, filter bar, list and export all speak
it. Values of one key are alternatives; different keys narrow each other. A value nobody knows
is kept and matches nothing, so that a stale link never shows more than it names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any, ClassVar, Self, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    FromClause,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)

from crm_core import fields as parsers
from crm_core import lifecycle, periods, sql, trigrams
from crm_core.schema import (
    app_user,
    audit,
    customer,
    denial,
    lead,
    offer,
    opportunity,
    stage_limit,
    standing,
    transition,
)

Values = tuple[str, ...]
F = TypeVar("F", bound="Filter")
LONGEST_TEXT = 200
AGES = lifecycle.AGES
ATTENTION = {"overdue": "Next step overdue", "stale": "Too long in its stage"}


@dataclass(frozen=True)
class Dimension:
    """One way to filter: its label, its column, how its values are read (`_PARSERS`), how one matches.

    Without a column it says where to look, not what to filter. `matches(value, facts, day)` gives the clause of one value where it is not equality: on `facts`
    (the opportunities of now, or their standings of a day) as of a day; of a text, instead of the day, whether all are `scanned`.
    """

    label: str
    column: Any
    kind: str
    matches: Callable[[Any, FromClause, Any], ColumnElement[bool]] | None = None


def _dimension(
    label: str,
    column: ColumnElement[Any] | None,
    kind: str,
    matches: Callable[[Any, FromClause, Any], ColumnElement[bool]] | None = None,
) -> Any:
    return field(default=(), metadata={"dimension": Dimension(label, column, kind, matches)})


@dataclass(frozen=True)
class Filter:
    """What every frozen filter can do; the fields of a kind of it are its dimensions.

    Each field takes a value, several, or none: `Slice(status="open", owner=3)`.
    """

    EVERYTHING: ClassVar[str] = "All"
    #: Whether to read all records for its texts, not to go through an index; None: not yet known (`weighed`).
    scanned: bool | None = field(default=None, compare=False, repr=False, kw_only=True)

    @classmethod
    @functools.cache
    def dimensions(cls) -> dict[str, Dimension]:
        """This function will give the dimensions by name, in the order in which a URL has them."""
        return {f.name: f.metadata["dimension"] for f in fields(cls) if f.metadata}

    def __post_init__(self) -> None:
        for name, dimension in self.dimensions().items():
            object.__setattr__(self, name, _tidy(getattr(self, name), dimension.kind))

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """This function will read a slice from a URL's parameters: name → value or list of values.

        Streamlit's query parameters work as they are. Keys that are no dimension are ignored
        (`unknown_keys` names them).
        """
        get_all: Any = getattr(params, "get_all", params.get)
        return cls(**{name: get_all(name) for name in cls.dimensions() if name in params})

    def to_params(self) -> dict[str, list[str]]:
        """This function will write the slice as a URL's parameters, in one canonical order."""
        return {name: list(getattr(self, name)) for name in self.dimensions() if getattr(self, name)}

    def but(self, **changes: Any) -> Self:
        """This function will give this slice with some dimensions set anew (None clears one)."""
        return replace(self, **changes)

    def narrowed(self, **keys: Any) -> Self | None:
        """This function will give the part of this slice that has these keys, or None where it is empty.

        It is what a bar, a tile or a segment opens: a month inside a chosen quarter stays within it.
        """
        narrow, dimensions = self, self.dimensions()
        for name, key in keys.items():
            kind = dimensions[name].kind
            wanted, chosen = _tidy(key, kind), getattr(narrow, name)
            both = _common(chosen, wanted, kind) if chosen else wanted
            if not both:
                return None
            narrow = narrow.but(**{name: both})
        return narrow

    def conditions(self, facts: FromClause | None = None, day: Any = None) -> list[ColumnElement[bool]]:
        """This function will give the clauses that all must hold.

        On other `facts` than the table itself if given, and as of another day: a date or a column of days.
        """
        at = self.day() or periods.today() if day is None else day
        return [
            _condition(dimension, self.parsed(name), facts, bool(self.scanned) if dimension.kind == "text" else at)
            for name, dimension in self.dimensions().items()
            if getattr(self, name) and dimension.column is not None
        ]

    def parsed(self, name: str) -> list[Any]:
        """This function will read the values of a dimension; those that cannot exist match nothing and are left out."""
        kind = self.dimensions()[name].kind
        return [p for p in (_parsed(kind, v) for v in getattr(self, name)) if p is not None]

    def day(self) -> date | None:
        """This function will give the one past day as of which the filter looks, or None for now."""
        for name, dimension in self.dimensions().items():
            if dimension.kind == "day":
                days = [_parsed("day", value) for value in getattr(self, name)]
                return days[0] if len(days) == 1 else None
        return None

    def malformed(self) -> dict[str, list[str]]:
        """This function will name the values that cannot exist: dimension → values as given."""
        found = {}
        for name, dimension in self.dimensions().items():
            values = getattr(self, name)
            several = dimension.kind == "day" and len(values) > 1
            bad = [v for v in values if several or _parsed(dimension.kind, v) is None]
            if bad:
                found[name] = bad
        return found

    def sentence(self, labels: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """This function will say the slice in words, with `labels` by dimension and value."""
        parts = []
        for name, dimension in self.dimensions().items():
            if values := getattr(self, name):
                known = (labels or {}).get(name, {})
                said = [_said(dimension.kind, v, known) for v in values]
                parts.append(f"{dimension.label}: {' or '.join(said)}")
        return "; ".join(parts) or self.EVERYTHING


@dataclass(frozen=True)
class Slice(Filter):
    """A frozen filter of opportunities, as they are or as of a past day.

    `moved` and `during` name the steps of the bridge (`movement`) in a period; the other dimensions
    then say of which part of the pipeline. Rights are always today's.
    """

    EVERYTHING: ClassVar[str] = "All opportunities"
    asof: Values = _dimension("As of", None, "day")
    status: Values = _dimension("Status", opportunity.c.status, "code")
    business_unit: Values = _dimension("Business unit", opportunity.c.business_unit, "code")
    region: Values = _dimension("Region", opportunity.c.region, "code")
    owner: Values = _dimension("Sales engineer", opportunity.c.owner_id, "id")
    customer: Values = _dimension("Customer", opportunity.c.customer_id, "id")
    product: Values = _dimension("Product", opportunity.c.product, "code")
    created: Values = _dimension("Created", opportunity.c.created_at, "range")
    closed: Values = _dimension("Closed", opportunity.c.closed_at, "range")
    state: Values = _dimension("State", opportunity.c.state, "word")
    city: Values = _dimension("City", opportunity.c.city, "word")
    reason: Values = _dimension("Reason", opportunity.c.reason, "code")
    attention: Values = _dimension(
        "Needs attention", opportunity.c.next_step_on, "code", lambda *given: _needs_attention(*given)
    )
    age: Values = _dimension("Days in stage", opportunity.c.status_at, "days", lambda *given: _aged(*given))
    reached: Values = _dimension("Reached", opportunity.c.status, "code", lambda *given: _reached(*given))
    moved: Values = _dimension("Moved", None, "code")
    during: Values = _dimension("During", None, "range")
    q: Values = _dimension("Search", opportunity.c.search, "text", lambda *given: _matches(*given))

    @property
    def facts(self) -> FromClause:
        """What the filter reads: the opportunities, or their standings of a day."""
        return standing if self.asof else opportunity

    def statuses(self) -> list[str]:
        """This function will name the statuses that what it holds may have, as the lifecycle orders them."""
        of: Iterable[str] = lifecycle.STAGE
        if self.attention:
            of = lifecycle.PIPELINE
        elif self.closed or self.reason:
            of = lifecycle.CLOSED
        return [s for s in lifecycle.STAGE if s in of and (not self.status or s in self.status)]

    def standing_then(self) -> list[ColumnElement[bool]]:
        """This function will give the clauses of what stood at the end of the day as of which the slice looks."""
        if not self.asof:
            return []
        day = self.day()
        if day is None:
            return [false()]
        ended = periods.midnight(periods.next_day(day))
        return [standing.c.from_at < ended, standing.c.to_at >= ended]


@dataclass(frozen=True)
class LeadSlice(Filter):
    """A frozen filter of leads."""

    EVERYTHING: ClassVar[str] = "All leads"
    status: Values = _dimension("State", lead.c.status, "code")
    source: Values = _dimension("Source", lead.c.source, "code")
    owner: Values = _dimension("Owner", lead.c.owner_id, "id")
    region: Values = _dimension("Region", lead.c.region, "code")
    created: Values = _dimension("Created", lead.c.created_at, "range")
    q: Values = _dimension(
        "Search", lead.c.search, "text", lambda text, facts, scanned: trigrams.holds(facts, text, scanned)
    )


@dataclass(frozen=True)
class AuditSlice(Filter):
    """A frozen filter of the audit: who, what kind of record, which one (its id or code), what, when; names by `q`."""

    EVERYTHING: ClassVar[str] = "All changes"
    person: Values = _dimension("Person", audit.c.by_id, "id")
    kind: Values = _dimension("Kind of record", audit.c.entity, "code")
    record: Values = _dimension("Record", audit.c.entity_id, "text", lambda text, *_: audit.c.entity_id == text)
    action: Values = _dimension("Action", audit.c.action, "code")
    when: Values = _dimension("When", audit.c.recorded_at, "range")
    q: Values = _dimension("Search", audit.c.entity_id, "text", lambda text, *_: _names_record(text))


@dataclass(frozen=True)
class DenialSlice(Filter):
    """A frozen filter of the refused attempts."""

    EVERYTHING: ClassVar[str] = "All refused attempts"
    person: Values = _dimension("Person", denial.c.by_id, "id")
    when: Values = _dimension("When", denial.c.at, "range")


DIMENSIONS = Slice.dimensions()
#: The kinds whose values need no list to be known.
FREE = {"range", "text", "day", "days"}


def weighed(conn: Connection, slice_: F) -> F:
    """This function will give a slice with whether to read all records for its texts, because so many hold one."""
    texts = [text for text in slice_.parsed("q") if trigrams.known(text)] if slice_.scanned is None else []
    if not texts:
        return slice_
    table = slice_.dimensions()["q"].column.table
    many = conn.scalar(select(or_(*(trigrams.held_by_many(table, text) for text in texts))))
    return replace(slice_, scanned=bool(many))


def named(slice_: Filter, labels_of: Callable[[str], Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """This function will map the values in a slice that are known to their labels, by dimension.

    `labels_of` gives the labels of all values of a dimension that is no range and no text.
    """
    found, malformed = {}, slice_.malformed()
    for name, dimension in slice_.dimensions().items():
        if values := getattr(slice_, name):
            free, bad = dimension.kind in FREE, set(malformed.get(name, ()))
            known = {v: v for v in values if v not in bad} if free else labels_of(name)
            found[name] = {v: known[v] for v in values if v in known}
    return found


def unknown_values(slice_: Filter, known: Mapping[str, Mapping[str, str]]) -> list[str]:
    """This function will say which of a slice's values nobody knows (`known` from `named`), a sentence each."""
    return [
        f"{dimension.label} “{value}” is not known here; it matches nothing."
        for name, dimension in slice_.dimensions().items()
        for value in getattr(slice_, name)
        if value not in known.get(name, {})
    ]


def unknown_keys(params: Iterable[str], slice_: Filter, also: Iterable[str] = ()) -> list[str]:
    """This function will name the parameters that filter nothing, but for those the page knows itself."""
    known = {*slice_.dimensions(), *also}
    return sorted({str(key) for key in params if key not in known})


def group(name: str, slice_: Slice, day: Any = None) -> ColumnElement[Any]:
    """This function will give what to group a slice by for a dimension: its column, the month or the band of it.

    As of another day than the slice's, if given: a date, or rows of days with what `since` gives of each.
    """
    dimension = DIMENSIONS[name]
    column: ColumnElement[Any] = slice_.facts.c[dimension.column.key]
    if dimension.kind == "range":
        return sql.india_month(column)
    if dimension.kind == "days":
        begins: Any = day.c if isinstance(day, FromClause) else since(day or slice_.day() or periods.today())
        return case(*((column >= begins[band], band) for band in AGES[:-1]), else_=AGES[-1])
    return column


def since(day: date) -> dict[str, datetime]:
    """This function will give the instant since when what is in a band of ages at the end of a day, or a lower one, has been in its stage."""
    return {band: periods.midnight(periods.days_before(day, int(band.split("-")[1]))) for band in AGES[:-1]}


def _tidy(given: Any, kind: str) -> Values:
    if given is None or given == ():
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
    try:
        return _PARSERS[kind](value)
    except ValueError:
        return None


def _span(value: str) -> tuple[int, int | None]:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})?", value, re.ASCII)
    if match is None:
        raise ValueError
    return int(match[1]), int(match[2]) if match[2] else None


def _day(value: str) -> date | None:
    period = periods.parse(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) else None
    return period.first if period else None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "range": periods.parse,
    "text": lambda value: parsers.search_key(value) or None,
    "word": lambda value: parsers.clean(value) or None,
    "code": parsers.code,
    "id": parsers.identity,
    "days": _span,
    "day": _day,
}


def _said(kind: str, value: str, known: Mapping[str, str]) -> str:
    if kind in ("range", "day"):
        return periods.label(value)
    if kind == "days":
        first, _dash, last = value.partition("-")
        return f"{first} to {last} days" if last else f"{first} days and more"
    return known.get(value, value or "(empty)")


def _condition(dimension: Dimension, parsed: list[Any], facts: FromClause | None, day: Any) -> ColumnElement[bool]:
    if not parsed:
        return false()
    source = dimension.column.table if facts is None else facts
    column = source.c.get(dimension.column.key, dimension.column)
    if dimension.kind == "range":
        return or_(*(sql.between(column, *period.bounds()) for period in parsed))
    if dimension.matches:
        return or_(*(dimension.matches(value, source, day) for value in parsed))
    return sql.any_of(column, parsed)


def _needs_attention(what: str, facts: FromClause, day: Any) -> ColumnElement[bool]:
    """Overdue: the day of the next step has passed. Stale: too long in its stage, and no next step ahead excuses it."""
    if what == "overdue":
        return and_(facts.c.status.in_(lifecycle.PIPELINE), facts.c.next_step_on < day)
    if what == "stale":
        limited = exists().where(stage_limit.c.status == facts.c.status, _age(facts, day) > stage_limit.c.days)
        ahead = and_(facts.c.next_step_on.is_not(None), facts.c.next_step_on >= day)
        return and_(facts.c.status.in_(lifecycle.PIPELINE), limited, not_(ahead))
    return false()


def _age(facts: FromClause, day: Any) -> ColumnElement[int]:
    return sql.days_since(facts.c.status_at, literal(day, Date) if isinstance(day, date) else day)


def _aged(span: tuple[int, int | None], facts: FromClause, day: Any) -> ColumnElement[bool]:
    least, most = span
    age = _age(facts, day)
    return and_(age >= least, age <= most) if most is not None else age >= least


def _reached(status: str, facts: FromClause, day: Any) -> ColumnElement[bool]:
    ended = periods.midnight(periods.next_day(day))
    return exists().where(
        transition.c.opportunity_id == facts.c.id, transition.c.to_status == status, transition.c.at < ended
    )


def _matches(text: str, facts: FromClause, scanned: bool) -> ColumnElement[bool]:
    """Found by the words of today: title, number, and names of the customer."""
    today = opportunity.alias("today") if trigrams.known(text) and not scanned else opportunity
    named = select(customer.c.id).where(trigrams.holds(customer, text))
    found = or_(
        trigrams.holds(today, text, scanned),
        trigrams.among(today.c.customer_id, named, scanned),
        _numbered(text, today),
    )
    return found if facts is today else facts.c.id.in_(select(today.c.id).where(found))


def _numbered(text: str, facts: FromClause) -> ColumnElement[bool]:
    number = re.fullmatch(r"opp-(\d{4})-(\d{1,18})", text, re.ASCII)
    period = periods.parse(f"{number[1]}-01-01..{number[1]}-12-31") if number else None
    if number is None or period is None:
        return false()
    return and_(facts.c.id == int(number[2]), sql.between(facts.c.created_at, *period.bounds()))


def _names_record(text: str) -> ColumnElement[bool]:
    named: tuple[tuple[Any, ColumnElement[bool]], ...] = (
        (opportunity, _matches(text, opportunity, scanned=False)),
        (lead, trigrams.holds(lead, text)),
        (customer, trigrams.holds(customer, text)),
        (offer, sql.holds(func.lower(offer.c.number), text)),
        (app_user, sql.holds(func.lower(app_user.c.name), text)),
    )
    ids = (
        and_(
            audit.c.entity == table.name.removeprefix("app_"),
            trigrams.among(audit.c.entity_id, select(cast(table.c.id, String)).where(found)),
        )
        for table, found in named
    )
    return or_(audit.c.entity_id == text, *ids)
