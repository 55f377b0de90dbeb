"""Tables, keys and TLS on a PostgreSQL, as an operator sets it up."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData, Text, select, text

from serve_app.records.database import Database, open_engine, url_of
from serve_app.records.schema import SchemaError, check_schema, prepare, upgrade
from serve_app.records.tables import metadata
from tests.unit.records.conftest import PEPPER
from tests.unit.records.postgresql_server import PASSWORD, QUOTED_PASSWORD, PostgresqlServer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def empty(postgresql: PostgresqlServer) -> Iterator[str]:
    """The name of a database without tables."""
    name = postgresql.make_database()
    yield name
    postgresql.drop_database(name)


@pytest.fixture
def at_command_line(
    postgresql: PostgresqlServer, postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", postgresql.url(postgresql_database))
    monkeypatch.setenv("KREA_SERVE_KEY_PEPPER", PEPPER)
    return postgresql_database


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from serve_app.cli import app; app()", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


async def differences(server: PostgresqlServer, name: str, expected: MetaData) -> list[object]:
    def compare(connection: Connection) -> list[object]:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), expected)
        return found

    engine = open_engine(url_of(server.config(name)))
    async with engine.connect() as connection:
        found = await connection.run_sync(compare)
    await engine.dispose()
    return found


async def test_the_migrations_make_the_tables_of_the_code(
    postgresql: PostgresqlServer, postgresql_database: str
) -> None:
    assert await differences(postgresql, postgresql_database, metadata) == []
    other = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(other)
    other.tables["requests"].append_column(Column("region", Text))
    assert len(await differences(postgresql, postgresql_database, other)) == 1


def test_two_processes_migrate_at_the_same_time(
    postgresql: PostgresqlServer, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", postgresql.url(empty))
    script = "from serve_app.cli import app; app()"
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", script, "upgrade-database"], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [start.communicate()[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0], said
    check_schema(postgresql.config(empty))


async def test_many_upgrade_at_the_same_time(postgresql: PostgresqlServer, empty: str) -> None:
    config = postgresql.config(empty)
    await asyncio.gather(*[asyncio.to_thread(upgrade, config) for _ in range(6)])
    check_schema(config)
    assert postgresql.run("SELECT version_num FROM alembic_version", empty) == ["0002"]


def test_who_starts_makes_no_tables_that_are_shared(
    postgresql: PostgresqlServer, empty: str
) -> None:
    with pytest.raises(SchemaError, match=r"revision none.*krea-serve upgrade-database") as refused:
        prepare(postgresql.config(empty))
    assert "\n" not in refused.value.message
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    assert postgresql.run(tables, empty) == ["0"]


@pytest.mark.parametrize("start", [upgrade, check_schema, prepare])
def test_a_newer_database_is_refused(
    postgresql: PostgresqlServer, postgresql_database: str, start: object
) -> None:
    postgresql.run("UPDATE alembic_version SET version_num = '9999'", postgresql_database)
    assert callable(start)
    with pytest.raises(SchemaError, match=r"9999.*does not know"):
        start(postgresql.config(postgresql_database))


def test_a_key_of_the_first_version_gets_the_middle_class(
    postgresql: PostgresqlServer, empty: str
) -> None:
    upgrade(postgresql.config(empty))
    for statement in (
        "ALTER TABLE api_keys DROP COLUMN priority",
        "UPDATE alembic_version SET version_num = '0001'",
        "INSERT INTO api_keys VALUES ('kr_aaaaaaaa', 'alice', 'acme', '', '', 1)",
    ):
        postgresql.run(statement, empty)
    upgrade(postgresql.config(empty))
    assert postgresql.run("SELECT id, priority FROM api_keys", empty) == ["kr_aaaaaaaa|1"]


@pytest.mark.parametrize("is_password_wrong", [True, False])
def test_what_cannot_be_entered_is_one_line_without_the_password(
    postgresql: PostgresqlServer, postgresql_database: str, is_password_wrong: bool
) -> None:
    url = postgresql.url(postgresql_database)
    wrong = url.replace(QUOTED_PASSWORD, "hunter2") if is_password_wrong else f"{url}_missing"
    config = postgresql.config(postgresql_database).model_copy(update={"url": wrong})
    with pytest.raises(SchemaError, match="cannot be used") as refused:
        check_schema(config)
    assert "\n" not in refused.value.message
    for password in (PASSWORD, QUOTED_PASSWORD, "hunter2"):
        assert password not in refused.value.message


@pytest.mark.parametrize(
    ("mode", "is_encrypted"), [("disable", "f"), ("require", "t"), ("verify-full", "t")]
)
async def test_sslmode_means_what_it_means_to_others(
    postgresql: PostgresqlServer,
    postgresql_database: str,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    is_encrypted: str,
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(postgresql.certificate_authority))
    config = postgresql.config(postgresql_database)
    database = Database.open(config.model_copy(update={"url": f"{config.url}?sslmode={mode}"}))
    used = text("ssl::text AS said FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    (row,) = await database.rows(select(used))
    assert row["said"][0] == is_encrypted
    await database.close()


def test_keys_are_made_listed_and_revoked(at_command_line: str) -> None:
    made = run("keys", "create", "alice", "--organisation", "acme")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    listed = run("keys", "list")
    assert key[:11] in listed.stdout
    assert key[12:] not in listed.stdout
    assert run("keys", "revoke", key[:11]).returncode == 0
    assert "revoked" in run("keys", "list").stdout


def test_keys_need_a_pepper_that_all_machines_have(
    at_command_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KREA_SERVE_KEY_PEPPER")
    refused = run("keys", "create", "alice")
    assert refused.returncode == 1
    assert "KREA_SERVE_KEY_PEPPER must be set" in refused.stderr
