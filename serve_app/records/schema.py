"""Brings a database's tables to what this version of the program expects, or refuses to start."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError

from serve_app.config import RecordsConfig
from serve_app.errors import StartError
from serve_app.records.database import folder_of, open_engine, open_file, url_of

MIGRATIONS = Path(__file__).parent / "migrations"

# One migrates, others wait. What they would do afterwards is nothing.
LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "SELECT pg_advisory_xact_lock(5732108)",  # any number, but always this one
}


class SchemaError(StartError):
    """A database whose tables are not those of this version, or that cannot be reached."""


def upgrade(config: RecordsConfig) -> None:
    """Make the tables that are missing, and migrate those of an older version.

    Any number of processes may do so at the same time.

    Raises:
        StartError: The database is of a newer version, or cannot be reached.
    """
    # However long it takes, or another takes whom it waits for.
    _run(config, _upgrade, timeout_s=None)


def prepare(config: RecordsConfig) -> None:
    """Upgrade a database that is a file of this machine, and only check any other.

    Where several machines share a database, one command upgrades it, before any of them starts.

    Raises:
        StartError: It cannot be used.
    """
    is_ours = folder_of(url_of(config)) is not None
    (upgrade if is_ours else check_schema)(config)


def check_schema(config: RecordsConfig) -> None:
    """Refuse a database that `upgrade` has not brought to this version.

    Raises:
        StartError: It is of another version, or cannot be reached.
    """
    _run(config, _check, config.timeout_s)


def _upgrade(connection: Connection) -> None:
    connection.exec_driver_sql(LOCKS[connection.dialect.name])
    _refuse_newer(connection)
    alembic = _alembic_config()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, "head")


def _check(connection: Connection) -> None:
    _refuse_newer(connection)
    found, expected = _revision(connection), _scripts().get_current_head()
    if found != expected:
        raise SchemaError(
            f"The database is at revision {found or 'none'}, and this version of krea-serve needs"
            f" {expected}: `krea-serve upgrade-database` brings it there."
        )


def _refuse_newer(connection: Connection) -> None:
    found = _revision(connection)
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"The database is at revision {found}, which this version of krea-serve does not know:"
            " a newer one has migrated it."
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def _alembic_config() -> AlembicConfig:
    config = AlembicConfig()
    # Alembic reads its settings as an ini file's, where a percent sign is special.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _run(
    config: RecordsConfig, work: Callable[[Connection], None], timeout_s: float | None
) -> None:
    """Do some work in a transaction."""
    url = url_of(config)
    try:
        if folder_of(url) is not None:
            _with_file(url, work)
        else:
            # The caller's own thread may have an event loop already.
            with ThreadPoolExecutor(max_workers=1) as thread:
                working = _with_driver(url, work, config.timeout_s, timeout_s)
                thread.submit(asyncio.run, working).result()
    except TimeoutError as error:
        raise SchemaError(f"The database {url!r} does not answer.") from error
    except (DBAPIError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise SchemaError(f"The database {url!r} cannot be used: {reason}") from error


def _with_file(url: URL, work: Callable[[Connection], None]) -> None:
    engine = open_file(url)
    try:
        with engine.begin() as connection:
            work(connection)
    finally:
        engine.dispose()


async def _with_driver(
    url: URL,
    work: Callable[[Connection], None],
    connect_timeout_s: float,
    timeout_s: float | None,
) -> None:
    """Do some work within a time, after a connection was made within a time."""
    engine = open_engine(url)
    try:
        async with asyncio.timeout(connect_timeout_s) as limit, engine.begin() as connection:
            now_s = asyncio.get_running_loop().time()
            limit.reschedule(None if timeout_s is None else now_s + timeout_s)
            await connection.run_sync(work)
    finally:
        await engine.dispose()
