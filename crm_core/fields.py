"""What people type, read: one parser each for text, e-mail, phone, id, day, code and amount.

A parser takes the raw input and returns the value, or raises ValueError with the sentence that
says what it takes. Absent (None, "" or only spaces) is None before any parser is asked.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import idna
from stdnum.exceptions import ValidationError
from stdnum.in_ import gstin as gstin_number

from crm_core import money as amounts
from crm_core.errors import Problems
from crm_core.periods import FIRST_DAY, LAST_DAY

LARGEST_ID = 2**63 - 1
_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_CODE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*", re.ASCII)
_LOCAL_PART = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_PHONE = re.compile(r"\+?[\d\s().-]{6,24}", re.ASCII)
_LINK = re.compile(r"https?://[^\s/?#@:]+(?::\d+)?(?:[/?#]\S*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Field:
    """One input of a form: its label, its parser, whether it must be given, and how it is asked."""

    label: str
    parse: Callable[[Any], Any]
    required: bool = False


def read(fields: Mapping[str, Field], raw: Mapping[str, Any], problems: Problems, partial: bool = False) -> dict:
    """This function will read a form's raw inputs into values, adding every problem to `problems`.

    A key that is no field of the form is a problem too. With `partial`, as in an edit, fields
    that were not sent are left out; otherwise they are None, and a problem where required.
    """
    for name in raw:
        if name not in fields:
            problems.add(name, f"“{clean(str(name))[:60]}” cannot be set here; remove it.")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if partial and name not in raw:
            continue
        given = raw.get(name)
        values[name] = None
        if absent(given):
            if field.required:
                problems.add(name, f"{field.label} is missing; please fill it in.")
            continue
        try:
            values[name] = field.parse(given)
        except ValueError as why:
            problems.add(name, f"{field.label}: {why}")
            continue
        if field.required and values[name] is None:
            problems.add(name, f"{field.label} is missing; please fill it in.")
    return values


def absent(raw: Any) -> bool:
    """This function will tell whether an input is empty: None, or text of nothing visible."""
    return raw is None or (isinstance(raw, str) and len(raw) < 1000 and not clean(raw))


def clean(text: str, lines: bool = False) -> str:
    """This function will drop invisible, control, direction-changing and broken characters and tidy spaces."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(
        " " if c.isspace() and not (lines and c == "\n") else c
        for c in text
        if c == "\n" or c == "\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn", "Cs")
    )
    rows = [" ".join(row.split()) for row in kept.split("\n")] if lines else [" ".join(kept.split())]
    return "\n".join(rows).strip()


def text(most: int, lines: bool = False) -> Callable[[Any], str | None]:
    """This function will make a parser of text of at most `most` characters."""

    def parse(raw: Any) -> str | None:
        if not isinstance(raw, str):
            raise ValueError("enter text.")
        if len(raw) > 4 * most + 1000:
            raise ValueError(f"at most {most} characters fit; this has {len(raw):,}.")
        cleaned = clean(raw, lines)
        if len(cleaned) > most:
            raise ValueError(f"at most {most} characters fit; this has {len(cleaned):,}.")
        return cleaned or None

    return parse


@functools.lru_cache(maxsize=10_000)  # an import folds the same names for row after row
def search_key(*parts: str | None) -> str:
    """This function will fold text for search: same letters whatever their case, width or accent."""
    joined = " ".join(clean(part) for part in parts if part)
    if joined.isascii():
        return joined.casefold()
    decomposed = unicodedata.normalize("NFKD", joined.casefold())
    folded = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", folded.casefold())


def email_key(raw: Any) -> str:
    """This function will reduce an e-mail address to the form in which two equal ones are equal.

    NFKC, invisible characters dropped, trimmed, case folded, the domain in IDNA. A plus tag or
    a dot makes another address. Raises ValueError unless the result is printable local@domain.
    """
    sentence = "enter one address such as name@company.in."
    if not isinstance(raw, str) or len(raw) > 1000:
        raise ValueError(sentence)
    folded = clean(unicodedata.normalize("NFKC", raw)).casefold()
    local, at, domain = folded.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local) or len(local) > 64 or "." not in domain:
        raise ValueError(sentence)
    try:
        domain = idna.encode(domain.rstrip("."), uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError(sentence) from None
    return f"{local}@{domain}"


def email(raw: Any) -> str:
    """This function will read an e-mail address and keep it as written, cleaned."""
    email_key(raw)
    return clean(unicodedata.normalize("NFKC", raw))


def phone(raw: Any) -> str:
    """This function will read a telephone number and keep it as written, cleaned."""
    written = clean(raw) if isinstance(raw, str) and len(raw) < 100 else ""
    if not _PHONE.fullmatch(written) or not 6 <= sum(map(str.isdigit, written)) <= 15:
        raise ValueError("enter digits, such as +91 98400 12345.")
    return written


def phone_key(written: str | None) -> str | None:
    """This function will reduce a telephone number to its last ten digits, for comparing."""
    digits = re.sub(r"\D", "", written or "", flags=re.ASCII)
    return digits[-10:] or None


def gstin(raw: Any) -> str:
    """This function will read a GSTIN and check its state, PAN and check digit."""
    written = clean(raw) if isinstance(raw, str) and len(raw) < 100 else ""
    try:
        return str(gstin_number.validate(written))
    except ValidationError:
        raise ValueError("it is not a valid GSTIN of 15 characters; check it on the invoice.") from None


def identity(raw: Any) -> int:
    """This function will read a record's id, also from a link: a whole number from 1, in digits only."""
    return chosen(int(raw) if isinstance(raw, str) and _ID.fullmatch(raw) else raw)


def chosen(raw: Any) -> int:
    """This function will read the id of what was chosen in a form: a whole number from 1, never text."""
    if isinstance(raw, int) and not isinstance(raw, bool) and 1 <= raw <= LARGEST_ID:
        return raw
    raise ValueError("choose one from the list.")


def code(raw: Any) -> str:
    """This function will read a configured value's code: lower_snake, as in URLs."""
    if isinstance(raw, str) and len(raw) <= 60 and _CODE.fullmatch(raw):
        return raw
    raise ValueError("choose one from the list.")


def one_of(known: Iterable[str], sentence: str = "choose one from the list.") -> Callable[[Any], str]:
    """This function will make a parser of one code out of a fixed few."""
    allowed = frozenset(known)

    def parse(raw: Any) -> str:
        if not isinstance(raw, str) or raw not in allowed:
            raise ValueError(sentence)
        return raw

    return parse


def day(raw: Any) -> date:
    """This function will read a day: a date, or text such as 2026-11-24."""
    sentence = "enter a date such as 2026-11-24."
    if isinstance(raw, datetime) or not isinstance(raw, date | str):
        raise ValueError(sentence)
    try:
        found = raw if isinstance(raw, date) else date.fromisoformat(raw.strip())
    except ValueError:
        raise ValueError(sentence) from None
    if not FIRST_DAY <= found <= LAST_DAY:
        raise ValueError(f"the year must be from {FIRST_DAY.year} to {LAST_DAY.year}.")
    return found


def link(raw: Any) -> str:
    """This function will read a document's address: http or https, no spaces."""
    written = clean(raw) if isinstance(raw, str) and len(raw) <= 2000 else ""
    if len(written) > 500 or not _LINK.fullmatch(written):
        raise ValueError("enter an address that begins with https://.")
    return written


def amount(raw: Any) -> Any:
    """This function will read an amount in rupees (`money.parse`)."""
    return amounts.parse(raw)


def to_code(label: str) -> str:
    """This function will derive a code from a label: “Outer Chennai” → outer_chennai."""
    plain = unicodedata.normalize("NFKD", label.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:50].strip("_")
