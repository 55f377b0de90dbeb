"""Steps of several jobs do not touch each other."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
import torch

from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.step_cache import StepCache
from serve_app.engine.transformers import Transformers
from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob


def run_alone(runner: Runner, job: Job) -> torch.Tensor:
    while not job.is_done:
        runner.step([job])
    return job.latents


def test_interleaved_jobs_equal_jobs_run_alone(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    runner = Runner(Transformers())
    specs = [(1, 3, Size(32, 48)), (2, 5, Size(64, 16)), (3, 1, Size(32, 48))]
    jobs = [make_job(*spec) for spec in specs]
    for _ in range(5):
        for job in jobs:
            if not job.is_done:
                runner.step([job])
    for job, spec in zip(jobs, specs, strict=True):
        assert torch.equal(job.latents, run_alone(runner, make_job(*spec)))


def test_a_job_counts_its_steps(transformer: TransformerStage, make_job: MakeJob) -> None:
    job = make_job(num_steps=2)
    seen = [(job.num_steps_done, job.is_done)]
    for _ in range(2):
        before = job.latents.clone()
        Runner(Transformers()).step([job])
        seen.append((job.num_steps_done, job.is_done))
        assert not torch.equal(job.latents, before)
        assert not job.latents.requires_grad
    assert seen == [(0, False), (1, False), (2, True)]


@dataclass(frozen=True)
class NoMemory:
    """What a job is repainted with, where there is no memory for it."""

    def blend(self, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError


def fail_late(job: Job) -> Callable[[], None]:
    """Let a job's Euler step fail, when its neighbours have had theirs."""
    job.repaint = NoMemory()  # type: ignore[assignment]
    return lambda: setattr(job, "repaint", None)


def fail_in_its_model(job: Job) -> Callable[[], None]:
    """Let a job's transformer fail, which is another one than its neighbour's, after that one."""

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    hook = job.transformer.transformer.proj_out.register_forward_pre_hook(fail)
    return lambda: hook.remove()


@pytest.mark.parametrize("break_job", [fail_late, fail_in_its_model])
def test_a_step_that_fails_has_not_been(
    transformer: TransformerStage,
    make_job: MakeJob,
    break_job: Callable[[Job], Callable[[], None]],
) -> None:
    """The second job fails twice; then both have the steps and the bits that they would have."""
    other = replace(transformer, transformer=deepcopy(transformer.transformer))

    def pair() -> list[Job]:
        jobs = [make_job(1), make_job(2)]
        jobs[1].transformer = other
        for job in jobs:
            job.step_cache = StepCache(threshold=0.6)
        return jobs

    runner = Runner(Transformers())
    jobs, undisturbed = pair(), pair()
    runner.step(jobs)
    for _ in range(2):
        mend = break_job(jobs[1])
        with pytest.raises(torch.OutOfMemoryError):
            runner.step(jobs)
        mend()
        runner.step(jobs)
    for _ in range(3):
        runner.step(undisturbed)
    for job, alike in zip(jobs, undisturbed, strict=True):
        assert job.num_steps_done == 3
        assert torch.equal(job.latents, alike.latents)
        assert job.step_cache is not None
        assert alike.step_cache is not None
        assert job.step_cache.num_skipped == alike.step_cache.num_skipped > 0
