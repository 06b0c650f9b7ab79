"""The floors: a second, bare set of tables of the same rows, and the least SQL that answers the same question.

`floor_opp` has the one composite index of the slice and a covering index a breakdown; it is written
too. `floor_cut` has a covering index a filter, `floor_place` one of what nothing is kept of. `floor_stood`
is what stood when. The rollups hold what every cell comes to: three narrow ones of the company, two led
by the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

#: To be raised with any change of the tables.
VERSION = 2
BREAKDOWNS = ("status", "region", "owner", "month")
_MONTH = {
    "sqlite": "strftime('%Y-%m', created_at, '+330 minutes')",
    "postgresql": "to_char(created_at AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM')",
}
_INSTANT = {"sqlite": "TEXT", "postgresql": "timestamptz"}
_KEY = {"sqlite": "integer", "postgresql": "bigint"}  # what SQLite takes for its own number of a row
_AMOUNTS = "value, won_value"
INDEXES = {
    "floor_opp": (
        f"status, region, owner, created_at, {_AMOUNTS}",
        f"status, created_at, {_AMOUNTS}",
        f"region, {_AMOUNTS}",
        f"owner, {_AMOUNTS}",
        f"month, {_AMOUNTS}",
        f"created_at, {_AMOUNTS}",
    ),
    "floor_cut": (
        f"bu, status, region, owner, month, {_AMOUNTS}",
        f"product, status, region, owner, month, {_AMOUNTS}",
        f"owner, status, region, month, {_AMOUNTS}",
        f"region, status, owner, month, {_AMOUNTS}",
        f"created_at, status, region, owner, month, {_AMOUNTS}",
    ),
    "floor_place": (f"city, status, region, owner, month, {_AMOUNTS}",),
    "floor_stood": (
        f"to_at, from_at, status, region, owner, month, {_AMOUNTS}",
        f"from_at, id, version, status, {_AMOUNTS}",
    ),
}
ROLLUPS = {
    "roll_region": ("status", "bu", "product", "region"),
    "roll_owner": ("status", "bu", "product", "owner"),
    "roll_month": ("status", "bu", "product", "month"),
    "own_region": ("owner", "status", "bu", "product", "region"),
    "own_month": ("owner", "status", "bu", "product", "month"),
}
ADDING = (
    "INSERT INTO floor_opp (status, region, owner, bu, product, created_at, value, customer, month, id) "
    "VALUES ('open', ?, ?, 'valves', 'valve', ?, 45000000, ?, '2026-11', ?)"
)
MOVING = "UPDATE floor_opp SET status = 'offer_made' WHERE id = ? AND status = 'open'"
EDITING = "UPDATE floor_opp SET value = ? WHERE id = ?"
OPEN = "status IN ('open', 'offer_made')"


def build(conn: Any, kind: str) -> None:
    """This function will make the floors' tables from the records."""
    at, month = _INSTANT[kind], _MONTH[kind]
    columns = (
        f"id {_KEY[kind]} PRIMARY KEY, status TEXT, region TEXT, owner bigint, bu TEXT, product TEXT, created_at {at}, "
        f"closed_at {at}, value bigint, won_value bigint, customer bigint, month TEXT"
    )
    rows = (
        "SELECT id, status, region, owner_id, business_unit, product, created_at, closed_at, value_paise, "
        f"won_value_paise, customer_id, {month} FROM opportunity ORDER BY id"
    )
    for table in ("floor_opp", "floor_cut"):
        conn.execute(f"CREATE TABLE {table} ({columns})")
        conn.execute(f"INSERT INTO {table} {rows}")
    conn.execute(
        f"CREATE TABLE floor_place AS SELECT city, status, region, owner_id AS owner, {month} AS month, "
        "value_paise AS value, won_value_paise AS won_value FROM opportunity"
    )
    bare = " WITHOUT ROWID" if kind == "sqlite" else ""
    conn.execute(
        f"CREATE TABLE floor_stood (id bigint, version integer, from_at {at}, to_at {at}, status TEXT, region TEXT, "
        f"owner bigint, month TEXT, value bigint, won_value bigint, PRIMARY KEY (id, version)){bare}"
    )
    conn.execute(
        f"INSERT INTO floor_stood SELECT id, version, from_at, to_at, status, region, owner_id, {month}, value_paise, "
        "won_value_paise FROM standing ORDER BY id, version"
    )
    for table, many in INDEXES.items():
        for number, index in enumerate(many):
            conn.execute(f"CREATE INDEX {table}_{number} ON {table} ({index})")
    for table, cell in ROLLUPS.items():
        key = ", ".join(cell)
        kinds = ", ".join(f"{name} {'bigint' if name == 'owner' else 'TEXT'}" for name in cell)
        amounts = "count bigint, value bigint, won_value bigint"
        conn.execute(f"CREATE TABLE {table} ({kinds}, {amounts}, PRIMARY KEY ({key})){bare}")
        sums = "count(*), sum(value), coalesce(sum(won_value), 0)"
        conn.execute(f"INSERT INTO {table} SELECT {key}, {sums} FROM floor_opp GROUP BY {key}")
    words = (
        "SELECT o.id, coalesce(o.search, '') || ' ' || c.search FROM opportunity o "
        "JOIN customer c ON c.id = o.customer_id ORDER BY o.id"
    )
    if kind == "sqlite":
        conn.execute("CREATE VIRTUAL TABLE floor_words USING fts5 (words, tokenize = 'trigram', detail = 'none')")
        conn.execute(f"INSERT INTO floor_words (rowid, words) {words}")
    else:
        conn.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        conn.execute(f"CREATE TABLE floor_words AS {words.replace('c.search', 'c.search AS words', 1)}")
        conn.execute("CREATE INDEX floor_words_0 ON floor_words USING gin (words gin_trgm_ops)")


class Floor:
    """Questions of the bare tables on one connection of the driver's own."""

    def __init__(self, conn: Any, kind: str) -> None:
        self.conn, self.kind = conn, kind

    def ask(self, sql: str, *given: Any) -> list[Any]:
        """This function will run one statement and read all that it gives."""
        result = self.conn.execute(sql.replace("?", "%s") if self.kind == "postgresql" else sql, given)
        return result.fetchall() if result.description else []

    def breakdowns(self, source: str, where: str = "", *given: Any) -> Callable[[], list[list[Any]]]:
        """This function will make the question of a dashboard: count and sums by each of BREAKDOWNS."""
        many = [
            f"SELECT {by}, count(*), sum(value), coalesce(sum(won_value), 0) FROM {source} {where} GROUP BY {by}"
            for by in BREAKDOWNS
        ]
        return lambda: [self.ask(sql, *given) for sql in many]

    def rolled(self, where: str = "", *given: Any, lead: str = "roll") -> Callable[[], list[list[Any]]]:
        """This function will make the same question of the rollups (of `lead`: roll or own)."""
        sources = {"status": f"{lead}_region", "region": f"{lead}_region", "month": f"{lead}_month"}
        sources["owner"] = "roll_owner" if lead == "roll" else "own_region"
        many = [
            f"SELECT {by}, sum(count), sum(value), sum(won_value) FROM {sources[by]} {where} GROUP BY {by}"
            for by in BREAKDOWNS
        ]
        return lambda: [self.ask(sql, *given) for sql in many]

    def page(
        self, where: str = "", *given: Any, offset: int = 0, total: str = "floor_opp"
    ) -> Callable[[], list[list[Any]]]:
        """This function will make the question of a list: a page, newest first, and the count and sums (`total` has them)."""
        first = (
            "SELECT id, status, region, owner, bu, product, created_at, closed_at, value, won_value, customer "
            f"FROM floor_opp {where} ORDER BY created_at DESC LIMIT 25 OFFSET {offset}"
        )
        if offset:
            first = (
                "SELECT o.* FROM (SELECT id, created_at FROM floor_opp "
                f"{where} ORDER BY created_at DESC LIMIT 25 OFFSET {offset}) p JOIN floor_opp o ON o.id = p.id"
            )
        counted = "count(*)" if total == "floor_opp" else "sum(count)"
        sums = f"SELECT {counted}, coalesce(sum(value), 0), coalesce(sum(won_value), 0) FROM {total} {where}"
        return lambda: [self.ask(sums, *given), self.ask(first, *given)]

    def found(self, text: str) -> Callable[[], list[list[Any]]]:
        """This function will make the question of a search, through an index of the three-letter parts of the words."""
        which = "SELECT rowid FROM floor_words WHERE words LIKE ?"
        if self.kind == "postgresql":
            which = "SELECT id FROM floor_words WHERE words LIKE ?"
        return self.page(f"WHERE id IN ({which})", f"%{text}%")

    def one(self, number: int) -> list[Any]:
        """This function will read one record and what the audit says of it."""
        told = "SELECT * FROM audit WHERE entity = 'opportunity' AND entity_id = ? ORDER BY id DESC"
        return [self.ask("SELECT * FROM floor_opp WHERE id = ?", number), self.ask(told, str(number))]

    def moved(self, start: Any, end: Any) -> list[Any]:
        """This function will sum what moved the open pipeline between two instants, and what stood at each of them."""
        now, before = (OPEN.replace("status", f"{side}.status") for side in ("n", "b"))
        step = (
            f"CASE WHEN {now} AND {before} THEN (CASE WHEN n.value > b.value THEN 'increased' WHEN n.value < b.value "
            f"THEN 'decreased' END) WHEN {now} AND b.id IS NULL THEN 'new' WHEN {now} THEN 'reopened' "
            f"WHEN {before} THEN n.status END"
        )
        change = f"CASE WHEN {now} THEN n.value ELSE 0 END - CASE WHEN {before} THEN b.value ELSE 0 END"
        steps = (
            f"SELECT step, count(DISTINCT id), sum(change) FROM (SELECT n.id, {step} AS step, {change} AS change "
            "FROM floor_stood n LEFT JOIN floor_stood b ON b.id = n.id AND b.version = n.version - 1 "
            "WHERE n.from_at >= ? AND n.from_at < ?) s WHERE step IS NOT NULL GROUP BY step"
        )
        stood = f"SELECT coalesce(sum(value), 0) FROM floor_stood WHERE from_at < ? AND to_at >= ? AND {OPEN}"
        return [self.ask(steps, start, end), self.ask(stood, start, start), self.ask(stood, end, end)]

    def write(self, sql: str, given: Sequence[Any], cells: Sequence[tuple[dict[str, Any], int, int]] = ()) -> None:
        """This function will write one row of `floor_opp` and commit; with `cells`, what they add to the rollups too.

        A cell: the row's values by name, what it adds to the count, to the value in paise.
        """
        if not cells:
            self.ask(sql, *given)
            return
        self.ask("BEGIN")
        self.ask(sql, *given)
        for table, names in ROLLUPS.items():
            key, marks = ", ".join(names), ", ".join("?" * len(names))
            adding = (
                f"INSERT INTO {table} ({key}, count, value, won_value) VALUES ({marks}, ?, ?, 0) ON CONFLICT ({key}) "
                f"DO UPDATE SET count = {table}.count + excluded.count, value = {table}.value + excluded.value"
            )
            # in one order for every writer, so that they wait for each other instead of blocking
            for row, count, value in sorted(cells, key=lambda cell: [str(cell[0][name]) for name in names]):
                self.ask(adding, *(row[name] for name in names), count, value)
        self.ask("COMMIT")
