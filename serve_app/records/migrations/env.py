"""What Alembic runs for each of its commands, on the connection that `schema.py` holds."""

from alembic import context

from serve_app.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can, though Alembic does not count on it: a migration is done whole or not at all.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
