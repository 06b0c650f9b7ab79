"""An index by which the opportunities of a city are found"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index("ix_opportunity_city", "opportunity", ["city"])
