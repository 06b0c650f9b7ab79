"""What people do all day, as calls of the core, each beside the least SQL that answers the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from crm_core import (
    audit,
    customers,
    flow,
    forecast,
    headline,
    leads,
    lifecycle,
    opportunities,
    periods,
    pipeline,
    settings,
    targets,
    trail,
    trends,
    users,
)
from crm_core.access import Actor
from crm_core.database import Database, open_database
from crm_core.schema import app_user, opportunity
from crm_core.slices import AuditSlice, LeadSlice, Slice
from tests.bench import data
from tests.bench.floors import ADDING, EDITING, MOVING, Floor
from tests.bench.measure import Operation
from tests.bench.places import Place

BREAKDOWNS = ("status", "region", "owner", "created")
QUARTER, MONTH, YEAR, PAST_DAY = "fy2025-26-q2", "2025-08", "fy2025-26", date(2025, 5, 14)
DAYS = periods.month_ends(date(2026, 10, 31), 14)
MONTHS = [f"{day:%Y-%m}" for day in DAYS]
RARE, COMMON, FIRM = "sugars 77", "slurry", "sugars"
CITY = "Madurai"


@dataclass(frozen=True)
class Cast:
    """Who asks, and for what: a manager, a sales engineer whom nobody names, the busiest region and owner together."""

    manager: Actor
    engineer: Actor
    region: str
    busy: int
    customer: int
    count: int
    open: list[int]
    regions: list[str]
    owners: list[int]


def cast(database: Database) -> Cast:
    """This function will find whom and what a database is measured with."""
    where = Slice(status=lifecycle.OPEN)
    with database.read() as conn:
        people = conn.execute(select(app_user).order_by(app_user.c.id.desc()))
        roles = {row.role: Actor(row.id) for row in people}
        manager = roles["manager"]
        busiest = (
            select(opportunity.c.region, opportunity.c.owner_id)
            .where(*pipeline.within(conn, manager, where))
            .group_by(opportunity.c.region, opportunity.c.owner_id)
            .order_by(func.count().desc(), opportunity.c.region)
        )
        region, busy = conn.execute(busiest.limit(1)).one()
        customer = conn.execute(select(opportunity.c.customer_id).where(opportunity.c.id == 1)).scalar_one()
        count = pipeline.listing(conn, manager, Slice()).count
        opened = pipeline.ids(conn, manager, where)
        regions, owners = list(settings.labels(conn, "region")), list(users.able_to_own(conn))
        return Cast(manager, roles["sales_engineer"], region, busy, customer, count, opened, regions, owners)


class Bench:
    """One database to measure, beside its floors."""

    def __init__(self, place: Place, database: Database, floor: Floor) -> None:
        self.place, self.database, self.floor, self.cast = place, database, floor, cast(database)

    def operations(self) -> Iterator[Operation]:
        """This function will give what is measured, the most important first; what writes comes last."""
        yield from self._dashboards()
        yield from self._lists()
        yield from self._past()
        yield from self._page()
        yield from self._others()
        yield Operation("start: open the database", lambda _round: open_database(self.place.app).dispose())
        yield from self._writes()

    # Reading

    def _dashboards(self) -> Iterator[Operation]:
        floor, unit = self.floor, "industrial_pumps"
        start, end = self._bounds(QUARTER)
        cut = "floor_cut"
        yield self._dashboard("all", Slice(), floor.breakdowns("floor_opp"), floor.rolled())
        where = ("WHERE bu = ?", unit)
        yield self._dashboard(
            "one business unit", Slice(business_unit=unit), floor.breakdowns(cut, *where), floor.rolled(*where)
        )
        where = ("WHERE product = ?", "pump")
        yield self._dashboard("one product", Slice(product="pump"), floor.breakdowns(cut, *where), floor.rolled(*where))
        where = ("WHERE owner = ?", self.cast.engineer.user_id)
        own = (floor.breakdowns(cut, *where), floor.rolled(*where, lead="own"))
        yield self._dashboard("one owner, by a manager", Slice(owner=self.cast.engineer.user_id), *own)
        yield self._dashboard("own, by a sales engineer", Slice(), *own, actor=self.cast.engineer)
        where = ("WHERE region = ?", self.cast.region)
        yield self._dashboard("one region", Slice(region=self.cast.region), floor.breakdowns(cut, *where))
        city = floor.breakdowns("floor_place", "WHERE city = ?", CITY)
        yield self._dashboard("one city, row by row", Slice(city=CITY), city)
        where = ("WHERE created_at >= ? AND created_at < ?", start, end)
        yield self._dashboard("created in a quarter", Slice(created=QUARTER), floor.breakdowns(cut, *where))

    def _dashboard(
        self,
        name: str,
        slice_: Slice,
        indexes: Callable[[], Any],
        rollups: Callable[[], Any] | None = None,
        actor: Actor | None = None,
    ) -> Operation:
        asking = actor or self.cast.manager

        def core(_round: int) -> Any:
            with self.database.read() as conn:
                return pipeline.split(conn, asking, [(slice_, by) for by in BREAKDOWNS])

        floors: dict[str, Any] = {"indexes": lambda _round: indexes()}
        if rollups:
            floors["rollups"] = lambda _round: rollups()
        return Operation(f"dashboard: {name}", core, floors, _cells)

    def _lists(self) -> Iterator[Operation]:
        floor = self.floor
        where = ("WHERE status = ? AND region = ? AND owner = ?", "open", self.cast.region, self.cast.busy)
        narrow = Slice(status="open", region=self.cast.region, owner=self.cast.busy)
        yield self._list("status, region and owner", narrow, {"indexes": floor.page(*where)})
        where = ("WHERE status = ?", "open")
        status = {"indexes": floor.page(*where), "rollups": floor.page(*where, total="roll_region")}
        yield self._list("status", Slice(status="open"), status)
        everything = {"indexes": floor.page(), "rollups": floor.page(total="roll_region")}
        yield self._list("everything", Slice(), everything)
        middle = self.cast.count // 50
        deep = {"indexes": floor.page(offset=(middle - 1) * 25)}
        yield self._list("the middle of everything", Slice(), deep, middle)
        for name, text in (("few", RARE), ("many", COMMON)):
            yield self._list(f"text that {name} have", Slice(q=text), {"indexes": floor.found(text)})
        yield self._read("list: overdue next steps", pipeline.listing, Slice(attention="overdue"))
        yield self._read("list: won in a year", pipeline.listing, Slice(status="won", closed=YEAR))
        with self.database.read() as conn:
            beside = pipeline.listing(conn, self.cast.manager, Slice(), page=middle).next
        yield self._read("list: the next page there", pipeline.listing, Slice(), page=middle + 1, after=beside)

        def record(number: int) -> Any:
            made = 1 + number * 37 % self.cast.count
            with self.database.read() as conn:
                return (
                    opportunities.get(conn, self.cast.manager, made),
                    opportunities.history(conn, self.cast.manager, made),
                )

        yield Operation("open one", record, {"indexes": lambda number: floor.one(1 + number * 37 % self.cast.count)})

    def _read(
        self, name: str, verb: Callable[..., Any], *given: Any, actor: Actor | None = None, **more: Any
    ) -> Operation:
        def core(_round: int) -> Any:
            with self.database.read() as conn:
                return verb(conn, actor or self.cast.manager, *given, **more)

        return Operation(name, core)

    def _list(self, name: str, slice_: Slice, floors: dict[str, Callable[[], Any]], page: int = 1) -> Operation:
        def core(_round: int) -> Any:
            with self.database.read() as conn:
                return pipeline.listing(conn, self.cast.manager, slice_, page=page)

        turns: dict[str, Any] = {key: lambda _round, run=run: run() for key, run in floors.items()}
        return Operation(f"list: {name}", core, turns, _listed)

    def _past(self) -> Iterator[Operation]:
        floor, ended = self.floor, self._instant(periods.midnight(periods.next_day(PAST_DAY)))
        stood = floor.breakdowns("floor_stood", "WHERE from_at < ? AND to_at >= ?", ended, ended)
        yield self._dashboard("as of a past day", Slice(asof=str(PAST_DAY)), stood)
        for name, code in (("month", MONTH), ("year", YEAR)):
            start, end = self._bounds(code)

            def core(_round: int, code: str = code) -> Any:
                with self.database.read() as conn:
                    return trends.movement(conn, self.cast.manager, Slice(), code)

            floors: dict[str, Any] = {"indexes": lambda _round, s=start, e=end: floor.moved(s, e)}
            yield Operation(f"bridge: one {name}", core, floors, _steps)

    def _page(self) -> Iterator[Operation]:
        """What the app's dashboard asks beside the breakdowns, a call each; no bare SQL is written for these."""
        today = periods.today()
        running = f"{today - timedelta(days=30)}..{today + timedelta(days=60)}"
        in_pipeline = Slice(status=lifecycle.PIPELINE)
        calls: tuple[tuple[str, Callable[..., Any], tuple[Any, ...]], ...] = (
            ("headline", headline.figures, (Slice(), YEAR)),
            ("headline of a customer", headline.figures, (Slice(customer=self.cast.customer), YEAR)),
            ("headline of an owner", headline.figures, (Slice(owner=self.cast.busy), YEAR)),
            ("headline of a city", headline.figures, (Slice(city=CITY), YEAR)),
            (
                "headline of a region as of a past day",
                headline.figures,
                (Slice(region=self.cast.region, asof=str(PAST_DAY)),),
            ),
            ("overdue, 14 days of it", trends.on_days, (Slice(attention="overdue"), DAYS)),
            ("open pipeline, 14 days of it", trends.on_days, (in_pipeline, DAYS)),
            ("the pipeline, 14 days of it, 7 of them weighted", forecast.stocks, (Slice(), DAYS, DAYS[::2])),
            ("what was won, 14 periods", pipeline.series, ([headline.closed(Slice(), m, "won") for m in MONTHS],)),
            ("stages", headline.stages, (Slice(), YEAR)),
            ("target against achieved", targets.achieved, ("region", Slice(), YEAR)),
            ("open pipeline by owner and status", pipeline.totals, (in_pipeline, ("owner", "status"))),
            ("owners to choose from", pipeline.choices, ("owner",)),
            ("flow", flow.flow, (Slice(created=YEAR),)),
            ("forecast of a running period", forecast.likely, (Slice(), running)),
            ("the same, as it was at the same point of six before", forecast.backtest, (Slice(), running)),
            ("bridge of one business unit, one year", trends.movement, (Slice(business_unit="valves"), YEAR)),
            ("newest change", audit.latest, ()),
        )
        for name, verb, given in calls:
            yield self._read(f"page: {name}", verb, *given)
        own = self.cast.engineer
        yield self._read("page: own headline", headline.figures, Slice(), YEAR, actor=own)
        yield self._read("page: own bridge of one year", trends.movement, Slice(), YEAR, actor=own)
        yield self._read("page: own, as of a past day", pipeline.totals, Slice(asof=str(PAST_DAY)), "status", actor=own)

    def _others(self) -> Iterator[Operation]:
        """The other lists: the first page, one in the middle, and what a text finds."""
        half = self.cast.count // data.EACH_LEAD // 50
        yield self._read("leads: newest", leads.listing, LeadSlice())
        yield self._read("leads: the middle", leads.listing, LeadSlice(), page=half)
        for name, text in (("few", RARE), ("many", FIRM)):
            yield self._read(f"leads: text that {name} have", leads.listing, LeadSlice(q=text))
        yield self._read("customers: by name", customers.listing)
        for name, text in (("few", RARE), ("many", FIRM)):
            yield self._read(f"customers: text that {name} have", customers.listing, text)
        yield self._read("audit: newest", trail.listing, AuditSlice())
        yield self._read("audit: the middle", trail.listing, AuditSlice(), page=self.cast.count // 25)
        yield self._read("audit: of one person", trail.listing, AuditSlice(person=self.cast.busy))
        yield self._read("audit: of one month", trail.listing, AuditSlice(when=MONTH))
        yield self._read("audit: of a record that few are named like", trail.listing, AuditSlice(q=RARE))

    # Writing, each committed

    def _writes(self) -> Iterator[Operation]:
        floor, many = self.floor, len(self.cast.open)
        cell = {"status": "open", "bu": "valves", "product": "valve", "month": "2026-11"}
        cell |= {"region": self.cast.region, "owner": self.cast.engineer.user_id}
        given = {
            **{"customer_id": self.cast.customer, "title": "Gate valves, annual rate", "region": self.cast.region},
            **{"business_unit": "valves", "product": "valve", "value": "4,50,000", "next_step_on": "2026-12-24"},
        }
        at = self._instant(periods.midnight(date(2026, 11, 2)))
        fresh = iter(range(self.cast.count + 1, 10 * self.cast.count))

        def insert(cells: list[Any]) -> None:
            floor.write(
                ADDING, (self.cast.region, self.cast.engineer.user_id, at, self.cast.customer, next(fresh)), cells
            )

        yield Operation(
            "create",
            lambda _round: self.database.submit(opportunities.create, self.cast.engineer, given),
            {
                "indexes": lambda _round: insert([]),
                "rollups": lambda _round: insert([(cell, 1, 45_000_000)]),
            },
        )
        gone, come = (cell, -1, -100_000), ({**cell, "status": "offer_made"}, 1, 100_000)
        # each side changes rows of its own, so that it finds none that another has just changed
        half = many // 2
        yield Operation(
            "move",
            lambda n: self.database.submit(opportunities.move, self.cast.manager, self.cast.open[n], "make_offer"),
            {
                "indexes": lambda n: floor.write(MOVING, (self.cast.open[half + 2 * n],)),
                "rollups": lambda n: floor.write(MOVING, (self.cast.open[half + 2 * n + 1],), [gone, come]),
            },
        )
        yield Operation(
            "edit the value",
            lambda n: self.database.submit(
                opportunities.edit, self.cast.manager, self.cast.open[half - n], {"value": 1000 + n}
            ),
            {
                "indexes": lambda n: floor.write(EDITING, (n * 100, self.cast.open[-2 * n - 1])),
                "rollups": lambda n: floor.write(EDITING, (n * 100, self.cast.open[-2 * n - 2]), [(cell, 0, n)]),
            },
        )

    def _bounds(self, code: str) -> tuple[Any, Any]:
        period = periods.parse(code)
        assert period
        start, end = period.bounds()
        return self._instant(start), self._instant(end)

    def _instant(self, at: Any) -> Any:
        return (
            at
            if self.floor.kind == "postgresql"
            else opportunity.c.created_at.type.process_bind_param(at, self.database.engine.dialect)
        )


def _cells(answer: Any) -> list[dict[str, tuple[int, int]]]:
    """Count and value in paise by key, of each breakdown, of the core's frames or of a floor's rows."""
    if hasattr(answer[0], "itertuples"):
        answer = [[(k, c, v * 100, w) for k, c, v, w in part.itertuples(index=False)] for part in answer]
    return [{str(row[0]): (int(row[1]), int(row[2])) for row in part if row[1]} for part in answer]


def _listed(answer: Any) -> tuple[int, int, int]:
    if isinstance(answer, list):
        (count, value, _won), rows = answer[0][0], answer[1]
        return int(count), int(value), len(rows)
    return answer.count, int(answer.value * 100), len(answer.rows)


def _steps(answer: Any) -> Any:
    if isinstance(answer, list):
        steps, before, after = answer
        return {row[0]: (row[1], int(row[2])) for row in steps}, int(before[0][0]), int(after[0][0])
    steps = {row.step: (row.count, int(row.change * 100)) for row in _named(answer.steps)}
    return steps, int(answer.opening_value * 100), int(answer.closing_value * 100)


def _named(frame: Any) -> Iterator[Any]:
    yield from frame.itertuples(index=False)
