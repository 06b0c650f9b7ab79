"""Walks: the orders of a list along an index"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # SQLite adds no stored column to a table, PostgreSQL indexes no other
    stored = op.get_bind().dialect.name == "postgresql" or None
    computed = sa.Computed("CAST(value_paise AS BIGINT)", persisted=stored)
    op.add_column("opportunity", sa.Column("value_key", sa.BigInteger(), computed))
    for name in ("created_at", "value_key", "status_at", "next_step_on"):
        op.create_index(f"ix_opportunity_by_{name}", "opportunity", ["status", name, "id"])
    op.drop_index("ix_opportunity_owner_id", "opportunity")
    op.create_index("ix_opportunity_owner_id", "opportunity", ["owner_id", "status", "created_at", "id"])
