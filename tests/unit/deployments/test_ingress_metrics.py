"""How an ingress stands is published as it is, each time."""

from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.config import ModelConfig
from serve_app.deployments.ingress_metrics import IngressMetrics
from serve_app.limits.admission import NoLimits
from tests.unit.deployments.conftest import Readings


@pytest.mark.parametrize(("is_failing", "up"), [(False, 1), (True, 0)])
def test_a_database_that_fails_is_seen(readings: Readings, is_failing: bool, up: int) -> None:
    recorder: Any = SimpleNamespace(num_waiting=2, num_lost=1, is_failing=is_failing)
    IngressMetrics(ModelConfig()).publish(recorder, NoLimits())
    assert readings.of("krea_serve_database_up") == {(): up}
    assert readings.of("krea_serve_history_waiting_events") == {(): 2}
