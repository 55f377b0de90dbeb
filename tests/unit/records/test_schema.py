"""The tables come to be, once, and are those that the code expects."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, Text, create_engine

from serve_app.config import RecordsConfig
from serve_app.errors import ConfigError, StartError
from serve_app.records.database import url_of
from serve_app.records.schema import SchemaError, check_schema, prepare, upgrade
from serve_app.records.tables import metadata
from tests.unit.records.databases import sqlite_config


def differences(file: Path, expected: MetaData) -> list[object]:
    """Return what Alembic would migrate to get from a file's tables to some others."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), expected)
    engine.dispose()
    return found


def set_revision(file: Path, revision: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def tables(file: Path) -> set[str]:
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in rows}


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "records.db"
    upgrade(sqlite_config(file))
    assert tables(file) == {*metadata.tables, "alembic_version"}
    assert differences(file, metadata) == []


def test_the_comparison_sees_a_missing_column(file: Path) -> None:
    other = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(other)
    other.tables["requests"].append_column(Column("region", Text))
    assert len(differences(file, other)) == 1


def test_a_key_of_the_first_version_gets_the_middle_class(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    config = sqlite_config(file)
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.execute("CREATE TABLE api_keys (id TEXT NOT NULL)")
        connection.execute("INSERT INTO api_keys VALUES ('kr_aaaaaaaa')")
    upgrade(config)
    assert connection.execute("SELECT * FROM api_keys").fetchall() == [("kr_aaaaaaaa", 1)]
    connection.close()


def test_a_second_upgrade_changes_nothing(config: RecordsConfig, file: Path) -> None:
    before = file.read_bytes()
    upgrade(config)
    check_schema(config)
    assert file.read_bytes() == before


def test_many_upgrade_at_the_same_time(tmp_path: Path) -> None:
    config = sqlite_config(tmp_path / "records.db")
    with ThreadPoolExecutor(6) as starts:
        list(starts.map(upgrade, [config] * 6))
    check_schema(config)


async def test_it_works_under_a_running_event_loop(tmp_path: Path) -> None:
    prepare(sqlite_config(tmp_path / "records.db"))
    assert "requests" in tables(tmp_path / "records.db")


@pytest.mark.parametrize("start", [upgrade, check_schema, prepare])
def test_a_newer_database_is_refused_in_one_line(
    config: RecordsConfig, file: Path, start: object
) -> None:
    set_revision(file, "9999")
    before = file.read_bytes()
    assert callable(start)
    with pytest.raises(StartError, match=r"9999.*does not know") as refused:
        start(config)
    assert "\n" not in refused.value.message
    assert file.read_bytes() == before


def test_a_database_without_tables_is_refused_by_who_may_not_make_them(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"revision none.*krea-serve upgrade-database"):
        check_schema(sqlite_config(tmp_path / "records.db"))


def test_a_shared_database_is_not_upgraded_by_whoever_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[RecordsConfig] = []
    monkeypatch.setattr("serve_app.records.schema.check_schema", called.append)
    shared = RecordsConfig(url="postgresql://db/krea")
    prepare(shared)
    assert called == [shared]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    file.write_text("just words, and more of them than a header has" * 10)
    with pytest.raises(SchemaError, match="file is not a database"):
        upgrade(sqlite_config(file))


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        upgrade(sqlite_config(tmp_path))


def test_a_percent_sign_in_the_path_means_itself(tmp_path: Path) -> None:
    file = tmp_path / "100%s" / "records.db"
    config = sqlite_config(file)
    upgrade(config)
    assert url_of(config).database == str(file)
    assert "requests" in tables(file)
