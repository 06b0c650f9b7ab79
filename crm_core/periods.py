"""Time: UTC in the database, days and periods in IST, half-open.

A period in a URL is absolute. Its codes: `2026-11-24` (day), `2026-11` (month), `2026-q3`
(calendar quarter), `fy2026-27` (April to March), `fy2026-27-q3` (its quarter, October to
December) and `2026-04-01..2026-06-30` (from and to day, either may be missing).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True)
class Period:
    """Days from `first` up to, not including, `after`; None is open-ended."""

    first: date | None
    after: date | None

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """This function will give the UTC instants [from, to) of the period's days in IST."""
        return (
            midnight(self.first) if self.first else None,
            midnight(self.after) if self.after else None,
        )

    def overlap(self, other: Period) -> Period | None:
        """This function will give the days in both periods, or None where they share none."""
        first = max(self.first, other.first) if self.first and other.first else self.first or other.first
        after = min(self.after, other.after) if self.after and other.after else self.after or other.after
        return None if first and after and first >= after else Period(first, after)

    @property
    def last(self) -> date | None:
        """The last day inside."""
        return self.after - timedelta(days=1) if self.after else None

    def code(self) -> str:
        """This function will name the period for a URL, the shortest code that means the same."""
        if self.first and self.after:
            year, quarter = financial_year(self.first), (self.first.month - 4) % 12 // 3 + 1
            for code in (f"{self.first:%Y-%m}", year, f"{year}-q{quarter}", f"{self.first}"):
                if parse(code) == self:
                    return code
        return f"{self.first or ''}..{self.last or ''}"


@functools.lru_cache(maxsize=4096)
def parse(code: str) -> Period | None:
    """This function will read a period's code; None when it names no period between 1990 and 2199."""
    try:
        period = _parse(code)
    except ValueError:
        return None
    if period is None or (period.first and period.after and period.first >= period.after):
        return None
    inside = all(FIRST_DAY <= d <= LAST_DAY for d in (period.first, period.after) if d)
    return period if inside else None


def _parse(code: str) -> Period | None:
    if match := re.fullmatch(r"fy(\d{4})-(\d\d)(?:-q([1-4]))?", code, re.ASCII):
        year, short, quarter = int(match[1]), int(match[2]), match[3]
        if (year + 1) % 100 != short:
            return None
        start = date(year, 4, 1)
        return _months(_add(start, 3 * (int(quarter) - 1)), 3) if quarter else _months(start, 12)
    if match := re.fullmatch(r"(\d{4})-q([1-4])", code, re.ASCII):
        return _months(date(int(match[1]), 3 * int(match[2]) - 2, 1), 3)
    if re.fullmatch(r"\d{4}-\d\d", code, re.ASCII):
        return _months(_day(code + "-01"), 1)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", code, re.ASCII):
        return Period(_day(code), _day(code) + timedelta(days=1))
    if match := re.fullmatch(r"(\d{4}-\d\d-\d\d)?\.\.(\d{4}-\d\d-\d\d)?", code, re.ASCII):
        if not match[1] and not match[2]:
            return None
        first = _day(match[1]) if match[1] else None
        return Period(first, _day(match[2]) + timedelta(days=1) if match[2] else None)
    return None


def comparable(period: Period, today: date) -> Period | None:
    """This function will give the period before, as long: of a running one, only as many days as have passed."""
    if not period.first or not period.after:
        return None
    if period.first.day == period.after.day == 1:
        months = (period.after.year - period.first.year) * 12 + period.after.month - period.first.month
        first = _add(period.first, -months)
    else:
        first = period.first - (period.after - period.first)
    if period.first <= today < period.after:
        return Period(first, min(first + (today - period.first) + timedelta(days=1), period.first))
    return Period(first, period.first)


def in_months(period: Period) -> tuple[Period | None, list[Period]]:
    """This function will split a period into its whole months, if any, and the days before and after them."""
    first = period.first and (period.first if period.first.day == 1 else _add(period.first, 1))
    after = period.after and period.after.replace(day=1)
    if first and after and first >= after:
        return None, [period]
    ends = ((period.first, first), (after, period.after))
    return Period(first, after), [Period(start, end) for start, end in ends if start != end]


def near_months(period: Period) -> tuple[Period | None, list[tuple[int, Period]]]:
    """This function will give the whole months nearest to a period, if any, and the days that they lack (1) or have too many (-1)."""
    first, after = (edge and _nearest_month(edge) for edge in (period.first, period.after))
    if first and after and first >= after:
        return None, [(1, period)]
    turns = ((1, period.first, first), (1, after, period.after), (-1, first, period.first), (-1, period.after, after))
    days = [(sign, Period(start, end)) for sign, start, end in turns if start and end and start < end]
    return Period(first, after), days


def _nearest_month(day: date) -> date:
    begun = day.replace(day=1)
    return begun if day - begun <= _add(begun, 1) - day else _add(begun, 1)


def month_ends(today: date, count: int) -> list[date]:
    """This function will give the last days of so many months, the last of them being `today`."""
    begun = date(today.year, today.month, 1)
    return [day_before(_add(begun, -n)) for n in range(count - 2, -1, -1)] + [today]


def offered(today: date) -> list[str]:
    """This function will name the periods that people choose most: this month and the last, quarters, financial years."""
    year = int(financial_year(today)[2:6])
    years = [f"fy{y}-{(y + 1) % 100:02d}" for y in (year, year - 1, year - 2)]
    months = [f"{today:%Y-%m}", f"{day_before(date(today.year, today.month, 1)):%Y-%m}"]
    return [*months, *(f"{years[0]}-q{q}" for q in range(1, 5)), *years]


@functools.lru_cache(maxsize=4096)
def parts(period: Period | None) -> tuple[Period, ...] | None:
    """This function will give a financial year's quarters, a quarter's months, none of a month; None for any other."""
    if period is None or period.first is None or period.after is None:
        return None
    for months, begins, piece in ((12, (4,), 3), (3, (1, 4, 7, 10), 1), (1, range(1, 13), 1)):
        if period.first.month in begins and period == _months(period.first.replace(day=1), months):
            return tuple(_months(_add(period.first, n), piece) for n in range(0, months, piece) if months > 1)
    return None


def label(code: str) -> str:
    """This function will say a period in words: Nov 2026, FY 2026-27, 1 Apr 2026 to 30 Jun 2026."""
    period = parse(code)
    if period is None:
        return code
    if match := re.fullmatch(r"fy(\d{4}-\d\d)(?:-q([1-4]))?", code):
        return f"FY {match[1]}" + (f" Q{match[2]}" if match[2] else "")
    if match := re.fullmatch(r"(\d{4})-q([1-4])", code):
        return f"{match[1]} Q{match[2]} (calendar)"
    if re.fullmatch(r"\d{4}-\d\d", code):
        return f"{period.first:%b %Y}"
    last = period.last
    if period.first == last:
        return day(period.first)
    if not period.first:
        return f"up to {day(last)}"
    return f"from {day(period.first)}" if not last else f"{day(period.first)} to {day(last)}"


def financial_year(when: date) -> str:
    """This function will name the financial year (April to March) of a day: fy2026-27."""
    year = when.year if when.month >= 4 else when.year - 1
    return f"fy{year}-{(year + 1) % 100:02d}"


def unix_day(when: date) -> int:
    """This function will give the days since 1970 until a day, as `sql.india_day` gives those until an instant's."""
    return (when - date(1970, 1, 1)).days


def midnight(when: date) -> datetime:
    """This function will give the UTC instant at which a day begins in India."""
    return datetime.combine(when, time(), IST).astimezone(UTC)


def today() -> date:
    """This function will give the present day in India, for a page; a command asks its transaction's clock."""
    return in_india(datetime.now(UTC)).date()


def in_india(at: datetime) -> datetime:
    """This function will give a UTC instant as India's wall clock shows it."""
    return at.astimezone(IST)


def day(when: date | None) -> str:
    """This function will write a day: 24 Nov 2026; "" for none."""
    return f"{when.day} {when:%b %Y}" if when else ""


def moment(at: datetime | None) -> str:
    """This function will write an instant in IST: 24 Nov 2026, 14:35; "" for none."""
    return f"{day(in_india(at).date())}, {in_india(at):%H:%M}" if at else ""


def days_before(when: date, days: int) -> date:
    """This function will give the day so many days before."""
    return when - timedelta(days=days)


def day_before(when: date) -> date:
    """This function will give the day before."""
    return when - timedelta(days=1)


def next_day(when: date) -> date:
    """This function will give the day after."""
    return when + timedelta(days=1)


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _add(start: date, months: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _months(start: date, count: int) -> Period:
    return Period(start, _add(start, count))
