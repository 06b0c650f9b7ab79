"""Standings say what each change was to the open pipeline"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_INDEXES = {
    "again_at": ["from_at", "again_at", "step", "business_unit", "product", "region", "owner_id"],
    "turned_at": ["turned_at", "id", "version"],
}


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    instant = sa.DateTime(timezone=True) if postgresql else sa.String()
    added = {"step": sa.String(20), "change_paise": sa.Numeric() if postgresql else sa.BigInteger()}
    for name, kind in (added | {"again_at": instant, "turned_at": instant}).items():
        op.add_column("standing", sa.Column(name, kind))
    for name, columns in _INDEXES.items():
        there = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_standing_{name}", "standing", columns, sqlite_where=there, postgresql_where=there)
