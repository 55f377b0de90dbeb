"""The Limiter is its ledger, as a deployment."""

import pytest

from serve_app.config import LimitsConfig
from serve_app.deployments.limiter import Limiter
from serve_app.errors import ConfigError
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


async def test_an_operator_changes_the_limits_and_not_the_count() -> None:
    limiter = Limiter(LimitsConfig(requests_per_minute=2, images_per_minute=50))
    await limiter.answer(ask("one"))
    limiter.reconfigure({"limits": {"requests_per_minute": 3}})
    answer = await limiter.answer(ask("one"))
    assert answer.refusals.count(None) == 1
    assert answer.crowd.limits == {"requests": 3, "images": 50}


def test_what_is_not_valid_is_refused_at_the_start_and_ignored_later() -> None:
    wrong = {"limits": {"requests_per_minute": 0}}
    with pytest.raises(ConfigError, match="requests_per_minute"):
        Limiter(LimitsConfig(requests_per_minute=2)).reconfigure(wrong)
    limiter = Limiter(LimitsConfig(requests_per_minute=2))
    limiter.reconfigure(None)
    limiter.reconfigure(wrong)
