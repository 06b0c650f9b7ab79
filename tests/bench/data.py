"""A company of any size to measure: the same rows on both databases, as the core itself would have left them.

Every opportunity has its course of versions; opportunity, transition, standing and audit tell it alike.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select

from crm_core import clock, customers, fields, leads, lifecycle, opportunities, preferences, settings, users
from crm_core import demo_words as words
from crm_core.access import Actor
from crm_core.schema import FACTS, STILL, app_user, audit, customer, lead, opportunity, standing, transition
from crm_core.steps import told

#: To be raised with any change of what is made here; a database kept from before is then made anew.
VERSION = 2
FIRST, LAST = datetime(2023, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
ROLES = (("org_admin", 1), ("manager", 3), ("sales_engineer", 40), ("application_engineer", 4), ("viewer", 2))
REGIONS, CUSTOMERS = 30, 20_000
#: How many opportunities there are to each lead, and how many leads in a hundred are in which state.
EACH_LEAD = 5
LEAD_STATES = {"new": 30, "contacted": 25, "qualified": 15, "disqualified": 30}
#: The last sales engineers are named as application engineers too.
NAMED_TOO = 4
STATUSES = {lifecycle.OPEN: 25, lifecycle.OFFER_MADE: 15, lifecycle.WON: 30, lifecycle.LOST: 22, lifecycle.REJECTED: 8}
#: The moves to each status, and how many in a hundred take which.
WAYS: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    lifecycle.OPEN: (((), 100),),
    lifecycle.OFFER_MADE: ((("make_offer",), 97), (("lose", "reopen", "make_offer"), 3)),
    lifecycle.WON: ((("make_offer", "win"), 97), (("make_offer", "lose", "reopen", "make_offer", "win"), 3)),
    lifecycle.LOST: ((("make_offer", "lose"), 60), (("lose",), 40)),
    lifecycle.REJECTED: ((("make_offer", "reject"), 30), (("reject",), 70)),
}
EDITED, REASSIGNED = 0.4, 0.05
CHUNK = 5000
WRITTEN = {
    t.name: [c.name for c in t.columns if c.computed is None]
    for t in (customer, lead, opportunity, transition, standing, audit)
}
_REASONS = {
    "lose": [fields.to_code(label) for label in words.LISTS["lost_reason"]],
    "reject": [fields.to_code(label) for label in words.LISTS["rejected_reason"]],
}
_OUTCOME = ("won_value", "reason", "note")

Rows = dict[str, list[tuple[Any, ...]]]


def furnish(conn: Connection) -> None:
    """This function will give an empty database its lists and its people, and mark it as a trial."""
    clock.start(conn, FIRST - timedelta(days=40))
    made = 0
    for role, count in ROLES:
        for _ in range(count):
            made += 1
            first, last = words.FIRST_NAMES[made % 22], words.LAST_NAMES[made % 20]
            values = {"name": f"{first} {last} {made}", "email": f"person{made}@example.in", "role": role}
            if made == 1:
                admin = Actor(users.first_admin(conn, values))
                _lists(conn, admin)
            else:
                users.add(conn, admin, values)
    preferences.store(conn, "trial", "yes")
    preferences.store(conn, "currency", "INR")


def _lists(conn: Connection, admin: Actor) -> None:
    for name, labels in words.LISTS.items():
        for label in [f"Region {n}" for n in range(1, REGIONS + 1)] if name == "region" else labels:
            settings.add(conn, admin, name, label)


class Company:
    """The people of a furnished database and what they did, as rows to write in bulk."""

    def __init__(self, conn: Connection) -> None:
        self.chance = random.Random(VERSION)
        people = list(conn.execute(select(app_user).order_by(app_user.c.id)))
        self.names = {row.id: row.name for row in people}
        by_role: dict[str, list[int]] = {role: [row.id for row in people if row.role == role] for role, _ in ROLES}
        self.admin, self.manager = by_role["org_admin"][0], by_role["manager"][0]
        self.owners = by_role["sales_engineer"] + by_role["manager"]
        self.owner_weights = [1 / (1 + n % 10) for n in range(len(self.owners))]
        self.engineers = by_role["application_engineer"] + by_role["sales_engineer"][-NAMED_TOO:]
        self.regions = list(settings.labels(conn, "region"))
        self.region_weights = [1 / (1 + n % 7) for n in range(len(self.regions))]
        self.sources, self.reasons = (
            list(settings.labels(conn, name)) for name in ("lead_source", "disqualify_reason")
        )
        self.told = conn.scalar(select(func.max(audit.c.id))) or 0
        self.work = [(fields.to_code(unit), *words.WORK[unit]) for unit in words.WORK]

    def customers(self) -> Rows:
        """This function will make the customers, with what the audit says of them."""
        self.homes: list[tuple[str, str]] = []
        made: Rows = {customer.name: [], audit.name: []}
        before = _instant(FIRST - timedelta(days=30))
        for number in range(1, CUSTOMERS + 1):
            _region, state, cities, *_ = self.chance.choice(words.REGIONS)
            city = self.chance.choice(cities)
            firm, trade, form = (self.chance.choice(w) for w in (words.FIRMS, words.TRADES, words.FORMS))
            told = {
                "company": " ".join(f"{firm} {trade} {number} {form}".split()),
                "contact": f"{self.chance.choice(words.FIRST_NAMES)} {self.chance.choice(words.LAST_NAMES)}",
                "phone": f"+91 {self.chance.randint(70000, 99999)} {self.chance.randint(0, 99999):05}",
                "email": f"office{number}@example.in",
                "state": state,
                "city": city,
            }
            self.homes.append((state, city))
            row = customers._keyed(told) | {"id": number, "active": True, "created_at": before, "version": 1}
            made[customer.name].append(_tuple(customer, row | {"created_by_id": self.admin}))
            said = told | {"source_lead_id": None}
            made[audit.name].append(self._said("customer", number, 1, before, self.admin, "create", {}, said))
        return made

    def leads(self, count: int) -> Iterator[Rows]:
        """This function will make the leads in the order of their creation, with what the audit says, some thousands at a time."""
        chance, made = self.chance, {t.name: [] for t in (lead, audit)}
        span = (LAST - FIRST) / max(1, count)
        for number in range(1, count + 1):
            at = _instant(FIRST + span * (number - 1 + chance.random()))
            _region, state, cities, *_ = chance.choice(words.REGIONS)
            firm, trade, form = (chance.choice(w) for w in (words.FIRMS, words.TRADES, words.FORMS))
            told = {
                "contact": f"{chance.choice(words.FIRST_NAMES)} {chance.choice(words.LAST_NAMES)}",
                "company": " ".join(f"{firm} {trade} {number} {form}".split()),
                "phone": f"+91 {chance.randint(70000, 99999)} {chance.randint(0, 99999):05}",
                "email": f"lead{number}@example.in",
                "source": chance.choice(self.sources),
                "region": chance.choices(self.regions, self.region_weights)[0],
                "state": state,
                "city": chance.choice(cities),
                "product": "pump",
                "owner_id": chance.choices(self.owners, self.owner_weights)[0],
                "notes": None,
            }
            status = chance.choices(list(LEAD_STATES), list(LEAD_STATES.values()))[0]
            reason = chance.choice(self.reasons) if status == "disqualified" else None
            row = leads._keyed(told) | {
                "id": number,
                "created_at": at,
                "changed_at": at,
                "version": 1,
                "reason": reason,
            }
            made[lead.name].append(_tuple(lead, row | {"status": status, "created_by_id": told["owner_id"]}))
            made[audit.name].append(self._said("lead", number, 1, at, told["owner_id"], "create", {}, told))
            if number % CHUNK == 0 or number == count:
                yield made
                made = {name: [] for name in made}

    def deals(self, count: int) -> Iterator[Rows]:
        """This function will make the opportunities in the order of their creation, some thousands at a time."""
        made: Rows = {t.name: [] for t in (opportunity, transition, standing, audit)}
        span = (LAST - FIRST) / count
        for number in range(1, count + 1):
            self._deal(number, FIRST + span * (number - 1 + self.chance.random()), made)
            if number % CHUNK == 0 or number == count:
                yield made
                made = {name: [] for name in made}

    def _deal(self, number: int, created: datetime, made: Rows) -> None:
        chance = self.chance
        facts = self._begun(created)
        by = self.manager if chance.random() < 0.08 else facts["owner_id"]
        steps = ["create", *self._course()]
        time = min(LAST - created, timedelta(days=chance.randint(20, 160)))
        parts = sorted(chance.random() for _ in steps[1:])
        ats = [_instant(created + time * part) for part in (0, *parts)]
        born = {name: _plain(name, facts[name]) for name in opportunities.FIELDS} | {"status": facts["status"]}
        made[audit.name].append(self._said("opportunity", number, 1, ats[0], by, "create", {}, born))
        made[transition.name].append((number, 1, "create", None, facts["status"], *ats[:1] * 2, by, *[None] * 4))
        stood = []
        for version, (step, at) in enumerate(zip(steps, ats, strict=True), 1):
            if version > 1:
                facts = self._changed(number, version, step, at, facts, made)
            stood.append(facts | {"id": number, "version": version, "from_at": at})
        for now, ended in zip(told(stood), [*ats[1:], _STILL], strict=True):
            row = now | {"to_at": ended}
            made[standing.name].append(tuple(_stored(row, name) for name in WRITTEN[standing.name]))
        row = {name: _stored(facts, name) for name in (*_FACTS, "note")} | {
            **{"id": number, "search": fields.search_key(facts["title"]), "recorded_at": ats[0], "created_by_id": by},
            **{"changed_at": ats[-1] if len(ats) > 1 else None, "version": len(ats)},
        }
        made[opportunity.name].append(_tuple(opportunity, row))

    def _begun(self, created: datetime) -> dict[str, Any]:
        chance = self.chance
        unit, products, titles = chance.choice(self.work)
        home = int(chance.random() ** 1.5 * CUSTOMERS)
        state, city = self.homes[home]
        at = _instant(created)
        return dict.fromkeys((*_KEYS, "note")) | {
            "title": chance.choice(titles),
            "customer_id": home + 1,
            "region": chance.choices(self.regions, self.region_weights)[0],
            "business_unit": unit,
            "state": state,
            "city": city,
            "product": chance.choice(products),
            "value": int(chance.lognormvariate(13.5, 1.2)) // 1000 * 1000 + 40_000,
            "owner_id": chance.choices(self.owners, self.owner_weights)[0],
            "application_engineer_id": chance.choice(self.engineers) if chance.random() < 0.3 else None,
            "expected_close_on": _later(created, chance.randint(45, 150)),
            "next_step": chance.choice(words.NEXT_STEPS),
            "next_step_on": _later(created, chance.randint(2, 120)),
            "status": lifecycle.OPEN,
            "created_at": at,
            "status_at": at,
        }

    def _course(self) -> list[str]:
        """The steps of one opportunity: its moves, and before the first of them maybe an edit or another owner."""
        chance = self.chance
        status = chance.choices(list(STATUSES), list(STATUSES.values()))[0]
        ways = WAYS[status]
        way = ways[0][0] if chance.random() * 100 < ways[0][1] else ways[1][0]
        first = ["edit"] if chance.random() < EDITED else []
        first += ["reassign"] if chance.random() < REASSIGNED else []
        return [*first, *way]

    def _changed(
        self, number: int, version: int, step: str, at: str, old: dict[str, Any], made: Rows
    ) -> dict[str, Any]:
        """The facts after one step; what the audit and the history say of it is added to `made`."""
        chance, beside = self.chance, {}
        by = self.manager if step in ("reopen", "reassign") else old["owner_id"]
        if step == "edit":
            change = {"value": int(old["value"] * chance.uniform(0.7, 1.4)) // 1000 * 1000 + 1000}
        elif step == "reassign":
            change = {"owner_id": chance.choice([owner for owner in self.owners if owner != old["owner_id"]])}
        else:
            move: Any = lifecycle.named(step)
            outcome = {
                "won_value": int(old["value"] * chance.uniform(0.84, 1.04)) if step == "win" else None,
                "reason": chance.choice(_REASONS[step]) if step in _REASONS else None,
                "note": chance.choice(words.REOPEN_NOTES) if step == "reopen" else None,
            }
            change = {"status": move.target} | {name: v for name, v in outcome.items() if v != old[name]}
            beside = {"status_at": at, "closed_at": at if lifecycle.STAGE[move.target].closed else None}
            told = (outcome["reason"], outcome["note"], _stored(outcome, "won_value_paise"), None)
            made[transition.name].append((number, version, step, old["status"], move.target, at, at, by, *told))
        before, after = ({name: _plain(name, facts[name]) for name in change} for facts in (old, change))
        made[audit.name].append(self._said("opportunity", number, version, at, by, step, before, after))
        return old | change | beside

    def _said(
        self, entity: str, number: int, version: int, at: str, by: int, action: str, before: Any, after: Any
    ) -> tuple[Any, ...]:
        self.told += 1
        told = (at, at, by, self.names[by], action, entity, str(number), version)
        return (self.told, *told, json.dumps(before), json.dumps(after), "")


_KEYS = [column.key for column in FACTS]
_FACTS = [column.name for column in FACTS]
_STILL = STILL.isoformat(timespec="microseconds")


def _stored(facts: dict[str, Any], column: str) -> Any:
    if not column.endswith("_paise"):
        return facts[column]
    rupees = facts[column.removesuffix("_paise")]
    return None if rupees is None else rupees * 100


def _plain(name: str, value: Any) -> Any:
    return str(value) if name in ("value", "won_value") and value is not None else value


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _later(at: datetime, days: int) -> str:
    return str(at.date() + timedelta(days=days))


def _tuple(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in WRITTEN[table.name])
