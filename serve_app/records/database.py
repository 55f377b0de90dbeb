"""One database as this process sees it: SQLite, or PostgreSQL where its driver is installed.

A database that is away or hangs costs a caller little more than `timeout_s`, and the callers of the
next half second nothing.
"""

import asyncio
import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

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

BUSY_S, BUSY_PAUSE_S = 5.0, 0.01  # for a file that others open too
PRAGMAS = (
    # First, so that the next one waits for whoever else is opening the file.
    "PRAGMA busy_timeout=5000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)

# What SQLSTATE says of a value that no database would take: its own, its neighbours', its size.
REFUSED_VALUES = ("22", "23", "54")
# Of two who wait for each other PostgreSQL breaks one off, which did nothing wrong.
BROKEN_OFF = "40"
MAX_TRIES = 3
NUM_POOLED = 5  # connections that are kept; up to ten more come and go

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows for an INSERT that is built once: to build it takes longer than SQLite takes to do it.

    Attributes:
        insert: Without values.
        values: Of each row, by column; all of the same columns.
    """

    insert: sqlite.Insert
    values: Sequence[Mapping[str, object]]


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
        return cls(open_engine(url_of(config), config.timeout_s), config.timeout_s)

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

    async def change(self, *statements: UpdateBase | Rows) -> int:
        """Carry out all of some statements or none, and return how many rows they changed.

        The number says nothing where some of them are `Rows`.

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
        # A server that hangs answers no goodbye: each of these says one, and all end with the time.
        goodbyes = [self._engine.dispose() for _ in range(NUM_POOLED)]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await asyncio.gather(*goodbyes)

    async def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        async with self._engine.connect() as connection:
            found: Sequence[RowMapping] = (await connection.execute(query)).mappings().all()
            return found

    async def _change(self, statements: Sequence[UpdateBase | Rows]) -> int:
        for _ in range(MAX_TRIES - 1):
            try:
                return await self._change_once(statements)
            except DBAPIError as error:
                if not _sqlstate(error).startswith(BROKEN_OFF):
                    raise
        return await self._change_once(statements)

    async def _change_once(self, statements: Sequence[UpdateBase | Rows]) -> int:
        async with self._engine.begin() as connection:
            return sum([await _num_changed(connection, each) for each in statements])

    async def _do(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """Return what some work results in, unless the database has just failed."""
        if time.monotonic() < self._paused_until_s:
            raise OverloadedError(UNAVAILABLE, reason="database")
        running = self._started(work())
        return await asyncio.shield(self._started(self._bounded(running, timeout_s)))

    def _started(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    async def _bounded(self, work: "asyncio.Task[T]", timeout_s: float) -> T:
        """Bound the time of some work, and tell the client of a database that fails or hangs."""
        try:
            await asyncio.wait([work], timeout=timeout_s)
            if not work.done():
                # Nobody waits for that: a driver takes seconds to leave a server that hangs.
                work.cancel()
                raise TimeoutError
            return work.result()
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


async def _num_changed(connection: AsyncConnection, change: UpdateBase | Rows) -> int:
    if isinstance(change, Rows):
        return (await connection.execute(change.insert, change.values)).rowcount
    return (await connection.execute(change)).rowcount


class _TunedConnection(sqlite3.Connection):
    """A connection of SQLite with our settings, made in one go in the driver's own thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for pragma in PRAGMAS:
            self._set(pragma)

    def _set(self, pragma: str) -> None:
        # Of two who make a file's first WAL SQLite refuses one at once, whatever `busy_timeout` is.
        ends_at = time.monotonic() + BUSY_S
        while True:
            try:
                self.execute(pragma).close()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends_at:
                    raise
                time.sleep(BUSY_PAUSE_S)
            else:
                return


_TUNED: dict[str, object] = {"factory": _TunedConnection}


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
    return _in_words_of_driver(url.set(drivername=DRIVERS[url.drivername]))


def _in_words_of_driver(url: URL) -> URL:
    """Return a URL with asyncpg's word for what everybody else calls `sslmode`."""
    mode = url.query.get("sslmode")
    if mode is None or folder_of(url) is not None:
        return url
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def folder_of(url: URL) -> Path | None:
    """Return the folder that an SQLite database lies in; None for any other."""
    return Path(url.database or "").parent if url.get_backend_name() == "sqlite" else None


def open_engine(url: URL, timeout_s: float | None = None) -> AsyncEngine:
    """Return an engine; an SQLite database is made, without a table in it.

    Args:
        url: Where the database is.
        timeout_s: When a server shall break off by itself what takes longer, or is left half done;
            None: never.

    Raises:
        ConfigError: It cannot be made, or the driver is not installed.
    """
    if folder_of(url) is not None:
        return _opened(url, create_async_engine, _TUNED)
    # A server that was restarted has closed every connection: that is seen before one is used.
    return _opened(
        url, create_async_engine, _limits(timeout_s), pool_pre_ping=True, pool_size=NUM_POOLED
    )


def open_file(url: URL) -> Engine:
    """Return an engine for an SQLite database that works in its caller's thread.

    Raises:
        ConfigError: The file cannot be made.
    """
    return _opened(url.set(drivername="sqlite"), create_engine, _TUNED)


def _opened(
    url: URL, create: Callable[..., T], connect_args: dict[str, object], **options: object
) -> T:
    folder = folder_of(url)
    try:
        if folder is not None:
            # Nobody but its owner has business with keys and bills.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(url.database or "", os.O_RDWR | os.O_CREAT, 0o600))
        # What is written is nobody's business in the log.
        return create(url, hide_parameters=True, connect_args=connect_args, **options)
    except OSError as error:
        raise ConfigError(f"The database {url.database}: {error.strerror}.") from error
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            f"The driver for {url.drivername} is not installed:"
            " `pip install 'krea-serve[postgres]'` does that."
        ) from error


def _limits(timeout_s: float | None) -> dict[str, object]:
    """Return how asyncpg, and the server behind it, bound what they do.

    The server, too, for the lock that a process holds is in the way of others: it must not outlive
    it by hours, as it could where a machine is lost and no packet says so.
    """
    settings = {"application_name": "krea-serve"}
    if timeout_s is None:
        return {"server_settings": settings}
    limit_ms = str(math.ceil(timeout_s * 1000))
    settings["statement_timeout"] = limit_ms
    settings["idle_in_transaction_session_timeout"] = limit_ms
    # The latter also ends asyncpg's own tries to have a statement broken off.
    return {"server_settings": settings, "timeout": timeout_s, "command_timeout": timeout_s}


def is_outage(error: Exception) -> bool:
    """Whether it is the database that failed, and not what it was asked."""
    if not isinstance(error, DBAPIError) or error.connection_invalidated:
        return True
    if sqlstate := _sqlstate(error):
        # Whatever else it says may pass: a restart, a standby, tables that are being restored.
        return not sqlstate.startswith(REFUSED_VALUES)
    # asyncpg calls a value that it cannot write an error of the interface.
    is_value = isinstance(error.orig.__cause__, ValueError) if error.orig else False
    return not is_value and isinstance(error, OperationalError | InterfaceError)


def _sqlstate(error: DBAPIError) -> str:
    """Return PostgreSQL's code for an error; empty where there is none."""
    return getattr(error.orig, "sqlstate", None) or ""
