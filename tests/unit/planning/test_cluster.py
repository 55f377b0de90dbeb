"""Time on the virtual clock is what arithmetic says where arithmetic can."""

import time
from dataclasses import dataclass, field
from statistics import fmean

import pytest

from benchmarks.autoscaling.ours import WorkPolicy
from serve_app.config import ScalingConfig
from serve_app.messages import Size
from serve_app.planning.capacity import alone_s, denoise_s
from serve_app.planning.cluster import Autoscaler, Cluster, Replicas, View
from serve_app.planning.machine import MACHINES
from serve_app.planning.traffic import Kind, Request, poisson
from tests.unit.planning.targets import Fixed

H200 = MACHINES["h200"]
USUAL = Kind(Size(1024, 1024), 28)
ONE_EACH = Replicas(text_encoder=1, denoiser=1, vae=1, image_writer=1)


@dataclass
class Watched:
    """A policy, and how many replicas there were at each of its decisions."""

    policy: Autoscaler
    period_s: float = 1.0
    num_running: list[int] = field(default_factory=list)

    def target(self, view: View) -> int:
        self.num_running.append(view.num_running)
        return self.policy.target(view)


def test_the_usual_picture_takes_what_was_measured() -> None:
    assert denoise_s(USUAL, H200) == pytest.approx(H200.reference_s)


def test_a_picture_alone_takes_the_sum_of_its_stages() -> None:
    (latency,) = Cluster(H200, ONE_EACH).serve([Request(5.0, USUAL)]).latencies_s
    assert latency == pytest.approx(alone_s(USUAL, H200))


def test_a_denoiser_loses_no_step_to_those_that_come_in_between() -> None:
    requests = [Request(0.1 * number, USUAL) for number in range(5)]
    outcome = Cluster(H200, ONE_EACH).serve(requests)
    ends_at = max(
        latency + request.arrived_at
        for latency, request in zip(outcome.latencies_s, requests, strict=True)
    )
    assert ends_at == pytest.approx(alone_s(USUAL, H200) + 4 * denoise_s(USUAL, H200), rel=1e-3)


def test_the_pictures_of_a_request_are_denoised_at_the_same_time() -> None:
    eight = Request(0.0, Kind(Size(1024, 1024), 28, num_images=8))
    many = Replicas(text_encoder=1, denoiser=200, vae=8, image_writer=8)
    (latency,) = Cluster(H200, many).serve([eight]).latencies_s
    assert latency == pytest.approx(alone_s(USUAL, H200))


def test_what_comes_while_there_is_no_denoiser_waits_for_one() -> None:
    none = Replicas(text_encoder=1, denoiser=0, vae=1, image_writer=1)
    outcome = Cluster(H200, none, Fixed(0, 1, from_s=3.0)).serve([Request(0.5, USUAL)])
    (latency,) = outcome.latencies_s
    after = H200.decode_s + H200.write_s
    expected = 3.0 + H200.start_s + denoise_s(USUAL, H200) + after - 0.5
    assert latency == pytest.approx(expected)
    # Paid for from the decision, its start included, until the last picture is decoded.
    paid_s = H200.start_s + denoise_s(USUAL, H200) + H200.decode_s
    assert outcome.denoiser_s == pytest.approx(paid_s)


def test_a_denoiser_that_is_taken_away_ends_what_it_has() -> None:
    two = Replicas(text_encoder=1, denoiser=2, vae=1, image_writer=1)
    requests = [Request(0.0, USUAL), Request(0.0, USUAL)]
    outcome = Cluster(H200, two, Fixed(2, 0, from_s=1.0), max_ongoing=1).serve(requests)
    assert max(outcome.latencies_s) < alone_s(USUAL, H200) + 0.1
    # Until the pictures are denoised, not until they are written; the second is encoded later.
    expected = 2 * (H200.encode_s + denoise_s(USUAL, H200)) + H200.encode_s
    assert outcome.denoiser_s == pytest.approx(expected)
    assert outcome.num_decisions == 1


def test_the_same_seed_is_the_same_run() -> None:
    requests = poisson({USUAL: 1.0}, 0.5, 100, seed=3)
    four = Replicas(text_encoder=1, denoiser=4, vae=1, image_writer=1)
    first, again, other = (
        Cluster(H200, four, seed=seed, is_routed_on_work=False).serve(requests)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_who_routes_on_work_answers_sooner() -> None:
    requests = poisson({USUAL: 1.0}, 0.8, 600, seed=3)
    four = Replicas(text_encoder=1, denoiser=4, vae=1, image_writer=1)
    on_work, by_number = (
        fmean(Cluster(H200, four, is_routed_on_work=on_work).serve(requests).latencies_s)
        for on_work in (True, False)
    )
    assert on_work < 0.9 * by_number


def test_ten_thousand_denoisers_are_simulated() -> None:
    requests = poisson({USUAL: 1.0}, rate=2000, horizon_s=2, seed=1)
    many = Replicas(text_encoder=100, denoiser=10_000, vae=100, image_writer=100)
    outcome = Cluster(H200, many).serve(requests)
    assert len(outcome.latencies_s) == len(requests) > 3500
    assert min(outcome.latencies_s) >= alone_s(USUAL, H200) - 1e-6


def test_the_policy_scales_to_ten_thousand_denoisers_and_back() -> None:
    began_s = time.process_time()
    coarse = Kind(Size(2048, 2048), 50)
    policy = Watched(WorkPolicy(ScalingConfig(), 1, 10_000))
    requests = poisson({coarse: 1.0}, rate=300, horizon_s=45, seed=1)
    one = Replicas(text_encoder=20, denoiser=1, vae=60, image_writer=60)
    outcome = Cluster(H200, one, policy, max_ongoing=2).serve(requests)
    assert policy.num_running[0] == 1
    assert max(policy.num_running) == 10_000
    assert policy.num_running[-1] < 10_000
    assert min(outcome.latencies_s) >= alone_s(coarse, H200) - 1e-6
    assert time.process_time() - began_s < 20  # it takes 6 s on one of two cores
