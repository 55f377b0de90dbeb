"""Databases on disk."""

from pathlib import Path

from serve_app.config import RecordsConfig


def sqlite_config(file: Path) -> RecordsConfig:
    """Return the configuration of a file; patient, for the tests of a busy machine."""
    return RecordsConfig(url=f"sqlite:///{file}", timeout_s=60)
