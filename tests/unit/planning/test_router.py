"""Pictures go where production sends them; where all are full they go nowhere."""

import random

import pytest

from serve_app.messages import Size
from serve_app.planning.denoiser import Denoiser, Picture
from serve_app.planning.machine import MACHINES, TEXT_TOKENS, image_tokens, step_flops
from serve_app.planning.router import MAX_COMPARED, REPORT_PERIOD_S, LeastWork, TwoChoices

COST_MODEL = MACHINES["h200"].cost_model()
SMALL, LARGE = Size(512, 512), Size(2048, 2048)


def picture(canvas: Size, num_steps: int = 28) -> Picture:
    made = Picture(
        number=0,
        canvas=canvas,
        num_steps=num_steps,
        num_tokens=image_tokens(canvas) + TEXT_TOKENS,
        step_flops=step_flops(canvas),
    )
    made.deadline_at = 3 * COST_MODEL.solo_s(made)
    return made


def last() -> Picture:
    """Return one that is due after all others."""
    return picture(LARGE, num_steps=100)


def denoisers(*held: list[Picture]) -> list[Denoiser]:
    made = [Denoiser(str(number), COST_MODEL, 0.0) for number in range(len(held))]
    for denoiser, pictures in zip(made, held, strict=True):
        for one in pictures:
            denoiser.add(one, 0.0)
    return made


@pytest.fixture
def router() -> LeastWork:
    return LeastWork(COST_MODEL, random.Random(1))


def test_work_counts_and_not_the_number_of_pictures(router: LeastWork) -> None:
    one_large, three_small = denoisers([picture(LARGE)], [picture(SMALL) for _ in range(3)])
    busy = [one_large, three_small]
    assert router.choose(last(), busy, 64, now=0.0) is three_small
    draws = [TwoChoices(random.Random(seed)).choose(last(), busy, 64, 0.0) for seed in "abcdef"]
    assert draws.count(one_large) > draws.count(three_small)


def test_a_report_is_what_is_known_until_the_next_one(router: LeastWork) -> None:
    busy, idle = denoisers([picture(LARGE)], [])
    assert router.choose(picture(SMALL), [busy, idle], 64, now=0.0) is idle
    for _ in range(9):
        idle.add(picture(SMALL), 0.1)
    idle.add(picture(LARGE), 0.1)
    # What others sent there is in no report yet.
    assert router.choose(last(), [busy, idle], 64, now=0.1) is idle
    assert router.choose(last(), [busy, idle], 64, now=REPORT_PERIOD_S) is busy


def test_steps_of_a_run_that_are_over_are_no_work_any_more(router: LeastWork) -> None:
    begun, fresh = denoisers([picture(LARGE)], [picture(LARGE)])
    begun.start_run(0.0)
    assert begun.run is not None
    now = begun.run.began_at + 20 * begun.run.step_s
    assert begun.outlook(now).all_s == pytest.approx(8 / 28 * fresh.outlook(now).all_s, rel=0.01)
    assert begun.run.batch[0].num_steps_done == 0
    assert router.choose(last(), [fresh, begun], 64, now) is begun


@pytest.mark.parametrize("kind", ["least work", "two choices"])
def test_the_full_get_no_more(kind: str, router: LeastWork) -> None:
    chosen_by = router if kind == "least work" else TwoChoices(random.Random(1))
    full, free = denoisers([picture(SMALL)], [picture(LARGE)])
    free.num_jobs = 0
    for _ in range(20):
        assert chosen_by.choose(picture(SMALL), [full, free], 1, now=0.0) is free
    free.num_jobs = 1
    assert chosen_by.choose(picture(SMALL), [full, free], 1, now=0.0) is None
    assert chosen_by.choose(picture(SMALL), [], 1, now=0.0) is None


def test_the_one_free_of_many_is_found(router: LeastWork) -> None:
    many = denoisers(*([picture(SMALL)] for _ in range(20 * MAX_COMPARED)), [])
    assert router.choose(picture(SMALL), many, 1, now=0.0) is many[-1]
