"""The first schema"""

import sqlalchemy as sa
from alembic import op

import crm_core.schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "business_unit",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_business_unit")),
    )
    op.create_table(
        "disqualify_reason",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_disqualify_reason")),
    )
    op.create_table(
        "lead_source",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_lead_source")),
    )
    op.create_table(
        "lost_reason",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_lost_reason")),
    )
    op.create_table(
        "move",
        sa.Column("entity", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("from_status", sa.String(length=40), nullable=False),
        sa.Column("to_status", sa.String(length=40), nullable=False),
        sa.Column("permission", sa.String(length=60), nullable=False),
        sa.Column("asks_won_value", sa.Boolean(), nullable=False),
        sa.Column("asks_note", sa.Boolean(), nullable=False),
        sa.Column("asks_offer", sa.Boolean(), nullable=False),
        sa.Column("reason_list", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("entity", "name", "from_status", name=op.f("pk_move")),
    )
    op.create_table(
        "region",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_region")),
    )
    op.create_table(
        "rejected_reason",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_rejected_reason")),
    )
    op.create_table(
        "role_grant",
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("permission", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("role", "permission", name=op.f("pk_role_grant")),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "stage",
        sa.Column("entity", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("initial", sa.Boolean(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("holds_won_value", sa.Boolean(), nullable=False),
        sa.Column("holds_reason", sa.Boolean(), nullable=False),
        sa.Column("links_offer", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "code", name=op.f("pk_stage")),
    )
    op.create_table(
        "app_user",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.String(length=320), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("business_unit", sa.String(length=60), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "(email IS NULL) = (email_key IS NULL) AND (email_key IS NULL OR (email_key = lower(email_key) AND email_key LIKE '%_@_%' AND email_key NOT LIKE '% %'))",
            name=op.f("ck_app_user_email"),
        ),
        sa.ForeignKeyConstraint(["business_unit"], ["business_unit.code"], name=op.f("fk_app_user_business_unit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_user")),
        sa.UniqueConstraint("email_key", name=op.f("uq_app_user_email_key")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", crm_core.schema.Instant(), nullable=False),
        sa.Column("recorded_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("entity", sa.String(length=20), nullable=False),
        sa.Column("entity_id", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=40), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_audit_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_entity", "audit", ["entity", "entity_id", "id"], unique=False)
    op.create_table(
        "lead",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("phone_key", sa.String(length=20), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.String(length=320), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("region", sa.String(length=60), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("product", sa.String(length=20), nullable=True),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("converted_customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("duplicate_of_customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("search", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("changed_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "(email IS NULL) = (email_key IS NULL) AND (email_key IS NULL OR (email_key = lower(email_key) AND email_key LIKE '%_@_%' AND email_key NOT LIKE '% %'))",
            name=op.f("ck_lead_email"),
        ),
        sa.CheckConstraint("product IN ('pump', 'valve')", name=op.f("ck_lead_product")),
        sa.ForeignKeyConstraint(
            ["converted_customer_id"], ["customer.id"], name=op.f("fk_lead_converted_customer_id"), use_alter=True
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["app_user.id"], name=op.f("fk_lead_created_by_id")),
        sa.ForeignKeyConstraint(
            ["duplicate_of_customer_id"], ["customer.id"], name=op.f("fk_lead_duplicate_of_customer_id"), use_alter=True
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_lead_owner_id")),
        sa.ForeignKeyConstraint(["reason"], ["disqualify_reason.code"], name=op.f("fk_lead_reason")),
        sa.ForeignKeyConstraint(["region"], ["region.code"], name=op.f("fk_lead_region")),
        sa.ForeignKeyConstraint(["source"], ["lead_source.code"], name=op.f("fk_lead_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead")),
        sa.UniqueConstraint("converted_customer_id", name=op.f("uq_lead_converted_customer_id")),
    )
    op.create_index(op.f("ix_lead_email_key"), "lead", ["email_key"], unique=False)
    op.create_index("ix_lead_list", "lead", ["status", "owner_id", "created_at"], unique=False)
    op.create_index(op.f("ix_lead_phone_key"), "lead", ["phone_key"], unique=False)
    op.create_table(
        "submit",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("command", sa.String(length=60), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("at", crm_core.schema.Instant(), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_submit_by_id")),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_submit")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("phone_key", sa.String(length=20), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_key", sa.String(length=320), nullable=True),
        sa.Column("gstin", sa.String(length=15), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("source_lead_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("merged_into_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("search", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "(email IS NULL) = (email_key IS NULL) AND (email_key IS NULL OR (email_key = lower(email_key) AND email_key LIKE '%_@_%' AND email_key NOT LIKE '% %'))",
            name=op.f("ck_customer_email"),
        ),
        sa.CheckConstraint(
            "merged_into_id IS NULL OR (merged_into_id <> id AND NOT active)", name=op.f("ck_customer_merged")
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["app_user.id"], name=op.f("fk_customer_created_by_id")),
        sa.ForeignKeyConstraint(["merged_into_id"], ["customer.id"], name=op.f("fk_customer_merged_into_id")),
        sa.ForeignKeyConstraint(["source_lead_id"], ["lead.id"], name=op.f("fk_customer_source_lead_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("email_key", name=op.f("uq_customer_email_key")),
        sa.UniqueConstraint("source_lead_id", name=op.f("uq_customer_source_lead_id")),
    )
    op.create_index(op.f("ix_customer_name_key"), "customer", ["name_key"], unique=False)
    op.create_index(op.f("ix_customer_phone_key"), "customer", ["phone_key"], unique=False)
    op.create_table(
        "offer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount_paise", crm_core.schema.Rupees(), nullable=False),
        sa.Column("offered_on", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("document_url", sa.Text(), nullable=True),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("status IN ('draft', 'sent', 'accepted', 'declined')", name=op.f("ck_offer_status")),
        sa.CheckConstraint(
            "amount_paise BETWEEN 0 AND 9999000000000 AND amount_paise = CAST(amount_paise AS BIGINT)",
            name=op.f("ck_offer_amount_range"),
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["app_user.id"], name=op.f("fk_offer_created_by_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_offer_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("id", "customer_id", name=op.f("uq_offer_id_customer_id")),
        sa.UniqueConstraint("number", name=op.f("uq_offer_number")),
    )
    op.create_index("ix_offer_customer_id", "offer", ["customer_id"], unique=False)
    op.create_table(
        "opportunity",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("region", sa.String(length=60), nullable=False),
        sa.Column("business_unit", sa.String(length=60), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("product", sa.String(length=20), nullable=False),
        sa.Column("value_paise", crm_core.schema.Rupees(), nullable=False),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("application_engineer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expected_close_on", sa.Date(), nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("next_step_on", sa.Date(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("won_value_paise", crm_core.schema.Rupees(), nullable=True),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("source_lead_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("external_ref", sa.String(length=80), nullable=True),
        sa.Column(
            "search", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), server_default="", nullable=False
        ),
        sa.Column("created_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recorded_at", crm_core.schema.Instant(), nullable=True),
        sa.Column("status_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("closed_at", crm_core.schema.Instant(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("product IN ('pump', 'valve')", name=op.f("ck_opportunity_product")),
        sa.CheckConstraint(
            "value_paise BETWEEN 0 AND 9999000000000 AND value_paise = CAST(value_paise AS BIGINT)",
            name=op.f("ck_opportunity_value_range"),
        ),
        sa.CheckConstraint(
            "won_value_paise BETWEEN 0 AND 9999000000000 AND won_value_paise = CAST(won_value_paise AS BIGINT)",
            name=op.f("ck_opportunity_won_value_range"),
        ),
        sa.ForeignKeyConstraint(
            ["application_engineer_id"], ["app_user.id"], name=op.f("fk_opportunity_application_engineer_id")
        ),
        sa.ForeignKeyConstraint(["business_unit"], ["business_unit.code"], name=op.f("fk_opportunity_business_unit")),
        sa.ForeignKeyConstraint(["created_by_id"], ["app_user.id"], name=op.f("fk_opportunity_created_by_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_opportunity_customer_id")),
        sa.ForeignKeyConstraint(
            ["offer_id", "customer_id"],
            ["offer.id", "offer.customer_id"],
            name=op.f("fk_opportunity_offer_id_customer_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_opportunity_owner_id")),
        sa.ForeignKeyConstraint(["region"], ["region.code"], name=op.f("fk_opportunity_region")),
        sa.ForeignKeyConstraint(["source_lead_id"], ["lead.id"], name=op.f("fk_opportunity_source_lead_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opportunity")),
        sa.UniqueConstraint("external_ref", name=op.f("uq_opportunity_external_ref")),
        sa.UniqueConstraint("offer_id", name=op.f("uq_opportunity_offer_id")),
        sa.UniqueConstraint("source_lead_id", name=op.f("uq_opportunity_source_lead_id")),
    )
    op.create_index("ix_opportunity_application_engineer_id", "opportunity", ["application_engineer_id"], unique=False)
    op.create_index("ix_opportunity_closed_at", "opportunity", ["closed_at"], unique=False)
    op.create_index("ix_opportunity_created_at", "opportunity", ["created_at"], unique=False)
    op.create_index("ix_opportunity_customer_id", "opportunity", ["customer_id"], unique=False)
    op.create_index("ix_opportunity_owner_id", "opportunity", ["owner_id", "status"], unique=False)
    op.create_index("ix_opportunity_slice", "opportunity", ["status", "region", "owner_id", "created_at"], unique=False)
    op.create_table(
        "transition",
        sa.Column("opportunity_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("move", sa.String(length=40), nullable=False),
        sa.Column("from_status", sa.String(length=40), nullable=True),
        sa.Column("to_status", sa.String(length=40), nullable=False),
        sa.Column("at", crm_core.schema.Instant(), nullable=False),
        sa.Column("recorded_at", crm_core.schema.Instant(), nullable=False),
        sa.Column("by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("won_value_paise", crm_core.schema.Rupees(), nullable=True),
        sa.Column("offer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_transition_by_id")),
        sa.ForeignKeyConstraint(["opportunity_id"], ["opportunity.id"], name=op.f("fk_transition_opportunity_id")),
        sa.PrimaryKeyConstraint("opportunity_id", "seq", name=op.f("pk_transition")),
    )
    op.create_index("ix_transition_at", "transition", ["at"], unique=False)
    if op.get_bind().dialect.supports_alter:
        # lead and customer refer to each other; SQLite takes the reference before its target exists
        for name in ("converted_customer_id", "duplicate_of_customer_id"):
            op.create_foreign_key(op.f(f"fk_lead_{name}"), "lead", "customer", [name], ["id"])
