"""Clients that read slowly, clients that write slowly, and clients that leave."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from select import select

import httpx
import pytest

from tests.chaos.cluster import ChaosCluster, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger, entries_by_order
from tests.chaos.load import Load
from tests.chaos.pictures import BODY, PATH

MAX_WAIT_S = 30.0
MAX_FREED_S = 2.0

NUM_SLOW, NUM_LEAVING = 4, 8
# Of each ingress; more write slowly than two of them let in.
ARGS = {"api": {"max_pending_requests": 40}}
NUM_WRITING = 200
LARGE = BODY | {"size": "512x512", "num_inference_steps": 2, "n": 4}
LONG = BODY | {"size": "1024x1024", "num_inference_steps": 50}

Loads = Callable[..., Load]


@contextmanager
def slow_reader(url: str) -> Iterator[socket.socket]:
    """Ask for a large answer and have next to no room for it."""
    address = httpx.URL(url)
    body = json.dumps(LARGE).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: application/json\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.host, address.port))
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield connection


def test_slow_readers_hold_up_nobody_else(cluster: ChaosCluster, load: Loads, note: Note) -> None:
    with ExitStack() as readers:
        slow = [readers.enter_context(slow_reader(cluster.url)) for _ in range(NUM_SLOW)]
        for connection in slow:
            connection.settimeout(120)
            assert connection.recv(12) == b"HTTP/1.1 200"
        with load() as clients:
            clients.until_answers(20)
    report = clients.report
    note(report.line())
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_wait_s <= MAX_WAIT_S


@contextmanager
def slow_writer(url: str) -> Iterator[socket.socket]:
    """Begin a request and write no more of it."""
    address = httpx.URL(url)
    head = f"POST {PATH} HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        yield connection


def test_slow_writers_keep_nobody_out(cluster: ChaosCluster, load: Loads, note: Note) -> None:
    with ExitStack() as writers:
        slow = [writers.enter_context(slow_writer(cluster.url)) for _ in range(NUM_WRITING)]
        with load() as clients:
            clients.until_answers(20)
        waiting = [each for each in slow if not select([each], [], [], 0)[0]]
    report = clients.report
    note(f"{report.line()}, {len(waiting)} of {NUM_WRITING} slow writers still waited for")
    assert not report.failures
    check_ledger(cluster.url, report)
    # More than there were places for, and some are still being read.
    assert 0 < len(waiting) < NUM_WRITING


def test_clients_that_leave_free_their_place(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    stays_s = 1.5
    with load() as clients:
        for number in range(NUM_LEAVING):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    cluster.url + PATH,
                    json=LONG,
                    headers={"x-session-id": f"leaving-{number}"},
                    timeout=httpx.Timeout(60, read=stays_s),
                )
        clients.until_everybody_was_answered()
    report = clients.report

    def left() -> list[dict[str, object]]:
        entries = entries_by_order(cluster.url)
        return [
            entry for name, found in entries.items() if "leaving" in str(name) for entry in found
        ]

    until(lambda: all(entry["status"] != "processing" for entry in left()), lambda: str(left()))
    freed_s = [float(str(entry["duration_ms"])) / 1000 - stays_s for entry in left()]
    note(f"{report.line()}, freed at most {max(freed_s):.2f} s after they left")
    assert [(entry["status"], entry["cost"]) for entry in left()] == [
        ("cancelled", 0)
    ] * NUM_LEAVING
    assert max(freed_s) <= MAX_FREED_S
    assert not report.failures
    check_ledger(cluster.url, report)
