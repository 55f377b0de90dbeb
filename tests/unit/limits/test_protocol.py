"""The shares of all ingresses are the limit, no more and no less."""

import pickle

import pytest

from serve_app.limits.meters import Meter
from serve_app.limits.protocol import Ask, Crowd, Lease, Need, Spend


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 60, 6001])
@pytest.mark.parametrize("num_ingresses", [1, 2, 3, 8, 100])
def test_the_shares_add_up(limit: int, num_ingresses: int) -> None:
    shares = [Crowd("e", rank, num_ingresses).share(limit) for rank in range(num_ingresses)]
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1


def test_one_that_knows_of_no_other_has_it_all() -> None:
    assert Crowd().share(60) == 60


def test_a_question_crosses_processes() -> None:
    ask = Ask(
        "ingress",
        "kr_a",
        None,
        (Need("s", 2),),
        ("t",),
        Lease(7, {Meter.IMAGES: 2}),
        (Spend(Meter.REQUESTS, 1, 5),),
    )
    assert pickle.loads(pickle.dumps(ask)) == ask
