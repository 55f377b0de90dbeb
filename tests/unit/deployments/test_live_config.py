"""What an operator changes is held to at once; what is not valid changes nothing."""

import logging

import pytest

from serve_app.config import ApiConfig, LiveDenoiserConfig, LiveIngressConfig
from serve_app.deployments.live_config import LiveConfig, overridden
from serve_app.deployments.logs import set_log_level
from serve_app.errors import ConfigError


def test_what_is_said_goes_before_what_was_configured_and_nothing_else() -> None:
    live = LiveConfig("Ingress").read(LiveIngressConfig, {"api": {"price_usd": 0.5}})
    assert live is not None
    config = overridden(ApiConfig(price_usd=0.1, max_images=3), live.api)
    assert (config.price_usd, config.max_images) == (0.5, 3)


def test_saying_a_default_is_saying_something() -> None:
    live = LiveConfig("Ingress").read(LiveIngressConfig, {"api": {"max_images": 10}})
    assert live is not None
    assert overridden(ApiConfig(max_images=3), live.api).max_images == 10


@pytest.mark.parametrize("nothing", [None, {}])
def test_nothing_said_changes_nothing(nothing: dict[str, object] | None) -> None:
    live = LiveConfig("Ingress").read(LiveIngressConfig, nothing)
    assert live is not None
    assert overridden(ApiConfig(max_images=3), live.api) == ApiConfig(max_images=3)


WRONG = [
    ({"engine": {"slo_factor": 0.5}}, "engine.slo_factor"),
    ({"engine": {"slo": 2}}, "engine.slo"),
    ({"log_level": "loud"}, "log_level"),
    ({"model": {}}, "model"),
]


@pytest.mark.parametrize(("user_config", "field"), WRONG)
def test_a_replica_does_not_start_with_what_is_not_valid(
    user_config: dict[str, object], field: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        LiveConfig("Denoiser").read(LiveDenoiserConfig, user_config)
    assert f"user_config of Denoiser: {field}:" in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(("user_config", "field"), WRONG)
def test_a_replica_that_serves_keeps_what_it_has(
    user_config: dict[str, object], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader = LiveConfig("Denoiser")
    assert reader.read(LiveDenoiserConfig, {}) is not None
    assert reader.read(LiveDenoiserConfig, user_config) is None
    assert field in caplog.text
    assert reader.read(LiveDenoiserConfig, {}) is not None


def test_the_log_level_is_of_our_lines_only() -> None:
    set_log_level("WARNING")
    assert not logging.getLogger("serve_app.api").isEnabledFor(logging.INFO)
    set_log_level("DEBUG")
    assert logging.getLogger("serve_app.api").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("other").isEnabledFor(logging.DEBUG)
