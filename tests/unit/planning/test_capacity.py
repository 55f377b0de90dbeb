"""A plan holds in the simulator that judges autoscaling, and one with less does not."""

from dataclasses import replace
from statistics import fmean

import pytest

from serve_app.errors import ConfigError
from serve_app.planning.capacity import Demand, Plan, alone_s, expected_p95_s, plan
from serve_app.planning.machine import MACHINES
from serve_app.planning.words import mix_of

H200 = MACHINES["h200"]
DEMAND = Demand(2.0, mix_of("1024x1024/28=3,512x512/28=1"), slo_s=10.0)


@pytest.fixture(scope="module")
def found() -> Plan:
    return plan(DEMAND, H200)


def p95_s(found: Plan, num_denoisers: int) -> float:
    """Return the mean over runs that the plan was not made by."""
    replicas = replace(found.replicas, denoiser=num_denoisers)
    return fmean(expected_p95_s(DEMAND, H200, replicas, seed) for seed in (11, 12))


def test_a_plan_keeps_its_slo_in_the_simulator(found: Plan) -> None:
    assert found.p95_s <= DEMAND.slo_s
    assert p95_s(found, found.replicas.denoiser) <= 1.1 * DEMAND.slo_s


def test_with_fewer_denoisers_it_would_not(found: Plan) -> None:
    assert p95_s(found, round(0.85 * found.replicas.denoiser)) > DEMAND.slo_s


def test_the_cost_is_that_of_all_gpus(found: Plan) -> None:
    assert found.num_gpus == pytest.approx(
        found.replicas.denoiser + found.text_encoder_gpu + found.vae_gpu
    )
    per_hour = found.usd_per_image * 3600 * DEMAND.images_per_s
    assert per_hour == pytest.approx(found.num_gpus * H200.usd_per_hour)


def test_pictures_of_a_request_are_counted_one_by_one() -> None:
    assert Demand(2.0, mix_of("1024x1024/28*4,512x512/28*2"), 10).images_per_s == 6.0


def test_what_no_number_of_denoisers_can_keep_is_refused() -> None:
    hasty = replace(DEMAND, slo_s=1.0)
    with pytest.raises(ConfigError, match=r"slo: over 5 % of the mix takes .* got 1 s"):
        plan(hasty, H200)


def test_alone_is_less_than_any_slo_that_can_be_had(found: Plan) -> None:
    assert min(alone_s(kind, H200) for kind in DEMAND.mix) < found.p95_s
