"""`krea-serve keys`: who may use the API."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
import yaml
from pydantic import ValidationError

from serve_app.config import RecordsConfig
from serve_app.errors import ConfigError, KreaServeError
from serve_app.messages import Priority
from serve_app.one_line_errors import one_line_errors
from serve_app.records.keys import DEFAULT_ORGANISATION, Scope, StoredKey

T = TypeVar("T")

if TYPE_CHECKING:
    from serve_app.records.key_store import KeyStore

    Work = Callable[[KeyStore], Awaitable[T]]

app = typer.Typer(
    help="API keys: make, list and revoke them. A server sees a change within seconds.",
    no_args_is_help=True,
)

MS_PER_DAY = 24 * 3600 * 1000
COLUMNS = (
    "ID",
    "STATE",
    "NAME",
    "ORGANISATION",
    "CREATED",
    "EXPIRES",
    "LAST USED",
    "PRIORITY",
    "SCOPES",
)
ConfigOption = Annotated[
    Path | None,
    typer.Option(help="The Serve config file whose database is meant; by default, the default."),
]


class PriorityName(StrEnum):
    """The classes as one types them."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    BATCH = "batch"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will have it, for people.")],
    organisation: Annotated[
        str, typer.Option(help="Its keys share a history.")
    ] = DEFAULT_ORGANISATION,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it allows; by default, everything.")
    ] = None,
    priority: Annotated[
        PriorityName, typer.Option(help="The class of its requests; they may ask for a lower one.")
    ] = PriorityName.STANDARD,
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Never by default.")] = None,
    config: ConfigOption = None,
) -> None:
    """Make a key and print it, this one time."""
    now_ms = _now_ms()
    expires_at_ms = None if expires_in_days is None else now_ms + expires_in_days * MS_PER_DAY
    with one_line_errors():
        key = _with_keys(
            config,
            lambda keys: keys.create(
                name, organisation, scope or Scope, now_ms, expires_at_ms, Priority[priority.name]
            ),
        )
    typer.echo("krea-serve: keep this key now; it cannot be shown again", err=True)
    typer.echo(key)


@app.command("list")
def list_keys(config: ConfigOption = None) -> None:
    """List every key, without its secret."""
    with one_line_errors():
        keys = _with_keys(config, lambda keys: keys.all())
    for line in table([COLUMNS, *[cells(key, _now_ms()) for key in keys]]):
        typer.echo(line)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `list` shows it: kr_ and 8 characters.")],
    config: ConfigOption = None,
) -> None:
    """Make a key useless, for good."""
    with one_line_errors():
        if not _with_keys(config, lambda keys: keys.revoke(key_id, _now_ms())):
            raise KreaServeError(f"there is no key {key_id!r}")
    typer.echo(f"krea-serve: {key_id} is revoked", err=True)


def table(lines: list[tuple[str, ...]]) -> list[str]:
    """Return lines of text whose columns stand under each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def cells(key: StoredKey, now_ms: int) -> tuple[str, ...]:
    """Return what `COLUMNS` say of a key."""
    return (
        key.id,
        key.state(now_ms),
        key.name,
        key.organisation,
        day(key.created_at_ms),
        day(key.expires_at_ms),
        day(key.last_used_at_ms),
        key.priority.name.lower(),
        ",".join(sorted(key.scopes)),
    )


def day(time_ms: int | None) -> str:
    """Return a date as `2026-11-22`, or a dash for none."""
    return "-" if time_ms is None else time.strftime("%Y-%m-%d", time.gmtime(time_ms / 1000))


def read_records_config(path: Path | None) -> RecordsConfig:
    """Return what a Serve config file says of the database; nothing else in it is looked at.

    Raises:
        ConfigError: It cannot be read, or says nothing that makes sense.
    """
    if path is None:
        return RecordsConfig()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        args = document["applications"][0].get("args") or {}
        return RecordsConfig.model_validate(args.get("records", {}))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ValidationError) as error:
        raise ConfigError(f"{path} is no Serve config file with good `records`") from error


def _with_keys(config: Path | None, work: "Work[T]") -> T:
    """Return what some work with the keys of a database results in."""
    # SQLAlchemy takes a while to import; `krea-serve --help` must not.
    from serve_app.records.schema import prepare

    records = read_records_config(config)
    prepare(records)
    return asyncio.run(_on_database(records, work))


async def _on_database(config: RecordsConfig, work: "Work[T]") -> T:
    from serve_app.records.database import Database, url_of
    from serve_app.records.key_store import KeyStore
    from serve_app.records.pepper import load_pepper

    pepper = load_pepper(url_of(config))
    database = Database.open(config)
    try:
        return await work(KeyStore(database, pepper))
    finally:
        await database.close()


def _now_ms() -> int:
    return int(time.time() * 1000)
