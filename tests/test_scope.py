"""What anybody reads is what the org admin reads, less what is not theirs: every read, on random companies."""

from __future__ import annotations

import csv
import importlib
import inspect
import io
import itertools
import pkgutil
import random
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Connection

import crm_core
from crm_core import (
    access,
    courses,
    customers,
    denials,
    exports,
    flow,
    forecast,
    headline,
    leads,
    lifecycle,
    offers,
    opportunities,
    periods,
    pipeline,
    reports,
    settings,
    stage_limits,
    steps,
    targets,
    trail,
    trends,
    users,
    views,
)
from crm_core.access import Actor
from crm_core.errors import NotAllowed, NotFound
from crm_core.schema import LISTS
from crm_core.slices import DIMENSIONS, AuditSlice, DenialSlice, LeadSlice, Slice
from tests.conftest import WAY, Office

# long histories: to count the lines of the core that they pass would take as long again
pytestmark = pytest.mark.no_cover

SEES_ALL = {"kavya", "meena", "devi"}
NAMES = ("asha", "ravi", "uma", "arun", "kavya", "devi")
OWNERS = ("asha", "ravi", "uma", "kavya")
YEAR = periods.financial_year(periods.today())
ENGINEERS = ("arun", "vani", "asha", "ravi")


class Inside(Office):
    """The same office, all in one transaction."""

    def __init__(self, office: Office, conn: Connection) -> None:
        super().__init__(office.database, lambda: office.owner)
        self.conn = conn

    def do(self, verb: Any, *args: Any, **named: Any) -> Any:
        return verb(self.conn, *args, **named)

    ask = do


class Company:
    """A random company, and what the org admin reads of it."""

    def __init__(self, office: Inside, seed: int) -> None:
        self.office, self.random = office, random.Random(seed)
        self.known: dict[str, Any] = {}
        self.views: dict[int, tuple[str, bool]] = {}
        for name, role in (("uma", "sales_engineer"), ("vani", "application_engineer")):
            values = {"name": name.title(), "email": f"{name}@example.in", "role": role, "business_unit": "process"}
            office.people[name] = Actor(office.do(users.add, office.meena, values))
        firms = ("Amman Mills", "Bharat Dyes", "Vel Foods", "Noyyal Paper", "Siruvani Salts")
        self.customers = [office.customer(firm, email=f"desk@{number}.in") for number, firm in enumerate(firms)]
        made = [self.deal() for _ in range(24)]
        self.deals = {i: self.ask(opportunities.get, "meena", i) for i in made}
        self.leads = {i: self.ask(leads.get, "meena", i) for i in [self.lead(n) for n in range(12)]}
        rows = [self.ask(offers.of_customer, "meena", home) for home in self.customers]
        for name in NAMES:
            for number in range(3):
                self.view(name, f"View {number}")
        self.offers = {row.id: row for row in itertools.chain(*rows)}

        for kind, about in (("region", "coimbatore"), *(("owner", office.people[o].user_id) for o in OWNERS)):
            office.do(targets.set_many, office.kavya, kind, YEAR, {str(about): f"{self.random.randint(1, 90)} lakh"})

    def ask(self, verb: Any, name: str, *args: Any, **named: Any) -> Any:
        """This function will read as a person; what the org admin reads is read once."""
        if name != "meena":
            return self.office.ask(verb, self.office.people[name], *args, **named)
        what = f"{verb.__module__} {verb.__name__} {args} {named}"
        if what not in self.known:
            self.known[what] = self.office.ask(verb, self.office.meena, *args, **named)
        return self.known[what]

    def deal(self) -> int:
        pick, people = self.random.choice, self.office.people
        engineer = pick((None, *ENGINEERS))
        customer_id = pick(self.customers)
        made = self.office.at(
            pick(tuple(WAY)),
            pick(OWNERS),
            customer_id=customer_id,
            title=pick(("Effluent plant", "Booster set", "Gate valves", None)),
            region=pick(("coimbatore", "outer_chennai")),
            business_unit=pick(("water", "process")),
            product=pick(("pump", "valve")),
            value=str(self.random.randint(1, 9_999_999)),
            application_engineer_id=people[engineer].user_id if engineer else None,
        )
        if self.random.random() < 0.5:
            offer = self.office.offer(customer_id, f"Q-{made}")
            row = self.office.ask(opportunities.get, self.office.meena, made)
            if row.status in ("offer_made", "won") and self.random.random() < 0.7:
                self.office.do(opportunities.link_offer, self.office.kavya, made, offer, seen=row.version)
        return made

    def lead(self, number: int) -> int:
        pick = self.random.choice
        status = pick(("new", "contacted", "qualified"))
        return self.office.lead(pick(OWNERS), status, email=f"mani@{number % 4}.in", region=pick((None, "coimbatore")))

    def view(self, owner: str, name: str) -> None:
        shared = owner in ("asha", "ravi", "uma", "kavya") and self.random.random() < 0.5
        values = {"name": name, "page": "opportunities", "query": "status=open", "shared": shared}
        made = self.office.do(views.save, self.office.people[owner], values)
        self.views[made] = owner, shared

    # Who sees what, by hand

    def sees_deal(self, name: str, made: int) -> bool:
        me, row = self.office.people[name].user_id, self.deals[made]
        if name in SEES_ALL:
            return True
        return row.application_engineer_id == me or (row.owner_id == me and name in OWNERS)

    def sees_lead(self, name: str, made: int) -> bool:
        return name in SEES_ALL or self.leads[made].owner_id == self.office.people[name].user_id

    def sees_offer(self, name: str, offer_id: int) -> bool:
        row = self.offers[offer_id]
        if row.opportunity_id is not None:
            return self.sees_deal(name, row.opportunity_id)
        near = [i for i, deal in self.deals.items() if deal.customer_id == row.customer_id]
        return name in SEES_ALL or any(self.sees_deal(name, i) for i in near)

    # Slices

    def slices(self) -> list[Slice]:
        someone, firm = str(self.office.people[self.random.choice(OWNERS)].user_id), str(self.customers[0])
        return [
            Slice(),
            Slice(status=("open", "won")),
            Slice(region=("coimbatore",), product=("pump",)),
            Slice(owner=(someone,)),
            Slice(customer=(firm,), business_unit=("water", "process")),
            Slice(q=("booster",)),
            Slice(q=("vel foods",)),
            Slice(q=(self.deals[self.random.choice(list(self.deals))].number,)),
            Slice(closed=("2020-01-01..2099-12-31",)),
        ]

    def in_slice(self, name: str, slice_: Slice) -> list[int]:
        """What the org admin lists, less what the person does not see."""
        rows = self.ask(pipeline.listing, "meena", slice_, per_page=1000).rows
        return [i for i in rows["id"] if self.sees_deal(name, i)]


Oracle = Callable[[Company, str], tuple[Any, Any]]


def listing(company: Company, name: str) -> tuple[Any, Any]:
    """Rows, count, both sums and every page (A13 to A15)."""
    wanted, got = [], []
    for slice_ in company.slices():
        ids = company.in_slice(name, slice_)
        deals = [company.deals[i] for i in ids]
        sums = (len(ids), sum(d.value for d in deals), sum(d.won_value or 0 for d in deals), max(1, -(-len(ids) // 5)))
        wanted.append((ids, *sums))
        first = company.ask(pipeline.listing, name, slice_, per_page=5)
        pages = [company.ask(pipeline.listing, name, slice_, page=p, per_page=5) for p in range(1, first.pages + 1)]
        rows = [i for page in pages for i in page.rows["id"]]
        got.append((rows, first.count, first.value, first.won_value, first.pages))
    return wanted, got


def listings(company: Company, name: str) -> tuple[Any, Any]:
    """Several lists at once, each as it is by itself."""
    parts = [(slice_, "-value") for slice_ in company.slices()]
    got = company.ask(pipeline.listings, name, parts, 1000)
    wanted = [set(company.in_slice(name, slice_)) for slice_, _sort in parts]
    return [(len(ids), ids) for ids in wanted], [(listing.count, set(listing.rows["id"])) for listing in got]


def key(deal: Any, dimension: str) -> str:
    column = DIMENSIONS[dimension].column.key
    at = deal._mapping[column]
    return periods.in_india(at).strftime("%Y-%m") if DIMENSIONS[dimension].kind == "range" else str(at)


def totals(company: Company, name: str) -> tuple[Any, Any]:
    """A5, A6: in all and by every dimension; a group with nothing of theirs is at zero or not there."""
    wanted, got = [], []
    for slice_ in company.random.sample(company.slices(), 4):
        deals = [company.deals[i] for i in company.in_slice(name, slice_)]
        for by in [d for d in DIMENSIONS if DIMENSIONS[d].column is not None and DIMENSIONS[d].matches is None]:
            groups: dict[str, list[Any]] = {}
            for deal in deals:
                if deal._mapping[DIMENSIONS[by].column.key] is not None:
                    groups.setdefault(key(deal, by), []).append(deal)
            wanted.append({k: (len(g), sum(d.value for d in g)) for k, g in groups.items()})
            rows = company.ask(pipeline.totals, name, slice_, by=by)
            got.append({r[by]: (r["count"], r["value"]) for _, r in rows.iterrows() if r["count"]})
        whole = company.ask(pipeline.totals, name, slice_)
        wanted.append((len(deals), sum(d.won_value or 0 for d in deals)))
        got.append((whole["count"][0], whole["won_value"][0]))
    return wanted, got


def split(company: Company, name: str) -> tuple[Any, Any]:
    """Several slices at once, by none, one or many dimensions, each as it is by itself."""
    slices = company.slices()
    asked = [(s, by) for s in slices[:3] for by in ((), "region", "created", ("owner", "status"), "age")]
    frames = company.ask(pipeline.split, name, asked)
    assert [] == company.ask(pipeline.split, name, [])
    wanted = [company.ask(pipeline.totals, name, s, by) for s, by in asked]
    return [(list(f.columns), f.to_numpy().tolist()) for f in wanted], [
        (list(f.columns), f.to_numpy().tolist()) for f in frames
    ]


def ids(company: Company, name: str) -> tuple[Any, Any]:
    slices = company.slices()
    return [sorted(company.in_slice(name, s)) for s in slices], [company.ask(pipeline.ids, name, s) for s in slices]


def series(company: Company, name: str) -> tuple[Any, Any]:
    slices = company.slices()
    listed = [company.ask(pipeline.listing, name, s) for s in slices]
    got = [(r.count, r.value, r.won_value) for r in company.ask(pipeline.series, name, [*slices, None])]
    return [*((r.count, r.value, r.won_value) for r in listed), (0, 0, 0)], got


def flows(company: Company, name: str) -> tuple[Any, Any]:
    """What a period closed, by outcome, is what the list of that part counts and sums."""
    wanted, got = [], []
    for slice_, code in itertools.product(company.random.sample(company.slices(), 4), (YEAR, "2026-05")):
        found = company.ask(trends.flows, name, slice_, [periods.parse(code), None])
        for status, sums in found[0].items():
            part = headline.closed(slice_, code, status)
            listed = company.ask(pipeline.listing, name, part) if part else None
            wanted.append((listed.count, listed.value, listed.won_value) if listed else (0, 0, 0))
            got.append((sums.count, sums.value, sums.won_value))
        wanted.append({(0, 0, 0, 0)})
        got.append({(s.count, s.value, s.won_value, s.days) for s in found[1].values()})
    return wanted, got


def on_days(company: Company, name: str) -> tuple[Any, Any]:
    slices = [s for s in company.slices() if not s.closed]
    listed = [company.ask(pipeline.listing, name, s) for s in slices]
    got = [company.ask(trends.on_days, name, s, [date(2020, 1, 1), periods.today()]) for s in slices]
    return [[(0, 0), (r.count, r.value)] for r in listed], got


def breakdown(company: Company, name: str) -> tuple[Any, Any]:
    """Every number of a row is that of the list that it opens."""
    wanted, got = [], []
    for slice_, by in itertools.product(company.slices()[:3], ("region", "owner", "created", "reason")):
        for row in company.ask(pipeline.breakdown, name, slice_, by, "fy2026-27").to_dict("records"):
            for part, count in (("made", "count"), ("won", "won"), ("lost", "lost")):
                dimension, whole = pipeline.parts(slice_, by, "fy2026-27")[part]
                narrowed = whole.narrowed(**{dimension: row["key"]}) if whole else None
                wanted.append(len(company.in_slice(name, narrowed)) if narrowed else 0)
                got.append(row[count])
    return wanted, got


def movement(company: Company, name: str) -> tuple[Any, Any]:
    """The bridge of a person is that of the admin, less what is not theirs."""
    wanted, got = [], []
    for slice_ in (Slice(), Slice(region="coimbatore")):
        moved = company.ask(trends.movement, name, slice_)
        told = {step: (count, change) for step, count, change in moved.steps.itertuples(index=False)}
        for step in steps.STEPS:
            rows = company.ask(pipeline.listing, "meena", slice_.but(moved=step), per_page=1000).rows
            seen = [r.change for r in rows.itertuples(index=False) if company.sees_deal(name, r.id)]
            wanted.append((len(seen), sum(seen)))
            got.append(told.get(step, (0, 0)))
        wanted.append(sum(change for _count, change in told.values()))
        got.append(moved.closing_value)
    return wanted, got


def headline_stages(company: Company, name: str) -> tuple[Any, Any]:
    """Each stage counts and sums what its list does."""
    wanted, got = [], []
    for slice_, code in itertools.product(company.random.sample(company.slices(), 4), ("", "2026-05")):
        found = company.ask(headline.stages, name, slice_, code)
        for stage in lifecycle.STAGES:
            part = headline.closed(slice_, code if stage.closed else "", stage.code)
            listed = company.ask(pipeline.listing, name, part) if part else None
            wanted.append((listed.count, listed.value, listed.won_value) if listed else (0, 0, 0))
            got.append(found[stage.code])
    return wanted, got


def headline_figures(company: Company, name: str) -> tuple[Any, Any]:
    figures = company.ask(headline.figures, name, Slice(), "fy2026-27")
    wanted = [len(company.in_slice(name, f.part)) if f.part else 0 for f in figures]
    return wanted, [f.count if f.part else 0 for f in figures]


def report(company: Company, name: str) -> tuple[Any, Any]:
    """J9"""
    if name in ("arun", "vani", "devi"):
        return refused(lambda: company.ask(reports.dashboard, name, Slice()))
    book = openpyxl.load_workbook(io.BytesIO(company.ask(reports.dashboard, name, Slice())))
    cover = dict(book["Cover"].iter_rows(values_only=True))
    return len(company.in_slice(name, Slice())), cover["Opportunities"]


def export(company: Company, name: str) -> tuple[Any, Any]:
    """J9: the lines of the admin's file, less the others'."""

    def lines(who: str, slice_: Slice) -> list[list[str]]:
        data = company.ask(exports.as_csv, who, slice_)
        return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))

    if name in ("arun", "vani", "devi"):
        return refused(lambda: lines(name, Slice()))
    wanted, got = [], []
    numbers = {deal.number: made for made, deal in company.deals.items()}
    for slice_ in company.slices():
        head, *rows = lines("meena", slice_)
        wanted.append([head, *(r for r in rows if company.sees_deal(name, numbers[r[0]]))])
        got.append(lines(name, slice_))
    return wanted, got


def workbook(company: Company, name: str) -> tuple[Any, Any]:
    """J9: what the person's own file of plain text holds, in the same order."""
    if name in ("arun", "vani", "devi"):
        return refused(lambda: company.ask(exports.as_xlsx, name, Slice()))
    wanted, got = [], []
    for slice_ in company.slices():
        text = company.ask(exports.as_csv, name, slice_).decode("utf-8-sig")
        wanted.append([line[0] for line in csv.reader(io.StringIO(text))])
        book = openpyxl.load_workbook(io.BytesIO(company.ask(exports.as_xlsx, name, slice_)))
        got.append([cell.value for cell in book["Opportunities"]["A"]])
    return wanted, got


def refused(act: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        act()
    except NotAllowed:
        return None, None
    return None, "not refused"


def one_by_one(verb: Any, records: str, sees: Callable[[Company, str, int], bool]) -> Oracle:
    """This function will make the oracle of reading single records: the admin's answer, or none at all."""

    def oracle(company: Company, name: str) -> tuple[Any, Any]:
        wanted, got = {}, {}
        for made in (*getattr(company, records), 999_999):
            seen = made != 999_999 and sees(company, name, made)
            wanted[made] = company.ask(verb, "meena", made) if seen else None
            try:
                got[made] = company.ask(verb, name, made)
            except NotFound:
                got[made] = None
        return wanted, got

    return oracle


def deal_choices(company: Company, name: str) -> tuple[Any, Any]:
    """A6: owners of deals that they see, everything else as for anybody."""
    seen = {str(d.owner_id) for i, d in company.deals.items() if company.sees_deal(name, i)}
    wanted = {d: company.ask(pipeline.choices, "meena", d) for d in DIMENSIONS}
    wanted["owner"] = {i: label for i, label in wanted["owner"].items() if i in seen}
    return wanted, {d: company.ask(pipeline.choices, name, d) for d in DIMENSIONS}


def deal_names(company: Company, name: str) -> tuple[Any, Any]:
    everyone = Slice(owner=tuple(str(a.user_id) for a in company.office.people.values()), status=("open",))
    seen = {str(d.owner_id) for i, d in company.deals.items() if company.sees_deal(name, i)}
    wanted = dict(company.ask(pipeline.names, "meena", everyone))
    wanted["owner"] = {i: label for i, label in wanted["owner"].items() if i in seen}
    return wanted, company.ask(pipeline.names, name, everyone)


def lead_slices(company: Company) -> list[LeadSlice]:
    someone = str(company.office.people[company.random.choice(OWNERS)].user_id)
    return [
        LeadSlice(),
        LeadSlice(status=("new", "qualified")),
        LeadSlice(owner=(someone,)),
        LeadSlice(region=("coimbatore",), source=("website",)),
        LeadSlice(q=("mani@1",)),
    ]


def lead_listing(company: Company, name: str) -> tuple[Any, Any]:
    wanted, got = [], []
    for slice_ in lead_slices(company):
        rows, _count = company.ask(leads.listing, "meena", slice_, per_page=1000)
        seen = [i for i in rows["id"] if company.sees_lead(name, i)]
        wanted.append((seen, len(seen)))
        pages, count = [], company.ask(leads.listing, name, slice_)[1].count
        for page in range(1, -(-count // 3) + 1):
            pages += list(company.ask(leads.listing, name, slice_, page=page, per_page=3)[0]["id"])
        got.append((pages, count))
    return wanted, got


def lead_owners(company: Company, name: str) -> set[str]:
    return {str(lead.owner_id) for made, lead in company.leads.items() if company.sees_lead(name, made)}


def lead_choices(company: Company, name: str) -> tuple[Any, Any]:
    dimensions = ("status", "source", "region", "owner")
    wanted = {d: company.ask(leads.choices, "meena", d) for d in dimensions}
    wanted["owner"] = {i: n for i, n in wanted["owner"].items() if i in lead_owners(company, name)}
    return wanted, {d: company.ask(leads.choices, name, d) for d in dimensions}


def lead_names(company: Company, name: str) -> tuple[Any, Any]:
    everyone = LeadSlice(owner=tuple(str(a.user_id) for a in company.office.people.values()), status=("new",))
    wanted = dict(company.ask(leads.names, "meena", everyone))
    wanted["owner"] = {i: n for i, n in wanted["owner"].items() if i in lead_owners(company, name)}
    return wanted, company.ask(leads.names, name, everyone)


def duplicates(company: Company, name: str) -> tuple[Any, Any]:
    """A19: a warning names customers, and no lead that is not theirs."""
    wanted, got = [], []
    for number in range(4):
        values = {"email": f"mani@{number}.in", "company": "Vel Foods"}
        found = company.ask(leads.duplicates, "meena", values)
        wanted.append([f for f in found if f[0] == "customer" or company.sees_lead(name, f[1])])
        got.append(company.ask(leads.duplicates, name, values))
    return wanted, got


def offers_of_customers(company: Company, name: str) -> tuple[Any, Any]:
    wanted, got = {}, {}
    for home in company.customers:
        rows = company.ask(offers.of_customer, "meena", home)
        wanted[home] = [row for row in rows if company.sees_offer(name, row.id)]
        got[home] = company.ask(offers.of_customer, name, home)
    return wanted, got


def linkable(company: Company, name: str) -> tuple[Any, Any]:
    """An offer that is linked out of their sight is not offered to be linked."""
    wanted, got = {}, {}
    for home in company.customers:
        free = company.ask(offers.linkable, "meena", home)
        wanted[home] = {i: number for i, number in free.items() if company.sees_offer(name, i)}
        got[home] = company.ask(offers.linkable, name, home)
    return wanted, got


def alike(verb: Any, *args: Any) -> Oracle:
    """This function will make the oracle of what everybody reads alike."""
    return lambda company, name: (company.ask(verb, "meena", *args), company.ask(verb, name, *args))


def customer_by_customer(company: Company, name: str) -> tuple[Any, Any]:
    homes = company.customers
    return [company.ask(customers.get, "meena", i) for i in homes], [company.ask(customers.get, name, i) for i in homes]


def gated(verb: Any, *args: Any) -> Oracle:
    """This function will make the oracle of what only the org admin reads."""
    return lambda company, name: refused(lambda: company.ask(verb, name, *args))


def audited(verb: Any, *args: Any) -> Oracle:
    """This function will make the oracle of what only those who read the audit read: all of it, or none."""

    def read(company: Company, name: str) -> Any:
        found = company.office.ask(verb, company.office.people[name], *args)
        return list(found) if inspect.isgenerator(found) else found

    def oracle(company: Company, name: str) -> tuple[Any, Any]:
        if name == "kavya":
            return read(company, "meena"), read(company, name)
        return refused(lambda: read(company, name))

    return oracle


def explained(company: Company, name: str) -> tuple[Any, Any]:
    """Who sees a record, deal by deal."""
    told = [audited(access.explain, "opportunity", made)(company, name) for made in company.deals]
    return [wanted for wanted, _ in told], [got for _, got in told]


def open_records(company: Company, name: str) -> tuple[Any, Any]:
    return gated(users.open_records, company.office.asha.user_id)(company, name)


def owners(company: Company, name: str) -> tuple[Any, Any]:
    """Those whom they may make an owner: everybody who can be one, themselves, or nobody."""
    every = company.ask(users.owners, "meena")
    me = company.office.people[name].user_id
    chosen = every if name in ("kavya", "meena") else {i: label for i, label in every.items() if i == me}
    return chosen, company.ask(users.owners, name)


def flowed(company: Company, name: str) -> tuple[Any, Any]:
    """How far those that they see came, each straight to where it is."""
    wanted, got = [], []
    for slice_ in company.slices():
        deals = [company.deals[i] for i in company.in_slice(name, slice_)]
        reached = {s: [d for d in deals if s in came(d)] for s in WAY}
        moves = Counter(pair for d in deals for pair in itertools.pairwise(came(d)))
        wanted.append(({s: (len(r), sum(d.value for d in r)) for s, r in reached.items()}, moves))
        told = company.ask(flow.flow, name, slice_)
        stages = {s: (count, value) for s, count, value, _share in told.stages.itertuples(index=False)}
        got.append((stages, {(a, b): count for a, b, count, _days in told.moves.itertuples(index=False)}))
    return wanted, got


def came(deal: Any) -> list[str]:
    return ["open", *(lifecycle.named(move).target for move in WAY[deal.status])]


def rates(company: Company, name: str) -> tuple[Any, Any]:
    """The company's, alike for everybody."""
    return company.ask(forecast.rates, "meena").values.tolist(), company.ask(forecast.rates, name).values.tolist()


def visible(verb: Any, counted: Callable[[Company, list[Any]], Any], *args: Any) -> Oracle:
    """This function will make the oracle of a figure that counts the deals of a slice that they see."""

    def oracle(company: Company, name: str) -> tuple[Any, Any]:
        open_ended = [s for s in company.slices() if not s.closed]
        deals = [[company.deals[i] for i in company.in_slice(name, s)] for s in open_ended]
        return [counted(company, d) for d in deals], [company.ask(verb, name, s, *args) for s in open_ended]

    return oracle


def weighed(company: Company, deals: list[Any]) -> Any:
    """What is open, by the company's rates; all of these deals are of today."""
    told = company.ask(forecast.rates, "meena").itertuples(index=False)
    rate = {(row.stage, row.band): row.rate for row in told if row.age == "0-30"}
    bands = [courses.VALUES[(d.value >= 500_000) + (d.value >= 2_000_000)] for d in deals]
    still = [(d, band) for d, band in zip(deals, bands, strict=True) if d.status in lifecycle.PIPELINE]
    return round(sum((d.value * rate[d.status, band] for d, band in still), Decimal(0)), 2)


def stock_today(company: Company, deals: list[Any]) -> Any:
    today, still = periods.today(), [d for d in deals if d.status in lifecycle.PIPELINE]
    late = sum(1 for d in still if d.next_step_on and d.next_step_on < today)
    return {today: forecast.Stock(len(still), sum(d.value for d in still), weighed(company, deals), late)}


def likely(conn: Connection, actor: Actor, slice_: Slice) -> Any:
    told = forecast.likely(conn, actor, slice_)
    return told.won, told.further, told.deals


def won_and_weighed(company: Company, deals: list[Any]) -> Any:
    still = [d for d in deals if d.status in lifecycle.PIPELINE]
    return sum(d.won_value or 0 for d in deals), weighed(company, deals), len(still)


def backtest(company: Company, name: str) -> tuple[Any, Any]:
    """Before today there was nothing, so nothing was foreseen, for anybody."""
    told = company.ask(forecast.backtest, name, Slice(), f"{periods.today():%Y-%m}", 2)
    return [], told.values.tolist()


def saved_views(company: Company, name: str) -> tuple[Any, Any]:
    """Their own first, then the team's."""
    mine = [made for made, (owner, _shared) in company.views.items() if owner == name]
    teams = {made for made, (owner, shared) in company.views.items() if shared and owner != name}
    got = [row.id for row in company.ask(views.listing, name)]
    return (mine, teams), (got[: len(mine)], set(got[len(mine) :]))


def against_targets(company: Company, name: str) -> tuple[Any, Any]:
    """All of it; or the own row of sales engineers, and of the regions the own wins without a target."""
    me = str(company.office.people[name].user_id)
    wanted, got = [], []
    for kind, slice_ in itertools.product(targets.KINDS, (Slice(), Slice(region="coimbatore"), Slice(product="pump"))):
        for who, told in (("meena", wanted), (name, got)):
            told.append(company.ask(targets.achieved, who, kind, slice_, YEAR).drop(columns="share"))
        if name in SEES_ALL:
            continue
        rows = wanted[-1]
        if kind == "owner":
            wanted[-1] = rows[rows["about"] == me]
            continue
        deals = [d for i in company.in_slice(name, slice_) if (d := company.deals[i]).status == "won"]
        theirs = {about: [d.won_value for d in deals if d.region == about] for about in rows["about"]}
        rows = rows.assign(target=None, note="")
        wanted[-1] = rows.assign(achieved=[sum(theirs[a]) for a in theirs], count=[len(theirs[a]) for a in theirs])
    return [frame.values.tolist() for frame in wanted], [frame.values.tolist() for frame in got]


def headlines(company: Company, name: str) -> tuple[Any, Any]:
    """The company's target, or one's own."""
    mine = Slice(owner=company.office.people[name].user_id)
    if name in SEES_ALL:
        return tuple(company.ask(targets.headline, who, Slice(), [YEAR, ""]) for who in ("meena", name))
    wanted = company.ask(targets.headline, "meena", mine, [YEAR])[0][0]
    return [wanted] * 2, [company.ask(targets.headline, name, slice_, [YEAR])[0][0] for slice_ in (mine, Slice())]


READS: dict[str, Oracle] = {
    "flow.flow": flowed,
    "forecast.rates": rates,
    "forecast.weighted": visible(forecast.weighted, weighed),
    "forecast.stocks": visible(forecast.stocks, stock_today, [periods.today()], [periods.today()]),
    "forecast.likely": visible(likely, won_and_weighed),
    "forecast.backtest": backtest,
    "pipeline.listing": listing,
    "pipeline.listings": listings,
    "pipeline.totals": totals,
    "pipeline.split": split,
    "pipeline.ids": ids,
    "pipeline.series": series,
    "trends.flows": flows,
    "trends.on_days": on_days,
    "pipeline.breakdown": breakdown,
    "trends.movement": movement,
    "headline.figures": headline_figures,
    "headline.stages": headline_stages,
    "reports.dashboard": report,
    "pipeline.choices": deal_choices,
    "pipeline.names": deal_names,
    "exports.as_csv": export,
    "exports.as_xlsx": workbook,
    "opportunities.get": one_by_one(opportunities.get, "deals", Company.sees_deal),
    "opportunities.history": one_by_one(opportunities.history, "deals", Company.sees_deal),
    "leads.get": one_by_one(leads.get, "leads", Company.sees_lead),
    "leads.history": one_by_one(leads.history, "leads", Company.sees_lead),
    "leads.listing": lead_listing,
    "leads.choices": lead_choices,
    "leads.names": lead_names,
    "leads.duplicates": duplicates,
    "offers.get": one_by_one(offers.get, "offers", Company.sees_offer),
    "offers.history": one_by_one(offers.history, "offers", Company.sees_offer),
    "offers.of_customer": offers_of_customers,
    "offers.linkable": linkable,
    "customers.get": customer_by_customer,
    "customers.choices": alike(customers.choices, "mills"),
    "customers.listing": alike(customers.listing, "a"),
    "customers.likely": alike(customers.likely, {"company": "Vel Foods", "email": "desk@1.in"}),
    "settings.labels_of": alike(settings.labels_of, "region"),
    "settings.reasons": alike(settings.reasons),
    "settings.rows": gated(settings.rows, next(iter(LISTS))),
    "users.engineers": alike(users.engineers),
    "users.owners": owners,
    "users.listing": gated(users.listing),
    "users.open_records": open_records,
    "access.explain": explained,
    "targets.achieved": against_targets,
    "targets.headline": headlines,
    "targets.listing": audited(targets.listing, "owner", YEAR),
    "stage_limits.listing": audited(stage_limits.listing),
    "trail.listing": audited(trail.listing, AuditSlice(kind=("opportunity",)), 2),
    "trail.everything": audited(trail.everything, AuditSlice(kind=("lead", "offer")), 7),
    "trail.titles": audited(trail.titles, ()),
    "trail.choices": audited(trail.choices, "person"),
    "trail.names": audited(trail.names, AuditSlice(kind=("opportunity",), record=("1", "2", "999999"))),
    "denials.listing": audited(denials.listing, DenialSlice()),
    "views.listing": saved_views,
    "exports.audit_as_csv": audited(exports.audit_as_csv, AuditSlice(kind=("lead",))),
}
#: They tell what may be done with a record that was read already (the lifecycle's table and DOORS test them).
RIGHTS = {f"opportunities.{name}" for name in ("moves", "editable", "can_link")} | {"leads.moves", "offers.editable"}
#: Clauses and people, no rows; used by the reads above.
PARTS = {"access.person", "access.require", "pipeline.within", "pipeline.rows_query"}
#: It says only that something changed.
PARTS |= {"audit.latest"}
WRITES = {"audit.write", "opportunities.insert_one", "customers.insert_one", "denials.record", "exports.on_record"}
WRITES |= {"sign_ins.sign_out_everywhere"}


@pytest.mark.parametrize("seed", [1])
def test_everybody_reads_the_admins_answer_less_what_is_not_theirs(office: Office, seed: int) -> None:
    """A2, A5, A6, A10, A13-A15, A19, J9: every read function, person by person, in one transaction after another."""
    with office.database.write() as conn:
        company = Company(Inside(office, conn), seed)
    for name in NAMES:
        with office.database.write() as conn:  # an export writes its row
            company.office.conn = conn
            for read, oracle in READS.items():
                wanted, got = oracle(company, name)
                assert wanted == got, f"{read} as {name}"


def test_every_read_function_has_its_oracle() -> None:
    """A new one belongs into READS."""
    found = set()
    for module in pkgutil.iter_modules(crm_core.__path__):
        if module.name in ("__main__", "migrations"):
            continue
        for name, verb in vars(importlib.import_module(f"crm_core.{module.name}")).items():
            if inspect.isfunction(verb) and verb.__module__ == f"crm_core.{module.name}" and name[0] != "_":
                asks = list(inspect.signature(verb).parameters)[:2] == ["conn", "actor"]
                if asks and not hasattr(verb, "__wrapped__"):
                    found.add(f"{module.name}.{name}")
    assert set(READS) | RIGHTS | PARTS == found - WRITES
