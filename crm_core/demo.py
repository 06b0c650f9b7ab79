"""A believable company to try the CRM with: “Kaveri Flow Controls”, pumps and valves, three financial years.

Nothing is written past the core: every event is one of its verbs, with the clock moved to when
it happened, in the order of time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from crm_core import (
    access,
    clock,
    customers,
    fields,
    leads,
    lifecycle,
    offers,
    opportunities,
    periods,
    preferences,
    settings,
    stage_limits,
    targets,
    users,
)
from crm_core import demo_words as words
from crm_core.access import Actor
from crm_core.database import Database
from crm_core.errors import Conflict
from crm_core.schema import opportunity
from crm_core.slices import Slice

#: How busy each month is, January first; the financial year ends with March.
SEASON = (1.45, 1.5, 1.7, 0.7, 0.75, 0.85, 0.9, 0.9, 1.0, 0.9, 0.95, 1.1)
SMALLEST, LARGEST = 40_000, 60_000_000
_REGION = {row[0]: row for row in words.REGIONS}
_PERSON = {row[1]: row for row in words.PEOPLE}


def fill(database: Database, today: date | None = None, opportunities: int = 3000) -> None:
    """This function will fill an empty database with the demo's company and about `opportunities` opportunities.

    Three financial years that end with `today` (default: today in India); the same for the same
    day. All or nothing, in one transaction. Raises Conflict when there are users already.
    """
    with database.write() as conn:
        if users.people(conn):
            raise Conflict("This database is in use already; the demo needs an empty one.")
        _Story(conn, today or clock.today(conn), opportunities).tell()
        preferences.store(conn, "trial", "yes")
        preferences.store(conn, "currency", "INR")


@dataclass
class _Deal:
    """What the story remembers of one opportunity."""

    id: int
    owner: str
    customer_id: int
    region: str
    value: int
    status: str = lifecycle.OPEN
    offer_id: int | None = None
    reopened: bool = False


class _Story:
    """The events of three years, told in the order of time."""

    def __init__(self, conn: Connection, today: date, size: int) -> None:
        self.conn, self.today, self.size = conn, today, size
        self.random = random.Random(7)
        year = today.year if today.month >= 4 else today.year - 1
        self.first = date(year - 2, 4, 1)
        self.last = min(clock.now(conn), datetime.combine(today, time(18, 30), periods.IST).astimezone(UTC))
        self.leaving = today - timedelta(days=200)
        self.queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self.ids: dict[str, int] = {}
        self.gone: set[str] = set()
        self.customers: list[tuple[int, str, str, str, float]] = []
        self.deals: list[_Deal] = []
        self.lead_owners: dict[int, str] = {}
        self.names: set[str] = set()
        self.numbers: dict[str, int] = {}

    def tell(self) -> None:
        """Set the company up, plan how its customers, leads and opportunities begin, then let it all happen."""
        clock.start(self.conn, self._instant(self.first - timedelta(days=40)))
        self._set_up()
        count = max(20, self.size // 5)
        for number in range(count):
            early = number < count * 0.55
            day = self.first - timedelta(days=self.random.randint(1, 30)) if early else self._day()
            self._at(day, self._new_customer)
        for _ in range(max(20, self.size // 12)):
            self._at(self._day(), self._new_lead)
        for _ in range(self.size - self.size // 40):
            self._at(self._day(), self._new_deal)
        self._at(self.leaving, self._leave)
        while self.queue:
            at, _, event = heapq.heappop(self.queue)
            clock.start(self.conn, at)
            event()
        self._set_targets()
        clock.start(self.conn)

    def _set_targets(self) -> None:
        """A sixth more than was won a year before, for this financial year and the last, by month as the seasons are."""
        manager = self._actor("meena")
        for year in (self.first.year + 1, self.first.year + 2):
            before, now = (periods.financial_year(date(y, 4, 1)) for y in (year - 1, year))
            for kind in targets.KINDS:
                won = targets.achieved(self.conn, manager, kind, Slice(), before)
                able = {row.about for row in targets.listing(self.conn, manager, kind, now)}
                sums: dict[str, Decimal] = dict(zip(won["about"], won["achieved"], strict=True))
                bases = {about: value for about, value in sums.items() if value and about in able}
                for month in (*range(4, 13), *range(1, 4)):
                    part = Decimal(str(SEASON[month - 1] / sum(SEASON))) * 7 / 6
                    amounts = {about: _rounded(float(base * part)) for about, base in bases.items()}
                    code = f"{year if month >= 4 else year + 1}-{month:02d}"
                    targets.set_many(self.conn, manager, kind, code, amounts)
        stage_limits.set_limits(self.conn, manager, {lifecycle.OPEN: 45, lifecycle.OFFER_MADE: 60})

    def _set_up(self) -> None:
        name, local, *_ = words.PEOPLE[0]
        self.ids[local] = users.first_admin(self.conn, {"name": name, "email": f"{local}@kaveriflow.example"})
        admin = Actor(self.ids[local])
        for list_name, labels in words.LISTS.items():
            for label in labels:
                settings.add(self.conn, admin, list_name, label)
        for name, local, role, unit, *_ in words.PEOPLE[1:]:
            values = {"name": name, "email": f"{local}@kaveriflow.example", "role": role}
            values |= {"business_unit": fields.to_code(unit)} if unit else {}
            self.ids[local] = users.add(self.conn, admin, values)

    # Customers and leads

    def _new_customer(self) -> None:
        region = self._region()
        values = self._company(region)
        if self.random.random() < 0.12:
            values.pop("email")
        made = customers.create(self.conn, self._actor(self._owner(region)), values)
        self._know(made, region, values)

    def _new_lead(self) -> None:
        region = self._region()
        owner = self._owner(region)
        values = self._company(region)
        fate = self.random.choices(("convert", "disqualify", "duplicate", "wait"), (30, 32, 8, 30))[0]
        if fate == "duplicate":
            twin = customers.get(self.conn, self._actor(owner), self._customer(region)[0])
            values |= {"company": twin.company, "email": twin.email}
        values |= {
            "source": fields.to_code(self.random.choice(words.LISTS["lead_source"])),
            "region": fields.to_code(region),
            "product": self.random.choice(("pump", "pump", "valve")),
        }
        lead_id = leads.create(self.conn, self._actor(owner), values)
        self.lead_owners[lead_id] = owner
        ends_early = fate in ("disqualify", "duplicate") and self.random.random() < 0.5
        if ends_early:
            self._later(2, 20, lambda: self._drop_lead(lead_id, fate))
        elif fate != "wait" or self.random.random() < 0.75:
            self._later(1, 15, lambda: self._work_lead(lead_id, fate, region, values))

    def _work_lead(self, lead_id: int, fate: str, region: str, values: dict[str, Any]) -> None:
        leads.contact(self.conn, self._lead_actor(lead_id), lead_id)
        if fate in ("disqualify", "duplicate"):
            self._later(5, 40, lambda: self._drop_lead(lead_id, fate))
        elif fate == "convert" or self.random.random() < 0.4:
            self._later(4, 30, lambda: self._qualify_lead(lead_id, fate, region, values))

    def _qualify_lead(self, lead_id: int, fate: str, region: str, values: dict[str, Any]) -> None:
        leads.qualify(self.conn, self._lead_actor(lead_id), lead_id)
        if fate == "convert":
            self._later(2, 25, lambda: self._convert_lead(lead_id, region, values))

    def _drop_lead(self, lead_id: int, fate: str) -> None:
        reason = "Duplicate" if fate == "duplicate" else self.random.choice(words.LISTS["disqualify_reason"][1:])
        leads.disqualify(self.conn, self._lead_actor(lead_id), lead_id, {"reason": fields.to_code(reason)})
        self.lead_owners.pop(lead_id)

    def _convert_lead(self, lead_id: int, region: str, values: dict[str, Any]) -> None:
        owner = self.lead_owners.pop(lead_id)
        first, value = None, self._value()
        if self.random.random() < 0.85:
            first = self._wishes(owner, value) | {"product": values["product"]}
            first["business_unit"] = "valves" if values["product"] == "valve" else "industrial_pumps"
            first["title"] = None
        customer_id = leads.convert(self.conn, self._actor(owner), lead_id, first)
        self._know(customer_id, region, values)
        if first:
            made = self.conn.scalar(select(opportunity.c.id).where(opportunity.c.source_lead_id == lead_id))
            self._plan(_Deal(int(made or 0), owner, customer_id, region, value))

    # Opportunities

    def _new_deal(self) -> None:
        region = self._region()
        customer_id, home, *_ = self._customer(region)
        owner, value = self._owner(home), self._value()
        values = self._wishes(owner, value) | {"customer_id": customer_id, "region": fields.to_code(home)}
        by = "meena" if self.random.random() < 0.08 else owner
        if by != owner:
            values["owner_id"] = self.ids[owner]
        made = opportunities.create(self.conn, self._actor(by), values)
        self._plan(_Deal(made, owner, customer_id, home, value))

    def _plan(self, deal: _Deal) -> None:
        self.deals.append(deal)
        draw = self.random.random()
        if draw < 0.77:
            self._later(4, 38, lambda: self._make_offer(deal))
        elif draw < 0.985:
            self._later(10, 90, lambda: self._fail(deal))
        self._later(30, 75, lambda: self._review(deal))

    def _make_offer(self, deal: _Deal) -> None:
        if deal.status != lifecycle.OPEN:
            return
        asked: dict[str, Any] = {}
        if deal.offer_id is None and self.random.random() < 0.85:
            amount = _rounded(deal.value * self.random.uniform(0.92, 1.08))
            values = {"number": self._number(), "customer_id": deal.customer_id, "amount": amount, "status": "sent"}
            deal.offer_id = asked["offer_id"] = offers.create(self.conn, self._deal_actor(deal), values)
        self._move(deal, "make_offer", asked)
        chance = 0.37 * _REGION[deal.region][4] * _PERSON[deal.owner][6] * (0.85 if deal.value > 5_000_000 else 1.05)
        draw = self.random.random()
        if draw < chance:
            self._later(12, 95, lambda: self._win(deal))
        elif draw < 0.975:
            self._later(15, 120, lambda: self._fail(deal))

    def _win(self, deal: _Deal) -> None:
        if deal.status != lifecycle.OFFER_MADE:
            return
        value = _rounded(min(LARGEST, deal.value * self.random.uniform(0.84, 1.04)))
        if deal.offer_id:
            offers.edit(self.conn, self._deal_actor(deal), deal.offer_id, {"status": "accepted"})
        self._move(deal, "win", {"won_value": value})

    def _fail(self, deal: _Deal) -> None:
        if deal.status not in lifecycle.PIPELINE:
            return
        if self.random.random() < 0.2:
            reason = self.random.choice(words.LISTS["rejected_reason"])
            self._move(deal, "reject", {"reason": fields.to_code(reason)})
            return
        which = self.random.choices(range(len(words.LOST_NOTES)), words.LOST_WEIGHTS)[0]
        asked = {"reason": fields.to_code(words.LISTS["lost_reason"][which])}
        if self.random.random() < 0.3:
            asked["note"] = words.LOST_NOTES[which]
        self._move(deal, "lose", asked)
        if not deal.reopened and self.random.random() < 0.02:
            self._later(10, 60, lambda: self._reopen(deal))

    def _reopen(self, deal: _Deal) -> None:
        deal.reopened = True
        self._move(deal, "reopen", {"note": self.random.choice(words.REOPEN_NOTES)}, by="meena")
        self._later(3, 20, lambda: self._make_offer(deal))

    def _review(self, deal: _Deal) -> None:
        """Every other month somebody looks at what is still open: another step, date or value, rarely owner."""
        if deal.status not in lifecycle.PIPELINE:
            return
        draw, today = self.random.random(), clock.today(self.conn)
        if draw < 0.05:
            deal.owner = self._owner(deal.region)
            opportunities.reassign(self.conn, self._actor("meena"), deal.id, self.ids[deal.owner])
        changes: dict[str, Any] = {"next_step": self.random.choice(words.NEXT_STEPS)}
        changes["next_step_on"] = today + timedelta(days=self.random.randint(3, 40))
        if draw > 0.35:
            changes["expected_close_on"] = today + timedelta(days=self.random.randint(15, 110))
        if draw > 0.7:
            deal.value = _rounded(deal.value * self.random.uniform(0.75, 1.3))
            changes["value"] = deal.value
        opportunities.edit(self.conn, self._deal_actor(deal), deal.id, changes)
        self._later(35, 75, lambda: self._review(deal))

    def _move(self, deal: _Deal, name: str, asked: dict[str, Any], by: str | None = None) -> None:
        actor = self._actor(by) if by else self._deal_actor(deal)
        opportunities.move(self.conn, actor, deal.id, name, asked)
        made = lifecycle.named(name)
        assert made is not None
        deal.status = made.target

    def _leave(self) -> None:
        """One engineer leaves: the open work goes to the others, the closed stays in their name."""
        leaver, manager = words.LEAVER, self._actor("meena")
        self.gone.add(leaver)
        for deal in self.deals:
            if deal.owner == leaver and deal.status in lifecycle.PIPELINE:
                deal.owner = self._owner(deal.region)
                opportunities.reassign(self.conn, manager, deal.id, self.ids[deal.owner])
        for lead_id in [i for i, owner in self.lead_owners.items() if owner == leaver]:
            self.lead_owners[lead_id] = "asha"
            leads.edit(self.conn, manager, lead_id, {"owner_id": self.ids["asha"]})
        users.deactivate(self.conn, self._actor(words.PEOPLE[0][1]), self.ids[leaver])

    # When, who, where, how much

    def _day(self) -> date:
        """A day of the three years: busier before the year's end, and a little busier every year."""
        span = (self.today - self.first).days
        while True:
            day = self.first + timedelta(days=self.random.randint(0, span))
            growth = 0.8 + 0.2 * (day - self.first).days / max(1, span)
            if day.weekday() < 6 and self.random.random() * max(SEASON) < SEASON[day.month - 1] * growth:
                return day

    def _instant(self, day: date) -> datetime:
        """A moment of that day's office hours in India, as UTC; Sundays count as the Monday after."""
        day += timedelta(days=1 if day.weekday() == 6 else 0)
        opened = datetime.combine(day, time(9, 30), periods.IST)
        return (opened + timedelta(seconds=self.random.randint(0, 31_000))).astimezone(UTC)

    def _at(self, day: date, event: Callable[[], None]) -> None:
        at = self._instant(day)
        if at <= self.last:
            heapq.heappush(self.queue, (at, self.random.getrandbits(60), event))

    def _later(self, least: int, most: int, event: Callable[[], None]) -> None:
        days = round(self.random.triangular(least, most, least + (most - least) / 4))
        self._at(clock.today(self.conn) + timedelta(days=max(1, days)), event)

    def _actor(self, local: str) -> Actor:
        return Actor(self.ids[local])

    def _deal_actor(self, deal: _Deal) -> Actor:
        return self._actor("meena" if deal.owner in self.gone else deal.owner)

    def _lead_actor(self, lead_id: int) -> Actor:
        return self._actor(self.lead_owners[lead_id])

    def _owner(self, region: str) -> str:
        """Mostly an engineer who covers the region, now and then anybody who may own, more the busy ones."""
        here = [p for p in words.PEOPLE if p[2] in access.OWNING_ROLES and p[5] and p[1] not in self.gone]
        if self.random.random() < 0.85:
            here = [p for p in here if region in p[4]]
        return self.random.choices(here, [p[5] for p in here])[0][1]

    def _region(self) -> str:
        return self.random.choices(words.REGIONS, [row[3] for row in words.REGIONS])[0][0]

    def _customer(self, region: str) -> tuple[int, str, str, str, float]:
        here = [c for c in self.customers if c[1] == region] or self.customers
        return self.random.choices(here, [c[4] for c in here])[0]

    def _know(self, customer_id: int, region: str, values: dict[str, Any]) -> None:
        weight = self.random.paretovariate(1.2)
        self.customers.append((customer_id, region, values["state"], values["city"], min(weight, 25.0)))

    def _company(self, region: str) -> dict[str, Any]:
        _, state, cities, *_ = _REGION[region]
        city = self.random.choice(cities)
        contact = f"{self.random.choice(words.FIRST_NAMES)} {self.random.choice(words.LAST_NAMES)}"
        company = self._name(city)
        return {
            "company": company,
            "contact": contact,
            "phone": f"+91 {self.random.randint(70000, 99999)} {self.random.randint(0, 99999):05}",
            "email": f"{contact.split()[0].lower()}@{fields.to_code(company).replace('_', '')}.example",
            "state": state,
            "city": city,
        }

    def _name(self, city: str) -> str:
        while True:
            if self.random.random() < 0.1:
                name = self.random.choice(words.PUBLIC_BODIES).format(city=city)
            else:
                parts = (self.random.choice(w) for w in (words.FIRMS, words.TRADES, words.FORMS))
                name = " ".join(parts).strip()
            if name not in self.names:
                self.names.add(name)
                return name

    def _wishes(self, owner: str, value: int) -> dict[str, Any]:
        own = _PERSON[owner][3]
        others = list(words.WORK)
        unit = own if own and self.random.random() < 0.6 else self.random.choices(others, (4, 3, 3, 1))[0]
        products, titles = words.WORK[unit]
        today = clock.today(self.conn)
        wishes: dict[str, Any] = {
            "title": self.random.choice(titles),
            "business_unit": fields.to_code(unit),
            "product": self.random.choice(products),
            "value": value,
            "expected_close_on": today + timedelta(days=self.random.randint(45, 150)),
        }
        if self.random.random() < 0.7:
            wishes["next_step"] = self.random.choice(words.NEXT_STEPS)
            wishes["next_step_on"] = today + timedelta(days=self.random.randint(2, 30))
        if self.random.random() < 0.45:
            wishes["application_engineer_id"] = self.ids["nisha" if wishes["product"] == "valve" else "gopal"]
        return wishes

    def _value(self) -> int:
        return _rounded(self.random.lognormvariate(13.4, 1.15))

    def _number(self) -> str:
        today = clock.today(self.conn)
        year = today.year if today.month >= 4 else today.year - 1
        label = f"{year}-{(year + 1) % 100:02}"
        self.numbers[label] = self.numbers.get(label, 0) + 1
        return f"KFL/{label}/{self.numbers[label]:04}"


def _rounded(value: float) -> int:
    """Rupees as people name them: in thousands, then five thousands, quarter lakhs, lakhs."""
    kept = max(SMALLEST, min(LARGEST, value))
    step = 1_000 if kept < 100_000 else 5_000 if kept < 1_000_000 else 25_000 if kept < 10_000_000 else 100_000
    return int(Decimal(kept / step).to_integral_value()) * step
