"""What cannot end in time is refused at once, and so is what others could not end in time with."""

import time

import pytest

from serve_app.config import EngineConfig
from serve_app.engine.engine import Engine
from serve_app.engine.job import Job
from serve_app.errors import DeadlineExceededError, OverloadedError
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob
from tests.unit.engine.doorstop import PATIENCE_S, Doorstop


def timed_job(make_job: MakeJob, left_s: float, num_steps: int = 4) -> Job:
    job = make_job(num_steps=num_steps)
    job.must_end_unix_s = time.time() + left_s
    return job


def test_nothing_is_refused_by_a_guess(transformer: TransformerStage, make_job: MakeJob) -> None:
    engine = Engine(transformer, EngineConfig(token_budget=1))
    assert engine.stats().s_per_flop == 0
    large = timed_job(make_job, left_s=60, num_steps=2)
    large.step_flops = 7.4e13  # of FLUX.1 at 1024x1024
    assert engine.submit(large).result(PATIENCE_S).isfinite().all()
    assert engine.stats().s_per_flop > 0
    engine.close()


def test_what_cannot_end_in_time_is_refused_at_once(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    engine = Engine(transformer, EngineConfig(policy="fcfs", token_budget=1, delivery_s=0))
    doorstop = Doorstop()
    engine.submit(make_job(num_steps=30), doorstop)
    doorstop.wait()
    # A step takes a second.
    engine.cost_model.s_per_flop, engine.cost_model.overhead_s = 1.0 / make_job().step_flops, 0.0
    with pytest.raises(OverloadedError) as refused:
        engine.submit(timed_job(make_job, left_s=20))
    # Four steps of its own behind the 29 that are left: 13 seconds too many.
    assert refused.value.retry_after_s in (13, 14)
    with pytest.raises(DeadlineExceededError, match="about 4 seconds"):
        engine.submit(timed_job(make_job, left_s=2))
    kept = engine.submit(timed_job(make_job, left_s=60))
    doorstop.remove()
    assert kept.result(PATIENCE_S).isfinite().all()
    engine.close()


def test_what_would_cost_those_before_it_their_time_is_refused(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    engine = Engine(transformer, EngineConfig(token_budget=1, delivery_s=0))
    doorstop = Doorstop()
    engine.submit(make_job(num_steps=30), doorstop)
    doorstop.wait()
    # A step takes a second: each has four, is due in twelve, and must end in twenty.
    engine.cost_model.s_per_flop, engine.cost_model.overhead_s = 1.0 / make_job().step_flops, 0.0
    kept = [engine.submit(timed_job(make_job, left_s=20)) for _ in range(3)]
    # It would go before the long one and be done after sixteen, but nobody keeps it from being
    # overtaken once it is late.
    with pytest.raises(OverloadedError, match="could not all be denoised in time") as refused:
        engine.submit(timed_job(make_job, left_s=20))
    assert refused.value.retry_after_s == 30
    doorstop.remove()
    assert all(future.result(PATIENCE_S).isfinite().all() for future in kept)
    engine.close()
