"""The simulated systems on a virtual clock: all answer everything, and ours is worth its name."""

from functools import partial
from math import isfinite

import pytest

from benchmarks.scheduling import ours
from benchmarks.scheduling.__main__ import SYSTEMS
from benchmarks.scheduling.measures import Serve, quality
from benchmarks.scheduling.monoliths import DeadlineQueue, FcfsQueue, serve_by
from benchmarks.scheduling.workload import Load, Request

MIXED, SINGLE = Load("mixed", True, 1.0), Load("single", False, 1.0)
OURS = partial(ours.serve, "deadline")
NOISE = 0.05


def in_time(serve: Serve, load: Load, share: float) -> float:
    requests = load.requests(share * load.saturation_rate(1), 400.0, seed=3)
    return quality(requests, serve(requests, 1, 3.0), 3.0).in_time


@pytest.mark.parametrize("num_denoisers", [1, 3])
@pytest.mark.parametrize("serve", SYSTEMS.values(), ids=list(SYSTEMS))
def test_every_request_is_answered_once_and_not_before_its_time(
    serve: Serve, num_denoisers: int
) -> None:
    requests = MIXED.requests(1.0, 60.0, seed=4)
    requests.append(Request(61.0, 512, 8, num_images=4))
    done_at = serve(requests, num_denoisers, 3.0)
    assert len(done_at) == len(requests)
    for request, done in zip(requests, done_at, strict=True):
        assert isfinite(done)
        assert done > request.arrived_at


def test_ours_keeps_more_in_time_than_first_come_first_served() -> None:
    assert in_time(OURS, MIXED, 0.7) > 1.2 * in_time(partial(serve_by, FcfsQueue), MIXED, 0.7)


def test_ours_keeps_as_much_of_one_size_in_time_as_earliest_deadline_first() -> None:
    edf = partial(serve_by, DeadlineQueue)
    assert in_time(OURS, SINGLE, 0.7) >= in_time(edf, SINGLE, 0.7) - NOISE
