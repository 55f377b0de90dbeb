"""A Limiter that does not answer costs 250 ms once, one line in the log, and is then left alone."""

import asyncio
import logging

import pytest

from serve_app.limits.contact import CALL_TIMEOUT_S, Contact
from serve_app.limits.ledger import Ledger
from serve_app.limits.protocol import Ask, Presence
from tests.unit.limits.simulation import NETWORK_DELAY_S, Network, limits, now_ns, run

LIMITS = limits(requests=3)
ASK = Ask("one", "kr_a", None, (), (), None, ())


def connected() -> tuple[Network, Contact]:
    network = Network(LIMITS, Ledger(LIMITS, now_ns))
    return network, Contact(network, now_ns)


async def silence_of(contact: Contact) -> float:
    """Return how long a question stayed without an answer, in seconds."""
    loop = asyncio.get_running_loop()
    asked_at_s = loop.time()
    with pytest.raises(ConnectionError):
        await contact.answer(ASK)
    return loop.time() - asked_at_s


def test_every_answer_says_how_many_ingresses_there_are() -> None:
    async def scenario() -> None:
        _, contact = connected()
        assert contact.crowd.num_ingresses == 1
        await contact.answer(ASK)
        await contact.renew(Presence("two", {}), CALL_TIMEOUT_S)
        assert (contact.crowd.rank, contact.crowd.num_ingresses) == (1, 2)
        await contact.release("kr_a", "slot")

    run(scenario())


@pytest.mark.parametrize(
    ("is_frozen", "wait_s"), [(True, CALL_TIMEOUT_S), (False, NETWORK_DELAY_S)]
)
def test_no_answer_is_waited_for_longer_than_50_ms(is_frozen: bool, wait_s: float) -> None:
    async def scenario() -> None:
        network, contact = connected()
        network.ledger, network.is_frozen = None, is_frozen
        assert await silence_of(contact) == pytest.approx(wait_s)

    run(scenario())


def test_who_did_not_answer_is_left_alone_for_a_second() -> None:
    async def scenario() -> None:
        network, contact = connected()
        network.is_frozen = True
        await silence_of(contact)
        assert await silence_of(contact) == 0
        with pytest.raises(ConnectionError):
            await contact.release("kr_a", "slot")
        assert network.num_calls == 1
        await asyncio.sleep(1)
        assert await silence_of(contact) == pytest.approx(CALL_TIMEOUT_S)

    run(scenario())


def test_the_log_has_one_line_when_it_falls_silent_and_one_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        network, contact = connected()
        network.ledger = None
        for _ in range(5):
            await silence_of(contact)
            await asyncio.sleep(1)
        network.restart()
        for _ in range(5):
            await contact.answer(ASK)

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "ingress 1 of 1 decides by its own share" in caplog.text
