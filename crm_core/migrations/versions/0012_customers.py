"""An index by which the past of a customer's opportunities is found"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("ix_standing_customer_id", "standing", ["customer_id"])
