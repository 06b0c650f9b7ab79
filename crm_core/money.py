"""Money: integer paise in the database, Decimal rupees in the core, one parser, one formatter."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

from babel.numbers import format_decimal

CRORE = Decimal(10_000_000)
LAKH = Decimal(100_000)
PAISE = Decimal("0.01")
LARGEST = 9_999 * CRORE
ACCEPTED = "Enter an amount such as 12,50,000 or 12.5 lakh or 1.2 cr."
CURRENCIES = {"INR": "₹", "": ""}

_PLAIN = r"\d+"
_INDIAN = r"\d{1,2}(?:,\d{2})*,\d{3}"
_WESTERN = r"\d{1,3}(?:,\d{3})+"
_UNITS = {"l": LAKH, "lac": LAKH, "lacs": LAKH, "lakh": LAKH, "lakhs": LAKH}
_UNITS |= {"cr": CRORE, "crore": CRORE, "crores": CRORE}
_AMOUNT = re.compile(
    rf"(?:₹|rs\.?|inr)?\s*(?P<number>(?:{_INDIAN}|{_WESTERN}|{_PLAIN})(?:\.\d+)?)\s*(?P<unit>{'|'.join(_UNITS)})?",
    re.ASCII | re.IGNORECASE,
)


def parse(raw: Any) -> Decimal:
    """This function will read an amount as rupees, exact to the paisa.

    Accepts text with ASCII digits in plain, Indian or western grouping, an optional ₹, Rs or INR
    before it and lakh or crore after it, and whole or decimal numbers.
    Raises ValueError with a sentence for anything else: negative, above ₹9,999 crore, more
    than two decimals, not a number. Source: seed ("zero or more"), decisions (Money).
    """
    amount = _number(raw)
    if amount < 0:
        raise ValueError("The amount must be zero or more.")
    if amount > LARGEST:
        raise ValueError("The amount must not be above ₹9,999 crore.")
    if amount != amount.quantize(PAISE):
        raise ValueError("The amount has more than two decimals; round it to the paisa.")
    return amount.quantize(PAISE)


def _number(raw: Any) -> Decimal:
    if isinstance(raw, bool):
        raise ValueError(ACCEPTED)
    if isinstance(raw, Integral):
        return Decimal(int(raw)) if abs(int(raw)) < 10**20 else LARGEST + 1
    if isinstance(raw, Real | Decimal):
        number = Decimal(str(raw))
        if not number.is_finite():
            raise ValueError(ACCEPTED)
        return number
    text = str(raw).strip() if isinstance(raw, str) else ""
    if re.match(r"(?:₹|rs\.?|inr)?\s*[-−]\s*[\d.,]+", text, re.IGNORECASE | re.ASCII):
        raise ValueError("The amount must be zero or more.")
    match = _AMOUNT.fullmatch(text) if len(text) <= 40 else None
    if not match:
        raise ValueError(ACCEPTED)
    unit = (match["unit"] or "").lower()
    return Decimal(match["number"].replace(",", "")) * _UNITS.get(unit, Decimal(1))


@lru_cache(4096)
def exact(amount: Decimal | int, currency: str = "INR") -> str:
    """This function will write an amount in full: ₹12,34,567 or ₹12,34,567.50."""
    if amount < 0:
        return "−" + exact(-amount, currency)
    places = "#,##0.00" if amount != int(amount) else "#,##0"
    if currency == "INR":
        places = places.replace("#,##0", "#,##,##0")
    return CURRENCIES[currency] + format_decimal(amount, format=places, locale="en_IN")


@lru_cache(4096)
def compact(amount: Decimal | int, currency: str = "INR") -> str:
    """This function will write an amount for tiles and axes: ₹1.23 Cr, ₹12.5 L, ₹84,200."""
    if amount < 0:
        return "−" + compact(-amount, currency)
    million = ((Decimal(10**6), "M"), (Decimal(10**3), "K"))
    steps: tuple[tuple[Decimal, str], ...] = ((CRORE, " Cr"), (LAKH, " L")) if currency == "INR" else million
    # 0.005 of a step below it already rounds up to it, so that ₹99,99,999 reads ₹1 Cr, not ₹100 L
    whole = Decimal(amount)
    for size, suffix in steps:
        if abs(whole) >= size * Decimal("0.99995"):
            short = format_decimal(whole / size, format="#,##0.##", locale="en_IN")
            return CURRENCIES[currency] + short + suffix
    return exact(whole.quantize(Decimal(1)), currency)


def words(amount: Decimal) -> str:
    """This function will say an amount the way it is spoken: 1 crore 20 lakh 50 thousand rupees."""
    rupees, paise = divmod(int(amount * 100), 100)
    said = []
    for size, unit in ((10**7, "crore"), (10**5, "lakh"), (10**3, "thousand"), (1, "")):
        count, rupees = divmod(rupees, size)
        if count:
            said.append(f"{count:,} {unit}".strip())
    said = [" ".join(said) + " rupees"] if said else ["0 rupees"] if not paise else []
    return " ".join(said + ([f"{paise} paise"] if paise else []))
