"""The policy by hand: every verb of the core, every role, own, another's and missing records; and what happens."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import crm_core
from crm_core import (
    access,
    audit,
    clock,
    customers,
    denials,
    exports,
    flow,
    forecast,
    headline,
    leads,
    offers,
    opportunities,
    pipeline,
    reports,
    settings,
    sign_ins,
    stage_limits,
    targets,
    trail,
    trends,
    users,
    views,
)
from crm_core.access import DENIALS, Actor
from crm_core.errors import Invalid, NotAllowed, NotFound
from crm_core.periods import Period, today
from crm_core.slices import AuditSlice, DenialSlice, LeadSlice, Slice
from tests.conftest import Office
from tests.test_house import table

#: A sales engineer, an application engineer, a manager, an org admin, a viewer: the five letters of a cell.
PEOPLE = ("asha", "arun", "kavya", "meena", "devi")
NOWHERE = 999_999
YEAR = "fy2026-27"


class Absent(Exception):
    """A person of this role can have no such record."""


class Things(dict[str, Any]):
    """The records that a cell is about."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise Absent(name)
        return self[name]


@dataclass(frozen=True)
class Rule:
    """What happens (`cells`), whose sentences the refused read, and how it is done."""

    cells: str
    sentences: str
    act: Callable[..., Any]


def edit(verb: Any, thing: str, **changes: Any) -> Callable[..., Any]:
    return lambda conn, actor, it: verb(conn, actor, getattr(it, thing), changes)


def one(verb: Any, thing: str, *args: Any) -> Callable[..., Any]:
    return lambda conn, actor, it: verb(conn, actor, getattr(it, thing), *args)


def row(verb: Any, get: Any, thing: str) -> Callable[..., Any]:
    """This function will ask about a record that somebody who sees all has read."""
    return lambda conn, actor, it: verb(conn, actor, get(conn, it.kavya, getattr(it, thing)))


def every(verb: Any, *args: Any) -> Callable[..., Any]:
    return lambda conn, actor, it: verb(conn, actor, *args) is not None


LEAD = {"contact": "Mani", "company": "Vel Mills", "source": "website"}
USER = {"name": "Selvi", "email": "selvi@example.in"}
VIEW = {"name": "Water", "page": "opportunities", "query": "business_unit=water"}


def deal(it: Things, **more: Any) -> dict[str, Any]:
    given = {"region": "coimbatore", "business_unit": "water", "product": "pump", "value": 1}
    return given | {"customer_id": it.customer} | more


# x works, or shows it · 0 works, and shows or changes nothing of it · . NotAllowed · ? NotFound · ! Invalid ·
# - nobody of this role has such a record
SEES = "own xxxx- other ??xxx missing ?????"
SEES_LEAD = "own x-xx- other ??xxx missing ?????"
LISTS = "own xxxx- other 00xxx"
LISTS_LEAD = "own x-xx- other 00xxx"
CHANGES = "own x.xx- other ??xx. missing ?????"
CHANGES_LEAD = "own x-xx- other ??xx. missing ?????"
OFFERED = "own x0xx- other 00xx0"
MANAGES = "own ..xx- other ..xx. missing ..??."
ADMINS = "own ...x. other ...x. missing ...?."
LISTED = "there ...x. missing ...?."

POLICY = {
    "access.person": Rule("all xxxxx", "", every(access.person)),
    "access.require": Rule("all x.xx.", "export", every(access.require, "export")),
    "access.explain": Rule(
        "own ..xx- other ..xx. missing ..??.",
        "audit.read",
        lambda conn, actor, it: access.explain(conn, actor, "opportunity", it.deal),
    ),
    "access.explain: a lead": Rule(
        "own .-xx- other ..xx. missing ..??.",
        "audit.read",
        lambda conn, actor, it: access.explain(conn, actor, "lead", it.lead),
    ),
    "opportunities.create": Rule(
        "all x.xx.",
        "opportunity.create",
        lambda conn, actor, it: opportunities.create(conn, actor, deal(it)),
    ),
    "opportunities.create: for somebody else": Rule(
        "all ..xx.",
        "opportunity.create opportunity.reassign",
        lambda conn, actor, it: opportunities.create(conn, actor, deal(it, owner_id=it.uma)),
    ),
    "opportunities.create: of a past day": Rule(
        "all ...x.",
        "opportunity.create import",
        lambda conn, actor, it: opportunities.create(conn, actor, deal(it), external_ref="x:1"),
    ),
    "opportunities.get": Rule(SEES, "", one(opportunities.get, "deal")),
    "opportunities.history": Rule(SEES, "", one(opportunities.history, "deal")),
    "opportunities.edit": Rule(CHANGES, "opportunity.change", edit(opportunities.edit, "deal", title="Two pumps")),
    "opportunities.edit: its owner": Rule(
        "own ..xx- other ??xx. missing ?????",
        "opportunity.change opportunity.reassign",
        lambda conn, actor, it: opportunities.edit(conn, actor, it.deal, {"owner_id": it.uma}),
    ),
    "opportunities.move": Rule(
        CHANGES, "opportunity.change", one(opportunities.move, "deal", "lose", {"reason": "price"})
    ),
    "opportunities.move: reopen": Rule(
        "own ..xx- other ??xx. missing ?????",
        "opportunity.change opportunity.reopen",
        one(opportunities.move, "closed", "reopen", {"note": "They called again"}),
    ),
    "opportunities.move: of a past day": Rule(
        "own ...x- other ??.x. missing ?????",
        "opportunity.change import",
        lambda conn, actor, it: opportunities.move(
            conn, actor, it.deal, "lose", {"reason": "price"}, at=clock.now(conn)
        ),
    ),
    "opportunities.link_offer": Rule(
        CHANGES,
        "opportunity.change",
        lambda conn, actor, it: opportunities.link_offer(conn, actor, it.deal, it.free),
    ),
    "opportunities.link_offer: of a closed one": Rule(
        "own ..xx- other ??xx. missing ?????",
        "opportunity.change opportunity.change_closed",
        lambda conn, actor, it: opportunities.link_offer(conn, actor, it.closed, it.free),
    ),
    "opportunities.reassign": Rule(
        MANAGES,
        "opportunity.reassign",
        lambda conn, actor, it: opportunities.reassign(conn, actor, it.deal, it.uma),
    ),
    "opportunities.moves": Rule(OFFERED, "", row(opportunities.moves, opportunities.get, "deal")),
    "opportunities.editable": Rule(OFFERED, "", row(opportunities.editable, opportunities.get, "deal")),
    "opportunities.can_link": Rule(OFFERED, "", row(opportunities.can_link, opportunities.get, "deal")),
    "opportunities.moves: of a closed one": Rule(
        "own 00xx- other 00xx0", "", row(opportunities.moves, opportunities.get, "closed")
    ),
    "opportunities.can_link: of a closed one": Rule(
        "own 00xx- other 00xx0", "", row(opportunities.can_link, opportunities.get, "closed")
    ),
    "pipeline.listing": Rule(
        LISTS, "", lambda conn, actor, it: it.deal in set(pipeline.listing(conn, actor, Slice()).rows["id"])
    ),
    "pipeline.listings": Rule(
        LISTS,
        "",
        lambda conn, actor, it: it.deal in set(pipeline.listings(conn, actor, [(Slice(), "value")])[0].rows["id"]),
    ),
    "pipeline.ids": Rule(LISTS, "", lambda conn, actor, it: it.deal in pipeline.ids(conn, actor, Slice())),
    "pipeline.totals": Rule(
        LISTS, "", lambda conn, actor, it: pipeline.totals(conn, actor, Slice(customer=it.customer))["count"][0]
    ),
    "pipeline.split": Rule(
        LISTS,
        "",
        lambda conn, actor, it: sum(pipeline.split(conn, actor, [(Slice(customer=it.customer), "status")])[0]["count"]),
    ),
    "pipeline.series": Rule(
        LISTS, "", lambda conn, actor, it: pipeline.series(conn, actor, [Slice(customer=it.customer)])[0].count
    ),
    "trends.flows": Rule(
        LISTS,
        "",
        lambda conn, actor, it: sum(
            s.count for s in trends.flows(conn, actor, Slice(customer=it.customer), [Period(None, None)])[0].values()
        ),
    ),
    "trends.on_days": Rule(
        LISTS, "", lambda conn, actor, it: trends.on_days(conn, actor, Slice(customer=it.customer), [today()])[0][0]
    ),
    "pipeline.breakdown": Rule(
        LISTS,
        "",
        lambda conn, actor, it: sum(pipeline.breakdown(conn, actor, Slice(customer=it.customer), "product")["count"]),
    ),
    "trends.movement": Rule(
        LISTS, "", lambda conn, actor, it: len(trends.movement(conn, actor, Slice(customer=it.customer)).steps)
    ),
    "pipeline.rows_query": Rule(
        LISTS,
        "",
        lambda conn, actor, it: conn.execute(
            pipeline.rows_query(conn, actor, Slice(customer=it.customer), "value")
        ).first(),
    ),
    "headline.figures": Rule("all xxxxx", "", every(headline.figures, Slice())),
    "headline.stages": Rule(
        LISTS,
        "",
        lambda conn, actor, it: sum(n for n, *_ in headline.stages(conn, actor, Slice(customer=it.customer)).values()),
    ),
    "audit.latest": Rule("all xxxxx", "", every(audit.latest)),
    "reports.dashboard": Rule("all x.xx.", "export", every(reports.dashboard, Slice())),
    "flow.flow": Rule(
        LISTS, "", lambda conn, actor, it: flow.flow(conn, actor, Slice(customer=it.customer)).stages["count"][0]
    ),
    "forecast.rates": Rule("all xxxxx", "", every(forecast.rates)),
    "forecast.weighted": Rule(
        LISTS, "", lambda conn, actor, it: forecast.weighted(conn, actor, Slice(customer=it.customer))
    ),
    "forecast.stocks": Rule(
        LISTS,
        "",
        lambda conn, actor, it: forecast.stocks(conn, actor, Slice(customer=it.customer), [today()], [])[today()].count,
    ),
    "forecast.likely": Rule(
        LISTS, "", lambda conn, actor, it: forecast.likely(conn, actor, Slice(customer=it.customer)).won
    ),
    "forecast.backtest": Rule("all xxxxx", "", every(forecast.backtest, Slice(), "fy2025-26")),
    "pipeline.choices": Rule(
        LISTS, "", lambda conn, actor, it: str(it.owner) in pipeline.choices(conn, actor, "owner")
    ),
    "pipeline.names": Rule(
        LISTS, "", lambda conn, actor, it: pipeline.names(conn, actor, Slice(owner=it.owner)).get("owner")
    ),
    "pipeline.within": Rule("all xxxxx", "", every(pipeline.within, Slice())),
    "exports.as_csv": Rule(
        "own x.xx- other 0.xx.",
        "export",
        lambda conn, actor, it: it.company in exports.as_csv(conn, actor, Slice()).decode(),
    ),
    "exports.as_xlsx": Rule("all x.xx.", "export", every(exports.as_xlsx, Slice())),
    "exports.audit_as_csv": Rule("all ..xx.", "export audit.read", every(exports.audit_as_csv, AuditSlice())),
    "leads.create": Rule("all x.xx.", "lead.create", every(leads.create, LEAD)),
    "leads.create: for somebody else": Rule(
        "all ..xx.",
        "lead.create opportunity.reassign",
        lambda conn, actor, it: leads.create(conn, actor, LEAD | {"owner_id": it.uma}),
    ),
    "leads.get": Rule(SEES_LEAD, "", one(leads.get, "lead")),
    "leads.history": Rule(SEES_LEAD, "", one(leads.history, "lead")),
    "leads.edit": Rule(CHANGES_LEAD, "lead.change", edit(leads.edit, "lead", city="Erode")),
    "leads.edit: its owner": Rule(
        "own .-xx- other ??xx. missing ?????",
        "lead.change opportunity.reassign",
        lambda conn, actor, it: leads.edit(conn, actor, it.lead, {"owner_id": it.uma}),
    ),
    "leads.contact": Rule(CHANGES_LEAD, "lead.change", one(leads.contact, "lead")),
    "leads.qualify": Rule(CHANGES_LEAD, "lead.change", one(leads.qualify, "lead")),
    "leads.disqualify": Rule(CHANGES_LEAD, "lead.change", one(leads.disqualify, "lead", {"reason": "duplicate"})),
    "leads.convert": Rule("own x-xx- other ?.xx. missing ?.??.", "customer.create", one(leads.convert, "qualified")),
    "leads.moves": Rule("own x-xx- other 00xx0", "", row(leads.moves, leads.get, "lead")),
    "leads.listing": Rule(
        LISTS_LEAD, "", lambda conn, actor, it: it.lead in set(leads.listing(conn, actor, LeadSlice())[0]["id"])
    ),
    "leads.duplicates": Rule(
        LISTS_LEAD,
        "",
        lambda conn, actor, it: (
            ("lead", it.lead) in {found[:2] for found in leads.duplicates(conn, actor, {"phone": it.phone})}
        ),
    ),
    "leads.choices": Rule(
        LISTS_LEAD, "", lambda conn, actor, it: it.lead and str(it.owner) in leads.choices(conn, actor, "owner")
    ),
    "leads.names": Rule(
        LISTS_LEAD,
        "",
        lambda conn, actor, it: it.lead and leads.names(conn, actor, LeadSlice(owner=it.owner)).get("owner"),
    ),
    "offers.create": Rule(
        "own x.xx- other !.xx. missing !.!!.",
        "offer.create",
        lambda conn, actor, it: offers.create(conn, actor, {"number": "Q-9", "amount": 1, "customer_id": it.customer}),
    ),
    "offers.get": Rule(SEES, "", one(offers.get, "offer")),
    "offers.get: linked to nothing": Rule(SEES, "", one(offers.get, "free")),
    "offers.history": Rule(SEES, "", one(offers.history, "offer")),
    "offers.edit": Rule(
        "own x.xx- other ?.xx. missing ?.??.", "offer.create", edit(offers.edit, "offer", status="sent")
    ),
    "offers.edit: linked to nothing": Rule(
        "own x.xx- other ?.xx. missing ?.??.", "offer.create", edit(offers.edit, "free", status="sent")
    ),
    "offers.editable": Rule(OFFERED, "", row(offers.editable, offers.get, "offer")),
    "offers.of_customer": Rule(LISTS + " missing 00000", "", one(offers.of_customer, "customer")),
    "offers.linkable": Rule(LISTS + " missing 00000", "", one(offers.linkable, "customer")),
    "customers.get": Rule("there xxxxx missing ?????", "", one(customers.get, "customer")),
    "customers.choices": Rule("all xxxxx", "", every(customers.choices)),
    "customers.listing": Rule("all xxxxx", "", every(customers.listing)),
    "customers.likely": Rule(
        "there xxxxx missing 00000", "", lambda conn, actor, it: customers.likely(conn, actor, {"company": it.company})
    ),
    "customers.create": Rule("all x.xx.", "customer.create", every(customers.create, {"company": "Vel"})),
    "customers.edit": Rule(
        "there x.xx. missing ?.??.", "customer.change", edit(customers.edit, "customer", city="Erode")
    ),
    "customers.deactivate": Rule("there ..xx. missing ..??.", "customer.retire", one(customers.deactivate, "customer")),
    "customers.reactivate": Rule("there ..xx. missing ..??.", "customer.retire", one(customers.reactivate, "customer")),
    "customers.merge": Rule(
        "there ..xx. missing ..??.",
        "customer.retire",
        lambda conn, actor, it: customers.merge(conn, actor, it.customer, it.home),
    ),
    "settings.rows": Rule("all ...x.", "settings.change", every(settings.rows, "region")),
    "settings.labels_of": Rule("all xxxxx", "", every(settings.labels_of, "region")),
    "settings.reasons": Rule("all xxxxx", "", every(settings.reasons)),
    "settings.add": Rule("all ...x.", "settings.change", every(settings.add, "region", "Salem")),
    "settings.rename": Rule(
        LISTED, "settings.change", lambda conn, actor, it: settings.rename(conn, actor, "region", it.code, "Kovai")
    ),
    "settings.retire": Rule(
        LISTED, "settings.change", lambda conn, actor, it: settings.retire(conn, actor, "region", it.code)
    ),
    "settings.restore": Rule(
        LISTED, "settings.change", lambda conn, actor, it: settings.restore(conn, actor, "region", it.code)
    ),
    "users.listing": Rule("all ...x.", "users.change", every(users.listing)),
    "users.open_records": Rule(
        "own ...x. other ...x. missing ...0.",
        "users.change",
        lambda conn, actor, it: any(users.open_records(conn, actor, it.user)),
    ),
    "users.owners": Rule(
        "own x0xx0 other 00xx0 missing 00000", "", lambda conn, actor, it: it.user in users.owners(conn, actor)
    ),
    "users.engineers": Rule("all xxxxx", "", every(users.engineers)),
    "users.add": Rule("all ...x.", "users.change", every(users.add, USER | {"role": "viewer"})),
    "users.add: an org admin": Rule("all ...x.", "users.change", every(users.add, USER | {"role": "org_admin"})),
    "users.edit": Rule(ADMINS, "users.change", edit(users.edit, "user", name="Selvi")),
    "users.change_role": Rule(ADMINS, "users.change", one(users.change_role, "user", "org_admin")),
    "users.deactivate": Rule(ADMINS, "users.change", one(users.deactivate, "user")),
    "users.deactivate: handing over": Rule(
        ADMINS, "users.change", lambda conn, actor, it: users.deactivate(conn, actor, it.user, it.uma)
    ),
    "users.reactivate": Rule(ADMINS, "users.change", one(users.reactivate, "user")),
    "sign_ins.sign_out_everywhere": Rule(
        "all xxxxx", "", lambda conn, actor, it: sign_ins.sign_out_everywhere(conn, actor) is None
    ),
    "targets.listing": Rule("all ..xx.", "targets.change", every(targets.listing, "region", YEAR)),
    "targets.set_many": Rule("all ..xx.", "targets.change", every(targets.set_many, "region", YEAR, {"coimbatore": 1})),
    "targets.achieved": Rule(
        "own x0xx- other 00xxx",
        "",
        lambda conn, actor, it: any(targets.achieved(conn, actor, "owner", Slice(owner=it.owner))["count"]),
    ),
    "targets.headline": Rule("all xxxxx", "", every(targets.headline, Slice(), [YEAR])),
    "stage_limits.listing": Rule("all ..xx.", "targets.change", every(stage_limits.listing)),
    "stage_limits.set_limits": Rule("all ..xx.", "targets.change", every(stage_limits.set_limits, {"open": "45"})),
    "trail.listing": Rule("all ..xx.", "audit.read", every(trail.listing, AuditSlice())),
    "trail.everything": Rule(
        "all ..xx.", "audit.read", lambda conn, actor, it: list(trail.everything(conn, actor, AuditSlice()))
    ),
    "trail.titles": Rule("all ..xx.", "audit.read", every(trail.titles, [])),
    "trail.choices": Rule("all ..xx.", "audit.read", every(trail.choices, "person")),
    "trail.names": Rule(
        "own ..xx- other ..xx.",
        "audit.read",
        lambda conn, actor, it: trail.names(conn, actor, AuditSlice(kind="opportunity", record=it.deal))["record"],
    ),
    "denials.record": Rule(
        "all xxxxx", "", lambda conn, actor, it: denials.record(conn, actor, "leads.edit", "You may not.") is None
    ),
    "denials.listing": Rule("all ..xx.", "audit.read", every(denials.listing, DenialSlice())),
    "views.listing": Rule(
        "own xxxxx other 00000 there xxxxx missing 00000",
        "",
        lambda conn, actor, it: it.view in {row.id for row in views.listing(conn, actor)},
    ),
    "views.save": Rule("all xxxxx", "", every(views.save, VIEW)),
    "views.save: for the team": Rule("all x.xx.", "view.share", every(views.save, VIEW | {"shared": True})),
    "views.edit": Rule("own xxxxx other ????? there ????? missing ?????", "", edit(views.edit, "view", name="Salem")),
    "views.edit: for the team": Rule("own x.xx.", "view.share", edit(views.edit, "view", shared=True)),
    "views.remove": Rule("own xxxxx other ????? there ????? missing ?????", "", one(views.remove, "view")),
}
OUTCOMES = {NotAllowed: ".", NotFound: "?", Invalid: "!", Absent: "-"}


def verbs() -> set[str]:
    """This function will find what a page or a command line can call for a person.

    What takes `asking` as well is for a caller that has asked already; batches are the database's owner's, whatever
    the role (`test_batches`).
    """
    found = set()
    for module in pkgutil.iter_modules(crm_core.__path__, "crm_core."):
        if module.name not in ("crm_core.__main__", "crm_core.batches"):
            loaded = importlib.import_module(module.name)
            for name, verb in inspect.getmembers(loaded, inspect.isfunction):
                takes = list(inspect.signature(verb).parameters)
                public = verb.__module__ == module.name and not name.startswith("_")
                if public and takes[:2] == ["conn", "actor"] and "asking" not in takes:
                    found.add(f"{module.name.removeprefix('crm_core.')}.{name}")
    return found


def columns(cells: str) -> dict[str, str]:
    """This function will read “own x.xx- other ??xx.” by column."""
    words = cells.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def furnished(office: Office) -> dict[str, dict[str, Things]]:
    """This function will give each person what is theirs: column → person → records."""
    for name in PEOPLE:
        said = {"iss": "https://id.example.in", "sub": name, "email": f"{name}@example.in", "email_verified": True}
        office.do(sign_ins.bind, said | {"iat": int(time.time())}, longest=timedelta(hours=1))
    people = {name: office.people[name].user_id for name in PEOPLE} | {"ravi": office.ravi.user_id}
    for name, role in (("uma", "org_admin"), ("vimal", "sales_engineer")):
        given = {"name": name.title(), "email": f"{name}@example.in", "role": role, "business_unit": "water"}
        people[name] = office.do(users.add, office.meena, given)
        office.people[name] = Actor(people[name])
    common = Things(kavya=office.kavya, uma=people["uma"], home=office.customer("Common Mills"))
    there = Things(
        common, customer=office.customer("Amman Mills"), company="Amman Mills", code="retired", user=people["ravi"]
    )
    names = Things(common, deal=NOWHERE, closed=NOWHERE, lead=NOWHERE, qualified=NOWHERE, offer=NOWHERE, free=NOWHERE)
    there["view"] = office.do(views.save, office.ravi, VIEW | {"shared": True})
    missing = Things(names, view=NOWHERE, customer=NOWHERE, company="Zzz", code="nowhere", user=NOWHERE)
    mine = {"name": "Mine", "page": "leads"}
    own = {
        name: Things(common, user=people[name], view=office.do(views.save, office.people[name], mine))
        for name in PEOPLE
    }
    for name in ("asha", "kavya", "meena"):
        own[name] |= records(office, people, name) | leads_of(office, name)
    own["arun"] |= records(office, people, "vimal", "arun")
    other = Things(common, user=people["ravi"], view=office.do(views.save, office.ravi, mine))
    other |= records(office, people, "ravi") | leads_of(office, "ravi")
    shared = {"all": Things(common, customer=common.home), "there": there, "other": Things(other), "missing": missing}
    return {"own": own} | {column: dict.fromkeys(PEOPLE, things) for column, things in shared.items()}


def records(office: Office, people: dict[str, int], owner: str, engineer: str | None = None) -> Things:
    """This function will add a customer with an open and a won opportunity, a linked offer and a free one."""
    company = f"{owner.title()} Mills"
    home = office.customer(company)
    given = {"customer_id": home, "application_engineer_id": engineer and people[engineer]}
    made, closed = office.at("offer_made", owner, **given), office.at("won", owner, **given)
    linked, free = office.offer(home, f"Q-{owner}-1"), office.offer(home, f"Q-{owner}-2")
    office.do(opportunities.link_offer, office.kavya, made, linked)
    told = {"customer": home, "company": company, "owner": people[owner], "offer": linked, "free": free}
    return Things(told, deal=made, closed=closed)


def leads_of(office: Office, owner: str) -> Things:
    phone = f"+91 98400 {10000 + office.people[owner].user_id}"
    return Things(
        lead=office.lead(owner, "new", phone=phone), qualified=office.lead(owner, company="Nila Mills"), phone=phone
    )


class Undone(Exception):
    """What was tried is undone before the next one tries."""


def tried(office: Office, rule: Rule, actor: Actor, it: Things, read: set[str]) -> str:
    """This function will tell by a letter what happens; the sentence of a refusal goes to `read`."""
    letter = ""
    try:
        with office.database.write() as conn:
            letter = "x" if rule.act(conn, actor, it) else "0"
            raise Undone
    except Undone:
        return letter
    except tuple(OUTCOMES) as why:
        if isinstance(why, NotAllowed):
            read.add(str(why))
        return OUTCOMES[type(why)]


def test_every_public_verb_of_the_core_has_its_row() -> None:
    """A new one needs a row of this table before it is merged."""
    assert verbs() == {name.partition(":")[0] for name in POLICY}


def test_everybody_can_do_what_the_table_says_and_nothing_else(office: Office) -> None:
    """A2, A7, A9, A10, I16, H7: own, another's, missing; on PostgreSQL the database agrees."""
    things = furnished(office)
    seen, wanted = {}, {}
    for name, rule in POLICY.items():
        read: set[str] = set()
        told = {
            column: "".join(tried(office, rule, office.people[p], things[column][p], read) for p in PEOPLE)
            for column in columns(rule.cells)
        }
        seen[name] = told, read
        wanted[name] = columns(rule.cells), {DENIALS[permission] for permission in rule.sentences.split()}
    assert wanted == seen


def test_who_has_left_can_do_nothing_of_the_table(office: Office) -> None:
    """I17, F7: whatever it is, even where there is nothing to see; only what they were refused is kept."""
    things = furnished(office)
    office.do(users.deactivate, office.meena, office.ravi.user_id)
    seen = {}
    for name, rule in POLICY.items():
        read: set[str] = set()
        column = next(iter(columns(rule.cells)))
        seen[name] = tried(office, rule, office.ravi, things["other" if column == "own" else column]["asha"], read)
    assert dict.fromkeys(POLICY, ".") | {"denials.record": "x"} == seen


def grouped() -> list[tuple[str, ...]]:
    """This function will write the table as the README has it: verbs with one row stand together."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, rule in POLICY.items():
        told = columns(rule.cells)
        cells = tuple(" ".join(letters) for letters in zip(*told.values(), strict=True))
        rows.setdefault((", ".join(told), *cells), []).append(name)
    return [(", ".join(names), *told) for told, names in rows.items()]


def test_the_readme_shows_the_same_table() -> None:
    """One row a kind of verb, one column a role."""
    assert grouped() == table("verbs")
