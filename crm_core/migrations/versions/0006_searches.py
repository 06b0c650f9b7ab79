"""An index of the parts of three letters of what records are found by"""

from alembic import op

from crm_core import trigrams

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    trigrams.build(op.get_bind())
