"""Periods: absolute codes, days in India."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import periods
from crm_core.periods import Period

DAYS = st.dates(date(1990, 1, 1), date(2199, 12, 30))


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("2026-11-24", date(2026, 11, 24), date(2026, 11, 24)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-q3", date(2026, 7, 1), date(2026, 9, 30)),
        ("fy2026-27", date(2026, 4, 1), date(2027, 3, 31)),
        ("fy2026-27-q4", date(2027, 1, 1), date(2027, 3, 31)),
        ("2026-04-01..2026-06-30", date(2026, 4, 1), date(2026, 6, 30)),
    ],
)
def test_a_code_names_its_days(code: str, first: date, last: date) -> None:
    """Half-open."""
    assert Period(first, last + timedelta(days=1)) == periods.parse(code)


@pytest.mark.parametrize(
    "code",
    ["", "..", "2026-13", "2026-02-30", "fy2026-28", "2026-q5", "last month", "2026-06-30..2026-06-01", "0001-01"],
)
def test_a_code_that_names_no_days_is_none(code: str) -> None:
    """E-12."""
    assert periods.parse(code) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("fy2026-27", "FY 2026-27"),
        ("fy2026-27-q3", "FY 2026-27 Q3"),
        ("2026-q3", "2026 Q3 (calendar)"),
        ("2026-11", "Nov 2026"),
        ("2026-11-24", "24 Nov 2026"),
        ("2026-04-01..2026-04-01", "1 Apr 2026"),
        ("2026-04-01..2026-06-30", "1 Apr 2026 to 30 Jun 2026"),
        ("2026-04-01..", "from 1 Apr 2026"),
        ("..2026-06-30", "up to 30 Jun 2026"),
        ("last month", "last month"),
    ],
)
def test_a_period_is_said_in_words(code: str, said: str) -> None:
    """E-12: one that is none is said as it was given."""
    assert said == periods.label(code)


@pytest.mark.parametrize("code", ["2026-04-01..", "..2026-06-30"])
def test_an_open_period_survives_its_code(code: str) -> None:
    """It has one end."""
    found = periods.parse(code)
    assert found is not None
    assert code == found.code()


def test_today_is_the_day_in_india() -> None:
    """Which is never the day before UTC's."""
    before = datetime.now(UTC)
    assert periods.in_india(before).date() <= periods.today() <= periods.in_india(datetime.now(UTC)).date()


def test_the_financial_year_begins_at_midnight_in_india() -> None:
    """31 March, 18:30 UTC is 1 April in India."""
    found = periods.parse("fy2026-27")
    assert found is not None
    assert datetime(2026, 3, 31, 18, 30, tzinfo=UTC) == found.bounds()[0]


@given(DAYS, DAYS)
def test_a_period_survives_its_code(one: date, other: date) -> None:
    """Shortest code, same days."""
    period = Period(min(one, other), max(one, other) + timedelta(days=1))
    assert period == periods.parse(period.code())


@given(DAYS, DAYS, DAYS)
def test_a_periods_months_and_the_days_beside_them_are_the_period(one: date, other: date, day: date) -> None:
    """Each day of it once; the months are whole."""
    period = Period(min(one, other), max(one, other) + timedelta(days=1))
    months, rest = periods.in_months(period)
    held = [part for part in (months, *rest) if part and part.overlap(Period(day, day + timedelta(days=1)))]
    assert len(held) == bool(period.overlap(Period(day, day + timedelta(days=1))))
    assert months is None or months.first.day == months.after.day == 1  # type: ignore[union-attr]


@given(DAYS, DAYS, DAYS)
def test_the_nearest_months_with_what_they_lack_and_without_what_is_beyond_are_the_period(
    one: date, other: date, day: date
) -> None:
    """Each day of it once, no other; of no month more than half is read by the day, but of a period within one."""
    period, alone = Period(min(one, other), max(one, other) + timedelta(days=1)), Period(day, day + timedelta(days=1))
    months, days = periods.near_months(period)
    held = [sign for sign, part in ((1, months), *days) if part and part.overlap(alone)]
    assert sum(held) == bool(period.overlap(alone))
    if months:
        assert months.first.day == months.after.day == 1  # type: ignore[union-attr]
        assert all((part.after - part.first).days <= 15 for _sign, part in days)  # type: ignore[operator]


def test_a_period_without_an_end_has_the_months_without_one() -> None:
    """And the days before them."""
    begun, days = Period(date(2026, 5, 1), None), Period(date(2026, 4, 20), date(2026, 5, 1))
    assert (begun, [(1, days)]) == periods.near_months(Period(date(2026, 4, 20), None))
    assert (Period(None, None), []) == periods.near_months(Period(None, None))
