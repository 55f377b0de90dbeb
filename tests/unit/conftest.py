"""Models and databases that the tests of more than one folder use."""

from pathlib import Path

import pytest


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
