"""Steps of several jobs do not touch each other."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
import torch

from serve_app.engine.cost_model import CostModel
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


def test_it_tells_what_each_transformer_computed(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    other = replace(transformer, transformer=deepcopy(transformer.transformer))
    jobs = [make_job(1), make_job(2), make_job(3, canvas=Size(64, 64))]
    jobs[1].transformer = other
    exact, fast = Runner(Transformers()).step(jobs)
    assert exact.transformer != fast.transformer
    assert exact.flops == {job: job.whole_step_flops for job in (jobs[0], jobs[2])}
    assert fast.flops == {jobs[1]: jobs[1].whole_step_flops}
    assert exact.seconds > 0
    assert fast.seconds > 0


def test_of_a_skipped_step_only_the_first_block_counts(make_job: MakeJob) -> None:
    job, runner = make_job(), Runner(Transformers())
    job.step_cache = StepCache(threshold=1e9)
    config = job.transformer.transformer.config
    num_blocks = config["num_layers"] + config["num_single_layers"]
    flops = [ran.flops[job] for _ in range(4) for ran in runner.step([job])]
    one = job.whole_step_flops
    assert flops == pytest.approx([one, *[one / num_blocks] * 3])
    assert job.num_computed == pytest.approx(1 + 3 / num_blocks)


def learned(make_job: MakeJob, runner: Runner, model: CostModel) -> Job:
    """Run a job that skips all steps but the first, and let the model learn from it."""
    job = make_job(num_steps=8)
    job.acceleration, job.step_cache = "high", StepCache(threshold=1e9)
    job.foresee(model)
    while not job.is_done:
        for ran in runner.step([job]):
            # As on a machine of which each operation takes a second.
            replace(ran, seconds=sum(ran.flops.values())).teach(model)
    job.teach(model)
    return job


def test_a_second_accelerated_job_is_foreseen_as_the_first_one_was(make_job: MakeJob) -> None:
    model, runner = CostModel(1.0), Runner(Transformers())
    model.observe(make_job().whole_step_flops, make_job().whole_step_flops)
    first = learned(make_job, runner, model)
    second = learned(make_job, runner, model)
    assert first.predicted_s == pytest.approx(8 * first.whole_step_flops)
    assert first.own_s == pytest.approx(first.num_computed * first.whole_step_flops)
    assert second.predicted_s == pytest.approx(second.own_s, rel=1e-3)


def test_what_nobody_measured_before_is_not_judged(make_job: MakeJob) -> None:
    model = CostModel(1.0)
    job = learned(make_job, Runner(Transformers()), model)
    assert job.predicted_s is None
    assert model.picture_error == 0
