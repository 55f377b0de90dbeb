"""The class of a key's requests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STANDARD = "1"


def upgrade() -> None:
    """Give every key the middle class."""
    priority = sa.Column("priority", sa.Integer, nullable=False, server_default=STANDARD)
    op.add_column("api_keys", priority)
