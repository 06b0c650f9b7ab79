"""Standings, targets, stage limits and saved views"""

import sqlalchemy as sa
from alembic import op

import crm_core.schema

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "stage_limit",
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("days BETWEEN 1 AND 9999", name=op.f("ck_stage_limit_days")),
        sa.PrimaryKeyConstraint("status", name=op.f("pk_stage_limit")),
    )
    op.create_table(
        "target",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("about", sa.String(length=60), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("after_on", sa.Date(), nullable=False),
        sa.Column("amount_paise", crm_core.schema.Rupees(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("kind IN ('region', 'owner') AND first_on < after_on", name=op.f("ck_target_period")),
        sa.CheckConstraint(
            "amount_paise BETWEEN 0 AND 9999000000000 AND amount_paise = CAST(amount_paise AS BIGINT)",
            name=op.f("ck_target_amount_range"),
        ),
        sa.PrimaryKeyConstraint("kind", "about", "first_on", "after_on", name=op.f("pk_target")),
    )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("page", sa.String(length=40), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_saved_view_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
    )
    op.create_index(op.f("ix_saved_view_owner_id"), "saved_view", ["owner_id"], unique=False)
    op.create_table(
        "standing",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("from_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("to_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("region", sa.String(length=60), nullable=True),
        sa.Column("business_unit", sa.String(length=60), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("product", sa.String(length=20), nullable=True),
        sa.Column("value_paise", crm_core.schema.Rupees(), nullable=True),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("application_engineer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expected_close_on", sa.Date(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("next_step_on", sa.Date(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("won_value_paise", crm_core.schema.Rupees(), nullable=True),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=True),
        sa.Column("status_at", crm_core.schema.Instant(), nullable=True),
        sa.Column("closed_at", crm_core.schema.Instant(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["opportunity.id"], name=op.f("fk_standing_id")),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_standing")),
    )
    op.create_index("ix_standing_from_at", "standing", ["from_at"], unique=False)
    op.create_index("ix_standing_to_at", "standing", ["to_at", "from_at"], unique=False)
    op.create_index("ix_audit_recorded_at", "audit", ["recorded_at"], unique=False)
    op.add_column("opportunity", sa.Column("changed_at", crm_core.schema.Instant(), nullable=True))
