"""Models and databases that the tests of more than one folder use."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.records.postgresql_server import PostgresqlServer


@pytest.fixture(scope="session")
def flux_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers directory with FLUX.1's VAE scale, latent channels and guidance embedding."""
    # Imported late: diffusers takes seconds, and most unit tests need no model.
    from tests.unit.stages.random_flux import LIKE_FLUX, save_random_flux

    return save_random_flux(LIKE_FLUX, tmp_path_factory.mktemp("like-flux"))


@pytest.fixture(scope="session")
def coarse_flux_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers directory with 32 pixels per latent, fewer channels and no guidance embedding."""
    from tests.unit.stages.random_flux import LIKE_EMBEDDED, save_random_flux

    return save_random_flux(LIKE_EMBEDDED, tmp_path_factory.mktemp("like-embedded"))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with all tables and nothing in them, to be copied."""
    from serve_app.records.schema import upgrade
    from tests.unit.records.databases import sqlite_config

    file = tmp_path_factory.mktemp("migrated") / "records.db"
    upgrade(sqlite_config(file))
    return file


@pytest.fixture(scope="session")
def migrated_database(postgresql: "PostgresqlServer") -> str:
    """The name of a database of PostgreSQL with all tables and nothing in them, to be copied."""
    from serve_app.records.schema import upgrade

    name = postgresql.make_database()
    upgrade(postgresql.config(name))
    return name


@pytest.fixture
def postgresql_database(postgresql: "PostgresqlServer", migrated_database: str) -> Iterator[str]:
    """The name of a database of its own for each test."""
    name = postgresql.make_database(migrated_database)
    yield name
    postgresql.drop_database(name)
