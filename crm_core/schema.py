"""The tables. Money is integer paise, time is UTC; in Python they are Decimal rupees and aware UTC.

`migrations/` builds them, `rules.py` adds what the database itself refuses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.types import JSON

from crm_core import money

PRODUCTS = {"pump": "Pump", "valve": "Valve"}
OFFER_STATUSES = {"draft": "Draft", "sent": "Sent", "accepted": "Accepted", "declined": "Declined"}
LARGEST_PAISE = int(money.LARGEST * 100)
_HUNDRED = Decimal(100)


class Rupees(TypeDecorator[Decimal]):
    """Decimal rupees in Python, whole paise in the database (numeric on PostgreSQL, which would round)."""

    impl = BigInteger().with_variant(Numeric(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else int(Decimal(value) * 100)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / _HUNDRED


class Summed(Rupees):
    """The same of what only the database itself adds up: whole on PostgreSQL too, which sums such numbers faster."""

    impl = BigInteger()
    cache_ok = True


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite as ISO text with its offset, so that text order is time order."""

    impl = String().with_variant(DateTime(timezone=True), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


#: What reading one record gives: columns as attributes.
Record = Row[*tuple[Any, ...]]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Key = BigInteger().with_variant(Integer, "sqlite")
#: Folded text, compared byte by byte on both databases, so that both sort and match alike.
Folded = Text().with_variant(Text(collation="C"), "postgresql")


def _key() -> Column[int]:
    return Column("id", Key, primary_key=True)


def _link(name: str, target: str, **more: Any) -> Column[Any]:
    return Column(name, ForeignKey(target), **more)


def _version() -> Column[int]:
    return Column("version", Integer, nullable=False, default=1, server_default="1")


def _paise(name: str) -> CheckConstraint:
    whole = f"{name}_paise = CAST({name}_paise AS BIGINT)"
    return CheckConstraint(f"{name}_paise BETWEEN 0 AND {LARGEST_PAISE} AND {whole}", name=f"{name}_range")


def _email_check() -> CheckConstraint:
    shape = "email_key = lower(email_key) AND email_key LIKE '%_@_%' AND email_key NOT LIKE '% %'"
    return CheckConstraint(f"(email IS NULL) = (email_key IS NULL) AND (email_key IS NULL OR ({shape}))", name="email")


def _product_check() -> CheckConstraint:
    return CheckConstraint("product IN ({})".format(", ".join(f"'{p}'" for p in PRODUCTS)), name="product")


def _configured(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("code", String(60), primary_key=True),
        Column("label", Text, nullable=False),
        Column("position", Integer, nullable=False),
        Column("active", Boolean, nullable=False, server_default=true()),
        _version(),
    )


region = _configured("region")
business_unit = _configured("business_unit")
lead_source = _configured("lead_source")
lost_reason = _configured("lost_reason")
rejected_reason = _configured("rejected_reason")
disqualify_reason = _configured("disqualify_reason")

#: The configured lists, by the name that lifecycle and settings use, with the heading people read.
LISTS = {
    "region": (region, "Regions"),
    "business_unit": (business_unit, "Business units"),
    "lead_source": (lead_source, "Lead sources"),
    "lost_reason": (lost_reason, "Loss reasons"),
    "rejected_reason": (rejected_reason, "Rejection reasons"),
    "disqualify_reason": (disqualify_reason, "Disqualification reasons"),
}

setting = Table("setting", metadata, Column("key", String(60), primary_key=True), Column("value", Text, nullable=False))

# Rewritten from the lifecycle and the grants whenever a database is opened with other ones.
stage = Table(
    "stage",
    metadata,
    Column("entity", String(20), primary_key=True),
    Column("code", String(40), primary_key=True),
    Column("initial", Boolean, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("holds_won_value", Boolean, nullable=False),
    Column("holds_reason", Boolean, nullable=False),
    Column("links_offer", Boolean, nullable=False),
)
move = Table(
    "move",
    metadata,
    Column("entity", String(20), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("from_status", String(40), primary_key=True),
    Column("to_status", String(40), nullable=False),
    Column("permission", String(60), nullable=False),
    Column("asks_won_value", Boolean, nullable=False),
    Column("asks_note", Boolean, nullable=False),
    Column("asks_offer", Boolean, nullable=False),
    Column("reason_list", String(40)),
)
role_grant = Table(
    "role_grant",
    metadata,
    Column("role", String(40), primary_key=True),
    Column("permission", String(60), primary_key=True),
)

app_user = Table(
    "app_user",
    metadata,
    _key(),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_key", String(320), nullable=False, unique=True),
    Column("role", String(40), nullable=False),
    _link("business_unit", "business_unit.code"),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Instant, nullable=False),
    _version(),
    _email_check(),
)

customer = Table(
    "customer",
    metadata,
    _key(),
    Column("company", Text, nullable=False),
    Column("contact", Text),
    Column("phone", Text),
    Column("phone_key", String(20), index=True),
    Column("email", Text),
    Column("email_key", String(320), unique=True),
    Column("gstin", String(15)),
    Column("state", Text),
    Column("city", Text),
    Column("notes", Text),
    _link("source_lead_id", "lead.id", unique=True),
    Column("active", Boolean, nullable=False, server_default=true()),
    _link("merged_into_id", "customer.id"),
    Column("search", Folded, nullable=False),
    Column("name_key", Folded, nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    _link("created_by_id", "app_user.id", nullable=False),
    _version(),
    _email_check(),
    CheckConstraint("merged_into_id IS NULL OR (merged_into_id <> id AND NOT active)", name="merged"),
)

lead = Table(
    "lead",
    metadata,
    _key(),
    Column("contact", Text, nullable=False),
    Column("company", Text, nullable=False),
    Column("phone", Text),
    Column("phone_key", String(20), index=True),
    Column("email", Text),
    Column("email_key", String(320), index=True),
    _link("source", "lead_source.code", nullable=False),
    _link("region", "region.code"),
    Column("state", Text),
    Column("city", Text),
    Column("product", String(20)),
    _link("owner_id", "app_user.id", nullable=False),
    Column("notes", Text),
    Column("status", String(40), nullable=False),
    _link("reason", "disqualify_reason.code"),
    Column("note", Text),
    Column("converted_customer_id", ForeignKey("customer.id", use_alter=True), unique=True),
    Column("duplicate_of_customer_id", ForeignKey("customer.id", use_alter=True)),
    Column("search", Folded, nullable=False),
    Column("created_at", Instant, nullable=False),
    _link("created_by_id", "app_user.id", nullable=False),
    Column("changed_at", Instant, nullable=False),
    _version(),
    _email_check(),
    _product_check(),
    Index("ix_lead_list", "status", "owner_id", "created_at"),
    *(Index(f"ix_lead_by_{name}", "status", name, "id") for name in ("created_at", "changed_at", "search")),
    Index("ix_lead_by_status", "status", "id"),
)

offer = Table(
    "offer",
    metadata,
    _key(),
    Column("number", String(60), nullable=False, unique=True),
    _link("customer_id", "customer.id", nullable=False),
    Column("amount_paise", Rupees, key="amount", nullable=False),
    Column("offered_on", Date, nullable=False),
    Column("status", String(20), nullable=False),
    Column("document_url", Text),
    Column("created_at", Instant, nullable=False),
    _link("created_by_id", "app_user.id", nullable=False),
    _version(),
    UniqueConstraint("id", "customer_id"),
    CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in OFFER_STATUSES)), name="status"),
    _paise("amount"),
    Index("ix_offer_customer_id", "customer_id"),
)

opportunity = Table(
    "opportunity",
    metadata,
    _key(),
    Column("title", Text),
    _link("customer_id", "customer.id", nullable=False),
    _link("region", "region.code", nullable=False),
    _link("business_unit", "business_unit.code", nullable=False),
    Column("state", Text),
    Column("city", Text),
    Column("product", String(20), nullable=False),
    Column("value_paise", Rupees, key="value", nullable=False),
    # PostgreSQL compares numerics only behind row security, so no walk could begin at one
    Column("value_key", BigInteger, Computed("CAST(value_paise AS BIGINT)")),
    _link("owner_id", "app_user.id", nullable=False),
    _link("application_engineer_id", "app_user.id"),
    Column("expected_close_on", Date),
    Column("next_step", Text),
    Column("next_step_on", Date),
    Column("status", String(40), nullable=False),
    Column("reason", String(60)),
    Column("note", Text),
    Column("won_value_paise", Rupees, key="won_value"),
    Column("offer_id", Key, unique=True),
    _link("source_lead_id", "lead.id", unique=True),
    Column("external_ref", String(80), unique=True),
    Column("search", Folded, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    _link("created_by_id", "app_user.id", nullable=False),
    Column("recorded_at", Instant),
    Column("status_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("changed_at", Instant),
    _version(),
    ForeignKeyConstraint(
        ["offer_id", "customer_id"],
        ["offer.id", "offer.customer_id"],
        deferrable=True,
        initially="DEFERRED",
    ),
    _product_check(),
    _paise("value"),
    _paise("won_value"),
    Index("ix_opportunity_slice", "status", "region", "owner_id", "created_at"),
    Index("ix_opportunity_owner_id", "owner_id", "status", "created_at", "id"),
    Index("ix_opportunity_application_engineer_id", "application_engineer_id"),
    Index("ix_opportunity_customer_id", "customer_id"),
    Index("ix_opportunity_created_at", "created_at"),
    Index("ix_opportunity_closed_at", "closed_at"),
    Index("ix_opportunity_city", "city"),
    *(
        Index(f"ix_opportunity_by_{name}", "status", name, "id")
        for name in ("created_at", "value_key", "status_at", "next_step_on")
    ),
)

#: Every status an opportunity ever had. Inserting a row is the only way to change a status; `seq`
#: is the version of the opportunity that it made, `at` when it happened, `recorded_at` the clock.
transition = Table(
    "transition",
    metadata,
    _link("opportunity_id", "opportunity.id", primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("move", String(40), nullable=False),
    Column("from_status", String(40)),
    Column("to_status", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    _link("by_id", "app_user.id", nullable=False),
    Column("reason", String(60)),
    Column("note", Text),
    Column("won_value_paise", Rupees, key="won_value"),
    Column("offer_id", Key),
    Index("ix_transition_at", "at"),
)

#: The facts of an opportunity that are kept for every past day.
FACTS = tuple(
    opportunity.c[name]
    for name in (
        *("title", "customer_id", "region", "business_unit", "state", "city", "product", "value", "owner_id"),
        *("application_engineer_id", "expected_close_on", "next_step", "next_step_on", "status", "reason"),
        *("won_value", "created_at", "status_at", "closed_at"),
    )
)
#: The parts of the pipeline that an opportunity can turn from one of to another, of which steps are kept.
TURNS = ("region", "business_unit", "product", "owner_id")
#: The end of what still stands.
STILL = datetime(9999, 12, 31, tzinfo=UTC)

#: Every opportunity as it stood from one change until the next; what stands now ends with STILL. With it, what
#: the change was to the open pipeline (`steps`): its kind, by how much, when it was made last before, and from which
#: parts the opportunity turned; nothing where it was none. The
#: database writes it with each change (`rules.EFFECTS`), and `standings` proves it from the history.
standing = Table(
    "standing",
    metadata,
    Column("id", ForeignKey("opportunity.id"), primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("from_at", Instant, nullable=False),
    Column("to_at", Instant, nullable=False),
    *(Column(c.name, c.type, key=c.key) for c in FACTS),
    Column("step", String(20)),
    Column("change_paise", Rupees, key="change"),
    Column("again_at", Instant),
    *(Column(f"was_{name}", opportunity.c[name].type) for name in TURNS),
    Index("ix_standing_to_at", "to_at", "from_at"),
    # with what the largest of a past day are told by
    Index("ix_standing_status", "status", "to_at", "from_at", "value", "status_at", "id"),
    Index("ix_standing_from_at", "from_at"),
    Index("ix_standing_customer_id", "customer_id"),
    *(Index(f"ix_standing_{name}", name, "status", "to_at", "from_at") for name in ("owner_id", "region")),
    *(
        Index(f"ix_standing_{name}", *columns, sqlite_where=there, postgresql_where=there)
        for name, columns in (
            # with what the deals won in a span of a past day are told by
            ("won_value_paise", ("closed_at", "created_at", "won_value", "from_at", "to_at", "status", "id")),
            ("again_at", ("from_at", "again_at", "step", "business_unit", "product", "region", "owner_id")),
            *((f"was_{name}", ("from_at", name, f"was_{name}", "id")) for name in TURNS),
        )
        for there in [text(f"{name} IS NOT NULL")]
    ),
)

#: What the opportunities of each cell come to, of the company (`owner_id` 0) or of one owner's own: now (`at` 0),
#: or by how much a month (202611) or a day (20261124) in India changed it. `key` is that of the dimension that
#: leads: the region's code, the owner's id, the month of creation or of closing, this before the region's; `days` are those from creation to
#: closing. What is overdue (by region) and what has been in its stage for so many days (by the band of its value)
#: is kept by the day and month on which it will be so, if nothing changes until then; `seen` is how many came to be
#: so many days in their stage, whatever became of them since. The database keeps it with each change (`cells.KEEP`), and `tallies` proves it from the standings. No sum leaves what SQLite adds exactly.
tally = Table(
    "tally",
    metadata,
    Column("lead", String(20), primary_key=True),
    Column("owner_id", Key, primary_key=True, autoincrement=False),
    Column("at", Integer, primary_key=True, autoincrement=False),
    Column("key", String(70), primary_key=True),
    Column("status", String(40), primary_key=True),
    Column("business_unit", String(60), primary_key=True),
    Column("product", String(20), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("value_paise", Summed, key="value", nullable=False),
    Column("won_value_paise", Summed, key="won_value", nullable=False),
    Column("days", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False, server_default="0"),
    *(CheckConstraint(f"abs({name}_paise) <= {9 * 10**18}", name=f"{name}_range") for name in ("value", "won_value")),
    sqlite_with_rowid=False,
)

#: What became of the stays in a stage that a closing ended: how many were seen at the end of the day `first` of them,
#: with a value of a band then, whose end was known by a day (since 1970 in India), and how many of these were won.
#: The database keeps it with each closing (`courses.KEEP`), and `courses` proves it from the standings.
course = Table(
    "course",
    metadata,
    Column("status", Text, primary_key=True),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("band", Text, primary_key=True),
    Column("known", Integer, primary_key=True, autoincrement=False),
    Column("deals", BigInteger, nullable=False),
    Column("won", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Of such stays those that were won: how many were seen in a month (202611) or on a day (20261124), and won so many
#: `days` later. Kept and proven with `course`.
win = Table(
    "win",
    metadata,
    Column("status", Text, primary_key=True),
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("band", Text, primary_key=True),
    Column("seen", Integer, primary_key=True, autoincrement=False),
    Column("days", Integer, primary_key=True, autoincrement=False),
    Column("deals", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: What a region or a sales engineer (`kind`) is to win in the days [first_on, after_on); no amount: none is set.
target = Table(
    "target",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("about", String(60), primary_key=True),
    Column("first_on", Date, primary_key=True),
    Column("after_on", Date, primary_key=True),
    Column("amount_paise", Rupees, key="amount"),
    _version(),
    CheckConstraint("kind IN ('region', 'owner') AND first_on < after_on", name="period"),
    _paise("amount"),
)

#: After how many days an opportunity is too long in a stage; none: never.
stage_limit = Table(
    "stage_limit",
    metadata,
    Column("status", String(40), primary_key=True),
    Column("days", Integer),
    _version(),
    CheckConstraint("days BETWEEN 1 AND 9999", name="days"),
)

#: A page's URL under a name, for its owner or for the team.
saved_view = Table(
    "saved_view",
    metadata,
    _key(),
    _link("owner_id", "app_user.id", nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("page", String(40), nullable=False),
    Column("query", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Instant, nullable=False),
    _version(),
)

#: One row per change of anything, in the change's own transaction: who, when, what, before, after.
audit = Table(
    "audit",
    metadata,
    _key(),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    _link("by_id", "app_user.id"),
    Column("by_name", Text, nullable=False),
    Column("action", String(60), nullable=False),
    Column("entity", String(20), nullable=False),
    Column("entity_id", String(80), nullable=False),
    Column("version", Integer),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("request_id", String(40), nullable=False, server_default=""),
    Index("ix_audit_entity", "entity", "entity_id", "id"),
    Index("ix_audit_entity_id", "entity_id"),
    Index("ix_audit_recorded_at", "recorded_at", "id"),
    Index("ix_audit_by_id", "by_id", "recorded_at", "id"),
    Index("ix_audit_action", "action"),
)

#: A submit's token and what it made, so that the same submit twice makes one record.
submit = Table(
    "submit",
    metadata,
    Column("token", String(64), primary_key=True),
    _link("by_id", "app_user.id", nullable=False),
    Column("command", String(60), nullable=False),
    Column("result", JSON),
    Column("at", Instant, nullable=False),
)

#: Which account of which sign-in provider is which user: bound at the first sign-in, never bound anew.
identity = Table(
    "identity",
    metadata,
    Column("user_id", ForeignKey("app_user.id"), primary_key=True, autoincrement=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("bound_at", Instant, nullable=False),
    Column("signed_out_at", Instant),
    UniqueConstraint("issuer", "subject"),
)

#: What was attempted and refused, kept apart from what was done, without any value.
denial = Table(
    "denial",
    metadata,
    _key(),
    Column("at", Instant, nullable=False),
    _link("by_id", "app_user.id"),
    Column("action", String(60), nullable=False),
    Column("why", Text, nullable=False),
    Column("request_id", String(40), nullable=False, server_default=""),
    Index("ix_denial_at", "at"),
)

#: The chain over the committed audit rows: each digest covers the one before and one row.
audit_seal = Table(
    "audit_seal",
    metadata,
    Column("position", Key, primary_key=True, autoincrement=False),
    _link("audit_id", "audit.id", nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("sealed_at", Instant, nullable=False),
)
