"""Keys, history, pictures and idempotent answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_api_keys()
    _make_requests()
    _make_images()
    _make_idempotency()


def _make_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.Column("last_used_at_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )


def _make_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("usage_event_id", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("cost_micros", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("session_id", sa.Text),
        sa.Column("trace_id", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("request_size_bytes", sa.BigInteger, nullable=False),
        sa.Column("response_size_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        sa.UniqueConstraint("usage_event_id", name="uq_requests_usage_event_id"),
    )
    op.create_index("ix_requests_history", "requests", ["organisation", "created_at_ms", "id"])
    op.create_index("ix_requests_created", "requests", ["created_at_ms"])


def _make_images() -> None:
    op.create_table(
        "images",
        sa.Column("object_name", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("object_name", name="pk_images"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name="fk_images_request_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_images_request", "images", ["request_id"])


def _make_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("held_until_ms", sa.BigInteger, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_held", "idempotency", ["held_until_ms"])
    op.create_index("ix_idempotency_request", "idempotency", ["request_id"])
