"""The history is in PostgreSQL, as several nodes share it."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from serve_app.records.schema import upgrade
from tests.chaos.cluster import ChaosCluster, application, changed, chaos_cluster
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger, entries_by_order
from tests.chaos.load import Load
from tests.chaos.pictures import PATH, SEEDS, Pictures
from tests.unit.records.postgresql_server import PostgresqlServer

BEFORE, DURING, AFTER = 6, 12, 6  # answers
DOWN_S = 60
NUM_KEYS, NUM_SENT = 8, 3

Loads = Callable[..., Load]


@pytest.fixture(scope="module")
def started(
    postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosCluster]:
    """Return a cluster whose application has a database of its own on the server."""
    folder, name = tmp_path_factory.mktemp("chaos"), postgresql.make_database()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KREA_SERVE_KEY_PEPPER", secrets.token_hex(32))
        upgrade(postgresql.config(name))
        # Not as patient as for the unit tests: this is what a request would wait for.
        records = {"url": postgresql.url(name)}
        with chaos_cluster(folder, changed(application(folder), records=records)) as running:
            yield running


def test_a_database_server_that_crashes_costs_no_request(
    cluster: ChaosCluster, load: Loads, postgresql: PostgresqlServer, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        postgresql.stop(is_crash=True)
        answered = clients.num_fulfilled()
        try:
            time.sleep(DOWN_S)
            num_during = clients.num_fulfilled() - answered
        finally:
            postgresql.start()
        clients.until_answers(AFTER)
    report = clients.report
    note(f"{report.line()}, {num_during} of them in {DOWN_S} s without a database")
    assert num_during >= DURING
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


def test_a_database_server_that_stands_still_costs_no_request(
    cluster: ChaosCluster, load: Loads, postgresql: PostgresqlServer, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        with postgresql.frozen():
            frozen_s = clients.until_answers(DURING)
        clients.until_answers(AFTER)
    report = clients.report
    note(f"{report.line()}, {DURING} of them in {frozen_s:.1f} s beside a frozen database")
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


def test_a_key_that_comes_to_two_nodes_at_once_is_one_picture_and_one_bill(
    cluster: ChaosCluster, pictures: Pictures
) -> None:
    def answer(key: str) -> httpx.Response:
        # A connection of its own, which may meet either node's proxy and ingress.
        headers = {"Idempotency-Key": key, "x-session-id": key}
        body = pictures.body(SEEDS[0])
        return httpx.post(f"{cluster.url}{PATH}", json=body, headers=headers, timeout=120)

    keys = [secrets.token_hex(8) for _ in range(NUM_KEYS)]
    with ThreadPoolExecutor(NUM_KEYS * NUM_SENT) as pool:
        answers = list(pool.map(answer, keys * NUM_SENT))
    for number, key in enumerate(keys):
        documents = [each.raise_for_status().json() for each in answers[number::NUM_KEYS]]
        assert len(documents) == NUM_SENT
        assert len({document["id"] for document in documents}) == 1, key
        assert all(pictures.has(document, SEEDS[0]) for document in documents)
    entries = entries_by_order(cluster.url)
    for key in keys:
        assert [entry["status"] for entry in entries[key] if entry["cost"] > 0] == ["completed"]
