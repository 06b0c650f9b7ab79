"""What pages share: entering, asking, submitting, links, the filter bar, rupees and plain text."""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import streamlit as st

from crm_core import access, audit, lifecycle, money, periods, pipeline, preferences, slices, users
from crm_core.access import Actor, Person
from crm_core.errors import Conflict, NotFound, Refusal
from crm_core.slices import DIMENSIONS, Slice
from pages import _server
from pages._server import plain

RECORD_PAGES = {"customer": "customer", "lead": "lead", "opportunity": "opportunity", "offer": "offer"}
BADGES = {"blue": "blue", "violet": "violet", "green": "green", "red": "red", "gray": "gray"}


@dataclass(frozen=True)
class Visitor:
    """Who is on the page: the actor for the core, the person for the screen, the database's currency."""

    actor: Actor
    person: Person
    currency: str

    def ask(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """This function will run one reading verb of the core in a transaction of its own."""
        with _server.database().read() as conn:
            return verb(conn, self.actor, *args, **named)

    def exact(self, amount: Decimal | int | None) -> str:
        """This function will write an amount in full, “–” for none."""
        return "–" if amount is None else money.exact(amount, self.currency)

    def compact(self, amount: Decimal | int) -> str:
        """This function will write an amount for a tile."""
        return money.compact(amount, self.currency)


def enter(page: str) -> Visitor:
    """This function will let a signed-in person onto a page, or show the sign-in and stop. Call it first."""
    try:
        user_id = _server.signed_in(st.context.cookies.get(_server.COOKIE))
        allowed = _server.trial_allowed(st.context.headers.get("host", ""))
        if not allowed or user_id is None:
            _sign_in(page, allowed)
        actor = Actor(user_id, secrets.token_hex(8))
        with _server.database().read() as conn:
            try:
                person = access.person(conn, actor)
            except Refusal:
                _sign_in(page, allowed)
            visitor = Visitor(actor, person, preferences.currency(conn))
    except Refusal as why:
        refused(why)
        st.stop()
    with st.sidebar:
        st.markdown(f"**{plain(person.name)}**  \n{access.ROLE_LABELS[person.role]}")
        st.html('<a href="/trial/sign-out" target="_self">Trial: change person</a>')
    _opened(page)
    if said := st.session_state.pop("said", None):
        st.toast(plain(said), duration="long")
    return visitor


def _opened(page: str) -> None:
    here = (page, param("id"))
    if st.session_state.get("here") != here:
        _forget_seen()
        st.session_state["here"] = here


def _forget_seen() -> None:
    for key in [k for k in st.session_state if str(k).startswith(("seen-", "problems-"))]:
        del st.session_state[key]


def _sign_in(page: str, allowed: bool) -> None:
    st.title("Sign in")
    if not allowed:
        st.error("No sign-in is configured here; the trial sign-in exists only on a trial database on this machine.")
        st.stop()
    st.warning("Trial: choose a person. This exists only on a trial database, on this machine.")
    with _server.database().read() as conn:
        people = [row for row in users.people(conn) if row.active]
    back = _server.next_path("" if page == "dashboard" else page, params())
    for role, label in access.ROLE_LABELS.items():
        named = [row for row in people if row.role == role]
        if named:
            st.subheader(label)
            st.html(" · ".join(_person_link(row.id, row.name, back) for row in named))
    st.stop()


def _person_link(user_id: int, name: str, back: str) -> str:
    href = "/trial/sign-in?" + _server.urlencode({"person": user_id, "next": back})
    return f'<a href="{html.escape(href)}" target="_self">{html.escape(name)}</a>'


def params() -> dict[str, list[str]]:
    """This function will read the URL's parameters, each with all its values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def param(name: str) -> str:
    """This function will read one parameter of the URL, or ""."""
    return (st.query_params.get_all(name) or [""])[-1]


def go(params_: Mapping[str, Any]) -> None:
    """This function will put other parameters into this page's URL (in a callback: one history entry)."""
    st.query_params.from_dict({k: v for k, v in params_.items() if v not in (None, "", [])})


def link(label: str, page: str, params_: Mapping[str, Any] | None = None, icon: str | None = None) -> None:
    """This function will show a real link to a page of the app with its parameters; the label is plain text."""
    query = {k: v for k, v in (params_ or {}).items() if v not in (None, "", [])}
    st.page_link(f"{page}.py", label=plain(label), query_params=query or None, icon=icon)


def refused(why: Refusal) -> None:
    """This function will show why the core said no, with a link to the record it is about."""
    for sentence in why.messages:
        st.error(plain(sentence), icon=":material/error:")
    if why.about and why.about[0] in RECORD_PAGES:
        link(f"Open that {why.about[0]}", RECORD_PAGES[why.about[0]], {"id": str(why.about[1])})


def load(visitor: Visitor, verb: Callable[..., Any], back: str, *args: Any) -> Any:
    """This function will read the record the page is about, or say that there is none and stop."""
    try:
        return visitor.ask(verb, *args)
    except NotFound as why:
        refused(why)
        link("Back", back)
        st.stop()


def token(form: str) -> str:
    """This function will give the form's token: the same until it is saved, so that two clicks save once."""
    return str(st.session_state.setdefault(f"token-{form}", secrets.token_hex(16)))


def submit(
    visitor: Visitor, form: str, verb: Callable[..., Any], *args: Any, seen: int | None = None, **named: Any
) -> Any:
    """This function will run one command in one transaction and return its result, or None when refused.

    The problems are kept for `problems(form)`; what was typed stays in its inputs. The version
    that the form showed stays the one it was opened with, until a refusal has shown what changed.
    """
    opened = st.session_state.setdefault(f"seen-{form}", seen)
    try:
        result = _server.database().submit(verb, visitor.actor, *args, seen=opened, token=token(form), **named)
    except Refusal as why:
        st.session_state[f"problems-{form}"] = why
        if isinstance(why, Conflict):
            st.session_state[f"seen-{form}"] = seen
        return None
    done(form)
    return result


def save(visitor: Visitor, form: str, verb: Callable[..., Any], *args: Any, seen: int | None = None) -> Any:
    """This function will run a command and return its result, the form forgotten; refused, it redraws the page."""
    result = submit(visitor, form, verb, *args, seen=seen)
    if result is None:
        st.rerun()
    clear(form)
    say("Saved.")
    return result


def done(form: str) -> None:
    """This function will forget a form's token, and the versions of all forms: what was saved is known to the person."""
    st.session_state.pop(f"token-{form}", None)
    _forget_seen()


def clear(form: str) -> None:
    """This function will forget what was typed into a form, after it is saved."""
    for key in [k for k in st.session_state if str(k).startswith(f"{form}-")]:
        del st.session_state[key]


def show(form: str, seen: int | None) -> None:
    """This function will remember the version that a form shows when it is opened."""
    st.session_state.setdefault(f"seen-{form}", seen)


def problems(form: str, fields: Iterable[str] = ()) -> Callable[[str], None]:
    """This function will show a form's problems: those of no shown field at once, the others by the returned function."""
    why: Refusal | None = st.session_state.pop(f"problems-{form}", None)
    if why is None:
        return lambda _field: None
    shown = set(fields)
    rest = [m for m in why.messages if m.field not in shown]
    if rest or why.about:
        refused(type(why)(*rest, about=why.about))
    elif why.messages:
        st.error("Not saved yet; please look at the marked fields.", icon=":material/error:")

    def beside(field: str) -> None:
        for sentence in why.messages:
            if sentence.field == field:
                st.markdown(f":red[:material/error: {plain(sentence)}]")

    return beside


def say(text: str) -> None:
    """This function will keep a sentence to show on the next page."""
    st.session_state["said"] = text


def status(code: str, stages: Mapping[str, lifecycle.Stage] = lifecycle.STAGE) -> str:
    """This function will write a status recognisable with and without colour, for Markdown."""
    stage = stages[code]
    return f":{BADGES[stage.tone]}-badge[{stage.mark} {stage.label}]"


def facts(rows: Iterable[tuple[str, str | None]]) -> None:
    """This function will show a record's facts: label and value, plain text."""
    for label, value in rows:
        with st.container(gap=None):
            st.caption(label)
            st.text(value or "–")


def timeline(entries: list[audit.Entry]) -> None:
    """This function will show a record's history, newest first."""
    st.subheader("Timeline")
    for entry in entries:
        when = periods.moment(entry.at)
        late = "" if entry.at == entry.recorded_at else f" (recorded {periods.moment(entry.recorded_at)})"
        st.markdown(f"**{plain(entry.by)}** {entry.action}  :gray[{plain(when + late)} IST]")
        lines = [
            f"{change.label}: {change.before} → {change.after or '–'}"
            if change.before
            else f"{change.label}: {change.after}"
            for change in entry.changes
        ]
        if lines:
            st.text("\n".join(lines))


def notices(visitor: Visitor, slice_: Slice, also: Iterable[str]) -> dict[str, dict[str, str]]:
    """This function will name what the URL holds that nobody knows, and return the labels of what is known."""
    for key in slices.unknown_keys(st.query_params, also):
        st.info(f"“{plain(key[:60])}” in this link is not a filter; it was ignored.")
    known: dict[str, dict[str, str]] = visitor.ask(pipeline.names, slice_)
    for sentence in pipeline.unknown_values(slice_, known):
        st.warning(plain(sentence))
    return known


def filter_bar(visitor: Visitor, slice_: Slice, names: tuple[str, ...], keep: Mapping[str, Any], search: bool) -> None:
    """This function will show the filters of a slice; a change goes into the URL, and the URL is what is shown.

    The inputs are keyed by the slice they show, so another URL (Back, Forward, a link) shows its own.
    """
    version = str(hash(slice_))
    key = {name: f"filter-{name}-{version}" for name in (*names, "created", "q")}

    def apply() -> None:
        changes: dict[str, Any] = {name: st.session_state.get(key[name], ()) for name in names}
        changes["created"] = st.session_state.get(key["created"]) or None
        if search:
            changes["q"] = st.session_state.get(key["q"]) or None
        go({**slice_.but(**changes).to_params(), **keep})

    columns = st.container(key="filters").columns(len(names) + 1 + search)
    for column, name in zip(columns, names, strict=False):
        options = visitor.ask(pipeline.choices, name)
        chosen = getattr(slice_, name)
        column.multiselect(
            DIMENSIONS[name].label,
            [*options, *(v for v in chosen if v not in options)],
            default=list(chosen),
            format_func=lambda v, o=options: o.get(v, f"unknown: {v[:30]}"),
            key=key[name],
            on_change=apply,
            placeholder="All",
        )
    chosen = slice_.created
    codes = list(dict.fromkeys([*chosen, *_periods()]))
    columns[len(names)].selectbox(
        "Created",
        codes,
        index=0 if chosen else None,
        format_func=periods.label,
        key=key["created"],
        on_change=apply,
        placeholder="All time",
    )
    if search:
        columns[-1].text_input(
            "Search", value=" ".join(slice_.q), key=key["q"], on_change=apply, placeholder="Customer, title, number"
        )


def _periods() -> list[str]:
    today = periods.in_india(periods.datetime.now(periods.UTC)).date()
    year = int(periods.financial_year(today)[2:6])
    years = [f"fy{y}-{(y + 1) % 100:02d}" for y in (year, year - 1, year - 2)]
    return [f"{today:%Y-%m}", *(f"{years[0]}-q{q}" for q in range(1, 5)), *years]
