"""One database as this process sees it: SQLite, or PostgreSQL once its driver is installed.

A database that is away or hangs costs a caller little more than `timeout_s`, and the callers of the
next half second nothing.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from sqlalchemy import URL, Engine, RowMapping, Select, Table, UpdateBase, create_engine, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from serve_app.config import RecordsConfig, database_url
from serve_app.errors import ConfigError, OverloadedError

logger = logging.getLogger(__name__)

UNAVAILABLE = "The database of keys and requests is not available."

# After a failure nobody asks again for so long.
PAUSE_S = 0.5

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
INSERTS: dict[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}

PRAGMAS = (
    # First, so that the next one waits for whoever else is opening the file.
    "PRAGMA busy_timeout=5000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)

T = TypeVar("T")


class Database:
    """Asks one database, and changes it.

    A caller who is cancelled leaves at once, but what it asked for is done: to break off a driver
    midway costs a connection, and may leave a lock behind.
    """

    def __init__(self, engine: AsyncEngine, timeout_s: float) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._paused_until_s = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    def open(cls, config: RecordsConfig) -> Self:
        """Return the database of a configuration; it is not asked for anything yet.

        Raises:
            ConfigError: Its URL cannot be used.
        """
        return cls(open_engine(url_of(config)), config.timeout_s)

    async def rows(
        self, query: Select[Any], timeout_s: float | None = None
    ) -> Sequence[RowMapping]:
        """Return what a query finds.

        Args:
            query: What is asked.
            timeout_s: For a caller that cannot wait as long as others.

        Raises:
            OverloadedError: The database did not answer.
        """
        return await self._do(lambda: self._rows(query), timeout_s or self._timeout_s)

    async def change(self, *statements: UpdateBase) -> int:
        """Carry out all of some statements or none, and return how many rows they changed.

        Raises:
            OverloadedError: The database did not take them.
        """
        return await self._do(lambda: self._change(statements), self._timeout_s)

    def insert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT with `ON CONFLICT`, which SQLAlchemy has in each dialect of its own."""
        # SQLite's type stands for both: what is used of it is the same.
        return cast(sqlite.Insert, INSERTS[self._engine.dialect.name](table))

    async def close(self) -> None:
        """Wait for what is being done, and close every connection."""
        if self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            found: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return found

    async def _change(self, statements: Sequence[UpdateBase]) -> int:
        async with self._engine.begin() as connection:
            return sum([(await connection.execute(each)).rowcount for each in statements])

    async def _do(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """Return what some work results in, unless the database has just failed."""
        if time.monotonic() < self._paused_until_s:
            raise OverloadedError(UNAVAILABLE, reason="database")
        task = asyncio.create_task(self._bounded(work(), timeout_s))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def _bounded(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Bound the time of some work, and tell the client of a database that fails or hangs."""
        try:
            async with asyncio.timeout(timeout_s):
                return await work
        except (DBAPIError, PoolTimeoutError, OSError) as error:  # a TimeoutError is an OSError
            if not is_outage(error):
                raise
            logger.exception("the database failed")
            self._paused_until_s = time.monotonic() + PAUSE_S
            raise OverloadedError(UNAVAILABLE, reason="database") from error

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Nobody else may look at it any more, which asyncio would report.
            task.exception()


class _TunedConnection(sqlite3.Connection):
    """A connection of SQLite with our settings, made in one go in the driver's own thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for pragma in PRAGMAS:
            self.execute(pragma).close()


def url_of(config: RecordsConfig) -> URL:
    """Return where the database is, with the driver that we speak to it through.

    Raises:
        ConfigError: No such place can be shared by all replicas.
    """
    try:
        url = make_url(database_url() or config.url)
    except ArgumentError:
        # The URL may hold a password, so it is not repeated.
        raise ConfigError("The URL of the database is not one.") from None
    if url.drivername not in DRIVERS:
        raise ConfigError("The URL of the database must start with sqlite:// or postgresql://.")
    if url.drivername == "sqlite" and not Path(url.database or "").is_absolute():
        raise ConfigError(
            f"{url.database!r} is no absolute path of an SQLite database. It takes four slashes:"
            " sqlite:////var/lib/krea-serve/records.db"
        )
    return url.set(drivername=DRIVERS[url.drivername])


def folder_of(url: URL) -> Path | None:
    """Return the folder that an SQLite database lies in; None for any other."""
    return Path(url.database or "").parent if url.get_backend_name() == "sqlite" else None


def open_engine(url: URL) -> AsyncEngine:
    """Return an engine; an SQLite database is made, without a table in it.

    Raises:
        ConfigError: It cannot be made, or the driver is not installed.
    """
    return _opened(url, create_async_engine)


def open_file(url: URL) -> Engine:
    """Return an engine for an SQLite database that works in its caller's thread.

    Raises:
        ConfigError: The file cannot be made.
    """
    return _opened(url.set(drivername="sqlite"), create_engine)


def _opened(url: URL, create: Callable[..., T]) -> T:
    folder = folder_of(url)
    try:
        if folder is not None:
            # Nobody but its owner has business with keys and bills.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(url.database or "", os.O_RDWR | os.O_CREAT, 0o600))
        # What is written is nobody's business in the log.
        return create(url, hide_parameters=True, connect_args=_connect_args(url))
    except OSError as error:
        raise ConfigError(f"The database {url.database}: {error.strerror}.") from error
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(f"The driver for {url.drivername} is not installed.") from error


def _connect_args(url: URL) -> dict[str, object]:
    return {"factory": _TunedConnection} if url.get_backend_name() == "sqlite" else {}


def is_outage(error: Exception) -> bool:
    """Whether it is the database that failed, and not what it was asked."""
    if not isinstance(error, DBAPIError):
        return True
    # Some drivers have no better name for a connection that broke off.
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
