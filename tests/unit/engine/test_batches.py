"""Jobs that share steps: each gets what it would get alone, and fails alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest
import torch

from serve_app.config import EngineConfig
from serve_app.engine.engine import Engine
from serve_app.engine.job import Job
from serve_app.engine.runner import Ran, Runner
from serve_app.engine.transformers import Transformers
from serve_app.errors import StageFailedError
from serve_app.messages import Priority, Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob
from tests.unit.engine.doorstop import PATIENCE_S, Doorstop

SIZES = (Size(32, 48), Size(64, 16), Size(64, 64), Size(32, 48))


@pytest.fixture
def engine(transformer: TransformerStage) -> Iterator[Engine]:
    # In the order they came, in which a batch is the same each time.
    config = EngineConfig(policy="fcfs", token_budget=10_000, high_threshold=0.6)
    engine = Engine(transformer, config)
    yield engine
    engine.close()


@pytest.fixture
def together(engine: Engine, make_job: MakeJob) -> Iterator[Callable[[], None]]:
    """Holds the engine, so that what is submitted meets in one step; calling it lets go."""
    doorstop = Doorstop()
    engine.submit(make_job(99, num_steps=1), doorstop)
    doorstop.wait()
    yield doorstop.remove
    doorstop.remove()


def alone(transformer: TransformerStage, job: Job) -> torch.Tensor:
    runner = Runner(Transformers())
    while not job.is_done:
        runner.step([job])
    return job.latents


def mixed_jobs(make_job: MakeJob) -> list[Job]:
    return [
        make_job(seed, num_steps=4 + 3 * seed, canvas=canvas) for seed, canvas in enumerate(SIZES)
    ]


def test_jobs_of_mixed_sizes_and_steps_equal_jobs_run_alone(
    engine: Engine,
    transformer: TransformerStage,
    make_job: MakeJob,
    together: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []
    step = engine._runner.step

    def counted(jobs: Sequence[Job]) -> None:
        batches.append(len(jobs))
        step(jobs)

    monkeypatch.setattr(engine._runner, "step", counted)
    futures = [engine.submit(job) for job in mixed_jobs(make_job)]
    together()
    for future, job in zip(futures, mixed_jobs(make_job), strict=True):
        torch.testing.assert_close(
            future.result(PATIENCE_S), alone(transformer, job), atol=2e-6, rtol=0
        )
    assert batches == [4] * 4 + [3] * 3 + [2] * 3 + [1] * 3


def test_a_job_that_joins_later_equals_one_run_alone(
    engine: Engine, transformer: TransformerStage, make_job: MakeJob
) -> None:
    doorstop = Doorstop()
    first = engine.submit(make_job(1, num_steps=6), doorstop)
    doorstop.wait()
    second = engine.submit(make_job(2, num_steps=3, canvas=Size(64, 64)))
    doorstop.remove()
    for future, job in (
        (first, make_job(1, num_steps=6)),
        (second, make_job(2, num_steps=3, canvas=Size(64, 64))),
    ):
        torch.testing.assert_close(
            future.result(PATIENCE_S), alone(transformer, job), atol=2e-6, rtol=0
        )


def test_a_job_that_leaves_runs_no_further_step(
    engine: Engine, make_job: MakeJob, together: Callable[[], None]
) -> None:
    doorstop = Doorstop()
    leaving, staying = make_job(1, num_steps=20), make_job(2, num_steps=20)
    left = engine.submit(leaving, doorstop)
    stayed = engine.submit(staying)
    together()
    doorstop.wait()
    left.cancel()
    doorstop.remove()
    assert stayed.result(PATIENCE_S).isfinite().all()
    assert leaving.num_steps_done == 1
    with pytest.raises(CancelledError):
        left.result(0)


def test_a_picture_that_is_not_finite_changes_no_bit_of_its_neighbours(
    engine: Engine,
    make_job: MakeJob,
    together: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    healthy = [engine.submit(job) for job in mixed_jobs(make_job)]
    broken = make_job(7, num_steps=5)
    broken.prompt_embeds = broken.prompt_embeds * float("nan")
    failing = engine.submit(broken)
    together()
    results = [future.result(PATIENCE_S) for future in healthy]
    with pytest.raises(StageFailedError):
        failing.result(PATIENCE_S)
    assert "runs again, alone" in caplog.text
    # The same steps, with a healthy picture of the same shape in the broken one's place.
    doorstop = Doorstop()
    engine.submit(make_job(99, num_steps=1), doorstop)
    doorstop.wait()
    again = [engine.submit(job) for job in mixed_jobs(make_job)]
    engine.submit(make_job(7, num_steps=5))
    doorstop.remove()
    for result, future in zip(results, again, strict=True):
        assert torch.equal(result, future.result(PATIENCE_S))


def test_a_job_that_raises_fails_alone_and_changes_no_bit_of_its_neighbours(
    engine: Engine, make_job: MakeJob, together: Callable[[], None]
) -> None:
    without = [engine.submit(make_job(seed)) for seed in (1, 2)]
    together()
    expected = [future.result(PATIENCE_S) for future in without]

    doorstop = Doorstop()
    engine.submit(make_job(99, num_steps=1), doorstop)
    doorstop.wait()
    broken = make_job(7)
    broken.prompt_embeds = broken.prompt_embeds[..., :5]
    futures = [engine.submit(job) for job in (make_job(1), broken, make_job(2))]
    doorstop.remove()
    with pytest.raises(StageFailedError):
        futures[1].result(PATIENCE_S)
    for future, latents in zip((futures[0], futures[2]), expected, strict=True):
        assert torch.equal(future.result(PATIENCE_S), latents)
    assert engine.is_alive


def test_jobs_that_fail_only_together_share_no_more_steps(
    engine: Engine,
    transformer: TransformerStage,
    make_job: MakeJob,
    together: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared: list[int] = []
    step = Runner.step

    def too_much_together(self: Runner, jobs: Sequence[Job]) -> Sequence[Ran]:
        if len(jobs) > 1:
            shared.append(len(jobs))
            raise torch.OutOfMemoryError("no memory for so many")
        return step(self, jobs)

    monkeypatch.setattr(Runner, "step", too_much_together)
    futures = [engine.submit(make_job(seed)) for seed in (1, 2)]
    together()
    for future, seed in zip(futures, (1, 2), strict=True):
        torch.testing.assert_close(
            future.result(PATIENCE_S), alone(transformer, make_job(seed)), atol=2e-6, rtol=0
        )
    assert shared == [2]
    assert engine.is_healthy


def test_a_failure_that_passes_costs_no_job(
    engine: Engine,
    make_job: MakeJob,
    together: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[int] = []
    step = engine._runner.step

    def once_failing(jobs: Sequence[Job]) -> None:
        if not failed:
            failed.append(len(jobs))
            raise MemoryError("for a moment")
        step(jobs)

    monkeypatch.setattr(engine._runner, "step", once_failing)
    futures = [engine.submit(make_job(seed)) for seed in range(3)]
    together()
    assert all(future.result(PATIENCE_S).isfinite().all() for future in futures)
    assert failed == [3]


def test_a_job_of_a_higher_class_interrupts(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    engine = Engine(transformer, EngineConfig(token_budget=1))
    doorstop = Doorstop()
    order: list[str] = []
    low = make_job(1, num_steps=10)
    low.priority = Priority.BATCH
    first = engine.submit(low, doorstop)
    first.add_done_callback(lambda _: order.append("low"))
    doorstop.wait()
    high = make_job(2, num_steps=3)
    high.priority = Priority.INTERACTIVE
    second = engine.submit(high)
    second.add_done_callback(lambda _: order.append("high"))
    doorstop.remove()
    assert first.result(PATIENCE_S).isfinite().all()
    assert order == ["high", "low"]
    assert torch.equal(first.result(0), alone(transformer, make_job(1, num_steps=10)))
    engine.close()


def test_an_accelerated_job_skips_steps_and_its_neighbours_do_not(
    transformer: TransformerStage, make_job: MakeJob, together: Callable[[], None], engine: Engine
) -> None:
    fast, exact = make_job(1, num_steps=20), make_job(2, num_steps=20)
    fast.acceleration = "high"
    futures = [engine.submit(fast), engine.submit(exact)]
    together()
    results = [future.result(PATIENCE_S) for future in futures]
    assert fast.step_cache is not None
    assert fast.step_cache.num_skipped > 0
    assert fast.step_cache.num_computed + fast.step_cache.num_skipped == 20
    expected = [alone(transformer, make_job(seed, num_steps=20)) for seed in (1, 2)]
    torch.testing.assert_close(results[1], expected[1], atol=2e-6, rtol=0)
    assert not torch.allclose(results[0], expected[0], atol=1e-4)


def test_a_job_that_begins_again_forgets_what_it_kept(
    engine: Engine, make_job: MakeJob, together: Callable[[], None]
) -> None:
    broken = make_job(7, num_steps=5)
    broken.acceleration = "regular"
    broken.prompt_embeds = broken.prompt_embeds * float("nan")
    failing = engine.submit(broken)
    before = broken.step_cache
    together()
    with pytest.raises(StageFailedError):
        failing.result(PATIENCE_S)
    assert before is not None
    assert broken.step_cache is not before
    assert broken.step_cache.threshold == before.threshold  # type: ignore[union-attr]


def test_another_configuration_holds_from_the_next_step_on(
    engine: Engine, make_job: MakeJob, together: Callable[[], None]
) -> None:
    one, other = engine.submit(make_job(1, num_steps=4)), engine.submit(make_job(2, num_steps=4))
    before = engine.stats()
    engine.reconfigure(EngineConfig(policy="fcfs", token_budget=1))
    together()
    assert one.result(PATIENCE_S).isfinite().all()
    assert other.result(PATIENCE_S).isfinite().all()
    after = engine.stats()
    assert (before.token_budget, after.token_budget) == (10_000, 1)
    # Each had its steps for itself; the last one is counted a moment after it is answered.
    assert after.num_steps - before.num_steps in (8, 9)
    assert after.num_picture_steps - before.num_picture_steps == after.num_steps - before.num_steps
