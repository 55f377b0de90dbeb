"""Monoliths take requests one after the other, five at each, and start later than denoisers."""

import pytest

from benchmarks.autoscaling.figures import figures
from benchmarks.autoscaling.monolith import MAX_ONGOING, Monoliths, as_monolith, busy_s
from serve_app.messages import Size
from serve_app.planning.capacity import denoise_s
from serve_app.planning.cluster import Outcome
from serve_app.planning.machine import MACHINES
from serve_app.planning.traffic import Kind, Request
from tests.unit.planning.targets import Fixed

H200 = MACHINES["h200"]
USUAL = Kind(Size(1024, 1024), 28)
ONE_S = busy_s(USUAL, H200)


def served(num_requests: int, kind: Kind = USUAL, after: int = 1, from_s: float = 0.0) -> Outcome:
    requests = [Request(0.0, kind) for _ in range(num_requests)]
    return Monoliths(H200, 1, Fixed(1, after, from_s)).serve(requests)


def test_the_pictures_of_a_request_follow_each_other() -> None:
    (latency_s,) = served(1, Kind(Size(1024, 1024), 28, num_images=8)).latencies_s
    each_s = denoise_s(USUAL, H200) + H200.decode_s + H200.write_s
    assert latency_s == pytest.approx(H200.encode_s + 8 * each_s)


def test_requests_follow_each_other_as_they_came() -> None:
    assert served(3).latencies_s == pytest.approx([ONE_S, 2 * ONE_S, 3 * ONE_S])


def test_what_a_replica_took_it_keeps_and_the_rest_goes_to_a_new_one() -> None:
    num_requests = 40
    outcome = served(num_requests, after=2, from_s=1.0)
    ready_at = 1.0 + as_monolith(H200).start_s
    assert outcome.num_decisions == 1
    # By then the first has done some, holds five, and the new one begins with the next.
    num_taken = int(ready_at / ONE_S) + MAX_ONGOING
    assert outcome.latencies_s[num_taken] == pytest.approx(ready_at + ONE_S)
    assert max(outcome.latencies_s) < num_requests * ONE_S


def test_one_that_is_taken_away_ends_what_it_has() -> None:
    outcome = served(2, after=0, from_s=1.0)
    assert max(outcome.latencies_s) == pytest.approx(2 * ONE_S)
    assert outcome.denoiser_s == pytest.approx(2 * ONE_S)


def test_a_monolith_reads_all_weights_before_it_serves() -> None:
    assert as_monolith(H200).start_s == pytest.approx(60 + (33.74 - 23.80) / 2)


def test_the_other_stages_are_paid_for_from_the_beginning_to_the_last_answer() -> None:
    requests = [Request(10.0, Kind(Size(1024, 1024), 28, num_images=2)), Request(20.0, USUAL)]
    found = figures(requests, Outcome([5.0, 10.0], denoiser_s=60.0, num_decisions=0), 0.5)
    assert (found.denoiser_s, found.gpu_s) == (20.0, 25.0)
