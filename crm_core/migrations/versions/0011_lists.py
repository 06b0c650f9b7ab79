"""An index for each order of the list of leads, and for what the audit is filtered by"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("created_at", "changed_at", "search", "status"):
        columns = dict.fromkeys(("status", name, "id"))
        op.create_index(f"ix_lead_by_{name}", "lead", list(columns))
    op.drop_index("ix_audit_recorded_at", "audit")
    op.create_index("ix_audit_recorded_at", "audit", ["recorded_at", "id"])
    op.create_index("ix_audit_by_id", "audit", ["by_id", "recorded_at", "id"])
    op.create_index("ix_audit_action", "audit", ["action"])
    op.create_index("ix_audit_entity_id", "audit", ["entity_id"])
