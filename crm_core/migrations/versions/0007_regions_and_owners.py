"""Past days by owner and region have an index; tallies of a region and a month have a longer key"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for name in ("owner_id", "region"):
        op.create_index(f"ix_standing_{name}", "standing", [name, "status", "to_at", "from_at"])
    if op.get_bind().dialect.name == "postgresql":  # SQLite holds no text to its length
        op.alter_column("tally", "key", type_=sa.String(length=70))
