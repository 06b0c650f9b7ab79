"""Wins by the day on which their stays were seen; tallies say how many were seen"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tally", sa.Column("seen", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "win",
        sa.Column("status", sa.Text(), primary_key=True),
        sa.Column("first", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("band", sa.Text(), primary_key=True),
        sa.Column("seen", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("days", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("deals", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_standing_status", "standing")
    columns = ["status", "to_at", "from_at", "value_paise", "status_at", "id"]
    op.create_index("ix_standing_status", "standing", columns)
    columns = ["closed_at", "created_at", "won_value_paise", "from_at", "to_at", "status", "id"]
    there = sa.text("won_value_paise IS NOT NULL")
    op.create_index("ix_standing_won_value_paise", "standing", columns, sqlite_where=there, postgresql_where=there)
    if op.get_bind().dialect.name == "postgresql":
        for name in ("value_paise", "won_value_paise"):
            op.alter_column("tally", name, type_=sa.BigInteger())
        # its like takes the day as well, and is made with the rules
        op.execute("DROP FUNCTION IF EXISTS crm_learnt(integer, integer)")
