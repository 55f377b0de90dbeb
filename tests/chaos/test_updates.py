"""The application is replaced under load, by a better one and by one that cannot start."""

import random
import signal
from collections.abc import Callable

from tests.chaos.cluster import ChaosCluster, changed, send, told, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load

BEFORE, AFTER = 6, 12  # answers
OLD_PRICE_USD, NEW_PRICE_USD, LIVE_PRICE_USD = 0.025, 0.03, 0.04
MIN_ANSWERS = 200
MAX_SLOWER = 3  # times the quiet p99
MAX_REPLACED_S = 60.0

NO_CERTIFICATE = "/nowhere/signer.pem"

Loads = Callable[..., Load]


def test_an_update_costs_no_request_and_its_progress_shows(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    with load() as quiet:
        quiet.until_answers(30)
    with load() as clients:
        clients.until_answers(BEFORE)
        cluster.deploy(changed(cluster.schema, api={"price_usd": NEW_PRICE_USD}))
        until(lambda: NEW_PRICE_USD in clients.prices_usd())
        updated_s = cluster.until_healthy()
        clients.until_answers(max(AFTER, MIN_ANSWERS - clients.num_fulfilled()))
    report = clients.report
    slower = report.latency_s(0.99) / quiet.report.latency_s(0.99)
    note(
        f"{report.line()}, p99 {slower:.1f} times the quiet one (aim {MAX_SLOWER}), "
        f"whole {updated_s:.1f} s after the first new answer"
    )
    assert not report.failures
    assert clients.prices_usd() == {OLD_PRICE_USD, NEW_PRICE_USD}
    check_ledger(cluster.url, report)
    assert slower <= MAX_SLOWER


def test_a_user_config_is_applied_and_taken_back_by_replicas_that_go_on(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    def replicas() -> set[int]:
        return {each.pid for each in cluster.titled("ServeReplica:")}

    before = replicas()
    with load() as clients:
        clients.until_answers(BEFORE)
        (old_price_usd,) = clients.prices_usd()
        cluster.deploy(told(cluster.schema, "Ingress", {"api": {"price_usd": LIVE_PRICE_USD}}))
        applied_s = until(lambda: LIVE_PRICE_USD in clients.prices_usd())
        clients.until_everybody_was_answered()
    with load() as later:
        later.until_answers(AFTER)
        cluster.deploy(told(cluster.schema, "Ingress", {}))
        until(lambda: old_price_usd in later.prices_usd())
    note(f"{clients.report.line()}, the first new price after {applied_s:.1f} s")
    assert later.prices_usd() == {LIVE_PRICE_USD, old_price_usd}
    assert replicas() == before
    for report in (clients.report, later.report):
        assert not report.failures
        check_ledger(cluster.url, report)


def test_an_update_that_cannot_start_leaves_the_old_one_serving_and_says_why(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    good = cluster.schema
    files = {"certificate_file": NO_CERTIFICATE, "private_key_file": NO_CERTIFICATE}
    try:
        with load() as clients:
            clients.until_answers(BEFORE)
            cluster.deploy(changed(good, provenance=files))
            told_s = until(lambda: NO_CERTIFICATE in str(cluster.status()))
            clients.until_everybody_was_answered()
            clients.until_answers(AFTER)
    finally:
        cluster.deploy(good)
    report = clients.report
    note(f"{report.line()}, the status said why after {told_s:.1f} s")
    assert not report.failures
    check_ledger(cluster.url, report)


def test_a_denoiser_that_stands_still_is_replaced_and_costs_no_request(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        wedged = chance.choice(cluster.replicas("Denoiser"))
        send(signal.SIGSTOP, wedged)
        replaced_s = until(lambda: not wedged.is_running()) + cluster.until_healthy()
        clients.until_everybody_was_answered()
    report = clients.report
    note(f"{report.line()}, replaced after {replaced_s:.1f} s")
    assert not report.failures
    check_ledger(cluster.url, report)
    assert replaced_s <= MAX_REPLACED_S
