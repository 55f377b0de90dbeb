"""The Limiter is its ledger, as a deployment."""

from serve_app.config import LimitsConfig
from serve_app.deployments.limiter import Limiter
from serve_app.limits.protocol import Ask, Need, Presence

NEEDS = (Need("a", 1), Need("b", 1))


def ask(ingress_id: str) -> Ask:
    return Ask(ingress_id, "kr_a", None, NEEDS, (), None, ())


async def test_it_limits_what_the_config_says() -> None:
    limiter = Limiter(LimitsConfig(max_concurrent_requests=2))
    assert (await limiter.answer(ask("one"))).refusals == (None, None)
    assert None not in (await limiter.answer(ask("two"))).refusals
    await limiter.release("kr_a", "a")
    assert (await limiter.answer(ask("two"))).refusals.count(None) == 1


async def test_it_counts_the_ingresses() -> None:
    limiter = Limiter(LimitsConfig(requests_per_minute=2))
    await limiter.renew(Presence("one", {}))
    assert (await limiter.renew(Presence("two", {}))).num_ingresses == 2
