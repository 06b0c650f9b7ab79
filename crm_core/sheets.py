"""Workbooks: typed rows as an XLSX file with a cover, written row by row, so that memory stays small.

Text is text in every cell: nothing of it runs, links or turns into a number.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from crm_core import fields, money, periods
from crm_core.errors import Invalid

Cell: TypeAlias = str | int | float | Decimal | date | datetime | None
Sheet: TypeAlias = tuple[Sequence[str], Iterable[Sequence[Cell]]]
MOST_ROWS = 1_048_575  # below the headings
NARROWEST, WIDEST = 10, 48
LONGEST = 16_000  # a cell takes 32,767 units of UTF-16
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_BOLD: Mapping[str, Any] = {"bold": True, "valign": "top"}
_VALUE: Mapping[str, Any] = {"align": "left", "text_wrap": True, "valign": "top"}


def workbook(
    sheets: Mapping[str, Sheet], cover: Iterable[tuple[str, Cell]], currency: str = "INR", most: int = MOST_ROWS
) -> bytes:
    """This function will write an XLSX file: a cover of (label, value), then a sheet a name of (headings, rows).

    A Decimal is an amount (rupees, grouped as in India, where the currency is INR), an int a number,
    a float one of one place (days, percent), a datetime (with its zone) is shown in IST, a date is a day. Excel keeps 15 digits: a number that
    it would round is written as text, exact to the paisa. The rows are read first and once, the
    cover last, so that a generator may tell there what they came to. Raises Invalid for more than
    `most` rows on a sheet.
    """
    out = io.BytesIO()
    book = Workbook(out, _OPTIONS)
    pen = _Pen(book, currency)
    front = book.add_worksheet("Cover")
    for name, (headings, rows) in sheets.items():
        _fill(pen, book.add_worksheet(name), headings, rows, most)
    for number, (label, value) in enumerate(cover):
        pen.write(front, number, 0, label, _BOLD)
        pen.write(front, number, 1, value, _VALUE)
    front.set_column(0, 0, 18)
    front.set_column(1, 1, 90)
    book.close()
    return out.getvalue()


def _fill(pen: _Pen, sheet: Worksheet, headings: Sequence[str], rows: Iterable[Sequence[Cell]], most: int) -> None:
    widths = [max(NARROWEST, pen.write(sheet, 0, i, heading, _BOLD) + 3) for i, heading in enumerate(headings)]
    number = 0
    for number, row in enumerate(rows, 1):
        if number > most:
            raise Invalid(f"A sheet holds {most:,} rows; choose fewer, or take the CSV.")
        for i, value in enumerate(row):
            widths[i] = max(widths[i], pen.write(sheet, number, i, value) + 1)
    for i, width in enumerate(widths):
        sheet.set_column(i, i, min(width, WIDEST))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, number, len(headings) - 1)


class _Pen:
    """Writes typed cells into a book, with one format a look."""

    def __init__(self, book: Workbook, currency: str) -> None:
        self.book, self.currency = book, currency
        self.formats: dict[tuple, Format] = {}

    def write(self, sheet: Worksheet, row: int, column: int, value: Cell, look: Mapping[str, Any] | None = None) -> int:
        """This function will write one cell and tell how many characters it shows."""
        look = look or {}
        if value is None:
            return 0
        if isinstance(value, datetime):
            at = periods.in_india(value).replace(tzinfo=None)
            sheet.write_datetime(row, column, at, self._format(look, num_format="d mmm yyyy, hh:mm"))
            return len("24 Nov 2026, 14:35")
        if isinstance(value, date):
            day = datetime.combine(value, time())
            sheet.write_datetime(row, column, day, self._format(look, num_format="d mmm yyyy"))
            return len("24 Nov 2026")
        if isinstance(value, str):
            text = fields.clean(value, lines=True)[:LONGEST]
            sheet.write_string(row, column, text, self._format(look, quote_prefix=True))
            return max(map(len, text.split("\n")))
        if isinstance(value, float):
            sheet.write_number(row, column, value, self._format(look, num_format="#,##0.0"))
            return len(f"{value:,.1f}") + 3
        shown = money.exact(value, self.currency) if isinstance(value, Decimal) else f"{value:,}"
        if Decimal(f"{value:.15g}") != value:
            sheet.write_string(row, column, shown, self._format(look, align="right"))
        else:
            sheet.write_number(row, column, float(value), self._format(look, num_format=self._number_format(value)))
        return len(shown) + 3

    def _number_format(self, value: int | Decimal) -> str:
        if isinstance(value, int):
            return "#,##0"
        return _grouping(value) if self.currency == "INR" else "#,##0.00"

    def _format(self, look: Mapping[str, Any], **more: Any) -> Format:
        wanted = {**more, **look}
        key = tuple(sorted(wanted.items()))
        if key not in self.formats:
            self.formats[key] = self.book.add_format(wanted)
        return self.formats[key]


def _grouping(amount: Decimal) -> str:
    """Excel chooses among three formats at most, enough up to a hundred crore; beyond, one of the amount's length."""
    if 0 <= amount < 100 * money.CRORE:
        return r"[>=10000000]##\,##\,##\,##0.00;[>=100000]##\,##\,##0.00;##,##0.00"
    pairs = max(0, (len(str(abs(int(amount)))) - 2) // 2)
    return r"##\," * pairs + "##0.00"
