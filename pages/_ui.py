"""What pages share: entering, asking, links, rupees, plain text, statuses and timelines."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from crm_core import access, audit, lifecycle, money, periods, preferences, sign_ins
from crm_core.access import Actor, Person
from crm_core.errors import NotAllowed, NotFound, Refusal, Sentence, Unavailable
from pages import _menu, _provider, _server
from pages._server import block, plain

#: how often a page that is left open looks for changes, in seconds
LOOK_EVERY = 10
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
RECORDS = ("customer", "lead", "opportunity", "offer")


@dataclass(frozen=True)
class Visitor:
    """Who is on the page: the actor for the core, the person for the screen, the database's currency."""

    actor: Actor
    person: Person
    currency: str

    def ask(self, verb: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """This function will ask one reading verb of the core (`Database.ask`); a refusal is kept."""
        try:
            return _server.database().ask(verb, self.actor, *args, **named)
        except (NotAllowed, NotFound) as why:
            self.denied(verb, why)
            raise

    def denied(self, what: Callable[..., Any] | str, why: Refusal) -> None:
        """This function will keep a refused attempt of this person once for what is open."""
        _keep(self.actor, what, why)

    def exact(self, amount: Decimal | int | None) -> str:
        """This function will write an amount in full, “–” for none."""
        return "–" if amount is None else money.exact(amount, self.currency)

    def compact(self, amount: Decimal | int) -> str:
        """This function will write an amount for a tile."""
        return money.compact(amount, self.currency)


#: Who `_site` found signed in, in the present run of the script, which has a thread of its own.
met: ContextVar[Visitor | None] = ContextVar("met", default=None)


def enter(page: str) -> Visitor:
    """This function will let a signed-in person onto a page, or show the sign-in and stop. Call it first."""
    try:
        visitor = met.get() or known()
    except Refusal as why:
        refused(why)
        if isinstance(why, Unavailable):
            _again()
        if isinstance(why, NotAllowed):
            if not isinstance(why, sign_ins.SignInAgain):
                _keep(access.NOBODY, "sign_in", why)
            _sign_in()
        st.stop()
    if visitor is None:
        _sign_in()
    # without a sign-in Streamlit takes whoever names a session's id into it, whose ever it was
    if st.session_state.setdefault("whose", visitor.person.id) != visitor.person.id:
        st.session_state.clear()
        st.session_state["whose"] = visitor.person.id
    with st.sidebar:
        st.markdown(f"**{plain(visitor.person.name)}**  \n{access.ROLE_LABELS[visitor.person.role]}")
        _ways_out(visitor)
    _opened(page)
    st.session_state["address"] = params()
    if said := st.session_state.pop("said", None):
        st.toast(plain(said), duration="long")
    return visitor


def _again() -> None:
    """Look every ten seconds whether the database answers again, and draw the page anew then."""

    @st.fragment(run_every=LOOK_EVERY)
    def look() -> None:
        st.button("Try again", icon=":material/refresh:")
        try:
            known()
        except Refusal:
            return
        st.rerun()

    look()


def known() -> Visitor | None:
    """This function will tell who is signed in, as the database knows them now, or None.

    Raises Unavailable while the database does not answer, NotAllowed where an account may not enter.
    """
    request_id = secrets.token_hex(8)
    if _provider.configured():
        actor = _provider.actor(_server.database(), st.user, request_id)
        if actor is None:
            return None
    else:
        user_id = _server.signed_in(st.context.cookies.get(_server.COOKIE))
        if user_id is None or not _server.trial_host(st.context.headers.get("host", "")):
            return None
        actor = Actor(user_id, request_id)
    with _server.database().read() as conn:
        if not _provider.configured() and not preferences.is_trial(conn):
            return None
        try:
            return Visitor(actor, access.person(conn, actor), preferences.currency(conn))
        except NotAllowed:
            return None


def _keep(actor: Actor, what: Callable[..., Any] | str, why: Refusal) -> None:
    """Keep a refused attempt once for what is open, however often it is drawn."""
    attempt = (st.session_state.get("here"), str(why))
    if st.session_state.get("denied") != attempt:
        st.session_state["denied"] = attempt
        _server.database().denied(actor, what, why)


def _opened(page: str) -> None:
    here = (page, param("id"))
    if st.session_state.get("here") != here:
        forget_seen()
        st.session_state["here"] = here


def forget_seen() -> None:
    """This function will forget which versions the forms showed, and what was wrong with them."""
    for key in [k for k in st.session_state if str(k).startswith(("seen-", "problems-"))]:
        del st.session_state[key]


def _sign_in() -> NoReturn:
    st.title("Sign in")
    for name, label in _provider.providers().items():
        if st.button(label, type="primary", key=f"sign-in-{name}"):
            st.login(name)
    if not _provider.configured() and _server.trial_allowed(st.context.headers.get("host", "")):
        st.warning("This is a trial database: anybody on this machine may look at it as any of its people.")
        st.html('<a href="/trial/sign-in" target="_self">Choose a person</a>')
    elif not _provider.configured():
        st.error("No sign-in is configured here; the trial sign-in exists only on a trial database on this machine.")
    st.stop()


def _ways_out(visitor: Visitor) -> None:
    if not _provider.configured():
        st.html('<a href="/trial/sign-out" target="_self">Trial: change person</a>')
        return
    here = st.button("Sign out", type="tertiary")
    everywhere = st.button("Sign out everywhere", type="tertiary", help="In all your browsers, also forgotten ones")
    if here:
        _provider.sign_out(_server.database(), st.user, visitor.actor.request_id)
    if everywhere:
        _server.database().submit(sign_ins.sign_out_everywhere, visitor.actor)
    if here or everywhere:
        st.logout()
        st.stop()


def params() -> dict[str, list[str]]:
    """This function will read the URL's parameters, each with all its values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def param(name: str) -> str:
    """This function will read one parameter of the URL, or ""."""
    return (st.query_params.get_all(name) or [""])[-1]


def head(title: str) -> DeltaGenerator:
    """This function will show a page's title; what is drawn in what it returns stands beside that."""
    row = st.container(horizontal=True, vertical_alignment="bottom", key="head")
    row.title(title)
    return row


def counted(count: int, noun: str = "opportunities") -> str:
    """This function will say a count with its noun: 1 opportunity, 1,467 opportunities."""
    one = noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
    return f"{count:,} {one if count == 1 else noun}"


def go(params_: Mapping[str, Any]) -> None:
    """This function will put other parameters into this page's URL (in a callback: one history entry).

    What another input has put there since the page was drawn stays: who types and presses something else gets both.
    """
    wanted = {k: [v] if isinstance(v, str) else list(v) for k, v in params_.items() if v not in (None, "", [])}
    drawn, now = st.session_state.get("address", {}), params()
    before, asked = st.session_state.get("asked", (None, None))
    first = before if now in (before, asked) else now
    if now == before:  # the press before this one was not drawn yet, and the browser had not heard of it
        drawn, now = before, asked
    if now != drawn:
        changed = {k: v for k, v in wanted.items() if v != drawn.get(k)}
        kept = {k: v for k, v in now.items() if k in wanted or k not in drawn}
        wanted = {k: v for k, v in (kept | changed).items() if k not in ("page", "after")}
    st.session_state["asked"] = first, wanted
    st.query_params.from_dict(wanted)


def page_url(params_: Mapping[str, Any]) -> str:
    """This function will give the address of this page with other parameters, to be pasted elsewhere."""
    query = urlencode({k: v for k, v in params_.items() if v not in (None, "", [])}, doseq=True)
    address = st.context.url or ""
    return f"{address}{'' if urlsplit(address).path else '/'}?{query}".rstrip("?")


def linked(label: str, page: str, params_: Mapping[str, Any] | None = None, icon: str | None = None) -> str:
    """This function will write a link to a page of the app with its parameters, for Markdown; the label is plain text.

    It is followed in the open session (`links.js`).
    """
    query = urlencode({k: v for k, v in (params_ or {}).items() if v not in (None, "", [])}, doseq=True)
    said = f"{icon} {plain(label)}" if icon else plain(label)
    return f"[{said}]({_menu.ADDRESSES[page]}{'?' if query else ''}{query})"


def link(label: str, page: str, params_: Mapping[str, Any] | None = None, icon: str | None = None) -> None:
    """This function will show a link (`linked`) by itself."""
    st.markdown(linked(label, page, params_, icon), width="content")


def onward(page: str, params_: Mapping[str, Any] | None) -> NoReturn:
    """This function will lead on to another page as if its link had been pressed (`links.js`): one step back leads here."""
    with st.container(key="onward"):
        link("Go on", page, params_)
    st.stop()


def refused(why: Refusal) -> None:
    """This function will show why the core said no, with a link to the record it is about."""
    for sentence in why.messages:
        st.error(plain(sentence), icon=":material/error:")
    if why.about and why.about[0] in RECORDS:
        link(f"Open that {why.about[0]}", why.about[0], {"id": str(why.about[1])})


def load(visitor: Visitor, verb: Callable[..., Any], back: str) -> Any:
    """This function will read the record that the URL's id names, or say that there is none and stop.

    What somebody else changed in it since it was last shown here is said: a button pressed in
    the meantime may be gone.
    """
    try:
        record = visitor.ask(verb, param("id"))
    except NotFound as why:
        refused(why)
        link("Back", back)
        st.stop()
    # there with or without news, so that what stands below keeps its place: an open form stays open
    news = st.container()
    shown = st.session_state.get("seen-record", record.version)
    if shown != record.version:
        kind = st.session_state["here"][0]
        for sentence in visitor.ask(_changes, kind, str(record.id), shown):
            news.info(plain(sentence), icon=":material/sync:")
    st.session_state["seen-record"] = record.version
    return record


def _changes(conn: Any, actor: Actor, kind: str, record_id: str, since: int) -> list[Sentence]:
    access.person(conn, actor)  # on PostgreSQL, whoever is not named reads no history
    return audit.changes_since(conn, kind, record_id, since)


def require(visitor: Visitor, permission: str) -> None:
    """This function will say that the person may not do what the page is for, and stop, unless they may."""
    if not visitor.person.may(permission):
        why = NotAllowed(access.DENIALS[permission])
        visitor.denied(permission, why)
        refused(why)
        st.stop()


def live(visitor: Visitor) -> None:
    """This function will draw the page anew whenever something changed that the person may see; call it last."""

    @st.fragment(run_every=LOOK_EVERY)
    def watch() -> None:
        try:
            latest = visitor.ask(audit.latest)
        except Refusal:
            st.rerun()
        if st.session_state.setdefault("latest", latest) != latest:
            st.session_state["latest"] = latest
            st.rerun()

    st.session_state.pop("latest", None)
    watch()


def say(text: str) -> None:
    """This function will keep a sentence to show on the next page."""
    st.session_state["said"] = text


def status(code: str, stages: Mapping[str, lifecycle.Stage] = lifecycle.STAGE) -> str:
    """This function will write a status recognisable with and without colour, for Markdown."""
    stage = stages[code]
    return f":{stage.tone}-badge[{stage.mark} {stage.label}]"


def explain_access(visitor: Visitor, kind: str, record_id: int) -> None:
    """This function will tell managers and org admins who can see a record, and why."""
    if visitor.person.may("audit.read"):
        told = st.expander(
            "Who can see this", icon=":material/visibility:", key=f"seen-by-{kind}-{record_id}", on_change="rerun"
        )
        if told.open:
            for name, role, why in visitor.ask(access.explain, kind, record_id):
                told.text(f"{name}, {role.lower()}, {why}.")


def timeline(visitor: Visitor, verb: Callable[..., list[audit.Entry]], record_id: int) -> None:
    """This function will show a record's history, newest first, with the way into the audit for those who may."""
    st.header("Timeline")
    told = []
    for entry in visitor.ask(verb, record_id):
        lines = [f"**{plain(entry.by)}** {entry.action} :gray[{plain(happened(entry))}]"]
        for change in entry.changes:
            before = f"{change.before} → " if change.before else ""
            lines.append(block(f"{change.label}: {before}{change.after or ('–' if before else '')}"))
        told.append("  \n".join(lines))
    st.markdown("\n\n".join(told))
    all_changes(visitor, record_id)


def all_changes(visitor: Visitor, record_id: int) -> None:
    """This function will link to everything that the audit says of the record that is open, for those who may read it."""
    if visitor.person.may("audit.read"):
        kind = st.session_state["here"][0]
        link("All changes of this record", "audit", {"kind": kind, "record": str(record_id)}, ":material/history:")


def happened(entry: audit.Entry) -> str:
    """This function will say when something happened, in IST, and when it was recorded if that was later."""
    late = "" if entry.at == entry.recorded_at else f" (recorded {periods.moment(entry.recorded_at)})"
    return f"{periods.moment(entry.at)}{late} IST"
