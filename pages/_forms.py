"""Forms: one submit is one command; a refusal stands beside its field and nothing typed is lost."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from crm_core import customers, money, settings
from crm_core.errors import Conflict, Refusal
from pages import _server
from pages._server import plain
from pages._ui import Visitor, forget_seen, param, refused, say

UNSAVED = "Nothing was saved yet: please look at what is marked."
OVERTAKEN = "What you pressed was not saved: somebody else changed this before you. Please look at it again."
#: How the keys of the buttons of forms end.
_PRESSED = ("-go", "-save")
#: What leads the keys of problems that were shown and stay.
_STAY = "problems-stay-"


def show(form: str, seen: Any) -> None:
    """This function will remember the version that a form shows when it is opened, and that it is drawn."""
    st.session_state.setdefault(f"seen-{form}", seen)
    st.session_state.setdefault("forms", set()).add(form)


def save(visitor: Visitor, form: str, verb: Callable[..., Any], *args: Any, seen: int | None = None) -> Any:
    """This function will run a command and return its result, the form forgotten; refused, it redraws the page."""
    result = submit(visitor, form, verb, *args, seen=seen)
    if result is None:
        say(UNSAVED)  # on a phone the fields with a problem may be out of sight
        st.rerun()
    clear(form)
    close(form)
    say("Saved.")
    return result


def submit(visitor: Visitor, form: str, verb: Callable[..., Any], *args: Any, seen: int | None = None) -> Any:
    """This function will run one command in one transaction and return its result, or None when refused.

    The problems are kept for `problems(form)`; what was typed stays in its inputs. The version
    that the form showed stays the one it was opened with, until a refusal has shown what changed.
    The token stays the same until the form is saved, so that two clicks save once.
    """
    opened = st.session_state.setdefault(f"seen-{form}", seen)
    token = st.session_state.setdefault(f"token-{form}", secrets.token_hex(16))
    try:
        result = _server.database().submit(verb, visitor.actor, *args, seen=opened, token=token)
    except Refusal as why:
        st.session_state[f"problems-{form}"] = why
        if isinstance(why, Conflict):
            st.session_state[f"seen-{form}"] = seen
        return None
    # the versions of all forms too: what was saved is known to the person
    st.session_state.pop(f"token-{form}", None)
    forget_seen()
    return result


def opener(name: str) -> str:
    """This function will give the key of what opens a form: it stays open whatever others change, until `close`."""
    return f"open-{name}-{st.session_state.get(f'closed-{name}', 0)}"


def close(name: str) -> None:
    """This function will close what `opener` opens; a form does so when it is saved."""
    st.session_state[f"closed-{name}"] = st.session_state.get(f"closed-{name}", 0) + 1


def clear(form: str) -> None:
    """This function will forget what was typed into a form, after it is saved."""
    for key in [k for k in st.session_state if str(k).startswith(f"{form}-")]:
        del st.session_state[key]


def kept(form: str, name: str, stored: Any) -> str:
    """This function will give the key of an input that holds what is stored until somebody changes it there.

    So a form that is saved once more after somebody else's change undoes nothing that was not touched in it.
    """
    key, shown, run = f"{form}-{name}", f"{form}-shown-{name}", st.session_state.get("run", 0)
    before, drawn = st.session_state.get(shown, (None, None))
    # set only where it must be: what is set replaces what somebody is typing
    if key not in st.session_state or (stored != before and st.session_state[key] == before):
        st.session_state[key] = stored
    elif drawn != run - 1:  # a page that stopped did not draw it, and the browser has forgotten what it held
        st.session_state[key] = st.session_state[key]
    st.session_state[shown] = stored, run
    return key


def problems(form: str, fields: Iterable[str] = ()) -> Callable[[str], None]:
    """This function will show a form's problems: those of no shown field at once, the others by the returned function.

    Those of a form with fields stay until it is saved or left: all can be read while one is mended, and no input
    moves while somebody types, which Streamlit would then make anew without what was typed.
    """
    shown, key = set(fields), f"{_STAY}{form}"
    why: Refusal | None = st.session_state.pop(f"problems-{form}", None)
    if shown and why is not None:
        st.session_state[key] = why
    why = why or st.session_state.get(key)
    if why is None:
        return lambda _field: None
    st.session_state.setdefault("drawn", set()).add(key)
    rest = [m for m in why.messages if m.field not in shown]
    if rest or why.about:
        refused(type(why)(*rest, about=why.about))
    elif why.messages:
        st.error("Not saved yet; please look at the marked fields.", icon=":material/error:")

    def beside(field: str) -> None:
        for sentence in why.messages:
            if sentence.field == field:
                wrong(sentence)

    return beside


def unshown() -> None:
    """This function will tell of forms that are there no more, because somebody else was quicker: what was wrong, or that one was pressed."""
    forms = st.session_state.pop("forms", set())
    pressed = [key for key in map(str, st.session_state) if key.endswith(_PRESSED) and st.session_state[key] is True]
    if any(key.rpartition("-")[0] not in forms for key in pressed):
        refused(Conflict(OVERTAKEN))
    drawn = st.session_state.pop("drawn", set())
    for key in [k for k in st.session_state if str(k).startswith("problems-") and k not in drawn]:
        why = st.session_state.pop(key)
        if not str(key).startswith(_STAY):
            refused(why)


def wrong(sentence: str) -> None:
    """This function will show what is wrong with the field above."""
    st.markdown(f":red[:material/error: {plain(sentence)}]")


def choice(
    form: str,
    name: str,
    label: str,
    options: Mapping[Any, str],
    present: Mapping[str, Any],
    beside: Callable[[str], None],
) -> Any:
    """This function will ask for one of some options, by its code or id, and return it, or None."""
    start = present.get(name)
    chosen = st.selectbox(
        label,
        list(options),
        index=None,
        format_func=lambda key: options[key],
        key=kept(form, name, start if start in options else None),
        placeholder="Choose",
    )
    beside(name)
    return chosen


def listed(visitor: Visitor, name: str, kept: str | None) -> dict[str, str]:
    """This function will map the active codes of a configured list to labels, and the kept one if it is retired."""
    known = visitor.ask(settings.labels_of, name)
    return known if not kept or kept in known else {**known, kept: f"{kept} (retired)"}


def amount(
    visitor: Visitor, form: str, field: str, label: str, beside: Callable[[str], None], default: str = ""
) -> str:
    """This function will ask for an amount and say it in words, so that a lakh is not taken for a crore."""
    text = st.text_input(label, key=kept(form, field, default), placeholder="12,50,000 or 12.5 lakh or 1.2 cr")
    told = st.empty()  # there from the start, so that nothing below it moves
    try:
        words = f"= {money.words(money.parse(text))}" if text else ""
    except ValueError as why:
        with told:
            wrong(str(why))
        return text
    beside(field)
    if words:
        told.caption(words)
    return text


def rupees(amount_: Any) -> str:
    """This function will write an amount as a person would type it, to start an input with."""
    return "" if amount_ is None else f"{amount_:.2f}".removesuffix(".00")


def chosen_customer(visitor: Visitor, form: str, beside: Callable[[str], None], start: int | None = None) -> int | None:
    """This function will ask for an active customer of the master; the URL's `customer` is chosen beforehand.

    One that the URL names and that is not there is said, never passed over.
    """
    named = param("customer")
    wanted = start or (int(named) if named.isdecimal() and len(named) < 19 else None)
    chosen = customer_input(visitor, "Customer *", form, "customer_id", wanted)
    if named and wanted not in visitor.ask(customers.choices, also=(wanted,) if wanted else ()):
        st.warning("The customer that this link names is not there or not active; choose one.")
    beside("customer_id")
    return chosen


def customer_input(
    visitor: Visitor, label: str, form: str, name: str, wanted: int | None = None, but: int | None = None
) -> int | None:
    """This function will ask for an active customer, `but` one; where there are more than a list offers, by a text first."""
    held = tuple(filter(None, (wanted, st.session_state.get(f"{form}-{name}"))))
    known = visitor.ask(customers.choices, also=held)
    if len(known) >= customers.MOST:
        text = st.text_input(
            "Find a customer", key=kept(form, f"{name}-find", ""), placeholder="Part of the name, then Enter",
            help=f"There are more than {customers.MOST:,} customers; the list below has those that are found.",
        )  # fmt: skip
        known = visitor.ask(customers.choices, text, held)
    offered = [i for i in known if i != but]
    return st.selectbox(
        label,
        offered,
        index=None,
        format_func=known.get,
        placeholder="Type to search the customer master",
        key=kept(form, name, wanted if wanted in offered else None),
    )
