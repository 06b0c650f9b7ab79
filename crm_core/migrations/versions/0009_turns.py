"""Standings say from which parts they turned"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_PARTS = {
    "region": sa.String(60),
    "business_unit": sa.String(60),
    "product": sa.String(20),
    "owner_id": sa.BigInteger(),
}


def upgrade() -> None:
    for name, kind in _PARTS.items():
        op.add_column("standing", sa.Column(f"was_{name}", kind))
        there = sa.text(f"was_{name} IS NOT NULL")
        columns = ["from_at", name, f"was_{name}", "id"]
        op.create_index(f"ix_standing_was_{name}", "standing", columns, sqlite_where=there, postgresql_where=there)
    op.drop_index("ix_standing_turned_at", "standing")
    if op.get_bind().dialect.name == "sqlite":
        # it writes the column, and is made anew with the rules
        op.execute("DROP TRIGGER IF EXISTS effect_opportunity_update")
    op.drop_column("standing", "turned_at")
