"""`krea-serve keys`, on a real database."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.config import RecordsConfig
from serve_app.errors import AuthenticationError, ConfigError
from serve_app.keys_command import app, read_records_config
from serve_app.messages import Priority
from serve_app.records.authenticator import Authenticator
from serve_app.records.database import Database, url_of
from serve_app.records.key_store import KeyStore
from serve_app.records.keys import Caller, Scope
from serve_app.records.pepper import load_pepper

KEY = re.compile(r"kr_[a-z0-9]{8}_[A-Za-z0-9_-]{49}\n")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database that the commands speak to."""
    file = tmp_path / "deep" / "records.db"
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", f"sqlite:///{file}")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def create(*arguments: str) -> str:
    result = run("create", *arguments)
    assert result.exit_code == 0, result.output
    return str(result.stdout).strip()


def caller_of(key: str) -> Caller:
    async def authenticate() -> Caller:
        database = Database.open(RecordsConfig())
        authenticator = Authenticator(KeyStore(database, load_pepper(url_of(RecordsConfig()))))
        try:
            return await authenticator.authenticate(key.encode())
        finally:
            await authenticator.close()
            await database.close()

    return asyncio.run(authenticate())


def stored_caller(key: str, organisation: str, scopes: frozenset[Scope]) -> Caller:
    return Caller(key[:11], organisation, scopes, Priority.STANDARD, Priority.STANDARD)


def test_a_key_is_printed_alone_and_works() -> None:
    result = run("create", "alice")
    assert KEY.fullmatch(result.stdout)
    assert "cannot be shown again" in result.stderr
    key = result.stdout.strip()
    assert caller_of(key) == stored_caller(key, "default", frozenset(Scope))


def test_a_key_allows_what_was_asked_for() -> None:
    key = create(
        *("alice", "--organisation", "acme"),
        *("--scope", "images:generate", "--scope", "history:read"),
    )
    expected = frozenset({Scope.GENERATE, Scope.READ_HISTORY})
    assert caller_of(key) == stored_caller(key, "acme", expected)


@pytest.mark.parametrize("priority", Priority)
def test_a_key_has_the_class_that_was_asked_for(priority: Priority) -> None:
    caller = caller_of(create("alice", "--priority", priority.name.lower()))
    assert (caller.priority, caller.highest_priority) == (priority, priority)


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", "alice", "--scope", "images:delete"],
        ["create", "alice", "--priority", "urgent"],
        ["create", "alice", "--expires-in-days", "0"],
        ["revoke"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], file: Path) -> None:
    assert run(*arguments).exit_code == 2
    assert not file.exists()


def test_the_list_shows_everything_but_the_secret() -> None:
    created = datetime.now(UTC)
    first = create(
        *("alice", "--organisation", "acme", "--scope", "images:edit", "--priority", "batch")
    )
    second = create("bob the builder", "--expires-in-days", "3")
    run("revoke", first[:11])
    listed = run("list").stdout
    assert first[12:] not in listed
    assert second[12:] not in listed
    header, *lines = [re.split(" {2,}", line) for line in listed.splitlines()]
    day, expires = created.date().isoformat(), (created + timedelta(days=3)).date().isoformat()
    everything = "history:purge,history:read,images:edit,images:generate"
    assert header[:3] == ["ID", "STATE", "NAME"]
    assert lines[0] == [
        *(
            second[:11],
            "live",
            "bob the builder",
            "default",
            day,
            expires,
            "-",
            "standard",
            everything,
        )
    ]
    assert lines[1] == [
        *(first[:11], "revoked", "alice", "acme", day, "-", "-", "batch", "images:edit")
    ]


def test_without_keys_the_list_is_a_header() -> None:
    assert run("list").stdout.splitlines()[0].startswith("ID")
    assert len(run("list").stdout.splitlines()) == 1


def test_a_revoked_key_works_no_more_and_its_sister_does() -> None:
    key, sister = create("old"), create("new")
    result = run("revoke", key[:11])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "is revoked" in result.stderr
    with pytest.raises(AuthenticationError):
        caller_of(key)
    assert caller_of(sister).key_id == sister[:11]


def test_a_key_that_is_not_there_cannot_be_revoked() -> None:
    result = run("revoke", "kr_nothere1")
    assert result.exit_code == 1
    assert result.stderr == "krea-serve: there is no key 'kr_nothere1'\n"


def test_a_newer_database_is_left_alone(file: Path) -> None:
    create("alice")
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    result = run("create", "bob")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "9999" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_config_file_says_which_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KREA_SERVE_DATABASE_URL")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"applications: [{{args: {{records: {{url: 'sqlite:///{tmp_path}/named.db'}}}}}}]"
    )
    key = create("alice", "--config", str(config))
    assert key[:11] in run("list", "--config", str(config)).stdout
    assert (tmp_path / "named.db").exists()


@pytest.mark.parametrize(
    "text",
    [
        "applications: [",
        "just words",
        "applications: []",
        "applications: [{args: {records: {ulr: x}}}]",
        "applications: [{args: {records: 3}}]",
    ],
)
def test_a_wrong_config_file_is_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    with pytest.raises(ConfigError, match="no Serve config file"):
        read_records_config(config)


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    result = run("list", "--config", str(tmp_path / "missing.yaml"))
    assert result.exit_code == 1
    assert "missing.yaml: No such file or directory" in result.stderr


@pytest.mark.parametrize("args", ["", "args: {}", "args: {model: {path: /no/such/model}}"])
def test_the_rest_of_a_config_file_is_not_looked_at(tmp_path: Path, args: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"applications: [{{name: a{', ' if args else ''}{args}}}]")
    assert read_records_config(config) == RecordsConfig()


def test_help_does_not_wait_for_the_database_library() -> None:
    script = "import sys, serve_app.keys_command; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
