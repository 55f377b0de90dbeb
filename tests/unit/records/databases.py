"""Databases on disk, and the end of writing to one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from serve_app.config import RecordsConfig


def sqlite_config(file: Path) -> RecordsConfig:
    """Return the configuration of a file; patient, for the tests of a busy machine."""
    return RecordsConfig(url=f"sqlite:///{file}", timeout_s=60)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let nobody write to an SQLite database for the length of the block."""
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
