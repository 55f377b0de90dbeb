"""All that is recorded, behind one door."""

from dataclasses import dataclass
from typing import Self

from serve_app.config import RecordsConfig, api_key
from serve_app.records.authenticator import Authenticator
from serve_app.records.database import Database, url_of
from serve_app.records.history import History
from serve_app.records.idempotency import Idempotency
from serve_app.records.key_store import KeyStore
from serve_app.records.pepper import load_pepper
from serve_app.records.recorder import Recorder
from serve_app.records.retention import Retention
from serve_app.records.schema import prepare

MS_PER_S = 1000
# Longer than any deadline: what is still open then lost its process.
GIVE_UP_AFTER_S = 3600


@dataclass(frozen=True, slots=True)
class Records:
    """The parts of the database that a server uses.

    Attributes:
        authenticator: Tells who sent a request; None where `/v1` is open to everybody.
        history: Reads the requests.
        recorder: Writes them.
        idempotency: Keeps a repeated request from being done twice.
        retention: Ends what is recorded.
        history_ttl_s: Seconds a request stays in the history.
        database: What they share.
    """

    authenticator: Authenticator | None
    history: History
    recorder: Recorder
    idempotency: Idempotency
    retention: Retention
    history_ttl_s: float
    database: Database

    @classmethod
    def open(cls, config: RecordsConfig) -> Self:
        """Return the records of a configuration.

        A database that is a file of this machine is made, or upgraded; any other must be ready.

        Raises:
            StartError: The database cannot be used, or its keys have no pepper.
        """
        prepare(config)
        database = Database.open(config)
        return cls(
            authenticator=_authenticator(config, database),
            history=History(database),
            recorder=Recorder(database),
            idempotency=Idempotency(database),
            retention=Retention(database),
            history_ttl_s=config.history_ttl_s,
            database=database,
        )

    async def sweep(self, now_s: float) -> None:
        """Delete what is kept no longer; any number of replicas may do so at the same time.

        Raises:
            OverloadedError: The database did not take it.
        """
        await self.retention.give_up(int((now_s - GIVE_UP_AFTER_S) * MS_PER_S))
        await self.retention.prune(int((now_s - self.history_ttl_s) * MS_PER_S))
        await self.retention.prune_answers(int(now_s * MS_PER_S))

    async def close(self) -> None:
        """Write what waits, and let go of the database."""
        await self.recorder.close()
        if self.authenticator is not None:
            await self.authenticator.close()
        await self.database.close()


def _authenticator(config: RecordsConfig, database: Database) -> Authenticator | None:
    bootstrap_key = api_key()
    if bootstrap_key is None and not config.require_key:
        return None
    keys = KeyStore(database, load_pepper(url_of(config)))
    return Authenticator(keys, bootstrap_key)
