"""The engine's promises: every job is answered, alone, and a cancelled one leaves at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from functools import partial

import pytest
import torch

from serve_app.config import EngineConfig
from serve_app.engine.engine import Engine
from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.errors import StageFailedError, TooLargeForDeviceError
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob
from tests.unit.engine.doorstop import PATIENCE_S, Doorstop

ONE_AT_A_TIME = EngineConfig(policy="fcfs", token_budget=1)

# Far more than any wait here takes: a test that hangs fails with a name.


@pytest.fixture
def engine(transformer: TransformerStage) -> Iterator[Engine]:
    engine = Engine(transformer, ONE_AT_A_TIME)
    yield engine
    engine.close()


def solo(transformer: TransformerStage, job: Job) -> torch.Tensor:
    runner = Runner(Transformers())
    while not job.is_done:
        runner.step([job])
    return job.latents


def test_jobs_submitted_together_equal_jobs_run_alone(
    engine: Engine, transformer: TransformerStage, make_job: MakeJob
) -> None:
    futures = [engine.submit(make_job(seed, num_steps=seed + 2)) for seed in range(4)]
    for seed, future in enumerate(futures):
        latents = future.result(PATIENCE_S)
        assert torch.equal(latents, solo(transformer, make_job(seed, num_steps=seed + 2)))


def test_jobs_from_many_threads_are_all_answered(engine: Engine, make_job: MakeJob) -> None:
    futures: list[Future[torch.Tensor]] = []
    threads = [
        threading.Thread(target=lambda: futures.append(engine.submit(make_job(num_steps=1))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    latents = [future.result(PATIENCE_S) for future in futures]
    assert len(latents) == 8
    assert all(torch.equal(latents[0], other) for other in latents)


def test_progress_is_told_in_order(engine: Engine, make_job: MakeJob) -> None:
    told: list[tuple[str, int, int]] = []

    def tell(name: str, num_done: int, num_steps: int) -> None:
        told.append((name, num_done, num_steps))

    engine.submit(make_job(num_steps=3), partial(tell, "first"))
    engine.submit(make_job(num_steps=2), partial(tell, "second")).result(PATIENCE_S)
    first = [("first", done, 3) for done in (1, 2, 3)]
    second = [("second", done, 2) for done in (1, 2)]
    assert told == first + second


def test_a_cancelled_job_leaves_before_its_next_step(engine: Engine, make_job: MakeJob) -> None:
    doorstop, job = Doorstop(), make_job(num_steps=28)
    future = engine.submit(job, doorstop)
    doorstop.wait()
    assert future.cancel()
    doorstop.remove()
    engine.submit(make_job(num_steps=1)).result(PATIENCE_S)
    assert doorstop.told == [(1, 28)]
    assert job.num_steps_done == 1
    assert future in wait([future], timeout=0).done
    with pytest.raises(CancelledError):
        future.result(PATIENCE_S)


def test_a_cancelled_job_that_waits_never_starts(engine: Engine, make_job: MakeJob) -> None:
    doorstop, waiting = Doorstop(), make_job()
    engine.submit(make_job(), doorstop)
    doorstop.wait()
    assert engine.submit(waiting).cancel()
    last = engine.submit(make_job(num_steps=1))
    doorstop.remove()
    last.result(PATIENCE_S)
    assert waiting.num_steps_done == 0


def test_a_job_cancelled_in_its_last_step_is_not_delivered(
    engine: Engine, make_job: MakeJob
) -> None:
    doorstop = Doorstop()
    future = engine.submit(make_job(num_steps=1), doorstop)
    doorstop.wait()
    assert future.cancel()
    doorstop.remove()
    engine.submit(make_job(num_steps=1)).result(PATIENCE_S)
    assert engine.is_alive
    assert future.cancelled()


async def test_cancelling_an_awaiting_task_cancels_the_job(
    engine: Engine, make_job: MakeJob
) -> None:
    doorstop, job = Doorstop(), make_job(num_steps=28)

    async def denoise() -> torch.Tensor:
        return await asyncio.wrap_future(engine.submit(job, doorstop))

    task = asyncio.create_task(denoise())
    await asyncio.to_thread(doorstop.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    doorstop.remove()
    await asyncio.wrap_future(engine.submit(make_job(num_steps=1)))
    assert job.num_steps_done == 1


def wrong_width(job: Job) -> None:
    job.prompt_embeds = job.prompt_embeds[..., :5]


def not_finite(job: Job) -> None:
    job.prompt_embeds = job.prompt_embeds * float("nan")


@pytest.mark.parametrize("break_job", [wrong_width, not_finite])
def test_a_failing_job_fails_alone(
    engine: Engine,
    transformer: TransformerStage,
    make_job: MakeJob,
    caplog: pytest.LogCaptureFixture,
    break_job: Callable[[Job], None],
) -> None:
    broken = make_job(1)
    break_job(broken)
    before, failing, after = [engine.submit(job) for job in (make_job(0), broken, make_job(2))]
    with pytest.raises(StageFailedError) as failure:
        failing.result(PATIENCE_S)
    assert failure.value.stage == "denoiser"
    assert torch.equal(before.result(PATIENCE_S), solo(transformer, make_job(0)))
    assert torch.equal(after.result(PATIENCE_S), solo(transformer, make_job(2)))
    assert "job req_1/0 failed" in caplog.text
    assert engine.is_alive


def test_a_callback_that_raises_fails_its_job_alone(engine: Engine, make_job: MakeJob) -> None:
    def on_step(_done: int, _total: int) -> None:
        raise RuntimeError("the client's loop is closed")

    failing, after = engine.submit(make_job(), on_step), engine.submit(make_job())
    with pytest.raises(StageFailedError):
        failing.result(PATIENCE_S)
    assert after.result(PATIENCE_S).isfinite().all()


def test_closing_answers_the_jobs_that_are_left(engine: Engine, make_job: MakeJob) -> None:
    doorstop = Doorstop()
    running, waiting = engine.submit(make_job(), doorstop), engine.submit(make_job())
    doorstop.wait()
    closing = threading.Thread(target=engine.close)
    closing.start()
    while engine.is_alive:
        closing.join(0.01)
    doorstop.remove()
    closing.join(PATIENCE_S)
    for future in (running, waiting):
        with pytest.raises(StageFailedError):
            future.result(PATIENCE_S)


def test_a_closed_engine_takes_no_jobs(engine: Engine, make_job: MakeJob) -> None:
    alive = [engine.is_alive]
    engine.close()
    engine.close()
    alive.append(engine.is_alive)
    assert alive == [True, False]
    with pytest.raises(StageFailedError):
        engine.submit(make_job())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_dies_answers_its_jobs_and_says_so(
    engine: Engine, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pick(_now: float) -> list[Job]:
        raise RuntimeError("a bug in the scheduler")

    monkeypatch.setattr(engine._scheduler, "pick", pick)
    with pytest.raises(StageFailedError):
        engine.submit(make_job()).result(PATIENCE_S)
    assert not engine.is_alive
    with pytest.raises(StageFailedError):
        engine.submit(make_job())


def test_a_step_that_does_not_end_makes_it_unhealthy(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    engine = Engine(transformer, ONE_AT_A_TIME.model_copy(update={"wedged_after_s": 0.05}))
    started, goes_on = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        started.set()
        assert goes_on.wait(PATIENCE_S)

    hook = transformer.transformer.register_forward_pre_hook(hang)
    try:
        future = engine.submit(make_job(num_steps=1))
        assert started.wait(PATIENCE_S)
        assert eventually(lambda: not engine.is_healthy)
        assert engine.is_alive
        goes_on.set()
        assert future.result(PATIENCE_S).isfinite().all()
        assert engine.is_healthy
    finally:
        goes_on.set()
        hook.remove()
        engine.close()


def test_steps_of_one_job_after_the_other_that_fail_make_it_unhealthy(
    transformer: TransformerStage, engine: Engine, make_job: MakeJob
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    for health in (True, True, False):
        hook = transformer.transformer.register_forward_pre_hook(fail)
        with pytest.raises(StageFailedError):
            engine.submit(make_job()).result(PATIENCE_S)
        hook.remove()
        assert engine.is_healthy is health
    assert engine.submit(make_job()).result(PATIENCE_S).isfinite().all()
    assert engine.is_healthy


def test_a_lost_device_is_told_before_any_job_is_failed(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    told = list[tuple[str, bool]]()
    engine = Engine(
        transformer,
        ONE_AT_A_TIME,
        on_broken=lambda reason: told.append((reason, future.done())),
    )

    def fail(*_: object) -> None:
        raise torch.AcceleratorError("an illegal memory access was encountered")

    hook = transformer.transformer.register_forward_pre_hook(fail)
    try:
        with engine._changed:  # until there is a future
            future = engine.submit(make_job())
        with pytest.raises(StageFailedError):
            future.result(PATIENCE_S)
    finally:
        hook.remove()
        engine.close()
    assert told
    assert told[0] == ("AcceleratorError: an illegal memory access was encountered", False)
    assert not engine.is_healthy


def test_a_job_without_memory_is_not_to_be_tried_again(
    transformer: TransformerStage, engine: Engine, make_job: MakeJob
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    hook = transformer.transformer.register_forward_pre_hook(fail)
    for _ in range(4):
        with pytest.raises(TooLargeForDeviceError):
            engine.submit(make_job()).result(PATIENCE_S)
    hook.remove()
    assert engine.is_healthy


def test_pictures_that_are_not_finite_one_after_the_other_are_of_the_device(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    told = list[str]()
    engine = Engine(transformer, ONE_AT_A_TIME, on_broken=told.append)

    def spoil(_module: object, _args: object, output: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (output[0] * torch.nan,)

    hook = transformer.transformer.register_forward_hook(spoil)
    try:
        for is_healthy in (True, True, False):
            with pytest.raises(StageFailedError):
                engine.submit(make_job()).result(PATIENCE_S)
            assert engine.is_healthy is is_healthy
    finally:
        hook.remove()
    assert told == ["FloatingPointError: the latents are not finite"]
    assert engine.submit(make_job()).result(PATIENCE_S).isfinite().all()
    assert engine.is_healthy
    engine.close()


def eventually(is_so: Callable[[], bool]) -> bool:
    ends_at = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < ends_at:
        time.sleep(0.01)
    return is_so()
