"""The tables. Times are milliseconds of Unix time, money is millionths of a US dollar.

Both as integers, which every database keeps alike. There is no prompt and no picture in them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from serve_app.messages import Priority

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("last_used_at_ms", BigInteger),
    Column("priority", Integer, nullable=False, server_default=str(Priority.STANDARD.value)),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("usage_event_id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("key_id", Text),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cost_micros", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("session_id", Text),
    Column("trace_id", Text),
    Column("user", Text),
    Column("request_size_bytes", BigInteger, nullable=False),
    Column("response_size_bytes", BigInteger),
    # A page of one organisation's history, and what is to be pruned.
    Index("ix_requests_history", "organisation", "created_at_ms", "id"),
    Index("ix_requests_created", "created_at_ms"),
)

images = Table(
    "images",
    metadata,
    Column("object_name", Text, primary_key=True),
    Column("request_id", ForeignKey("requests.id", ondelete="CASCADE"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("ix_images_request", "request_id"),
)

# `held_until_ms` is the end of the owner's lease while there is no answer, and then the answer's.
idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("held_until_ms", BigInteger, nullable=False),
    Column("status_code", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
    Index("ix_idempotency_held", "held_until_ms"),
    Index("ix_idempotency_request", "request_id"),
)
