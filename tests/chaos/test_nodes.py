"""What Ray itself is made of dies, stops or goes away for a while."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.cluster import ChaosCluster, send, title_of, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load
from tests.chaos.ray_nodes import SPARE_IP, WORKER_IPS
from tests.chaos.report import Order

MAX_NODE_GAP_S = 10.0
MAX_WAIT_S = 30.0  # of any request; a deadline is far longer
BEFORE, AFTER = 6, 12  # answers
GCS_DOWN_S = 10
FROZEN_S = 15

Loads = Callable[..., Load]


def names(orders: list[Order]) -> list[str]:
    return [order.name for order in orders]


@contextmanager
def lost_node(cluster: ChaosCluster, ip: str) -> Iterator[None]:
    """Bring a node back when the block is over."""
    try:
        yield
    finally:
        cluster.do("forget_node", ip=ip)
        cluster.do("add_node", ip=ip)


@contextmanager
def spare_node(cluster: ChaosCluster) -> Iterator[None]:
    """Have one node more for the length of the block, where replicas may move to."""
    cluster.do("add_node", ip=SPARE_IP)
    try:
        yield
    finally:
        cluster.do("forget_node", ip=SPARE_IP)


def test_a_controller_that_is_killed_costs_no_request(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        send(signal.SIGKILL, cluster.controller())
        clients.until_everybody_was_answered()
        clients.until_answers(AFTER)
        cluster.until_healthy()
    report = clients.report
    note(report.line())
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


@pytest.mark.parametrize("num_retries", [0, 1])
def test_a_proxy_that_is_killed_costs_what_it_had_in_flight(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note, num_retries: int
) -> None:
    with load(num_retries=num_retries) as clients:
        clients.until_answers(BEFORE)
        send(signal.SIGKILL, chance.choice(cluster.proxies()))
        killed_at = time.monotonic()
        clients.until_everybody_was_answered()
        clients.until_answers(AFTER)
    report = clients.report
    note(report.line())
    in_flight = [each for each in report.orders if each.attempts[0].was_in_flight(killed_at)]
    assert set(names(report.failed)) <= set(names([] if num_retries else in_flight))
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


@pytest.mark.parametrize("num_retries", [0, 1])
def test_a_node_that_is_lost_costs_what_it_had_in_flight(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note, num_retries: int
) -> None:
    ip = chance.choice(WORKER_IPS)
    with load(num_retries=num_retries) as clients:
        clients.until_answers(BEFORE)
        with lost_node(cluster, ip):
            send(signal.SIGKILL, *cluster.of_node(ip))
            killed_at = time.monotonic()
            clients.until_everybody_was_answered()
            clients.until_answers(AFTER)
        healed_s = cluster.until_healthy()
    report = clients.report
    note(f"{report.line()}, healed {healed_s:.1f} s after it was there again")
    in_flight = [each for each in report.orders if each.attempts[0].was_in_flight(killed_at)]
    assert set(names(report.failed)) <= set(names([] if num_retries else in_flight))
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= MAX_NODE_GAP_S
    assert report.longest_wait_s <= MAX_WAIT_S


def test_a_node_that_is_drained_before_it_ends_costs_no_request(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note
) -> None:
    ip = chance.choice(WORKER_IPS)

    def is_empty() -> bool:
        titles = [title_of(process) for process in cluster.of_node(ip)]
        return not any("ServeReplica" in title or "ProxyActor" in title for title in titles)

    with spare_node(cluster):
        with load() as clients:
            clients.until_answers(BEFORE)
            cluster.do("drain_node", ip=ip)
            drained_s = until(is_empty, lambda: str(cluster.status()))
            with lost_node(cluster, ip):
                send(signal.SIGKILL, *cluster.of_node(ip))
                clients.until_everybody_was_answered()
                clients.until_answers(AFTER)
        report = clients.report
        note(f"{report.line()}, empty after {drained_s:.1f} s")
        assert not report.failures
        check_ledger(cluster.url, report)


def test_a_gcs_that_is_away_for_a_while_costs_no_request(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        cluster.do("kill_gcs")
        time.sleep(GCS_DOWN_S)
        cluster.do("start_gcs")
        clients.until_everybody_was_answered()
        send(signal.SIGKILL, chance.choice(cluster.replicas("Denoiser")))
        clients.until_everybody_was_answered()
        healed_s = cluster.until_healthy()
    report = clients.report
    note(f"{report.line()}, a denoiser killed afterwards healed after {healed_s:.1f} s")
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


def test_a_node_that_stands_still_is_paid_once_and_leaves_nothing_stuck(
    cluster: ChaosCluster, load: Loads, chance: random.Random, note: Note
) -> None:
    ip = chance.choice(WORKER_IPS)
    with load(num_retries=1) as clients:
        clients.until_answers(BEFORE)
        frozen = cluster.of_node(ip)
        with lost_node(cluster, ip):
            send(signal.SIGSTOP, *frozen)
            time.sleep(FROZEN_S)
            send(signal.SIGCONT, *frozen)
            clients.until_everybody_was_answered()
        healed_s = cluster.until_healthy()
    report = clients.report
    note(f"{report.line()}, healed {healed_s:.1f} s after it was there again")
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_wait_s <= FROZEN_S + MAX_WAIT_S
