"""Clients that ask for pictures without a pause, and look closely at what they get."""

import random
import secrets
import threading
import time
from types import TracebackType
from typing import Self

import httpx

from tests.chaos.cluster import until
from tests.chaos.pictures import PATH, SEEDS, Pictures
from tests.chaos.report import PAGE, Attempt, Order, Report

TIMEOUT_S = 90
RETRY_PAUSE_S = 0.5


class Load:
    """So many clients for the length of the block; each answer is judged when it comes.

    Every request has a connection of its own, so that it can meet any of the proxies.
    """

    def __init__(
        self,
        url: str,
        pictures: Pictures,
        seed: int,
        num_clients: int = 3,
        num_retries: int = 0,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare clients.

        Args:
            url: Where the proxies listen.
            pictures: Of each seed, as it should be.
            seed: Of what the clients ask for.
            num_clients: That ask at the same time.
            num_retries: How often a client sends a failed request again, with the same
                `Idempotency-Key`.
            timeout_s: Until a client gives an attempt up.
        """
        self._url = url
        self._pictures = pictures
        self._num_retries = num_retries
        self._timeout_s = timeout_s
        self._run = secrets.token_hex(4)
        self._orders: list[Order] = []
        self._stop = threading.Event()
        self._began_at = self._ended_at = 0.0
        self._threads = [
            threading.Thread(
                target=self._client, args=(f"{self._run}-{i}", random.Random(seed + i))
            )
            for i in range(num_clients)
        ]

    def __enter__(self) -> Self:
        self._began_at = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._ended_at = time.monotonic()

    @property
    def report(self) -> Report:
        """What happened, once the block is over."""
        return Report(self._began_at, self._ended_at, tuple(self._orders))

    def until_answers(self, count: int) -> float:
        """Return the seconds until so many more pictures have come."""
        wanted = self.num_fulfilled() + count
        return until(lambda: self.num_fulfilled() >= wanted, lambda: str(self._orders[-5:]))

    def until_everybody_was_answered(self) -> float:
        """Return the seconds until every client has a picture that it asked for after now."""
        now = time.monotonic()

        def answered() -> set[str]:
            later = [order for order in list(self._orders) if order.attempts[0].began_at > now]
            return {order.name.rpartition("-")[0] for order in later if order.last.failure is None}

        wanted = len(self._threads)
        return until(lambda: len(answered()) == wanted, lambda: f"only {answered()} had an answer")

    def prices_usd(self) -> set[float]:
        """Return what the pictures cost so far, each price once."""
        return {each.last.cost_usd for each in list(self._orders) if each.last.cost_usd is not None}

    def num_fulfilled(self) -> int:
        """Return how many pictures have come."""
        return sum(order.last.failure is None for order in self._orders)

    def _client(self, name: str, choice: random.Random) -> None:
        with httpx.Client(
            base_url=self._url, timeout=self._timeout_s, headers={"Connection": "close"}
        ) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                order = self._order(client, f"{name}-{number}", choice.choice(SEEDS))
                self._orders.append(order)
                if order.last.failure is not None:
                    time.sleep(RETRY_PAUSE_S)

    def _order(self, client: httpx.Client, name: str, seed: int) -> Order:
        headers = {"x-session-id": name}
        if self._num_retries:
            headers["Idempotency-Key"] = name
        attempts = [self._attempt(client, headers, seed)]
        while attempts[-1].failure is not None and len(attempts) <= self._num_retries:
            time.sleep(RETRY_PAUSE_S)
            attempts.append(self._attempt(client, headers, seed))
        return Order(name, tuple(attempts))

    def _attempt(self, client: httpx.Client, headers: dict[str, str], seed: int) -> Attempt:
        request_id = secrets.token_hex(8)
        began_at = time.monotonic()
        try:
            answer = client.post(
                PATH,
                json=self._pictures.body(seed),
                headers=headers | {"x-request-id": request_id},
            )
        except httpx.TransportError as error:
            return Attempt(began_at, time.monotonic(), type(error).__name__)
        ended_at = time.monotonic()
        failure = self._failure_of(answer, request_id, seed)
        if failure is not None:
            # What the proxy says itself has no id.
            refused_id = answer.headers.get("x-lumenfall-request-id")
            return Attempt(began_at, ended_at, failure, refused_id, None, answer.status_code)
        document = answer.json()
        cost_usd = document["metadata"]["cost"]
        return Attempt(began_at, ended_at, None, document["id"], cost_usd, answer.status_code)

    def _failure_of(self, answer: httpx.Response, request_id: str, seed: int) -> str | None:
        """Return what is wrong with an answer, if anything is."""
        if answer.headers.get("content-type") != "application/json":
            return PAGE
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text[:60]}"
        if answer.headers.get_list("x-request-id") != [request_id]:
            return "another request's id"
        if answer.json()["id"] != answer.headers["x-lumenfall-request-id"]:
            return "another request's answer"
        if not self._pictures.has(answer.json(), seed):
            return "another picture"
        return None
