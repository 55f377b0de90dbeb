"""`krea-serve upgrade-database`, and where the commands are."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli import app
from serve_app.records.tables import metadata


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "records.db"
    monkeypatch.setenv("KREA_SERVE_DATABASE_URL", f"sqlite:///{file}")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_it_makes_every_table_and_can_be_run_again(file: Path) -> None:
    for _ in range(2):
        assert run("upgrade-database").exit_code == 0
    connection = sqlite3.connect(file)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert set(metadata.tables) <= found


def test_what_is_no_database_is_one_line(file: Path) -> None:
    file.write_text("no database" * 1000)
    result = run("upgrade-database")
    assert result.exit_code == 1
    assert result.stderr.startswith("krea-serve: The database ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "generate", "plan", "keys", "upgrade-database"])
def test_every_command_says_what_it_does(command: str) -> None:
    assert command in run("--help").stdout
    assert run(command, "--help").exit_code == 0


def test_a_plan_says_what_it_needs_and_what_it_assumes() -> None:
    result = run("plan", "--rps", "0.5", "--mix", "512x512/8", "--slo", "5s", "--gpu", "h200")
    assert result.exit_code == 0
    for word in ("Denoiser", "Vae", "cost per picture", "expected p95", "Assumed: "):
        assert word in result.stdout


def test_a_plan_of_what_is_not_known_is_one_line() -> None:
    result = run("plan", "--rps", "1", "--gpu", "abacus")
    assert result.exit_code == 1
    assert result.stderr == "krea-serve: gpu: must be one of h200, h100, got 'abacus'\n"
