"""Amounts: what is read, what is refused, how it is written."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import money


@pytest.mark.parametrize(
    ("raw", "rupees"),
    [
        ("0", "0"),
        ("1,00,000", "100000"),
        ("100,000", "100000"),
        ("₹5", "5"),
        ("Rs. 5", "5"),
        ("INR 5", "5"),
        ("12.5 lakh", "1250000"),
        ("1.2 cr", "12000000"),
        ("4.35", "4.35"),
        (4.35, "4.35"),
        (Decimal("0.01"), "0.01"),
        (7, "7"),
        ("99990000000", "99990000000"),
    ],
)
def test_an_amount_is_read_to_the_paisa(raw: object, rupees: str) -> None:
    """D1: the accepted forms."""
    assert Decimal(rupees) == money.parse(raw)


REFUSED = (
    *(
        "-1",
        -0.01,
        "",
        "abc",
        "NaN",
        float("nan"),
        float("inf"),
        "1e400",
        "1_000",
        "१२३",
        "１２",
        "5.005",
        True,
        None,
        [],
    ),
    *(10**15, 2**53 + 1, 2**63, "9" * 5000, 10**5000, "1,0,0", "99990000000.01"),
)


@pytest.mark.parametrize("raw", REFUSED, ids=range(len(REFUSED)))
def test_anything_else_is_refused_with_a_sentence(raw: object) -> None:
    """D1, D3, D17."""
    with pytest.raises(ValueError, match=r"^(The amount|Enter an amount).*\.$"):
        money.parse(raw)


def test_amounts_are_written_as_people_here_write_them() -> None:
    """Lakh and crore, and ₹1 Cr where rounding reaches it."""
    assert "₹12,34,567.50" == money.exact(Decimal("1234567.5"))
    assert "₹1.23 Cr" == money.compact(12_345_678)
    assert "₹1 Cr" == money.compact(9_999_999)
    assert "1 crore 20 lakh 50 thousand rupees" == money.words(Decimal(12_050_000))


@pytest.mark.parametrize(
    ("rupees", "currency", "exact", "short"),
    [
        ("0", "INR", "₹0", "₹0"),
        ("999.50", "INR", "₹999.50", "₹1,000"),
        ("84200", "INR", "₹84,200", "₹84,200"),
        ("99994.99", "INR", "₹99,994.99", "₹99,995"),
        ("99995", "INR", "₹99,995", "₹1 L"),
        ("1250000", "INR", "₹12,50,000", "₹12.5 L"),
        ("99990000000", "INR", "₹99,99,00,00,000", "₹9,999 Cr"),
        ("1234567", "", "1,234,567", "1.23M"),
        ("84200", "", "84,200", "84.2K"),
        ("999", "", "999", "999"),
    ],
)
def test_an_amount_is_written_in_full_and_short(rupees: str, currency: str, exact: str, short: str) -> None:
    """In Indian grouping, or plain numbers where the database has no currency."""
    assert (exact, short) == (money.exact(Decimal(rupees), currency), money.compact(Decimal(rupees), currency))


@pytest.mark.parametrize(
    ("rupees", "said"),
    [
        ("0", "0 rupees"),
        ("0.05", "5 paise"),
        ("7", "7 rupees"),
        ("100000", "1 lakh rupees"),
        ("1007.50", "1 thousand 7 rupees 50 paise"),
        ("99990000000", "9,999 crore rupees"),
    ],
)
def test_an_amount_is_said_as_people_here_say_it(rupees: str, said: str) -> None:
    """Nothing is said of what is none."""
    assert said == money.words(Decimal(rupees))


@given(st.integers(0, int(money.LARGEST * 100)))
def test_an_amount_written_in_full_is_read_back(paise: int) -> None:
    """D1: exact for every amount."""
    rupees = Decimal(paise) / 100
    assert rupees == money.parse(money.exact(rupees))
