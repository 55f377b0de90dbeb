"""All parts of a configuration's records, on one database."""

from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.config import RecordsConfig
from serve_app.errors import StartError
from serve_app.records.authenticator import BOOTSTRAP
from serve_app.records.history import HistoryFilter
from serve_app.records.idempotency import Claim, KeyedRequest
from serve_app.records.records import GIVE_UP_AFTER_S, Records
from tests.unit.records.conftest import COMPLETED, NOW_MS, NOW_S, admission
from tests.unit.records.databases import sqlite_config

DAY_S = 24 * 3600


async def test_a_server_without_keys_asks_for_none(config: RecordsConfig) -> None:
    records = Records.open(config)
    assert records.authenticator is None
    await records.close()


@pytest.mark.parametrize("bootstrap_key", [None, "test-key"])
async def test_keys_are_asked_for_by_setting(
    config: RecordsConfig, bootstrap_key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bootstrap_key is not None:
        monkeypatch.setenv("KREA_SERVE_API_KEY", bootstrap_key)
    required = config.model_copy(update={"require_key": bootstrap_key is None})
    records = Records.open(required)
    assert records.authenticator is not None
    if bootstrap_key is not None:
        assert await records.authenticator.authenticate(b"test-key") == BOOTSTRAP
    await records.close()


async def test_what_is_recorded_is_there_after_a_restart(config: RecordsConfig) -> None:
    records = Records.open(config)
    records.recorder.admit(admission("a"))
    await records.close()
    restarted = Records.open(config)
    assert (await restarted.history.summary(HistoryFilter("acme"))).num_requests == 1
    await restarted.close()


async def test_a_sweep_ends_what_is_due_and_leaves_the_rest(config: RecordsConfig) -> None:
    records = Records.open(config.model_copy(update={"history_ttl_s": 2 * DAY_S}))
    for name, age_s in {"fresh": 0, "stale": GIVE_UP_AFTER_S + 1, "old": 2 * DAY_S + 1}.items():
        records.recorder.admit(admission(name, NOW_MS - age_s * 1000))
    ended = admission("ended", NOW_MS - DAY_S * 1000)
    await records.recorder.finish(ended, replace(COMPLETED, status="cancelled"))
    await records.sweep(NOW_S)
    page = await records.history.page(HistoryFilter("acme"), 10)
    assert [(each.id, each.status) for each in page.requests] == [
        ("req_fresh", "processing"),
        ("req_stale", "upstream_failure"),
        ("req_ended", "cancelled"),
    ]
    await records.close()


async def test_a_repetition_is_noticed(config: RecordsConfig) -> None:
    records = Records.open(config)
    request = KeyedRequest("kr_aaaaaaaa", "order-1", "print", "req_1")
    assert isinstance(await records.idempotency.begin(request), Claim)
    await records.close()


async def test_a_database_of_this_machine_is_made(tmp_path: Path) -> None:
    records = Records.open(sqlite_config(tmp_path / "new" / "records.db"))
    assert (await records.history.summary(HistoryFilter("acme"))).num_requests == 0
    await records.close()


async def test_a_database_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_text("no database")
    with pytest.raises(StartError, match=r"records\.db"):
        Records.open(sqlite_config(tmp_path / "records.db"))
