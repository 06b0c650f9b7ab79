"""Tallies: counts and sums kept beside the opportunities"""

import sqlalchemy as sa
from alembic import op

import crm_core.schema

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("ix_standing_status", "standing", ["status", "to_at", "from_at"])
    op.create_table(
        "tally",
        sa.Column("lead", sa.String(length=20), nullable=False),
        sa.Column(
            "owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("at", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("business_unit", sa.String(length=60), nullable=False),
        sa.Column("product", sa.String(length=20), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("value_paise", crm_core.schema.Rupees(), nullable=False),
        sa.Column("won_value_paise", crm_core.schema.Rupees(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("abs(value_paise) <= 9000000000000000000", name=op.f("ck_tally_value_range")),
        sa.CheckConstraint("abs(won_value_paise) <= 9000000000000000000", name=op.f("ck_tally_won_value_range")),
        sa.PrimaryKeyConstraint(
            "lead", "owner_id", "at", "key", "status", "business_unit", "product", name=op.f("pk_tally")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "course",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("first", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("band", sa.Text(), nullable=False),
        sa.Column("known", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("deals", sa.BigInteger(), nullable=False),
        sa.Column("won", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", "first", "band", "known", name=op.f("pk_course")),
        sqlite_with_rowid=False,
    )
