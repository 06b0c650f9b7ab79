"""Targets: set as a table, summed from smaller periods, and what is achieved of them; and the limits of stages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm_core import (
    access,
    audit,
    clock,
    headline,
    opportunities,
    pipeline,
    settings,
    stage_limits,
    targets,
    trail,
    trends,
    users,
)
from crm_core.errors import Conflict, Invalid, NotAllowed
from crm_core.slices import AuditSlice, Slice
from tests.conftest import Office

LAKH = Decimal(100_000)
YEAR = "fy2026-27"


def put(office: Office, kind: str, code: str, amounts: dict[str, Any], **named: Any) -> int:
    return int(office.do(targets.set_many, office.kavya, kind, code, amounts, **named))


def shown(office: Office, kind: str, code: str, by: str = "kavya") -> dict[str, tuple[Any, ...]]:
    """This function will read the rows to edit: label → amount, sum of smaller periods, note, version."""
    rows = office.ask(targets.listing, office.people[by], kind, code)
    return {row.label: (row.amount, row.summed, row.note, row.version) for row in rows}


def reached(office: Office, kind: str, code: str, by: str = "kavya", **filters: Any) -> dict[str, tuple[Any, ...]]:
    """This function will read target against achieved: label → target, achieved, count, share, note."""
    frame = office.ask(targets.achieved, office.people[by], kind, Slice(**filters), code)
    return {row[1]: tuple(row[2:]) for row in frame.itertuples(index=False)}


def won(office: Office, owner: str, at: datetime, value: str, **values: Any) -> int:
    """This function will win an opportunity at an instant."""
    made = office.at("offer_made", owner, **values)
    with office.database.write() as conn:
        clock.start(conn, at)
        opportunities.move(conn, office.kavya, made, "win", {"won_value": value})
    return made


MAY = datetime(2026, 5, 12, 9, tzinfo=UTC)


def test_a_manager_sets_targets_as_people_write_amounts_and_only_what_changed_is_written(office: Office) -> None:
    assert 2 == put(office, "region", YEAR, {"coimbatore": "1.5 cr", "outer_chennai": "12,50,000"})
    assert {
        "Coimbatore": (150 * LAKH, None, "", 1),
        "Outer Chennai": (Decimal("12.5") * LAKH, None, "", 1),
    } == shown(office, "region", YEAR)
    before = office.count("audit")
    assert 1 == put(office, "region", YEAR, {"coimbatore": "₹1,50,00,000", "outer_chennai": "12 lakh"})
    assert (2, before + 1) == (office.count("target"), office.count("audit"))
    assert 1 == put(office, "region", YEAR, {"outer_chennai": "  "})
    assert (None, None, "", 3) == shown(office, "region", YEAR)["Outer Chennai"]
    assert 0 == put(office, "region", YEAR, {"outer_chennai": None})
    assert 2 == put(office, "owner", "2026-05", {str(office.asha.user_id): 0, str(office.kavya.user_id): "1 lakh"})
    assert (Decimal(0), None, "", 1) == shown(office, "owner", "2026-05")["Asha"]


@pytest.mark.parametrize("amount", ["-1", "12 lac crore", "1.234", "९", float("nan"), "10000 cr", True, "1,2,3"])
def test_everything_wrong_in_the_table_is_said_at_once_and_nothing_is_saved(office: Office, amount: object) -> None:
    with pytest.raises(Invalid) as refused:
        put(office, "region", YEAR, {"coimbatore": "1 cr", "outer_chennai": amount, "atlantis": "1 cr", "retired": 1})
    assert {"outer_chennai", "atlantis", "retired"} == {m.field for m in refused.value.messages}
    assert any(m.startswith("Outer Chennai: ") for m in refused.value.messages)
    assert 0 == office.count("target")


def test_a_target_is_for_a_region_or_an_owner_and_a_month_a_quarter_or_a_year(office: Office) -> None:
    for kind, code in (
        ("product", YEAR),
        *(("region", c) for c in ("", "2026-05-12", "2026-01-01..2026-12-31", "2026-04-02..2026-07-01", "soon", "..")),
    ):
        with pytest.raises(Invalid):
            put(office, kind, code, {"coimbatore": 1})
        with pytest.raises(Invalid):
            office.ask(targets.listing, office.kavya, kind, code)
    with pytest.raises(Invalid):  # who may own nothing has no target
        put(office, "owner", YEAR, {str(office.devi.user_id): 1})
    assert 0 == office.count("target")


def test_one_period_has_one_target_by_whatever_name(office: Office) -> None:
    """The calendar's third quarter is the financial year's second."""
    put(office, "region", "2026-q3", {"coimbatore": "9 lakh"})
    for code in ("2026-q3", "fy2026-27-q2", "2026-07-01..2026-09-30"):
        assert (9 * LAKH, None, "", 1) == shown(office, "region", code)["Coimbatore"]
        assert 9 * LAKH == reached(office, "region", code)["Coimbatore"][0]
    put(office, "region", "fy2026-27-q2", {"coimbatore": "8 lakh"})
    assert 1 == office.count("target")
    (entry, first), _count = office.ask(trail.listing, office.meena, AuditSlice(kind="target"))
    assert ["set the target"] * 2 == [entry.action, first.action]
    assert [("Amount", "₹9,00,000", "₹8,00,000")] == [(c.label, c.before, c.after) for c in entry.changes]
    named = office.ask(trail.titles, office.meena, [entry])
    assert "Coimbatore, FY 2026-27 Q2" == named["target", entry.entity_id]


def test_what_is_not_set_is_the_sum_of_what_lies_inside(office: Office) -> None:
    """A quarter that is set counts as such, whatever its months say; nothing counts twice."""
    for month, amount in (("2026-04", "1 lakh"), ("2026-05", "2 lakh"), ("2026-10", "4 lakh")):
        put(office, "region", month, {"coimbatore": amount})
    assert (3 * LAKH, "2 of 3 months set") == reached(office, "region", "fy2026-27-q1")["Coimbatore"][::4]
    assert (None, 7 * LAKH, "3 of 12 months set", 0) == shown(office, "region", YEAR)["Coimbatore"]
    put(office, "region", "fy2026-27-q1", {"coimbatore": "10 lakh"})
    assert (14 * LAKH, "4 of 12 months set") == reached(office, "region", YEAR)["Coimbatore"][::4]
    put(office, "region", YEAR, {"coimbatore": "50 lakh"})
    assert (50 * LAKH, "") == reached(office, "region", YEAR)["Coimbatore"][::4]
    assert (50 * LAKH, 14 * LAKH, "4 of 12 months set", 1) == shown(office, "region", YEAR)["Coimbatore"]
    put(office, "region", YEAR, {"coimbatore": ""})
    put(office, "region", "fy2026-27-q1", {"coimbatore": ""})
    assert (7 * LAKH, "3 of 12 months set") == reached(office, "region", YEAR)["Coimbatore"][::4]
    assert None is reached(office, "region", "2026-06")["Coimbatore"][0]
    assert None is reached(office, "region", "fy2025-26")["Coimbatore"][0]


def test_achieved_is_the_won_value_of_the_period_and_more_than_all_is_told_as_it_is(office: Office) -> None:
    """Every active region has its row, one without a target too; a year ends at midnight in India."""
    put(office, "region", YEAR, {"coimbatore": "1 lakh"})
    won(office, "asha", MAY, "1,20,000")
    won(office, "ravi", datetime(2027, 3, 31, 18, 29, 59, tzinfo=UTC), "30,000.50")
    won(office, "ravi", datetime(2027, 3, 31, 18, 30, tzinfo=UTC), "70,000")
    office.at("lost", region="outer_chennai")
    value = Decimal("150000.50")
    assert {
        "Coimbatore": (LAKH, value, 2, Decimal("150.0005"), ""),
        "Outer Chennai": (None, Decimal(0), 0, None, ""),
    } == reached(office, "region", YEAR)
    assert (None, Decimal(220_000) + Decimal("0.50"), 3, None, "") == reached(office, "region", "")["Coimbatore"]
    people = reached(office, "owner", YEAR)
    assert ["Asha", "Kavya", "Meena", "Ravi"] == list(people)
    assert (None, Decimal("30000.50"), 1, None, "") == people["Ravi"]
    put(office, "owner", YEAR, {str(office.kavya.user_id): "0"})
    assert (Decimal(0), Decimal(0), 0, None, "") == reached(office, "owner", YEAR)["Kavya"]


def test_the_figures_are_those_of_their_list(office: Office) -> None:
    won(office, "asha", MAY, "1,20,000")
    won(office, "ravi", MAY, "80,000", region="outer_chennai", product="valve")
    for kind in targets.KINDS:
        for filters in ({}, {"product": "valve"}, {"region": "coimbatore"}, {"closed": "fy2026-27-q1"}):
            for name in ("kavya", "asha", "devi", "arun"):
                actor, slice_ = office.people[name], Slice(**filters)
                frame = office.ask(targets.achieved, actor, kind, slice_, "2026-05")
                for row in frame.itertuples(index=False):
                    part = slice_.narrowed(status="won", closed="2026-05", **{kind: row.about})
                    listed = office.ask(pipeline.listing, actor, part)
                    assert (listed.count, listed.won_value) == (row.count, row.achieved)


def test_a_sales_engineer_reads_their_own_target_and_no_other(office: Office) -> None:
    """A region's target would stand beside a part of the region."""
    put(office, "region", YEAR, {"coimbatore": "9 lakh"})
    put(office, "owner", YEAR, {str(office.asha.user_id): "2 lakh", str(office.ravi.user_id): "3 lakh"})
    won(office, "asha", MAY, "1,00,000")
    won(office, "ravi", MAY, "1,50,000", application_engineer_id=office.asha.user_id)
    assert {"Asha": (2 * LAKH, LAKH, 1, Decimal(50), "")} == reached(office, "owner", YEAR, "asha")
    assert [None, None] == [row[0] for row in reached(office, "region", YEAR, "asha").values()]
    assert {} == reached(office, "owner", YEAR, "arun")
    assert (2 * LAKH, "Your own target.") == office.ask(targets.headline, office.asha, Slice(), [YEAR])[0]
    assert None is office.ask(targets.headline, office.asha, Slice(owner=office.ravi.user_id), [YEAR])[0][0]
    assert None is office.ask(targets.headline, office.arun, Slice(), [YEAR])[0][0]
    told = {figure.name: figure for figure in office.ask(headline.figures, office.asha, Slice(), YEAR)}
    assert (LAKH, Decimal(50)) == (told["achieved"].value, told["share"].value)
    assert [1, 1, 2] == [told[name].count for name in ("achieved", "share", "average")]
    for name in ("achieved", "average"):
        assert told[name].count == office.ask(pipeline.listing, office.asha, told[name].part).count
    whole = {f.name: f.value for f in office.ask(headline.figures, office.kavya, Slice(), YEAR)}
    assert (250_000, 125_000) == (whole["achieved"], whole["average"])
    if office.name == "postgresql":
        assert [("owner", str(office.asha.user_id))] == [
            tuple(row) for row in office.app_sql("SELECT kind, about FROM target", by="asha")
        ]


def test_the_companys_target_is_that_of_its_regions_or_of_the_engineers_named(office: Office) -> None:
    put(office, "region", "2026-05", {"coimbatore": "9 lakh", "outer_chennai": "1 lakh"})
    put(office, "owner", YEAR, {str(office.asha.user_id): "2 lakh"})

    def headline(code: str, **filters: Any) -> tuple[Any, str]:
        return tuple(office.ask(targets.headline, office.devi, Slice(**filters), [code])[0])

    assert (10 * LAKH, "Sum of the targets set: 2 of 2 regions have one.") == headline("2026-05")
    assert 10 * LAKH == headline("2026-05", asof="2026-05-20")[0]
    assert (LAKH, "Sum of the targets set: 1 of 1 regions have one.") == headline("2026-05", region="outer_chennai")
    amount, why = headline(YEAR, region="outer_chennai")
    assert (LAKH, True) == (amount, "Outer Chennai: 1 of 12 months set." in why)
    both = (office.asha.user_id, office.ravi.user_id)
    assert 2 * LAKH == headline(YEAR, owner=both)[0]
    assert "Sum of the targets set: 1 of 2 sales engineers have one." == headline(YEAR, owner=both)[1]
    for code, filters, said in (
        ("", {}, "no target for all time"),
        ("2026-05-12", {}, "none of them"),
        ("soon", {}, "none of them"),
        ("2026-06", {}, "No target is set for Jun 2026."),
        (YEAR, {"business_unit": "water", "product": "pump"}, "business unit and product"),
        (YEAR, {"region": "coimbatore", "owner": office.asha.user_id}, "region"),
        (YEAR, {"customer": office.customer()}, "customer"),
    ):
        amount, why = headline(code, **filters)
        assert (None, True) == (amount, said in why), why
    assert None is reached(office, "region", "2026-05", product="pump")["Coimbatore"][0]


def test_who_left_and_what_was_retired_keep_their_targets(office: Office) -> None:
    asha = str(office.asha.user_id)
    put(office, "owner", YEAR, {asha: "2 lakh"})
    put(office, "region", YEAR, {"outer_chennai": "2 lakh"})
    won(office, "asha", MAY, "1,00,000", region="outer_chennai")
    office.do(users.deactivate, office.meena, int(asha))
    office.do(settings.retire, office.meena, "region", "outer_chennai")
    assert (2 * LAKH, LAKH, 1, Decimal(50), "") == reached(office, "owner", YEAR)["Asha"]
    assert (2 * LAKH, LAKH, 1, Decimal(50), "") == reached(office, "region", YEAR)["Outer Chennai"]
    assert 1 == put(office, "owner", YEAR, {asha: ""})
    with pytest.raises(Invalid):
        put(office, "owner", "2026-06", {asha: "1 lakh"})


def test_two_managers_at_one_table_lose_nothing(office: Office) -> None:
    """B14: only the rows that both changed are refused, with what the other wrote."""
    put(office, "region", YEAR, {"coimbatore": "1 lakh"})
    seen = {row.about: row.version for row in office.ask(targets.listing, office.kavya, "region", YEAR)}
    office.do(targets.set_many, office.meena, "region", YEAR, {"coimbatore": "5 lakh"}, seen=seen)
    assert 1 == put(office, "region", YEAR, {"outer_chennai": "3 lakh"}, seen=seen)
    with pytest.raises(Conflict) as refused:
        put(office, "region", YEAR, {"coimbatore": "2 lakh", "outer_chennai": "3 lakh"}, seen=seen)
    assert "Coimbatore: Meena changed Amount from ₹1,00,000 to ₹5,00,000" in str(refused.value)
    assert [5 * LAKH, 3 * LAKH] == [row[0] for row in shown(office, "region", YEAR).values()]
    with pytest.raises(Conflict):
        put(office, "region", YEAR, {"outer_chennai": "4 lakh"}, seen={"coimbatore": 2})


def test_one_submit_twice_sets_once(office: Office) -> None:
    assert [1, 1] == [put(office, "region", YEAR, {"coimbatore": "1 lakh"}, seen={}, token="t") for _ in range(2)]
    assert [1, 1] == [
        office.do(stage_limits.set_limits, office.kavya, {"open": "45"}, seen={}, token="u") for _ in range(2)
    ]


@pytest.mark.parametrize("name", ["asha", "arun", "devi"])
def test_only_a_manager_or_an_org_admin_sets_targets_and_limits(office: Office, name: str) -> None:
    actor = office.people[name]
    for act in (
        lambda: office.do(targets.set_many, actor, "region", YEAR, {"coimbatore": 1}),
        lambda: office.ask(targets.listing, actor, "region", YEAR),
        lambda: office.do(stage_limits.set_limits, actor, {"open": 4}),
        lambda: office.ask(stage_limits.listing, actor),
    ):
        with pytest.raises(NotAllowed) as refused:
            act()
        assert access.DENIALS["targets.change"] == str(refused.value)
    assert (0, 0) == (office.count("target"), office.count("stage_limit"))


def test_a_manager_sets_after_how_many_days_a_stage_is_too_long(office: Office) -> None:
    assert {} == office.ask(stage_limits.limits)
    assert 2 == office.do(stage_limits.set_limits, office.kavya, {"open": "45", "offer_made": " 60 "})
    assert {"open": 45, "offer_made": 60} == office.ask(stage_limits.limits)
    assert 1 == office.do(stage_limits.set_limits, office.meena, {"open": "", "offer_made": "60"})
    assert {"offer_made": 60} == office.ask(stage_limits.limits)
    assert {"open": (None, 2), "offer_made": (60, 1)} == office.ask(stage_limits.listing, office.kavya)
    entries, _count = office.ask(trail.listing, office.meena, AuditSlice(kind="stage_limit"))
    assert [("open", "Days", "45", ""), ("offer_made", "Days", "", "60"), ("open", "Days", "", "45")] == [
        (e.entity_id, c.label, c.before, c.after) for e in entries for c in e.changes
    ]
    assert "Offer Made" == office.ask(trail.titles, office.meena, entries)["stage_limit", "offer_made"]
    assert {e.action for e in entries} == {audit.ACTIONS["set_limit"]}
    with pytest.raises(Conflict, match=r"Open: Meena changed Days from 45 to nothing"):
        office.do(stage_limits.set_limits, office.kavya, {"open": "30"}, seen={"open": 1, "offer_made": 1})


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "10000", "soon", "४५", True, 2.5, "9" * 5000])
def test_a_limit_is_whole_days_of_a_stage_that_is_open(office: Office, days: object) -> None:
    with pytest.raises(Invalid) as refused:
        office.do(stage_limits.set_limits, office.kavya, {"open": days, "won": "4", "offer_made": "60"})
    assert {"open", "won"} == {m.field for m in refused.value.messages}
    assert 0 == office.count("stage_limit")


def test_a_limit_counts_at_once(office: Office) -> None:
    """A next step ahead excuses."""
    made = office.opportunity()
    office.sql(f"UPDATE opportunity SET version = version + 1, next_step_on = NULL WHERE id = {made}")
    stale = Slice(attention="stale", asof="2199-01-01")
    assert [] == office.ask(pipeline.ids, office.kavya, stale)
    office.do(stage_limits.set_limits, office.kavya, {"open": 30})
    assert [made] == office.ask(pipeline.ids, office.kavya, stale)
    office.do(stage_limits.set_limits, office.kavya, {"open": ""})
    assert [] == office.ask(pipeline.ids, office.kavya, stale)


@pytest.mark.parametrize(
    ("name", "value", "before", "change", "good"),
    [
        ("pipeline", "5", "3", 2, True),
        ("pipeline", "3", "5", -2, False),
        ("overdue", "5", "3", 2, False),
        ("days", "3", "5", -2, True),
        ("pipeline", "3", "3", None, False),
        ("pipeline", "3", None, None, False),
        ("win", None, "3", None, False),
    ],
)
def test_a_change_for_the_better_is_more_but_of_days_and_overdue_steps_less(
    name: str, value: str | None, before: str | None, change: int | None, good: bool
) -> None:
    now, then = (None if amount is None else Decimal(amount) for amount in (value, before))
    figure = headline.Figure(name, "", "count", now, then, "", None, 0, "value", "")
    assert (change, good) == (figure.change, figure.good)


def test_the_headline_sets_achieved_against_target_now_before_and_by_month(office: Office) -> None:
    """By the same day of the period before, of the whole of its target; without a target, no share."""
    put(office, "region", "2026-04", {"coimbatore": "2 lakh"})
    put(office, "region", "2026-05", {"coimbatore": "4 lakh"})
    for at, value in ((MAY, "3 lakh"), (MAY.replace(month=4), "1 lakh"), (MAY.replace(month=4, day=28), "2 lakh")):
        won(office, "asha", at, value)  # of a potential of one lakh

    def figures(code: str, day: date = date(2026, 6, 1)) -> dict[str, headline.Figure]:
        return {figure.name: figure for figure in office.ask(headline.figures, office.kavya, Slice(), code, day)}

    told = figures("2026-05")
    assert (4 * LAKH, 2 * LAKH, "vs Apr 2026") == (told["target"].value, told["target"].before, told["target"].since)
    assert (3 * LAKH, 3 * LAKH) == (told["achieved"].value, told["achieved"].before)
    assert (Decimal(75), Decimal(150)) == (told["share"].value, told["share"].before)
    assert [2 * LAKH, 4 * LAKH, None] == list(told["target"].trend[-3:])
    assert [Decimal(150), Decimal(75), None] == list(told["share"].trend[-3:])
    running = figures("2026-05", date(2026, 5, 20))
    assert ("vs 1 Apr 2026 to 20 Apr 2026", Decimal(50)) == (running["share"].since, running["share"].before)
    assert 2 * LAKH == running["target"].before
    assert (None, None, "") == (
        figures("2026-06")["share"].value,
        figures("")["target"].value,
        figures("")["target"].since,
    )
    assert "" == figures("2026-04")["target"].since, "March had none"
    assert told["achieved"].part == told["target"].part is not None
    assert None is figures("")["target"].part, "what is not set is of no opportunities"


def test_without_a_period_the_bridge_begins_where_the_open_pipeline_is_compared(office: Office) -> None:
    """Thirty days, of which today is one; a chosen period is the bridge's too."""
    office.at("offer_made")
    today = date(2026, 9, 15)
    for part in (Slice(), Slice(asof="2026-09-15", region="coimbatore")):
        assert ("2026-08-17..2026-09-15", "2026-q1") == (headline.span(part, "", today), headline.span(part, "2026-q1"))
    figure = next(f for f in office.ask(headline.figures, office.kavya, Slice()) if f.name == "pipeline")
    told = office.ask(trends.movement, office.kavya, Slice(), headline.span(Slice()))
    assert (figure.before, figure.value) == (told.opening_value, told.closing_value)
