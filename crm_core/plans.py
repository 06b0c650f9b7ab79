"""Mappings: what a file from elsewhere means, read from TOML and checked before any row is.

A mapping names the files and their columns, and what of each row becomes which field, reason and move;
`imports` does as it says. Source: decisions, “Imports”.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from crm_core import customers, lifecycle, money, opportunities
from crm_core.errors import Invalid
from crm_core.schema import LISTS

_SPEC = {"column", "text", "file", "key", "take", "words", "keywords", "default", "before", "cut"}


def read(mapping: Path) -> dict[str, Any]:
    """This function will read a mapping and check that it is one; raises Invalid, which says what is wrong with it."""
    try:
        plan = tomllib.loads(mapping.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as why:
        raise Invalid(f"The mapping {mapping.name} cannot be read: {why}.") from None
    try:
        _check(plan)
    except (KeyError, TypeError, AttributeError) as why:
        raise Invalid(f"The mapping {mapping.name} is not complete: {why}.") from None
    return plan


def _check(plan: dict[str, Any]) -> None:
    if plan["currency"] not in money.CURRENCIES:
        raise Invalid("The mapping's currency must be INR or empty.")
    for needed in ("source", "importer", "mail_domain", "dates", "opportunities"):
        plan[needed]
    for told in plan["files"].values():
        name = told["name"]
        if name in ("", ".", "..") or any(c in name for c in "/\\:\0"):
            raise Invalid(f"The mapping names the file “{name}”; only plain names inside the folder are read.")
    made = plan["opportunities"]
    told_columns = plan["files"][made["rows"]]["columns"]
    _check_set(plan, made["set"], opportunities.FIELDS, told_columns)
    for told in plan.get("customers", []):
        told["set"]["company"]
        _check_set(plan, told["set"], customers.FIELDS, plan["files"][told["rows"]]["columns"])
    for told, spec in [(t, t["label"]) for t in plan.get("lists", [])] + [
        (t, t["name"]) for t in plan.get("users", [])
    ]:
        _check_spec(plan, spec, plan["files"][told["rows"]]["columns"] if "rows" in told else [])
        if "list" in told and told["list"] not in LISTS:
            raise Invalid(f"The mapping names an unknown list, “{told['list']}”.")
        if "name" in told:
            told["role"]
    days = {made["created"]}
    for wanted in (made["id"], made["stage"]["column"], made["created"]):
        _check_column(wanted, told_columns)
    for moves in made["stage"]["moves"].values():
        status = lifecycle.OPEN
        for step in moves:
            move = lifecycle.named(step["move"])
            if move is None or status not in move.sources:
                raise Invalid(f"The mapping's move “{step['move']}” is not possible from {status}.")
            status = move.target
            days.add(step["on"])
            _check_set(plan, step.get("set", {}), {ask.field for ask in move.asks}, told_columns)
    for column in days:
        _check_column(column, told_columns)
        if column not in plan["dates"]:
            raise Invalid(f"The mapping must name the date format of “{column}”.")


def _check_set(plan: dict[str, Any], told: dict[str, Any], known: Any, columns: list[str]) -> None:
    for name, spec in told.items():
        if name not in known:
            raise Invalid(f"The mapping sets “{name}”, which an import cannot set; remove it.")
        _check_spec(plan, spec, columns)


def _check_spec(plan: dict[str, Any], spec: dict[str, Any], columns: list[str]) -> None:
    if unknown := set(spec) - _SPEC:
        raise Invalid(f"The mapping does not know “{sorted(unknown)[0]}”.")
    if "text" not in spec:
        _check_column(spec["column"], columns)
    if "file" in spec:
        for name in (spec["key"], spec["take"]):
            _check_column(name, plan["files"][spec["file"]]["columns"])


def _check_column(name: str, columns: list[str]) -> None:
    if name not in columns:
        raise Invalid(f"The mapping uses the column “{name}”, which its file does not have.")
